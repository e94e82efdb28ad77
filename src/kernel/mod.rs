//! Floor 2: typed kernel features.

pub mod anew;
pub mod cgroup;
pub mod dbus;
pub mod loopdev;
pub mod modules;
pub mod mounts;
pub mod netlink;
pub mod program;
pub mod security;
pub mod tty;
pub mod users;
pub mod xtables;
