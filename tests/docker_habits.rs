//! What hands that know docker type: `tests/data/docker_habits.txt`, with vial in docker's place.

use std::collections::BTreeSet;

use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use crate::util::network::Host;

trials! {
    dockers_command_lines_do_what_they_do_or_say_what_there_is [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Tool("script")];
}

const HABITS: &str = include_str!("data/docker_habits.txt");

/// A command line, and what is known of what it does.
struct Habit<'a> {
    line: &'a str,
    code: i32,
    /// Lines of standard output, unless only parts are known.
    lines: Vec<&'a str>,
    parts: Vec<&'a str>,
    errors: Vec<&'a str>,
}

fn habits() -> Vec<Habit<'static>> {
    let mut habits: Vec<Habit<'_>> = Vec::new();
    for line in HABITS.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(line) = line.strip_prefix("$ ") {
            habits.push(Habit { line, code: 0, lines: Vec::new(), parts: Vec::new(), errors: Vec::new() });
            continue;
        }
        let habit = habits.last_mut().expect("a command line comes first");
        match line.split_once(' ') {
            Some(("=", code)) => habit.code = code.parse().expect("an exit code"),
            Some(("?", part)) => habit.parts.push(part),
            Some(("!", error)) => habit.errors.push(error),
            _ => habit.lines.push(line),
        }
    }
    habits
}

/// Whether a text is as a pattern says, in which `*` stands for anything.
fn fits(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|text| {
            rest.is_empty() || (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| fits(text, rest)))
        }),
    }
}

/// What is wrong with what a command line did.
fn wrong(habit: &Habit<'_>, output: &Output) -> Option<String> {
    let told: Vec<&str> = output.stdout.lines().collect();
    let are_lines =
        told.len() == habit.lines.len() && told.iter().zip(&habit.lines).all(|(told, line)| fits(told, line));
    // A command that fails, or of whose output parts are known, may say what it likes besides.
    let is_free = habit.code != 0 || !habit.parts.is_empty();
    let is_as_known = output.code == habit.code
        && (are_lines || is_free && habit.lines.is_empty())
        && habit.parts.iter().all(|part| output.stdout.contains(part))
        && habit.errors.iter().all(|error| output.stderr.contains(error));
    (!is_as_known).then(|| format!("$ {}\n{}", habit.line, output.shown()))
}

fn dockers_command_lines_do_what_they_do_or_say_what_there_is(scene: &Scene) {
    let habits = habits();
    let distinct: BTreeSet<&str> = habits.iter().map(|habit| habit.line).collect();
    assert!(distinct.len() >= 100, "{} command lines", distinct.len());
    let host = Host::new(scene);
    std::fs::write(scene.path("env"), "A=b\n").expect("write a file");
    scene
        .command("tar", ["-cf".as_ref(), "root.tar".as_ref(), "-C".as_ref(), scene.rootfs().as_os_str(), ".".as_ref()])
        .ok();
    host.vial(["import", "-c", "CMD [\"sh\"]", "root.tar", "busybox"]).ok();
    let mut failed = Vec::new();
    for habit in &habits {
        let script = format!("docker() {{ env -u VIAL_NETWORK {VIAL} \"$@\"; }}\n{}", habit.line);
        let output = if habit.line.contains(" -it ") {
            std::fs::write(scene.path("script"), script).expect("write a script");
            host.command("script", ["-qefc", "bash ./script", "/dev/null"]).run()
        } else {
            host.command("bash", ["-c", &script]).run()
        };
        failed.extend(wrong(habit, &output));
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), habits.len(), failed.join("\n\n"));
    host.end();
}
