//! Copies into and out of containers: docker's rules, what is kept, and roots that would like to lead astray.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use crate::util::container::{Container, eventually};
use crate::util::tree::{self, Tree, assert_same};

trials! {
    names_and_places_follow_dockers_table [Root, Busybox, Kernel("overlay")];
    what_cannot_be_copied_is_refused_and_changes_nothing [Root, Busybox, Kernel("overlay")];
    a_tree_that_goes_in_and_out_again_keeps_everything [Root, Busybox, Kernel("overlay")];
    owners_are_roots_inside_and_the_users_outside_unless_kept [Root, Busybox, Kernel("overlay")];
    rights_of_programs_do_not_come_out_with_a_plain_copy [Root, Busybox, Kernel("overlay")];
    archives_stream_in_and_out [Root, Busybox, Tool("tar"), Tool("gzip"), Kernel("overlay")];
    what_is_mounted_in_an_ended_container_is_seen [Root, Busybox, Tool("tar"), Kernel("overlay"), Command("cp")];
    what_is_mounted_in_a_running_container_is_seen [Root, Busybox, Kernel("overlay")];
    a_read_only_root_refuses [Root, Busybox, Kernel("overlay")];
    links_in_a_container_never_lead_to_the_host [Root, Busybox, Kernel("overlay")];
    links_lead_nowhere_else_on_kernels_without_openat2 [Root, Busybox, Tool("strace"), Kernel("overlay")];
    a_container_that_swaps_its_files_meanwhile_never_reaches_the_host [Root, Busybox, Kernel("overlay")];
    devices_and_pipes_are_never_opened [Root, Busybox, Tool("strace"), Kernel("overlay")];
    a_container_is_not_removed_while_its_files_are_used [Root, Busybox, Kernel("overlay")];
}

/// A container that has ended, with these words run in it.
fn ended(scene: &Scene, name: &str, script: &str) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", name, &rootfs, "sh", "-c", script]).ok();
}

/// Removes the scene's containers and sees that nothing stays.
fn end(scene: &Scene, names: &[&str]) {
    scene.vial(["rm"].iter().chain(names)).ok();
    scene.assert_nothing_left();
}

fn cp(scene: &Scene, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Output {
    scene.vial([Path::new("cp"), from.as_ref(), to.as_ref()]).run()
}

/// The paths below a directory, sorted.
fn paths(top: &Path) -> Vec<String> {
    tree::look(top).keys().filter_map(|path| Some(path.to_str()?.strip_prefix("./")?.to_owned())).collect()
}

fn names_and_places_follow_dockers_table(scene: &Scene) {
    ended(scene, "c", "mkdir -p /s/sub; echo f > /s/sub/f; echo one > /one; ln -s /s /link; ln -s one /file");
    for name in ["d", "old"] {
        fs::create_dir(scene.path(name)).expect("make a directory");
    }
    fs::write(scene.path("old/here"), "here").expect("write a file");
    fs::write(scene.path("there"), "there").expect("write a file");
    symlink("d", scene.path("to-d")).expect("make a link");
    symlink("fresh", scene.path("dangling")).expect("make a link");
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[&str])] = &[
        // A file: into a directory, to a new name, over a file, through links.
        ("c:/one",       "d",           &["d/one"]),
        ("c:one",        "d/",          &["d/one"]),
        ("c:/one",       "d/new",       &["d/new"]),
        ("c:/one",       "there",       &["there"]),
        ("c:/one",       "to-d/third",  &["d/third"]),
        ("c:/one",       "dangling",    &["fresh"]),
        ("c:../../one",  "./d/up",      &["d/up"]),
        // A directory: itself into one that is there, what is in it with `/.`, under a new name otherwise.
        ("c:/s",         "d",           &["d/s/sub/f"]),
        ("c:/s/",        "old",         &["old/s/sub/f", "old/here"]),
        ("c:/s/.",       "old",         &["old/sub/f", "old/here"]),
        ("c:/s",         "new",         &["new/sub/f"]),
        ("c:/s/.",       "new2",        &["new2/sub/f"]),
        ("c:/s",         "new3/",       &["new3/sub/f"]),
        ("c:/s/sub/..",  "new4",        &["new4/sub/f"]),
        ("c:/s/sub/../", "old/.",       &["old/s/sub/f"]),
        // A link is copied as one, unless a slash follows.
        ("c:/link/",     "new5",        &["new5/sub/f"]),
        ("c:/link/.",    "new6",        &["new6/sub/f"]),
    ];
    for (from, to, made) in cases {
        cp(scene, from, to).ends(0).prints("");
        for path in *made {
            let content =
                fs::read_to_string(scene.path(path)).unwrap_or_else(|error| panic!("{from} {to} {path}: {error}"));
            let expected = if path.ends_with("/f") { "f\n" } else { "one\n" };
            assert!(content == expected || path.ends_with("here"), "{from} {to} {path}: {content}");
        }
    }
    cp(scene, "c:/link", "d").ends(0);
    assert_eq!(fs::read_link(scene.path("d/link")).expect("a link"), Path::new("/s"));
    scene.vial(["cp", "-L", "c:/link", "d/followed"]).ok();
    scene.vial(["cp", "--follow-link", "c:/file", "d/"]).ok();
    assert_eq!(fs::read_to_string(scene.path("d/followed/sub/f")).expect("a file"), "f\n");
    assert_eq!(fs::read_to_string(scene.path("d/file")).expect("a file"), "one\n");
    // The same the other way round, where links lead as they do in the container.
    cp(scene, "there", "c:/link").ends(0);
    cp(scene, "old/.", "c:/s").ends(0);
    cp(scene, "old", "c:/fresh").ends(0);
    cp(scene, "there", "c:/file").ends(0);
    cp(scene, "./there", "c:").ends(0);
    cp(scene, "c:/s", "out").ends(0);
    assert_eq!(paths(&scene.path("out")), ["here", "s", "s/sub", "s/sub/f", "sub", "sub/f", "there"]);
    for (path, content) in [("c:/one", "one\n"), ("c:/fresh/here", "here"), ("c:/there", "one\n")] {
        cp(scene, path, "last").ends(0);
        assert_eq!(fs::read_to_string(scene.path("last")).expect("a file"), content, "{path}");
    }
    end(scene, &["c"]);
}

fn what_cannot_be_copied_is_refused_and_changes_nothing(scene: &Scene) {
    ended(scene, "c", "mkdir -p /dir/x /other; echo f > /f; echo g > /other/x; ln -s loop /loop; mkfifo /fifo");
    fs::create_dir_all(scene.path("d/x/keep")).expect("make a directory");
    fs::create_dir_all(scene.path("e")).expect("make a directory");
    fs::write(scene.path("e/x"), "e").expect("write a file");
    fs::write(scene.path("file"), "file").expect("write a file");
    // By a way that is short enough, wherever the tests are.
    let directory = fs::File::open(scene.directory()).expect("open the directory");
    let path = format!("/proc/self/fd/{}/socket", directory.as_raw_fd());
    let socket = std::os::unix::net::UnixListener::bind(path).expect("make a socket");
    let before = tree::look(scene.directory());
    #[rustfmt::skip]
    let cases = [
        ("c:/none",    "d",          "no such file or directory"),
        ("c:/none/x",  "d",          "no such directory"),
        ("none",       "c:/",        "no such file or directory"),
        ("c:/f/",      "d",          "not a directory"),
        ("c:/f",       "file/",      "not a directory"),
        ("c:/f",       "new/",       "no such directory"),
        ("c:/f",       "new/x",      "no such directory"),
        ("file",       "c:/new/",    "no such directory"),
        ("file",       "c:/f/x",     "ENOTDIR"),
        ("c:/dir",     "file",       "cannot copy a directory onto a file"),
        ("d",          "c:/f",       "cannot copy a directory onto a file"),
        ("c:/other/.", "d",          "cannot replace a directory"),
        ("c:/dir/.",   "e",          "cannot replace something that is no directory"),
        ("c:/loop/",   "d",          "ELOOP"),
        ("c:/f",       "/dev/null",  "neither a file nor a directory"),
        ("file",       "c:/fifo",    "neither a file nor a directory"),
        ("socket",     "c:/",        "socket"),
        ("c:/f",       "c:/g",       "between containers"),
        ("file",       "d",          "one of the two"),
        ("",           "c:/",        "empty"),
        (":/f",        "d",          "empty"),
        ("nosuch:/f",  "d",          "no such container: nosuch"),
    ];
    for (from, to, words) in cases {
        cp(scene, from, to).ends(125).prints("").says(words);
    }
    drop(socket);
    // What is below the root is vial's own; directories that were to be filled have another time.
    let without = |mut tree: Tree| {
        tree.retain(|path, _| !path.starts_with("root"));
        for node in tree.values_mut() {
            node.modified = (0, 0);
        }
        tree
    };
    assert_same(&without(before), &without(tree::look(scene.directory())));
    assert!(fs::metadata("/dev/null").expect("the device").file_type().is_char_device());
    end(scene, &["c"]);
}

/// A tree with all that a copy can carry.
fn rich_tree(scene: &Scene) -> PathBuf {
    let top = scene.path("rich");
    fs::create_dir_all(top.join("sub/empty")).expect("make directories");
    fs::write(top.join("sub/program"), "#!/bin/sh\n").expect("write a file");
    fs::write(top.join("mine"), "mine").expect("write a file");
    fs::hard_link(top.join("mine"), top.join("sub/same")).expect("link");
    symlink("../mine", top.join("sub/soft")).expect("symlink");
    symlink("/etc/shadow", top.join("absolute")).expect("symlink");
    for name in ["n".repeat(200), "ä \n".into(), ".wh.not-a-whiteout".into(), "--".into()] {
        fs::write(top.join(name), "x").expect("write a file");
    }
    let sparse = fs::File::create(top.join("sparse")).expect("make a file");
    sparse.set_len(4 << 20).expect("set its length");
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 2 << 20).expect("write");
    chown(top.join("mine"), Some(1000), Some(1001)).expect("chown");
    chown(top.join("sub/program"), Some(7), Some(8)).expect("chown");
    fs::set_permissions(top.join("sub/program"), PermissionsExt::from_mode(0o4751)).expect("chmod");
    fs::set_permissions(top.join("sub"), PermissionsExt::from_mode(0o2770)).expect("chmod");
    fs::set_permissions(top.join("mine"), PermissionsExt::from_mode(0o600)).expect("chmod");
    xattr::set(top.join("mine"), "user.note", b"a\0b").expect("set an attribute");
    xattr::set(top.join("sub"), "trusted.note", b"c").expect("set an attribute");
    assert!(Command::new("mkfifo").arg(top.join("pipe")).status().expect("run mkfifo").success());
    for (at, name) in ["mine", "sub/soft", "sub/program", "sub/empty", "sub", "."].iter().enumerate() {
        let time = format!("@{}.123456789", 1_000_000_000 + at);
        let touched = Command::new("touch").args(["-h", "-d", &time]).arg(top.join(name)).status().expect("run touch");
        assert!(touched.success());
    }
    top
}

fn a_tree_that_goes_in_and_out_again_keeps_everything(scene: &Scene) {
    let top = rich_tree(scene);
    ended(scene, "c", "true");
    scene.vial(["cp", "-a", "rich", "c:/copy"]).ok().silent();
    scene.vial(["cp", "--archive", "c:/copy", "back"]).ok().silent();
    assert_same(&tree::look(&top), &tree::look(&scene.path("back")));
    assert!(tree::is_sparse(&scene.path("back/sparse")));
    // A running one.
    let running = Container::named(scene, "r", &[], "sleep 30");
    scene.vial(["cp", "-a", "rich/.", "r:/mnt"]).ok().silent();
    scene.vial(["cp", "-a", "r:/mnt/.", "again"]).ok().silent();
    assert_same(&tree::look(&top), &tree::look(&scene.path("again")));
    running.stop();
    end(scene, &["c"]);
}

fn owners_are_roots_inside_and_the_users_outside_unless_kept(scene: &Scene) {
    let top = rich_tree(scene);
    ended(scene, "c", "true");
    scene.vial(["cp", "rich", "c:/plain"]).ok();
    scene.vial(["cp", "-a", "c:/plain", "plain"]).ok();
    let expected: Tree = tree::look(&top)
        .into_iter()
        .map(|(path, mut node)| {
            if node.kind == 'f' && node.owner != (0, 0) {
                node.mode &= 0o1777;
            }
            node.owner = (0, 0);
            (path, node)
        })
        .collect();
    assert_same(&expected, &tree::look(&scene.path("plain")));
    scene.vial(["cp", "-a", "rich", "c:/kept"]).ok();
    scene.vial(["cp", "c:/kept/mine", "mine"]).ok();
    let data = fs::metadata(scene.path("mine")).expect("a file");
    assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (0, 0, 0o600));
    end(scene, &["c"]);
}

fn rights_of_programs_do_not_come_out_with_a_plain_copy(scene: &Scene) {
    ended(scene, "c", "cp /bin/busybox /su; chmod 6755 /su");
    scene.vial(["cp", "c:/su", "plain"]).ok();
    scene.vial(["cp", "-a", "c:/su", "kept"]).ok();
    let mode = |name: &str| fs::metadata(scene.path(name)).expect("a file").mode() & 0o7777;
    assert_eq!((mode("plain"), mode("kept")), (0o755, 0o6755));
    end(scene, &["c"]);
}

fn archives_stream_in_and_out(scene: &Scene) {
    let top = rich_tree(scene);
    ended(scene, "c", "mkdir /in /in2; echo 1 > /file");
    for (archive, extra) in [("a.tar", "-cf"), ("a.tar.gz", "-czf")] {
        let xattrs = ["--xattrs", "--xattrs-include=*", "--format=pax", "-S"];
        scene.command("tar", xattrs).args([extra, archive, "-C", "rich", "."]).ok();
    }
    let feed = |archive: &str, to: &str| {
        scene.vial(["cp", "-a", "-", to]).input(fs::read(scene.path(archive)).expect("read the archive")).run()
    };
    feed("a.tar", "c:/in").ends(0).prints("");
    feed("a.tar.gz", "c:/in2/").ends(0).prints("");
    for to in ["in", "in2"] {
        scene.vial(["cp", "-a", &format!("c:/{to}"), to]).ok();
        assert_same(&tree::look(&top), &tree::look(&scene.path(to)));
    }
    feed("a.tar", "c:/nowhere").ends(125).says("unpacked into a directory");
    feed("a.tar", "c:/file").ends(125).says("unpacked into a directory");
    scene.vial(["cp", "-", "c:/in"]).input("x".repeat(4096)).ends(125).says("not an archive");
    // Out: the names that docker gives.
    fs::create_dir(scene.path("x")).expect("make a directory");
    scene.command("sh", ["-c", &format!("{VIAL} cp c:/in - | tar --xattrs --xattrs-include='*' -xpf - -C x")]).ok();
    assert_same(&tree::look(&top), &tree::look(&scene.path("x/in")));
    let list = |from: &str| scene.command("sh", ["-c", &format!("{VIAL} cp {from} - | tar -tf -")]).ok().stdout;
    assert_eq!(list("c:/file"), "file\n");
    assert!(list("c:/in/sub/").starts_with("sub/\nsub/empty/\n"));
    assert!(list("c:/in/sub/.").starts_with("./\n./empty/\n"));
    end(scene, &["c"]);
}

fn what_is_mounted_in_a_running_container_is_seen(scene: &Scene) {
    fs::create_dir(scene.path("share")).expect("make a directory");
    fs::write(scene.path("share/file"), "shared").expect("write a file");
    let share = format!("{}:/share", scene.path("share").display());
    let options = ["-v", &share, "-v", "named:/vol", "--tmpfs", "/scratch"];
    let running =
        Container::named(scene, "r", &options, "echo v > /vol/v; echo t > /scratch/t; echo up > /up; sleep 30");
    eventually("the script has run", || running.proc("root/up").exists().then_some(()));
    scene.vial(["cp", "r:/", "all"]).ok();
    assert_eq!(fs::read_to_string(scene.path("all/share/file")).expect("a file"), "shared");
    assert_eq!(fs::read_to_string(scene.path("all/vol/v")).expect("a file"), "v\n");
    for empty in ["all/proc", "all/sys", "all/dev", "all/scratch"] {
        assert_eq!(paths(&scene.path(empty)), [""; 0], "{empty}");
    }
    scene.vial(["cp", "r:/scratch", "scratch"]).ok();
    assert_eq!(fs::read_to_string(scene.path("scratch/t")).expect("a file"), "t\n");
    scene.vial(["cp", "all/vol/v", "r:/share/new"]).ok();
    assert_eq!(fs::read_to_string(scene.path("share/new")).expect("a file"), "v\n");
    running.stop();
    scene.vial(["volume", "rm", "named"]).ok();
    scene.assert_nothing_left();
}

fn what_is_mounted_in_an_ended_container_is_seen(scene: &Scene) {
    fs::create_dir_all(scene.path("share/sub")).expect("make a directory");
    fs::create_dir(scene.path("fixed")).expect("make a directory");
    fs::write(scene.path("share/file"), "shared").expect("write a file");
    fs::write(scene.path("one"), "one").expect("write a file");
    let at = |name: &str, place: &str| format!("{}:{place}", scene.path(name).display());
    let (share, fixed, one) = (at("share", "/share"), at("fixed", "/fixed:ro"), at("one", "/etc/one"));
    let rootfs = scene.rootfs().display().to_string();
    let script = "echo v > /vol/v; echo t > /scratch/t; ln -s /vol/link /share/astray; ln -s /vol /to";
    for (name, options) in [("c", &["--name=c"][..]), ("ro", &["--name=ro", "--read-only"])] {
        let mounts = ["-v", &share, "-v", "named:/vol", "-v", &fixed, "-v", &one, "--tmpfs", "/scratch"];
        let words = [&["run"], options, &mounts, &[rootfs.as_str(), "sh", "-c", script]].concat();
        scene.vial(words).run();
        scene.vial(["cp", &format!("{name}:/"), name]).ok();
        let read = |path: &str| fs::read_to_string(scene.path(name).join(path)).expect("a file");
        assert_eq!((read("share/file"), read("vol/v"), read("etc/one")), ("shared".into(), "v\n".into(), "one".into()));
        assert!(read("etc/hosts").contains("localhost"));
        assert_eq!(paths(&scene.path(name).join("scratch")), [""; 0]);
        // Into them, through a link, and not where it is read-only.
        scene.vial(["cp", "one", &format!("{name}:/share/sub/{name}")]).ok();
        assert_eq!(fs::read_to_string(scene.path("share/sub").join(name)).expect("a file"), "one");
        scene.vial(["cp", "one", &format!("{name}:/fixed/new")]).ends(125).says("EROFS").says("is read-only");
        assert!(!scene.path("fixed/new").exists());
    }
    scene.vial(["cp", "one", "c:/to/through"]).ok();
    scene.vial(["cp", "c:/vol/through", "back"]).ok();
    assert!(scene.root().join("volumes/named/_data/through").exists());
    scene.vial(["cp", "one", "ro:/new"]).ends(125).says("EROFS").says("is read-only");
    // What the container itself has is without them.
    let own = scene.command("sh", ["-c", &format!("{VIAL} export c | tar -tf -")]).ok().stdout;
    assert!(own.contains("share/\n") && !own.contains("share/file"), "{own}");
    // One that was never started has no place for them yet.
    scene.vial(["create", "--name=new", "-v", "named:/fresh/vol", "-v", "named:/vol", &rootfs, "true"]).ok();
    scene.vial(["cp", "one", "new:/vol/early"]).ok();
    scene.vial(["cp", "new:/vol/early", "early"]).ok();
    assert!(scene.root().join("volumes/named/_data/early").exists());
    end(scene, &["c", "ro", "new"]);
    scene.vial(["volume", "rm", "named"]).ok();
    scene.assert_nothing_left();
}

fn a_read_only_root_refuses(scene: &Scene) {
    fs::write(scene.path("f"), "f").expect("write a file");
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "c", "--read-only", &rootfs, "true"]).ok();
    scene.vial(["cp", "f", "c:/f"]).ends(125).says("read-only");
    let running = Container::named(scene, "r", &["--read-only", "--tmpfs", "/w"], "sleep 30");
    scene.vial(["cp", "f", "r:/f"]).ends(125).says("EROFS");
    scene.vial(["cp", "f", "r:/w/f"]).ok();
    scene.vial(["cp", "r:/w/f", "g"]).ok();
    running.stop();
    end(scene, &["c"]);
}

/// Links that lead to a directory of the host's, by every way that there is.
const ASTRAY: &str = "ln -s /HOST /abs; ln -s ../../../../../../../../HOST /up; ln -s /proc/1/root/HOST /magic; \
     ln -s abs /chain; mkdir -p /d/e; ln -s ../../../../../../HOST /d/e/deep; ln -s /abs/x /d/file; mkdir /src; echo in > /src/secret";

/// Copies through such links; the host's directory must stay as it is, and nothing of it come out.
fn lead_astray(scene: &Scene, vial: &dyn Fn(&[&str]) -> Output, name: &str, host: &Path) {
    let secret = host.join("secret");
    let before = tree::look(host);
    fs::write(scene.path("secret"), "new").expect("write a file");
    for link in ["abs", "up", "magic", "chain", "d/e/deep"] {
        for (from, to) in [
            (format!("{name}:/{link}/secret"), "out".to_owned()),
            (format!("{name}:/{link}/."), "out".to_owned()),
            (format!("{name}:/{link}/"), "out".to_owned()),
            ("secret".to_owned(), format!("{name}:/{link}/")),
            ("secret".to_owned(), format!("{name}:/{link}/secret")),
        ] {
            vial(&["cp", &from, &to]);
            assert!(!scene.path("out").exists(), "{from} {to} found something");
        }
    }
    vial(&["cp", "-L", &format!("{name}:/abs"), "out"]);
    vial(&["cp", "secret", &format!("{name}:/d/file")]);
    assert!(!scene.path("out").exists());
    assert_same(&before, &tree::look(host));
    assert_eq!(fs::read_to_string(secret).expect("the secret"), "secret");
}

/// A directory of the host's with a secret, and a script that makes the links to it.
fn host_and_links(scene: &Scene) -> (PathBuf, String) {
    let host = scene.path("host");
    fs::create_dir(&host).expect("make a directory");
    fs::write(host.join("secret"), "secret").expect("write a file");
    let script = ASTRAY.replace("HOST", host.to_str().expect("UTF-8").trim_start_matches('/'));
    (host, script)
}

fn links_in_a_container_never_lead_to_the_host(scene: &Scene) {
    let (host, script) = host_and_links(scene);
    ended(scene, "c", &script);
    let vial = |words: &[&str]| scene.vial(words).run();
    lead_astray(scene, &vial, "c", &host);
    let running = Container::named(scene, "r", &[], &format!("{script}; echo up > /ready; sleep 30"));
    eventually("the script has run", || running.proc("root/ready").exists().then_some(()));
    lead_astray(scene, &vial, "r", &host);
    running.stop();
    end(scene, &["c"]);
}

fn links_lead_nowhere_else_on_kernels_without_openat2(scene: &Scene) {
    let (host, script) = host_and_links(scene);
    ended(scene, "c", &format!("{script}; mkdir /real; ln -s real /link"));
    let trace = scene.path("trace").display().to_string();
    let strace = ["-f", "-o", &trace, "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS"];
    let old = |words: &[&str]| scene.command("strace", strace.iter().chain(&[VIAL]).chain(words)).run();
    lead_astray(scene, &old, "c", &host);
    old(&["cp", "secret", "c:/link/"]).ends(0);
    old(&["cp", "c:/real/secret", "out"]).ends(0);
    assert_eq!(fs::read_to_string(scene.path("out")).expect("a file"), "new");
    end(scene, &["c"]);
}

fn a_container_that_swaps_its_files_meanwhile_never_reaches_the_host(scene: &Scene) {
    let host = scene.path("host");
    fs::create_dir(&host).expect("make a directory");
    for number in 0..10 {
        fs::write(host.join(format!("f{number}")), "secret").expect("write a file");
    }
    fs::create_dir(scene.path("in")).expect("make a directory");
    for number in 0..10 {
        fs::create_dir(scene.path(format!("in/f{number}"))).expect("make a directory");
        fs::set_permissions(scene.path(format!("in/f{number}")), PermissionsExt::from_mode(0o2777)).expect("chmod");
    }
    let before = tree::look(&host);
    // A directory and its files, and a link to the host's, take turns under one name.
    let script = format!(
        "mkdir /a /b; for n in 0 1 2 3 4 5 6 7 8 9; do echo mine > /a/f$n; done; ln -s {host} /l; cp -a /a /t; echo up > /up; \
         while true; do mv -T /t /x; mv -T /l /t; mv -T /t /l; mv -T /x /t; \
         for n in 0 1 2; do rmdir /b/f$n; ln -s {host} /b/f$n; rm -f /b/f$n; done; done 2>/dev/null",
        host = host.display()
    );
    let running = Container::named(scene, "r", &[], &script);
    eventually("the script has begun", || running.proc("root/up").exists().then_some(()));
    let mut copied = 0;
    for round in 0..30 {
        let out = scene.path(format!("out{round}"));
        if cp(scene, "r:/t/.", &out).code == 0 {
            copied += 1;
        }
        assert!(!out.is_symlink(), "a directory was asked for");
        for path in if out.is_dir() { paths(&out) } else { Vec::new() } {
            let found = fs::read_to_string(out.join(&path)).unwrap_or_default();
            assert!(found != "secret", "{path} of the host's came out");
        }
        let _ = fs::remove_dir_all(&out);
        cp(scene, "in/.", "r:/b");
    }
    assert_same(&before, &tree::look(&host));
    assert!(copied > 0, "the container was too fast for every copy");
    running.stop();
    scene.assert_nothing_left();
}

fn devices_and_pipes_are_never_opened(scene: &Scene) {
    ended(scene, "c", "mkdir /x; mkfifo /x/pipe; mknod /x/null c 1 3; mknod /x/port c 1 4; echo f > /x/file");
    let trace = scene.path("trace").display().to_string();
    let strace = ["-f", "-y", "-o", &trace, "-e", "trace=openat,openat2", VIAL];
    scene.command("strace", strace.iter().chain(&["cp", "-a", "c:/x", "x"])).ok();
    let kind = |name: &str| fs::symlink_metadata(scene.path("x").join(name)).expect("it was copied").file_type();
    assert!(kind("pipe").is_fifo() && kind("null").is_char_device() && kind("port").is_char_device());
    let calls = fs::read_to_string(&trace).expect("read the trace");
    assert!(calls.contains("\"file\""), "{calls}");
    for name in ["\"pipe\"", "\"null\"", "\"port\""] {
        assert!(!calls.contains(name), "{name} was opened:\n{calls}");
    }
    end(scene, &["c"]);
}

fn a_container_is_not_removed_while_its_files_are_used(scene: &Scene) {
    ended(scene, "c", "dd if=/dev/zero of=/large bs=1M count=20 2>/dev/null");
    // Nobody reads what it writes, so that it stays.
    let copying = scene.vial(["cp", "c:/large", "-"]);
    let mut child = Command::new(VIAL)
        .args(["cp", "c:/large", "-"])
        .env("VIAL_ROOT", scene.root())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("start vial");
    drop(copying);
    let mut first = [0; 512];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut first).expect("read the first block");
    // Others read, and who wants to change waits and gives up.
    scene.vial(["cp", "c:/large", "large"]).ok();
    fs::write(scene.path("f"), "f").expect("write a file");
    let held = scene.vial(["cp", "f", "c:/f"]).start();
    std::thread::sleep(std::time::Duration::from_millis(100));
    child.kill().expect("kill vial");
    child.wait().expect("collect vial");
    held.wait().ends(0);
    end(scene, &["c"]);
}
