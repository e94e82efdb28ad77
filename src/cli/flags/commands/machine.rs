//! Commands that concern vial itself, and the machine.

use super::super::table::{EXPLAIN, GC, JSON, SECCOMP, SYSCALLS};
use super::super::{ANY, BLANK, Command};

/// They come last in help.
pub(in super::super) const ROWS: [Command; 8] = [
    Command {
        names: "gc|image prune",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Remove what killed or interrupted commands left behind"),
        examples: phrase!(
            "gc --dry-run # only say what would go\n\
             gc --images # and old images, which `image prune` does alone"
        ),
        groups: &[GC],
        ..BLANK
    },
    Command {
        names: "seccomp",
        usage: phrase!("[OPTIONS] PROFILE [PROFILE]"),
        help: phrase!("Say what seccomp profiles come to here, and how two differ"),
        examples: phrase!(
            "seccomp default # the one that containers have\n\
             seccomp default web.json # what it refuses besides"
        ),
        args: (1, 2),
        groups: &[JSON, SECCOMP],
        ..BLANK
    },
    Command {
        names: "syscalls",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List every system call that vial can make"),
        examples: phrase!(
            "syscalls --json\n\
             syscalls --seccomp # for those who confine vial itself"
        ),
        groups: &[JSON, SYSCALLS],
        ..BLANK
    },
    Command {
        names: "explain",
        usage: phrase!("[OPTIONS] [STEP|SYSCALL...]"),
        help: phrase!("Say why a container needs a step or a system call"),
        examples: phrase!(
            "explain # lists the steps by which a container is made\n\
             explain pivot_root # a call: for what, since when, what it takes, what is so without it\n\
             explain 'hide what tells about the host' # the words above calls in a ledger\n\
             explain --diff before.json after.json # of vial --explain=json --explain-to FILE run ..."
        ),
        args: (0, ANY),
        groups: &[JSON, EXPLAIN],
        ..BLANK
    },
    Command {
        names: "info|system info",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Say what this kernel and machine offer to containers"),
        examples: phrase!("info --json"),
        groups: &[JSON],
        ..BLANK
    },
    Command {
        names: "check",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Try all that vial can use of the kernel, and say what is missing"),
        examples: phrase!("check # exits with 0 if a plain `run` works here, else with 1"),
        groups: &[JSON],
        ..BLANK
    },
    Command {
        names: "version",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Print the version"),
        examples: phrase!("version --json"),
        groups: &[JSON],
        ..BLANK
    },
    Command {
        names: "help",
        usage: phrase!("[COMMAND]"),
        help: phrase!("Explain a command"),
        examples: phrase!("help run"),
        args: (0, 2),
        ..BLANK
    },
];
