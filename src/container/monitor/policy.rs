//! What becomes of a container when its workload has ended.

use crate::base::text::{Cut, decimal_u32};
use crate::container::usage::TICKS;
use crate::sys::process;

/// `--restart`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is left as it is.
    No,
    /// It is started again, also when the machine starts.
    Always,
    /// As `Always`, but when the machine starts only if the user had not stopped it.
    UnlessStopped,
    /// It is started again after a failure, so many times at most; 0 is no limit.
    OnFailure(u32),
}

impl Policy {
    /// Reads `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Policy> {
        match text {
            "no" => Some(Policy::No),
            "always" => Some(Policy::Always),
            "unless-stopped" => Some(Policy::UnlessStopped),
            "on-failure" => Some(Policy::OnFailure(0)),
            _ => match text.cut(b':')? {
                ("on-failure", count) => decimal_u32(count).map(Policy::OnFailure),
                _ => None,
            },
        }
    }

    /// Whether a workload that ended with this code, after so many restarts, is started again. The user did not stop it.
    #[must_use]
    pub fn starts_again(self, code: u8, restarts: u32) -> bool {
        match self {
            Policy::No => false,
            Policy::Always | Policy::UnlessStopped => true,
            Policy::OnFailure(most) => code != 0 && (most == 0 || restarts < most),
        }
    }
}

/// The most failures that are counted.
pub(super) const MOST_FAILURES: u8 = 10;

/// The highest code with which a monitor ends whose workload is to be started again: one more than its failures.
pub(super) const MOST_CODE: u8 = MOST_FAILURES + 1;

/// How many milliseconds a restart waits after so many workloads that ended at once: each time twice as long, up to a minute.
pub(super) fn delay(failures: u8) -> u32 {
    (100 << failures.min(MOST_FAILURES)).min(60_000)
}

/// Whether a workload whose process began then, as `/proc` tells it, has run for long enough not to have failed at once.
pub(super) fn ran_long(began: u64) -> bool {
    began != 0 && process::clock(libc::CLOCK_BOOTTIME).secs as u64 >= began / TICKS + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_docker_writes_them() {
        assert_eq!(Policy::parse("on-failure:3"), Some(Policy::OnFailure(3)));
        assert_eq!(Policy::parse("unless-stopped"), Some(Policy::UnlessStopped));
        for wrong in ["never", "always:3", "on-failure:", "on-failure:-1", "on-failure:x"] {
            assert_eq!(Policy::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_failure_counts_only_where_the_policy_is_about_failures() {
        assert!(Policy::Always.starts_again(0, 99) && !Policy::No.starts_again(1, 0));
        let twice = Policy::OnFailure(2);
        assert!(!twice.starts_again(0, 0) && twice.starts_again(1, 0) && twice.starts_again(1, 1));
        assert!(!twice.starts_again(1, 2) && Policy::OnFailure(0).starts_again(1, 99));
    }

    #[test]
    fn delays_double_up_to_a_minute() {
        assert_eq!([0, 1, 2, 9, 10, 255].map(delay), [100, 200, 400, 51_200, 60_000, 60_000]);
        let now = process::clock(libc::CLOCK_BOOTTIME).secs as u64 * TICKS;
        assert!(!ran_long(now) && !ran_long(now - 9 * TICKS) && !ran_long(0) && ran_long(now - 10 * TICKS));
    }
}
