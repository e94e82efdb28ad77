//! Who files belong to: volumes that are given to the container's user (`:U`), and a caller who is the same inside (`keep-id`).

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::Over;
use crate::util::container::eventually;
use crate::util::scene::Scene;
use crate::util::user::User;

trials! {
    a_volume_is_given_to_the_containers_user [Root, Busybox, Kernel("overlay")];
    a_volume_is_given_to_who_that_is_outside [Root, Busybox, Kernel("overlay")];
    what_is_the_systems_is_not_given_away [Root, Busybox, Kernel("overlay")];
    a_tree_that_changes_while_it_is_given_leads_nowhere [Root, Busybox, Kernel("overlay")];
    a_deep_tree_is_given_with_few_open_files [Root, Busybox, Kernel("overlay"), Tool("python3")];
    a_normal_user_is_the_same_inside [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    a_kept_user_has_a_whole_life_in_its_container [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    a_kept_user_is_connected_by_pasta [Root, Busybox, Kernel("overlay"), Tool("newuidmap"), Tool("pasta"), File("/dev/net/tun")];
    root_is_the_same_inside_in_a_namespace_of_its_own [Root, Busybox, Kernel("overlay")];
}

/// A directory with all kinds of files, and a file outside that links lead to.
fn tree(scene: &Scene) -> (PathBuf, PathBuf) {
    let (tree, outside) = (scene.path("tree"), scene.path("outside"));
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), "x").unwrap();
    fs::write(&outside, "x").unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    symlink(scene.directory(), tree.join("a/up")).unwrap();
    scene.command("mkfifo", [tree.join("a/fifo")]).ok();
    (tree, outside)
}

fn owner(path: impl AsRef<Path>) -> (u32, u32) {
    let data = fs::symlink_metadata(path).unwrap();
    (data.uid(), data.gid())
}

fn a_volume_is_given_to_the_containers_user(scene: &Scene) {
    let (tree, outside) = tree(scene);
    let rootfs = scene.rootfs().display().to_string();
    let volume = format!("{}:/v", tree.display());
    scene.vial(["run", "--rm", "-u", "user", "-v", &volume, &rootfs, "touch", "/v/a/new"]).ends(1);
    let given = format!("{volume}:U");
    scene.vial(["run", "--rm", "-u", "user", "-v", &given, &rootfs, "touch", "/v/a/new"]).ok().silent();
    for path in ["", "a", "a/b", "a/b/file", "a/link", "a/up", "a/fifo", "a/new"] {
        assert_eq!(owner(tree.join(path)), (1000, 1000), "{path}");
    }
    assert_eq!((owner(&outside), owner(scene.directory())), ((0, 0), (0, 0)));
    // Also one that the container can't write to, a single file, and what --mount names.
    scene.vial(["run", "--rm", "-u", "7:8", "-v", &format!("{volume}:ro,U"), &rootfs, "true"]).ok();
    assert_eq!(owner(tree.join("a/b/file")), (7, 8));
    let file = format!("{}:/v:U", tree.join("a/b/file").display());
    scene.vial(["run", "--rm", "-u", "9", "-v", &file, &rootfs, "true"]).ok();
    assert_eq!((owner(tree.join("a/b/file")), owner(tree.join("a/b"))), ((9, 0), (7, 8)));
    let mount = format!("type=bind,src={},dst=/v,U=true", tree.display());
    scene.vial(["run", "--rm", "-u", "5:5", "--mount", &mount, &rootfs, "true"]).ok();
    assert_eq!(owner(tree.join("a/b/file")), (5, 5));
    // A volume of vial's is filled with what the image has first, which is then still the image's.
    scene.vial(["run", "--rm", "-u", "5:6", "-v", "data:/v:U", &rootfs, "touch", "/v/own"]).ok();
    assert_eq!(owner(scene.root().join("volumes/data/_data/own")), (5, 6));
    scene.vial(["volume", "rm", "data"]).ok();
    scene.assert_nothing_left();
}

fn a_volume_is_given_to_who_that_is_outside(scene: &Scene) {
    let (tree, outside) = tree(scene);
    let rootfs = scene.rootfs().display().to_string();
    let volume = format!("{}:/v:U", tree.display());
    let map = ["run", "--rm", "--uidmap", "0:300000:2000"];
    let script = "stat -c %u:%g /v/a/b/file; touch /v/a/new";
    scene
        .vial(map.iter().chain(&["-u", "user", "-v", &volume, &rootfs, "sh", "-c", script]))
        .ok()
        .prints("1000:1000\n");
    assert_eq!((owner(tree.join("a/new")), owner(tree.join("a/link"))), ((301_000, 301_000), (301_000, 301_000)));
    assert_eq!(owner(&outside), (0, 0));
    scene.vial(map.iter().chain(&["-u", "2000", "-v", &volume, &rootfs, "true"])).ends(125).says("ID 2000");
    // One whose owners are mapped holds the container's IDs.
    let mapped = format!("{}:/v:idmap,U", tree.display());
    scene.vial(map.iter().chain(&["-u", "user", "-v", &mapped, &rootfs, "sh", "-c", script])).ok();
    assert_eq!(owner(tree.join("a/b/file")), (1000, 1000));
    scene.assert_nothing_left();
}

fn what_is_the_systems_is_not_given_away(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let inner = scene.path("inner");
    fs::create_dir_all(inner.join("a/usr")).unwrap();
    for path in ["/", "/usr", "/home", "/etc", "/var/lib", "/usr/../usr"].map(str::to_owned) {
        scene.vial(["run", "--rm", "-v", &format!("{path}:/v:U"), &rootfs, "true"]).ends(125).says("is the system's");
    }
    // Also where it is by another name: a link, or a mount below.
    symlink("/usr", scene.path("link")).unwrap();
    let link = format!("{}:/v:U", scene.path("link").display());
    scene.vial(["run", "--rm", "-u", "7", "-v", &link, &rootfs, "true"]).ends(125).says("/usr is the system's");
    let script = "mount --bind /usr $0/a/usr && exec \"$@\"";
    let here = inner.display().to_string();
    let volume = format!("{here}:/v:U");
    let vial = crate::util::command::VIAL;
    let words = ["-m", "sh", "-c", script, &here, vial, "run", "--rm", "-u", "7", "-v", &volume, &rootfs, "true"];
    scene.command("unshare", words).ends(125).says("/usr is the system's");
    assert_eq!((owner("/usr"), owner("/")), ((0, 0), (0, 0)));
    scene.assert_nothing_left();
}

fn a_tree_that_changes_while_it_is_given_leads_nowhere(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let (tree, outside) = (scene.path("tree"), scene.path("outside"));
    for name in ["a", "b", "c"] {
        fs::create_dir_all(tree.join(name).join("d")).unwrap();
        (0..50).for_each(|number| fs::write(tree.join(name).join(format!("d/{number}")), "").unwrap());
    }
    fs::create_dir_all(outside.join("d")).unwrap();
    fs::write(outside.join("d/0"), "").unwrap();
    symlink(&outside, tree.join("link")).unwrap();
    let over = AtomicBool::new(false);
    let volume = format!("{}:/v:U", tree.display());
    let seconds = std::env::var("VIAL_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let ends = Instant::now() + Duration::from_secs(seconds);
    let mut whole = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for name in ["a", "b", "c"] {
                    let (own, aside) = (tree.join(name), scene.path("aside"));
                    let _ = fs::rename(&own, &aside);
                    let _ = symlink(&outside, &own);
                    let _ = fs::remove_file(&own);
                    let _ = fs::rename(&aside, &own);
                }
            }
        });
        let _over = Over(&over);
        for id in (1..).take_while(|_| Instant::now() < ends) {
            let output = scene.vial(["run", "--rm", "-u", &id.to_string(), "-v", &volume, &rootfs, "true"]).run();
            assert!(output.code == 0 || output.stderr.contains("moved it meanwhile"), "{}", output.shown());
            whole += usize::from(output.code == 0);
        }
    });
    assert!(whole > 0);
    for path in ["", "d", "d/0"] {
        assert_eq!(owner(outside.join(path)), (0, 0), "{path}");
    }
    scene.assert_nothing_left();
}

fn a_deep_tree_is_given_with_few_open_files(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let top = scene.path("deep");
    fs::create_dir(&top).unwrap();
    let script = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\nopen('bottom', 'w')";
    scene.command("python3", ["-c", script]).current_dir(&top).ok();
    let volume = format!("{}:/v:U", top.display());
    let words = ["-n64", "--", crate::util::command::VIAL, "run", "--rm", "-u", "7:7", "-v", &volume, &rootfs, "true"];
    scene.command("prlimit", words).ok();
    let script =
        "import os\nfor _ in range(1500): os.chdir('d')\nprint([os.stat(name).st_uid for name in ('.', 'bottom')])";
    scene.command("python3", ["-c", script]).current_dir(&top).ok().prints("[7, 7]\n");
    scene.command("rm", ["-rf".as_ref(), top.as_os_str()]).ok();
    scene.assert_nothing_left();
}

/// Nothing of a user's is left.
fn nothing_is_left(scene: &Scene, user: &User<'_>) {
    eventually("the user's processes are gone", || {
        let found = scene.command("pgrep", ["-u", &user.id.to_string()]).run();
        found.stdout.is_empty().then_some(())
    });
    scene.assert_nothing_left();
}

fn a_normal_user_is_the_same_inside(scene: &Scene) {
    let user = User::new(scene);
    let root = user.rootfs();
    let (id, count) = (user.id, 65_537);
    let shared = user.home().join("shared");
    user.command(["mkdir".to_owned(), shared.display().to_string()]).ok();
    let volume = format!("{}:/shared", shared.display());
    let script = "id -u; id -g; cat /proc/self/uid_map; touch /shared/mine /tmp/mine; stat -c %u:%g /shared/mine /tmp/mine /bin /; \
                  touch /root/x 2>/dev/null || echo not root";
    let run = |options: &[&str], script: &str| {
        user.vial([&["run", "--rm", "-v", &volume, "-v", "own:/own"], options, &[&root, "sh", "-c", script]].concat())
    };
    let output = run(&["--userns", "keep-id"], script).ok();
    let words: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let own = id.to_string();
    let both = format!("{id}:{id}");
    assert_eq!(words[..2], [[&*own], [&*own]]);
    let map = [
        ["0".to_owned(), "1".to_owned(), own.clone()],
        [own.clone(), "0".to_owned(), "1".to_owned()],
        [(id + 1).to_string(), (id + 1).to_string(), (count - id - 1).to_string()],
    ];
    assert_eq!(
        words[2..5],
        map.iter().map(|line| line.iter().map(String::as_str).collect::<Vec<_>>()).collect::<Vec<_>>()
    );
    assert_eq!(words[5..], [vec![&*both], vec![&*both], vec!["0:0"], vec!["0:0"], vec!["not", "root"]]);
    assert!(output.stderr.contains("copy"), "{}", output.shown());
    assert_eq!(owner(shared.join("mine")), (id, id));
    // As another user inside, and with others asked for.
    let script = "id -u; id -g; touch /shared/other; stat -c %u:%g /shared/mine /shared/other";
    run(&["--userns", "keep-id:uid=11,gid=12"], script).ok().prints("11\n12\n11:12\n11:12\n");
    assert_eq!(owner(shared.join("other")), (id, id));
    run(&["--userns", "keep-id", "-u", "0"], "id -u; id -g; touch /root/x && echo root").ok().prints("0\n0\nroot\n");
    run(&["--userns", "keep-id", "-u", "user"], "id -u").ok().prints("1000\n");
    run(&["--userns", "keep-id:uid=4000000"], "id -u; id -g").ok().prints(&format!("4000000\n{id}\n"));
    for mode in ["keep-id:", "keep-id:uid", "keep-id:uid=-1", "keep-id:uid=4294967295", "keep-id:size=5", "keep-idx"] {
        run(&["--userns", mode], "true").ends(125).says("no such mode");
    }
    run(&["--userns", "keep-id", "--uidmap", "0:1:1"], "true").ends(125).says("conflicts");
    run(&["--userns", "auto"], "true").ends(125).says("--userns host or keep-id");
    user.vial(["volume", "rm", "own"]).ok();
    nothing_is_left(scene, &user);
    // Who has no other IDs can't be anybody but root.
    for name in ["subuid", "subgid"] {
        fs::write(scene.path(name), "someone:1:1\n").unwrap();
    }
    user.vial(["run", "--rm", "--userns", "keep-id", &root, "true"])
        .ends(125)
        .says("more than one ID")
        .says("add-subuids");
    nothing_is_left(scene, &user);
}

fn a_kept_user_has_a_whole_life_in_its_container(scene: &Scene) {
    let user = User::new(scene);
    let own = format!("{}\n", user.id);
    let root = user.rootfs();
    let script = "trap 'exit 3' TERM; touch /tmp/mine; while :; do sleep 0.05; done";
    user.vial(["run", "-d", "--name", "web", "--userns", "keep-id", &root, "sh", "-c", script]).ok();
    user.vial(["exec", "web", "id", "-u"]).ok().prints(&own);
    user.vial(["exec", "-u", "0", "web", "stat", "-c", "%u", "/proc/1"]).ok().prints(&own);
    // Another vial finds its way to the namespace that all share, also when no monitor is there any more.
    let monitor = user.command(["pgrep", "-u", &user.id.to_string(), "-f", "^vial-monitor"].map(str::to_owned)).ok();
    scene.command("kill", ["-KILL", monitor.stdout.trim_end()]).ok();
    user.vial(["run", "--rm", &root, "id", "-u"]).ok().prints("0\n");
    user.vial(["exec", "web", "id", "-u"]).ok().prints(&own);
    user.vial(["stop", "web"]).ok();
    user.vial(["start", "web"]).ok();
    user.vial(["exec", "web", "stat", "-c", "%u", "/tmp/mine"]).ok().prints(&own);
    user.vial(["cp", "web:/tmp/mine", "."]).ok();
    assert_eq!(owner(user.home().join("mine")), (user.id, user.id));
    user.vial(["rm", "-f", "web"]).ok();
    nothing_is_left(scene, &user);
}

fn a_kept_user_is_connected_by_pasta(scene: &Scene) {
    let user = User::new(scene);
    let host = crate::util::network::Host::new(scene);
    let script = "id -u; ip -o -4 address show dev net0 | wc -l";
    user.vial_on(&host, ["run", "--rm", "--userns", "keep-id", &user.rootfs(), "sh", "-c", script])
        .ok()
        .prints(&format!("{}\n1\n", user.id));
    nothing_is_left(scene, &user);
    host.end();
}

fn root_is_the_same_inside_in_a_namespace_of_its_own(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let shared = scene.path("shared");
    fs::create_dir(&shared).unwrap();
    chown(&shared, Some(0), Some(0)).unwrap();
    let volume = format!("{}:/shared", shared.display());
    let run = |mode: &str, script: &str| {
        scene.vial(["run", "--rm", "--userns", mode, "-v", &volume, &rootfs, "sh", "-c", script])
    };
    let own = fs::read_link("/proc/self/ns/user").unwrap().display().to_string();
    let output = run("keep-id", "id -u; touch /shared/mine; readlink /proc/self/ns/user").ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], "0");
    assert_ne!(lines[1], own);
    assert_eq!(owner(shared.join("mine")), (0, 0));
    run("keep-id:uid=11,gid=12", "id -u; id -g; stat -c %u:%g /shared; touch /shared/other")
        .ok()
        .prints("11\n12\n11:12\n");
    assert_eq!(owner(shared.join("other")), (0, 0));
    scene.assert_nothing_left();
}
