//! Profiles in docker's form, for `--security-opt seccomp=FILE`: rules that ask for capabilities, architectures and kernels
//! become a specification's `linux.seccomp` for a container and a kernel.
//!
//! # Source
//! `profiles/seccomp/seccomp.go` of moby, as documented in docker's manual, "Seccomp security profiles for Docker".

use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::version::version;
use crate::kernel::security::caps;

/// What docker calls this processor.
const ARCH: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "arm"
};
/// And its architecture in a profile.
const NATIVE: &str = if cfg!(target_arch = "x86_64") {
    "SCMP_ARCH_X86_64"
} else if cfg!(target_arch = "aarch64") {
    "SCMP_ARCH_AARCH64"
} else if cfg!(target_arch = "riscv64") {
    "SCMP_ARCH_RISCV64"
} else {
    "SCMP_ARCH_ARM"
};

fn texts(of: Option<&Value>) -> impl Iterator<Item = &'static str> {
    of.and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str)
}

/// Whether a rule is for a container with these capabilities on this kernel.
fn is_here(rule: &Value, capabilities: u64, kernel: &str) -> bool {
    let held = |name: &str| caps::number(name).is_some_and(|number| capabilities & 1 << number != 0);
    let part = |part, member| rule.at(&[part, member]);
    let least = |name| part(name, "minKernel").and_then(Value::as_str).map(|least| version(kernel) >= version(least));
    let named = |name| texts(part(name, "arches")).any(|arch| arch == ARCH);
    let any = texts(part("includes", "arches")).next().is_none();
    !named("excludes")
        && !texts(part("excludes", "caps")).any(held)
        && least("excludes") != Some(true)
        && (any || named("includes"))
        && texts(part("includes", "caps")).all(held)
        && least("includes") != Some(false)
}

/// The `linux.seccomp` that a profile comes to, for a container with these capabilities and a kernel of this release, with members
/// of the profile that this has none of.
///
/// # Errors
/// What is no profile.
pub fn resolve(profile: &Value, capabilities: u64, kernel: &str) -> Result<Value> {
    if profile.get("defaultAction").is_none() {
        return Err(Error::new(phrase!("the profile has no defaultAction")));
    }
    let list = |name| profile.get(name).and_then(Value::as_array).unwrap_or_default();
    let mut seccomp = profile.clone();
    for map in list("archMap") {
        if map.get("architecture").and_then(Value::as_str) == Some(NATIVE) {
            let mut all = [NATIVE].to_vec();
            all.extend(texts(map.get("subArchitectures")));
            seccomp.set("architectures", Value::texts(&all, ""));
        }
    }
    let mut calls = Vec::new();
    for rule in list("syscalls") {
        if is_here(rule, capabilities, kernel) {
            let mut call = rule.clone();
            // The older form has one name.
            if let Some(name) = rule.get("name").and_then(Value::as_str) {
                call.set("names", Value::texts(&[name], ""));
            }
            calls.push(call);
        }
    }
    seccomp.set("syscalls", calls.into());
    Ok(seccomp)
}
