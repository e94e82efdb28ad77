//! Kills one of a command's processes, or all of them, at a call of one's choice.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Scene;
use super::command::VIAL;
pub use super::tracer::Moment;
use super::tracer::{self, Calls, Harm};

/// More than any command takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command once; the moments in it: each of vial's processes alone, be it the command, a keeper, a monitor or a
/// container's first, before each of its calls, and then all of them together. With `VIAL_TEST_ALL=1` it is all of them, with
/// another number every so manieth, and else so many, with the place of the first among the others. Each comes with words for
/// who reads of a failure.
pub fn moments(scene: &Scene, words: &[&str], sample: usize, first: usize) -> Vec<(Moment, String)> {
    let calls = run(scene, words, None);
    let mut moments = Vec::new();
    for harm in [Harm::Kill, Harm::KillAll] {
        for (process, calls) in calls.iter().enumerate() {
            for (call, name) in calls.iter().enumerate() {
                let who = if harm == Harm::KillAll { "all".to_owned() } else { format!("process {process}") };
                let what = format!("{}: {who} killed before call {call} of process {process}, {name}", words.join(" "));
                moments.push((Moment { process, call, harm }, what));
            }
        }
    }
    assert!(moments.len() > 40, "{calls:?}");
    let asked = step_asked_for();
    if asked.is_some() {
        println!("{} moments in {}", moments.len(), words.join(" "));
    }
    let step = asked.unwrap_or(moments.len().div_ceil(sample));
    moments.into_iter().skip(first % step).step_by(step).collect()
}

/// The number that `VIAL_TEST_ALL` gives: 1 is for all moments.
pub fn step_asked_for() -> Option<usize> {
    std::env::var("VIAL_TEST_ALL").ok().and_then(|step| step.parse().ok()).filter(|step| *step > 0)
}

/// Runs vial with these words, and kills at that moment; what it writes goes to the file `out`. Returns when the command has
/// ended and what it left behind is waiting, as untraced as ever.
///
/// # Panics
/// When it does not end.
pub fn run(scene: &Scene, words: &[&str], moment: Option<Moment>) -> Calls {
    let mut command = Command::new(VIAL);
    // Its output goes to a file: the monitor's and the workload's is not to hold a pipe open.
    let out = File::create(scene.path("out")).expect("make a file");
    command.args(words).env("VIAL_ROOT", scene.root()).env("VIAL_NETWORK", "none").current_dir(scene.directory());
    command.stdin(Stdio::null()).stdout(out.try_clone().expect("dup")).stderr(out);
    let traced = tracer::trace(vec![command], moment, LIMIT, |_| true);
    assert!(!traced.hung, "{} does not end, {moment:?}", words.join(" "));
    traced.calls
}
