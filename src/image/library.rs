//! Where the loaders of glibc and musl find libraries.
//!
//! Of several builds of a library for several generations of a processor (`glibc-hwcaps`) the one for all is taken, since the
//! image may run elsewhere.
//!
//! # Source
//! ld.so(8), ldconfig(8); glibc's `sysdeps/generic/dl-cache.h`, `elf/dl-load.c`; musl's `ldso/dynlink.c`.

use alloc::boxed::Box;
use core::ffi::CStr;

use super::elf::Elf;
use super::pack::{directory, list, look, within};

use crate::base::error::Result;
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::sys::fd::CWD;
use crate::sys::file;

/// glibc's list of all libraries that ldconfig(8) has found.
pub(super) const CACHE: &str = "/etc/ld.so.cache";
/// What that list begins with.
const MARK: &[u8] = b"glibc-ld.so.cache1.1";
/// Where musl looks if its file of paths does not say.
const MUSL: &str = "/lib:/usr/local/lib:/usr/lib";
/// Libraries that are part of musl's loader, whatever their version.
const BUILT_IN: &str = "libc libpthread librt libm libdl libutil libxnet";
/// `$PLATFORM` for programs of 32 and of 64 bits.
const PLATFORMS: [&str; 2] = if cfg!(target_arch = "x86_64") { ["i686", "x86_64"] } else { ["v7l", "aarch64"] };
/// Files like ld.so.conf that include each other.
const MAX_DEPTH: u32 = 8;

/// A file that the loader maps.
pub(super) struct Object {
    /// As it was asked for; empty for the program.
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) elf: &'static Elf,
    /// The one that asked for it first; none for the program and its loader.
    pub(super) parent: Option<&'static Object>,
}

/// What the loader at hand knows of the system. Lists of directories have colons between them.
#[derive(Default)]
pub(super) struct System {
    /// Whether it is musl's.
    musl: bool,
    /// `$LIB` of glibc, with a slash before it.
    lib: &'static str,
    /// Directories that are searched at last.
    places: &'static str,
    /// Those that ld.so.conf names, where there is no cache.
    configured: &'static str,
    cache: &'static [u8],
    /// Whether something was found by the cache alone.
    pub(super) by_cache: bool,
    /// The configured ones where something was found.
    pub(super) told: &'static str,
}

impl System {
    /// Begins with a program that has this loader, which is really there; the file that the loader reads, if it has one.
    pub(super) fn prepare(&mut self, loader: &str, real: &'static str) -> Option<&'static str> {
        let name = loader.cut_last(b'/').map_or(loader, |(_, name)| name);
        let musl = name.strip_prefix("ld-musl-").and_then(|name| name.cut(b'.'));
        self.musl = musl.is_some();
        if let Some((architecture, _)) = musl {
            let path = join!("/etc/ld-musl-{}.path", architecture);
            let content = content(path);
            for byte in &mut *content {
                if *byte == b'\n' {
                    *byte = b':';
                }
            }
            self.places = if content.is_empty() { MUSL } else { keep::lossy(content) };
            return (!content.is_empty()).then_some(path);
        }
        let place = directory(real);
        self.lib = place.strip_prefix("/usr").unwrap_or(place);
        self.places = join!("{}:/usr{}:/lib:/usr/lib", self.lib, self.lib);
        self.cache = content(CACHE);
        if self.cache.is_empty() {
            self.configured = configured("/etc/ld.so.conf", 0);
        }
        None
    }

    /// Whether a library is part of the loader.
    pub(super) fn has_built_in(&self, name: &str) -> bool {
        self.musl && name.cut(b'.').is_some_and(|(name, _)| text::place(BUILT_IN, name).is_some())
    }

    /// Finds the library that an object asks for.
    pub(super) fn find(&mut self, parent: &'static Object, name: &'static str) -> Result<Option<&'static Object>> {
        if name.has(b'/') {
            let path = self.expand(name, parent);
            return if path.starts_with('/') { at(parent, name, path) } else { Ok(None) };
        }
        let mut found = below(parent, name, self.own(parent))?;
        if !self.musl && found.is_none() {
            found = self.cached(parent, name)?;
            if let Some(found) = found {
                self.by_cache |= !self.places.parts(b':').any(|place| place == directory(found.path));
            } else {
                found = below(parent, name, self.configured)?;
                if let Some(found) = found {
                    self.told = join!("{}{}:", self.told, directory(found.path));
                }
            }
        }
        if found.is_none() { below(parent, name, self.places) } else { Ok(found) }
    }

    /// Where the libraries of an object are looked for, for people.
    pub(super) fn shown(&self, parent: &Object) -> &'static str {
        join!("{}{}{}", self.own(parent), self.configured, self.places)
    }

    /// The directories that an object and those that asked for it bring along, each with a colon behind it.
    fn own(&self, first: &Object) -> &'static str {
        let (mut list, mut object, mut own) = ("", first, true);
        loop {
            // Exactly one of both is there. glibc passes on DT_RPATH, to those who have no DT_RUNPATH; musl both.
            let runpath = if own || self.musl { object.elf.runpath } else { "" };
            let more = if runpath.is_empty() { object.elf.rpath } else { runpath };
            if !more.is_empty() {
                list = join!("{}{}:", list, self.expand(more, object));
            }
            own = false;
            object = match object.parent {
                Some(parent) if self.musl || runpath.is_empty() => parent,
                _ => return list,
            };
        }
    }

    /// Puts values in the place of `$ORIGIN`, `$LIB` and `$PLATFORM`, with braces or without.
    #[inline(never)]
    fn expand(&self, list: &'static str, object: &Object) -> &'static str {
        let Some((before, after)) = list.cut(b'$') else { return list };
        let name = after.strip_prefix('{').unwrap_or(after);
        let (length, value) = match name.bytes().next() {
            Some(b'O') => (6, directory(object.path)),
            Some(b'L') => (3, self.lib.get(1..).unwrap_or_default()),
            Some(b'P') => (8, PLATFORMS[(object.elf.kind >> 17) as usize & 1]),
            _ => (0, ""),
        };
        let rest = name.get(length..).unwrap_or_default();
        let rest = if name.len() < after.len() { rest.get(1..).unwrap_or_default() } else { rest };
        join!("{}{}{}", before, value, self.expand(rest, object))
    }

    /// Looks a library up in the cache.
    fn cached(&self, parent: &'static Object, name: &'static str) -> Result<Option<&'static Object>> {
        // An older list may come first, for loaders from before glibc 2.2.
        let old = if self.cache.starts_with(b"ld.so-") { 16 + 12 * number(self.cache, 12) } else { 0 };
        let cache = self.cache.get(old.next_multiple_of(8)..).unwrap_or_default();
        if !cache.starts_with(MARK) {
            return Ok(None);
        }
        let is = |at: usize| {
            let rest = cache.get(at..).and_then(|text| text.strip_prefix(name.as_bytes()));
            rest.is_some_and(|rest| rest.first() == Some(&0))
        };
        for entry in cache.get(48..).unwrap_or_default().chunks_exact(24) {
            // The last number: for which generation of the processor.
            if is(number(entry, 4)) && entry[16..] == [0; 8] {
                let path = cache.get(number(entry, 8)..).unwrap_or_default();
                let path = CStr::from_bytes_until_nul(path).unwrap_or_default();
                let found = at(parent, name, keep::lossy(path.to_bytes()))?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }
}

/// The library in the first of these directories that has it. Those without a slash at the front depend on where the program is
/// started.
#[inline(never)]
fn below(parent: &'static Object, name: &'static str, list: &str) -> Result<Option<&'static Object>> {
    for place in list.parts(b':') {
        if place.starts_with('/') {
            let found = at(parent, name, within(place, name))?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The library at this path, if it is for the same processor.
#[inline(never)]
fn at(parent: &'static Object, name: &'static str, path: &'static str) -> Result<Option<&'static Object>> {
    match look(path)? {
        Some(elf) if elf.kind == parent.elf.kind => Ok(Some(Object::new(name, path, elf, Some(parent)))),
        _ => Ok(None),
    }
}

impl Object {
    #[inline(never)]
    pub(super) fn new(
        name: &'static str,
        path: &'static str,
        elf: &'static Elf,
        parent: Option<&'static Object>,
    ) -> &'static Object {
        Box::leak(Box::new(Object { name, path, elf, parent }))
    }
}

/// A little-endian number of four bytes.
fn number(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |number| u32::from_le_bytes(*number) as usize)
}

/// A file that may be missing.
fn content(path: &str) -> &'static mut [u8] {
    file::path(path).and_then(|path| file::read_file(CWD, path, 16 << 20)).unwrap_or_default().leak()
}

/// The directories that a file like ld.so.conf names, each with a colon behind it.
fn configured(path: &str, depth: u32) -> &'static str {
    let mut places = "";
    for line in keep::lossy(content(path)).parts(b'\n') {
        // Words that are no paths, `include` among them, are no directories.
        for word in line.cut(b'#').map_or(line, |(line, _)| line).words() {
            places = join!("{}{}:", places, word);
            // Others are included, the star in the last part of their path.
            let Some((before, end)) = word.cut(b'*') else { continue };
            let (directory, begin) = before.cut_last(b'/').unwrap_or(("/etc", before));
            for name in list(directory).unwrap_or_default() {
                if depth < MAX_DEPTH && name.starts_with(begin) && name.ends_with(end) {
                    places = join!("{}{}", places, configured(within(directory, name), depth + 1));
                }
            }
        }
    }
    places
}
