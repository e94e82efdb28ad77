//! OCI bundles of busybox, as an engine makes them, and vial as the runtime that gets them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Scene;
use super::command::{Cmd, Output, VIAL};
use super::container::{eventually, groups};
use super::leaks;

/// A bundle, and the container that is made of it, which has the bundle's name.
pub struct Bundle<'a> {
    scene: &'a Scene,
    /// The container's name.
    pub name: &'a str,
    /// The bundle's directory.
    pub directory: PathBuf,
    /// What goes to `config.json` before each command.
    pub config: Value,
    /// The container's control group below each hierarchy's mount point.
    pub group: String,
}

/// The directory of all containers.
pub fn state_directory(scene: &Scene) -> PathBuf {
    scene.path("oci")
}

/// vial as an engine calls it.
pub fn oci<S: AsRef<OsStr>>(scene: &Scene, words: impl IntoIterator<Item = S>) -> Cmd<'_> {
    scene.vial(["oci".as_ref(), "--root".as_ref(), state_directory(scene).as_os_str()]).args(words)
}

impl<'a> Bundle<'a> {
    /// A bundle in the scene whose container executes a shell's line. The scene's directory is there too, at `/mnt`.
    pub fn new(scene: &'a Scene, name: &'a str, line: &str) -> Bundle<'a> {
        let directory = scene.path(format!("bundle-{name}"));
        fs::create_dir_all(&directory).expect("make the bundle");
        let place = scene.directory().file_name().expect("it has a name").to_string_lossy();
        let group = format!("/{}{}-{place}-{name}", leaks::MARK, std::process::id());
        let mount = |place: &str, kind: &str, options: &[&str]| json!({"destination": place, "type": kind, "source": kind, "options": options});
        let capabilities = ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN"];
        let kinds = ["pid", "network", "ipc", "uts", "mount"];
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "args": ["/bin/sh", "-c", line],
                "cwd": "/",
                "env": ["PATH=/bin"],
                "user": {"uid": 0, "gid": 0},
                "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
                "noNewPrivileges": true,
            },
            "root": {"path": scene.rootfs(), "readonly": true},
            "hostname": "inside",
            "mounts": [
                mount("/proc", "proc", &[]),
                mount("/dev", "tmpfs", &["nosuid", "mode=755", "size=64k"]),
                mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
                {"destination": "/mnt", "type": "bind", "source": scene.directory(), "options": ["bind", "rw"]},
            ],
            "linux": {
                "cgroupsPath": group,
                "namespaces": kinds.map(|kind| json!({"type": kind})),
                "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            },
        });
        Bundle { scene, name, directory, config, group }
    }

    /// Writes `config.json`.
    pub fn write(&self) {
        fs::write(self.directory.join("config.json"), self.config.to_string()).expect("write config.json");
    }

    /// A command about the container; further words stand behind its name.
    pub fn oci(&self, command: &str, words: &[&str]) -> Cmd<'a> {
        oci(self.scene, [command, self.name]).args(words)
    }

    /// A command that makes the container, with options; it may stay, so its output goes to files.
    pub fn make(&self, command: &str, options: &[&str]) -> Output {
        self.write();
        let bundle = self.directory.display().to_string();
        let root = state_directory(self.scene).display().to_string();
        let words = [&[VIAL, "oci", "--root", &root, command, "--bundle", &bundle], options, &[self.name]].concat();
        stays(self.scene, self.name, &words)
    }

    /// Makes the container, which must succeed.
    #[track_caller]
    pub fn create(&self) {
        self.make("create", &[]).ends(0);
    }

    /// Makes and starts the container, which must succeed.
    #[track_caller]
    pub fn start(&self) {
        self.create();
        self.oci("start", &[]).ok();
    }

    /// What `state` prints.
    #[track_caller]
    pub fn state(&self) -> Value {
        serde_json::from_str(&self.oci("state", &[]).ok().stdout).expect("the state is JSON")
    }

    /// How far the container has come.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("it has a status").to_owned()
    }

    /// The number of the first process.
    pub fn pid(&self) -> u64 {
        self.state()["pid"].as_u64().expect("it has a number")
    }

    /// Waits until the container has come so far.
    #[track_caller]
    pub fn is_going_to_be(&self, status: &str) {
        eventually(status, || (self.status() == status).then_some(()));
    }

    /// Removes the container, whatever it does.
    #[track_caller]
    pub fn delete(&self) {
        self.oci("delete", &["--force"]).ok();
        self.assert_gone();
    }

    /// Asserts that nothing of the container is left.
    #[track_caller]
    pub fn assert_gone(&self) {
        let directory = state_directory(self.scene).join(self.name);
        assert!(!directory.exists(), "{} is there", directory.display());
        let left = groups(&self.group);
        assert!(left.is_empty(), "{left:?} are there");
    }

    /// A file in one of the container's groups.
    pub fn limit(&self, file: &str) -> String {
        let groups = groups(&self.group);
        let text = groups.iter().find_map(|group| fs::read_to_string(group.join(file)).ok());
        text.unwrap_or_else(|| panic!("no group of {groups:?} has {file}")).trim().to_owned()
    }

    /// The copy of `config.json` that vial keeps.
    pub fn kept(&self) -> Value {
        let path = state_directory(self.scene).join(self.name).join("config.json");
        serde_json::from_slice(&fs::read(path).expect("read the copy")).expect("it is JSON")
    }
}

/// Runs a command that leaves processes behind which keep its output: that goes to files.
pub fn stays(scene: &Scene, name: &str, words: &[&str]) -> Output {
    let (out, error) = (scene.path(format!("{name}.out")), scene.path(format!("{name}.err")));
    let line = format!("\"$@\" </dev/null >{} 2>{}", out.display(), error.display());
    let mut output = scene.command("sh", ["-c", &line, "sh"]).args(words).run();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    (output.line, output.stdout, output.stderr) = (words.join(" "), read(&out), read(&error));
    output
}

/// What is wrong with a document by one of the specification's own schemas.
pub fn errors(schema: &str, document: &Value) -> Vec<String> {
    let directory = super::source::project().join("tests/data/runtime-spec");
    let mut options = jsonschema::options();
    for entry in fs::read_dir(directory).expect("list the schemas").flatten() {
        let text = fs::read(entry.path()).expect("read a schema");
        let value: Value = serde_json::from_slice(&text).expect("it is JSON");
        let resource = jsonschema::Resource::from_contents(value).expect("it is a schema");
        options = options.with_resource(format!("file:///schema/{}", entry.file_name().display()), resource);
    }
    let validator = options.build(&json!({"$ref": format!("file:///schema/{schema}.json")})).expect("it is a schema");
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path)).collect()
}
