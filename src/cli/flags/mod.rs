//! Every command and every flag, as one table. Parsing, help, the man page and completions all come from it.
//!
//! A new flag is one row in [`table`] and one arm where its value is used; a new command is one entry in [`commands`].

pub mod commands;
pub mod table;

pub use table::Id;

use crate::base::phrase::Phrase;
use crate::base::text::{Cut, Parts};

/// What stands behind a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// A value; the last one counts.
    One,
    /// A value each time it is given; all count.
    Many,
    /// Nothing, or `=VALUE`.
    Optional,
}

/// One row of the table.
#[derive(Debug)]
pub struct Flag {
    /// Which flag it is, for matching.
    pub id: Id,
    /// The letter behind one dash, or a space if it has none.
    pub short: u8,
    /// What stands behind it.
    pub takes: Takes,
    value: Phrase,
    help: Phrase,
}

impl Flag {
    /// The name behind two dashes.
    #[must_use]
    pub fn long(&self) -> &'static str {
        table::name(self.id)
    }

    /// What to call the value in help.
    #[must_use]
    pub fn value(&self) -> &'static str {
        self.value.kept()
    }

    /// What it does, in one line.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.help.kept()
    }
}

/// Flags that stand together in help under one title, and that several commands may share.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The heading in help.
    pub title: Phrase,
    first: u8,
    count: u8,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The name, one word or a noun and a verb (`volume create`), and others that docker's users know it by (`container ls`),
    /// with bars between them.
    names: &'static str,
    /// The positionals, as a usage line names them.
    pub usage: Phrase,
    /// What it does, in one line.
    pub help: Phrase,
    /// Example lines, without the leading `vial `, and behind ` # ` what each is for.
    pub examples: Phrase,
    /// The least and the most positionals that it takes.
    pub args: (u8, u8),
    /// Whether the positionals are a command line of its own, so that flags end at the first of them.
    pub tail: bool,
    /// Its flags, most used groups first.
    pub groups: &'static [Group],
}

/// For [`Command::args`]: as many as one likes.
pub const ANY: u8 = u8::MAX;

/// What rows of commands don't say.
const BLANK: Command = Command {
    names: "",
    usage: Phrase::EMPTY,
    help: Phrase::EMPTY,
    examples: Phrase::EMPTY,
    args: (0, 0),
    tail: false,
    groups: &[],
};

/// Nor these, of what does something with each that is named.
const EACH: Command = Command { args: (1, ANY), ..BLANK };

/// Second names of flags, from docker's own history.
const ALIASES: &[(&str, &str)] = &[
    ("net", "network"),
    ("net-alias", "network-alias"),
    ("alias", "network-alias"),
    ("dns-opt", "dns-option"),
    ("timeout", "time"),
];

impl Command {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names().next().unwrap_or_default()
    }

    /// The name, and the others behind it.
    #[must_use]
    pub fn names(&self) -> Parts<'static> {
        self.names.parts(b'|')
    }

    /// All flags that are this command's own.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.groups.iter().flat_map(Group::flags)
    }

    /// The flag behind two dashes; global ones too.
    #[must_use]
    pub fn long(&self, name: &str) -> Option<&'static Flag> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
        find(self.groups, &|flag| flag.long() == name)
    }

    /// The flag behind one dash; the command's own come before the global ones, so that `run -h` is the host name.
    #[must_use]
    pub fn short(&self, letter: u8) -> Option<&'static Flag> {
        if !letter.is_ascii_alphanumeric() {
            return None;
        }
        find(self.groups, &|flag| flag.short == letter)
    }
}

/// The first flag that fits, of these groups and then of the global ones.
pub(super) fn find(groups: &[Group], fits: &dyn Fn(&Flag) -> bool) -> Option<&'static Flag> {
    for group in groups.iter().chain(&[table::GLOBAL]) {
        for flag in group.flags() {
            if fits(flag) {
                return Some(flag);
            }
        }
    }
    None
}

/// The command with this name, whether its own or an alias.
#[must_use]
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.names().any(|one| one == name))
}

/// Every name of every command, aliases too.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().flat_map(Command::names)
}

/// The verbs that follow `noun` (`volume`), aliases too; none if it is no noun.
pub fn verbs(noun: &str) -> impl Iterator<Item = &'static str> {
    names().filter_map(move |name| name.cut(b' ').filter(|&(first, _)| first == noun).map(|(_, verb)| verb))
}

/// Every command.
pub static COMMANDS: &[Command] = &all();

/// All lists of them. The OCI runtime's come last.
const LISTS: [&[Command]; 3] = [&commands::ROWS, &commands::machine::ROWS, &commands::oci::ROWS];

const fn all() -> [Command; LISTS[0].len() + LISTS[1].len() + LISTS[2].len()] {
    let mut all = [BLANK; LISTS[0].len() + LISTS[1].len() + LISTS[2].len()];
    let (mut at, mut list) = (0, 0);
    while list < LISTS.len() {
        let mut row = 0;
        while row < LISTS[list].len() {
            all[at] = LISTS[list][row];
            (at, row) = (at + 1, row + 1);
        }
        list += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_has_two_flags_of_one_name_or_letter() {
        for command in COMMANDS {
            let mut longs: Vec<&str> = command.flags().chain(table::GLOBAL.flags()).map(Flag::long).collect();
            let mut shorts: Vec<u8> = command.flags().map(|flag| flag.short).filter(|&short| short != b' ').collect();
            let (long_count, short_count) = (longs.len(), shorts.len());
            longs.sort_unstable();
            longs.dedup();
            shorts.sort_unstable();
            shorts.dedup();
            assert_eq!((longs.len(), shorts.len()), (long_count, short_count), "{}", command.name());
        }
    }

    #[test]
    fn no_two_commands_share_a_name() {
        let mut all: Vec<&str> = names().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_flag_names_its_value_exactly_if_it_takes_one() {
        for flag in COMMANDS.iter().flat_map(Command::flags).chain(table::GLOBAL.flags()) {
            assert_eq!(flag.value().is_empty(), flag.takes == Takes::Switch, "--{}", flag.long());
            assert!(
                !flag.help().is_empty() && !flag.help().ends_with('.') && flag.help().len() <= 70,
                "--{}",
                flag.long()
            );
            assert!(flag.short == b' ' || flag.short.is_ascii_alphanumeric(), "--{}", flag.long());
        }
    }

    #[test]
    fn every_alias_of_a_flag_names_one_that_exists() {
        for (alias, name) in ALIASES {
            assert!(
                COMMANDS.iter().any(|command| command.long(alias).is_some_and(|flag| flag.long() == *name)),
                "{alias}"
            );
        }
    }

    #[test]
    fn the_verbs_of_a_noun_are_found() {
        assert_eq!(verbs("volume").collect::<Vec<_>>(), ["create", "ls", "list", "inspect", "rm", "remove"]);
        assert_eq!(verbs("run").count(), 0);
    }
}
