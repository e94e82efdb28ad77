//! The process: its words, variables, user and resource limits.

use alloc::vec::Vec;

use super::{Read, number, path};
use crate::base::error::Result;
use crate::base::phrase::Phrase;
use crate::base::signal;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;
use crate::cli::parse::Given;

/// A user or a group, by number or by a name to be looked up in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// A number.
    Id(u32),
    /// A name.
    Name(&'a str),
}

/// A variable of the environment. Bytes, because it need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value; `None` to take the caller's, and to leave it unset if the caller has none.
    pub value: Option<&'a [u8]>,
}

impl<'a> Variable<'a> {
    /// Reads `NAME=VALUE` or `NAME`; `None` if the name is empty.
    #[must_use]
    pub fn parse(word: &'a [u8]) -> Option<Variable<'a>> {
        let (name, value) = match word.iter().position(|&byte| byte == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        (!name.is_empty()).then_some(Variable { name, value })
    }
}

/// `setrlimit(2)`'s resources in the order of their numbers. `as` is left out as docker does: it limits nothing useful.
const RESOURCES: &str =
    "cpu fsize data stack core rss nproc nofile memlock - locks sigpending msgqueue nice rtprio rttime";

/// A resource limit of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// The kernel's number, `RLIMIT_NOFILE` for `nofile`.
    pub resource: u8,
    /// The soft limit; [`u64::MAX`] for none.
    pub soft: u64,
    /// The hard limit; [`u64::MAX`] for none.
    pub hard: u64,
}

impl Ulimit {
    /// The resource's name in lower case: `nofile`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        RESOURCES.parts(b' ').nth(self.resource.into()).unwrap_or("")
    }

    fn parse(text: &str) -> Read<Ulimit> {
        let (name, limits) = text.cut(b'=').ok_or(phrase!("no ="))?;
        let resource = text::place(RESOURCES, name).filter(|_| name != "-").ok_or(phrase!("no such resource"))? as u8;
        let (soft, hard) = limits.cut(b':').unwrap_or((limits, limits));
        let limit = |text| match text {
            "-1" | "unlimited" => Ok(u64::MAX),
            _ => text::decimal_u64(text).ok_or(phrase!("not a number")),
        };
        let (soft, hard) = (limit(soft)?, limit(hard)?);
        if soft > hard { Err(phrase!("the soft limit is above the hard")) } else { Ok(Ulimit { resource, soft, hard }) }
    }
}

/// The process that the container is for.
#[derive(Debug, Default)]
pub struct Process<'a> {
    /// `--env`, in order; they win over those in files.
    pub env: Vec<Variable<'a>>,
    /// `--env-file`: files for [`super::files::parse_env_file`].
    pub env_files: Vec<&'a [u8]>,
    /// `--workdir`: an absolute path.
    pub workdir: Option<&'a str>,
    /// `--user`.
    pub user: Option<Who<'a>>,
    /// The group behind the user's colon.
    pub group: Option<Who<'a>>,
    /// `--group-add`.
    pub groups: Vec<Who<'a>>,
    /// `--entrypoint`; empty to have none.
    pub entrypoint: Option<&'a [u8]>,
    /// `--init`.
    pub init: bool,
    /// `--stop-signal`.
    pub stop_signal: Option<u8>,
    /// `--ulimit`, one for each resource.
    pub ulimits: Vec<Ulimit>,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i16>,
}

impl<'a> Process<'a> {
    /// Takes a flag in; false if it belongs elsewhere.
    pub(in crate::cli) fn set(&mut self, given: &Given<'a>) -> Result<bool> {
        match given.flag.id {
            Id::Env => self.env.push(given.check(
                Variable::parse(given.value),
                phrase!("no name"),
                phrase!("NAME=VALUE, or NAME to pass it on"),
            )?),
            Id::EnvFile => self.env_files.push(path(given)?),
            Id::Workdir => {
                let path = given.text()?;
                self.workdir = Some(given.check(
                    path.starts_with('/').then_some(path),
                    phrase!("not absolute"),
                    phrase!("an absolute path"),
                )?);
            }
            Id::User => (self.user, self.group) = user(given)?,
            Id::GroupAdd => self.groups.push(who(given, given.text()?, phrase!("GID or group name"))?),
            Id::Entrypoint => self.entrypoint = Some(given.value),
            Id::StopSignal => {
                let signal = signal::parse(given.text()?);
                let form = phrase!("a name or a number from 1 to 64, such as TERM, SIGUSR1, RTMIN+3 or 15");
                self.stop_signal = Some(given.check(signal, phrase!("no such signal"), form)?);
            }
            Id::Ulimit => {
                let form = phrase!(
                    "NAME=SOFT[:HARD], numbers or `unlimited`, SOFT at most HARD, such as nofile=1024:4096; NAME is one of core \
                     cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
                );
                let ulimit = given.take(Ulimit::parse(given.text()?), form)?;
                if let Some(earlier) = self.ulimits.iter().position(|earlier| earlier.resource == ulimit.resource) {
                    self.ulimits.remove(earlier);
                }
                self.ulimits.push(ulimit);
            }
            Id::OomScoreAdj => self.oom_score_adj = Some(number(given, -1000, 1000)? as i16),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `USER[:GROUP]`.
fn user<'a>(given: &Given<'a>) -> Result<(Option<Who<'a>>, Option<Who<'a>>)> {
    let form = phrase!("UID or user name, optionally :GID or group name");
    let text = given.text()?;
    let Some((user, group)) = text.cut(b':') else { return Ok((Some(who(given, text, form)?), None)) };
    let group = who(given, group, form)?;
    Ok((Some(who(given, user, form)?), Some(group)))
}

/// A number, or what can be a name. A sign is never part of one: `-1` must not end as a very large ID.
#[inline(never)]
fn who<'a>(given: &Given<'_>, word: &'a str, form: Phrase) -> Result<Who<'a>> {
    let odd = |byte: u8| byte <= b' ' || matches!(byte, b':' | b',' | b'/' | 0x7f);
    let why = if word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty() {
        if let Some(id) = text::uid(word) {
            return Ok(Who::Id(id));
        }
        phrase!("the number is too large")
    } else if matches!(word.as_bytes(), [] | [b'-' | b'+', ..]) || word.bytes().any(odd) {
        phrase!("neither a number nor a name")
    } else {
        return Ok(Who::Name(word));
    };
    Err(given.refuse(why, say!("{}; numbers from 0 to 4294967294", form)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_stand_at_the_kernels_numbers() {
        let known = [
            ("cpu", libc::RLIMIT_CPU),
            ("nproc", libc::RLIMIT_NPROC),
            ("nofile", libc::RLIMIT_NOFILE),
            ("memlock", libc::RLIMIT_MEMLOCK),
            ("locks", libc::RLIMIT_LOCKS),
            ("sigpending", libc::RLIMIT_SIGPENDING),
            ("rttime", libc::RLIMIT_RTTIME),
        ];
        for (name, number) in known {
            assert_eq!(RESOURCES.split(' ').position(|known| known == name), Some(number as usize), "{name}");
        }
    }
}
