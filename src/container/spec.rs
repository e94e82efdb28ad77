//! The OCI runtime specification's types.
