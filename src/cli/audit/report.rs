//! What was recorded, for people.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::flags::Id;
use super::super::output::columns;
use super::super::parse::Parsed;
use super::profile::list;
use crate::base::json::Value;

/// Where programs write for a while, and where a file system in memory does as well.
const PASSING: [&str; 4] = ["/tmp", "/run", "/var/run", "/var/tmp"];
/// What is in no image.
const MADE: [&str; 3] = ["/dev", "/proc", "/sys"];

/// The report.
pub(super) fn text(record: &Value, parsed: &Parsed<'_>) -> String {
    let mut out = String::new();
    let mut lines = String::from("CALL\tCOUNT\tREFUSED\tFIRST MADE BY\n");
    for call in list(record, "Calls") {
        let (name, architecture) = (field(call, "Name"), field(call, "Architecture"));
        let whose = if architecture.is_empty() { "" } else { join!(" ({})", architecture) };
        let refused = number(call, "Refused");
        let refused = if refused == 0 { "-" } else { join!("{}", refused) };
        lines.push_str(join!(
            "{}{}\t{}\t{}\t{} ({})\n",
            name,
            whose,
            number(call, "Count"),
            refused,
            field(call, "Process"),
            number(call, "Pid")
        ));
        for argument in list(call, "Arguments") {
            lines.push_str(join!("  {}\t{}\t\t\n", field(argument, "Argument"), number(argument, "Count")));
        }
    }
    columns(&mut out, &lines, 0);
    let files = list(record, "Files");
    if !files.is_empty() {
        out.push_str("\nUSE  FILE\n");
    }
    for file in files {
        for (letter, member) in [('r', "Read"), ('w', "Written"), ('x', "Executed")] {
            out.push(if is(file, member) { letter } else { '-' });
        }
        out.push_str(join!("  {}{}\n", field(file, "Path"), if is(file, "Missing") { "  (not there)" } else { "" }));
    }
    for (title, member) in [("LISTENS", "Bound"), ("CONNECTS", "Connected")] {
        let addresses: Vec<&str> = list(record, member).iter().filter_map(Value::as_str).collect();
        if !addresses.is_empty() {
            out.push_str(join!("\n{}\n{}\n", title, addresses.join("\n")));
        }
    }
    let capabilities = list(record, "Capabilities");
    if !capabilities.is_empty() {
        out.push_str("\nCAPABILITY\n");
    }
    for capability in capabilities {
        let (name, count) = (field(capability, "Name"), number(capability, "Count"));
        let given = if is(capability, "Granted") { "" } else { "  (it has not)" };
        out.push_str(join!("{}  {} times{}\n", name, count, given));
    }
    out.push_str("\nSUGGESTED\n");
    out.push_str(&suggested(record, parsed));
    out.push('\n');
    out
}

/// The options with which it could do no more than it did.
fn suggested(record: &Value, parsed: &Parsed<'_>) -> String {
    let mut out = String::from("--security-opt seccomp=");
    out.push_str(match parsed.text(Id::AuditProfile) {
        "" | "-" => "FILE",
        name => name,
    });
    let below =
        |path: &str, top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let written = list(record, "Files").iter().filter(|file| is(file, "Written")).map(|file| field(file, "Path"));
    let written = written.filter(|path| !MADE.iter().any(|top| below(path, top)));
    let (mut passing, mut lasting): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for path in written {
        let (list, place) = match PASSING.iter().find(|top| below(path, top)) {
            Some(top) => (&mut passing, *top),
            None => (&mut lasting, &path[..path.bytes().rposition(|byte| byte == b'/').unwrap_or(0).max(1)]),
        };
        if !list.contains(&place) {
            list.push(place);
        }
    }
    if record.get("Capabilities").is_some() {
        out.push_str(" --cap-drop ALL");
        for capability in list(record, "Capabilities") {
            if is(capability, "Granted") {
                out.push_str(join!(" --cap-add {}", field(capability, "Name")));
            }
        }
    }
    if list(record, "Files").is_empty() {
        return out;
    }
    out.push_str(" --read-only");
    for place in passing {
        out.push_str(join!(" --tmpfs {}", place));
    }
    for place in lasting {
        out.push_str(join!(" -v NAME:{}", place));
    }
    out
}

fn field(of: &Value, member: &str) -> &'static str {
    of.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn number(of: &Value, member: &str) -> u64 {
    of.get(member).and_then(Value::as_u64).unwrap_or(0)
}

fn is(of: &Value, member: &str) -> bool {
    of.get(member).and_then(Value::as_bool) == Some(true)
}
