//! Packing: programs of this machine, and the files that they can't start without, become an image.
//!
//! A path is taken along with everything on its way: directories, and symbolic links as links. So each file has all the names
//! in the image that it has here, and what the loader finds there is what was found here.

use alloc::vec;
use alloc::vec::Vec;

use super::elf::{self, Elf};
use super::import::{Imported, Input};
use super::instruction;
use super::library::{CACHE, Object, System};
use super::reference::Reference;
use super::store::Store;
use super::walk::{self, Chosen};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::Cut;
use crate::sys::fd::CWD;
use crate::sys::{Fd, file};

/// Interpreters of interpreters that the kernel follows (`exec_binprm` in `fs/exec.c`).
const MAX_DEPTH: u32 = 5;
/// As many bytes of a script's first line as the kernel reads (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;
/// Links followed on the way to one file, `MAXSYMLINKS` in `linux/namei.h`.
const MAX_LINKS: u32 = 40;

/// What is to be packed.
#[derive(Default)]
pub struct Packing {
    /// Where programs are looked for by name, here and in the image.
    path: &'static str,
    /// The first program.
    first: &'static str,
    /// What was taken last, by its path without links.
    real: &'static str,
    /// Everything that goes into the image.
    chosen: Vec<Chosen>,
    /// How libraries are found.
    system: System,
    /// A line for each file, for people: a program, or below it `  NAME => PATH` for a library.
    pub lines: Vec<&'static str>,
    /// What was not found.
    pub missing: Vec<Error>,
}

impl Packing {
    /// Nothing yet. Programs without a slash in their names are looked for in `path`.
    #[must_use]
    pub fn new(path: &'static str) -> Packing {
        let mut packing = Packing { path, ..Packing::default() };
        packing.system.prepare("", "");
        packing
    }

    /// Takes a program, its interpreters and its libraries.
    ///
    /// # Errors
    /// It is not there, or is no program.
    pub fn program(&mut self, name: &'static str) -> Result<()> {
        self.bring(name, 0)
    }

    /// Takes a file, or a directory with all that is in it, and the libraries that files there need.
    ///
    /// # Errors
    /// It can't be read.
    pub fn tree(&mut self, path: &'static str) -> Result<()> {
        self.choose(path, true, path)?;
        self.scan(self.real)
    }

    /// Takes a program by its path or its name.
    #[inline(never)]
    fn bring(&mut self, name: &'static str, depth: u32) -> Result<()> {
        let mut path = if name.has(b'/') { name } else { "" };
        for directory in self.path.parts(b':') {
            let found = within(directory, name);
            if path.is_empty() && directory.starts_with('/') && open(found)?.is_some() {
                path = found;
            }
        }
        if path.is_empty() {
            return Err(Error::os(Errno::ENOENT, phrase!("find in PATH"), name));
        }
        self.choose(path, false, path)?;
        let real = self.real;
        if self.first.is_empty() {
            self.first = path;
        }
        let mut head = [0; LINE];
        let length = match open(path)? {
            Some(file) if depth <= MAX_DEPTH => file::read(file.by_ref(), &mut head)?,
            _ => 0,
        };
        let line = keep::lossy(head[..length].strip_prefix(b"#!").unwrap_or_default());
        let line = line.cut(b'\n').map_or(line, |(line, _)| line);
        if line.trim_ascii().is_empty() {
            let Some(elf) = look(path)? else {
                return Err(Error::os(Errno::NONE, phrase!("neither an ELF file nor a script with #!:"), path));
            };
            return self.libraries(path, real, elf);
        }
        let mut before = "";
        for (number, word) in line.words().enumerate() {
            // env(1): options and variables come before the program.
            if number == 0 || before.ends_with("/env") && !word.starts_with('-') && !word.has(b'=') {
                self.bring(word, depth + 1).map_err(|error| error.hint(say!("{} asks for it with #!", path)))?;
                before = word;
            }
        }
        Ok(())
    }

    /// Takes the loader and the libraries of an ELF file, in the order in which the loader takes them: breadth first.
    fn libraries(&mut self, path: &'static str, real: &'static str, elf: &'static Elf) -> Result<()> {
        let mut objects = vec![Object::new("", real, elf, None)];
        let loader = elf.loader;
        if !loader.is_empty() {
            let Some(elf) = look(loader)? else {
                self.missing.push(Error::new(say!("{} needs the loader {}, which is not there", path, loader)));
                return Ok(());
            };
            self.choose(loader, false, loader)?;
            objects.push(Object::new(loader, loader, elf, None));
            if let Some(path) = self.system.prepare(loader, self.real) {
                self.choose(path, false, path)?;
            }
        }
        let mut at = 0;
        while let Some(&object) = objects.get(at) {
            for &name in &object.elf.needed {
                let known = objects.iter().any(|known| known.name == name || known.elf.soname == name);
                if known || self.system.has_built_in(name) {
                    continue;
                }
                if let Some(found) = self.system.find(object, name)? {
                    self.choose(found.path, false, join!("  {} => {}", name, found.path))?;
                    objects.push(found);
                } else {
                    let error = Error::new(say!("{} needs {}, which is not found (for {})", path, name, object.path));
                    self.missing.push(error.hint(say!("looked for in {}", self.system.shown(object))));
                }
            }
            at += 1;
        }
        if self.system.by_cache {
            self.choose(CACHE, false, CACHE)?;
        }
        Ok(())
    }

    /// Takes the libraries of the files in a tree.
    fn scan(&mut self, path: &'static str) -> Result<()> {
        if let Ok(entries) = list(path) {
            for name in entries {
                self.scan(within(path, name))?;
            }
            return Ok(());
        }
        // Data may look like programs, and those may be for other machines.
        match look(path) {
            Ok(Some(elf)) => self.libraries(path, path, elf),
            _ => Ok(()),
        }
    }

    /// Takes what a path leads to and all on the way, `whole` if all below it is meant too. The line is for people, if this is
    /// new.
    #[inline(never)]
    fn choose(&mut self, path: &'static str, whole: bool, line: &'static str) -> Result<()> {
        let (mut done, mut rest, mut links) = ("", path, 0);
        let before = self.chosen.len();
        while !rest.is_empty() {
            let (name, tail) = rest.cut(b'/').unwrap_or((rest, ""));
            rest = tail;
            if name == ".." {
                done = directory(done);
            } else if !matches!(name, "" | ".") {
                let here = within(done, name);
                let mode = match file::path(here).and_then(|here| file::stat(CWD, here)) {
                    Ok(stat) if links < MAX_LINKS => u32::from(stat.mode),
                    Err(error) => return Err(Error::os(error.errno(), phrase!("find"), path)),
                    _ => return Err(Error::os(Errno::ELOOP, phrase!("find"), path)),
                };
                self.note(here, false);
                if mode & libc::S_IFMT == libc::S_IFLNK {
                    let target = keep::lossy(file::readlink(CWD, file::path(here)?)?.as_bytes());
                    if target.starts_with('/') {
                        done = "";
                    }
                    rest = within(target, rest);
                    links += 1;
                } else {
                    done = here;
                }
            }
        }
        if whole {
            self.note(done, true);
        }
        if self.chosen.len() > before {
            self.lines.push(line);
        }
        self.real = done;
        Ok(())
    }

    /// Notes a path, in order; with the slash behind each, what is in a directory follows it.
    #[inline(never)]
    fn note(&mut self, path: &str, whole: bool) {
        let path = within(path, "");
        let at = self.chosen.iter().position(|(known, _)| *known >= path).unwrap_or(self.chosen.len());
        match self.chosen.get_mut(at) {
            Some((known, all)) if *known == path => *all |= whole,
            _ => self.chosen.insert(at, (path, whole)),
        }
    }
}

impl Store {
    /// Makes an image of what is packed. It runs the first program, whose arguments follow; instructions may change that.
    ///
    /// # Errors
    /// What can't be read; the disk is full.
    pub fn pack(&self, packing: &'static Packing, name: &Reference<'_>, changes: &[&str]) -> Result<Imported> {
        let mut input = Input::Directory(file::open(CWD, c"/", libc::O_PATH)?, &packing.chosen);
        let mut change = |config: &mut Value| {
            config.set("Entrypoint", Value::texts(&[packing.first], ""));
            let env = [join!("PATH={}", packing.path), join!("LD_LIBRARY_PATH={}", packing.system.told)];
            config.set("Env", Value::texts(if packing.system.told.is_empty() { &env[..1] } else { &env }, ""));
            instruction::apply(config, changes).map_err(Error::new)
        };
        self.import(&mut input, Some(name), &mut change, "packed", 0, &mut |_| ())
    }
}

/// The directory that a path lies in.
pub(super) fn directory(path: &'static str) -> &'static str {
    path.cut_last(b'/').map_or("", |(parent, _)| parent)
}

/// The names in a directory, in order.
#[inline(never)]
pub(super) fn list(path: &str) -> Result<Vec<&'static str>> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let mut names = Vec::new();
    for entry in walk::sorted(file::open(CWD, file::path(path)?, flags)?.by_ref())? {
        names.push(keep::lossy(entry.name.as_bytes()));
    }
    Ok(names)
}

/// Opens a regular file; nothing if there is none.
#[inline(never)]
fn open(path: &str) -> Result<Option<Fd>> {
    let path = file::owned_path(path.as_bytes())?;
    match file::stat_follow(CWD, &path) {
        Ok(stat) if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFREG => {
            file::open(CWD, &path, libc::O_RDONLY).map(Some)
        }
        _ => Ok(None),
    }
}

/// Looks into an ELF file; nothing if there is no file, or another one.
#[inline(never)]
pub(super) fn look(path: &str) -> Result<Option<&'static Elf>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut read = |offset, bytes: &mut [u8]| {
        file::seek(file.by_ref(), offset).and_then(|()| file::read(file.by_ref(), bytes)).unwrap_or(0)
    };
    let elf = elf::parse(&mut read);
    match elf.and_then(|elf| elf.wrong) {
        Some(why) => Err(Error::os(Errno::NONE, why, path)),
        None => Ok(elf),
    }
}

/// A path in a directory.
#[inline(never)]
pub(super) fn within(directory: &str, name: &str) -> &'static str {
    join!("{}/{}", directory, name)
}
