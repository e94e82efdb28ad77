//! How long it takes to load an image of three layers compressed by gzip, beside podman and umoci.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::VIAL;
use super::import::{PARTS, into_fresh, packed};
use super::measure::{installed, median_and_least, peak_memory, remove};
use super::report::{Cell, Report, Table, count};

/// An image in OCI's layout.
struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// Adds a blob; its descriptor.
    fn blob(&self, bytes: &[u8], kind: &str) -> serde_json::Value {
        let digits = digits(bytes);
        fs::write(self.directory.join("blobs/sha256").join(&digits), bytes).expect("write a blob");
        let media = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media, "digest": format!("sha256:{digits}"), "size": bytes.len()})
    }
}

fn digits(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes an image of parts of this machine's own root, `latest`; how large it is unpacked.
pub fn layout(directory: &Path) -> u64 {
    let layout = Layout { directory: directory.join("layout") };
    fs::create_dir_all(layout.directory.join("blobs/sha256")).expect("make directories");
    let parts: Vec<&&str> = PARTS.iter().filter(|part| Path::new("/").join(part).exists()).collect();
    let (mut layers, mut unpacked, mut size) = (Vec::new(), Vec::new(), 0);
    let (plain, file) = (directory.join("layer.tar"), directory.join("layer.tar.gz"));
    for parts in parts.chunks(parts.len().div_ceil(3)) {
        let mut tar = Command::new("tar");
        tar.args(["-C", "/", "--one-file-system", "--numeric-owner", "-cf"]).arg(&plain);
        assert!(tar.args(parts).status().is_ok_and(|status| status.success()), "tar");
        packed("gzip -6", &plain, &file);
        let bytes = fs::read(&plain).expect("read the layer");
        size += bytes.len() as u64;
        unpacked.push(format!("sha256:{}", digits(&bytes)));
        layers.push(layout.blob(&fs::read(&file).expect("read the layer"), "layer.v1.tar+gzip"));
    }
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": unpacked}});
    let config = layout.blob(config.to_string().as_bytes(), "config.v1+json");
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers});
    let mut manifest = layout.blob(manifest.to_string().as_bytes(), "manifest.v1+json");
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    fs::write(layout.directory.join("index.json"), index).expect("write the index");
    fs::write(layout.directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write the version");
    size
}

/// The command line that loads the image below a directory.
type Line<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Measures and prints a table.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    fs::create_dir_all(directory).expect("make the bench's directory");
    let size = layout(directory);
    let (layout, archive) = (directory.join("layout"), directory.join("image.tar"));
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&layout).arg("-cf").arg(&archive).arg(".");
    assert!(tar.status().is_ok_and(|status| status.success()), "tar");
    let (layout, archive) = (format!("{}:latest", layout.display()), archive.display().to_string());
    let line = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let vial = |target: &str| line(&[VIAL, "--root", target, "load", "-q", "-i", &archive]);
    let podman = |target: &str| {
        // podman takes no long path for this one.
        let (root, run) = (format!("{target}/root"), format!("/run/vial-bench-{}", std::process::id()));
        line(&["podman", "--root", &root, "--runroot", &run, "--tmpdir", &run, "load", "-q", "-i", &archive])
    };
    let umoci = |target: &str| line(&["umoci", "unpack", "--image", &layout, &format!("{target}/bundle")]);
    let peers: [(&str, Line<'_>); 3] = [("vial", &vial), ("podman", &podman), ("umoci", &umoci)];
    let peers: Vec<_> = peers.into_iter().filter(|(name, _)| *name == "vial" || installed(name)).collect();
    let trees = directory.join("trees");
    let mut times = vec![Vec::new(); peers.len()];
    for _ in 0..rounds {
        for ((_, peer), times) in peers.iter().zip(&mut times) {
            times.push(into_fresh(&trees, peer));
        }
    }
    let title = format!(
        "Loading an image of three layers (gzip), {} MB unpacked, {rounds} rounds in turn; the peak is that of the largest process.",
        size / 1_000_000
    );
    let mut table = Table::new(title, &["median s", "least s", "times vial", "peak KiB"]);
    let mut first = None;
    for ((name, peer), times) in peers.iter().zip(times) {
        let target = trees.join(format!("memory-{name}"));
        fs::create_dir_all(&target).expect("make a directory");
        let peak = peak_memory(&peer(&target.display().to_string()), true);
        let (median, least) = median_and_least(times);
        let (median, least) = (median.as_secs_f64(), least.as_secs_f64());
        let times = median / *first.get_or_insert(median);
        let numbers = [median, least, times].map(|number| Cell::Number(number, 2));
        table.row(*name, numbers.into_iter().chain([count(Some(peak))]).collect());
    }
    report.add(&table);
    remove(&PathBuf::from(format!("/run/vial-bench-{}", std::process::id())));
    remove(directory);
}
