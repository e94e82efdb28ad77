//! What ends containers from outside, or holds them up: the limits of their control groups.

use alloc::vec::Vec;

use super::super::life;
use super::Finding;
use crate::base::json::Value;
use crate::kernel::cgroup::Hits;

/// The limit of a container by its `config.json`, if there is one.
fn limit(config: &Value, of: &str, member: &str) -> Option<u64> {
    config.at(&["linux", "resources", of, member])?.as_i64().and_then(|limit| u64::try_from(limit).ok())
}

fn killed(config: &Value) -> Finding {
    let killed = life::out_of_memory(limit(config, "memory", "limit"));
    finding!("memory", "{}" [killed], "a higher --memory" [])
}

/// Why no process could be made.
pub(super) fn no_process(config: &Value) -> Option<Finding> {
    let limit = join!("{}", limit(config, "pids", "limit")?);
    Some(finding!(
        "number of processes", "there may be {} processes and threads (--pids-limit)" [limit], "a higher --pids-limit" []
    ))
}

fn waited(hits: Hits) -> Option<Finding> {
    let milliseconds = hits.throttled / 1_000_000;
    if milliseconds == 0 {
        return None;
    }
    let milliseconds = join!("{}", milliseconds);
    Some(finding!(
        "processor time",
        "its processes waited for {} ms, since they had used their time (--cpus)" [milliseconds],
        "a higher --cpus" []
    ))
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
