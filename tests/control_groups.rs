//! Control groups by themselves, in the library: made, joined, changed, killed and removed on the kernel that runs the tests.
//!
//! A thread joins alone by v1's `tasks`, so most tests enter a group with a thread of the test program.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use vial::base::errno::Errno;
use vial::base::json::{self, Value};
use vial::kernel::cgroup::{Directory, Group, GroupPath, Hierarchies, Hierarchy, Version};
use vial::sys::ledger::Role;
use vial::sys::process;

use crate::util::Scene;
use crate::util::container::eventually;
use crate::util::disk::Disk;

trials! {
    a_process_that_takes_more_memory_than_its_limit_is_killed_and_that_is_known [Root, CgroupV1("memory")];
    a_limit_on_memory_can_be_raised_above_the_old_one_on_swap_and_lowered_again [Root, CgroupV1("memory")];
    a_hierarchy_that_a_change_needs_is_joined_by_the_processes_that_are_there [Root, CgroupV1("pids")];
    a_fork_beyond_the_limit_on_processes_is_refused [Root, CgroupV1("pids")];
    processors_are_those_of_the_set_and_nodes_come_from_above [Root, CgroupV1("cpuset")];
    shares_quota_and_burst_are_set [Root, CgroupV1("cpu")];
    a_block_device_is_throttled_and_one_that_is_not_there_refused [Root, CgroupV1("blkio"), Tool("losetup"), Kernel("loop")];
    only_devices_that_are_allowed_can_be_opened_in_v1 [Root, CgroupV1("devices")];
    only_devices_that_are_allowed_can_be_opened_in_v2 [Root, CgroupV2(&[])];
    a_controller_of_v2_is_switched_on_down_to_the_group [Root, CgroupV2(&["hugetlb"]), File("/sys/kernel/mm/hugepages/hugepages-2048kB")];
    a_process_can_be_born_in_a_v2_group [Root, CgroupV2(&[])];
    a_fork_bomb_and_its_own_groups_end_with_the_group_in_v1 [Root, CgroupV1("freezer")];
    a_fork_bomb_and_its_own_groups_end_with_the_group_in_v2 [Root, CgroupV2(&[])];
    a_group_is_found_again_and_removed_without_a_rest [Root, CgroupV1("memory")];
    a_directory_above_that_was_there_before_stays [Root, CgroupV1("freezer")];
    a_refused_value_leaves_nothing_and_with_best_effort_is_a_warning [Root, CgroupV1("cpu")];
    groups_are_made_while_others_remove_the_directory_above_them [Root, CgroupV1("freezer")];
}

/// `linux.resources` of the runtime specification.
fn resources(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

fn host() -> Hierarchies {
    Hierarchies::detect().unwrap()
}

/// The processes in the group at this directory; none if it is gone.
fn processes(directory: &str) -> Vec<u32> {
    let list = fs::read_to_string(format!("{directory}/cgroup.procs")).unwrap_or_default();
    list.lines().map(|line| line.parse().unwrap()).collect()
}

/// A group below a directory of this test's own; killed and removed at the end, and then nothing may be left.
struct Throwaway {
    group: Group,
    parent: String,
}

fn make(hierarchies: &Hierarchies, name: &str, limits: &Value) -> Throwaway {
    let parent = format!("vial-test-{}-{name}", std::process::id());
    let path = GroupPath::of_container(Some(&parent), "x").unwrap();
    let (group, warnings) = Group::create(hierarchies, limits, path, false).unwrap();
    assert_eq!(*warnings, []);
    Throwaway { group, parent }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        let ended = self.group.kill_all().and(self.group.remove());
        let left = self.group.directories().iter().map(|directory| format!("{}/{}", directory.mount, self.parent));
        let left: Vec<String> = left.filter(|path| fs::exists(path).unwrap()).collect();
        if !thread::panicking() {
            ended.unwrap();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

impl Throwaway {
    fn file(&self, controller: &str, file: &str) -> String {
        let directory = self.group.holding(controller).expect("the controller's directory");
        fs::read_to_string(format!("{}/{file}", directory.path)).unwrap().trim().to_string()
    }

    /// Runs a shell script in the group: the shell enters, by itself, every hierarchy.
    fn shell(&self, script: &str) -> Command {
        let enter = |directory: &Directory| {
            let file = if directory.version == Version::V1 { "tasks" } else { "cgroup.procs" };
            format!("echo 0 > {}/{file} || exit 99", directory.path)
        };
        let mut lines: Vec<String> = self.group.directories().iter().map(enter).collect();
        lines.push(script.to_string());
        let mut command = Command::new("sh");
        command.args(["-c", &lines.join("\n")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs something in a thread that enters the group.
    fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let joined = scope.spawn(|| {
                self.group.join_self(true).unwrap();
                act()
            });
            joined.join().unwrap()
        })
    }
}

fn a_process_that_takes_more_memory_than_its_limit_is_killed_and_that_is_known(_: &Scene) {
    let host = host();
    let limits = resources(r#"{"memory":{"limit":16777216,"swap":16777216}}"#);
    let made = make(&host, "memory", &limits);
    assert_eq!(made.file("memory", "memory.limit_in_bytes"), "16777216");
    assert_eq!(made.file("memory", "memory.memsw.limit_in_bytes"), "16777216");
    assert!(made.shell("true").status().unwrap().success());
    assert!(!made.group.was_oom_killed().unwrap());
    assert!(!made.shell("head -c 90000000 /dev/zero | tail -c 80000000").status().unwrap().success());
    assert!(made.group.was_oom_killed().unwrap());
}

fn a_limit_on_memory_can_be_raised_above_the_old_one_on_swap_and_lowered_again(_: &Scene) {
    let host = host();
    let limits = |megabytes: i64| {
        let bytes = megabytes << 20;
        resources(&format!("{{\"memory\":{{\"limit\":{bytes},\"swap\":{bytes}}}}}"))
    };
    let mut made = make(&host, "change", &limits(16));
    for megabytes in [64, 8] {
        assert_eq!(*made.group.change(&host, &limits(megabytes), false).unwrap(), []);
        assert_eq!(made.file("memory", "memory.memsw.limit_in_bytes"), (megabytes << 20).to_string());
    }
}

fn a_hierarchy_that_a_change_needs_is_joined_by_the_processes_that_are_there(_: &Scene) {
    let host = host();
    let mut made = make(&host, "move", &Value::Null);
    let mut sleeper = made.shell("exec sleep 60").spawn().unwrap();
    let freezer = made.group.holding("freezer").unwrap().path;
    eventually("it is in the group", || (!processes(freezer).is_empty()).then_some(()));
    made.group.change(&host, &resources(r#"{"pids":{"limit":7}}"#), false).unwrap();
    assert_eq!(made.file("pids", "pids.max"), "7");
    assert_eq!(made.file("pids", "cgroup.procs"), sleeper.id().to_string());
    drop(made);
    assert!(!sleeper.wait().unwrap().success());
}

fn a_fork_beyond_the_limit_on_processes_is_refused(_: &Scene) {
    let host = host();
    let script = "sleep 0.1 & sleep 0.1 & sleep 0.1 & wait; exit 0";
    let few = make(&host, "pids", &resources(r#"{"pids":{"limit":2}}"#));
    assert!(!few.shell(script).status().unwrap().success());
    drop(few);
    let enough = make(&host, "pids", &resources(r#"{"pids":{"limit":-1}}"#));
    assert_eq!(enough.file("pids", "pids.max"), "max");
    assert!(enough.shell(script).status().unwrap().success());
}

fn processors_are_those_of_the_set_and_nodes_come_from_above(_: &Scene) {
    let host = host();
    let limits = resources(r#"{"cpu":{"cpus":"0"}}"#);
    let made = make(&host, "cpuset", &limits);
    assert_eq!(made.file("cpuset", "cpuset.cpus"), "0");
    assert!(!made.file("cpuset", "cpuset.mems").is_empty());
    assert_eq!(made.inside(process::processors), 1);
    let limits = resources(r#"{"cpu":{"cpus":"4000"}}"#);
    let path = GroupPath::of_container(Some(&made.parent), "y").unwrap();
    let error = Group::create(&host, &limits, path, false).unwrap_err().to_string();
    assert!(error.contains("4000 to ") && error.contains("--cpuset-cpus"), "{error}");
}

fn shares_quota_and_burst_are_set(_: &Scene) {
    let host = host();
    let limits = resources(r#"{"cpu":{"shares":512,"quota":50000,"period":200000,"burst":10000}}"#);
    let made = make(&host, "cpu", &limits);
    let files = ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"];
    assert_eq!(files.map(|file| made.file("cpu", file)), ["512", "50000", "200000", "10000"]);
}

fn a_block_device_is_throttled_and_one_that_is_not_there_refused(scene: &Scene) {
    let host = host();
    let disk = Disk::new(scene);
    let (major, minor) = disk.number.split_once(':').unwrap();
    let device = (major.parse().unwrap(), minor.parse().unwrap());
    let limits = |(major, minor): (u32, u32)| {
        let device = format!("{{\"major\":{major},\"minor\":{minor},\"rate\":1048576}}");
        resources(&format!("{{\"blockIO\":{{\"throttleWriteBpsDevice\":[{device}]}}}}"))
    };
    let made = make(&host, "blkio", &limits(device));
    assert_eq!(made.file("blkio", "blkio.throttle.write_bps_device"), format!("{} 1048576", disk.number));
    let path = GroupPath::of_container(Some(&made.parent), "y").unwrap();
    let error = Group::create(&host, &limits((4000, 1)), path, false).unwrap_err();
    assert!(error.is(Errno::ENODEV), "{error}");
    assert!(error.to_string().contains("--device-write-bps"), "{error}");
}

/// `/dev/null` may be read and written, `/dev/zero` only read, `/dev/full` not at all.
fn few_devices() -> Value {
    resources(
        r#"{"devices":[{"allow":false},
            {"allow":true,"type":"c","major":1,"minor":3,"access":"rw"},
            {"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"},
            {"allow":false,"type":"c","major":1,"minor":5,"access":"w"}]}"#,
    )
}

fn only_devices_that_are_allowed_can_be_opened_in_v1(_: &Scene) {
    let host = host();
    let made = make(&host, "devices", &few_devices());
    let open = |path: &str, write: bool| match fs::File::options().read(true).write(write).open(path) {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap(),
    };
    let results = made.inside(|| {
        [open("/dev/null", true), open("/dev/zero", false), open("/dev/zero", true), open("/dev/full", false)]
    });
    assert_eq!(results, [0, 0, libc::EPERM, libc::EPERM]);
}

/// A host that has only v2, as far as the planner can tell.
fn only_v2(host: &Hierarchies) -> Hierarchies {
    host.v2().copied().into_iter().collect()
}

fn only_devices_that_are_allowed_can_be_opened_in_v2(_: &Scene) {
    let host = host();
    let made = make(&only_v2(&host), "filter", &few_devices());
    let runs = |script: &str| made.shell(script).status().unwrap().success();
    assert!(runs(": <> /dev/null"));
    assert!(runs(": < /dev/zero"));
    assert!(!runs(": > /dev/zero"));
    assert!(!runs(": < /dev/full"));
    assert!(!runs("mknod /dev/shm/vial-test-null c 1 3"), "mknod is not among the uses");
}

fn a_controller_of_v2_is_switched_on_down_to_the_group(_: &Scene) {
    let host = host();
    let control = format!("{}/cgroup.subtree_control", host.v2().unwrap().mount);
    let before = fs::read_to_string(&control).unwrap();
    let limits = resources(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#);
    let made = make(&host, "huge", &limits);
    let file = format!("{}/hugetlb.2MB.max", made.group.unified().unwrap().path);
    assert_eq!(fs::read_to_string(file).unwrap().trim(), "4194304");
    assert!(made.shell("true").status().unwrap().success());
    drop(made);
    if !before.contains("hugetlb") {
        fs::write(control, "-hugetlb").unwrap();
    }
}

fn a_process_can_be_born_in_a_v2_group(_: &Scene) {
    let host = host();
    let made = make(&only_v2(&host), "born", &Value::Null);
    let directory = made.group.open_for_clone().unwrap().unwrap();
    // The child of a program with threads may do nothing but enter the kernel.
    match process::clone_into(directory.by_ref(), 0, Role::Helper) {
        Ok(process::Side::Child) => loop {
            process::sleep(1000);
        },
        Ok(process::Side::Parent(pid)) => {
            assert_eq!(processes(made.group.unified().unwrap().path), [pid]);
            made.group.kill_all().unwrap();
            assert_eq!(process::wait(Some(pid), true).unwrap().unwrap().ended, process::Ended::Killed(9));
        }
        Err(error) => assert!(error.is(Errno::ENOSYS), "{error}"),
    }
}

/// Starts processes that fork without end, some in a group of their own making, and kills them all.
fn kill_a_fork_bomb(made: &Throwaway, inner: &str) {
    let script = format!(
        "mkdir {inner}/own; (echo 0 > {inner}/own/cgroup.procs; while :; do (setsid sleep 50 &); sleep 0.01; done) &
         bomb() {{ (setsid true; bomb) & }}; while :; do bomb; sleep 0.02; done"
    );
    let mut shell = made.shell(&script).spawn().unwrap();
    eventually("they are there", || {
        (processes(inner).len() > 3 && !processes(&format!("{inner}/own")).is_empty()).then_some(())
    });
    made.group.kill_all().unwrap();
    shell.wait().unwrap();
    assert!(processes(inner).is_empty());
    made.group.remove().unwrap();
    assert!(!fs::exists(inner).unwrap());
}

fn a_fork_bomb_and_its_own_groups_end_with_the_group_in_v1(_: &Scene) {
    let host = host();
    // The limit is only there for the host's sake, should the test fail.
    let made = make(&host, "bomb1", &resources(r#"{"pids":{"limit":200}}"#));
    kill_a_fork_bomb(&made, made.group.holding("freezer").unwrap().path);
}

fn a_fork_bomb_and_its_own_groups_end_with_the_group_in_v2(_: &Scene) {
    let host = host();
    // With pids in v1, where v1 has it, and everything else in v2.
    let is_known = |at: &&Hierarchy| at.version == Version::V2 || at.has("pids");
    let known = host.iter().filter(is_known).copied().collect();
    let made = make(&known, "bomb2", &resources(r#"{"pids":{"limit":200}}"#));
    kill_a_fork_bomb(&made, made.group.unified().unwrap().path);
}

fn a_group_is_found_again_and_removed_without_a_rest(_: &Scene) {
    let host = host();
    let limits = resources(r#"{"memory":{"limit":16777216},"cpu":{"shares":512},"pids":{"limit":9}}"#);
    let made = make(&host, "again", &limits);
    let found = Group::open_existing(&host, made.group.path()).unwrap();
    let paths = |group: &Group| {
        let mut paths: Vec<String> = group.directories().iter().map(|directory| directory.path.to_string()).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&found), paths(&made.group));
    assert!(paths(&found).len() >= 3);
    found.remove().unwrap();
    assert_eq!(Group::open_existing(&host, made.group.path()).unwrap().directories(), []);
}

fn a_directory_above_that_was_there_before_stays(_: &Scene) {
    let host = host();
    let parent = format!("{}/vial-test-{}-there", host.v1("freezer").unwrap().mount, std::process::id());
    fs::create_dir(&parent).unwrap();
    let path = GroupPath::of_container(parent.rsplit('/').next(), "x").unwrap();
    let (group, _) = Group::create(&host, &Value::Null, path, false).unwrap();
    group.remove().unwrap();
    assert!(fs::exists(&parent).unwrap());
    fs::remove_dir(&parent).unwrap();
}

fn a_refused_value_leaves_nothing_and_with_best_effort_is_a_warning(_: &Scene) {
    let host = host();
    let path = GroupPath::of_container(Some(&format!("vial-test-{}-refused", std::process::id())), "x").unwrap();
    let limits = resources(r#"{"cpu":{"quota":1}}"#);
    let error = Group::create(&host, &limits, path, false).unwrap_err().to_string();
    assert!(error.contains("EINVAL") && error.contains("--cpu-quota"), "{error}");
    let above = format!("{}/vial-test-{}-refused", host.v1("cpu").unwrap().mount, std::process::id());
    assert!(!fs::exists(&above).unwrap());
    let (group, warnings) = Group::create(&host, &limits, path, true).unwrap();
    assert_eq!(warnings.len(), 1);
    group.remove().unwrap();
    assert!(!fs::exists(&above).unwrap());
}

fn groups_are_made_while_others_remove_the_directory_above_them(_: &Scene) {
    let host = host();
    let parent = format!("vial-test-{}-race", std::process::id());
    thread::scope(|scope| {
        for worker in 0..3 {
            let (host, parent) = (&host, &parent);
            scope.spawn(move || {
                for _ in 0..200 {
                    let path = GroupPath::of_container(Some(parent), &format!("w{worker}")).unwrap();
                    Group::create(host, &Value::Null, path, false).unwrap().0.remove().unwrap();
                }
            });
        }
    });
    // One that was not marked yet when its last group went is about to get a group of who made it, and goes with that.
    let above = format!("{}/{parent}", host.v1("freezer").unwrap().mount);
    assert!(!fs::exists(&above).unwrap(), "{above}");
}
