//! The machines themselves: that a test is told what happened on one.

use super::Machine;
use crate::util::Scene;

trials! {
    each_step_of_a_machine_is_told_with_its_output [Machine];
    a_machine_that_goes_down_early_is_a_failure_with_its_console [Machine];
}

fn each_step_of_a_machine_is_told_with_its_output(scene: &Scene) {
    let machine = Machine::with(&["overlay"])
        .step("words", "echo one; echo two >&2; printf '@end 0'; exit 3")
        .step("silence", "mount -t tmpfs mine /mnt")
        .step("mounts", "grep -c ^mine /proc/mounts; grep -o overlay$ /proc/filesystems; id -u");
    let booted = machine.boot(scene).expect("it boots");
    booted.step("words").ends(3).prints("one\n@end 0\n").says("two");
    booted.step("silence").ends(0).prints("").silent();
    booted.step("mounts").ends(0).prints("1\noverlay\n0\n");
}

fn a_machine_that_goes_down_early_is_a_failure_with_its_console(scene: &Scene) {
    let machine =
        Machine::with(&[]).step("first", "true").step("panic", "echo c >/proc/sysrq-trigger").step("never", "");
    let failure = machine.boot(scene).err().expect("a panic is no success");
    assert!(failure.contains("ended in step 2 of 3") && failure.contains("sysrq triggered crash"), "{failure}");
}
