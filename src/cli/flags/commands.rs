//! The commands, in the order in which help lists them.

use super::table::{
    ATTACH, ATTACHED, BOOT, CHANGE, COMMIT, CP, EXEC, EXPORT, FILES, FIXED_LIMITS, GC, HISTORY, IMAGES, IMPORT,
    INSPECT, JSON, LIMITS, LISTING, LOAD, LOGS, NAMESPACES, PACK, PLATFORM, PROCESS, PROVIDE, PS, PULL, QUIET, RM, RMI,
    RUN, SAVE, SECURITY, SIGNAL, START, STATS, STOP, UNPACK, VOLUME_INSPECT, VOLUME_LISTING, VOLUME_RM, WORKLOAD,
};
use super::{ANY, Command, Group};
use crate::base::phrase::Phrase;

/// Pairs of phrases.
macro_rules! examples {
    ($(($line:literal, $purpose:literal)),* $(,)?) => { &[$((phrase!($line), phrase!($purpose))),*] };
}

/// The options of what makes containers.
const MAKE: &[&Group] =
    &[&WORKLOAD, &RUN, &PROVIDE, &ATTACHED, &PROCESS, &FILES, &NAMESPACES, &LIMITS, &FIXED_LIMITS, &SECURITY];

/// What the rows below don't say.
const BLANK: Command = Command {
    name: "",
    aliases: &[],
    usage: Phrase::EMPTY,
    help: Phrase::EMPTY,
    examples: &[],
    args: (0, 0),
    tail: false,
    groups: &[],
};

/// Every command.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "run",
        aliases: &["container run"],
        usage: phrase!("[OPTIONS] IMAGE [COMMAND] [ARG...]"),
        help: phrase!("Run a command in a new container"),
        examples: examples![
            ("run --rm -it host sh", "a shell in a throw-away copy of this machine"),
            ("run --rm -v ./src:/src:ro -w /src alpine make", "build what lies in ./src, without changing it"),
            ("run -m 64m --cpus 0.5 --network none ./rootfs /bin/app", "a directory as root, with limits"),
        ],
        args: (1, ANY),
        tail: true,
        groups: MAKE,
    },
    Command {
        name: "create",
        aliases: &["container create"],
        usage: phrase!("[OPTIONS] IMAGE [COMMAND] [ARG...]"),
        help: phrase!("Make a container without starting it"),
        examples: examples![("create --name web host nginx", "vial start web starts it")],
        args: (1, ANY),
        tail: true,
        groups: MAKE,
    },
    Command {
        name: "start",
        aliases: &["container start"],
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Start containers that do not run"),
        examples: examples![("start web", ""), ("start -ai shell", "be attached to it")],
        args: (1, ANY),
        groups: &[&START, &ATTACHED],
        ..BLANK
    },
    Command {
        name: "stop",
        aliases: &["container stop"],
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Ask containers to stop, and kill those that do not"),
        examples: examples![("stop web", ""), ("stop -t 60 db", "give it a minute")],
        args: (1, ANY),
        groups: &[&STOP, &SIGNAL],
        ..BLANK
    },
    Command {
        name: "restart",
        aliases: &["container restart"],
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Stop containers and start them again"),
        examples: examples![("restart web", "")],
        args: (1, ANY),
        groups: &[&STOP, &SIGNAL],
        ..BLANK
    },
    Command {
        name: "kill",
        aliases: &["container kill"],
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Send a signal to containers, SIGKILL if not told otherwise"),
        examples: examples![("kill -s HUP web", "")],
        args: (1, ANY),
        groups: &[&SIGNAL],
        ..BLANK
    },
    Command {
        name: "attach",
        aliases: &["container attach"],
        usage: phrase!("[OPTIONS] CONTAINER"),
        help: phrase!("Show what a container writes from now on, and pass input on"),
        examples: examples![("attach --no-stdin web", "")],
        args: (1, 1),
        groups: &[&ATTACH, &ATTACHED],
        ..BLANK
    },
    Command {
        name: "exec",
        aliases: &["container exec"],
        usage: phrase!("[OPTIONS] CONTAINER COMMAND [ARG...]"),
        help: phrase!("Run a further command in a container that runs"),
        examples: examples![("exec -it web sh", "a shell in it"), ("exec -u nobody web id", "")],
        args: (2, ANY),
        tail: true,
        groups: &[&WORKLOAD, &EXEC],
    },
    Command {
        name: "wait",
        aliases: &["container wait"],
        usage: phrase!("CONTAINER..."),
        help: phrase!("Wait until containers have ended and print their exit codes"),
        examples: examples![("wait job", "")],
        args: (1, ANY),
        ..BLANK
    },
    Command {
        name: "ps",
        aliases: &["container ls", "container list", "container ps"],
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List containers"),
        examples: examples![
            ("ps -a", "all of them, ended ones too"),
            ("ps -q -f label=job", "the IDs of those with a label")
        ],
        groups: &[&PS, &QUIET, &LISTING],
        ..BLANK
    },
    Command {
        name: "logs",
        aliases: &["container logs"],
        usage: phrase!("[OPTIONS] CONTAINER"),
        help: phrase!("Show what a container has printed"),
        examples: examples![
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
        usage: phrase!("[OPTIONS] NAME..."),
        help: phrase!("Print all that is known of containers, images or volumes, as JSON"),
        examples: examples![("inspect web", ""), ("inspect -f '{{.State.Pid}}' web", "one field only")],
        args: (1, ANY),
        groups: &[&INSPECT],
        ..BLANK
    },
    Command {
        name: "stats",
        aliases: &["container stats"],
        usage: phrase!("[OPTIONS] [CONTAINER...]"),
        help: phrase!("Show what containers use, each second"),
        examples: examples![("stats", "all that run"), ("stats --no-stream --json web", "once, as JSON")],
        args: (0, ANY),
        groups: &[&STATS, &LISTING],
        ..BLANK
    },
    Command {
        name: "top",
        aliases: &["container top"],
        usage: phrase!("CONTAINER [PS-OPTION...]"),
        help: phrase!("List the processes in a container"),
        examples: examples![("top web", ""), ("top web -o pid,rss,args", "with what the host's ps shows")],
        args: (1, ANY),
        tail: true,
        ..BLANK
    },
    Command {
        name: "pause",
        aliases: &["container pause"],
        usage: phrase!("CONTAINER..."),
        help: phrase!("Freeze all processes of containers"),
        examples: examples![("pause web", "")],
        args: (1, ANY),
        ..BLANK
    },
    Command {
        name: "unpause",
        aliases: &["container unpause"],
        usage: phrase!("CONTAINER..."),
        help: phrase!("Let paused containers go on"),
        examples: examples![("unpause web", "")],
        args: (1, ANY),
        ..BLANK
    },
    Command {
        name: "update",
        aliases: &["container update"],
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Change the limits of containers, also while they run"),
        examples: examples![("update -m 128m --cpus 0.5 web", "")],
        args: (1, ANY),
        groups: &[&LIMITS],
        ..BLANK
    },
    Command {
        name: "rename",
        aliases: &["container rename"],
        usage: phrase!("CONTAINER NAME"),
        help: phrase!("Give a container another name"),
        examples: examples![("rename web web-old", "")],
        args: (2, 2),
        ..BLANK
    },
    Command {
        name: "port",
        aliases: &["container port"],
        usage: phrase!("CONTAINER [PORT[/PROTO]]"),
        help: phrase!("List the ports that a container publishes"),
        examples: examples![("port web", "")],
        args: (1, 2),
        ..BLANK
    },
    Command {
        name: "rm",
        aliases: &["container rm", "container remove"],
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Remove containers"),
        examples: examples![("rm web", ""), ("rm -f web db", "also if they run")],
        args: (1, ANY),
        groups: &[&RM],
        ..BLANK
    },
    Command {
        name: "cp",
        aliases: &["container cp"],
        usage: phrase!("[OPTIONS] CONTAINER:SRC|SRC|- CONTAINER:DST|DST|-"),
        help: phrase!("Copy files between a container and the host"),
        examples: examples![
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
        usage: phrase!("CONTAINER"),
        help: phrase!("List what a container has added, changed and deleted"),
        examples: examples![("diff web", "")],
        args: (1, 1),
        ..BLANK
    },
    Command {
        name: "export",
        aliases: &["container export"],
        usage: phrase!("[OPTIONS] CONTAINER"),
        help: phrase!("Write a container's root as a tar archive"),
        examples: examples![("export -o web.tar web", ""), ("export web", "to standard output, for vial import - say")],
        args: (1, 1),
        groups: &[&EXPORT],
        ..BLANK
    },
    Command {
        name: "commit",
        aliases: &["container commit"],
        usage: phrase!("[OPTIONS] CONTAINER [IMAGE[:TAG]]"),
        help: phrase!("Make an image of a container, one layer above its own"),
        examples: examples![("commit web mine:2", ""), ("commit -m tuned web mine:3", "with a note")],
        args: (1, 2),
        groups: &[&COMMIT, &CHANGE],
        ..BLANK
    },
    Command {
        name: "import",
        aliases: &["image import"],
        usage: phrase!("[OPTIONS] FILE|DIR|- [NAME[:TAG]]"),
        help: phrase!("Make an image of an archive, a directory or standard input"),
        examples: examples![
            ("import alpine-minirootfs.tar.gz alpine", ""),
            ("import ./rootfs mine:1", "a directory"),
            ("import - mine:2 < rootfs.tar", "standard input"),
        ],
        args: (1, 2),
        groups: &[&IMPORT, &CHANGE, &UNPACK],
        ..BLANK
    },
    Command {
        name: "load",
        aliases: &["image load"],
        usage: phrase!("[OPTIONS] [FILE|DIR|-]"),
        help: phrase!("Load images that docker, podman or skopeo saved"),
        examples: examples![
            ("load -i alpine.tar.gz", "an archive of docker's or OCI's"),
            ("load ./layout", "a directory in OCI's layout"),
            ("load < images.tar", "standard input"),
        ],
        args: (0, 1),
        groups: &[&LOAD, &PLATFORM, &UNPACK],
        ..BLANK
    },
    Command {
        name: "pack",
        aliases: &["image pack"],
        usage: phrase!("[OPTIONS] NAME[:TAG] [PROGRAM...]"),
        help: phrase!("Make an image of programs of this machine and the libraries that they need"),
        examples: examples![
            ("pack tools ls bash", "vial run tools runs the first of them"),
            ("pack --include /etc/ssl/certs fetch curl", "what programs open later can't be seen: name it"),
            ("pack --self-contained ./redis redis:7", "./redis runs an image that is here, with nothing installed"),
        ],
        args: (1, ANY),
        groups: &[&PACK, &CHANGE, &QUIET],
        ..BLANK
    },
    Command {
        name: "save",
        aliases: &["image save"],
        usage: phrase!("[OPTIONS] IMAGE..."),
        help: phrase!("Save images as an archive that docker, podman or skopeo load"),
        examples: examples![
            ("save -o alpine.tar alpine", ""),
            ("save alpine app:2 | ssh host vial load", "two images, to another machine"),
        ],
        args: (1, ANY),
        groups: &[&EXPORT, &SAVE],
        ..BLANK
    },
    Command {
        name: "pull",
        aliases: &["image pull"],
        usage: phrase!("[OPTIONS] NAME[:TAG][@DIGEST]"),
        help: phrase!("Bring an image from a registry"),
        examples: examples![
            ("pull alpine", "docker.io/library/alpine:latest; https needs curl"),
            ("pull --plain-http 10.0.0.5:5000/team/app:2", "from a registry on the LAN"),
            ("pull --creds me:secret registry.example/app", "one that asks who you are"),
        ],
        args: (1, 1),
        groups: &[&PULL, &PLATFORM, &UNPACK],
        ..BLANK
    },
    Command {
        name: "images",
        aliases: &["image ls", "image list"],
        usage: phrase!("[OPTIONS] [NAME[:TAG]]"),
        help: phrase!("List images"),
        examples: examples![
            ("images", ""),
            ("images -q -f dangling=true", "the IDs of those without a name"),
            ("images --format '{{.Repository}}:{{.Tag}}'", "names only"),
        ],
        args: (0, 1),
        groups: &[&IMAGES, &QUIET, &LISTING],
        ..BLANK
    },
    Command {
        name: "tag",
        aliases: &["image tag"],
        usage: phrase!("IMAGE NAME[:TAG]"),
        help: phrase!("Give an image a further name"),
        examples: examples![("tag alpine mine:1", "")],
        args: (2, 2),
        ..BLANK
    },
    Command {
        name: "history",
        aliases: &["image history"],
        usage: phrase!("[OPTIONS] IMAGE"),
        help: phrase!("List the steps that made an image"),
        examples: examples![("history --no-trunc alpine", "with whole commands")],
        args: (1, 1),
        groups: &[&HISTORY, &QUIET, &LISTING],
        ..BLANK
    },
    Command {
        name: "rmi",
        aliases: &["image rm", "image remove"],
        usage: phrase!("[OPTIONS] IMAGE..."),
        help: phrase!("Remove images"),
        examples: examples![("rmi alpine", "")],
        args: (1, ANY),
        groups: &[&RMI],
        ..BLANK
    },
    Command {
        name: "volume create",
        usage: phrase!("[NAME]"),
        help: phrase!("Make a volume"),
        examples: examples![("volume create data", "")],
        args: (0, 1),
        ..BLANK
    },
    Command {
        name: "volume ls",
        aliases: &["volume list"],
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List volumes"),
        examples: examples![("volume ls -q", "names only")],
        groups: &[&VOLUME_LISTING],
        ..BLANK
    },
    Command {
        name: "volume inspect",
        usage: phrase!("[OPTIONS] VOLUME..."),
        help: phrase!("Print all that is known of volumes, as JSON"),
        examples: examples![("volume inspect data", "")],
        args: (1, ANY),
        groups: &[&VOLUME_INSPECT],
        ..BLANK
    },
    Command {
        name: "volume rm",
        aliases: &["volume remove"],
        usage: phrase!("[OPTIONS] VOLUME..."),
        help: phrase!("Remove volumes"),
        examples: examples![("volume rm data", "")],
        args: (1, ANY),
        groups: &[&VOLUME_RM],
        ..BLANK
    },
    Command {
        name: "boot",
        usage: phrase!("--containers"),
        help: phrase!("Start what is to run whenever this machine does"),
        examples: examples![("boot --containers", "those with --restart always, for instance")],
        groups: &[&BOOT],
        ..BLANK
    },
    Command {
        name: "gc",
        aliases: &["image prune"],
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Remove what killed or interrupted commands left behind"),
        examples: examples![
            ("gc --dry-run", "only say what would go"),
            ("gc --images", "and old images, which `image prune` does alone"),
        ],
        groups: &[&GC],
        ..BLANK
    },
    Command {
        name: "syscalls",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List every system call that vial can make"),
        examples: examples![("syscalls --json", "")],
        groups: &[&JSON],
        ..BLANK
    },
    Command {
        name: "info",
        aliases: &["system info"],
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Say what this kernel and machine offer to containers"),
        examples: examples![("info --json", "")],
        groups: &[&JSON],
        ..BLANK
    },
    Command {
        name: "version",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Print the version"),
        examples: examples![("version --json", "")],
        groups: &[&JSON],
        ..BLANK
    },
    Command {
        name: "help",
        usage: phrase!("[COMMAND]"),
        help: phrase!("Explain a command"),
        examples: examples![("help run", "")],
        args: (0, 2),
        ..BLANK
    },
];
