//! What a group uses, as far as the hierarchies that it is in count it.

use super::files::read;
use super::group::Group;
use crate::base::json::Value;
use crate::base::text::{Cut, decimal_u64};

/// Counters, each `None` where nothing counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds of processor time.
    pub cpu: Option<u64>,
    /// Bytes of memory, without those of files that can be dropped first.
    pub memory: Option<u64>,
    /// The limit on memory in bytes; without one a number beyond all memory.
    pub limit: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes read from block devices, those behind a cache.
    pub read: Option<u64>,
    /// Bytes written to them.
    pub written: Option<u64>,
}

/// How often, or for how long, limits have held a group's processes up. Nothing where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Processes and threads that could not be made.
    pub refused: u64,
    /// Nanoseconds for which processes waited that had used their time.
    pub throttled: u64,
}

macro_rules! counters {
    ($($controller:literal $v1:literal $word1:literal $v2:literal $word2:literal;)*) => {
        const COUNTERS: [&str; 7] = [$(concat!($controller, " ", $v1, " ", $word1, " ", $v2, " ", $word2)),*];
    };
}

// v1's controller, its file and the word before the number, and the same for v2; a dash where the number stands alone.
#[rustfmt::skip]
counters! {
    "cpuacct" "cpuacct.usage"                             "-"                   "cpu.stat"       "usage_usec";
    "memory"  "memory.usage_in_bytes"                     "-"                   "memory.current" "-";
    "memory"  "memory.stat"                               "total_inactive_file" "memory.stat"    "inactive_file";
    "memory"  "memory.limit_in_bytes"                     "-"                   "memory.max"     "-";
    "pids"    "pids.current"                              "-"                   "pids.current"   "-";
    "blkio"   "blkio.throttle.io_service_bytes_recursive" "Read"                "io.stat"        "rbytes=";
    "blkio"   "blkio.throttle.io_service_bytes_recursive" "Write"               "io.stat"        "wbytes=";
}

impl Group {
    /// Reads the counters.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut counts = [None; COUNTERS.len()];
        for (count, counter) in counts.iter_mut().zip(COUNTERS) {
            *count = self.count(counter);
        }
        let [cpu, memory, inactive, limit, pids, read, written] = counts;
        let memory = memory.map(|memory| memory.saturating_sub(inactive.unwrap_or(0)));
        Usage { cpu, memory, limit, pids, read, written }
    }

    /// Reads what its limits have done, as far as there are limits: `resources` is the specification's `linux.resources`.
    #[must_use]
    pub fn hits(&self, resources: &Value) -> Hits {
        let mut hits = Hits::default();
        if resources.at(&["pids", "limit"]).is_some() {
            hits.refused = self.count("pids pids.events max pids.events max").unwrap_or(0);
        }
        if resources.at(&["cpu", "quota"]).is_some() {
            // v1 counts it in nanoseconds and v2 in microseconds.
            hits.throttled = match self.holding("cpu") {
                Some(_) => self.count("cpu cpu.stat throttled_time - -").unwrap_or(0),
                None => self.count("- - - cpu.stat throttled_usec").unwrap_or(0).saturating_mul(1000),
            };
        }
        hits
    }

    #[inline(never)]
    fn count(&self, counter: &str) -> Option<u64> {
        let mut words = counter.words();
        let mut word = || words.next().unwrap_or_default();
        let (controller, v1, v2) = (word(), (word(), word()), (word(), word()));
        if let Some(directory) = self.holding(controller) {
            return sum(&read(directory.path, v1.0).ok()?, v1.1);
        }
        let count = sum(&read(self.unified()?.path, v2.0).ok()?, v2.1);
        // v2 counts processor time in microseconds.
        if controller == "cpuacct" { count.map(|count| count.saturating_mul(1000)) } else { count }
    }
}

/// The sum of the numbers behind a word, a line for each device. A file without such a line counts nothing yet.
#[must_use]
pub fn sum(text: &str, key: &str) -> Option<u64> {
    let mut words = text.words();
    if key == "-" {
        let word = words.next()?;
        return if word == "max" { Some(u64::MAX) } else { decimal_u64(word) };
    }
    let mut total = 0u64;
    while let Some(word) = words.next() {
        let number = match word.strip_prefix(key) {
            Some("") => words.next(),
            Some(number) if key.ends_with('=') => Some(number),
            _ => None,
        };
        total = total.saturating_add(number.and_then(decimal_u64).unwrap_or(0));
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_alone_behind_a_word_and_in_one() {
        assert_eq!(
            (sum("123\n", "-"), sum("max\n", "-"), sum("x\n", "-"), sum("", "-")),
            (Some(123), Some(u64::MAX), None, None)
        );
        let stat = "cache 5\ninactive_file 2\ntotal_inactive_file 7\n";
        assert_eq!((sum(stat, "total_inactive_file"), sum(stat, "inactive_file")), (Some(7), Some(2)));
        let v1 = "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n254:0 Read 1\n254:0 Write 2\nTotal 33\n";
        assert_eq!((sum(v1, "Read"), sum(v1, "Write")), (Some(11), Some(22)));
        let v2 = "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=5 dios=0\n254:0 rbytes=1 wbytes=2 rios=1\n";
        assert_eq!((sum(v2, "rbytes="), sum(v2, "wbytes=")), (Some(11), Some(22)));
        assert_eq!(sum("", "Read"), Some(0));
    }

    #[test]
    fn every_counter_has_two_files_and_two_words() {
        assert!(COUNTERS.iter().all(|counter| counter.words().count() == 5));
    }
}
