//! What ends containers from outside, or holds them up: the limits of their control groups.

use alloc::vec::Vec;

use super::Finding;
use crate::base::json::Value;
use crate::base::text::human_binary_size;
use crate::kernel::cgroup::Hits;

/// The limit of a container by its `config.json`, if there is one.
fn limit(config: &Value, of: &str, member: &str) -> Option<u64> {
    config.at(&["linux", "resources", of, member])?.as_i64().and_then(|limit| u64::try_from(limit).ok())
}

fn killed(config: &Value) -> Finding {
    let what = match limit(config, "memory", "limit") {
        Some(limit) => say!("killed: out of memory (limit {})", human_binary_size(limit).trim_end_matches("iB")),
        None => "killed: out of memory, without a limit of its own",
    };
    Finding { line: "memory", what, change: "a higher --memory" }
}

/// Why no process could be made.
pub(super) fn no_process(config: &Value) -> Option<Finding> {
    let limit = limit(config, "pids", "limit")?;
    Some(Finding {
        line: "number of processes",
        what: say!("there may be {} processes and threads (--pids-limit)", limit),
        change: "a higher --pids-limit",
    })
}

fn waited(hits: Hits) -> Option<Finding> {
    let milliseconds = hits.throttled / 1_000_000;
    (milliseconds > 0).then(|| Finding {
        line: "processor time",
        what: say!("its processes waited for {} ms, since they had used their time (--cpus)", milliseconds),
        change: "a higher --cpus",
    })
}

/// What is known of a container by what its control group has counted, so far or until it ended.
pub(super) fn of(config: &Value, oom_killed: bool, hits: Hits) -> Vec<Finding> {
    let mut found = Vec::new();
    if oom_killed {
        found.push(killed(config));
    }
    if hits.refused > 0 {
        found.extend(no_process(config));
    }
    found.extend(waited(hits));
    found
}
