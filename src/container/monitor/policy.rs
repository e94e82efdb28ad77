//! What becomes of a container when its workload has ended.

use crate::base::text::{Cut, decimal_u32};
use crate::base::time::Timestamp;
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

/// The first restart waits so many milliseconds, and each further one twice as long as the one before.
pub(super) const FIRST_DELAY: u32 = 100;
/// No restart waits longer.
const LONGEST_DELAY: u32 = 60_000;
/// A workload that has run for so many seconds has not failed at once: the next restart does not wait long.
const LONG_ENOUGH: u64 = 10;

/// How long the restart after the next one waits. `started` is when the workload that has ended was executed.
pub(super) fn next_delay(delay: u32, started: &str) -> u32 {
    let ran = Timestamp::parse(started).map_or(0, |then| process::clock(libc::CLOCK_REALTIME).seconds_since(then));
    if ran >= LONG_ENOUGH as _ { FIRST_DELAY } else { (delay * 2).min(LONGEST_DELAY) }
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
        let now = process::clock(libc::CLOCK_REALTIME).rfc3339();
        assert_eq!((next_delay(100, &now), next_delay(40_000, &now)), (200, 60_000));
        assert_eq!(next_delay(40_000, "2020-01-01T00:00:00Z"), 100);
    }
}
