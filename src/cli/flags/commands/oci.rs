//! The commands of the OCI runtime's command line, in the order in which its help lists them.

use super::super::table::{
    OCI, OCI_CREATE, OCI_DELETE, OCI_EVENTS, OCI_EXEC, OCI_KILL, OCI_LIST, OCI_PS, OCI_ROOTLESS, OCI_RUN, OCI_SPEC,
    OCI_UPDATE,
};
use super::super::{ANY, BLANK, Command};

/// All of them.
pub(in super::super) const ROWS: [Command; 18] = [
    Command {
        names: "oci create",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Make a container of a bundle, to be started later"),
        examples: phrase!("oci create --bundle . web"),
        args: (1, 1),
        groups: &[OCI_CREATE, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci start",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Execute the program of a container that was made"),
        examples: phrase!("oci start web"),
        args: (1, 1),
        groups: &[OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci state",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Print the state of a container"),
        examples: phrase!("oci state web"),
        args: (1, 1),
        groups: &[OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci kill",
        usage: phrase!("[OPTIONS] ID [SIGNAL]"),
        help: phrase!("Send a signal to a container, SIGTERM if not told otherwise"),
        examples: phrase!("oci kill web KILL"),
        args: (1, 2),
        groups: &[OCI_KILL, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci delete",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Remove a container that does not run"),
        examples: phrase!("oci delete --force web"),
        args: (1, 1),
        groups: &[OCI_DELETE, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci run",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Make a container of a bundle, start it and wait for its end"),
        examples: phrase!("oci run --bundle . web"),
        args: (1, 1),
        groups: &[OCI_RUN, OCI_CREATE, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci exec",
        usage: phrase!("[OPTIONS] ID [COMMAND] [ARG...]"),
        help: phrase!("Execute a process in a container that runs"),
        examples: phrase!("oci exec -t web sh"),
        args: (1, ANY),
        tail: true,
        groups: &[OCI_EXEC, OCI, OCI_ROOTLESS],
    },
    Command {
        names: "oci list",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("List containers"),
        examples: phrase!("oci list -q"),
        args: (0, 0),
        groups: &[OCI_LIST, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci ps",
        usage: phrase!("[OPTIONS] ID [PS-OPTION...]"),
        help: phrase!("List the processes of a container"),
        examples: phrase!("oci ps -f json web"),
        args: (1, ANY),
        tail: true,
        groups: &[OCI_PS, OCI, OCI_ROOTLESS],
    },
    Command {
        names: "oci pause",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Freeze all processes of a container"),
        examples: phrase!("oci pause web"),
        args: (1, 1),
        groups: &[OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci resume",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Let a frozen container go on"),
        examples: phrase!("oci resume web"),
        args: (1, 1),
        groups: &[OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci update",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Change the limits of a container"),
        examples: phrase!("oci update --memory 64M web"),
        args: (1, 1),
        groups: &[OCI_UPDATE, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci events",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Print what a container uses, and when its memory runs out"),
        examples: phrase!("oci events --stats web"),
        args: (1, 1),
        groups: &[OCI_EVENTS, OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci spec",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Write a config.json to begin with"),
        examples: phrase!("oci spec --bundle ."),
        args: (0, 0),
        groups: &[OCI_SPEC, OCI],
        ..BLANK
    },
    Command {
        names: "oci features",
        usage: phrase!("[OPTIONS]"),
        help: phrase!("Print what this runtime can do, as JSON"),
        examples: phrase!("oci features"),
        args: (0, 0),
        groups: &[OCI, OCI_ROOTLESS],
        ..BLANK
    },
    Command {
        names: "oci checkpoint",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Not supported"),
        examples: phrase!("oci checkpoint web"),
        args: (0, ANY),
        tail: true,
        groups: &[OCI, OCI_ROOTLESS],
    },
    Command {
        names: "oci restore",
        usage: phrase!("[OPTIONS] ID"),
        help: phrase!("Not supported"),
        examples: phrase!("oci restore web"),
        args: (0, ANY),
        tail: true,
        groups: &[OCI, OCI_ROOTLESS],
    },
    Command {
        names: "oci version",
        usage: phrase!(""),
        help: phrase!("Print the version as engines read it"),
        examples: phrase!("oci version"),
        args: (0, 0),
        groups: &[OCI, OCI_ROOTLESS],
        ..BLANK
    },
];
