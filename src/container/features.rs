//! What vial knows of the runtime specification, as `vial oci features` tells engines: from the tables by which it is read.
//!
//! # Source
//! `features.md` and `features-linux.md` of the runtime specification.

use alloc::vec::Vec;

use super::check::{HOOKS, VERSIONS};
use super::plan::rare::{MODE_FLAGS, MODES};
use super::spec::NamespaceKind;
use crate::base::json::{Value, object};
use crate::base::text::Cut;
use crate::kernel::mounts;
use crate::kernel::security::{caps, seccomp};
use crate::sys::security;

/// Whether containers' control groups can be systemd's units: the system's, and those of users.
pub const SYSTEMD: [bool; 2] = [true, true];
/// Whether `process.selinuxLabel` and `linux.mountLabel` have an effect.
pub const SELINUX: bool = true;

/// Words with something before each, in alphabetical order.
fn sorted<'a>(words: impl Iterator<Item = &'a str>, before: &str) -> Value {
    let mut words: Vec<&str> = words.collect();
    crate::base::sort::sort(&mut words, |one, other| one < other);
    Value::texts(&words, before)
}

fn enabled(is: bool) -> Value {
    object([("enabled", is.into())])
}

/// The document.
#[must_use]
pub fn features() -> Value {
    let [actions, operators, architectures, flags] = seccomp::known();
    let supported: Vec<&str> =
        flags.iter().copied().filter(|flag| seccomp::flag(flag).is_some_and(security::seccomp_knows)).collect();
    let names = |list: &[&'static str]| sorted(list.iter().copied(), "");
    let [systemd, systemd_user] = SYSTEMD;
    let linux = object([
        ("namespaces", sorted(NamespaceKind::ALL.iter().map(|kind| kind.name()), "")),
        ("capabilities", Value::texts(&caps::names().collect::<Vec<_>>(), "CAP_")),
        (
            "cgroup",
            object([
                ("v1", true.into()),
                ("v2", true.into()),
                ("systemd", systemd.into()),
                ("systemdUser", systemd_user.into()),
                ("rdma", true.into()),
            ]),
        ),
        (
            "seccomp",
            object([
                ("enabled", true.into()),
                ("actions", names(&actions)),
                ("operators", names(&operators)),
                ("archs", names(&architectures)),
                ("knownFlags", names(&flags)),
                ("supportedFlags", names(&supported)),
            ]),
        ),
        ("apparmor", enabled(true)),
        ("selinux", enabled(SELINUX)),
        ("intelRdt", object([("enabled", true.into()), ("schemata", true.into()), ("monitoring", true.into())])),
        (
            "memoryPolicy",
            object([("modes", sorted(MODES.words(), "MPOL_")), ("flags", sorted(MODE_FLAGS.words(), "MPOL_F_"))]),
        ),
        ("mountExtensions", object([("idmap", enabled(true))])),
        ("netDevices", enabled(true)),
    ]);
    object([
        ("ociVersionMin", VERSIONS[0].into()),
        ("ociVersionMax", VERSIONS[1].into()),
        ("hooks", Value::texts(&HOOKS.words().collect::<Vec<_>>(), "")),
        ("mountOptions", sorted(mounts::option_names(), "")),
        ("linux", linux),
        ("annotations", object([("vial.version", env!("CARGO_PKG_VERSION").into())])),
        // Those of vial's own count in its own bundles only.
        ("potentiallyUnsafeConfigAnnotations", Value::array()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn texts(value: &Value, path: &[&str]) -> Vec<&'static str> {
        value.at(path).and_then(Value::as_array).expect("a list").iter().filter_map(Value::as_str).collect()
    }

    #[test]
    fn features_have_what_the_specification_names_and_nothing_twice() {
        let features = features();
        let text = features.to_compact();
        let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(theirs["ociVersionMax"], "1.3.0");
        for (path, least) in [
            (&["hooks"][..], 6),
            (&["mountOptions"], 64),
            (&["linux", "namespaces"], 8),
            (&["linux", "capabilities"], 41),
            (&["linux", "seccomp", "actions"], 9),
            (&["linux", "seccomp", "operators"], 7),
            (&["linux", "seccomp", "knownFlags"], 4),
            (&["linux", "memoryPolicy", "modes"], 7),
        ] {
            let mut list = texts(&features, path);
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), least, "{path:?}: {list:?}");
        }
        assert!(texts(&features, &["linux", "capabilities"]).contains(&"CAP_NET_ADMIN"));
        let known = texts(&features, &["linux", "seccomp", "knownFlags"]);
        assert!(texts(&features, &["linux", "seccomp", "supportedFlags"]).iter().all(|flag| known.contains(flag)));
        let missing: Vec<String> =
            ["rro", "rrw", "idmap", "ridmap", "tmpcopyup", "nosymfollow", "rnosymfollow", "lazytime"]
                .iter()
                .filter(|name| !texts(&features, &["mountOptions"]).contains(name))
                .map(|name| String::from(*name))
                .collect();
        assert_eq!(missing, [""; 0]);
    }
}
