//! The OCI runtime specification's `config.json`, version 1.3.0, as types.
//!
//! Each struct is a table that serves both directions: the field, its type, whether the document must have it, and its name
//! there. An absent array and an empty one mean the same to the specification and so do an absent boolean and `false`; they
//! are plain [`Vec`]s and `bool`s here. Members that are not in the tables are ignored, as the specification's
//! "Extensibility" section demands.
//!
//! # Source
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md>

mod linux;
mod process;
mod shaped;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::base::error::Error;
use crate::base::json::Value;
use crate::base::json::record::{read, record, write};

pub use linux::*;
pub use process::*;
pub use shaped::{
    Affinity, IntelRdt, IoPriority, MemoryPolicy, NetDevices, Personality, Resources, Scheduler, Seccomp, TimeOffsets,
};

/// The version of the specification that documents by vial comply with.
pub const OCI_VERSION: &str = "1.3.0";

impl Spec {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// Names the member: `linux.resources.memory.limit: expected an integer, found a string`.
    pub fn from_json(value: &Value) -> Result<Spec, Error> {
        read(value)
    }

    /// The `config.json`, with its members in the order of the tables.
    #[must_use]
    pub fn to_json(&mut self) -> Value {
        write(self)
    }
}

record! {
    /// A whole container configuration.
    pub struct Spec {
        /// The version of the specification that the document complies with.
        oci_version: &'static str = Required "ociVersion",
        /// What runs in the container. Without it the container can be created but not started.
        process: Option<Process> = Optional "process",
        /// The root filesystem, which Linux needs.
        root: Option<Root> = Optional "root",
        /// The name of the machine in the UTS namespace.
        hostname: Option<&'static str> = Optional "hostname",
        /// The NIS domain in the UTS namespace.
        domainname: Option<&'static str> = Optional "domainname",
        /// What is mounted, in this order.
        mounts: Vec<Mount> = Optional "mounts",
        /// Words of the caller's own, in their order.
        annotations: Vec<(&'static str, &'static str)> = Optional "annotations",
        /// Programs of the host's that are run at moments of the container's life.
        hooks: Option<Hooks> = Optional "hooks",
        /// What is particular to Linux.
        linux: Option<Linux> = Optional "linux",
    }

    /// Programs of the host's, by the moment when they are run.
    pub struct Hooks {
        /// When the namespaces and mounts are made, in the runtime's namespaces. Kept for those who know nothing newer.
        prestart: Vec<Hook> = Optional "prestart",
        /// The same.
        create_runtime: Vec<Hook> = Optional "createRuntime",
        /// The same, in the container's namespaces.
        create_container: Vec<Hook> = Optional "createContainer",
        /// Just before the workload is executed, in the container, whose files they are.
        start_container: Vec<Hook> = Optional "startContainer",
        /// When the workload has been executed.
        poststart: Vec<Hook> = Optional "poststart",
        /// When the container has been deleted.
        poststop: Vec<Hook> = Optional "poststop",
    }

    /// A program that is run at a moment of the container's life.
    pub struct Hook {
        /// The file, absolute.
        path: &'static str = Required "path",
        /// Its arguments, its name first.
        args: Vec<&'static str> = Optional "args",
        /// Its environment.
        env: Vec<&'static str> = Optional "env",
        /// After how many seconds it is given up.
        timeout: Option<i64> = Optional "timeout",
    }

    /// The root filesystem.
    pub struct Root {
        /// Its directory, absolute or relative to the bundle.
        path: &'static str = Required "path",
        /// Whether the container may not write to it.
        readonly: bool = Optional "readonly",
    }

    /// A mount below the root.
    pub struct Mount {
        /// Where, as seen from inside the container.
        destination: &'static str = Required "destination",
        /// The filesystem type; a bind mount has none or `bind`, since its options say what it is.
        kind: Option<&'static str> = Optional "type",
        /// The device, the name, or for a bind mount the file or directory, absolute or relative to the bundle.
        source: Option<&'static str> = Optional "source",
        /// Flags and data as in `mount(8)`.
        options: Vec<&'static str> = Optional "options",
        /// For an id-mapped mount: which user IDs of the filesystem appear as which.
        uid_mappings: Vec<IdMapping> = Optional "uidMappings",
        /// The same for group IDs.
        gid_mappings: Vec<IdMapping> = Optional "gidMappings",
    }

    /// A range of user or group IDs: a line of `/proc/PID/uid_map`, see `user_namespaces(7)`.
    pub struct IdMapping {
        /// The first ID inside.
        container_id: u32 = Required "containerID",
        /// The first ID outside.
        host_id: u32 = Required "hostID",
        /// How many IDs.
        size: u32 = Required "size",
    }
}
