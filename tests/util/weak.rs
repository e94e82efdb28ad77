//! vial with defences that can be turned off, one by one, to see that an attack which comes to nothing is one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::command::{Cmd, VIAL};
use super::scene::{Scene, work_directory};
use super::source::project;

/// vial as it is attacked.
#[derive(Clone, Copy)]
pub struct Victim<'a> {
    /// Where.
    pub scene: &'a Scene,
    /// The names of the defences that are turned off, with commas between them; none of the vial under test's.
    off: &'a str,
}

impl<'a> Victim<'a> {
    /// The vial under test.
    pub fn whole(scene: &'a Scene) -> Victim<'a> {
        Victim { scene, off: "" }
    }

    /// The one without these. It is built now, if it was not: an attack has no time for that.
    pub fn without(scene: &'a Scene, off: &'a str) -> Victim<'a> {
        weakened();
        Victim { scene, off }
    }

    /// Whether it is the vial under test.
    pub fn is_whole(&self) -> bool {
        self.off.is_empty()
    }

    /// Its program.
    pub fn program(&self) -> &'static Path {
        if self.is_whole() { Path::new(VIAL) } else { weakened() }
    }

    /// It, with these arguments.
    pub fn vial<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd<'a> {
        self.command(&self.program().display().to_string(), args)
    }

    /// A program that may execute it.
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Cmd<'a> {
        let command = self.scene.command(program, args);
        if self.is_whole() { command } else { command.env("VIAL_WEAK", self.off) }
    }
}

/// The build that heeds `VIAL_WEAK`.
pub fn weakened() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("weakened");
        let words = ["build", "--locked", "--bin", "vial", "--features", "weakened", "--target-dir"];
        let cargo = Cmd::new(work_directory(), env!("CARGO")).args(words).args([&target]);
        cargo.current_dir(project()).limit(Duration::from_mins(5)).ok();
        target.join("debug/vial")
    })
}

/// Asserts that an attack comes to nothing, and that it succeeds where these defences are turned off; what is given tells whether
/// it has succeeded.
#[track_caller]
pub fn only_without(scene: &Scene, off: &str, attack: impl Fn(Victim<'_>) -> bool) {
    assert!(!attack(Victim::whole(scene)), "the attack succeeds");
    assert!(attack(Victim::without(scene, off)), "the attack comes to nothing even without {off}: it is none");
}
