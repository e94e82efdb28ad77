//! Floor 1: the door to the kernel.
//!
//! Every entry into the kernel passes [`call`], which writes it into the [`ledger`] when one is kept. The other modules are
//! wrappers by kernel area: they turn out-parameters into returns, own what they open, and say what failed on what.
//! `unsafe` stops here: nothing above this floor has any.

/// `let _why = because!("start the container");`: why the calls are made that follow, see [`ledger::because`], by which name
/// it must be in scope.
macro_rules! because {
    ($why:expr) => {
        because(phrase!($why))
    };
}

mod arch;
pub mod bpf;
mod call;
mod calls;
pub mod cold;
pub mod data;
pub mod device;
pub mod fd;
pub mod file;
pub mod heap;
pub mod inotify;
pub mod internet;
pub mod ledger;
pub mod machine;
pub mod mount;
pub mod net;
pub mod netlink;
pub mod notify;
pub mod number;
pub mod poll;
pub mod process;
pub mod procfs;
pub mod ring;
pub mod sched;
pub mod security;
pub mod sha;
pub mod short_code;
pub mod terminal;
pub mod trace;
mod tree;
pub mod uapi;
pub mod users;

pub use calls::{CallInfo, calls};
pub use fd::{Fd, FdRef};
pub use ledger::because;
