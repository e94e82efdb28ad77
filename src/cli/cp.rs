//! `vial cp`: files into and out of containers, by docker's rules.
//!
//! There is no copier: the source is archived in one process and unpacked in another, by what makes and unpacks layers.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::files::standard_output;
use super::flags::Id;
use super::images;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::human_size;
use crate::container::bundle::Bundles;
use crate::container::root::Files;
use crate::image::import::look;
use crate::image::land::transfer;
use crate::image::layer::How;
use crate::image::resolve::{self, Place};
use crate::image::stream::Output;
use crate::image::walk::{self, What};
use crate::sys::file::{self, Lock};
use crate::sys::{Fd, FdRef, because, fd, process, security, terminal};

/// One of the two words.
struct Word<'a> {
    /// As it was given.
    text: &'a [u8],
    /// The container, if it is not a path of the host's.
    container: Option<&'a str>,
    /// The path below the root, without `.` and `..`.
    path: Vec<u8>,
    /// It ends in `/` or `/.`, so that it must be a directory.
    directory: bool,
    /// It ends in `/.`: not the directory but what is in it.
    content: bool,
}

impl<'a> Word<'a> {
    /// Takes a word apart. A path of the host's that holds a colon begins with `/` or `.`.
    fn new(text: &'a [u8]) -> Result<Word<'a>> {
        let colon = text.iter().position(|byte| *byte == b':').filter(|_| !matches!(text, [b'/' | b'.', ..]));
        let (container, path) = match colon {
            Some(at) => (
                Some(
                    core::str::from_utf8(&text[..at])
                        .map_err(|_| Error::new(phrase!("a container's name must be UTF-8")))?,
                ),
                &text[at + 1..],
            ),
            None => (None, text),
        };
        if text.is_empty() || container == Some("") {
            return Err(Error::new(phrase!("empty path or name of a container"))
                .hint(phrase!("vial cp CONTAINER:PATH PATH, or the other way round")));
        }
        let content = path == b"." || path.ends_with(b"/.");
        let directory = content || path.ends_with(b"/") || path.ends_with(b"..");
        let whole = if container.is_none() && !path.starts_with(b"/") {
            [file::getcwd()?.as_bytes(), b"/", path].concat()
        } else {
            path.to_vec()
        };
        let mut clean: Vec<&[u8]> = Vec::new();
        for part in whole.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(clean.pop()),
                _ => clean.push(part),
            }
        }
        Ok(Word { text, container, path: clean.join(&b'/'), directory, content })
    }

    fn is_stream(&self) -> bool {
        self.text == b"-"
    }

    /// The last name; `.` for the root, and for what is in a directory.
    fn name(&self) -> &[u8] {
        match self.path.rsplit(|byte| *byte == b'/').next() {
            Some(name) if !self.content && !name.is_empty() => name,
            _ => b".",
        }
    }

    #[inline(never)]
    fn refuse(&self, why: Phrase, hint: Phrase) -> Error {
        Error::new(join!("{}: {}", keep::lossy(self.text), why)).hint(hint)
    }

    /// The root below which the path is looked for.
    fn root(&self, container: Option<&Files>, change: bool) -> Result<Fd> {
        match container.filter(|_| self.container.is_some()) {
            Some(files) => files.root(change),
            None => file::open(fd::CWD, c"/", libc::O_RDONLY | libc::O_DIRECTORY),
        }
    }

    /// Finds it.
    fn find(&self, root: FdRef<'_>, follow: bool) -> Result<Place> {
        let _why = because!("find the path, which must not lead out of the container's root");
        let found = resolve::find(root, &self.path, follow)
            .map_err(|error| error.hint(String::from_utf8_lossy(self.text).into_owned()))?;
        found.ok_or_else(|| {
            self.refuse(phrase!("no such directory"), phrase!("the directory that is to hold it must be there"))
        })
    }
}

/// Copies.
#[inline(never)]
pub(super) fn copy(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let [source, target] = &*parsed.positionals else { return Ok(0) };
    let (source, target) = (Word::new(source)?, Word::new(target)?);
    let name = match (source.container, target.container) {
        (Some(name), None) | (None, Some(name)) => name,
        (Some(_), Some(_)) => {
            return Err(Error::new(phrase!("copying between containers is not supported"))
                .hint(phrase!("vial cp A:PATH - | vial cp - B:DIRECTORY")));
        }
        (None, None) => {
            return Err(Error::new(phrase!("one of the two must be in a container: CONTAINER:PATH"))
                .hint(phrase!("cp copies between a container and the host")));
        }
    };
    let inward = target.container.is_some();
    let root = context.open_root()?;
    let lock = if inward { Lock::Exclusive } else { Lock::Shared };
    let files = Files::hold(&Bundles::open(root)?, name, lock)?;
    let owner = owner(&files, inward, parsed.on(Id::Archive))?;
    let how = How { owner, foreign: !inward, keep: true, ..How::default() };
    if source.is_stream() {
        let mut input = look(b"-")?;
        let to = target.root(Some(&files), true)?;
        let place = target.find(to.by_ref(), true)?;
        if !place.is(libc::S_IFDIR) {
            return Err(target
                .refuse(phrase!("no directory"), phrase!("an archive is unpacked into a directory that is there")));
        }
        return finish(context, &target, &open(&place)?, how, &mut |output| input.send(output));
    }
    let from = source.root(Some(&files), false)?;
    let found = source.find(from.by_ref(), source.directory || parsed.on(Id::FollowLink))?;
    let is_directory = found.is(libc::S_IFDIR);
    if found.stat.is_none() {
        return Err(source.refuse(phrase!("no such file or directory"), Phrase::EMPTY));
    }
    if source.directory && !is_directory {
        return Err(source.refuse(phrase!("not a directory"), phrase!("a path that ends in / or /. is a directory")));
    }
    if found.is(libc::S_IFSOCK) {
        return Err(source.refuse(phrase!("a socket can't be copied"), Phrase::EMPTY));
    }
    let what = What { mounted: true, ..What::default() };
    // From here on it is this directory, whatever bears its name.
    let inner = if is_directory { Some(open(&found)?) } else { None };
    let produce = |name: &[u8], output: &mut Output| {
        if !inward {
            files.see_owners(true)?;
        }
        let _why = because!("read and send what is to be copied");
        match &inner {
            Some(inner) => walk::archive(inner.by_ref(), c".", name, what, output),
            None => walk::archive(found.dir.by_ref(), &found.name, name, what, output),
        }
    };
    if target.is_stream() {
        return Output::to(standard_output()?, 0, &mut |output| produce(source.name(), output)).map(|()| 0);
    }
    let to = target.root(Some(&files), true)?;
    let place = target.find(to.by_ref(), true)?;
    let (directory, name) =
        if place.is(libc::S_IFDIR) {
            (open(&place)?, source.name())
        } else {
            if place.stat.is_some() {
                if target.directory {
                    return Err(target
                        .refuse(phrase!("not a directory"), phrase!("a path that ends in / or /. is a directory")));
                }
                if is_directory {
                    return Err(target.refuse(
                        phrase!("cannot copy a directory onto a file"),
                        phrase!("give a directory, or a name that is free"),
                    ));
                }
                if !place.is(libc::S_IFREG) {
                    return Err(target.refuse(
                        phrase!("is neither a file nor a directory"),
                        phrase!("remove it first, or copy to another place"),
                    ));
                }
            } else if target.directory && !is_directory {
                return Err(target
                    .refuse(phrase!("no such directory"), phrase!("make it first, or leave the / at the end out")));
            }
            (file::duplicate(place.dir.by_ref())?, place.name.as_bytes())
        };
    finish(context, &target, &directory, how, &mut |output| produce(name, output))
}

/// Whose the copies are; those of everybody if they stay what they are. docker's rule: what is copied belongs to root in the
/// container, and to the user outside.
fn owner(files: &Files, inward: bool, archive: bool) -> Result<Option<(u32, u32)>> {
    let own_root = files.own_root(true).filter(|_| inward);
    if archive {
        return match own_root {
            None => Ok(None),
            Some(_) => Err(Error::new(phrase!("--archive: the container has user IDs of its own (--userns)"))
                .hint(phrase!("stop it first, or leave --archive out"))),
        };
    }
    if let Some((uid, gid)) = own_root {
        // There is no place for others' files in the container's root.
        security::own_files_as(uid, gid)?;
    }
    if inward {
        return Ok(Some(own_root.unwrap_or((0, 0))));
    }
    // Not who owns /proc/self: that is nobody's for a process that has joined a user namespace, proc(5).
    Ok(Some((process::geteuid(), process::getegid())))
}

fn open(place: &Place) -> Result<Fd> {
    file::open(place.dir.by_ref(), &place.name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
}

/// Unpacks, and tells a person how much it was.
#[inline(never)]
fn finish(
    context: &Context<'_>,
    target: &Word<'_>,
    to: &Fd,
    how: How,
    produce: &mut dyn FnMut(&mut Output) -> Result<()>,
) -> Result<u8> {
    let _why = because!("put the copy in its place");
    file::umask(0);
    let (_, unpacked) = transfer(to.by_ref(), how, None, &mut |_| (), produce).map_err(|error| {
        if error.is(Errno::EROFS) {
            error.hint(phrase!("the container's root, or what is mounted there, is read-only"))
        } else {
            error
        }
    })?;
    images::warn_of_lost(unpacked.lost);
    if !context.parsed.on(Id::CpQuiet) && terminal::modes(fd::STDERR).is_ok() {
        let words =
            ["Successfully copied ", &human_size(unpacked.size), " to ", &String::from_utf8_lossy(target.text), "\n"];
        let _ = file::write_all(fd::STDERR, words.concat().as_bytes());
    }
    Ok(0)
}
