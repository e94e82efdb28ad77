//! `vial top`: the processes in a container, as `ps -ef` shows them on the host.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::{output, pause};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::sort::sort;
use crate::base::text::{self, Cut, decimal_u64};
use crate::base::time::Timestamp;
use crate::container::usage::{Process, TICKS, read_proc};
use crate::kernel::program::Program;
use crate::sys::{because, fd, file, process};

/// docker's columns are at least this wide here.
const WIDTH: usize = 20;

/// Lists them by number. Times are in UTC.
pub(super) fn list(context: &Context<'static>) -> Result<u8> {
    let seen = pause::running(context, context.parsed.word(0))?;
    let _why = because!("look at the container's processes");
    let mut pids = seen.group().and_then(|group| group.processes()).unwrap_or_default();
    if pids.is_empty() {
        // On a host without control groups only the first is known for certain.
        pids.push(seen.state.pid);
    }
    show(context, pids)
}

/// The same of these processes. Words behind the first are options of ps(1).
pub(super) fn show(context: &Context<'static>, mut pids: Vec<u32>) -> Result<u8> {
    sort(&mut pids, |one, other| one < other);
    if context.parsed.positionals.len() > 1 {
        return of_ps(context, &pids);
    }
    let users = file::read_file(fd::CWD, c"/etc/passwd", 4 << 20).unwrap_or_default();
    let now = Now {
        time: process::clock(libc::CLOCK_REALTIME),
        up: process::clock(libc::CLOCK_BOOTTIME).secs as u64,
        users: keep::lossy(&users),
    };
    let mut lines = String::from("UID\tPID\tPPID\tC\tSTIME\tTTY\tTIME\tCMD\n");
    for pid in pids {
        // What ended meanwhile is left out.
        lines.push_str(now.row(join!("{}", pid)).unwrap_or_default());
    }
    let mut out = String::new();
    output::columns(&mut out, &lines, WIDTH);
    super::print(&out)?;
    Ok(0)
}

/// Prints what the host's ps(1) shows of processes with the user's options, as docker does.
#[inline(never)]
fn of_ps(context: &Context<'static>, pids: &[u32]) -> Result<u8> {
    let _why = because!("have ps show the container's processes");
    let mut list = String::new();
    for pid in pids {
        list.push_str(join!("{},", pid));
    }
    let options = context.args.len() + 1 - context.parsed.positionals.len();
    let mut args = context.args[options - 1..].to_vec();
    args[0] = c"ps";
    args.extend([c"-q", file::path(list.trim_end_matches(','))?]);
    let (answer, mut ps) = Program::start(&args, context.env, None)?;
    super::print(keep::lossy(&file::read_to_end(answer.by_ref(), 16 << 20)?))?;
    match ps.conclude() {
        Some(0) => Ok(0),
        Some(_) => Err(Error::new(phrase!("ps failed"))
            .hint(phrase!("accepted: options of a ps that knows -q, and what it can do together with -q"))),
        None => Err(Error::new(phrase!("options of ps need the program ps, and there is none in PATH"))
            .hint(phrase!("without options vial lists the processes itself"))),
    }
}

struct Now {
    time: Timestamp,
    /// Seconds since the machine started.
    up: u64,
    /// `/etc/passwd`.
    users: &'static str,
}

impl Now {
    /// A line, with tabs between its columns.
    fn row(&self, pid: &str) -> Option<&'static str> {
        let read = |name| -> &'static str { read_proc(pid, name).leak() };
        let process = Process::parse(read("stat"))?;
        // Real, effective, saved and file system user, proc_pid_status(5).
        let uid = read("status").parts(b'\n').find_map(|line| line.strip_prefix("Uid:"))?.words().nth(1)?;
        // Arguments end in zero bytes; a process without any has its name in brackets, as in ps(1).
        let command = text::printable(read("cmdline").trim_end_matches('\0'));
        let (began, used) = (process.began / TICKS, process.ticks / TICKS);
        let age = self.up.saturating_sub(began);
        let name = if command.is_empty() { join!("[{}]", process.name) } else { "" };
        Some(join!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}{}{}\n",
            user(self.users, uid),
            pid,
            process.parent,
            (used * 100).checked_div(age).unwrap_or(0).min(99),
            self.start(age),
            terminal(process.terminal),
            clock(used),
            command,
            name,
            (if process.zombie && command.is_empty() { " <defunct>" } else { "" }),
        ))
    }

    /// When something of this age began: the time of a day, or the day of a year.
    fn start(&self, age: u64) -> &'static str {
        let began = Timestamp { secs: self.time.secs - age as i64, nanos: 0 }.rfc3339();
        let now = self.time.rfc3339();
        let part = |range| began.get(range).unwrap_or_default();
        if began.get(..10) == now.get(..10) {
            return part(11..16);
        }
        if began.get(..4) != now.get(..4) {
            return part(0..4);
        }
        let names = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let month = decimal_u64(part(5..7)).unwrap_or(1) as usize * 3;
        join!("{}{}", names.get(month - 3..month).unwrap_or_default(), part(8..10))
    }
}

/// Processor time in seconds as `00:01:02`.
fn clock(used: u64) -> &'static str {
    let minutes = Timestamp { secs: (used % 3600) as i64, nanos: 0 }.rfc3339();
    join!("{}{}{}", (if used < 36_000 { "0" } else { "" }), used / 3600, minutes.get(13..19).unwrap_or_default())
}

/// A user's name by the text of `/etc/passwd`.
pub(super) fn name(users: &'static str, uid: &str) -> Option<&'static str> {
    let is_it = |line: &&str| line.parts(b':').nth(2) == Some(uid);
    users.parts(b'\n').find(is_it).and_then(|line| line.parts(b':').next())
}

/// A user's name, cut as ps(1) does, or number.
fn user<'a>(users: &'static str, uid: &'a str) -> &'a str {
    let name = name(users, uid).unwrap_or(uid);
    match name.get(..7) {
        Some(start) if name.len() > 8 => join!("{}+", start),
        _ => name,
    }
}

/// A terminal by its device number: `Documentation/admin-guide/devices.txt`.
fn terminal(device: u64) -> &'static str {
    // The kernel's `new_encode_dev` (`linux/kdev_t.h`).
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match (major, minor) {
        (136..=143, _) => join!("pts/{}", (major - 136) * 256 + minor),
        (4, 64..) => join!("ttyS{}", minor - 64),
        (4, _) => join!("tty{}", minor),
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_names() {
        for (device, name) in
            [(0, "?"), (34816, "pts/0"), (34821, "pts/5"), (1025, "tty1"), (1089, "ttyS1"), (0x10_8801, "pts/257")]
        {
            assert_eq!(terminal(device), name, "{device}");
        }
    }

    #[test]
    fn times_have_two_digits_each_and_hours_more() {
        for (used, text) in [(0, "00:00:00"), (3599, "00:59:59"), (36_061, "10:01:01"), (360_000, "100:00:00")] {
            assert_eq!(clock(used), text);
        }
    }

    #[test]
    fn users_have_names_of_eight_letters() {
        let users = "root:x:0:0::/:/bin/sh\nmessagebus:x:101:1::/:\nabcdefgh:x:7:7::/:\n";
        assert_eq!(["0", "101", "7", "55"].map(|uid| user(users, uid)), ["root", "message+", "abcdefgh", "55"]);
    }

    #[test]
    fn the_start_is_a_time_today_and_a_day_before() {
        let time = Timestamp::parse("2026-03-02T10:20:30Z").unwrap();
        let now = Now { time, up: 0, users: "" };
        let began = [0, 3600, 86400, 86400 * 30, 86400 * 90].map(|age| now.start(age));
        assert_eq!(began, ["10:20", "09:20", "Mar01", "Jan31", "2025"]);
    }
}
