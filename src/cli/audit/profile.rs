//! Seccomp profiles of what was recorded: all else fails with `EPERM`, and what no table knows with `ENOSYS`.
//!
//! # Source
//! `config-linux.md` of the runtime specification, "Seccomp"; docker's default profile, for what it lets pass of clone(2).

use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::sort::sort;
use crate::base::text::{Cut, decimal_u64};
use crate::kernel::security::seccomp::names::ARCHITECTURES;

/// The flags of clone(2) that make namespaces: `CLONE_NEW*`, but for that of time, which are bits of the signal there.
const NAMESPACES: u64 = 0x7e02_0000;

/// The profile under which what was recorded is all that can be done.
pub(super) fn of(record: &Value) -> Value {
    let mut names = Vec::new();
    let mut architectures = Vec::new();
    architectures.extend(ARCHITECTURES.parts(b' ').next());
    for call in list(record, "Calls") {
        let number = |member| call.get(member).and_then(Value::as_u64).unwrap_or(0);
        let text = |member| call.get(member).and_then(Value::as_str).unwrap_or_default();
        let name = text("Name");
        if number("Refused") >= number("Count") || decimal_u64(name).is_some() {
            continue;
        }
        add(&mut names, name);
        if !text("Architecture").is_empty() {
            add(&mut architectures, text("Architecture"));
        }
    }
    let mut rules = Vec::new();
    let makes = record.get("MakesNamespaces").and_then(Value::as_bool) == Some(true);
    if !makes && let Some(place) = names.iter().position(|name| *name == "clone") {
        names.remove(place);
        let mut condition = Value::default();
        condition.set("index", 0u64.into());
        condition.set("value", NAMESPACES.into());
        condition.set("valueTwo", 0u64.into());
        condition.text("op", "SCMP_CMP_MASKED_EQ");
        rules.push(rule(&["clone"], &[condition]));
    }
    rules.insert(0, rule(&names, &[]));
    whole(&architectures, rules)
}

/// The profile under which these calls of this processor's own are all that can be made.
pub(in crate::cli) fn allowing(names: &[&'static str]) -> Value {
    let architectures: Vec<&str> = ARCHITECTURES.parts(b' ').take(1).collect();
    whole(&architectures, [rule(names, &[])].to_vec())
}

/// The profile that allows what one of these does, and refuses the rest.
///
/// # Errors
/// One of them allows what it does not name.
pub(super) fn united(profiles: &[Value]) -> Result<Value> {
    let (mut names, mut architectures, mut conditional) = (Vec::new(), Vec::new(), Vec::new());
    for profile in profiles {
        let default = profile.get("defaultAction").and_then(Value::as_str).unwrap_or_default();
        if default != "SCMP_ACT_ERRNO" {
            return Err(Error::new(say!("a profile's defaultAction is {}", default)).hint(phrase!(
                "profiles can be united whose defaultAction is SCMP_ACT_ERRNO, as those that vial audit writes"
            )));
        }
        let texts =
            |of: &Value, member| -> Vec<&'static str> { list(of, member).iter().filter_map(Value::as_str).collect() };
        for architecture in texts(profile, "architectures") {
            add(&mut architectures, architecture.strip_prefix("SCMP_ARCH_").unwrap_or(architecture));
        }
        for call in list(profile, "syscalls") {
            let is_allowed = call.get("action").and_then(Value::as_str) == Some("SCMP_ACT_ALLOW");
            if !is_allowed || ["includes", "excludes"].iter().any(|member| call.get(member).is_some()) {
                return Err(Error::new(phrase!(
                    "a profile has rules that are more than lists of calls that are allowed"
                ))
                .hint(phrase!("profiles can be united whose rules have names, args and the action SCMP_ACT_ALLOW")));
            }
            let args = list(call, "args");
            for name in texts(call, "names") {
                if args.is_empty() {
                    add(&mut names, name);
                } else {
                    let rule = rule(&[name], args);
                    if !conditional.contains(&(name, rule.clone())) {
                        conditional.push((name, rule));
                    }
                }
            }
        }
    }
    let mut rules = Vec::from([rule(&names, &[])]);
    rules.extend(conditional.into_iter().filter(|(name, _)| !names.contains(name)).map(|(_, rule)| rule));
    Ok(whole(&architectures, rules))
}

fn whole(architectures: &[&str], rules: Vec<Value>) -> Value {
    let mut profile = Value::default();
    profile.text("defaultAction", "SCMP_ACT_ERRNO");
    profile.set("architectures", Value::texts(architectures, "SCMP_ARCH_"));
    profile.set("syscalls", rules.into());
    profile
}

fn rule(names: &[&'static str], args: &[Value]) -> Value {
    let mut names = Vec::from(names);
    sort(&mut names, |one, other| one < other);
    let mut rule = Value::default();
    rule.set("names", Value::texts(&names, ""));
    rule.text("action", "SCMP_ACT_ALLOW");
    if !args.is_empty() {
        rule.set("args", args.to_vec().into());
    }
    rule
}

pub(super) fn list<'a>(of: &'a Value, member: &str) -> &'a [Value] {
    of.get(member).and_then(Value::as_array).unwrap_or_default()
}

fn add(list: &mut Vec<&'static str>, name: &'static str) {
    if !list.contains(&name) {
        list.push(name);
    }
}
