//! Going on as a copy of vial that nobody can write to.
//!
//! What executes in a container finds the program that started it: a script there may name `/proc/self/exe` as its interpreter,
//! and then other processes of the container can open that file, keep it open, and write to it once nobody executes it any
//! more (CVE-2019-5736). Were it the host's vial, the host would be lost. A container's owner executes the host's file for as
//! long as the container lives, which keeps it from being written; a command that only visits does not, or that of another
//! version. So such a command first copies itself to memory, seals the copy, and executes it.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::context::Context;
use super::oci;
use crate::base::error::Result;
use crate::sys::{because, fd, file, process};

/// The name under which vial executes its copy.
pub(super) const NAME: &CStr = c"vial-sealed";

/// Returns in the copy.
///
/// # Errors
/// The copy can't be made or executed.
pub(super) fn go_on(context: &Context<'static>) -> Result<()> {
    let _why = because!("go on as a sealed copy of vial, since containers may find the file that is executed");
    if weak!("exe") {
        return Ok(());
    }
    if context.is_sealed() {
        // It would be the descriptor's number.
        return process::prctl_name(c"vial");
    }
    replace(context.args, context.env)
}

/// Does that before anything is unpacked, which the copy would have to do again, where it will most likely be done. Not with a ledger,
/// which is not open yet; a failure is told when it is done in its turn.
pub(super) fn go_on_early(args: &[&'static CStr], env: &[&'static CStr]) {
    let has_ledger = args.iter().any(|word| word.to_bytes().starts_with(b"--explain"));
    if args.first() != Some(&NAME) && !has_ledger && !weak!("exe") {
        let _ = replace(args, env);
    }
}

/// Returns why it does not.
fn replace(args: &[&'static CStr], env: &[&'static CStr]) -> Result<()> {
    let own = file::open(fd::CWD, c"/proc/self/exe", libc::O_RDONLY)?;
    let copy = file::sealed_copy(own.by_ref())
        .map_err(|error| error.hint(phrase!("needs memfd_create (Linux 3.17) and no vm.memfd_noexec=2")))?;
    let mut args: Vec<&CStr> = args.to_vec();
    if oci::is_runtime(&args) {
        args.insert(1, c"oci");
    }
    args[0] = NAME;
    let program = file::path(join!("/proc/self/fd/{}", copy.number()))?;
    Err(process::go_on_as(program, &args, env))
}
