//! What every command knows: its command line, the environment, and where the state lies.

use core::ffi::CStr;

use super::parse::{self, Parsed, invalid};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::container::life;
use crate::storage;
use crate::sys::{Fd, FdRef, because, fd, file, process};

/// File systems in memory, `linux/magic.h`.
const TMPFS: usize = 0x0102_1994;
/// See [`TMPFS`].
const RAMFS: usize = 0x8584_58f6;

/// A command's surroundings.
pub(super) struct Context<'a> {
    /// The command line.
    pub(super) parsed: &'a Parsed<'a>,
    /// All words, the program's name first.
    pub(super) args: &'a [&'static CStr],
    /// The environment.
    pub(super) env: &'a [&'static CStr],
    /// The directory of all state, found before a normal user became root in a user namespace.
    pub(super) user_root: Option<&'static str>,
}

/// A variable of an environment.
pub(super) fn variable(env: &[&'static CStr], name: &[u8]) -> Option<&'static [u8]> {
    let value = |variable: &&'static CStr| variable.to_bytes().strip_prefix(name)?.strip_prefix(b"=");
    env.iter().find_map(value)
}

impl<'a> Context<'a> {
    /// For this command line in this environment.
    pub(super) fn new(parsed: &'a Parsed<'a>, args: &'a [&'static CStr], env: &'a [&'static CStr]) -> Context<'a> {
        Context { parsed, args, env, user_root: None }
    }

    /// Whether this is the copy that [`super::sealed`] makes.
    pub(super) fn is_sealed(&self) -> bool {
        self.args.first() == Some(&super::sealed::NAME)
    }

    /// A variable of vial's own environment.
    pub(super) fn variable(&self, name: &[u8]) -> Option<&'static [u8]> {
        variable(self.env, name)
    }

    /// Likewise, as text; none if it is empty or not UTF-8.
    pub(super) fn text_variable(&self, name: &str) -> Option<&'static str> {
        self.variable(name.as_bytes())
            .and_then(|value| core::str::from_utf8(value).ok())
            .filter(|value| !value.is_empty())
    }

    /// The directory of all state: `--root`, with `--ram` one in memory, `VIAL_ROOT`, root's `/var/lib/vial`, or a user's own data directory.
    pub(super) fn root_path(&self) -> &'static str {
        if let Some(root) = self.user_root {
            return root;
        }
        if let Some(root) = self.parsed.globals.root {
            return keep::lossy(root);
        }
        if self.parsed.globals.ram {
            return match self.text_variable("XDG_RUNTIME_DIR") {
                Some(runtime) if process::geteuid() != 0 => join!("{}/vial", runtime),
                _ => "/run/vial",
            };
        }
        if let Some(root) = self.text_variable("VIAL_ROOT") {
            return root;
        }
        if process::geteuid() == 0 {
            return "/var/lib/vial";
        }
        match (self.text_variable("XDG_DATA_HOME"), self.text_variable("HOME")) {
            (Some(data), _) => join!("{}/vial", data),
            (None, Some(home)) => join!("{}/.local/share/vial", home),
            (None, None) => "/var/lib/vial",
        }
    }

    /// Sees to it that what is to be kept in memory is.
    ///
    /// # Errors
    /// The directory of all state is on a disk (`--ram`).
    #[inline(never)]
    pub(super) fn check_ram(&self) -> Result<()> {
        let _why = because!("see that all state is in memory (--ram)");
        let path = self.root_path();
        let root = self.open_root()?;
        if !matches!(file::filesystem(root)?, TMPFS | RAMFS) {
            // It may have been made just now.
            let _ = file::rmdir(fd::CWD, file::path(path)?);
            return Err(Error::new(say!("--ram: {} is not in memory", path))
                .hint(phrase!("mount a tmpfs there, or name a directory on one: --root DIR")));
        }
        Ok(())
    }

    /// The storage driver for a store that is open: `--storage`, `VIAL_STORAGE`, or the first that works.
    ///
    /// # Errors
    /// There is no such driver, or it does not work there.
    #[inline(never)]
    pub(super) fn storage(&self, root: FdRef<'_>) -> Result<&'static str> {
        let asked = match (self.parsed.globals.storage, self.variable(b"VIAL_STORAGE")) {
            (Some(asked), _) => asked,
            (None, None | Some(b"")) => "",
            (None, Some(name)) => parse::driver(name)
                .ok_or_else(|| invalid(name, "VIAL_STORAGE", phrase!("no such driver"), parse::ACCEPTED))?,
        };
        storage::choose(root, asked)
    }

    /// The positionals as text.
    pub(super) fn words(&self) -> Result<alloc::vec::Vec<&'a str>> {
        let mut words = alloc::vec::Vec::new();
        for word in &self.parsed.positionals {
            words.push(core::str::from_utf8(word).map_err(|_| Error::new(say!("not UTF-8: {}", keep::lossy(word))))?);
        }
        Ok(words)
    }

    /// Opens the directory of all state, making it if it is missing.
    pub(super) fn open_root(&self) -> Result<FdRef<'static>> {
        let _why = because!("open the directory that holds all of vial's state");
        let path = self.root_path();
        let name = file::path(path)?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        match file::open(fd::CWD, name, flags) {
            Err(error) if error.is(Errno::ENOENT) => {
                file::mkdir_all(path, 0o700)?;
                file::open(fd::CWD, name, flags)
            }
            result => result,
        }
        .map(Fd::keep)
        .map_err(|error| error.hint(phrase!("--root DIR or VIAL_ROOT=DIR puts the state elsewhere")))
    }

    /// Opens the directory of all state if it is there.
    pub(super) fn look_for_root(&self) -> Result<Option<FdRef<'static>>> {
        match file::open(fd::CWD, file::path(self.root_path())?, libc::O_RDONLY | libc::O_DIRECTORY) {
            Err(error) if error.is(Errno::ENOENT) => Ok(None),
            result => result.map(|root| Some(root.keep())),
        }
    }

    /// A path of the user's as an absolute one.
    pub(super) fn absolute(path: &str) -> Result<&'static str> {
        if path.starts_with('/') {
            return Ok(keep::copy(path));
        }
        let here = file::getcwd()?;
        Ok(join!("{}/{}", keep::lossy(here.to_bytes()), path.strip_prefix("./").unwrap_or(path)))
    }

    /// Warnings, which `--best-effort` makes of errors about what can't be enforced.
    pub(super) fn warn(warnings: &[crate::base::error::Error]) {
        for warning in warnings {
            life::warn(warning);
        }
    }
}
