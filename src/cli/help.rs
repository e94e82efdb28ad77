//! Help, written from the table: examples first, then the flags, the common ones first.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use super::context::Context;
use super::flags::table::{GLOBAL, TOP};
use super::flags::{self, COMMANDS, Command, Flag, Group, Takes};
use super::parse;
use crate::base::error::Result;
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::Cut;

/// Prints what was asked for.
pub(super) fn print(context: &Context<'_>) -> Result<u8> {
    super::print(&topic(&context.parsed.positionals)?)?;
    Ok(0)
}

/// The help for `vial help WORDS`: all commands, those of one noun, or one command.
///
/// # Errors
/// There is no such command.
#[inline(never)]
pub fn topic(words: &[&[u8]]) -> Result<String> {
    let mut name = String::new();
    for word in words {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(keep::lossy(word));
    }
    if name.is_empty() {
        return Ok(overview());
    }
    if flags::verbs(&name).next().is_some() {
        return Ok(noun(&name));
    }
    parse::find(&name).map(command)
}

/// What `vial` alone prints.
#[must_use]
pub fn overview() -> String {
    let mut out = phrase!(
        "vial: a container engine in one small static binary\n\n\
         Usage: vial [OPTIONS] COMMAND [ARG...]\n\n\
         Examples:\n\
        \x20 vial run --rm -it host sh                  a shell in a throw-away copy of this machine\n\
        \x20 vial import rootfs.tar.gz alpine           an image from an archive\n\
        \x20 vial run -m 64m alpine echo hello          a command with limits\n\
        \x20 vial --explain run --rm host true          every system call, and why\n\n\
         Commands:\n",
    )
    .text();
    let is_ours = |command: &&Command| !command.name().starts_with("oci ");
    for command in COMMANDS.iter().filter(is_ours) {
        row(&mut out, 18, command.name(), &command.help.text());
    }
    let what = phrase!("Be the runtime of podman, containerd or Kubernetes; see `vial oci --help`");
    row(&mut out, 18, "oci", &what.text());
    group(&mut out, TOP, Phrase::EMPTY);
    group(&mut out, GLOBAL, Phrase::EMPTY);
    out.push_str(&phrase!("\n`vial COMMAND --help` explains a command.\n").text());
    out
}

/// The verbs of one noun, as `vial volume --help` prints.
fn noun(noun: &str) -> String {
    let mut out = format!("Usage: vial {noun} COMMAND [ARG...]\n\nCommands:\n");
    let mut before = "";
    for verb in flags::verbs(noun) {
        // A command's own names come one after the other; the first stands for them all.
        if let Some(command) = flags::command(&format!("{noun} {verb}")).filter(|command| command.name() != before) {
            before = command.name();
            row(&mut out, 18, verb, &command.help.text());
        }
    }
    out
}

/// Everything about one command.
#[must_use]
#[inline(never)]
pub fn command(command: &Command) -> String {
    let mut out = format!("{}\n\nUsage: vial {} {}\n", command.help, command.name(), command.usage);
    let mut separator = "Also: ";
    for alias in command.names().skip(1) {
        let _ = write!(out, "{separator}vial {alias}");
        separator = ", ";
    }
    if separator == ", " {
        out.push('\n');
    }
    out.push_str("\nExamples:\n");
    for example in command.examples.text().parts(b'\n') {
        let _ = match example.cut(b'#') {
            Some((line, purpose)) => writeln!(out, "  vial {}\n     {purpose}", line.trim_ascii_end()),
            None => writeln!(out, "  vial {example}"),
        };
    }
    let mut before = Phrase::EMPTY;
    for flags in command.groups {
        group(&mut out, *flags, before);
        before = flags.title;
    }
    group(&mut out, GLOBAL, before);
    out
}

/// One group, which goes on with the one before if that has the same title.
fn group(out: &mut String, group: Group, before: Phrase) {
    if group.title != before {
        let _ = write!(out, "\n{}:\n", group.title);
    }
    for flag in group.flags() {
        row(out, 32, &left(flag), flag.help());
    }
}

/// `-e, --env NAME[=VALUE]`.
fn left(flag: &Flag) -> String {
    let mut left = match flag.short {
        b' ' => String::from("    --"),
        short => format!("-{}, --", char::from(short)),
    };
    left.push_str(flag.long());
    let _ = match flag.takes {
        Takes::Switch => Ok(()),
        Takes::Optional => write!(left, "[={}]", flag.value()),
        Takes::One | Takes::Many => write!(left, " {}", flag.value()),
    };
    left
}

/// Two columns; a left one that is too wide gets a line of its own.
fn row(out: &mut String, width: usize, left: &str, right: &str) {
    let _ = if left.len() > width {
        writeln!(out, "  {left}\n  {:width$}  {right}", "")
    } else {
        writeln!(out, "  {left:width$}  {right}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_flag_has_its_line_in_help() {
        let all = overview();
        let oci = topic(&[b"oci"]).unwrap_or_default();
        for entry in COMMANDS {
            match entry.name().strip_prefix("oci ") {
                Some(verb) => assert!(oci.contains(&format!("\n  {verb} ")), "{verb}"),
                None => assert!(all.contains(&format!("\n  {} ", entry.name())), "{}", entry.name()),
            }
            let page = command(entry);
            assert!(page.starts_with(&entry.help.text()));
            for flag in entry.flags().chain(GLOBAL.flags()) {
                assert!(
                    page.contains(&format!("--{}", flag.long())) && page.contains(flag.help()),
                    "--{}",
                    flag.long()
                );
            }
        }
    }

    #[test]
    fn examples_come_before_flags_and_common_flags_before_rare_ones() {
        let page = topic(&[b"run"]).unwrap();
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in\n{page}"));
        assert!(place("Examples:") < place("Common options:"));
        assert!(place("--interactive") < place("--sysctl"));
        assert!(place("-h, --hostname NAME") < place("--root DIR"));
    }

    #[test]
    fn help_fits_a_terminal_of_100_columns() {
        let long = |page: String| page.lines().find(|line| line.len() > 100).map(String::from);
        assert_eq!(long(overview()), None);
        for entry in COMMANDS {
            assert_eq!(long(command(entry)), None);
        }
    }

    #[test]
    fn examples_are_command_lines_that_parse() {
        for entry in COMMANDS {
            for line in entry.examples.text().split('\n') {
                // Quotes hold no spaces in the examples, and what follows `<` is the shell's.
                let line = line.split(['#', '<']).next().unwrap().trim_end().replace('\'', "");
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                let parsed = parse::parse(&words).unwrap_or_else(|(_, error)| panic!("{line}: {error}"));
                assert_eq!(parsed.command.name(), entry.name(), "{line}");
            }
        }
    }

    #[test]
    fn a_noun_lists_its_verbs_and_an_unknown_topic_is_an_error() {
        let volume = topic(&[b"volume"]).unwrap();
        assert!(
            volume.contains("\n  create ") && volume.contains("\n  ls ") && !volume.contains("\n  list "),
            "{volume}"
        );
        assert!(topic(&[b"volume", b"create"]).unwrap().contains("vial volume create [NAME]"));
        assert!(topic(&[]).unwrap().contains("Commands:"));
        let error = topic(&[b"rnu"]).unwrap_err().to_string();
        assert!(error.contains("unknown command \"rnu\"") && error.contains("did you mean `vial run`?"), "{error}");
    }
}
