//! Capabilities, and what else confines a container.

use alloc::vec::Vec;

use super::{Read, RunOptions, conflict, find};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;
use crate::cli::parse::Given;
use crate::container::launch;
use crate::kernel::security::{caps, landlock};
use crate::sys::cold::Gate;

/// What `--security-opt` asks for, as far as the specification has no place for it.
#[derive(Default)]
pub struct Asked<'a> {
    /// The seccomp profile: `default`, `unconfined` or a file; empty if nothing is said.
    pub seccomp: &'a str,
    /// Paths to hide besides.
    pub mask: Vec<&'a str>,
    /// Paths not to hide and not to make read-only; a star at the end stands for anything, and alone for all.
    pub unmask: Vec<&'a str>,
}

impl<'a> RunOptions<'a> {
    /// The capabilities that the flags make of the default ones.
    #[must_use]
    pub fn capabilities(&self) -> u64 {
        if self.parsed.on(Id::RunPrivileged) {
            caps::ALL
        } else {
            caps::tweak(caps::DEFAULT, self.cap_add, self.cap_drop)
        }
    }

    pub(super) fn check_capabilities(&self) -> Result<()> {
        if self.cap_add == caps::ALL && self.cap_drop == caps::ALL {
            return Err(conflict("cap-add", "cap-drop", phrase!("both name ALL"), phrase!("ALL for one of them")));
        }
        Ok(())
    }

    /// `--security-opt` and `--landlock`.
    pub(super) fn confinement(&mut self, id: Id, text: &'a str) -> Result<Read<&'static str>> {
        Ok(COLD_GATE_SELDOM.open()?(self, id, text))
    }
}

/// Takes in what is asked for.
type Take = for<'o, 'a> fn(&'o mut RunOptions<'a>, Id, &'a str) -> Read<&'static str>;

static COLD_GATE_SELDOM: Gate<Take> = Gate(take);

/// `NAME=VALUE` or, as docker once had it, `NAME:VALUE`; rules of Landlock are noted one behind the other.
fn take<'a>(options: &mut RunOptions<'a>, id: Id, text: &'a str) -> Read<&'static str> {
    let (asked, spec) = (&mut options.security, options.spec.get_mut());
    if id == Id::Landlock {
        if !landlock::rules(text).all(|rule| rule.is_some()) {
            return Err(phrase!("not a list of ro: or rw: and absolute paths"));
        }
        let noted = find(spec, "annotations").member(launch::LANDLOCK);
        *noted = match noted.as_str() {
            Some(before) => join!("{},{}", before, text).into(),
            None => keep::copy(text).into(),
        };
        return Ok("");
    }
    let end = text.bytes().position(|byte| matches!(byte, b'=' | b':'));
    let (name, value) = end.map_or((text, None), |end| (&text[..end], Some(&text[end + 1..])));
    let fits = match (name, value) {
        ("no-new-privileges", _) => {
            let Some(on) = value.map_or(Some(true), text::boolean) else {
                return Err(phrase!("neither true nor false"));
            };
            *find(spec, "process noNewPrivileges") = if on { true.into() } else { Value::Null };
            true
        }
        ("seccomp", Some(value)) => {
            asked.seccomp = if value == "builtin" { "default" } else { value };
            !value.is_empty()
        }
        ("apparmor", Some(value)) => {
            let profile = if value == "unconfined" { Value::Null } else { keep::copy(value).into() };
            *find(spec, "process apparmorProfile") = profile;
            !value.is_empty()
        }
        // None is set unless it is asked for.
        ("label", Some("disable")) => {
            *find(spec, "process selinuxLabel") = Value::Null;
            *find(spec, "linux mountLabel") = Value::Null;
            true
        }
        ("label", Some(value)) => {
            let (part, word) = value.cut(b':').unwrap_or((value, ""));
            let Some(part) = text::place("user role type level filetype", part) else {
                return Err(phrase!("neither disable nor user:, role:, type:, level: or filetype:"));
            };
            // The types that policies have for containers, and for their files; both have the same level.
            let (of_process, of_files) = (if part == 4 { 5 } else { part }, if part < 3 { 5 } else { part });
            label(find(spec, "process selinuxLabel"), "system_u:system_r:container_t:s0", of_process, word);
            label(find(spec, "linux mountLabel"), "system_u:object_r:container_file_t:s0", of_files, word);
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:,-".contains(&byte))
        }
        ("systempaths", Some("unconfined")) | ("unmask", Some("ALL" | "all")) => {
            asked.unmask.push("*");
            true
        }
        ("mask" | "unmask", Some(value)) => {
            let list = if name == "mask" { &mut asked.mask } else { &mut asked.unmask };
            let mut fits = true;
            for path in value.parts(b':') {
                fits &= path.starts_with('/');
                list.push(path);
            }
            fits
        }
        _ => return Err(phrase!("no such option")),
    };
    if fits { Ok("") } else { Err(phrase!("no value, or not an absolute path")) }
}

/// Puts a word in the place of a part of a label: user, role, type, level. What is asked for first begins with the usual one.
fn label(value: &mut Value, usual: &'static str, part: usize, word: &str) {
    let whole = value.as_str().unwrap_or(usual);
    let mut parts = whole.splitn(4, ':').collect::<Vec<_>>();
    // A file type is a type, but of files.
    if let Some(place) = parts.get_mut(if part == 4 { 2 } else { part }) {
        *place = word;
    }
    *value = keep::copy(&parts.join(":")).into();
}

/// Adds the bit of a capability, all for `ALL`, to a set.
#[inline(never)]
pub(super) fn capability(name: &str, set: &mut u64) -> Read<&'static str> {
    *set |= match &*name.to_ascii_uppercase() {
        "ALL" => caps::ALL,
        name => 1 << caps::number(name).ok_or(phrase!("no such capability"))?,
    };
    Ok("")
}

/// The capability that was probably meant.
pub(super) fn nearest(given: &Given<'_>) -> Option<&'static str> {
    text::nearest(&keep::lossy(given.value).to_ascii_uppercase(), &mut caps::names())
}
