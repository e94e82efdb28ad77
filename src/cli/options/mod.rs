//! What the values of flags mean: typed and checked, still without a look at the machine.
//!
//! Values borrow from the command line. Names are kept unresolved: users, volumes, images and variables to inherit are for
//! the floor that may open files.

pub mod files;
pub mod limits;
pub mod mounts;
pub mod namespaces;
pub mod process;
pub mod security;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::attach::Manner;
use super::flags::Id;
use super::parse::{Given, Parsed};
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::container::log::{self, LogOptions};
use crate::container::monitor::Policy;
use crate::image::reference::Image;

/// How the container is known and what remains of it.
#[derive(Debug, Default)]
pub struct Record<'a> {
    /// `--name`.
    pub name: Option<&'a str>,
    /// `--rm`.
    pub remove: bool,
    /// `--cidfile`: a file that must not exist yet.
    pub cidfile: Option<&'a [u8]>,
    /// `--label`; they win over those in files.
    pub labels: Vec<Setting<'a>>,
    /// `--label-file`: files for [`files::parse_label_file`].
    pub label_files: Vec<&'a [u8]>,
    /// `--log-driver` and `--log-opt`.
    pub log: LogOptions,
}

/// `NAME=VALUE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// Before the first equals sign.
    pub name: &'a str,
    /// After it.
    pub value: &'a str,
}

/// Everything that `run` was asked for.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
#[derive(Debug, Default)]
pub struct RunOptions<'a> {
    /// The image.
    pub image: Image<'a>,
    /// The command and its arguments; empty for the image's own.
    pub command: Vec<&'a [u8]>,
    /// `--interactive`.
    pub interactive: bool,
    /// `--tty`.
    pub tty: bool,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--detach`.
    pub detach: bool,
    /// How to be attached, if it is not detached.
    pub manner: Manner,
    #[cfg(feature = "pull")]
    /// `--pull`: its place in [`PULL`].
    pub pull: Option<usize>,
    /// `--restart`; empty for none.
    pub restart: &'a str,
    /// `--stop-timeout`, in seconds.
    pub stop_timeout: Option<i64>,
    /// Name, labels and ID file.
    pub record: Record<'a>,
    /// The process.
    pub process: process::Process<'a>,
    /// Mounts and devices.
    pub mounts: mounts::Mounts<'a>,
    /// Namespaces, names and addresses.
    pub namespaces: namespaces::Namespaces<'a>,
    /// Cgroup limits.
    pub limits: limits::Limits<'a>,
    /// Capabilities and privileges.
    pub security: security::Security,
}

impl<'a> RunOptions<'a> {
    /// Reads the flags and positionals of `run`.
    ///
    /// # Errors
    /// A value that is malformed or out of range, or two flags that contradict each other.
    #[inline(never)]
    pub fn from_parsed(parsed: &Parsed<'a>) -> Result<&'a mut RunOptions<'a>> {
        let Some((image, command)) = parsed.positionals.split_first() else {
            return Err(Error::new(phrase!("no image was named"))
                .hint(phrase!("usage: vial run [OPTIONS] IMAGE [COMMAND] [ARG...]")));
        };
        let options = Box::leak(Box::new(RunOptions::default()));
        options.image = Image::parse(image)?;
        options.command = command.into();
        for (id, switch) in [
            (Id::Interactive, &mut options.interactive),
            (Id::Tty, &mut options.tty),
            (Id::Detach, &mut options.detach),
            (Id::DryRun, &mut options.dry_run),
            (Id::Remove, &mut options.record.remove),
            (Id::Init, &mut options.process.init),
            (Id::ReadOnly, &mut options.mounts.read_only),
            (Id::OomKillDisable, &mut options.limits.oom_kill_disable),
        ] {
            *switch = parsed.on(id);
        }
        options.manner = Manner { tty: options.tty, ..Manner::new(parsed, options.interactive)? };
        for given in &parsed.flags {
            options.set(given)?;
        }
        if !options.record.log.keeps() && parsed.last(Id::LogOpt).is_some() {
            return Err(conflict("log-opt", "log-driver none", phrase!("no log is kept"), phrase!("one of both")));
        }
        options.limits.check(parsed)?;
        options.namespaces.check(parsed)?;
        options.security.check()?;
        if options.record.remove && !options.restart.is_empty() {
            return Err(conflict(
                "rm",
                "restart",
                phrase!("a container that is removed can't be started again"),
                phrase!("one of them"),
            ));
        }
        Ok(options)
    }

    #[inline(never)]
    fn set(&mut self, given: &Given<'a>) -> Result<()> {
        match given.flag.id {
            Id::Name => {
                let name = given.text()?;
                self.record.name =
                    Some(given.check(text::is_name(name).then_some(name), phrase!("not a name"), NAME)?);
            }
            Id::Label => self.record.labels.push(given.check(
                label(given.text()?),
                phrase!("no name"),
                phrase!("NAME or NAME=VALUE"),
            )?),
            Id::LabelFile => self.record.label_files.push(path(given)?),
            Id::CidFile => self.record.cidfile = Some(path(given)?),
            Id::LogDriver => {
                let known = self.record.log.set_driver(given.text()?);
                given.check(known.then_some(()), phrase!("no such driver"), log::DRIVERS)?;
            }
            Id::LogOpt => {
                let form = phrase!("max-size=SIZE from 1k on, or max-file=NUMBER from 1 to 100");
                let (option, value) = given.text()?.cut(b'=').unwrap_or_default();
                given.check(
                    self.record.log.set(option, value),
                    phrase!("no such option, or not a value of it"),
                    form,
                )?;
            }
            Id::StopTimeout => self.stop_timeout = Some(number(given, -1, i64::MAX / 1000)?),
            Id::Restart => self.restart = restart(given)?,
            #[cfg(feature = "pull")]
            Id::Pull => {
                self.pull = Some(given.check(text::place(PULL, given.text()?), "not one of them", PULL)?);
            }
            _ => {
                let _known = self.process.set(given)?
                    || self.mounts.set(given)?
                    || self.namespaces.set(given)?
                    || self.limits.set(given)?
                    || self.security.set(given)?;
            }
        }
        Ok(())
    }
}

/// `no`, `always`, `unless-stopped` or `on-failure[:COUNT]`; empty for `no`.
fn restart<'a>(given: &Given<'a>) -> Result<&'a str> {
    let text = given.text()?;
    let accepted = phrase!("no, always, unless-stopped or on-failure[:COUNT]");
    let policy = given.check(Policy::parse(text), phrase!("no such policy"), accepted)?;
    Ok(if policy == Policy::No { "" } else { text })
}

/// When to pull the image.
#[cfg(feature = "pull")]
pub const PULL: &str = "missing always never";

/// What names a container or a volume.
const NAME: Phrase = phrase!("letters, digits, _ . and -, beginning with a letter or digit, at most 128");

/// `NAME=VALUE`, or `NAME` alone for an empty value.
fn label(text: &str) -> Option<Setting<'_>> {
    let (name, value) = text.cut(b'=').unwrap_or((text, ""));
    (!name.is_empty()).then_some(Setting { name, value })
}

/// A path on the host, which may be relative and need not be UTF-8.
fn path<'a>(given: &Given<'a>) -> Result<&'a [u8]> {
    given.check(Some(given.value).filter(|path| !path.is_empty()), phrase!("empty"), phrase!("a path"))
}

/// What a value reads as, or why it does not.
type Read<T> = core::result::Result<T, Phrase>;

/// A path in the container, cleaned.
#[inline(never)]
fn target(text: &str) -> Option<&'static str> {
    text::clean_path(text).map(|path| &*path.leak()).filter(|path| *path != "/")
}

/// A whole number between two bounds.
#[inline(never)]
fn number(given: &Given<'_>, least: i64, most: i64) -> Result<i64> {
    let number = text::decimal_i64(given.text()?);
    let why = match number {
        Some(number) if (least..=most).contains(&number) => return Ok(number),
        Some(number) if number < least => phrase!("too small"),
        Some(_) => phrase!("too large"),
        None => phrase!("not a whole number"),
    };
    Err(given.refuse(why, say!("a whole number from {} to {}", least, most)))
}

/// A size of at least `least` bytes.
#[inline(never)]
pub(super) fn size(given: &Given<'_>, least: u64) -> Result<u64> {
    let why = match text::size(given.text()?) {
        Some(bytes) if bytes >= least => return Ok(bytes),
        Some(_) => phrase!("too small"),
        None => phrase!("not a size"),
    };
    Err(given.refuse(why, say!("{}; at least {}", SIZE, text::human_binary_size(least))))
}

const SIZE: Phrase = phrase!("a number with an optional unit b, k, m, g, t or p (powers of 1024), such as 64m");

/// The error for two flags that contradict each other.
#[cold]
#[inline(never)]
fn conflict(one: &str, other: &str, why: impl Into<crate::base::error::Text>, accepted: Phrase) -> Error {
    Error::new(say!("--{} conflicts with --{}: {}", one, other, why.into())).hint(say!("accepted: {}", accepted))
}

#[cfg(test)]
mod tests;
