//! `vial oci`: the OCI runtime's command line, called as engines call it.

pub mod bundles;
pub mod kills;
pub mod limits;
pub mod own;
pub mod stages;
pub mod words;
