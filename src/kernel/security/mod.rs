//! What a process may do: capabilities.

pub mod caps;
