//! `commit`: a container's changes as a layer of a new image.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::util::Scene;
use crate::util::container::{Container, eventually};
use crate::util::tree::{self, assert_same};

trials! {
    a_committed_image_shows_what_the_container_showed [Root, Busybox, Kernel("overlay")];
    layers_are_shared_with_the_image_below [Root, Busybox, Kernel("overlay")];
    a_layer_is_the_archive_that_the_oci_specification_describes [Root, Busybox, Tool("strace"), Kernel("overlay")];
    what_the_container_was_given_becomes_the_images [Root, Busybox, Kernel("overlay")];
    instructions_change_the_configuration [Root, Busybox, Kernel("overlay")];
    what_cannot_be_committed_is_refused [Root, Busybox, Kernel("overlay")];
    a_name_that_means_something_else_in_a_layer_is_refused [Root, Busybox, Kernel("overlay")];
    a_running_container_can_be_committed [Root, Busybox, Kernel("overlay")];
    an_image_may_have_many_layers [Root, Busybox, Kernel("overlay")];
}

/// What is below, and what is done to it.
const BEFORE: &str = "mkdir -p /d/sub /gone /opaque/sub; echo 1 > /d/file; echo 1 > /d/removed; echo 1 > /gone/x; echo 1 > /opaque/old; \
     echo 1 > /opaque/sub/x; echo 1 > /file-to-dir; mkdir /dir-to-file; touch -d @1000000000 /d";
const AFTER: &str = "echo 2 >> /d/file; rm /d/removed; rm -r /gone; rm -r /opaque; mkdir -p /opaque/sub; echo 2 > /opaque/new; \
     rm /file-to-dir; mkdir /file-to-dir; echo 2 > /file-to-dir/x; rmdir /dir-to-file; echo 2 > /dir-to-file; ln -s /d /link; \
     ln /d/file /hard; mkfifo /pipe; chmod 4711 /bin/busybox; chown 12:34 /d; dd if=/dev/zero of=/sparse bs=1 seek=9999999 count=1 2>/dev/null";

/// An image with two layers and a container on it that has ended.
fn prepare(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    scene.vial(["run", "--name", "below", "base", "sh", "-ec", BEFORE]).ok();
    scene.vial(["commit", "below", "two"]).ok();
    scene.vial(["rm", "below"]).ok();
    scene.vial(["run", "--name", "c", "two", "sh", "-ec", AFTER]).ok();
}

fn commit(scene: &Scene, words: &[&str]) -> (String, Value) {
    let output = scene.vial(["commit"].iter().chain(words)).ok().silent();
    let id =
        output.stdout.trim_end().strip_prefix("sha256:").unwrap_or_else(|| panic!("{}", output.shown())).to_owned();
    let text = fs::read(scene.root().join("images").join(format!("{id}.json"))).expect("read the image");
    assert_eq!(format!("{:x}", Sha256::digest(&text)), id);
    (id, serde_json::from_slice(&text).expect("JSON"))
}

fn layers(image: &Value) -> Vec<String> {
    let listed = image["rootfs"]["diff_ids"].as_array().expect("a list").iter();
    listed.map(|layer| layer.as_str().expect("text").replace("sha256:", "")).collect()
}

fn a_committed_image_shows_what_the_container_showed(scene: &Scene) {
    prepare(scene);
    let (_, image) = commit(scene, &["-a", "Me <me@example.org>", "-m", "for a test", "c", "mine:3"]);
    assert_eq!(layers(&image).len(), 3);
    assert_eq!(image["author"], "Me <me@example.org>");
    let history = image["history"].as_array().expect("a list");
    assert_eq!(history.len(), 3);
    let last = &history[2];
    assert_eq!((&last["comment"], &last["author"]), (&json!("for a test"), &json!("Me <me@example.org>")));
    assert!(last["created_by"].as_str().is_some_and(|text| text.starts_with("sh -ec ")), "{last}");
    assert_eq!(last["created"], image["created"]);
    scene.vial(["run", "--name", "again", "mine:3", "true"]).ok();
    for (name, out) in [("c", "one"), ("again", "other")] {
        scene.vial(["cp", "-a", &format!("{name}:/"), out]).ok();
    }
    let look = |name: &str| {
        let mut tree = tree::look(&scene.path(name));
        // Each container has places to mount on of its own.
        for (directory, names) in [(".", &[][..]), ("./etc", &["hosts", "hostname", "resolv.conf"])] {
            for name in names {
                tree.remove(&Path::new(directory).join(name));
            }
            tree.get_mut(Path::new(directory)).expect("a directory").modified = (0, 0);
        }
        tree
    };
    assert_same(&look("one"), &look("other"));
    assert!(tree::is_sparse(&scene.path("other/sparse")));
    // Nothing shines through from below.
    scene
        .vial([
            "run",
            "--rm",
            "mine:3",
            "sh",
            "-c",
            "ls /opaque /opaque/sub /file-to-dir; ls -d /gone /d/removed 2>/dev/null",
        ])
        .ends(1)
        .prints("/file-to-dir:\nx\n\n/opaque:\nnew\nsub\n\n/opaque/sub:\n");
    scene.vial(["rm", "c", "again"]).ok();
    scene.assert_nothing_left();
}

fn layers_are_shared_with_the_image_below(scene: &Scene) {
    prepare(scene);
    let (first, image) = commit(scene, &["c"]);
    let count = || fs::read_dir(scene.root().join("layers")).expect("list the layers").count();
    assert_eq!(count(), 3);
    // The same changes are the same layer; the name moves.
    let (second, again) = commit(scene, &["c", "mine"]);
    assert_eq!((layers(&image), count()), (layers(&again), 3));
    assert_ne!(first, second);
    scene.vial(["rm", "c"]).ok();
    scene.vial(["rmi", &first, "mine"]).ok();
    assert_eq!(count(), 2, "those of the image below stay");
    scene.vial(["run", "--rm", "two", "cat", "/d/removed"]).ok().prints("1\n");
    scene.assert_nothing_left();
}

/// The archive of an image's last layer, as `save` makes it again.
fn archive_of(scene: &Scene, image: &str) -> Vec<u8> {
    scene.vial(["save", "-o", "saved.tar", image]).ok();
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut saved = tar::Archive::new(fs::File::open(scene.path("saved.tar")).expect("open what was saved"));
    for entry in saved.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("read an entry");
        files.insert(name, content);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).expect("a manifest");
    let layers = manifest[0]["Layers"].as_array().expect("layers");
    files.remove(layers.last().and_then(|layer| layer.as_str()).expect("a layer")).expect("the layer is there")
}

fn a_layer_is_the_archive_that_the_oci_specification_describes(scene: &Scene) {
    prepare(scene);
    scene.vial(["commit", "c", "mine"]).ok();
    let archive = archive_of(scene, "mine");
    let list = scene.vial(["inspect", "-f", "{{json .RootFS.Layers}}", "mine"]).ok().stdout;
    let digest = format!("sha256:{:x}", Sha256::digest(&archive));
    assert!(list.trim_end().ends_with(&format!("\"{digest}\"]")), "{list} {digest}");
    let mut archive = tar::Archive::new(&archive[..]);
    let mut members = BTreeMap::new();
    for entry in archive.entries().expect("entries") {
        let entry = entry.expect("an entry");
        members
            .insert(entry.path().expect("a path").display().to_string(), (entry.header().entry_type(), entry.size()));
    }
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    for whiteout in ["./.wh.gone", "./d/.wh.removed", "./opaque/.wh..wh..opq", "./file-to-dir/.wh..wh..opq"] {
        assert_eq!(members.get(whiteout), Some(&(tar::EntryType::Regular, 0)), "{whiteout} in {names:?}");
    }
    assert!(members.values().all(|(kind, _)| !kind.is_character_special()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("etc/hosts")), "a place to mount on: {names:?}");
    assert_eq!(members["./d/file"].0, tar::EntryType::Regular);
    assert_eq!(members["./hard"].0, tar::EntryType::Link);
    scene.vial(["rm", "c"]).ok();
}

fn what_the_container_was_given_becomes_the_images(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    let words =
        ["run", "--name", "c", "-e", "A=b c", "-w", "/tmp", "-u", "user:29", "--stop-signal", "INT", "-l", "k=v"];
    scene.vial(words.iter().chain(&["base", "sh", "-c", "echo $0 $A", "x"])).ok();
    let (_, image) = commit(scene, &["c", "mine"]);
    let config = &image["config"];
    assert_eq!(config["Cmd"], json!(["sh", "-c", "echo $0 $A", "x"]));
    assert_eq!((&config["WorkingDir"], &config["User"]), (&json!("/tmp"), &json!("user:29")));
    assert_eq!((&config["StopSignal"], &config["Labels"]), (&json!("SIGINT"), &json!({"k": "v"})));
    let env = config["Env"].as_array().expect("a list");
    assert!(env.contains(&json!("A=b c")), "{env:?}");
    assert!(!env.iter().any(|line| line.as_str().is_some_and(|line| line.starts_with("HOSTNAME="))), "{env:?}");
    scene.vial(["run", "--rm", "mine"]).ok().prints("x b c\n");
    scene.vial(["run", "--rm", "mine", "sh", "-c", "pwd; id -u; id -g"]).ok().prints("/tmp\n1000\n29\n");
    // An entry point stays one, and what follows it is the command.
    commit(scene, &["-c", "ENTRYPOINT [\"echo\", \"words:\"]", "c", "entry"]);
    scene.vial(["run", "--name", "e", "entry", "one", "two"]).ok().prints("words: one two\n");
    let (_, image) = commit(scene, &["e", "entry2"]);
    assert_eq!(
        (&image["config"]["Entrypoint"], &image["config"]["Cmd"]),
        (&json!(["echo", "words:"]), &json!(["one", "two"]))
    );
    scene.vial(["rm", "c", "e"]).ok();
    scene.assert_nothing_left();
}

fn instructions_change_the_configuration(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    scene.vial(["run", "--name", "c", "base", "true"]).ok();
    let changes = [
        "CMD [\"sh\", \"-c\", \"echo $A; pwd\"]",
        "ENV A=1 PATH=$PATH:/more\nworkdir /tmp",
        "EXPOSE 80/tcp 53/udp",
        "LABEL a=b \"c d\"=\"e f\"",
        "VOLUME /data",
        "USER 1000",
        "STOPSIGNAL SIGQUIT",
    ];
    let words: Vec<&str> = changes.iter().flat_map(|change| ["--change", change]).chain(["c", "mine"]).collect();
    let (_, image) = commit(scene, &words);
    let config = &image["config"];
    assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}, "53/udp": {}}));
    assert_eq!(config["Labels"], json!({"a": "b", "c d": "e f"}));
    assert_eq!((&config["Volumes"], &config["User"]), (&json!({"/data": {}}), &json!("1000")));
    assert_eq!(config["StopSignal"], "SIGQUIT");
    assert!(
        config["Env"].as_array().is_some_and(|env| env
            .iter()
            .any(|line| line.as_str().is_some_and(|line| line.starts_with("PATH=/") && line.ends_with("/bin:/more")))),
        "{config}"
    );
    scene.vial(["run", "--rm", "mine"]).ok().prints("1\n/tmp\n");
    // A new entry point without a new command: the old one is no longer meant.
    let (_, image) = commit(scene, &["-c", "ENTRYPOINT exec true", "c"]);
    assert_eq!(image["config"]["Entrypoint"], json!(["/bin/sh", "-c", "exec true"]));
    assert_eq!(image["config"]["Cmd"], Value::Null);
    scene.vial(["commit", "-c", "RUN true", "c"]).ends(125).says("no such instruction").says("STOPSIGNAL");
    scene.vial(["rm", "c"]).ok();
}

fn what_cannot_be_committed_is_refused(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "d", &rootfs, "true"]).ok();
    scene.vial(["run", "--name", "h", "host", "true"]).ok();
    for name in ["d", "h"] {
        scene.vial(["commit", name, "mine"]).ends(125).prints("").says("vial export").says("vial import");
    }
    scene.vial(["commit", "nosuch"]).ends(125).says("no such container: nosuch");
    scene.vial(["commit", "d", "Upper"]).ends(125).says("invalid image");
    assert_eq!(scene.vial(["images", "-q"]).ok().stdout, "");
    scene.vial(["rm", "d", "h"]).ok();
    scene.assert_nothing_left();
}

fn a_name_that_means_something_else_in_a_layer_is_refused(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    for name in [".wh.x", ".wh.", ".wh..wh..opq"] {
        scene.vial(["run", "--name", "c", "base", "touch", &format!("/tmp/{name}")]).ok();
        scene.vial(["commit", "c", "mine"]).ends(125).says("removed").says(name);
        // As a root of its own it is a name like others.
        scene.vial(["export", "-o", "c.tar", "c"]).ok();
        scene.vial(["import", "c.tar", "whole"]).ok();
        scene.vial(["run", "--rm", "whole", "ls", "-a", "/tmp"]).ok().prints(&format!(".\n..\n{name}\n"));
        scene.vial(["rm", "c"]).ok();
    }
    let left: Vec<PathBuf> =
        fs::read_dir(scene.root().join("tmp")).expect("list").flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

fn a_running_container_can_be_committed(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    let vial = scene
        .vial(["run", "--rm", "--name", "r", "base", "sh", "-c", "echo 1 > /made; echo up > /up; sleep 30"])
        .start();
    let running = Container::watch(scene, vial, Some("r"));
    eventually("the script has run", || running.proc("root/up").exists().then_some(()));
    // It stands still meanwhile, unless that is not wanted, and goes on then.
    let marked = scene.root().join("containers").join(&running.id).join("paused");
    for (words, frozen) in [(&["commit"][..], true), (&["commit", "--pause=false"], false), (&["commit", "-p"], true)] {
        let told = scene.vial(["--explain"].iter().chain(words).chain(&["r", "mine"])).ok().stderr;
        assert_eq!(told.contains("freeze the container's processes"), frozen, "{told}");
        assert_eq!(told.contains("let the container go on"), frozen, "{told}");
        assert!(!marked.exists(), "it was not let go on");
        scene.vial(["exec", "r", "true"]).ok();
    }
    // One that is paused already stays so.
    scene.vial(["pause", "r"]).ok();
    commit(scene, &["r", "mine"]);
    assert!(marked.exists());
    scene.vial(["unpause", "r"]).ok();
    running.stop();
    scene.vial(["run", "--rm", "mine", "cat", "/made"]).ok().prints("1\n");
    scene.assert_nothing_left();
}

/// Puts an image of so many layers into the store, each with a file of its own: `/N`, and `/top`, which has the number.
fn stack(scene: &Scene, layers: usize) {
    let hex = |digest: &[u8]| digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let root = scene.root();
    let mut digests = Vec::new();
    for number in 0..layers {
        let digest = hex(&sha2::Sha256::digest(number.to_string()));
        let diff = root.join("layers").join(&digest).join("diff");
        fs::create_dir_all(&diff).expect("make a layer");
        for name in [number.to_string().as_str(), "top"] {
            fs::write(diff.join(name), format!("{number}\n")).expect("write a file");
        }
        if number == 0 {
            scene.command("cp", ["-a", &format!("{}/.", scene.rootfs().display()), &diff.display().to_string()]).ok();
        }
        digests.push(format!("\"sha256:{digest}\""));
    }
    let config = format!("{{\"rootfs\":{{\"diff_ids\":[{}]}}}}", digests.join(","));
    let id = hex(&sha2::Sha256::digest(&config));
    for (directory, name, content) in [("images", format!("{id}.json"), config), ("refs", "image:latest".into(), id)] {
        fs::create_dir_all(root.join(directory)).expect("make a directory");
        fs::write(root.join(directory).join(name), content).expect("write a file");
    }
}

fn an_image_may_have_many_layers(scene: &Scene) {
    stack(scene, 249);
    scene
        .vial(["run", "--name", "c", "image", "sh", "-c", "cat /top /0 /100; rm /0; echo new >/top"])
        .ok()
        .prints("248\n0\n100\n");
    scene.vial(["diff", "c"]).ok().prints("D /0\nC /top\n");
    scene.vial(["cp", "c:/248", "copied"]).ok();
    assert_eq!(fs::read_to_string(scene.path("copied")).expect("a file"), "248\n");
    scene.vial(["commit", "c", "image"]).ok();
    scene.vial(["rm", "c"]).ok();
    scene.vial(["run", "-d", "--name", "c", "image", "sleep", "600"]).ok();
    scene.vial(["exec", "c", "sh", "-c", "cat /top; ls /0 /248"]).ends(1).prints("new\n/248\n");
    scene.vial(["export", "-o", "tar", "c"]).ok();
    scene.command("tar", ["-xOf", "tar", "./top", "./100"]).ok().prints("100\nnew\n");
    scene.vial(["commit", "c"]).ends(125).says("250 layers").says("vial export");
    scene.vial(["rm", "-f", "c"]).ok();
    scene.assert_nothing_left();
}
