//! The commands, in the order in which help lists them.

pub(super) mod machine;
pub(super) mod oci;

use super::table::{
    ATTACH, ATTACHED, AUDIT, BOOT, CHANGE, COMMIT, CP, EXEC, EXPORT, FILES, FIXED_LIMITS, HISTORY, IMAGES, IMPORT,
    INSPECT, LIMITS, LISTING, LOAD, LOGS, NAMESPACES, NETWORK, PACK, PLATFORM, PRESENCE, PROCESS, PROVIDE, PRUNE, PS,
    PULL, QUIET, RM, RMI, RUN, SAVE, SECURITY, SIGNAL, START, STATS, STOP, UNPACK, VOLUME_INSPECT, VOLUME_LISTING,
    VOLUME_RM, WHY, WORKLOAD,
};
use super::{ANY, BLANK, Command, EACH, Group};

/// The options of what makes containers.
const MAKE: &[Group] =
    &[WORKLOAD, RUN, PROVIDE, ATTACHED, PROCESS, FILES, PRESENCE, NAMESPACES, LIMITS, FIXED_LIMITS, SECURITY];

/// The commands that people type.
pub(super) const ROWS: [Command; 47] = [
    Command {
        names: "run|container run",
        usage: phrase!("[OPTIONS] IMAGE [COMMAND] [ARG...]"),
        help: phrase!("Run a command in a new container"),
        examples: phrase!(
            "run --rm -it host sh # a shell in a throw-away copy of this machine\n\
             run --rm -v ./src:/src:ro -w /src alpine make # build what lies in ./src, without changing it\n\
             run -m 64m --cpus 0.5 --network none ./rootfs /bin/app # a directory as root, with limits"
        ),
        args: (1, ANY),
        tail: true,
        groups: MAKE,
    },
    Command {
        names: "audit",
        usage: phrase!("[OPTIONS] IMAGE [COMMAND] [ARG...]"),
        help: phrase!("Run a command, and tell which system calls and files it needs"),
        examples: phrase!(
            "audit -o web.json --rm nginx # then: vial run --security-opt seccomp=web.json nginx\n\
             audit --args --rm host ls # with sockets, paths and flags\n\
             audit --follow web # a container that runs, until it ends or ^C\n\
             audit -o both.json --merge start.json work.json"
        ),
        args: (0, ANY),
        tail: true,
        groups: &[
            AUDIT,
            WORKLOAD,
            RUN,
            PROVIDE,
            ATTACHED,
            PROCESS,
            FILES,
            PRESENCE,
            NAMESPACES,
            LIMITS,
            FIXED_LIMITS,
            SECURITY,
        ],
    },
    Command {
        names: "why",
        usage: phrase!("[OPTIONS] CONTAINER | -- COMMAND"),
        help: phrase!("Tell which line of defence said no, when a container or a command has failed"),
        examples: phrase!(
            "why -- run --rm host mount -t tmpfs none /mnt # seccomp; try --cap-add SYS_ADMIN\n\
             why -- exec web nginx -t # a further command in a container that runs\n\
             why web # what is known of a container: its limits, and how it ended\n\
             why --again web # start it again, and follow its calls"
        ),
        args: (1, ANY),
        tail: true,
        groups: &[WHY],
    },
    Command {
        names: "create|container create",
        usage: phrase!("[OPTIONS] IMAGE [COMMAND] [ARG...]"),
        help: phrase!("Make a container without starting it"),
        examples: phrase!("create --name web host nginx # vial start web starts it"),
        args: (1, ANY),
        tail: true,
        groups: MAKE,
    },
    Command {
        names: "start|container start",
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Start containers that do not run"),
        examples: phrase!(
            "start web\n\
             start -ai shell # be attached to it"
        ),
        groups: &[START, ATTACHED],
        ..EACH
    },
    Command {
        names: "stop|container stop",
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Ask containers to stop, and kill those that do not"),
        examples: phrase!(
            "stop web\n\
             stop -t 60 db # give it a minute"
        ),
        groups: &[STOP, SIGNAL],
        ..EACH
    },
    Command {
        names: "restart|container restart",
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Stop containers and start them again"),
        examples: phrase!("restart web"),
        groups: &[STOP, SIGNAL],
        ..EACH
    },
    Command {
        names: "kill|container kill",
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Send a signal to containers, SIGKILL if not told otherwise"),
        examples: phrase!("kill -s HUP web"),
        groups: &[SIGNAL],
        ..EACH
    },
    Command {
        names: "attach|container attach",
        usage: phrase!("[OPTIONS] CONTAINER"),
        help: phrase!("Show what a container writes from now on, and pass input on"),
        examples: phrase!("attach --no-stdin web"),
        args: (1, 1),
        groups: &[ATTACH, ATTACHED],
        ..BLANK
    },
    Command {
        names: "exec|container exec",
        usage: phrase!("[OPTIONS] CONTAINER COMMAND [ARG...]"),
        help: phrase!("Run a further command in a container that runs"),
        examples: phrase!(
            "exec -it web sh # a shell in it\n\
             exec -u nobody web id"
        ),
        args: (2, ANY),
        tail: true,
        groups: &[WORKLOAD, EXEC],
    },
    Command {
        names: "wait|container wait",
        usage: phrase!("CONTAINER..."),
        help: phrase!("Wait until containers have ended and print their exit codes"),
        examples: phrase!("wait job"),
        ..EACH
    },
    Command {
        names: "ps|container ls|container list|container ps",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List containers"),
        examples: phrase!(
            "ps -a # all of them, ended ones too\n\
             ps -q -f label=job # the IDs of those with a label"
        ),
        groups: &[PS, QUIET, LISTING],
        ..BLANK
    },
    Command {
        names: "logs|container logs",
        usage: phrase!("[OPTIONS] CONTAINER"),
        help: phrase!("Show what a container has printed"),
        examples: phrase!(
            "logs -f web # and what it prints from now on\n\
             logs -t --since 10m web # the last ten minutes, with the time of each line"
        ),
        args: (1, 1),
        groups: &[LOGS],
        ..BLANK
    },
    Command {
        names: "inspect|container inspect|image inspect",
        usage: phrase!("[OPTIONS] NAME..."),
        help: phrase!("Print all that is known of containers, images, volumes or networks, as JSON"),
        examples: phrase!(
            "inspect web\n\
             inspect -f '{{.State.Pid}}' web # one field only"
        ),
        groups: &[INSPECT],
        ..EACH
    },
    Command {
        names: "stats|container stats",
        usage: phrase!("[OPTIONS] [CONTAINER...]"),
        help: phrase!("Show what containers use, each second"),
        examples: phrase!(
            "stats # all that run\n\
             stats --no-stream --json web # once, as JSON"
        ),
        args: (0, ANY),
        groups: &[STATS, LISTING],
        ..BLANK
    },
    Command {
        names: "top|container top",
        usage: phrase!("CONTAINER [PS-OPTION...]"),
        help: phrase!("List the processes in a container"),
        examples: phrase!(
            "top web\n\
             top web -o pid,rss,args # with what the host's ps shows"
        ),
        tail: true,
        ..EACH
    },
    Command {
        names: "pause|container pause",
        usage: phrase!("CONTAINER..."),
        help: phrase!("Freeze all processes of containers"),
        examples: phrase!("pause web"),
        ..EACH
    },
    Command {
        names: "unpause|container unpause",
        usage: phrase!("CONTAINER..."),
        help: phrase!("Let paused containers go on"),
        examples: phrase!("unpause web"),
        ..EACH
    },
    Command {
        names: "update|container update",
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Change the limits of containers, also while they run"),
        examples: phrase!("update -m 128m --cpus 0.5 web"),
        groups: &[LIMITS],
        ..EACH
    },
    Command {
        names: "rename|container rename",
        usage: phrase!("CONTAINER NAME"),
        help: phrase!("Give a container another name"),
        examples: phrase!("rename web web-old"),
        args: (2, 2),
        ..BLANK
    },
    Command {
        names: "port|container port",
        usage: phrase!("CONTAINER [PORT[/PROTO]]"),
        help: phrase!("List the ports that a container publishes"),
        examples: phrase!("port web"),
        args: (1, 2),
        ..BLANK
    },
    Command {
        names: "rm|container rm|container remove",
        usage: phrase!("[OPTIONS] CONTAINER..."),
        help: phrase!("Remove containers"),
        examples: phrase!(
            "rm web\n\
             rm -f web db # also if they run"
        ),
        groups: &[RM],
        ..EACH
    },
    Command {
        names: "cp|container cp",
        usage: phrase!("[OPTIONS] CONTAINER:SRC|SRC|- CONTAINER:DST|DST|-"),
        help: phrase!("Copy files between a container and the host"),
        examples: phrase!(
            "cp web:/etc/hosts . # a file out of a container\n\
             cp ./site/. web:/var/www # what is in a directory, into a container\n\
             cp web:/var/log - # a directory as an archive on standard output"
        ),
        args: (2, 2),
        groups: &[CP],
        ..BLANK
    },
    Command {
        names: "diff|container diff",
        usage: phrase!("CONTAINER"),
        help: phrase!("List what a container has added, changed and deleted"),
        examples: phrase!("diff web"),
        args: (1, 1),
        ..BLANK
    },
    Command {
        names: "export|container export",
        usage: phrase!("[OPTIONS] CONTAINER"),
        help: phrase!("Write a container's root as a tar archive"),
        examples: phrase!(
            "export -o web.tar web\n\
             export web # to standard output, for vial import - say"
        ),
        args: (1, 1),
        groups: &[EXPORT],
        ..BLANK
    },
    Command {
        names: "commit|container commit",
        usage: phrase!("[OPTIONS] CONTAINER [IMAGE[:TAG]]"),
        help: phrase!("Make an image of a container, one layer above its own"),
        examples: phrase!(
            "commit web mine:2\n\
             commit -m tuned web mine:3 # with a note"
        ),
        args: (1, 2),
        groups: &[COMMIT, CHANGE],
        ..BLANK
    },
    Command {
        names: "import|image import",
        usage: phrase!("[OPTIONS] FILE|DIR|- [NAME[:TAG]]"),
        help: phrase!("Make an image of an archive, a directory or standard input"),
        examples: phrase!(
            "import alpine-minirootfs.tar.gz alpine\n\
             import ./rootfs mine:1 # a directory\n\
             import - mine:2 < rootfs.tar # standard input"
        ),
        args: (1, 2),
        groups: &[IMPORT, CHANGE, UNPACK],
        ..BLANK
    },
    Command {
        names: "load|image load",
        usage: phrase!("[OPTIONS] [FILE|DIR|-]"),
        help: phrase!("Load images that docker, podman or skopeo saved"),
        examples: phrase!(
            "load -i alpine.tar.gz # an archive of docker's or OCI's\n\
             load ./layout # a directory in OCI's layout\n\
             load < images.tar # standard input"
        ),
        args: (0, 1),
        groups: &[LOAD, PLATFORM, UNPACK],
        ..BLANK
    },
    Command {
        names: "pack|image pack",
        usage: phrase!("[OPTIONS] NAME[:TAG] [PROGRAM...]"),
        help: phrase!("Make an image of programs of this machine and the libraries that they need"),
        examples: phrase!(
            "pack tools ls bash # vial run tools runs the first of them\n\
             pack --include /etc/ssl/certs fetch curl # what programs open later can't be seen: name it\n\
             pack --self-contained ./redis redis:7 # ./redis runs an image that is here, with nothing installed"
        ),
        groups: &[PACK, CHANGE, QUIET],
        ..EACH
    },
    Command {
        names: "save|image save",
        usage: phrase!("[OPTIONS] IMAGE..."),
        help: phrase!("Save images as an archive that docker, podman or skopeo load"),
        examples: phrase!(
            "save -o alpine.tar alpine\n\
             save alpine app:2 | ssh host vial load # two images, to another machine"
        ),
        groups: &[EXPORT, SAVE],
        ..EACH
    },
    Command {
        names: "pull|image pull",
        usage: phrase!("[OPTIONS] NAME[:TAG][@DIGEST]"),
        help: phrase!("Bring an image from a registry"),
        examples: phrase!(
            "pull alpine # docker.io/library/alpine:latest; https needs curl\n\
             pull --plain-http 10.0.0.5:5000/team/app:2 # from a registry on the LAN\n\
             pull --creds me:secret registry.example/app # one that asks who you are"
        ),
        args: (1, 1),
        groups: &[PULL, PLATFORM, UNPACK],
        ..BLANK
    },
    Command {
        names: "images|image ls|image list",
        usage: phrase!("[OPTIONS] [NAME[:TAG]]"),
        help: phrase!("List images"),
        examples: phrase!(
            "images -q -f dangling=true # the IDs of those without a name\n\
             images --format '{{.Repository}}:{{.Tag}}' # names only"
        ),
        args: (0, 1),
        groups: &[IMAGES, QUIET, LISTING],
        ..BLANK
    },
    Command {
        names: "tag|image tag",
        usage: phrase!("IMAGE NAME[:TAG]"),
        help: phrase!("Give an image a further name"),
        examples: phrase!("tag alpine mine:1"),
        args: (2, 2),
        ..BLANK
    },
    Command {
        names: "history|image history",
        usage: phrase!("[OPTIONS] IMAGE"),
        help: phrase!("List the steps that made an image"),
        examples: phrase!("history --no-trunc alpine # with whole commands"),
        args: (1, 1),
        groups: &[HISTORY, QUIET, LISTING],
        ..BLANK
    },
    Command {
        names: "rmi|image rm|image remove",
        usage: phrase!("[OPTIONS] IMAGE..."),
        help: phrase!("Remove images"),
        examples: phrase!("rmi alpine"),
        groups: &[RMI],
        ..EACH
    },
    Command {
        names: "volume create",
        usage: phrase!("[NAME]"),
        help: phrase!("Make a volume"),
        examples: phrase!("volume create data"),
        args: (0, 1),
        ..BLANK
    },
    Command {
        names: "volume ls|volume list",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List volumes"),
        examples: phrase!("volume ls -q # names only"),
        groups: &[VOLUME_LISTING],
        ..BLANK
    },
    Command {
        names: "volume inspect",
        usage: phrase!("[OPTIONS] VOLUME..."),
        help: phrase!("Print all that is known of volumes, as JSON"),
        examples: phrase!("volume inspect data"),
        groups: &[VOLUME_INSPECT],
        ..EACH
    },
    Command {
        names: "volume rm|volume remove",
        usage: phrase!("[OPTIONS] VOLUME..."),
        help: phrase!("Remove volumes"),
        examples: phrase!("volume rm data"),
        groups: &[VOLUME_RM],
        ..EACH
    },
    Command {
        names: "network create",
        usage: phrase!("[OPTIONS] NAME"),
        help: phrase!("Make a network"),
        examples: phrase!("network create back # for run --network back: its containers find each other by name"),
        args: (1, 1),
        groups: &[NETWORK],
        ..BLANK
    },
    Command {
        names: "network ls|network list",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List networks"),
        examples: phrase!("network ls"),
        groups: &[QUIET, LISTING],
        ..BLANK
    },
    Command {
        names: "network inspect",
        usage: phrase!("[OPTIONS] NETWORK..."),
        help: phrase!("Print all that is known of networks, as JSON"),
        examples: phrase!("network inspect back"),
        groups: &[VOLUME_INSPECT],
        ..EACH
    },
    Command {
        names: "network connect",
        usage: phrase!("[OPTIONS] NETWORK CONTAINER"),
        help: phrase!("Connect a container to a network, now and whenever it is started"),
        examples: phrase!("network connect --alias db back web"),
        args: (2, 2),
        groups: &[PRESENCE],
        ..BLANK
    },
    Command {
        names: "network disconnect",
        usage: phrase!("[OPTIONS] NETWORK CONTAINER"),
        help: phrase!("Take a container off a network"),
        examples: phrase!("network disconnect back web"),
        args: (2, 2),
        groups: &[VOLUME_RM],
        ..BLANK
    },
    Command {
        names: "network rm|network remove",
        usage: phrase!("[OPTIONS] NETWORK..."),
        help: phrase!("Remove networks"),
        examples: phrase!("network rm back"),
        groups: &[VOLUME_RM],
        ..EACH
    },
    Command {
        names: "network prune",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Remove the networks that no container is on"),
        examples: phrase!("network prune -f"),
        groups: &[PRUNE],
        ..BLANK
    },
    Command {
        names: "boot",
        usage: phrase!("[--containers]"),
        help: phrase!("Bring a machine up, as its first process; or start its containers"),
        examples: phrase!("boot --containers # those with --restart always, for instance"),
        groups: &[BOOT],
        ..BLANK
    },
];
