//! Floor 2: typed kernel features.

pub mod cgroup;
pub mod security;
