//! DEFLATE and gzip.
