//! Soon.

trials! {}
