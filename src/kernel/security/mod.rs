//! What a process may do: capabilities, and filters of system calls.

pub mod caps;
pub mod filter;
pub mod landlock;
pub mod lsm;
pub mod seccomp;
