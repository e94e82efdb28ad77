//! The commands, in the order in which help lists them.

use super::table::{
    COMMIT, CP, EXPORT, FILES, GC, IMAGES, IMPORT, INSPECT, JSON, LIMITS, LISTING, NAMESPACES, PROCESS, PS, RM, RMI,
    RUN, SECURITY, VOLUME_INSPECT, VOLUME_LISTING, VOLUME_RM,
};
use super::{ANY, Command};

/// What the rows below don't say.
const BLANK: Command =
    Command { name: "", aliases: &[], usage: "", help: "", examples: &[], args: (0, 0), tail: false, groups: &[] };

/// Every command.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "run",
        aliases: &["container run"],
        usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        help: "Run a command in a new container",
        examples: &[
            ("run --rm -it host sh", "a shell in a throw-away copy of this machine"),
            ("run --rm -v ./src:/src:ro -w /src alpine make", "build what lies in ./src, without changing it"),
            ("run -m 64m --cpus 0.5 --network none ./rootfs /bin/app", "a directory as root, with limits"),
        ],
        args: (1, ANY),
        tail: true,
        groups: &[&RUN, &PROCESS, &FILES, &NAMESPACES, &LIMITS, &SECURITY],
    },
    Command {
        name: "ps",
        aliases: &["container ls", "container list", "container ps"],
        usage: "[OPTIONS]",
        help: "List containers",
        examples: &[("ps -a", "all of them, ended ones too"), ("ps -q -f label=job", "the IDs of those with a label")],
        groups: &[&PS, &LISTING],
        ..BLANK
    },
    Command {
        name: "inspect",
        aliases: &["container inspect", "image inspect"],
        usage: "[OPTIONS] NAME...",
        help: "Print all that is known of containers, images or volumes, as JSON",
        examples: &[("inspect web", ""), ("inspect -f '{{.State.Pid}}' web", "one field only")],
        args: (1, ANY),
        groups: &[&INSPECT],
        ..BLANK
    },
    Command {
        name: "rm",
        aliases: &["container rm", "container remove"],
        usage: "[OPTIONS] CONTAINER...",
        help: "Remove containers",
        examples: &[("rm web", ""), ("rm -f web db", "also if they run")],
        args: (1, ANY),
        groups: &[&RM],
        ..BLANK
    },
    Command {
        name: "cp",
        aliases: &["container cp"],
        usage: "[OPTIONS] CONTAINER:SRC|SRC|- CONTAINER:DST|DST|-",
        help: "Copy files between a container and the host",
        examples: &[
            ("cp web:/etc/hosts .", "a file out of a container"),
            ("cp ./site/. web:/var/www", "what is in a directory, into a container"),
            ("cp web:/var/log -", "a directory as an archive on standard output"),
        ],
        args: (2, 2),
        groups: &[&CP],
        ..BLANK
    },
    Command {
        name: "diff",
        aliases: &["container diff"],
        usage: "CONTAINER",
        help: "List what a container has added, changed and deleted",
        examples: &[("diff web", "")],
        args: (1, 1),
        ..BLANK
    },
    Command {
        name: "export",
        aliases: &["container export"],
        usage: "[OPTIONS] CONTAINER",
        help: "Write a container's root as a tar archive",
        examples: &[("export -o web.tar web", ""), ("export web", "to standard output, for vial import - say")],
        args: (1, 1),
        groups: &[&EXPORT],
        ..BLANK
    },
    Command {
        name: "commit",
        aliases: &["container commit"],
        usage: "[OPTIONS] CONTAINER [IMAGE[:TAG]]",
        help: "Make an image of a container, one layer above its own",
        examples: &[("commit web mine:2", ""), ("commit -m tuned web mine:3", "with a note")],
        args: (1, 2),
        groups: &[&COMMIT],
        ..BLANK
    },
    Command {
        name: "import",
        aliases: &["image import"],
        usage: "[OPTIONS] FILE|DIR|- [NAME[:TAG]]",
        help: "Make an image of an archive, a directory or standard input",
        examples: &[
            ("import alpine-minirootfs.tar.gz alpine", ""),
            ("import ./rootfs mine:1", "a directory"),
            ("import - mine:2 < rootfs.tar", "standard input"),
        ],
        args: (1, 2),
        groups: &[&IMPORT],
        ..BLANK
    },
    Command {
        name: "images",
        aliases: &["image ls", "image list"],
        usage: "[OPTIONS] [NAME[:TAG]]",
        help: "List images",
        examples: &[("images", ""), ("images --format '{{.Repository}}:{{.Tag}}'", "names only")],
        args: (0, 1),
        groups: &[&IMAGES, &LISTING],
        ..BLANK
    },
    Command {
        name: "rmi",
        aliases: &["image rm", "image remove"],
        usage: "[OPTIONS] IMAGE...",
        help: "Remove images",
        examples: &[("rmi alpine", "")],
        args: (1, ANY),
        groups: &[&RMI],
        ..BLANK
    },
    Command {
        name: "volume create",
        usage: "[NAME]",
        help: "Make a volume",
        examples: &[("volume create data", "")],
        args: (0, 1),
        ..BLANK
    },
    Command {
        name: "volume ls",
        aliases: &["volume list"],
        usage: "[OPTIONS]",
        help: "List volumes",
        examples: &[("volume ls -q", "names only")],
        groups: &[&VOLUME_LISTING],
        ..BLANK
    },
    Command {
        name: "volume inspect",
        usage: "[OPTIONS] VOLUME...",
        help: "Print all that is known of volumes, as JSON",
        examples: &[("volume inspect data", "")],
        args: (1, ANY),
        groups: &[&VOLUME_INSPECT],
        ..BLANK
    },
    Command {
        name: "volume rm",
        aliases: &["volume remove"],
        usage: "[OPTIONS] VOLUME...",
        help: "Remove volumes",
        examples: &[("volume rm data", "")],
        args: (1, ANY),
        groups: &[&VOLUME_RM],
        ..BLANK
    },
    Command {
        name: "gc",
        usage: "[OPTIONS]",
        help: "Remove what killed or interrupted commands left behind",
        examples: &[("gc --dry-run", "only say what would go")],
        groups: &[&GC],
        ..BLANK
    },
    Command {
        name: "syscalls",
        usage: "[OPTIONS]",
        help: "List every system call that vial can make",
        examples: &[("syscalls --json", "")],
        groups: &[&JSON],
        ..BLANK
    },
    Command {
        name: "info",
        aliases: &["system info"],
        usage: "[OPTIONS]",
        help: "Say what this kernel and machine offer to containers",
        examples: &[("info --json", "")],
        groups: &[&JSON],
        ..BLANK
    },
    Command {
        name: "version",
        usage: "[OPTIONS]",
        help: "Print the version",
        examples: &[("version --json", "")],
        groups: &[&JSON],
        ..BLANK
    },
    Command {
        name: "help",
        usage: "[COMMAND]",
        help: "Explain a command",
        examples: &[("help run", "")],
        args: (0, 2),
        ..BLANK
    },
];
