//! Directories and files of groups, by their paths.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::{fd::CWD, file, process};

/// Longest file of a group that is read; `cgroup.procs` has a line for every process.
const LIMIT: usize = 16 << 20;

/// Milliseconds after which removing a directory is tried again. A process that was killed leaves its group only when it is
/// collected or shortly before, so the kernel may answer EBUSY for a moment; it does too while groups are below.
pub(super) const DELAYS: &[u32] =
    &[0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512];

/// Removes a group's directory, and those below it if there are any; whether it was there.
pub(super) fn remove_tree(path: &str, delays: &[u32]) -> Result<bool> {
    let whole = file::path(path)?;
    for &delay in delays {
        if delay > 0 {
            for child in children(path)? {
                remove_tree(&child, delays)?;
            }
            process::sleep(delay);
        }
        match file::rmdir(CWD, whole) {
            Err(error) if error.is(Errno::EBUSY) || error.is(Errno::ENOTEMPTY) => {}
            Err(error) if error.is(Errno::ENOENT) => return Ok(false),
            result => return result.map(|()| true),
        }
    }
    let removed = file::rmdir(CWD, whole).map(|()| true);
    removed.map_err(|error| error.hint(phrase!("processes are still in it; kill them first")))
}

/// The groups directly below one; none if it is gone.
pub(super) fn children(path: &str) -> Result<Vec<String>> {
    let directory = file::open(CWD, &file::owned_path(path.as_bytes())?, libc::O_RDONLY | libc::O_DIRECTORY);
    let entries = match directory.and_then(|directory| file::list(directory.by_ref())) {
        // It may also go while it is being listed.
        Err(error) if error.is(Errno::ENOENT) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut groups = Vec::new();
    for entry in entries {
        if entry.kind == libc::DT_DIR {
            groups.push([path, "/", &entry.name.to_string_lossy()].concat());
        }
    }
    Ok(groups)
}

/// A file of a group. Its path is given back, since this is done again and again while something is waited for.
fn path_of(directory: &str, file: &str) -> Result<CString> {
    file::owned_path([directory, "/", file].concat().as_bytes())
}

pub(super) fn write(directory: &str, file: &str, value: &str) -> Result<()> {
    file::write_value(CWD, &path_of(directory, file)?, value.as_bytes())
}

#[inline(never)]
pub(super) fn read(directory: &str, file: &str) -> Result<String> {
    let bytes = file::read_file(CWD, &path_of(directory, file)?, LIMIT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
