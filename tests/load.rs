//! Load: images that other programs saved.

use std::{env, fs};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::util::command::VIAL;
use crate::util::container::eventually;
use crate::util::disk::Disk;
use crate::util::{Scene, killer, leaks};

trials! {
    a_layout_of_ocis_is_loaded_and_runs [Root, Busybox, Tool("umoci"), Kernel("overlay"), Command("load")];
    archives_of_docker_and_oci_are_loaded [Root, Busybox, Tool("umoci"), Tool("skopeo"), Kernel("overlay"), Command("load")];
    an_archive_compressed_by_zstd_and_layers_compressed_by_zstd_are_loaded [Root, Tool("tar"), Tool("zstd"), Command("load")];
    docker_archives_of_old_with_links_between_layers_are_loaded [Root, Tool("tar"), Command("load")];
    an_index_gives_the_image_for_this_machine_or_for_the_one_asked_for [Command("load")];
    layers_that_the_store_has_are_not_read_again [Command("load")];
    what_is_damaged_is_named_and_leaves_nothing [Command("load")];
    what_attacks_is_refused_and_leaves_nothing [Tool("tar"), Command("load")];
    a_limit_on_what_is_unpacked_holds_for_all_layers_together [Tool("tar"), Tool("gzip"), Command("load")];
    import_and_load_name_each_other [Root, Busybox, Tool("tar"), Tool("umoci"), Command("load")];
    a_load_killed_at_any_call_shows_nothing_and_leaves_what_gc_removes [Root, Busybox, Tool("umoci"), Command("load")];
    a_full_disk_is_told_and_leaves_nothing [Root, Busybox, Tool("umoci"), Tool("losetup"), Tool("mkfs.ext4"), Tool("mount"), Command("load")];
}

/// An image of two layers, in OCI's layout in `layout`, called `latest`. The second takes a file and what was in a directory
/// away.
pub fn layout(scene: &Scene) {
    let script = format!(
        "umoci init --layout layout
        umoci new --image layout:latest
        umoci unpack --image layout:latest one
        cp -a {}/. one/rootfs/
        mkdir one/rootfs/hidden one/rootfs/hidden/below
        echo below > one/rootfs/hidden/below/file
        echo gone > one/rootfs/gone
        echo one > one/rootfs/number
        umoci repack --image layout:latest one
        umoci unpack --image layout:latest two
        rm -r two/rootfs/hidden two/rootfs/gone
        mkdir two/rootfs/hidden
        echo above > two/rootfs/hidden/above
        echo two > two/rootfs/number
        umoci repack --image layout:latest two
        umoci config --image layout:latest --config.cmd cat --config.cmd /number
        rm -r one two",
        scene.rootfs().display()
    );
    scene.command("sh", ["-ec", &script]).ok();
}

/// The ID of the image in `layout`.
pub fn id(scene: &Scene) -> String {
    let document = |digest: &str| -> serde_json::Value {
        let path = scene.path("layout/blobs").join(digest.replace(':', "/"));
        serde_json::from_slice(&fs::read(path).expect("read a blob")).expect("JSON")
    };
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.path("layout/index.json")).expect("read the index")).expect("JSON");
    let manifest = document(index["manifests"][0]["digest"].as_str().expect("a digest"));
    manifest["config"]["digest"].as_str().expect("a digest").replace("sha256:", "")
}

/// Asserts that the image of [`layout`] is there under this name, and whole.
pub fn is_whole(scene: &Scene, name: &str) {
    scene.vial(["images", "--no-trunc", "-q", name]).ok().prints(&format!("sha256:{}\n", id(scene)));
    scene.vial(["run", "--rm", name]).ok().prints("two\n");
    scene.vial(["run", "--rm", name, "ls", "/hidden"]).ok().prints("above\n");
    scene.vial(["run", "--rm", name, "ls", "/gone"]).run().ends(1);
}

fn a_layout_of_ocis_is_loaded_and_runs(scene: &Scene) {
    layout(scene);
    scene.vial(["load", "layout"]).ok().prints("Loaded image: latest:latest\n");
    is_whole(scene, "latest");
    // All is there already.
    scene.vial(["load", "-i", "layout"]).ok().prints("Loaded image: latest:latest\n");
    scene.vial(["rmi", "latest"]).ok();
    assert_eq!(fs::read_dir(scene.root().join("layers")).expect("the layers").count(), 0);
}

fn archives_of_docker_and_oci_are_loaded(scene: &Scene) {
    layout(scene);
    for (kind, name) in [("docker-archive", "docker.io/library/app:1"), ("oci-archive", "docker.io/library/app:1")] {
        let to = format!("{kind}:archive:{name}");
        scene.command("skopeo", ["copy", "-q", "oci:layout:latest", &to]).ok();
        scene.vial(["load", "-i", "archive"]).ok().prints("Loaded image: app:1\n");
        is_whole(scene, "app:1");
        scene.vial(["rmi", "app:1"]).ok();
        scene.command("sh", ["-c", &format!("cat archive | {VIAL} load")]).ok().prints("Loaded image: app:1\n");
        is_whole(scene, "app:1");
        scene.vial(["rmi", "app:1"]).ok();
        scene.command("gzip", ["archive"]).ok();
        scene.vial(["load", "archive.gz"]).ok().prints("Loaded image: app:1\n");
        is_whole(scene, "app:1");
        scene.vial(["rmi", "app:1"]).ok();
        scene.command("rm", ["archive.gz"]).ok();
    }
}

/// An image in OCI's layout in the directory `made`, put together by hand so that anything in it can be wrong.
struct Made<'a> {
    scene: &'a Scene,
}

impl<'a> Made<'a> {
    fn new(scene: &'a Scene) -> Made<'a> {
        let _ = fs::remove_dir_all(scene.path("made"));
        fs::create_dir_all(scene.path("made/blobs/sha256")).expect("make directories");
        fs::write(scene.path("made/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write a file");
        Made { scene }
    }

    /// Adds a blob; its descriptor.
    fn blob(&self, content: &[u8]) -> Value {
        let digits: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.scene.path("made/blobs/sha256").join(&digits), content).expect("write a blob");
        json!({"mediaType": "x", "digest": format!("sha256:{digits}"), "size": content.len()})
    }

    fn json(&self, value: &Value) -> Value {
        self.blob(value.to_string().as_bytes())
    }

    /// A layer with one file of this content; its descriptor.
    fn layer(&self, content: &str) -> Value {
        self.blob(&archive(&[("file", content)]))
    }

    /// The descriptor of a manifest of these layers, whose archives are not compressed.
    fn manifest(&self, layers: &[Value]) -> Value {
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = self.json(&json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}}));
        self.json(&json!({"schemaVersion": 2, "config": config, "layers": layers}))
    }

    fn index(&self, manifests: &Value) {
        let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
        fs::write(self.scene.path("made/index.json"), index).expect("write the index");
    }

    /// The file of a blob.
    fn path(&self, descriptor: &Value) -> std::path::PathBuf {
        let digest = descriptor["digest"].as_str().expect("a digest");
        self.scene.path("made/blobs").join(digest.replace(':', "/"))
    }

    /// Asserts that it is refused and that nothing of it stays.
    fn refused(&self, words: &[&str]) -> crate::util::command::Output {
        refused(self.scene, &[&["load", "made"], words].concat())
    }
}

/// An archive of files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).expect("write to memory");
    }
    builder.into_inner().expect("write to memory")
}

/// Asserts that a command fails as vial's own failure and leaves nothing in the store.
fn refused(scene: &Scene, words: &[&str]) -> crate::util::command::Output {
    let output = scene.vial(words).run().ends(125).prints("");
    for name in ["images", "layers", "refs", "tmp"] {
        let left = fs::read_dir(scene.root().join(name)).into_iter().flatten().count();
        assert_eq!(left, 0, "{name} is not empty after {}", output.shown());
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.shown());
    output
}

fn an_archive_compressed_by_zstd_and_layers_compressed_by_zstd_are_loaded(scene: &Scene) {
    let made = Made::new(scene);
    let plain = archive(&[("file", "content")]);
    fs::write(scene.path("layer"), &plain).expect("write a file");
    scene.command("zstd", ["-q", "layer"]).ok();
    let packed = made.blob(&fs::read(scene.path("layer.zst")).expect("read a file"));
    let config = json!({"rootfs": {"diff_ids": [made.blob(&plain)["digest"]]}});
    let config = made.json(&config);
    made.index(&json!([made.json(&json!({"config": config, "layers": [packed]}))]));
    scene.vial(["load", "made"]).ok();
    scene.vial(["rmi", &config["digest"].as_str().expect("a digest")[7..]]).ok();
    scene.command("sh", ["-ec", "tar c -C made . | zstd -q > made.tar.zst"]).ok();
    scene
        .vial(["load", "-i", "made.tar.zst"])
        .ok()
        .prints(&format!("Loaded image ID: {}\n", config["digest"].as_str().expect("a digest")));
}

fn docker_archives_of_old_with_links_between_layers_are_loaded(scene: &Scene) {
    let (one, two) = (archive(&[("file", "one")]), archive(&[("other", "two")]));
    let digest = |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    let ids: Vec<String> = [&one, &two, &one].iter().map(|layer| format!("sha256:{}", digest(layer))).collect();
    let config = json!({"os": "linux", "rootfs": {"diff_ids": ids}}).to_string();
    let id = digest(config.as_bytes());
    let top = scene.path("old");
    for layer in ["a", "b", "c"] {
        fs::create_dir_all(top.join(layer)).expect("make a directory");
    }
    fs::write(top.join("a/layer.tar"), &one).expect("write a layer");
    fs::write(top.join("b/layer.tar"), &two).expect("write a layer");
    std::os::unix::fs::symlink("../a/layer.tar", top.join("c/layer.tar")).expect("make a link");
    fs::write(top.join(format!("{id}.json")), config).expect("write the configuration");
    let list = json!([{"Config": format!("{id}.json"), "RepoTags": ["old:1", "docker.io/library/old:2"],
        "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]}]);
    fs::write(top.join("manifest.json"), list.to_string()).expect("write the list");
    fs::write(top.join("repositories"), "{}").expect("write a file");
    scene.command("tar", ["cf", "old.tar", "-C", "old", "."]).ok();
    for source in ["old.tar", "old"] {
        scene.vial(["load", "-i", source]).ok().prints("Loaded image: old:1\nLoaded image: old:2\n");
        scene.vial(["images", "--no-trunc", "-q", "old:2"]).ok().prints(&format!("sha256:{id}\n"));
        assert_eq!(fs::read_dir(scene.root().join("layers")).expect("list").count(), 2, "the same layer is there once");
        scene.vial(["rmi", "-f", &id]).ok();
    }
    // A configuration that is not what its name says, and links that lead nowhere, in circles, or outside.
    fs::write(top.join(format!("{id}.json")), "{}").expect("write the configuration");
    refused(scene, &["load", "old"]).says("damaged");
    fs::remove_file(top.join("a/layer.tar")).expect("remove a layer");
    for target in ["nowhere", "layer.tar", "/etc/passwd", "../../../../../../../../etc/passwd"] {
        std::os::unix::fs::symlink(target, top.join("a/layer.tar")).expect("make a link");
        scene.command("tar", ["cf", "old.tar", "-C", "old", "."]).ok();
        refused(scene, &["load", "old"]);
        refused(scene, &["load", "old.tar"]);
        fs::remove_file(top.join("a/layer.tar")).expect("remove a link");
    }
}

fn an_index_gives_the_image_for_this_machine_or_for_the_one_asked_for(scene: &Scene) {
    let made = Made::new(scene);
    let (own, variant) = match env::consts::ARCH {
        "aarch64" => ("arm64", ""),
        "arm" => ("arm", "v7"),
        _ => ("amd64", ""),
    };
    let with = |architecture: &str, variant: &str, os: &str| {
        let mut manifest = made.manifest(&[made.layer(&format!("{os}/{architecture}/{variant}"))]);
        manifest["platform"] = json!({"architecture": architecture, "os": os});
        if !variant.is_empty() {
            manifest["platform"]["variant"] = json!(variant);
        }
        manifest
    };
    let all = json!([
        with("s390x", "", "linux"),
        with("arm", "v6", "linux"),
        with("arm", "v7", "linux"),
        with(own, variant, "windows"),
        with(own, variant, "linux"),
        with("unknown", "", "unknown")
    ]);
    let inner = made.json(&json!({"manifests": all}));
    let mut named = inner.clone();
    named["annotations"] = json!({"org.opencontainers.image.ref.name": "many:1"});
    let file = |scene: &Scene| {
        let layers: Vec<_> = fs::read_dir(scene.root().join("layers")).expect("list").flatten().collect();
        assert_eq!(layers.len(), 1);
        fs::read_to_string(layers[0].path().join("diff/file")).expect("read a file")
    };
    // Nested as skopeo and buildx have it, and flat.
    for (index, name) in [(json!([named]), "many:1"), (all.clone(), "")] {
        made.index(&index);
        for (asked, expected) in [
            ("", format!("linux/{own}/{variant}")),
            ("linux/arm", "linux/arm/v7".to_owned()),
            ("linux/arm/v6", "linux/arm/v6".to_owned()),
            ("linux/s390x", "linux/s390x/".to_owned()),
        ] {
            let words = if asked.is_empty() { vec!["load", "made"] } else { vec!["load", "made", "--platform", asked] };
            let said = scene.vial(words).ok().stdout;
            assert!(said.contains(if name.is_empty() { "Loaded image ID: sha256:" } else { name }), "{said}");
            assert_eq!(file(scene), expected, "{asked}");
            let id = scene.vial(["images", "-q"]).ok().stdout;
            scene.vial(["rmi", id.trim()]).ok();
        }
        made.refused(&["--platform", "linux/riscv64"]).says("linux/riscv64").says("linux/arm/v7");
        made.refused(&["--platform", "linux/arm/v5"]).says("hint: ").says("linux/s390x");
    }
}

fn layers_that_the_store_has_are_not_read_again(scene: &Scene) {
    let made = Made::new(scene);
    let (shared, one, two) = (made.layer("shared"), made.layer("one"), made.layer("two"));
    made.index(&json!([made.manifest(&[shared.clone(), one])]));
    scene.vial(["load", "made"]).ok();
    // Its blob may even be gone.
    fs::remove_file(made.path(&shared)).expect("remove a blob");
    made.index(&json!([made.manifest(&[shared, two.clone(), two])]));
    scene.vial(["load", "made"]).ok();
    assert_eq!(fs::read_dir(scene.root().join("layers")).expect("list").count(), 3);
    scene.vial(["images", "-q"]).ok();
}

fn what_is_damaged_is_named_and_leaves_nothing(scene: &Scene) {
    let made = Made::new(scene);
    let layer = made.layer("content");
    let good = made.manifest(std::slice::from_ref(&layer));
    made.index(&json!([good]));
    let config: Value = serde_json::from_slice(&fs::read(made.path(&good)).expect("read")).expect("JSON");
    let config = &config["config"];
    let digits = |descriptor: &Value| descriptor["digest"].as_str().expect("a digest").to_owned();
    for blob in [&layer, config, &good] {
        let path = made.path(blob);
        let whole = fs::read(&path).expect("read a blob");
        // A byte that is another one, an end that is missing, a blob that is.
        let mut other = whole.clone();
        let middle = other.len() / 2;
        other[middle] ^= 1;
        for bytes in [&other[..], &whole[..whole.len() - 1], &[]] {
            fs::write(&path, bytes).expect("write a blob");
            made.refused(&[]);
        }
        fs::write(&path, &other).expect("write a blob");
        let said = made.refused(&[]);
        assert!(said.stderr.contains("damaged") || said.stderr.contains("JSON"), "{}", said.shown());
        fs::remove_file(&path).expect("remove a blob");
        made.refused(&[]).says(&digits(blob)[7..]);
        fs::write(&path, &whole).expect("write a blob");
    }
    // A layer that is not what the configuration says.
    let wrong = made.json(&json!({"rootfs": {"diff_ids": [format!("sha256:{}", "ab".repeat(32))]}}));
    made.index(&json!([made.json(&json!({"config": wrong, "layers": [layer]}))]));
    made.refused(&[]).says(&"ab".repeat(32)).says(&digits(&layer));
    let windows = made.json(&json!({"os": "windows", "rootfs": {"diff_ids": [layer["digest"]]}}));
    made.index(&json!([made.json(&json!({"config": windows, "layers": [layer]}))]));
    made.refused(&[]).says("windows");
    // Too few and too many layers.
    for layers in [json!([]), json!([layer, layer])] {
        made.index(&json!([made.json(&json!({"config": config, "layers": layers}))]));
        made.refused(&[]).says("layers");
    }
    // An archive that is cut off somewhere.
    made.index(&json!([good]));
    let whole = {
        scene.command("tar", ["cf", "whole.tar", "-C", "made", "."]).ok();
        fs::read(scene.path("whole.tar")).expect("read the archive")
    };
    for end in [0, 1, 511, 512, 700, whole.len() / 3, whole.len() / 2] {
        fs::write(scene.path("cut.tar"), &whole[..end]).expect("write the archive");
        refused(scene, &["load", "cut.tar"]);
        let pipe = format!("cat cut.tar | {VIAL} load");
        scene.command("sh", ["-c", &pipe]).run().ends(125);
    }
    scene.vial(["load", "whole.tar"]).ok();
}

fn what_attacks_is_refused_and_leaves_nothing(scene: &Scene) {
    let made = Made::new(scene);
    let layer = made.layer("content");
    let config = made.json(&json!({"rootfs": {"diff_ids": [layer["digest"]]}}));
    let manifest = |config: &Value, layers: &Value| made.json(&json!({"config": config, "layers": layers}));
    let sized = |size: Value| json!({"digest": layer["digest"], "size": size});
    let named = |name: &str| json!({"digest": name, "size": 1});
    for bad in [
        sized(json!(-1)),
        sized(json!(1.5)),
        sized(json!("7")),
        sized(Value::Null),
        sized(json!(1_u64 << 63)),
        sized(json!(0)),
        sized(json!(1)),
        named("sha256:"),
        named("sha256:../../../etc/passwd"),
        named("../../etc/passwd"),
        named(&format!("sha512:{}", "ab".repeat(64))),
        named(&format!("sha256:{}", "AB".repeat(32))),
        json!(7),
        Value::Null,
    ] {
        made.index(&json!([manifest(&config, &json!([bad]))]));
        made.refused(&[]);
        made.index(&json!([manifest(&bad, &json!([layer]))]));
        made.refused(&[]);
        made.index(&json!([bad]));
        made.refused(&[]);
    }
    // Claims of gigabytes cost nothing.
    made.index(&json!([manifest(&sized(json!(4_u64 << 30)), &json!([layer]))]));
    made.refused(&[]);
    made.index(&json!([manifest(&config, &Value::Array(vec![layer.clone(); 501]))]));
    made.refused(&[]).says("500");
    // An index that holds itself can't be made with digests that are right; one in another, again and again, can.
    let mut inner = manifest(&config, &json!([layer]));
    for _ in 0..20 {
        inner = made.json(&json!({"manifests": [inner]}));
    }
    made.index(&json!([inner]));
    made.refused(&[]).says("index");
    for text in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        r#"{"manifests":7}"#.to_owned(),
        r#"{"manifests":[]}"#.to_owned(),
        "[".repeat(100_000),
        format!("{{\"manifests\":{}", "[".repeat(2_000_000)),
        " ".repeat(5 << 20),
        "\u{feff}{}".to_owned(),
        "\0".repeat(4096),
    ] {
        fs::write(scene.path("made/index.json"), &text).expect("write the index");
        made.refused(&[]);
    }
    // docker's list, whose paths must not lead outside of the archive.
    for path in ["../../etc/passwd", "/etc/passwd", "..", "", ".", "a/../../../etc/passwd", "nosuch", "manifest.json"] {
        let lists = [
            json!([{"Config": path, "RepoTags": null, "Layers": ["l"]}]),
            json!([{"Config": "c", "RepoTags": ["a:1"], "Layers": [path]}]),
        ];
        for list in lists {
            let config = json!({"rootfs": {"diff_ids": [layer["digest"]]}}).to_string();
            let list = list.to_string();
            let bytes =
                archive(&[("c", &config), ("manifest.json", &list), ("../../etc/passwd", "x"), ("/etc/passwd", "x")]);
            fs::write(scene.path("evil.tar"), &bytes).expect("write the archive");
            refused(scene, &["load", "evil.tar"]);
            let _ = fs::remove_dir_all(scene.path("evil"));
            fs::create_dir(scene.path("evil")).expect("make a directory");
            fs::write(scene.path("evil/manifest.json"), &list).expect("write a file");
            fs::write(scene.path("evil/c"), &config).expect("write a file");
            refused(scene, &["load", "evil"]);
        }
    }
    for list in ["{}", "[7]", "[{}]", r#"[{"Config":7}]"#, r#"[{"Config":"c","Layers":7}]"#, "[]"] {
        fs::write(scene.path("evil.tar"), archive(&[("manifest.json", list), ("c", "{}")])).expect("write the archive");
        refused(scene, &["load", "evil.tar"]);
    }
    // A layer that tries to write outside.
    for name in ["../outside", "d/../../outside"] {
        let layer = made.blob(&archive(&[(name, "x")]));
        made.index(&json!([made.manifest(&[layer])]));
        made.refused(&[]).says("upwards");
    }
    assert!(!scene.path("outside").exists());
    // A header that claims to hold gigabytes.
    let mut huge = archive(&[("manifest.json", "[]")]);
    huge[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = huge[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    fs::write(scene.path("evil.tar"), &huge).expect("write the archive");
    refused(scene, &["load", "evil.tar"]);
}

fn a_limit_on_what_is_unpacked_holds_for_all_layers_together(scene: &Scene) {
    let made = Made::new(scene);
    let bomb = |letter: &str| made.layer(&letter.repeat(600_000));
    made.index(&json!([made.manifest(&[bomb("a"), bomb("b"), bomb("c")])]));
    for limit in ["1k", "1m", "1500k"] {
        made.refused(&["--max-size", limit]).says("--max-size").says("unpacks to more than");
    }
    scene.command("sh", ["-ec", "tar c -C made . | gzip > made.tar.gz"]).ok();
    refused(scene, &["load", "made.tar.gz", "--max-size", "100k"]).says("--max-size");
    fs::write(scene.path("root.tar"), archive(&[("file", &"x".repeat(100_000))])).expect("write an archive");
    refused(scene, &["import", "root.tar", "it", "--max-size", "50k"]).says("--max-size");
    scene.vial(["import", "root.tar", "it", "--max-size", "150k"]).ok();
    scene.vial(["load", "made", "--max-size", "2m"]).ok();
    scene.vial(["load", "made.tar.gz", "--max-size", "2m"]).ok();
}

fn import_and_load_name_each_other(scene: &Scene) {
    layout(scene);
    scene.command("tar", ["cf", "layout.tar", "-C", "layout", "."]).ok();
    refused(scene, &["import", "layout.tar", "it"]).says("vial load");
    refused(scene, &["import", "layout", "it"]).says("vial load");
    let rootfs = scene.rootfs().display().to_string();
    scene.command("tar", ["cf", "root.tar", "-C", &rootfs, "."]).ok();
    refused(scene, &["load", "root.tar"]).says("vial import");
    refused(scene, &["load", &rootfs]).says("vial import");
    refused(scene, &["load", "/dev/null"]).says("empty");
}

fn a_load_killed_at_any_call_shows_nothing_and_leaves_what_gc_removes(scene: &Scene) {
    layout(scene);
    let words = ["load", "layout"];
    let moments = killer::moments(scene, &words, 16, 2);
    scene.vial(["rmi", "latest"]).ok();
    for (moment, what) in moments {
        killer::run(scene, &words, Some(moment));
        eventually("its processes are gone", || leaks::processes(scene.directory()).is_empty().then_some(()));
        let listed = scene.vial(["images", "-q"]).ok().stdout;
        scene.vial(["gc"]).ok();
        let count = |name: &str| fs::read_dir(scene.root().join(name)).into_iter().flatten().count();
        assert_eq!(count("tmp"), 0, "{what}");
        if listed.is_empty() {
            assert_eq!((count("layers"), count("refs")), (0, 0), "{what}");
        } else {
            is_whole(scene, "latest");
            scene.vial(["rmi", "latest"]).ok();
        }
    }
}

fn a_full_disk_is_told_and_leaves_nothing(scene: &Scene) {
    let made = Made::new(scene);
    let large: Vec<Value> = ["a", "b", "c"].iter().map(|letter| made.layer(&letter.repeat(4 << 20))).collect();
    made.index(&json!([made.manifest(&large)]));
    scene.command("tar", ["cf", "made.tar", "-C", "made", "."]).ok();
    let disk = Disk::new(scene);
    scene.command("mkfs.ext4", ["-q", &disk.path]).ok();
    fs::create_dir(scene.path("small")).expect("make a directory");
    scene.command("mount", [&disk.path, "small"]).ok();
    for words in [&["load", "made"][..], &["load", "made.tar"]] {
        let output = scene.vial(["--root", "small/root"].iter().chain(words)).run().ends(125).prints("");
        assert!(output.stderr.contains("ENOSPC") && output.stderr.contains("full"), "{}", output.shown());
        for name in ["images", "layers", "refs", "tmp"] {
            assert_eq!(fs::read_dir(scene.path("small/root").join(name)).expect("list").count(), 0, "{name}");
        }
    }
    let piped = format!("cat made.tar | {VIAL} --root small/root load");
    scene.command("sh", ["-c", &piped]).run().ends(125).says("ENOSPC");
    assert_eq!(fs::read_dir(scene.path("small/root/tmp")).expect("list").count(), 0);
    scene.command("umount", ["small"]).ok();
}
