//! `vial oci spec`: a specification to begin with, as other runtimes write it.

use super::super::context::Context;
use super::super::flags::Id;
use super::given;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::container::defaults;
use crate::sys::fd::CWD;
use crate::sys::{because, file, process};

/// What runs in it.
const PROCESS: &str = r#"{"terminal":true,"user":{"uid":0,"gid":0},"args":["sh"],
"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","TERM=xterm"],"cwd":"/",
"capabilities":{"bounding":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],
"effective":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],
"permitted":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"]},
"rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}],"noNewPrivileges":true}"#;

/// A user namespace, and the system's kernel objects by a bind mount: only who owns a network namespace may mount them anew.
const SYS: &str =
    r#"{"destination":"/sys","type":"none","source":"/sys","options":["rbind","nosuid","noexec","nodev","ro"]}"#;

/// Writes `config.json`.
///
/// # Errors
/// There is one already.
pub(super) fn write(context: &Context<'static>) -> Result<u8> {
    let bundle = given(context.parsed, Id::SpecBundle).unwrap_or(".");
    let document = document(context.parsed.on(Id::SpecRootless));
    let _why = because!("write a specification to begin with");
    let path = file::path(join!("{}/config.json", bundle))?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
    let opened = file::create(CWD, path, flags, 0o666).map_err(|error| match error.errno() {
        Errno::EEXIST => {
            Error::new(say!("{}/config.json exists", bundle)).hint(phrase!("remove it first, or give another --bundle"))
        }
        _ => error.option("--bundle").hint(phrase!("accepted: a directory that is there")),
    })?;
    file::write_all(opened.by_ref(), join!("{}\n", document.to_pretty()).as_bytes()).inspect_err(|_| {
        // Half of it would be nobody's.
        let _ = file::unlink(CWD, path);
    })?;
    Ok(0)
}

/// What every container of vial's has, without what vial makes for each of them.
fn document(rootless: bool) -> Value {
    let known = |text: &str| json::parse(text.as_bytes()).unwrap_or_default();
    let mut document = defaults::document();
    document.set("process", known(PROCESS));
    document.member("root").set("readonly", true.into());
    document.text("hostname", "vial");
    if let Value::Array(mounts) = document.member("mounts") {
        mounts.retain(|mount| mount.get("type").and_then(Value::as_str) != Some("bind"));
        for mount in mounts.iter_mut() {
            let place = mount.get("destination").and_then(Value::as_str).unwrap_or_default();
            if rootless && place == "/sys" {
                *mount = known(SYS);
            }
            if let Value::Array(options) = mount.member("options") {
                if place == "/dev/shm" {
                    options.push("size=65536k".into());
                }
                // Nobody has that group there.
                options.retain(|option| !rootless || option.as_str() != Some("gid=5"));
            }
        }
    }
    let linux = document.member("linux");
    if let Value::Array(rules) = linux.member("resources").member("devices") {
        rules.truncate(1);
    }
    if rootless {
        linux.remove("resources");
        if let Value::Array(namespaces) = linux.member("namespaces") {
            namespaces.retain(|namespace| namespace.get("type").and_then(Value::as_str) != Some("network"));
            namespaces.push(known(r#"{"type":"user"}"#));
        }
        for (name, own) in [("uidMappings", process::geteuid()), ("gidMappings", process::getegid())] {
            let mut mapping = Value::Null;
            mapping.set("containerID", 0u32.into());
            mapping.set("hostID", own.into());
            mapping.set("size", 1u32.into());
            linux.set(name, alloc::vec![mapping].into());
        }
    }
    document
}
