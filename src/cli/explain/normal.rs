//! Calls in a form in which two runs of the same command are the same: what differs between any two is named, not told.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::text::{decimal_u64, is_among};
use crate::container::bundle;
use crate::image::manifest::is_id;

/// How much of a string the ledger tells; of longer ones it tells the beginning.
const SHOWN: usize = 120;
/// The most that a number or a name of the run's own is long: what stands behind it in a string that was cut is at another place in
/// each run, so places are counted as if all were as long as this.
const WIDTH: usize = 20;

/// What a run calls its own.
#[derive(Default)]
pub(super) struct Known {
    /// Container IDs, of 64 digits.
    pub ids: Vec<&'static str>,
    /// Process IDs.
    pub pids: Vec<u64>,
    /// The file that the ledger is written to, in quotes, if it is one.
    pub place: &'static str,
}

/// A call as the ledger has it.
pub(super) struct Call<'a> {
    pub name: &'a str,
    pub args: &'a [&'static str],
    pub result: &'a str,
}

impl Known {
    /// Learns from a call.
    #[inline(never)]
    pub fn learn(&mut self, call: &Call<'_>) {
        for arg in call.args {
            let mut rest = *arg;
            while !rest.is_empty() {
                let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
                let word = rest.get(..length).unwrap_or_default();
                if is_id(word) && !self.ids.contains(&word) {
                    self.ids.push(word);
                }
                let next = rest.bytes().skip(length).take_while(|byte| !byte.is_ascii_alphanumeric()).count();
                rest = rest.get(length + next..).unwrap_or_default();
            }
        }
        if is_among("clone clone3 getpid getppid setsid", call.name) {
            self.learn_pid(decimal_u64(call.result).unwrap_or(0));
        }
    }

    /// Learns a process ID; 0 is none.
    pub fn learn_pid(&mut self, pid: u64) {
        if pid > 0 && !self.pids.contains(&pid) {
            self.pids.push(pid);
        }
    }

    /// The call, with names for what is the run's own.
    #[inline(never)]
    pub fn text(&self, call: &Call<'_>) -> String {
        let mut out = String::from(call.name);
        out.push('(');
        // Whether what is written or read has a length of the run's own; messages to the kernel have names in them, which are not told.
        let mut varies = call.name == "sendto" || is_among(READS, call.name);
        for (at, arg) in call.args.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            if arg.starts_with(['"', '[']) {
                varies |= self.string(arg, &mut out) && is_among("write sethostname", call.name);
            } else {
                let is_length = varies && at == 2 && !is_among(READS, call.name);
                out.push_str(if is_length { "<length>" } else { self.number(call.name, at, arg) });
            }
        }
        out.push_str(") = ");
        let has_failed = call.result.starts_with('-') || matches!(call.result, "0" | "?");
        out.push_str(if has_failed {
            call.result
        } else if is_among("mmap mmap2 mremap", call.name) {
            "<address>"
        } else if call.name == "keyctl" {
            "<key>"
        } else if varies {
            "<length>"
        } else if is_among("getpid getppid clone clone3 wait4 setsid", call.name) {
            self.pid(call.result)
        } else {
            call.result
        });
        out
    }

    /// An argument that is no string.
    #[inline(never)]
    fn number(&self, call: &str, at: usize, arg: &'static str) -> &'static str {
        if at > 0 {
            arg
        } else if is_among("mmap mmap2 munmap mprotect madvise mremap", call) && arg != "0x0" {
            "<address>"
        } else if is_among("wait4 kill pidfd_open process_vm_readv prlimit64 sched_setaffinity", call) {
            self.pid(arg)
        } else {
            arg
        }
    }

    /// A process ID, which may be one that the run did not choose: 0, -1, or 1 in a namespace.
    fn pid<'a>(&self, text: &'a str) -> &'a str {
        if decimal_u64(text).is_some_and(|pid| pid > 1 && self.pids.contains(&pid)) { "<pid>" } else { text }
    }

    /// A string in its quotes; whether something in it is the run's own, or it was cut.
    #[inline(never)]
    fn string(&self, text: &str, out: &mut String) -> bool {
        let is_cut = text.ends_with("\"...") && text.len() > SHOWN;
        let end = if is_cut { text.len() - 4 } else { text.len() };
        let (mut at, mut place, mut varies) = (0, 0, is_cut);
        // Behind a process ID comes when that process began, in files of vial's own.
        let mut behind_pid = false;
        while let Some(rest) = text.get(at..end).filter(|rest| !rest.is_empty()) {
            let length = rest.bytes().take_while(|byte| is_of_word(*byte)).count();
            let before = text.get(..at).unwrap_or_default();
            let word = rest.get(..length).unwrap_or_default();
            let (name, took) = if !self.place.is_empty() && rest.starts_with(self.place) {
                (Some("<ledger>"), self.place.len())
            } else if length == 0 {
                (None, rest.chars().next().map_or(1, char::len_utf8))
            } else if is_time(rest) {
                let inside = |byte: &u8| byte.is_ascii_digit() || b"T:.-+Z".contains(byte);
                (Some("<time>"), rest.bytes().take_while(inside).count())
            } else if let Some(name) = self.name(word) {
                (Some(name), length)
            } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
                let is_process = before.ends_with("/proc/");
                let is_pid = is_process || (length > 2 && self.pid(word) != word);
                let name = if is_pid { Some("<pid>") } else { Some("<time>").filter(|_| behind_pid) };
                behind_pid = is_pid && !is_process;
                (name, length)
            } else {
                (None, length)
            };
            varies |= name.is_some();
            place += match name {
                None | Some("<id>" | "<link>") => took,
                Some(_) => took.max(WIDTH),
            };
            // What the cut may have gone through, or would in another run, is not compared.
            if is_cut && place >= SHOWN {
                break;
            }
            out.push_str(name.unwrap_or_else(|| rest.get(..took).unwrap_or_default()));
            at += took;
        }
        if is_cut {
            out.push_str("...");
        }
        varies
    }

    /// What a word is called in all runs, if each run has another.
    #[inline(never)]
    fn name(&self, word: &str) -> Option<&'static str> {
        let begins = |digits: &str| self.ids.iter().any(|id| id.starts_with(digits));
        match word.len() {
            64 if is_id(word) => Some("<id>"),
            12 if begins(word) => Some("<id>"),
            // An interface at a bridge: of whose container, and made by which process.
            8.. if word.strip_prefix("vl").and_then(|rest| rest.get(..4)).is_some_and(begins) => Some("<link>"),
            _ if bundle::is_made_up(word) => Some("<name>"),
            _ => None,
        }
    }
}

/// Calls that read so much as there is.
const READS: &str = "read pread64 recvmsg recvfrom getdents64";

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a time of RFC 3339 begins here.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 10
        && bytes
            .iter()
            .zip(b"dddd-dd-ddT")
            .all(|(byte, like)| if *like == b'd' { byte.is_ascii_digit() } else { byte == like })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ids: &[&'static str], pids: &[u64]) -> Known {
        Known { ids: ids.to_vec(), pids: pids.to_vec(), place: "\"own.json\"" }
    }

    const ONE: &str = "5486946d628b6ff3c73f7f48aba1662c04fb627d8594a7227e1747cdebf43d2c";
    const DIGITS: &str = "503370041618b6ff3c73f7f48aba1662c04fb627d8594a7227e1747cdebf43d2";
    const OTHER: &str = "0eaa55352aa32f06683af31ac079eb203e33a2de82d4bc4f5f756dbc93d002ea";

    fn shown(known: &Known, name: &str, args: &[&str], result: &str) -> String {
        let args: Vec<&'static str> = args.iter().map(|arg| &*String::from(*arg).leak()).collect();
        known.text(&Call { name, args: &args, result })
    }

    #[test]
    fn what_is_the_runs_own_has_a_name() {
        let known = known(&[ONE, DIGITS], &[25483, 7]);
        for (name, args, result, expected) in [
            ("mkdirat", &["5", &format!("\"a/{ONE}/x\"")][..], "0", "mkdirat(5, \"a/<id>/x\") = 0"),
            ("write", &["11", "\"5486946d628b\\n\"", "13"], "13", "write(11, \"<id>\\n\", <length>) = <length>"),
            ("write", &["11", "\"5486946d628c\\n\"", "13"], "13", "write(11, \"5486946d628c\\n\", 13) = 13"),
            ("write", &["11", "\"503370041618\"", "12"], "12", "write(11, \"<id>\", <length>) = <length>"),
            (
                "write",
                &["3", "\"pid 25483,start 0\"", "17"],
                "17",
                "write(3, \"pid <pid>,start <time>\", <length>) = <length>",
            ),
            ("openat", &["AT_FDCWD", "\"/proc/25483/stat\""], "3", "openat(AT_FDCWD, \"/proc/<pid>/stat\") = 3"),
            ("openat", &["3", "\"/dev/pts/7\""], "7", "openat(3, \"/dev/pts/7\") = 7"),
            (
                "write",
                &["7", "\"relay 25483 4336947\\n\"", "21"],
                "21",
                "write(7, \"relay <pid> <time>\\n\", <length>) = <length>",
            ),
            ("write", &["7", "\"a 4336947\\n\"", "11"], "11", "write(7, \"a 4336947\\n\", 11) = 11"),
            ("symlinkat", &["\"x\"", "6", "\"noble_cork_94\""], "0", "symlinkat(\"x\", 6, \"<name>\") = 0"),
            ("symlinkat", &["\"x\"", "6", "\"data_set_94\""], "0", "symlinkat(\"x\", 6, \"data_set_94\") = 0"),
            ("wait4", &["25483", "...", "1", "NULL"], "25483", "wait4(<pid>, ..., 1, NULL) = <pid>"),
            ("clone", &["SIGCHLD"], "25483", "clone(SIGCHLD) = <pid>"),
            ("mmap", &["0x0", "4096"], "140480762904576", "mmap(0x0, 4096) = <address>"),
            ("munmap", &["0x7fc439f59000", "4096"], "0", "munmap(<address>, 4096) = 0"),
            (
                "execve",
                &["\"x\"", "[\"a\", \"own.json\", \"own.json.a\"]"],
                "0",
                "execve(\"x\", [\"a\", <ledger>, \"own.json.a\"]) = 0",
            ),
            ("sendto", &["14", "...", "296", "0"], "296", "sendto(14, ..., <length>, 0) = <length>"),
            ("keyctl", &["1", "0x0"], "1037218423", "keyctl(1, 0x0) = <key>"),
            ("keyctl", &["1", "0x0"], "-1 ENOSYS", "keyctl(1, 0x0) = -1 ENOSYS"),
            ("read", &["3", "...", "4096"], "161", "read(3, ..., 4096) = <length>"),
            ("read", &["3", "...", "4096"], "0", "read(3, ..., 4096) = 0"),
            (
                "write",
                &["3", "\"at 2026-11-28T09:41:09.5Z, x\"", "27"],
                "27",
                "write(3, \"at <time>, x\", <length>) = <length>",
            ),
        ] {
            assert_eq!(shown(&known, name, args, result), expected);
        }
    }

    /// Wherever the ledger cut it.
    #[test]
    fn strings_that_were_cut_are_the_same_as_far_as_both_tell() {
        let said = |id: &'static str, pid: u64, name: &str| {
            let known = known(&[id], &[pid]);
            let whole = format!(
                "netns {name}\\nrelay {pid} 43369{pid}\\nlink vl{}025509a at {id} with much behind it, and more",
                &id[..4]
            );
            let cut = format!("\"{}\"...", &whole[..120]);
            shown(&known, "write", &["3", &cut, "240"], "240")
        };
        let one = said(ONE, 25483, "noble_cork_94");
        assert_eq!(one, said(OTHER, 999, "kind_finch_55"));
        assert_eq!(one, said(OTHER, 4_194_303, "eager_pine_08"));
        assert!(
            one.starts_with("write(3, \"netns <name>\\nrelay <pid> <time>\\nlink <link> at ..., <length>"),
            "{one}"
        );
    }
}
