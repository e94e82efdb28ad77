//! Save: images for other programs, and back; an image keeps its ID on the way.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::load::{id, is_whole, layout};
use crate::util::Scene;
use crate::util::command::{Output, VIAL};

trials! {
    what_was_loaded_is_saved_with_the_ids_that_it_had [Root, Busybox, Tool("umoci"), Tool("skopeo"), Tool("tar"), Command("save")];
    skopeo_reads_what_is_saved_in_both_formats [Root, Busybox, Tool("umoci"), Tool("skopeo"), Command("save")];
    podman_loads_what_is_saved_and_what_it_saves_is_loaded [Root, Busybox, Tool("umoci"), Tool("podman"), Kernel("overlay"), Command("save")];
    umoci_unpacks_what_is_saved_with_its_whiteouts [Root, Busybox, Tool("umoci"), Tool("tar"), Command("save")];
    what_was_imported_or_committed_is_saved_and_loaded_again [Root, Busybox, Tool("tar"), Kernel("overlay"), Command("save")];
    every_archive_of_gnu_tars_formats_is_made_again [Root, Tool("tar"), Command("save")];
    a_layer_that_can_not_be_made_again_is_made_anew_with_a_warning [Root, Busybox, Tool("umoci"), Kernel("overlay"), Command("save")];
    several_images_share_an_archive_and_layers [Root, Busybox, Tool("umoci"), Kernel("overlay"), Command("save")];
    no_half_archive_is_left [Root, Busybox, Tool("umoci"), Command("save")];
}

/// podman that keeps everything in the scene's directory.
pub fn podman(scene: &Scene, words: &[&str]) -> Output {
    let own = ["--root", "podman/root", "--runroot", "podman/run", "--tmpdir", "podman/tmp", "--storage-driver", "vfs"];
    scene.command("podman", own.iter().chain(words)).run()
}

/// The document of this name in an archive.
fn document(scene: &Scene, archive: &str, name: &str) -> Value {
    let text = scene.command("tar", ["xOf", archive, name]).ok().stdout;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
}

/// Loads what [`layout`] makes, as `app:1`.
fn load(scene: &Scene) {
    layout(scene);
    scene.vial(["load", "layout"]).ok();
    scene.command("sh", ["-c", "cd root/refs && mv latest:latest app:1"]).ok();
}

fn what_was_loaded_is_saved_with_the_ids_that_it_had(scene: &Scene) {
    load(scene);
    scene.vial(["save", "-o", "saved.tar", "app:1"]).ok().silent().prints("");
    let list = document(scene, "saved.tar", "manifest.json");
    assert_eq!(list[0]["Config"], format!("blobs/sha256/{}", id(scene)));
    assert_eq!(list[0]["RepoTags"], serde_json::json!(["app:1"]));
    scene.command("mkdir", ["x"]).ok();
    scene.command("tar", ["xf", "saved.tar", "-C", "x"]).ok();
    // All blobs are what their names say.
    let sums = "cd x/blobs/sha256 && sha256sum * | while read sum name; do test $sum = $name || echo $name; done";
    scene.command("sh", ["-c", sums]).ok().prints("");
    // By its ID it has no name, and standard output does as well.
    let short = &id(scene)[..12];
    scene.command("sh", ["-c", &format!("{VIAL} save {short} > nameless.tar")]).ok();
    assert_eq!(document(scene, "nameless.tar", "manifest.json")[0]["RepoTags"], Value::Null);
    assert_eq!(document(scene, "nameless.tar", "index.json")["manifests"][0]["annotations"], Value::Null);
    scene.vial(["rmi", "app:1"]).ok();
    scene.vial(["load", "-i", "nameless.tar"]).ok().prints(&format!("Loaded image ID: sha256:{}\n", id(scene)));
}

fn skopeo_reads_what_is_saved_in_both_formats(scene: &Scene) {
    load(scene);
    scene.vial(["save", "-o", "docker.tar", "app:1"]).ok();
    scene.vial(["save", "--format", "oci-archive", "-o", "oci.tar", "app:1"]).ok();
    assert!(!scene.command("tar", ["tf", "oci.tar"]).ok().stdout.contains("manifest.json"));
    for source in [
        "docker-archive:docker.tar",
        "docker-archive:docker.tar:app:1",
        "oci-archive:docker.tar",
        "oci-archive:oci.tar:1",
    ] {
        let said = scene.command("skopeo", ["inspect", "--config", source]).ok().stdout;
        let config: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(config["config"]["Cmd"], serde_json::json!(["cat", "/number"]), "{source}");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2), "{source}");
        // Which reads and verifies every blob.
        let _ = fs::remove_dir_all(scene.path("copy"));
        scene.command("skopeo", ["copy", "-q", source, "dir:copy"]).ok();
        assert!(scene.path("copy").join(id(scene)).exists(), "{source}: the configuration keeps its digest");
    }
}

fn podman_loads_what_is_saved_and_what_it_saves_is_loaded(scene: &Scene) {
    load(scene);
    for format in ["docker-archive", "oci-archive"] {
        scene.vial(["save", "--format", format, "-o", "saved.tar", "app:1"]).ok();
        let said = podman(scene, &["load", "-q", "-i", "saved.tar"]).ends(0);
        assert!(said.stdout.contains("docker.io/library/app:1"), "{}", said.shown());
        podman(scene, &["images", "--no-trunc", "-q"]).ends(0).prints(&format!("sha256:{}\n", id(scene)));
        scene.vial(["rmi", "app:1"]).ok();
        podman(scene, &["save", "-q", "--format", format, "-o", "podmans.tar", "docker.io/library/app:1"]).ends(0);
        scene.vial(["load", "-i", "podmans.tar"]).ok().prints("Loaded image: app:1\n");
        is_whole(scene, "app:1");
        podman(scene, &["rmi", "-f", "app:1"]).ends(0);
        fs::remove_file(scene.path("podmans.tar")).expect("remove the archive");
    }
    scene.command("sh", ["-c", "rm -rf podman"]).ok();
}

fn umoci_unpacks_what_is_saved_with_its_whiteouts(scene: &Scene) {
    load(scene);
    scene.vial(["save", "-o", "saved.tar", "app:1"]).ok();
    scene.command("sh", ["-ec", "mkdir x; tar xf saved.tar -C x; umoci unpack --image x:1 bundle"]).ok();
    let root = scene.path("bundle/rootfs");
    assert_eq!(fs::read_to_string(root.join("number")).expect("read a file"), "two\n");
    assert!(!root.join("gone").exists() && !root.join("hidden/below").exists() && root.join("hidden/above").exists());
}

fn what_was_imported_or_committed_is_saved_and_loaded_again(scene: &Scene) {
    scene.vial(["import", &scene.rootfs().display().to_string(), "box"]).ok();
    scene.vial(["run", "--name", "c", "box", "sh", "-c", "rm /bin/vi; mkdir /new; echo new > /new/file"]).ok();
    let committed = scene.vial(["commit", "c", "box:2"]).ok().stdout;
    scene.vial(["save", "-o", "saved.tar", "box", "box:2"]).ok().silent();
    scene.vial(["rm", "c"]).ok();
    scene.vial(["rmi", "box", "box:2"]).ok();
    scene.vial(["load", "-i", "saved.tar"]).ok().prints("Loaded image: box:latest\nLoaded image: box:2\n");
    scene.vial(["images", "-q", "--no-trunc", "box:2"]).ok().prints(&committed);
    scene.vial(["run", "--rm", "box:2", "cat", "/new/file"]).ok().prints("new\n");
    scene.vial(["run", "--rm", "box:2", "test", "-e", "/bin/vi"]).run().ends(1);
}

fn every_archive_of_gnu_tars_formats_is_made_again(scene: &Scene) {
    let script = "mkdir -p t/d; echo a > t/d/a; ln t/d/a t/d/b; ln -s a t/d/l; mkfifo t/p; mknod t/null c 1 3
        printf x > t/sparse; truncate -s 1M t/sparse; printf y >> t/sparse; : > t/empty
        long=$(printf 'n%.0s' $(seq 120)); mkdir -p t/$long/$long; echo deep > t/$long/$long/file
        chmod 4755 t/d/a; touch -d '1970-01-01 00:00:01.5' t/d/b; setfattr -n user.note -v value t/empty 2>/dev/null || :";
    scene.command("sh", ["-ec", script]).ok();
    for format in ["gnu", "posix", "ustar", "v7", "oldgnu"] {
        for sparse in ["", "-S"] {
            let xattrs = if format == "posix" { "--xattrs" } else { "" };
            let pack = format!("tar -c {sparse} {xattrs} --format={format} -f {format}.tar -C t . 2>/dev/null || :");
            scene.command("sh", ["-c", &pack]).ok();
            let archive = fs::read(scene.path(format!("{format}.tar"))).expect("read the archive");
            scene.vial(["import", &format!("{format}.tar"), "it"]).ok();
            scene.vial(["save", "-o", "saved.tar", "it"]).ok().silent();
            let list = document(scene, "saved.tar", "manifest.json");
            let layer = list[0]["Layers"][0].as_str().expect("a path");
            scene.command("sh", ["-c", &format!("tar xOf saved.tar {layer} > again.tar")]).ok();
            assert!(fs::read(scene.path("again.tar")).expect("read it") == archive, "{format} {sparse}");
            scene.vial(["rmi", "it"]).ok();
        }
    }
}

/// The tree of a layer in the store that holds this file.
fn tree_with(scene: &Scene, file: &str) -> std::path::PathBuf {
    let layers = fs::read_dir(scene.root().join("layers")).expect("list the layers").flatten();
    layers.map(|layer| layer.path().join("diff")).find(|tree| tree.join(file).exists()).expect("a layer that has it")
}

fn a_layer_that_can_not_be_made_again_is_made_anew_with_a_warning(scene: &Scene) {
    load(scene);
    let frame = |file: &str| tree_with(scene, file).with_file_name("frame");
    let old = id(scene);
    for (number, damage) in [
        (1, &(|frame: &Path| fs::remove_file(frame)) as &dyn Fn(&Path) -> std::io::Result<()>),
        (2, &|frame| fs::write(frame, b"nonsense")),
        (3, &|frame| fs::write(frame, fs::read(frame)?.split_last().expect("bytes").1)),
        (4, &|frame| fs::write(frame.with_file_name("diff/hidden/above"), "other")),
    ] {
        damage(&frame("hidden/above")).expect("damage the layer");
        let said = scene.vial(["save", "-o", "saved.tar", "app:1"]).ok().prints("").says(&old);
        assert!(said.stderr.contains("is saved as"), "{}", said.shown());
        scene.vial(["rmi", "app:1"]).ok();
        scene.vial(["load", "-i", "saved.tar"]).ok();
        let output = if number == 4 { "other" } else { "above\n" };
        scene.vial(["run", "--rm", "app:1", "cat", "/hidden/above"]).ok().prints(output);
        scene.vial(["run", "--rm", "app:1", "ls", "/hidden"]).ok().prints("above\n");
        scene.vial(["run", "--rm", "app:1", "test", "-e", "/gone"]).run().ends(1);
        // What was made anew is made again as it is.
        scene.vial(["save", "-o", "again.tar", "app:1"]).ok().silent();
        assert_eq!(document(scene, "again.tar", "manifest.json"), document(scene, "saved.tar", "manifest.json"));
        scene.vial(["rmi", "app:1"]).ok();
        scene.vial(["load", "layout"]).ok();
        fs::rename(scene.root().join("refs/latest:latest"), scene.root().join("refs/app:1")).expect("rename");
    }
}

fn several_images_share_an_archive_and_layers(scene: &Scene) {
    load(scene);
    scene.vial(["run", "--name", "c", "app:1", "sh", "-c", "echo more > /more"]).ok();
    scene.vial(["commit", "c", "localhost:5000/team/more:3"]).ok();
    scene.vial(["rm", "c"]).ok();
    scene.vial(["save", "-o", "saved.tar", "app:1", "localhost:5000/team/more:3", "app:1"]).ok();
    let members = scene.command("tar", ["tf", "saved.tar"]).ok().stdout;
    // Three layers, two configurations, two manifests, and what names them.
    assert_eq!(members.lines().filter(|line| line.starts_with("blobs/")).count(), 7, "{members}");
    let index = document(scene, "saved.tar", "index.json");
    let full = |place: usize| index["manifests"][place]["annotations"]["io.containerd.image.name"].as_str();
    assert_eq!((full(0), full(1)), (Some("docker.io/library/app:1"), Some("localhost:5000/team/more:3")));
    scene.vial(["rmi", "app:1", "localhost:5000/team/more:3"]).ok();
    scene.vial(["load", "-i", "saved.tar"]).ok();
    scene.vial(["run", "--rm", "localhost:5000/team/more:3", "cat", "/more"]).ok().prints("more\n");
    is_whole(scene, "app:1");
}

fn no_half_archive_is_left(scene: &Scene) {
    load(scene);
    fs::write(scene.path("kept.tar"), "before").expect("write a file");
    // A layer whose tree lacks a file is found out before anything is written; a full disk is not.
    scene.vial(["save", "-o", "kept.tar", "app:1", "nosuch:1"]).run().ends(125).says("nosuch:1");
    assert_eq!(fs::read_to_string(scene.path("kept.tar")).expect("read it"), "before");
    scene.vial(["save", "-o", "/dev/full", "app:1"]).run().ends(125).says("ENOSPC");
    scene.command("sh", ["-c", &format!("{VIAL} save app:1 > /dev/full")]).run().ends(125).says("ENOSPC");
    let limited = format!("ulimit -f 100; trap '' XFSZ; {VIAL} save -o kept.tar app:1");
    scene.command("sh", ["-c", &limited]).run().ends(125).says("EFBIG");
    assert_eq!(fs::read_to_string(scene.path("kept.tar")).expect("read it"), "before");
    let parts = fs::read_dir(scene.directory()).expect("list").flatten();
    let parts: Vec<_> =
        parts.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains("part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
    scene.vial(["save", "-o", "kept.tar", "app:1"]).ok();
    assert!(fs::metadata(scene.path("kept.tar")).expect("look at it").len() > 1 << 20);
    scene.command("script", ["-qec", &format!("{VIAL} save app:1"), "/dev/null"]).run().ends(125);
}
