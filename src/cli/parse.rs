//! Words on the command line to a command, its flags and its positionals. What values mean is for [`super::options`].
//!
//! Words are bytes: a workload's arguments need not be UTF-8 and pass through unharmed.

use alloc::vec;
use alloc::vec::Vec;

use super::flags::table::{GLOBAL, TOP};
use super::flags::{self, ANY, Command, Flag, Group, Id, Takes};
use crate::base::error::{Error, Result, Text};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut, Quoted};
use crate::storage::DRIVERS;

/// What [`driver`] takes.
pub const ACCEPTED: Phrase = phrase!("overlay, btrfs or copy");

/// The storage driver of this name.
#[must_use]
pub fn driver(name: &[u8]) -> Option<&'static str> {
    text::place(DRIVERS, keep::lossy(name)).map(|at| text::word(DRIVERS, at))
}

/// How `--explain` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    /// Lines for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// What every command takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globals<'a> {
    /// `--root`: where all state lies.
    pub root: Option<&'a [u8]>,
    /// `--explain`: whether and how to print the ledger.
    pub explain: Option<Explain>,
    /// `--explain-to`: the ledger's file.
    pub explain_to: Option<&'a [u8]>,
    /// `--ram`: all state is kept in memory.
    pub ram: bool,
    /// `--storage`: the storage driver.
    pub storage: Option<&'static str>,
    /// `--best-effort`: what can't be enforced is a warning.
    pub best_effort: bool,
}

/// A flag as it was given. A switch's value is `true` or `false`, in these words.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The flag's row.
    pub flag: &'static Flag,
    /// The value.
    pub value: &'a [u8],
}

/// A command line, taken apart.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// What every command takes.
    pub globals: Globals<'a>,
    /// The command. `--help` anywhere makes it `help` with the command's name as its positional, `--version` makes it
    /// `version`.
    pub command: &'static Command,
    /// The noun if the command was named by an alias with one: `image` for `image inspect`, else empty.
    pub noun: &'static str,
    /// The command's own flags, in order.
    pub flags: Vec<Given<'a>>,
    /// The positionals, in order.
    pub positionals: Vec<&'a [u8]>,
}

impl<'a> Parsed<'a> {
    /// Whether a switch is on; the last one counts.
    #[must_use]
    pub fn on(&self, id: Id) -> bool {
        self.last(id).is_some_and(|given| given.value == b"true")
    }

    /// A positional as text; empty if there is none.
    #[must_use]
    pub fn word(&self, place: usize) -> &'static str {
        keep::lossy(self.positionals.get(place).copied().unwrap_or_default())
    }

    /// A flag's last value as text; empty if it was not given.
    #[must_use]
    #[inline(never)]
    pub fn text(&self, id: Id) -> &'a str {
        self.last(id).and_then(|given| core::str::from_utf8(given.value).ok()).unwrap_or_default()
    }

    /// A flag's values, in order.
    #[must_use]
    #[inline(never)]
    pub fn all(&self, id: Id) -> Vec<&'a [u8]> {
        let mut values = Vec::new();
        for given in &self.flags {
            if given.flag.id == id {
                values.push(given.value);
            }
        }
        values
    }

    /// A flag's values as texts, in order.
    #[must_use]
    #[inline(never)]
    pub fn texts(&self, id: Id) -> &'a [&'a str] {
        let mut texts = Vec::new();
        for value in self.all(id) {
            texts.extend(core::str::from_utf8(value));
        }
        texts.leak()
    }

    /// A flag's last occurrence, which is the one that counts.
    #[must_use]
    pub fn last(&self, id: Id) -> Option<Given<'a>> {
        self.flags.iter().rev().find(|given| given.flag.id == id).copied()
    }
}

impl<'a> Given<'a> {
    /// The value as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    #[inline(never)] // Called from dozens of places.
    pub fn text(&self) -> Result<&'a str> {
        core::str::from_utf8(self.value).map_err(|_| self.refuse(phrase!("not UTF-8"), phrase!("text in UTF-8")))
    }

    /// The error for a value that won't do: `why` ends the first line, `accepted` is the hint.
    #[must_use]
    #[cold]
    pub fn refuse(&self, why: impl Into<Text>, accepted: impl Into<Text>) -> Error {
        self.refused(why.into(), accepted.into())
    }

    #[cold]
    #[inline(never)]
    fn refused(&self, why: Text, accepted: Text) -> Error {
        refusal(self.value, join!("--{}", self.flag.long()), why, accepted)
    }

    /// What was read from the value, or the error with the reason why it could not be.
    ///
    /// # Errors
    /// `read` is one.
    pub fn take<T>(&self, read: core::result::Result<T, impl Into<Text>>, accepted: impl Into<Text>) -> Result<T> {
        read.map_err(|why| self.refuse(why, accepted))
    }

    /// What was read from the value, or the error that it could not be.
    ///
    /// # Errors
    /// `read` is `None`.
    pub fn check<T>(&self, read: Option<T>, why: impl Into<Text>, accepted: impl Into<Text>) -> Result<T> {
        read.ok_or_else(|| self.refuse(why, accepted))
    }
}

/// The one shape of errors about values: it names the value, where it was given, why it is refused, what is accepted.
#[must_use]
pub fn invalid(value: &[u8], place: &str, why: impl Into<Text>, accepted: impl Into<Text>) -> Error {
    refusal(value, place, why.into(), accepted.into())
}

#[cold]
#[inline(never)]
fn refusal(value: &[u8], place: &str, why: Text, accepted: Text) -> Error {
    let value = keep::lossy(value);
    Error::new(say!("invalid value {} for {}: {}", Quoted(value), place, why)).hint(say!("accepted: {}", accepted))
}

/// Takes the words after the program's name apart.
///
/// # Errors
/// Whatever does not fit the table; with it come the globals so far, which say how and where to explain.
pub fn parse<'a>(words: &[&'a [u8]]) -> core::result::Result<Parsed<'a>, (Globals<'a>, Error)> {
    let mut parser = Parser::default();
    let command = parser.run(words);
    let Parser { globals, noun, flags, positionals, .. } = parser;
    match command {
        Ok(command) => Ok(Parsed { globals, command, noun, flags, positionals }),
        Err(error) => Err((globals, error)),
    }
}

#[derive(Default)]
struct Parser<'a> {
    globals: Globals<'a>,
    command: Option<&'static Command>,
    noun: &'static str,
    flags: Vec<Given<'a>>,
    positionals: Vec<&'a [u8]>,
    /// Every further word is a positional.
    verbatim: bool,
    /// Help or the version was asked for: nothing after it counts.
    instead: Option<&'static str>,
}

type Words<'w, 'a> = core::slice::Iter<'w, &'a [u8]>;

impl<'a> Parser<'a> {
    #[inline(never)]
    fn run(&mut self, words: &[&'a [u8]]) -> Result<&'static Command> {
        let mut words = words.iter();
        while self.instead.is_none()
            && let Some(&word) = words.next()
        {
            match word {
                _ if self.verbatim => self.positional(word, &mut words)?,
                b"--" => self.verbatim = true,
                [b'-', b'-', long @ ..] => self.long(long, &mut words)?,
                [b'-', shorts @ ..] if !shorts.is_empty() => self.shorts(shorts, &mut words)?,
                _ => self.positional(word, &mut words)?,
            }
        }
        let instead = if self.command.is_none() { self.instead.or(Some("help")) } else { self.instead };
        if let Some(name) = instead {
            if let Some(command) = self.command {
                self.positionals = vec![command.name().as_bytes()];
            }
            self.flags.clear();
            return find(name);
        }
        let command = find(self.command.map_or("help", |command| command.name()))?;
        self.count(command)?;
        Ok(command)
    }

    /// A word that is no flag: the command's name, or one of its positionals.
    #[inline(never)]
    fn positional(&mut self, word: &'a [u8], words: &mut Words<'_, 'a>) -> Result<()> {
        if let Some(command) = self.command {
            self.verbatim |= command.tail;
            self.positionals.push(word);
            return Ok(());
        }
        self.verbatim = false;
        let name = keep::lossy(word);
        let command = if flags::verbs(name).next().is_none() {
            find(name)?
        } else {
            let Some(verb) = words.clone().next().filter(|verb| !verb.starts_with(b"-")) else {
                // A noun alone, or with `--help`.
                self.positionals.push(word);
                self.instead = Some("help");
                return Ok(());
            };
            words.next();
            find(join!("{} {}", name, keep::lossy(verb)))?
        };
        if !command.name().starts_with(name) {
            let alias = command.names().find(|alias| alias.starts_with(name));
            self.noun = alias.and_then(|alias| alias.parts(b' ').next()).unwrap_or("");
        }
        self.command = Some(command);
        Ok(())
    }

    /// A word with two dashes, without them.
    fn long(&mut self, word: &'a [u8], words: &mut Words<'_, 'a>) -> Result<()> {
        let split = word.iter().position(|&byte| byte == b'=');
        let (name, attached) = split.map_or((word, None), |at| (&word[..at], Some(&word[at + 1..])));
        let name = keep::lossy(name);
        let flag = match self.command {
            Some(command) => command.long(name),
            None => flags::find(&[TOP], &|flag| flag.long() == name),
        };
        match flag {
            Some(flag) => self.give(flag, attached, words),
            None => Err(self.unknown(join!("--{}", name))),
        }
    }

    /// The letters behind one dash: switches, the last of which may take the rest, or the next word, as its value.
    #[inline(never)]
    fn shorts(&mut self, mut letters: &'a [u8], words: &mut Words<'_, 'a>) -> Result<()> {
        while let [letter, rest @ ..] = letters {
            let flag = match self.command {
                Some(command) => command.short(*letter),
                None => flags::find(&[TOP], &|flag| flag.short == *letter && *letter != b' '),
            };
            let Some(flag) = flag else {
                return Err(self.unknown(join!("-{}", keep::lossy(&letters[..1]))));
            };
            let attached = match rest {
                [b'=', value @ ..] => Some(value),
                [_, ..] if flag.takes != Takes::Switch => Some(rest),
                _ => None,
            };
            self.give(flag, attached, words)?;
            if attached.is_some() {
                return Ok(());
            }
            letters = rest;
        }
        Ok(())
    }

    /// Finds the flag's value and notes both.
    fn give(&mut self, flag: &'static Flag, attached: Option<&'a [u8]>, words: &mut Words<'_, 'a>) -> Result<()> {
        let value = match (flag.takes, attached) {
            (Takes::Switch, None) => b"true",
            (Takes::Switch, Some(value)) => {
                let read = core::str::from_utf8(value).ok().and_then(text::boolean);
                let read = Given { flag, value }.check(
                    read,
                    phrase!("this is a switch"),
                    phrase!("nothing, =true or =false"),
                )?;
                if read { b"true" } else { b"false" as &[u8] }
            }
            (_, Some(value)) => value,
            (Takes::Optional, None) => b"text",
            (_, None) => *words.next().ok_or_else(|| {
                Error::new(say!("missing value for --{}", flag.long())).hint(say!(
                    "accepted: --{} {}: {}",
                    flag.long(),
                    flag.value(),
                    flag.help()
                ))
            })?,
        };
        self.note(Given { flag, value })
    }

    fn note(&mut self, given: Given<'a>) -> Result<()> {
        let globals = &mut self.globals;
        match given.flag.id {
            Id::Root | Id::ExplainTo if given.value.is_empty() => {
                return Err(given.refuse(phrase!("empty"), phrase!("a path")));
            }
            Id::Root => globals.root = Some(given.value),
            Id::ExplainTo => globals.explain_to = Some(given.value),
            Id::Ram => globals.ram = given.value == b"true",
            Id::Storage => {
                globals.storage = Some(given.check(driver(given.value), phrase!("no such driver"), ACCEPTED)?);
            }
            Id::BestEffort => globals.best_effort = given.value == b"true",
            Id::Explain => {
                globals.explain = Some(match given.value {
                    b"text" => Explain::Text,
                    b"json" => Explain::Json,
                    _ => {
                        return Err(given
                            .refuse(phrase!("no such form"), phrase!("--explain, --explain=text or --explain=json")));
                    }
                });
            }
            Id::Help => self.instead = (given.value == b"true").then_some("help"),
            Id::TopVersion => self.instead = (given.value == b"true").then_some("version"),
            _ => self.flags.push(given),
        }
        Ok(())
    }

    /// The error for a flag that is not in the table, with the one that was probably meant.
    fn unknown(&self, word: &str) -> Error {
        let (name, own) = self.command.map_or(("", [].as_slice()), |command| (command.name(), command.groups));
        let space = if name.is_empty() { "" } else { " " };
        let everywhere: &[_] = if name.is_empty() { &[TOP, GLOBAL] } else { &[GLOBAL] };
        let mut longs = own.iter().chain(everywhere).flat_map(Group::flags).map(Flag::long);
        let error = Error::new(say!("unknown flag {} for vial{}{}", word, space, name));
        if let Some(instead) = instead(word.trim_start_matches('-'), FLAGS_OF_DOCKER) {
            return error.hint(instead);
        }
        match word.strip_prefix("--").and_then(|word| text::nearest(word, &mut longs)) {
            Some(near) => error.hint(say!("did you mean --{}? `vial{}{} --help` lists all", near, space, name)),
            None => error.hint(say!("`vial{}{} --help` lists all flags", space, name)),
        }
    }

    /// Whether there are as many positionals as the command takes.
    fn count(&self, command: &Command) -> Result<()> {
        let (least, most) = (usize::from(command.args.0), usize::from(command.args.1));
        let count = self.positionals.len();
        let (bound, number) = match count {
            _ if count < least => ("at least", least),
            _ if count > most && command.args.1 != ANY => ("at most", most),
            _ => return Ok(()),
        };
        let plural = if number == 1 { "" } else { "s" };
        Err(Error::new(say!("vial {} takes {} {} argument{}, {} given", command.name(), bound, number, plural, count))
            .hint(say!("usage: vial {} {}", command.name(), command.usage)))
    }
}

/// What docker has and vial has not, and what there is instead: words with one meaning, and the hint.
type Others = [(&'static str, Phrase)];

const COMMANDS_OF_DOCKER: &Others = &[
    ("build buildx builder", phrase!("vial commit and vial import make images; vial load takes those of others")),
    ("push", phrase!("vial save, and skopeo copy")),
    ("login logout", phrase!("vial pull takes --creds USER:PASSWORD")),
    ("compose swarm service stack node secret config", phrase!("one vial run for each, with --restart and --network")),
    ("prune df", phrase!("vial gc, vial rm, vial rmi and vial volume rm")),
    ("events", phrase!("vial wait and vial logs -f")),
    ("context plugin", phrase!("there is no daemon: vial works on this machine")),
];

const FLAGS_OF_DOCKER: &Others = &[
    ("host H context config debug D", phrase!("there is no daemon: vial works on this machine")),
    ("gpus", phrase!("--device gives a container devices")),
    ("health-cmd no-healthcheck", phrase!("vial exec can ask a container how it is")),
    ("link", phrase!("containers of one --network find each other by name")),
    ("volumes-from", phrase!("-v gives a container each volume by name")),
    ("platform", phrase!("vial pull has --platform")),
];

/// What there is instead of something that docker has.
#[cold]
#[inline(never)]
fn instead(name: &str, others: &Others) -> Option<Phrase> {
    let is_it = |(words, _): &&(&str, Phrase)| name.parts(b' ').any(|word| text::is_among(words, word));
    others.iter().find(is_it).map(|(_, hint)| *hint)
}

/// The command of this name.
///
/// # Errors
/// There is none; the hint is the one that was probably meant.
pub fn find(name: &str) -> Result<&'static Command> {
    flags::command(name).ok_or_else(|| {
        let error = Error::new(say!("unknown command {}", Quoted(name)));
        if let Some(instead) = instead(name, COMMANDS_OF_DOCKER) {
            return error.hint(instead);
        }
        match text::nearest(name, &mut flags::names()) {
            Some(near) => error.hint(say!("did you mean `vial {}`? `vial help` lists all commands", near)),
            None => error.hint(phrase!("`vial help` lists all commands")),
        }
    })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
