//! Load: images that other programs saved.

use std::fs;

use crate::util::Scene;

trials! {
    a_layout_of_ocis_is_loaded_and_runs [Root, Busybox, Tool("umoci"), Kernel("overlay"), Command("load")];
    archives_of_docker_and_oci_are_loaded [Root, Busybox, Tool("umoci"), Tool("skopeo"), Kernel("overlay"), Command("load")];
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
fn id(scene: &Scene) -> String {
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
fn is_whole(scene: &Scene, name: &str) {
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
        scene
            .command("sh", ["-c", &format!("cat archive | {} load", env!("CARGO_BIN_EXE_vial"))])
            .ok()
            .prints("Loaded image: app:1\n");
        is_whole(scene, "app:1");
        scene.vial(["rmi", "app:1"]).ok();
        scene.command("gzip", ["archive"]).ok();
        scene.vial(["load", "archive.gz"]).ok().prints("Loaded image: app:1\n");
        is_whole(scene, "app:1");
        scene.vial(["rmi", "app:1"]).ok();
        scene.command("rm", ["archive.gz"]).ok();
    }
}
