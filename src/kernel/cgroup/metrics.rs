//! All that the hierarchies count of a group, as JSON in the shape of runc's `events`, which engines read.
//!
//! This is written again and again for as long as somebody reads it, so nothing of it stays.

use alloc::string::String;
use core::fmt::Write;

use super::files::read;
use super::group::Group;
use super::usage::sum;
use crate::base::text::{Cut, decimal_u64};
use crate::sys::{fd::CWD, file};

/// A line for each number: its name, v1's file and the word before the number there, and the same for v2. A dash stands for a
/// file that is not there, and for a number that stands alone; a plus adds two files up. Instead of the word a star is for a
/// list of numbers, a percent sign for ranges (`0-3,7`), `@` for all words with their numbers, and a colon for a list of what
/// devices did, with the words of v2. Braces are objects.
///
/// v1's files of memory and swap count both together, and those who read this expect it of v2 too. Words that end in `_usec` are
/// microseconds; all else that tells time here counts in nanoseconds.
///
/// Sources: kernel `Documentation/admin-guide/cgroup-v1/`, `cgroup-v2.rst`; runc's `types/events.go`.
const TABLE: &str = "\
{ cpu
{ usage
total cpuacct.usage - cpu.stat usage_usec
percpu cpuacct.usage_percpu * - -
percpu_kernel cpuacct.usage_percpu_sys * - -
percpu_user cpuacct.usage_percpu_user * - -
kernel cpuacct.usage_sys - cpu.stat system_usec
user cpuacct.usage_user - cpu.stat user_usec
}
{ throttling
periods cpu.stat nr_periods cpu.stat nr_periods
throttledPeriods cpu.stat nr_throttled cpu.stat nr_throttled
throttledTime cpu.stat throttled_time cpu.stat throttled_usec
}
}
{ cpuset
cpus cpuset.cpus % cpuset.cpus.effective %
mems cpuset.mems % cpuset.mems.effective %
}
{ memory
cache memory.stat cache memory.stat file
{ usage
limit memory.limit_in_bytes - memory.max -
usage memory.usage_in_bytes - memory.current -
max memory.max_usage_in_bytes - memory.peak -
failcnt memory.failcnt - memory.events max
}
{ swap
limit memory.memsw.limit_in_bytes - memory.swap.max+memory.max -
usage memory.memsw.usage_in_bytes - memory.swap.current+memory.current -
max memory.memsw.max_usage_in_bytes - - -
failcnt memory.memsw.failcnt - memory.swap.events fail
}
{ kernel
limit memory.kmem.limit_in_bytes - - -
usage memory.kmem.usage_in_bytes - memory.stat kernel
max memory.kmem.max_usage_in_bytes - - -
failcnt memory.kmem.failcnt - - -
}
{ kernelTCP
limit memory.kmem.tcp.limit_in_bytes - - -
usage memory.kmem.tcp.usage_in_bytes - memory.stat sock
max memory.kmem.tcp.max_usage_in_bytes - - -
failcnt memory.kmem.tcp.failcnt - - -
}
raw memory.stat @ memory.stat @
}
{ pids
current pids.current - pids.current -
limit pids.max - pids.max -
}
{ blkio
ioServiceBytesRecursive blkio.throttle.io_service_bytes_recursive : io.stat :rbytes,wbytes,dbytes
ioServicedRecursive blkio.throttle.io_serviced_recursive : io.stat :rios,wios,dios
ioQueueRecursive blkio.bfq.io_queued_recursive : - -
ioServiceTimeRecursive blkio.bfq.io_service_time_recursive : - -
ioWaitTimeRecursive blkio.bfq.io_wait_time_recursive : - -
ioMergedRecursive blkio.bfq.io_merged_recursive : - -
ioTimeRecursive blkio.bfq.time_recursive : - -
sectorsRecursive blkio.bfq.sectors_recursive : - -
}";

/// The same for each size of huge pages, whose name takes the star's place.
const HUGE: &str = "\
usage hugetlb.*.usage_in_bytes - hugetlb.*.current -
max hugetlb.*.max_usage_in_bytes - - -
failcnt hugetlb.*.failcnt - hugetlb.*.events max";

impl Group {
    /// Writes them behind `out`: members of an object, without its braces.
    pub fn metrics(&self, out: &mut String) {
        self.lines(out, TABLE, "");
        open(out, "hugetlb");
        self.each_huge(&mut |size| {
            open(out, size);
            self.lines(out, HUGE, size);
            out.push('}');
        });
        out.push('}');
    }

    #[inline(never)]
    fn lines(&self, out: &mut String, table: &str, size: &str) {
        for line in table.parts(b'\n') {
            let mut words = line.words();
            let mut word = || words.next().unwrap_or_default();
            match word() {
                "{" => open(out, word()),
                "}" => out.push('}'),
                name => self.number(out, name, [word(), word(), word(), word()], size),
            }
        }
    }

    /// A member, unless nothing here counts it.
    #[inline(never)]
    fn number(&self, out: &mut String, name: &str, [v1, key1, v2, key2]: [&str; 4], size: &str) {
        let controller = v1.parts(b'.').next().unwrap_or_default();
        let (directory, files, key) = match (self.holding(controller), self.unified()) {
            (Some(directory), _) => (directory, v1, key1),
            (None, Some(directory)) => (directory, v2, key2),
            (None, None) => return,
        };
        let (mut total, mut found) = (0u64, None);
        for file in files.parts(b'+') {
            let file = match file.cut(b'*') {
                Some((before, behind)) => [before, size, behind].concat(),
                None => String::from(file),
            };
            let Ok(text) = read(directory.path, &file) else { return };
            let value = match key.as_bytes() {
                [b'*' | b'%' | b'@' | b':', ..] => return list(out, name, key, &text),
                // No limit on processes is no number to those who read this.
                _ if file == "pids.max" && text.starts_with("max") => return,
                _ => sum(&text, key),
            };
            let Some(value) = value else { return };
            total = total.saturating_add(if key.ends_with("_usec") { value.saturating_mul(1000) } else { value });
            found = Some(total);
        }
        if let Some(total) = found {
            member(out, name);
            push(out, total);
        }
    }

    /// The sizes of huge pages that are counted.
    #[inline(never)]
    fn each_huge(&self, act: &mut dyn FnMut(&str)) {
        let Some(directory) = self.holding("hugetlb").or(self.unified()) else { return };
        let opened = file::owned_path(directory.path.as_bytes())
            .and_then(|path| file::open(CWD, &path, libc::O_RDONLY | libc::O_DIRECTORY));
        for entry in opened.and_then(|opened| file::list(opened.by_ref())).unwrap_or_default() {
            let name = entry.name.to_str().unwrap_or_default().strip_prefix("hugetlb.").unwrap_or_default();
            let size = name.strip_suffix(".usage_in_bytes").or(name.strip_suffix(".current"));
            // What is reserved is counted in files of its own.
            if let Some(size) = size.filter(|size| !size.has(b'.')) {
                act(size);
            }
        }
    }
}

/// Writes what takes several numbers.
fn list(out: &mut String, name: &str, key: &str, text: &str) {
    let before = out.len();
    member(out, name);
    out.push(if key == "@" { '{' } else { '[' });
    let start = out.len();
    let mut last = "";
    match key.as_bytes().first() {
        Some(b'*') => text.words().filter_map(decimal_u64).for_each(|number| element(out, number)),
        Some(b'@') => {
            for word in text.words() {
                if let Some(number) = decimal_u64(word) {
                    member(out, last);
                    push(out, number);
                }
                last = word;
            }
        }
        Some(b'%') => {
            for range in text.trim_ascii().parts(b',') {
                let (first, last) = range.cut(b'-').unwrap_or((range, range));
                if let (Some(first), Some(last)) = (decimal_u64(first), decimal_u64(last)) {
                    // More than any kernel has is none of its lists.
                    (first..=last.min(first.saturating_add(1 << 16))).for_each(|number| element(out, number));
                }
            }
        }
        _ => text.parts(b'\n').for_each(|line| device(out, &key[1..], line)),
    }
    if out.len() == start && key != "@" {
        out.truncate(before);
    } else {
        out.push(if key == "@" { '}' } else { ']' });
    }
}

/// What a device did: `8:0 Read 10` and `8:0 10` in v1, `8:0 rbytes=10 wbytes=20` in v2.
fn device(out: &mut String, wanted: &str, line: &str) {
    let mut words = line.words();
    let device = words.next().unwrap_or_default();
    let Some((Some(major), Some(minor))) =
        device.cut(b':').map(|(major, minor)| (decimal_u64(major), decimal_u64(minor)))
    else {
        return;
    };
    let mut operation = "";
    for word in words {
        let (key, value) = word.cut(b'=').unwrap_or(("", word));
        let Some(value) = decimal_u64(value) else {
            operation = word;
            continue;
        };
        if !key.is_empty() {
            if !wanted.parts(b',').any(|known| known == key) {
                continue;
            }
            operation = match key.as_bytes()[0] {
                b'r' => "Read",
                b'w' => "Write",
                _ => "Discard",
            };
        }
        comma(out);
        let _ = write!(out, "{{\"major\":{major},\"minor\":{minor},\"op\":\"{operation}\",\"value\":{value}}}");
    }
}

fn comma(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}

fn member(out: &mut String, name: &str) {
    comma(out);
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

fn open(out: &mut String, name: &str) {
    member(out, name);
    out.push('{');
}

fn element(out: &mut String, number: u64) {
    comma(out);
    push(out, number);
}

fn push(out: &mut String, number: u64) {
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, text: &str) -> String {
        let mut out = String::from("{");
        list(&mut out, "x", key, text);
        out
    }

    #[test]
    fn every_line_of_the_tables_is_whole_and_every_brace_is_closed() {
        let mut depth = 0;
        for line in TABLE.split('\n').chain(HUGE.split('\n')) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["{", _] => depth += 1,
                ["}"] => depth -= 1,
                [_, v1, _, v2, _] => assert!(v1.contains('.') && (v2 == "-" || v2.contains('.')), "{line}"),
                _ => panic!("{line}"),
            }
        }
        assert_eq!(depth, 0);
    }

    #[test]
    fn lists_are_of_numbers_of_ranges_and_of_words() {
        assert_eq!(listed("*", "1 22 333 \n"), "{\"x\":[1,22,333]");
        assert_eq!(listed("%", "0-2,5\n"), "{\"x\":[0,1,2,5]");
        assert_eq!(listed("%", "\n"), "{");
        assert_eq!(listed("@", "cache 5\nrss 7\n"), "{\"x\":{\"cache\":5,\"rss\":7}");
    }

    #[test]
    fn what_devices_did_is_read_of_both_interfaces() {
        let v1 = "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n";
        let entry =
            |op: &str, value: u32| std::format!("{{\"major\":8,\"minor\":0,\"op\":\"{op}\",\"value\":{value}}}");
        let all = [entry("Read", 10), entry("Write", 20), entry("Total", 30)].join(",");
        assert_eq!(listed(":", v1), std::format!("{{\"x\":[{all}]"));
        assert_eq!(listed(":", "8:0 77\n"), std::format!("{{\"x\":[{}]", entry("", 77)));
        let v2 = "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=3 dios=4\n";
        let [read, write, discard] = [entry("Read", 10), entry("Write", 20), entry("Discard", 3)];
        assert_eq!(listed(":rbytes,wbytes,dbytes", v2), std::format!("{{\"x\":[{read},{write},{discard}]"));
        assert_eq!(listed(":", "Total 0\n"), "{");
    }
}
