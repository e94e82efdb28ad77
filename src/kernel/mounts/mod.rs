//! Mounts of a container: option strings, the change of root, file systems, trees of the host, masks.
//!
//! A container's process first takes the host's trees that it will need in hand, then makes the new root its root, and only
//! then mounts everything else by plain paths. From that moment a link in the image, or a path that somebody swaps, leads
//! nowhere but into the container.

mod copy;
mod mask;
pub mod options;
mod owners;
mod place;
mod root;
mod tree;

pub use copy::{Identity, OTHER_WHITEOUT, add_layer, is_whiteout, opaque_attribute};
pub use mask::{mask, null_device, put, read_only, seal};
pub use options::{Options, names as option_names};
pub use owners::{Part, give_tree, outside, shift_owners};
pub use place::{Kind, find, make};
pub use root::{enter, enter_loosely, go_back, make_private};
pub use tree::{Tree, carry, mounts_below, spread};

use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::mount;

/// Mounts a new file system of `kind` at a path inside the new root, making the directory if it is missing.
///
/// # Errors
/// mount(2), with a hint where the kernel lacks the file system.
pub fn filesystem(source: &CStr, kind: &CStr, target: &CStr, flags: libc::c_ulong, data: &CStr) -> Result<()> {
    let data = (!data.is_empty()).then_some(data);
    let mut result = mount::mount(Some(source), target, Some(kind), flags, data);
    if result.as_ref().is_err_and(|error| error.is(Errno::ENOENT)) {
        place::add(target, Kind::Directory)?;
        result = mount::mount(Some(source), target, Some(kind), flags, data);
    }
    let result = result.and_then(|()| mask::read_back(target, flags));
    result.map_err(|error| match error.errno() {
        Errno::ENODEV => {
            error.hint(phrase!("the kernel has no such file system; see CONFIG_*_FS in its configuration"))
        }
        Errno::ENOTDIR => error.hint(phrase!("--tmpfs: the image has a file there; mount it elsewhere")),
        _ => error,
    })
}
