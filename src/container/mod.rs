//! Floor 4: containers.

pub mod spec;
