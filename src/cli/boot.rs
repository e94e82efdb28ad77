//! `vial boot`: what a machine does when it starts. As its first process vial does all of it.

mod init;
mod settings;

use super::context::Context;
use super::flags::Id;
use super::lifecycle;
use crate::base::error::{Error, Result};
use crate::sys::process;

/// The program's name by which a kernel starts it from its first root file system.
const INIT: &str = "init";

/// Whether vial was started as a machine's first process, by its name: the words behind it are the kernel's, not vial's.
pub(super) fn is_init(name: &str) -> bool {
    name.rsplit('/').next() == Some(INIT) && process::getpid() == 1
}

/// Starts the containers that are to run whenever the machine does; as the first process, brings the machine up before, and
/// stays until it goes down.
pub(super) fn boot(context: &Context<'static>) -> Result<u8> {
    if context.parsed.on(Id::BootContainers) {
        return lifecycle::start_all(context);
    }
    if process::getpid() != 1 {
        return Err(Error::new(phrase!("vial is not this machine's first process")).hint(phrase!(
            "vial boot --containers starts the containers that are to run; to bring a machine up, start vial as its /init"
        )));
    }
    init::run(context)
}
