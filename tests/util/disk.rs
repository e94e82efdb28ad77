//! A disk of a test's own.

use std::fs;
use std::process::Command;

use super::Scene;

/// A file of 8 MiB behind a loop device, which goes when this does.
pub struct Disk<'a> {
    scene: &'a Scene,
    /// Its node in `/dev`.
    pub path: String,
    /// Its numbers: `7:0`.
    pub number: String,
}

impl<'a> Disk<'a> {
    /// Makes one.
    ///
    /// # Panics
    /// When there is no loop device left.
    pub fn new(scene: &'a Scene) -> Disk<'a> {
        let image = scene.path("disk");
        fs::File::create(&image).and_then(|file| file.set_len(8 << 20)).expect("make a file");
        let output = scene.command("losetup", ["-f".as_ref(), "--show".as_ref(), image.as_os_str()]).ok();
        let path = output.stdout.trim_end().to_owned();
        let name = path.trim_start_matches("/dev/");
        let number = fs::read_to_string(format!("/sys/block/{name}/dev")).expect("a device has numbers");
        Disk { scene, path, number: number.trim_end().to_owned() }
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.path]).current_dir(self.scene.directory()).status();
    }
}
