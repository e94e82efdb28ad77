//! What the processes of a container are and use: from its control group, and from `/proc` where no hierarchy counts it.

use alloc::string::String;

use crate::base::text::{Cut, decimal_u64};
use crate::kernel::cgroup::{Group, sum};
use crate::sys::fd::CWD;
use crate::sys::{file, process};

/// The kernel's ticks in a second, as `/proc` counts (`USER_HZ`): 100 on every architecture that vial is built for.
pub const TICKS: u64 = 100;
/// Longest file that is read here.
const LIMIT: usize = 4 << 20;

/// A file below `/proc`; nothing if it can't be read, say because the process is gone. Its path is given back: this is read
/// every second for as long as the user likes.
#[must_use]
pub fn read_proc(pid: &str, name: &str) -> String {
    let path = ["/proc/", pid, "/", name].concat();
    let read = || file::read_file(CWD, &file::owned_path(path.as_bytes())?, LIMIT);
    read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Some of `proc_pid_stat(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process<'a> {
    /// The short name.
    pub name: &'a str,
    /// Whether it has ended, and nobody has waited for it yet.
    pub zombie: bool,
    /// Whether it is about to end (`PF_EXITING`, `linux/sched.h`).
    pub exiting: bool,
    /// The parent.
    pub parent: u64,
    /// The controlling terminal's device number; 0 for none.
    pub terminal: u64,
    /// Ticks of processor time.
    pub ticks: u64,
    /// Ticks of children that it waited for.
    pub children: u64,
    /// Threads.
    pub threads: u64,
    /// When it began, in ticks since the machine did.
    pub began: u64,
}

impl Process<'_> {
    /// Reads the text of `/proc/PID/stat`; `None` if it is none.
    #[must_use]
    pub fn parse(stat: &str) -> Option<Process<'_>> {
        // The name may hold anything.
        let (front, rest) = stat.cut_last(b')')?;
        let (_, name) = front.cut(b'(')?;
        // From the third field on: the state, which is not a number, and below zero are only numbers of no interest here.
        let mut fields = [0; 23];
        let mut words = rest.words();
        let zombie = matches!(words.next()?, "Z" | "X");
        for field in &mut fields[4..] {
            *field = decimal_u64(words.next()?.trim_start_matches('-'))?;
        }
        Some(Process {
            name,
            zombie,
            exiting: fields[9] & 4 != 0,
            parent: fields[4],
            terminal: fields[7],
            ticks: fields[14].saturating_add(fields[15]),
            children: fields[16].saturating_add(fields[17]),
            threads: fields[20],
            began: fields[22],
        })
    }
}

/// What a container uses at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// When: nanoseconds of a clock that only goes forward.
    pub at: u64,
    /// Nanoseconds of processor time since the beginning.
    pub cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// How many it may use.
    pub limit: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from and written to block devices.
    pub block: [u64; 2],
    /// Bytes received and sent.
    pub network: [u64; 2],
}

impl Sample {
    /// Looks at a container's group and first process. `network` tells that it has interfaces of its own.
    #[must_use]
    pub fn take(group: &Group, pid: u32, network: bool) -> Sample {
        let usage = group.usage();
        let now = process::clock(libc::CLOCK_MONOTONIC);
        let mut sample = Sample { at: now.secs as u64 * 1_000_000_000 + u64::from(now.nanos), ..Sample::default() };
        if usage.cpu.and(usage.memory).and(usage.pids).and(usage.read).is_none() {
            sample.add_processes(&group.processes().unwrap_or_default());
        }
        sample.cpu = usage.cpu.unwrap_or(sample.cpu);
        sample.memory = usage.memory.unwrap_or(sample.memory);
        sample.limit = usage.limit.unwrap_or(u64::MAX).min(kilobytes(&read_proc(".", "meminfo"), "MemTotal:"));
        sample.pids = usage.pids.unwrap_or(sample.pids);
        if let (Some(read), Some(written)) = (usage.read, usage.written) {
            sample.block = [read, written];
        }
        if network {
            sample.network = traffic(&read_proc(&alloc::format!("{pid}"), "net/dev"));
        }
        sample
    }

    /// Counts what processes use. Memory that several share counts in parts; what ended counts with who waited for it.
    fn add_processes(&mut self, pids: &[u32]) {
        for pid in pids {
            let pid = alloc::format!("{pid}");
            if let Some(process) = Process::parse(&read_proc(&pid, "stat")) {
                self.cpu += (process.ticks + process.children) * (1_000_000_000 / TICKS);
                self.pids += process.threads;
            }
            self.memory += kilobytes(&read_proc(&pid, "smaps_rollup"), "Pss:");
            let io = read_proc(&pid, "io");
            self.block[0] += sum(&io, "read_bytes:").unwrap_or(0);
            self.block[1] += sum(&io, "write_bytes:").unwrap_or(0);
        }
    }
}

/// A line of so many kB, in bytes.
fn kilobytes(text: &str, key: &str) -> u64 {
    sum(text, key).unwrap_or(0).saturating_mul(1024)
}

/// Bytes received and sent by all interfaces but the loopback, out of `/proc/PID/net/dev`: `proc_pid_net(5)`.
#[must_use]
pub fn traffic(table: &str) -> [u64; 2] {
    let mut total = [0u64; 2];
    for line in table.parts(b'\n') {
        let Some((_, counters)) = line.cut(b':').filter(|(name, _)| name.trim_ascii() != "lo") else { continue };
        // The headings have no colon; 8 columns for what was received go before those for what was sent.
        let column = |at: usize| counters.words().nth(at).and_then(decimal_u64).unwrap_or(0);
        total = [total[0].saturating_add(column(0)), total[1].saturating_add(column(8))];
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat =
            "7 (a) S 1 (b) S 6 7 7 34816 9 4194560 100 0 0 0 11 22 3 4 20 0 5 0 999 1000 10 18446744073709551615 0\n";
        let process = Process::parse(stat).unwrap();
        assert_eq!(process.name, "a) S 1 (b");
        assert_eq!((process.parent, process.terminal, process.threads, process.began), (6, 34816, 5, 999));
        assert_eq!((process.ticks, process.children), (33, 7));
        assert_eq!(Process::parse(""), None);
        assert_eq!(Process::parse("7 (a) S 1"), None);
        let stat = read_proc("self", "stat");
        let own = Process::parse(&stat).unwrap();
        assert_eq!(own.parent, u64::from(process::getppid()));
        assert!(own.threads > 0 && own.began > 0);
    }

    #[test]
    fn traffic_is_that_of_all_interfaces_but_the_loopback() {
        let table = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000       5    0    0    0     0          0         0     1000       5    0    0    0     0       0          0
  eth0:    12       5    0    0    0     0          0         0     34       5    0    0    0     0       0          0
 eth1:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
";
        assert_eq!(traffic(table), [17, 40]);
        assert_eq!(traffic(""), [0, 0]);
    }

    #[test]
    fn kilobytes_become_bytes() {
        assert_eq!(kilobytes("Rss:   9 kB\nPss:          12 kB\nPss_Anon: 3 kB\n", "Pss:"), 12 << 10);
    }
}
