//! The commands, in the order in which help lists them.

use super::table::{
    ATTACH, ATTACHED, BOOT, COMMIT, CP, EXEC, EXPORT, FILES, FIXED_LIMITS, GC, IMAGES, IMPORT, INSPECT, JSON, LIMITS,
    LISTING, LOGS, NAMESPACES, PROCESS, PS, QUIET, RM, RMI, RUN, SECURITY, SIGNAL, START, STATS, STOP, VOLUME_INSPECT,
    VOLUME_LISTING, VOLUME_RM, WORKLOAD,
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
        groups: &[&WORKLOAD, &RUN, &ATTACHED, &PROCESS, &FILES, &NAMESPACES, &LIMITS, &FIXED_LIMITS, &SECURITY],
    },
    Command {
        name: "create",
        aliases: &["container create"],
        usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        help: "Make a container without starting it",
        examples: &[("create --name web host nginx", "vial start web starts it")],
        args: (1, ANY),
        tail: true,
        groups: &[&WORKLOAD, &RUN, &ATTACHED, &PROCESS, &FILES, &NAMESPACES, &LIMITS, &FIXED_LIMITS, &SECURITY],
    },
    Command {
        name: "start",
        aliases: &["container start"],
        usage: "[OPTIONS] CONTAINER...",
        help: "Start containers that do not run",
        examples: &[("start web", ""), ("start -ai shell", "be attached to it")],
        args: (1, ANY),
        groups: &[&START, &ATTACHED],
        ..BLANK
    },
    Command {
        name: "stop",
        aliases: &["container stop"],
        usage: "[OPTIONS] CONTAINER...",
        help: "Ask containers to stop, and kill those that do not",
        examples: &[("stop web", ""), ("stop -t 60 db", "give it a minute")],
        args: (1, ANY),
        groups: &[&STOP, &SIGNAL],
        ..BLANK
    },
    Command {
        name: "restart",
        aliases: &["container restart"],
        usage: "[OPTIONS] CONTAINER...",
        help: "Stop containers and start them again",
        examples: &[("restart web", "")],
        args: (1, ANY),
        groups: &[&STOP, &SIGNAL],
        ..BLANK
    },
    Command {
        name: "kill",
        aliases: &["container kill"],
        usage: "[OPTIONS] CONTAINER...",
        help: "Send a signal to containers, SIGKILL if not told otherwise",
        examples: &[("kill -s HUP web", "")],
        args: (1, ANY),
        groups: &[&SIGNAL],
        ..BLANK
    },
    Command {
        name: "attach",
        aliases: &["container attach"],
        usage: "[OPTIONS] CONTAINER",
        help: "Show what a container writes from now on, and pass input on",
        examples: &[("attach --no-stdin web", "")],
        args: (1, 1),
        groups: &[&ATTACH, &ATTACHED],
        ..BLANK
    },
    Command {
        name: "exec",
        aliases: &["container exec"],
        usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
        help: "Run a further command in a container that runs",
        examples: &[("exec -it web sh", "a shell in it"), ("exec -u nobody web id", "")],
        args: (2, ANY),
        tail: true,
        groups: &[&WORKLOAD, &EXEC],
    },
    Command {
        name: "wait",
        aliases: &["container wait"],
        usage: "CONTAINER...",
        help: "Wait until containers have ended and print their exit codes",
        examples: &[("wait job", "")],
        args: (1, ANY),
        ..BLANK
    },
    Command {
        name: "ps",
        aliases: &["container ls", "container list", "container ps"],
        usage: "[OPTIONS]",
        help: "List containers",
        examples: &[("ps -a", "all of them, ended ones too"), ("ps -q -f label=job", "the IDs of those with a label")],
        groups: &[&PS, &QUIET, &LISTING],
        ..BLANK
    },
    Command {
        name: "logs",
        aliases: &["container logs"],
        usage: "[OPTIONS] CONTAINER",
        help: "Show what a container has printed",
        examples: &[
            ("logs -f web", "and what it prints from now on"),
            ("logs -t --since 10m web", "the last ten minutes, with the time of each line"),
        ],
        args: (1, 1),
        groups: &[&LOGS],
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
        name: "stats",
        aliases: &["container stats"],
        usage: "[OPTIONS] [CONTAINER...]",
        help: "Show what containers use, each second",
        examples: &[("stats", "all that run"), ("stats --no-stream --json web", "once, as JSON")],
        args: (0, ANY),
        groups: &[&STATS, &LISTING],
        ..BLANK
    },
    Command {
        name: "top",
        aliases: &["container top"],
        usage: "CONTAINER",
        help: "List the processes in a container",
        examples: &[("top web", "")],
        args: (1, 1),
        ..BLANK
    },
    Command {
        name: "pause",
        aliases: &["container pause"],
        usage: "CONTAINER...",
        help: "Freeze all processes of containers",
        examples: &[("pause web", "")],
        args: (1, ANY),
        ..BLANK
    },
    Command {
        name: "unpause",
        aliases: &["container unpause"],
        usage: "CONTAINER...",
        help: "Let paused containers go on",
        examples: &[("unpause web", "")],
        args: (1, ANY),
        ..BLANK
    },
    Command {
        name: "update",
        aliases: &["container update"],
        usage: "[OPTIONS] CONTAINER...",
        help: "Change the limits of containers, also while they run",
        examples: &[("update -m 128m --cpus 0.5 web", "")],
        args: (1, ANY),
        groups: &[&LIMITS],
        ..BLANK
    },
    Command {
        name: "rename",
        aliases: &["container rename"],
        usage: "CONTAINER NAME",
        help: "Give a container another name",
        examples: &[("rename web web-old", "")],
        args: (2, 2),
        ..BLANK
    },
    Command {
        name: "port",
        aliases: &["container port"],
        usage: "CONTAINER [PORT[/PROTO]]",
        help: "List the ports that a container publishes",
        examples: &[("port web", "")],
        args: (1, 2),
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
        groups: &[&IMAGES, &QUIET, &LISTING],
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
        name: "boot",
        usage: "--containers",
        help: "Start what is to run whenever this machine does",
        examples: &[("boot --containers", "those with --restart always, for instance")],
        groups: &[&BOOT],
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
