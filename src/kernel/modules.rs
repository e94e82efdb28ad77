//! Modules of the kernel, by name, with those that they need.
//!
//! # Source
//! depmod(8): `modules.dep` has a line for each module, its file and behind a colon those that it needs.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::Cut;
use crate::sys::fd::CWD;
use crate::sys::{because, file, machine, process};

/// Loads modules: names, or paths of files. A name without a file is taken to be built in if the kernel says that it is.
///
/// # Errors
/// There is no such module, or the kernel refuses it.
pub fn load(names: &[&str]) -> Result<()> {
    let _why = because!("load the kernel's modules that were asked for");
    let directory = join!("/lib/modules/{}", process::uname()?[2]);
    let table = keep::lossy(
        file::read_file(CWD, file::path(join!("{}/modules.dep", directory))?, 16 << 20).unwrap_or_default().leak(),
    );
    let built_in = keep::lossy(
        file::read_file(CWD, file::path(join!("{}/modules.builtin", directory))?, 16 << 20).unwrap_or_default().leak(),
    );
    for name in names {
        if name.starts_with('/') {
            insert(name)?;
            continue;
        }
        match order(table, name) {
            Some(files) => {
                for path in files {
                    insert(if path.starts_with('/') { keep::copy(path) } else { join!("{}/{}", directory, path) })?;
                }
            }
            None if built_in.parts(b'\n').any(|line| is_called(line, name)) => {}
            None => {
                return Err(Error::new(say!("no such module: {}", name))
                    .hint(say!("accepted: a path, or a name that {}/modules.dep has", directory)));
            }
        }
    }
    Ok(())
}

fn insert(path: &str) -> Result<()> {
    let opened = file::open(CWD, file::path(path)?, libc::O_RDONLY)?;
    machine::load_module(opened.by_ref(), path, path.parts(b'.').last() != Some("ko"))
}

/// The files to load for a module, those first that others need.
fn order<'a>(table: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let line = table.parts(b'\n').find(|line| line.cut(b':').is_some_and(|(file, _)| is_called(file, name)))?;
    let (own, needed) = line.cut(b':')?;
    // depmod lists what is needed directly or not, the nearest first.
    let mut files: Vec<&str> = needed.words().collect();
    files.reverse();
    files.push(own);
    Some(files)
}

/// Whether the module in this file bears this name, where dashes and underscores are the same.
fn is_called(path: &str, name: &str) -> bool {
    let file = path.parts(b'/').last().unwrap_or_default();
    let stem = file.parts(b'.').next().unwrap_or_default();
    let plain =
        |text: &str| -> String { text.chars().map(|letter| if letter == '-' { '_' } else { letter }).collect() };
    !stem.is_empty() && plain(stem) == plain(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_after_those_that_it_needs() {
        let table = "kernel/net/a-b.ko: kernel/net/c.ko.xz kernel/lib/d.ko\nkernel/lib/d.ko:\nkernel/net/c.ko.xz: kernel/lib/d.ko\n";
        assert_eq!(order(table, "a_b").unwrap(), ["kernel/lib/d.ko", "kernel/net/c.ko.xz", "kernel/net/a-b.ko"]);
        assert_eq!(order(table, "c").unwrap(), ["kernel/lib/d.ko", "kernel/net/c.ko.xz"]);
        assert_eq!(order(table, "e"), None);
        assert_eq!(order(table, ""), None);
    }
}
