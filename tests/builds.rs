//! The release binaries are built by the steps of `Dockerfile.build`, in a container of vial's own, and are the same to the bit as
//! those that are built here.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::debian;
use crate::laws::{ARMHF, MUSL_ARM, MUSL_X86, RISCV64, release};
use crate::util::Scene;
use crate::util::source::project;

trials! {
    vial_builds_vial_to_the_bit [Root, Tool("debootstrap"), Tool("tar"), Kernel("overlay"), Target(MUSL_X86), Target(MUSL_ARM), Target(ARMHF), Target(RISCV64), Command("import")];
}

/// Where the compiler is in the container, and what Cargo has downloaded.
const COMPILER: &str = "/opt/rust";
const CARGO_HOME: &str = "/opt/cargo";

/// The first stage's instructions, each a name and the rest of its line, with those that go on in the next line as one.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let whole = dockerfile.replace("\\\n", " ");
    let lines = whole.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let instructions = lines.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()));
    let mut stages = 0;
    instructions
        .take_while(|(name, _)| {
            stages += usize::from(name == "FROM");
            stages < 2
        })
        .collect()
}

fn vial_builds_vial_to_the_bit(scene: &Scene) {
    let debian = debian::make("compiler", &["gcc", "libc6-dev"]).unwrap_or_else(|error| panic!("no Debian: {error}"));
    scene.vial(["import".as_ref(), debian.as_os_str(), "builder".as_ref()]).limit(Duration::from_mins(2)).ok();
    let sysroot = scene.command("rustc", ["--print", "sysroot"]).current_dir(project()).ok().stdout.trim().to_owned();
    let cargo_home =
        std::env::var("CARGO_HOME").unwrap_or_else(|_| std::env::var("HOME").unwrap_or_default() + "/.cargo");
    let [source, dist, home] = ["source", "dist", "home"].map(|name| scene.path(name));
    for directory in [&source, &dist, &home] {
        fs::create_dir(directory).expect("make a directory");
    }
    let volume = |from: &Path, to: &str| format!("{}:{to}", from.display());
    let volumes = [
        volume(&source, "/src"),
        volume(&dist, "/dist"),
        volume(Path::new(&sysroot), &format!("{COMPILER}:ro")),
        volume(&home, CARGO_HOME),
        // What was downloaded to build the tests is enough.
        volume(&Path::new(&cargo_home).join("registry"), &format!("{CARGO_HOME}/registry")),
    ];
    let path = format!("PATH={COMPILER}/bin:/usr/bin:/bin");
    let mut variables = vec![path, format!("CARGO_HOME={CARGO_HOME}"), "CARGO_NET_OFFLINE=true".to_owned()];
    let mut steps = 0;
    for (name, rest) in instructions(&fs::read_to_string(project().join("Dockerfile.build")).expect("read it")) {
        match name.as_str() {
            "COPY" => {
                let names: Vec<&str> = rest.split(' ').collect();
                let (to, names) = names.split_last().expect("COPY has words");
                for name in names {
                    // Into the directory, but a single directory is copied as what is in it.
                    let to = source.join(to.trim_end_matches('/')).display().to_string();
                    let exclude = ["--exclude=target", "--exclude=.git"];
                    let copy = format!(
                        "mkdir -p {to} && tar {} -cf - {name} | tar -C {} -xf -",
                        exclude.join(" "),
                        source.display()
                    );
                    scene.command("sh", ["-c", &copy]).current_dir(project()).ok();
                }
            }
            "ENV" => variables.push(rest),
            "WORKDIR" => assert_eq!(rest, "/src"),
            // The compiler and its targets are this machine's.
            "RUN" if rest.starts_with("rustup ") => {}
            "RUN" => {
                let mut words = vec!["run", "--rm", "--network", "none", "-w", "/src"];
                words.extend(volumes.iter().flat_map(|volume| ["-v", volume]));
                words.extend(variables.iter().flat_map(|variable| ["-e", variable]));
                words.extend(["builder", "/bin/sh", "-c", &rest]);
                scene.vial(&words).limit(Duration::from_mins(10)).ok();
                steps += 1;
            }
            "FROM" => {}
            other => panic!("the test does not know {other}"),
        }
    }
    assert!(steps >= 3, "there are steps");
    scene.command("sha256sum", ["-c", "SHA256SUMS"]).current_dir(&dist).ok();
    let targets =
        [(MUSL_X86, "vial-x86_64"), (MUSL_ARM, "vial-aarch64"), (ARMHF, "vial-armv7"), (RISCV64, "vial-riscv64")];
    for (target, name) in targets {
        let [here, there] =
            [release(scene, Some(target)), dist.join(name)].map(|path| fs::read(path).expect("read a program"));
        let first = here.iter().zip(&there).position(|(one, other)| one != other);
        assert!(here == there, "{name}: {} and {} bytes, which differ from byte {first:?} on", here.len(), there.len());
    }
}
