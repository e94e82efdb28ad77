//! What may be limited: members of the runtime specification's `linux.resources`, and the files that enforce them.

use alloc::vec::Vec;

use crate::base::error::Text;
use crate::base::json::Value;
use crate::base::keep::Kept;
use crate::base::text::{Cut, decimal_u32};

macro_rules! limits {
    ($($member:literal $v1:literal $v2:literal $rest:literal;)*) => {
        /// As one text: without pointers it is half as large.
        pub(super) const TABLE: &str = concat!($($member, " ", $v1, " ", $v2, " ", $rest, "\n"),*);
    };
}

// A line for each limit, in the order in which the kernel takes them: the member, the files of v1 and of v2, and the option.
//
// The member of a list's elements stands behind a slash. The second of two files is for kernels without the first. What
// stands behind a file and a slash is the key before the value there; a star is the element's own name. A dash is for what
// is not there. Before the limits of a controller stands the controller itself: its name in v1 and in v2, and the kernel
// option that brings it.
//
// Sources: the runtime specification's `config-linux.md`, kernel `Documentation/admin-guide/cgroup-v1/`, `cgroup-v2.rst`.
#[rustfmt::skip]
limits! {
    "="                                    "memory"                                     "memory"                  "CONFIG_MEMCG (and CONFIG_MEMCG_V1 for cgroup v1)";
    "memory.limit"                         "memory.limit_in_bytes"                       "memory.max"              "--memory";
    "memory.swap"                          "memory.memsw.limit_in_bytes"                 "memory.swap.max"         "--memory-swap";
    "memory.reservation"                   "memory.soft_limit_in_bytes"                  "memory.low"              "--memory-reservation";
    "memory.kernel"                        "memory.kmem.limit_in_bytes"                  "-"                       "-";
    "memory.kernelTCP"                     "memory.kmem.tcp.limit_in_bytes"              "-"                       "-";
    "memory.swappiness"                    "memory.swappiness"                           "-"                       "--memory-swappiness";
    "memory.disableOOMKiller"              "memory.oom_control"                          "-"                       "--oom-kill-disable";
    "="                                    "cpu"                                        "cpu"                     "CONFIG_CGROUP_SCHED";
    "cpu.shares"                           "cpu.shares"                                  "cpu.weight"              "--cpu-shares";
    "cpu.idle"                             "cpu.idle"                                    "cpu.idle"                "-";
    "cpu.period"                           "cpu.cfs_period_us"                           "cpu.max"                 "--cpu-period";
    "cpu.quota"                            "cpu.cfs_quota_us"                            "cpu.max"                 "--cpu-quota";
    "cpu.burst"                            "cpu.cfs_burst_us"                            "cpu.max.burst"           "-";
    "cpu.realtimePeriod"                   "cpu.rt_period_us"                            "-"                       "-";
    "cpu.realtimeRuntime"                  "cpu.rt_runtime_us"                           "-"                       "-";
    "="                                    "cpuset"                                     "cpuset"                  "CONFIG_CPUSETS";
    "cpu.cpus"                             "cpuset.cpus"                                 "cpuset.cpus"             "--cpuset-cpus";
    "cpu.mems"                             "cpuset.mems"                                 "cpuset.mems"             "--cpuset-mems";
    "="                                    "pids"                                       "pids"                    "CONFIG_CGROUP_PIDS";
    "pids.limit"                           "pids.max"                                    "pids.max"                "--pids-limit";
    "="                                    "blkio"                                      "io"                      "CONFIG_BLK_CGROUP";
    "blockIO.weight"                       "blkio.weight|blkio.bfq.weight"               "io.bfq.weight|io.weight" "--blkio-weight";
    "blockIO.leafWeight"                   "blkio.leaf_weight"                           "-"                       "-";
    "blockIO.weightDevice/weight"          "blkio.weight_device|blkio.bfq.weight_device" "io.bfq.weight|io.weight" "-";
    "blockIO.weightDevice/leafWeight"      "blkio.leaf_weight_device"                    "-"                       "-";
    "blockIO.throttleReadBpsDevice/rate"   "blkio.throttle.read_bps_device"              "io.max/rbps"             "--device-read-bps";
    "blockIO.throttleWriteBpsDevice/rate"  "blkio.throttle.write_bps_device"             "io.max/wbps"             "--device-write-bps";
    "blockIO.throttleReadIOPSDevice/rate"  "blkio.throttle.read_iops_device"             "io.max/riops"            "--device-read-iops";
    "blockIO.throttleWriteIOPSDevice/rate" "blkio.throttle.write_iops_device"            "io.max/wiops"            "--device-write-iops";
    "="                                    "hugetlb"                                    "hugetlb"                 "CONFIG_CGROUP_HUGETLB";
    "hugepageLimits/limit"                 "hugetlb.*.limit_in_bytes"                    "hugetlb.*.max"           "-";
    "="                                    "net_cls"                                    "-"                       "CONFIG_CGROUP_NET_CLASSID and cgroup v1 (v2 has nothing like it)";
    "network.classID"                      "net_cls.classid"                             "-"                       "-";
    "="                                    "net_prio"                                   "-"                       "CONFIG_CGROUP_NET_PRIO and cgroup v1 (v2 has nothing like it)";
    "network.priorities/priority"          "net_prio.ifpriomap"                          "-"                       "-";
    "="                                    "rdma"                                       "rdma"                    "CONFIG_CGROUP_RDMA";
    "rdma/hcaHandles"                      "rdma.max/hca_handle"                         "rdma.max/hca_handle"     "-";
    "rdma/hcaObjects"                      "rdma.max/hca_object"                         "rdma.max/hca_object"     "-";
}

/// A line of the table.
#[derive(Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) member: &'static str,
    pub(super) v1: &'static str,
    pub(super) v2: &'static str,
    pub(super) rest: &'static str,
}

impl Row {
    pub(super) fn of(line: &'static str) -> Row {
        let mut rest = line;
        let [member, v1, v2] = [(); 3].map(|()| {
            let (word, behind) = rest.cut(b' ').unwrap_or_default();
            rest = behind;
            word
        });
        Row { member, v1, v2, rest }
    }

    /// What asks for the limit: an option, or the member where there is none.
    pub(super) fn option(&self) -> &'static str {
        match self.rest {
            "-" => join!("linux.resources.{}", self.member.parts(b'/').next().unwrap_or_default()),
            option => option,
        }
    }
}

/// The value at a path of names with dots between.
pub(super) fn at<'v>(resources: &'v Value, path: &str) -> Option<&'v Value> {
    path.parts(b'.').try_fold(resources, |value, name| value.get(name))
}

/// The values of a member; those of a list's elements each with the element's name.
#[inline(never)]
pub(super) fn values<'v>(resources: &'v Value, member: &str) -> Kept<Vec<(&'static str, &'v Value)>> {
    let (path, inner) = member.cut(b'/').unwrap_or((member, ""));
    let mut found = Kept::new(Vec::new());
    match at(resources, path) {
        Some(Value::Array(elements)) => {
            for element in elements {
                if let Some(value) = element.get(inner) {
                    found.push((name(element), value));
                }
            }
        }
        // The names are data too.
        Some(Value::Object(members)) => {
            for (name, element) in members {
                if let Some(value) = element.get(inner) {
                    found.push((*name, value));
                }
            }
        }
        // 0 shares are as good as none, and a switch that is off asks for nothing.
        Some(Value::Bool(false) | Value::Null) | None => {}
        Some(value) if member == "cpu.shares" && value.as_u64() == Some(0) => {}
        Some(value) => found.push(("", value)),
    }
    found
}

/// What an element of a list is called: a page size, an interface, or a device's numbers.
fn name(element: &Value) -> &'static str {
    let number = |member| element.get(member).map(Value::to_compact).unwrap_or_default();
    let text = |member| element.get(member).and_then(Value::as_str);
    text("pageSize").or_else(|| text("name")).unwrap_or_else(|| join!("{}:{}", number("major"), number("minor")))
}

/// The file of a row, and what is written to it for a value; nothing if the file gets it with another value.
///
/// # Errors
/// What can't be expressed in v2.
#[inline(never)]
pub(super) fn written(
    row: &Row,
    files: &'static str,
    (name, value): (&'static str, &Value),
    resources: &Value,
) -> Result<(&'static str, &'static str), Text> {
    let (file, key) = files.cut(b'/').unwrap_or((files, ""));
    let given = value.as_i64().unwrap_or(i64::MAX);
    let number = match file {
        "cpu.weight" => scaled(given, 2, 262_144),
        // BFQ's file takes v1's range; that of the cost model 1 to 10000.
        "io.weight" => scaled(given, 10, 1000),
        "memory.swap.max" => swap(given, at(resources, "memory.limit").and_then(Value::as_i64))?,
        "cpu.max" => {
            let part = |path, default| at(resources, path).map_or(default, |value| unlimited(value, true));
            if row.member == "cpu.period" && at(resources, "cpu.quota").is_some() {
                return Ok(("", ""));
            }
            // The period that the kernel starts with.
            join!("{} {}", part("cpu.quota", "max"), part("cpu.period", "100000"))
        }
        _ => unlimited(value, files == row.v2),
    };
    // The kernel would cut what does not fit into 32 bits, and limit another device.
    if name.has(b':') && !row.member.starts_with("network") && !name.parts(b':').all(|part| decimal_u32(part).is_some())
    {
        return Err(say!("{}: {} are no device numbers", row.option(), name).into());
    }
    Ok(match file.cut(b'*') {
        Some((before, behind)) => (join!("{}{}{}", before, name, behind), number),
        None if name.is_empty() => (file, number),
        None if key.is_empty() => (file, join!("{} {}", name, number)),
        None => (file, join!("{} {}={}", name, key, number)),
    })
}

/// A value as the kernel reads it. v1 has -1 for no limit, v2 (and v1's youngest controller, by the same file) a word.
fn unlimited(value: &Value, v2: bool) -> &'static str {
    match value {
        Value::Bool(_) => "1",
        Value::String(text) => text,
        _ if v2 && value.as_i64().is_some_and(|number| number < 0) => "max",
        _ => value.to_compact().leak(),
    }
}

/// A weight of one range in that of v2, 1 to 10000; the ends fall on the ends.
fn scaled(weight: i64, least: i64, most: i64) -> &'static str {
    join!("{}", (1 + (weight.clamp(least, most) - least) * 9999 / (most - least)))
}

/// v2 limits swap alone, where the option is about memory and swap together.
fn swap(both: i64, memory: Option<i64>) -> Result<&'static str, Text> {
    match memory.unwrap_or(-1) {
        _ if both < 0 => Ok("max"),
        memory @ 0.. if memory <= both => Ok(join!("{}", both - memory)),
        0.. => Err(phrase!("--memory-swap is memory and swap together and can't be below --memory").into()),
        _ => Err(phrase!("--memory-swap is memory and swap together and needs a limit on --memory").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::parse;
    use std::format;
    use std::string::{String, ToString};

    /// What v1 and v2 are told, a line each.
    fn told(resources: &str) -> [Vec<String>; 2] {
        let resources = parse(resources.as_bytes()).unwrap();
        let mut told = [Vec::new(), Vec::new()];
        for row in TABLE.parts(b'\n').map(Row::of) {
            for &value in &values(&resources, row.member) {
                for (at, files) in [(0, row.v1), (1, row.v2)] {
                    let both = files.parts(b'|').map(|file| match written(&row, file, value, &resources) {
                        Ok(("", "")) => String::new(),
                        Ok((file, value)) => format!("{file}={value}"),
                        Err(error) => error.to_string(),
                    });
                    let line = both.collect::<Vec<String>>().join(" or ");
                    told[at].extend((files != "-" && !line.is_empty()).then_some(line));
                }
            }
        }
        told
    }

    #[test]
    fn swap_is_what_exceeds_memory_in_v2() {
        let v2 = |memory: &str, both| told(&format!("{{\"memory\":{{{memory}\"swap\":{both}}}}}"))[1].clone();
        assert_eq!(v2("\"limit\":100,", 300), ["memory.max=100", "memory.swap.max=200"]);
        assert_eq!(v2("\"limit\":100,", 100), ["memory.max=100", "memory.swap.max=0"]);
        assert_eq!(v2("\"limit\":-1,", -1), ["memory.max=max", "memory.swap.max=max"]);
        for memory in ["\"limit\":300,", "\"limit\":-1,", ""] {
            assert!(v2(memory, 100).last().unwrap().contains("--memory-swap is memory and swap together"), "{memory}");
        }
    }

    #[test]
    fn shares_and_weights_keep_their_ends_and_their_usual_values() {
        assert_eq!([0, 2, 1024, 262_144, i64::MAX].map(|n| scaled(n, 2, 262_144)), ["1", "1", "39", "10000", "10000"]);
        assert_eq!([0, 10, 500, 1000, 65_535].map(|n| scaled(n, 10, 1000)), ["1", "1", "4950", "10000", "10000"]);
        assert_eq!(told(r#"{"cpu":{"shares":0}}"#), [[""; 0]; 2]);
        let [v1, v2] = told(r#"{"cpu":{"shares":1024},"blockIO":{"weight":500}}"#);
        assert_eq!(v1, ["cpu.shares=1024", "blkio.weight=500 or blkio.bfq.weight=500"]);
        assert_eq!(v2, ["cpu.weight=39", "io.bfq.weight=500 or io.weight=4950"]);
    }

    #[test]
    fn quota_and_period_share_a_file_in_v2_and_go_in_this_order_in_v1() {
        let cpu = |members| told(&format!("{{\"cpu\":{{{members}}}}}"));
        assert_eq!(cpu("\"quota\":50000")[1], ["cpu.max=50000 100000"]);
        assert_eq!(cpu("\"quota\":-1,\"period\":200")[1], ["cpu.max=max 200"]);
        assert_eq!(cpu("\"period\":200")[1], ["cpu.max=max 200"]);
        let all = cpu("\"quota\":50,\"period\":100,\"burst\":25");
        assert_eq!(all[0], ["cpu.cfs_period_us=100", "cpu.cfs_quota_us=50", "cpu.cfs_burst_us=25"]);
        assert_eq!(all[1], ["cpu.max=50 100", "cpu.max.burst=25"]);
    }

    #[test]
    fn elements_of_lists_have_their_names_before_the_value_or_in_the_file() {
        let [v1, v2] = told(
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":254,"minor":0,"rate":1}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":2},{"major":8,"minor":0,"rate":3}],
                "weightDevice":[{"major":8,"minor":0,"weight":10}]},
                "hugepageLimits":[{"pageSize":"2MB","limit":5}]}"#,
        );
        let expected = [
            "blkio.weight_device=8:0 10 or blkio.bfq.weight_device=8:0 10",
            "blkio.throttle.read_bps_device=254:0 1",
            "blkio.throttle.write_iops_device=8:16 2",
            "blkio.throttle.write_iops_device=8:0 3",
            "hugetlb.2MB.limit_in_bytes=5",
        ];
        assert_eq!(v1, expected);
        let expected = [
            "io.bfq.weight=8:0 10 or io.weight=8:0 1",
            "io.max=254:0 rbps=1",
            "io.max=8:16 wiops=2",
            "io.max=8:0 wiops=3",
            "hugetlb.2MB.max=5",
        ];
        assert_eq!(v2, expected);
    }

    #[test]
    fn interfaces_and_adapters_have_their_names_before_the_value() {
        let [v1, v2] = told(
            r#"{"network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5},{"name":"lo","priority":7}]},
                "rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10},"mlx4_0":{"hcaObjects":9}}}"#,
        );
        let rdma = ["rdma.max=mlx5_1 hca_handle=3", "rdma.max=mlx5_1 hca_object=10", "rdma.max=mlx4_0 hca_object=9"];
        assert_eq!(v1[..3], ["net_cls.classid=1048577", "net_prio.ifpriomap=eth0 5", "net_prio.ifpriomap=lo 7"]);
        assert_eq!(v1[3..], rdma);
        assert_eq!(v2, rdma);
    }

    #[test]
    fn no_limit_is_a_number_in_v1_and_a_word_in_v2_and_for_processes() {
        let [v1, v2] = told(r#"{"memory":{"limit":-1},"cpu":{"quota":-1},"pids":{"limit":-1}}"#);
        assert_eq!(v1, ["memory.limit_in_bytes=-1", "cpu.cfs_quota_us=-1", "pids.max=max"]);
        assert_eq!(v2, ["memory.max=max", "cpu.max=max 100000", "pids.max=max"]);
    }

    #[test]
    fn nothing_asked_is_nothing_written() {
        assert_eq!(told(r#"{"memory":{"disableOOMKiller":false,"limit":null},"cpu":{}}"#), [[""; 0]; 2]);
        assert_eq!(told(r#"{"memory":{"disableOOMKiller":true}}"#)[0], ["memory.oom_control=1"]);
    }

    #[test]
    fn every_line_of_the_table_is_whole() {
        for line in TABLE.parts(b'\n').filter(|line| !line.is_empty()) {
            assert!(line.words().count() == 4 || line.starts_with("= "), "{line}");
            assert!(!Row::of(line).rest.is_empty(), "{line}");
        }
    }
}
