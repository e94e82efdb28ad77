//! Many commands and many containers at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::detached::{Detached, is_gone};
use crate::util::leaks;
use crate::util::needs::is_board;

trials! {
    commands_on_the_same_names_do_not_hinder_each_other [Root, Busybox, Kernel("overlay"), Command("start")];
    many_live_at_once_and_are_listed_quickly [Root, Busybox, Kernel("overlay"), Command("start")];
}

/// How long commands are thrown at each other, and by how many; `VIAL_TEST_SECONDS` is for those who want to be sure.
fn extent() -> (u64, usize) {
    match std::env::var("VIAL_TEST_SECONDS").ok().and_then(|text| text.parse().ok()) {
        Some(seconds) => (seconds, 50),
        None => (6, 12),
    }
}

fn commands_on_the_same_names_do_not_hinder_each_other(scene: &Scene) {
    const NAMES: [&str; 4] = ["one", "two", "web", "yew"];
    /// What may be said: each names a state that another command has just brought about.
    const KNOWN: [&str; 12] = [
        "no such container",
        "no such object",
        "is in use by container",
        "does not run",
        "container is running",
        "container is being started",
        "is being started or removed",
        "has this name already",
        "is dead: it was given up half-way",
        "has ended",
        "was removed",
        "before it became the workload",
    ];
    let rootfs = scene.rootfs().display().to_string();
    let (seconds, workers) = extent();
    let ends = Instant::now() + Duration::from_secs(seconds);
    let (done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    let work = |worker: usize| {
        let mut round = worker;
        while Instant::now() < ends {
            round += 1;
            let (name, other) = (NAMES[round % 4], NAMES[(round / 3) % 4]);
            let words: Vec<&str> = match (round * 7 + worker) % 15 {
                0 | 1 => vec!["run", "-d", "--name", name, &rootfs, "sleep", "600"],
                2 | 3 => vec!["run", "-d", "--rm", "--name", name, &rootfs, "sleep", "0.05"],
                4 => vec!["run", "-d", "--restart", "always", "--name", name, &rootfs, "sleep", "0.05"],
                5 => vec!["run", "--rm", &rootfs, "true"],
                6 => vec!["rm", "-f", name],
                7 => vec!["stop", "-t", "0", name, other],
                8 | 9 => vec!["start", name],
                10 => vec!["restart", "-t", "0", name],
                11 => vec!["kill", name],
                12 => vec!["rename", name, other],
                13 => vec!["exec", name, "true"],
                _ => vec!["gc"],
            };
            let output = scene.vial(&words).run();
            let known = |line: &str| KNOWN.iter().any(|known| line.contains(known));
            let strange: Vec<_> =
                output.stderr.lines().filter(|line| line.starts_with("vial: ") && !known(line)).collect();
            if !strange.is_empty() {
                wrong.lock().expect("nobody panics").push(output.shown());
            }
            done.fetch_add(1, Ordering::Relaxed);
            failed.fetch_add(usize::from(output.code != 0), Ordering::Relaxed);
            if round.is_multiple_of(3) {
                let listed = scene.vial(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).run();
                if !listed.stderr.is_empty() {
                    wrong.lock().expect("nobody panics").push(listed.shown());
                }
            }
        }
    };
    thread::scope(|scope| {
        for worker in 0..workers {
            let work = &work;
            scope.spawn(move || work(worker));
        }
    });
    let wrong = wrong.into_inner().expect("nobody panics");
    assert!(
        wrong.is_empty(),
        "{} times, such as: {}",
        wrong.len(),
        wrong.into_iter().take(12).collect::<Vec<_>>().join("\n")
    );
    let (done, failed) = (done.into_inner(), failed.into_inner());
    println!("{done} commands, of which {failed} were told that another one was quicker");
    assert!(done > if is_board() { 25 } else { 50 } && failed < done * 9 / 10, "{failed} of {done} commands failed");
    // Whatever they left can be removed, and then nothing is left.
    let all = scene.vial(["ps", "-a", "-q"]).ok().stdout;
    for id in all.lines() {
        scene.vial(["rm", "-f", id]).ok();
    }
    scene.assert_nothing_left();
    let names = std::fs::read_dir(scene.root().join("names")).map_or(0, Iterator::count);
    let gone = scene.vial(["gc"]).ok().stdout;
    assert!(names == gone.lines().filter(|line| line.starts_with("name ")).count(), "{gone}");
}

fn many_live_at_once_and_are_listed_quickly(scene: &Scene) {
    const COUNT: usize = 60;
    let rootfs = scene.rootfs().display().to_string();
    let started: Vec<_> = thread::scope(|scope| {
        let start = |from: usize| {
            (from..COUNT)
                .step_by(4)
                .map(|number| {
                    let name = format!("web{number}");
                    scene.vial(["run", "-d", "--name", &name, &rootfs, "sleep", "600"]).ok();
                    Detached::find(scene, &name)
                })
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|from| scope.spawn(move || start(from))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("all are started")).collect()
    });
    // On a machine that does nothing else it takes a few milliseconds; the best of several tells. An emulated processor is measured
    // by what it takes to execute vial at all.
    let best = |words: &[&str], lines: usize| {
        let times = (0..8).map(|_| {
            let begun = Instant::now();
            let listed = scene.vial(words).ok();
            assert_eq!(listed.stdout.lines().count(), lines);
            begun.elapsed()
        });
        times.min().expect("several")
    };
    let (listing, nothing) = (best(&["ps", "-q"], COUNT), best(&["version"], 1));
    let bound = if is_board() { nothing * 8 } else { Duration::from_millis(50) };
    assert!(listing < bound, "{listing:?}, and {nothing:?} for nothing");
    let monitors =
        leaks::processes(scene.directory()).iter().filter(|process| process.line.starts_with("vial-monitor")).count();
    assert_eq!(monitors, COUNT);
    let names: Vec<String> = started.iter().map(|web| web.name.clone()).collect();
    scene.vial(["stop", "-t", "0"]).args(&names[..COUNT / 2]).ok();
    assert_eq!(scene.vial(["ps", "-q"]).ok().stdout.lines().count(), COUNT / 2);
    scene.vial(["rm", "-f"]).args(&names).ok();
    assert!(started.iter().all(|web| is_gone(web.monitor()) || web.monitor() == 0));
}
