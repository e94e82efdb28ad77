//! Pulling: from Debian's registry, and from servers that misbehave. No test leaves loopback.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::util::Scene;
use crate::util::command::{Cmd, VIAL};
use crate::util::registry::{
    Image, Request, Server, debian, digest, go_architecture, layer, noise, reply, respond, stop,
};

trials! {
    an_image_of_a_registry_is_pulled_and_runs [Root, Busybox, Kernel("overlay"), Tool("docker-registry"), Tool("skopeo"), Command("pull")];
    a_registry_that_wants_a_password_gets_it [Tool("docker-registry"), Tool("skopeo"), Tool("python3"), Command("pull")];
    images_for_several_machines_and_in_dockers_format_are_pulled [Tool("docker-registry"), Tool("skopeo"), Command("pull")];
    a_short_name_is_of_dockers_registry_or_where_the_file_of_registries_says [Command("pull")];
    plain_http_is_spoken_only_where_that_was_asked_for [Command("pull")];
    the_output_is_dockers [Command("pull")];
    progress_is_shown_on_a_terminal [Tool("script"), Command("pull")];
    layers_that_are_there_are_not_fetched_again [Command("pull")];
    a_download_that_was_cut_goes_on_where_it_was [Command("pull")];
    a_download_goes_on_within_one_pull_too [Command("pull")];
    a_killed_pull_leaves_its_download_and_nothing_else [Command("pull")];
    an_interrupted_pull_cleans_up_behind_itself [Command("pull")];
    what_is_damaged_is_refused_and_not_kept [Command("pull")];
    a_download_that_was_damaged_on_the_disk_is_fetched_again [Command("pull")];
    refusals_are_told_in_the_registrys_words [Command("pull")];
    what_may_pass_is_tried_again [Command("pull")];
    redirections_are_followed_without_the_password [Command("pull")];
    answers_in_chunks_and_without_a_length_are_read [Command("pull")];
    answers_without_end_are_given_up [Command("pull")];
    a_server_that_hardly_sends_is_given_up [Command("pull")];
    the_next_layer_is_fetched_while_one_is_unpacked [Command("pull")];
    two_pulls_of_the_same_fetch_it_once [Command("pull")];
    gc_removes_downloads_that_nobody_goes_on_with [Tool("flock"), Command("pull")];
    run_pulls_what_is_missing_and_only_that [Root, Busybox, Kernel("overlay"), Command("pull")];
    an_image_that_is_nowhere_is_told_at_once [Command("pull")];
    https_is_spoken_by_curl [Tool("curl"), Tool("openssl"), Tool("python3"), Command("pull")];
    https_without_curl_names_what_works [Command("pull")];
    names_are_found_by_name_servers [Root, Tool("unshare"), Command("pull")];
    pulls_are_told_as_strace_sees_them [Root, Tool("strace"), Command("pull")];
}

/// vial, which pulls as it would without settings.
fn vial<'a>(scene: &'a Scene, args: &[&str]) -> Cmd<'a> {
    // No name server is asked by accident, and curl reaches nobody.
    scene.vial(args).env("VIAL_PULL", "missing").env("HOME", scene.directory()).env("https_proxy", "http://127.0.0.1:1")
}

fn normal(_: &Request, _: usize, _: &mut TcpStream) -> bool {
    false
}

/// Asserts that no image, no download and no work is there.
#[track_caller]
fn assert_empty(scene: &Scene) {
    assert_eq!(names_in(&scene.root().join("images")), [""; 0]);
    assert_eq!(names_in(&scene.root().join("refs")), [""; 0]);
    assert_eq!(names_in(&scene.root().join("tmp")), [""; 0]);
}

fn downloads(scene: &Scene) -> Vec<String> {
    names_in(&scene.root().join("partial"))
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

/// An image of three layers: busybox, a greeting, and something large.
fn large() -> Image {
    Image::new(&[
        layer(&[("etc/hello", b"hello\n"), ("bin/nothing", b"")]),
        layer(&[("large", &noise(3_000_000))]),
        layer(&[("small", b"small\n")]),
    ])
}

/// The root file system of busybox as an archive.
fn rootfs_layer(scene: &Scene) -> Vec<u8> {
    let archive = scene.path("rootfs.tar");
    let rootfs = scene.rootfs().as_os_str();
    scene.command("tar", ["-cf".as_ref(), archive.as_os_str(), "-C".as_ref(), rootfs, ".".as_ref()]).ok();
    fs::read(&archive).expect("read the archive")
}

/// Puts an image into a registry, by skopeo.
fn push(scene: &Scene, image: &Image, to: &str, options: &[&str]) {
    let layout = scene.path("layout");
    let _ = fs::remove_dir_all(&layout);
    image.write_layout(&layout);
    let (from, to) = (format!("oci:{}:it", layout.display()), format!("docker://{to}"));
    let fixed = ["copy", "--insecure-policy", "--dest-tls-verify=false"];
    let words = fixed.iter().chain(options).copied().chain([from.as_str(), to.as_str()]);
    scene.command("skopeo", words).env("HOME", scene.directory()).ok();
}

fn an_image_of_a_registry_is_pulled_and_runs(scene: &Scene) {
    let (registry, address) = debian(scene, "");
    let programs = rootfs_layer(scene);
    let image = Image::new(&[programs, layer(&[("etc/hello", b"first\n")]), layer(&[("etc/hello", b"hello\n")])]);
    push(scene, &image, &format!("{address}/team/app:1"), &[]);
    let name = format!("{address}/team/app:1");
    let top = image.manifest.clone();
    let told = format!("Digest: {top}\nStatus: Downloaded newer image for {name}\n{name}\n");
    vial(scene, &["pull", &name]).ok().prints(&told).silent();
    assert_eq!((downloads(scene), names_in(&scene.root().join("tmp"))), (vec![], vec![]));
    vial(scene, &["run", "--rm", &name]).ok().prints("hello\n").silent();
    let told = format!("Digest: {top}\nStatus: Image is up to date for {name}\n{name}\n");
    vial(scene, &["pull", &name]).ok().prints(&told).silent();
    vial(scene, &["pull", "-q", &name]).ok().prints(&format!("{name}\n")).silent();
    vial(scene, &["images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}", "--no-trunc"])
        .ok()
        .prints(&format!("{address}/team/app 1 {}\n", image.config));
    // By its digest, under which it can be run too.
    let by_digest = format!("{address}/team/app@{top}");
    vial(scene, &["pull", &by_digest]).ok().shows(&format!("Status: Downloaded newer image for {by_digest}"));
    vial(scene, &["run", "--rm", "--pull", "never", &by_digest]).ok().prints("hello\n");
    vial(scene, &["rmi", &name]).ok();
    vial(scene, &["run", "--rm", &by_digest]).ok().prints("hello\n").silent();
    vial(scene, &["images", "--format", "{{.Repository}} {{.Tag}}"])
        .ok()
        .prints(&format!("{address}/team/app <none>\n"));
    let other = format!("{address}/team/app@sha256:{}", "0".repeat(64));
    vial(scene, &["run", "--rm", "--pull", "never", &other]).ends(125).says("no image is named");
    vial(scene, &["pull", &other]).ends(125).says("404 Not Found manifest unknown");
    vial(scene, &["rmi", &by_digest]).ok();
    assert_empty(scene);
    stop(scene, registry);
}

fn a_registry_that_wants_a_password_gets_it(scene: &Scene) {
    // Python's `crypt` makes the hash in the form that the registry takes.
    let program = "import crypt; print('me:' + crypt.crypt('secret', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.'))";
    let line = scene.command("python3", ["-W", "ignore", "-c", program]).ok().stdout;
    fs::write(scene.path("passwords"), line).expect("write the passwords");
    let auth = format!("auth: {{htpasswd: {{realm: here, path: {}}}}}\n", scene.path("passwords").display());
    let (registry, address) = debian(scene, &auth);
    push(scene, &Image::saying("hello\n"), &format!("{address}/app"), &["--dest-creds", "me:secret"]);
    let name = format!("{address}/app");
    let refused = "hint: is the name right? what is not public needs --creds USER:PASSWORD";
    vial(scene, &["pull", &name])
        .ends(125)
        .says("answered with 401 Unauthorized authentication required\n")
        .says(refused);
    let wrong = vial(scene, &["pull", "--creds", "me:wrong", &name]).ends(125).says("401 Unauthorized").says(refused);
    assert!(!wrong.stderr.contains("wrong"), "{}", wrong.shown());
    assert_empty(scene);
    vial(scene, &["pull", "--creds", "me:secret", &name]).ok().silent();
    vial(scene, &["rmi", &name]).ok();
    // As the file of registries has it, for `run` too.
    let line = |secret: &str| format!("{address} http://{address} {secret}\n");
    fs::write(scene.root().join("registries"), line("me:wrong")).expect("write a file");
    vial(scene, &["pull", &name]).ends(125).says("401 Unauthorized");
    fs::write(scene.root().join("registries"), line("me:secret")).expect("write a file");
    vial(scene, &["pull", &name]).ok().silent();
    stop(scene, registry);
}

fn images_for_several_machines_and_in_dockers_format_are_pulled(scene: &Scene) {
    let (registry, address) = debian(scene, "");
    let image = large().indexed(&["s390x", go_architecture()]);
    push(scene, &image, &format!("{address}/several"), &["--all"]);
    vial(scene, &["pull", &format!("{address}/several")]).ok().shows(&format!("Digest: {}\n", image.top));
    let inspected = vial(scene, &["inspect", "-f", "{{.Id}}", &format!("{address}/several")]).ok();
    inspected.prints(&format!("{}\n", image.config));
    let image = Image::saying("other\n").indexed(&["s390x", "ppc64le"]);
    push(scene, &image, &format!("{address}/others"), &["--all"]);
    vial(scene, &["pull", &format!("{address}/others")])
        .ends(125)
        .says(&format!("there is no image for linux/{}", go_architecture()))
        .says("linux/s390x, linux/ppc64le");
    vial(scene, &["pull", "--platform", "linux/s390x", &format!("{address}/others")]).ok();
    push(scene, &large(), &format!("{address}/docker"), &["--format", "v2s2"]);
    vial(scene, &["pull", &format!("{address}/docker")]).ok();
    stop(scene, registry);
}

fn a_short_name_is_of_dockers_registry_or_where_the_file_of_registries_says(scene: &Scene) {
    let image = Image::saying("hello\n");
    let server = Server::start(&image, normal);
    let registries =
        format!("# A mirror.\nother.example https://127.0.0.1:1\ndocker.io http://{}/mirror\n", server.address);
    fs::write(scene.root().join("registries"), registries).expect("write a file");
    for (name, path, stored) in [
        ("alpine", "library/alpine/manifests/latest", "alpine:latest"),
        ("docker.io/library/alpine", "library/alpine/manifests/latest", "alpine:latest"),
        ("user/app:2", "user/app/manifests/2", "user/app:2"),
    ] {
        let told = vial(scene, &["pull", name]).ok().shows(&format!(" for {stored}\n"));
        let whole = path.replace("/manifests/", ":");
        assert!(told.stdout.ends_with(&format!("\ndocker.io/{whole}\n")), "{}", told.shown());
        let asked = server.requests().into_iter().rfind(|request| request.path.contains("/manifests/"));
        assert_eq!(asked.expect("it was asked").path, format!("/mirror/v2/{path}"));
        vial(scene, &["rmi", name]).ok().shows(&format!("Untagged: {stored}"));
    }
    for bad in ["", "10.0.0.5", "ftp://h", "http://", "http://h\u{7f}", "http:/h/"] {
        fs::write(scene.root().join("registries"), format!("docker.io {bad}\n")).expect("write a file");
        vial(scene, &["pull", "alpine"])
            .ends(125)
            .says("the registry docker.io is not at an address")
            .says("lines such as");
    }
}

fn plain_http_is_spoken_only_where_that_was_asked_for(scene: &Scene) {
    let server = Server::start(&Image::saying("hello\n"), normal);
    let port = server.address.rsplit(':').next().expect("there is a port");
    vial(scene, &["pull", &format!("localhost:{port}/app")]).ok();
    // A name that is one for this machine, but does not look so.
    let name = format!("elsewhere.invalid:{port}/app");
    vial(scene, &["pull", &name]).ends(125).says("curl failed with code 7: can't connect");
    vial(scene, &["pull", "--plain-http", &name]).ends(125).says("can't find the host elsewhere.invalid");
    assert_eq!(server.count("/v2/app/manifests/latest"), 1);
    fs::write(scene.root().join("registries"), format!("elsewhere.invalid:{port} http://{}\n", server.address))
        .expect("write");
    vial(scene, &["pull", &name]).ok();
    assert_eq!(server.count("/v2/app/manifests/latest"), 2);
}

fn the_output_is_dockers(scene: &Scene) {
    let image = large();
    let server = Server::start(&image, normal);
    let name = format!("{}/app", server.address);
    let told = format!("Digest: {}\nStatus: Downloaded newer image for {name}:latest\n{name}:latest\n", image.top);
    vial(scene, &["pull", &name]).ok().prints(&told).silent();
    let agents: Vec<_> = server.requests().iter().map(|request| request.field("user-agent").to_owned()).collect();
    assert!(agents.iter().all(|agent| agent.starts_with("vial/")), "{agents:?}");
}

fn progress_is_shown_on_a_terminal(scene: &Scene) {
    let image = large();
    let server = Server::start(&image, normal);
    let line = format!("{VIAL} pull {}/app", server.address);
    let output = scene.command("script", ["-qefc", &line, "/dev/null"]).env("HOME", scene.directory()).ok();
    for layer in &image.layers {
        let digits = &hex(layer)[..12];
        assert!(output.stdout.contains(&format!("{digits}: Waiting\r\n")), "{}", output.shown());
        for words in ["Download complete", "Pull complete"] {
            assert!(output.stdout.contains(&format!("\r{digits}: {words}\x1b[K")), "{words}: {}", output.shown());
        }
    }
    let digits = &hex(&image.layers[1])[..12];
    assert!(output.stdout.contains(&format!("{digits}: Downloading 3MB/3MB")), "{}", output.shown());
    vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    let line = format!("{VIAL} pull -q {}/app", server.address);
    let output = scene.command("script", ["-qefc", &line, "/dev/null"]);
    output.env("HOME", scene.directory()).ok().prints(&format!("{}/app:latest\r\n", server.address));
}

fn layers_that_are_there_are_not_fetched_again(scene: &Scene) {
    let base = large();
    let server = Server::start(&base, normal);
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok();
    let files = [
        layer(&[("etc/hello", b"hello\n"), ("bin/nothing", b"")]),
        layer(&[("large", &noise(3_000_000))]),
        layer(&[("other", b"other\n")]),
    ];
    let next = Image::new(&files);
    let server = Server::start(&next, normal);
    vial(scene, &["pull", &format!("{}/app:2", server.address)]).ok();
    assert_eq!(server.count(&next.layers[0]) + server.count(&next.layers[1]), 0);
    assert_eq!(server.count(&next.layers[2]), 1);
}

/// Sends the first half of the blobs that end so, and then nothing; whether it did.
fn cut(image: &Image, name: &str, request: &Request, connection: &mut TcpStream) -> bool {
    if !request.path.ends_with(name) {
        return false;
    }
    let blob = &image.blobs[name];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", blob.len());
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&blob[..blob.len() / 2]));
    true
}

fn a_download_that_was_cut_goes_on_where_it_was(scene: &Scene) {
    let image = large();
    let big = image.layers[1].clone();
    let (inner, name) = (image.clone(), big.clone());
    // Afterwards the server has had enough.
    let bad = Server::start(&image, move |request, before, connection| match before {
        0 => cut(&inner, &name, request, connection),
        _ if request.path.ends_with(&name) => {
            reply(connection, "404 Not Found", "", b"");
            true
        }
        _ => false,
    });
    let failed = vial(scene, &["pull", &format!("{}/app", bad.address)]).ends(125).says("404 Not Found");
    assert!(failed.stderr.contains("download a part of the image"), "{}", failed.shown());
    assert_empty(scene);
    let half = image.blobs[&big].len() as u64 / 2;
    let download = scene.root().join("partial").join(hex(&big));
    assert_eq!(fs::metadata(&download).expect("the download is there").len(), half);
    let good = Server::start(&image, normal);
    vial(scene, &["pull", &format!("{}/app", good.address)]).ok();
    let asked = good.requests();
    let ranges: Vec<_> =
        asked.iter().filter(|request| request.path.ends_with(&big)).map(|request| request.field("range")).collect();
    assert_eq!(ranges, [format!("bytes={half}-")]);
    let rest: u64 = image.blobs.values().map(|blob| blob.len() as u64).sum::<u64>() - half;
    // The first layer was there already, or is sent once more; nothing of the half is.
    let first = image.blobs[&image.layers[0]].len() as u64;
    let config = image.blobs[&image.config].len() as u64;
    assert!(good.sent() <= rest && good.sent() >= rest - first - config, "{} of {rest}", good.sent());
    assert_eq!(downloads(scene), [""; 0]);
}

fn a_download_goes_on_within_one_pull_too(scene: &Scene) {
    let image = large();
    let big = image.layers[1].clone();
    let (inner, name) = (image.clone(), big.clone());
    let server = Server::start(&image, move |request, before, connection| {
        before == 0 && cut(&inner, &name, request, connection)
    });
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok().silent();
    let half = image.blobs[&big].len() / 2;
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter(|request| request.path.ends_with(&big))
        .map(|request| request.field("range").to_owned())
        .collect();
    assert_eq!(ranges, [String::new(), format!("bytes={half}-")]);
    // One that does not know of parts sends all of it again.
    vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    let (inner, name) = (image.clone(), big.clone());
    let server = Server::start(&image, move |request, before, connection| match before {
        0 => cut(&inner, &name, request, connection),
        _ if request.path.ends_with(&name) => {
            reply(connection, "200 OK", "", &inner.blobs[&name]);
            true
        }
        _ => false,
    });
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok().silent();
    // And one that sends another part is not believed.
    vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    let (inner, name) = (image.clone(), big);
    let server = Server::start(&image, move |request, before, connection| match before {
        0 => cut(&inner, &name, request, connection),
        _ if request.path.ends_with(&name) => {
            let blob = &inner.blobs[&name];
            reply(connection, "206 Partial Content", "Content-Range: bytes 0-1/2\r\n", &blob[blob.len() / 2..]);
            true
        }
        _ => false,
    });
    vial(scene, &["pull", &format!("{}/app", server.address)]).ends(125).says("something else than the part");
}

/// A server that stops in the middle of a blob until it is told to go on.
fn stuck(image: &Image, name: &str) -> (Server, Arc<AtomicBool>) {
    let go_on = Arc::new(AtomicBool::new(false));
    let (inner, name, told) = (image.clone(), name.to_owned(), go_on.clone());
    let server = Server::start(image, move |request, _, connection| {
        let halted = !told.load(Ordering::Relaxed) && cut(&inner, &name, request, connection);
        while halted && !told.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        halted
    });
    (server, go_on)
}

/// Waits until a download has that many bytes.
fn wait_for_download(scene: &Scene, name: &str, size: u64) {
    let path = scene.root().join("partial").join(hex(name));
    let ends = Instant::now() + Duration::from_secs(30);
    while fs::metadata(&path).map_or(0, |data| data.len()) < size {
        assert!(Instant::now() < ends, "the download does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_killed_pull_leaves_its_download_and_nothing_else(scene: &Scene) {
    let image = large();
    let big = image.layers[1].clone();
    let (server, go_on) = stuck(&image, &big);
    let running = vial(scene, &["pull", &format!("{}/app", server.address)]).start();
    wait_for_download(scene, &big, image.blobs[&big].len() as u64 / 2);
    crate::util::scene::kill_all_below(scene.directory());
    running.wait().ends(137);
    go_on.store(true, Ordering::Relaxed);
    vial(scene, &["images", "-q"]).ok().prints("");
    vial(scene, &["gc"]).ok();
    assert_empty(scene);
    assert!(downloads(scene).contains(&hex(&big).to_owned()));
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok();
    assert_eq!(downloads(scene), [""; 0]);
    let ranges = server.requests().iter().filter(|request| !request.field("range").is_empty()).count();
    assert_eq!(ranges, 1);
}

fn an_interrupted_pull_cleans_up_behind_itself(scene: &Scene) {
    let image = large();
    let big = image.layers[1].clone();
    for (signal, to_all) in [("INT", true), ("TERM", false)] {
        let (server, go_on) = stuck(&image, &big);
        let mut command = Command::new(VIAL);
        command
            .args(["pull", &format!("{}/app", server.address)])
            .env("VIAL_ROOT", scene.root())
            .current_dir(scene.directory());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().expect("start vial");
        let ends = Instant::now() + Duration::from_secs(30);
        while server.count(&big) == 0 || names_in(&scene.root().join("tmp")).len() != 1 {
            assert!(Instant::now() < ends, "the download does not begin");
            thread::sleep(Duration::from_millis(5));
        }
        // As a terminal does, and as one does who knows of one process only.
        let target = if to_all { format!("-{}", child.id()) } else { child.id().to_string() };
        scene.command("/bin/kill", [&format!("-{signal}"), "--", &target]).ok();
        let status = child.wait().expect("wait for vial");
        assert_eq!(status.code(), Some(if signal == "INT" { 130 } else { 143 }));
        go_on.store(true, Ordering::Relaxed);
        assert_empty(scene);
        assert!(downloads(scene).contains(&hex(&big).to_owned()));
        fs::remove_dir_all(scene.root().join("partial")).expect("remove the downloads");
    }
}

/// What is done to a blob.
type Change = fn(&mut Vec<u8>);

fn what_is_damaged_is_refused_and_not_kept(scene: &Scene) {
    let image = large();
    let big = image.layers[1].clone();
    let changes: [(&str, Change, &str); 4] = [
        (&big, |blob| blob[1000] ^= 1, "something that does not have the digest"),
        (&big, |blob| blob.push(0), "something else than the part"),
        (&big, |blob| blob.truncate(blob.len() - 1), "something else than the part"),
        (&image.config, |blob| blob[3] ^= 1, "something that does not have the digest"),
    ];
    for (name, change, words) in changes {
        let (inner, name) = (image.clone(), name.to_owned());
        let hit = name.clone();
        let server = Server::start(&image, move |request, _, connection| {
            let hit = request.path.ends_with(&hit);
            if hit {
                let mut blob = inner.blobs[&name].clone();
                change(&mut blob);
                reply(connection, "200 OK", "", &blob);
            }
            hit
        });
        vial(scene, &["pull", &format!("{}/app", server.address)]).ends(125).prints("").says(words);
        assert_empty(scene);
        assert!(!downloads(scene).contains(&hex(&big).to_owned()));
        fs::remove_dir_all(scene.root().join("partial")).expect("remove the downloads");
    }
    // More than the manifest says, where no length is given.
    let (inner, name) = (image.clone(), big.clone());
    let server = Server::start(&image, move |request, _, connection| {
        let hit = request.path.ends_with(&name);
        if hit {
            let _ = connection
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .and_then(|()| connection.write_all(&inner.blobs[&name]));
            let _ = connection.write_all(&[0; 100]);
        }
        hit
    });
    vial(scene, &["pull", &format!("{}/app", server.address)])
        .ends(125)
        .says("something that does not have the digest");
    assert_empty(scene);
    // A manifest that is not the one that was asked for.
    let other = Image::saying("other\n");
    let server = Server::start(&other, move |request, _, connection| {
        let hit = request.path.contains("/manifests/sha256:");
        if hit {
            reply(connection, "200 OK", "", b"{}");
        }
        hit
    });
    let name = format!("{}/app@{}", server.address, other.top);
    vial(scene, &["pull", &name]).ends(125).says(&digest(b"{}")).says("is damaged");
    assert_empty(scene);
}

fn a_download_that_was_damaged_on_the_disk_is_fetched_again(scene: &Scene) {
    let image = large();
    let server = Server::start(&image, normal);
    let partial = scene.root().join("partial");
    fs::create_dir_all(&partial).expect("make a directory");
    let big = &image.layers[1];
    for (garbage, requests) in [(vec![0; 1000], 2), (vec![0; image.blobs[big].len()], 1), (vec![1; 4_000_000], 1)] {
        let before = server.count(big);
        fs::write(partial.join(hex(big)), garbage).expect("write a file");
        vial(scene, &["pull", &format!("{}/app", server.address)]).ok();
        assert_eq!(server.count(big) - before, requests);
        vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    }
    // One that is whole is not fetched at all.
    let before = server.count(big);
    fs::write(partial.join(hex(big)), &image.blobs[big]).expect("write a file");
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok();
    assert_eq!(server.count(big), before);
}

/// Pulls from a server that answers each request for a manifest like this.
#[track_caller]
fn refused(
    scene: &Scene,
    answer: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> (crate::util::command::Output, usize) {
    let server = Server::start(&Image::saying("hello\n"), move |request, _, connection| {
        let hit = request.path.contains("/manifests/");
        if hit {
            answer(connection);
        }
        hit
    });
    let output =
        vial(scene, &["pull", &format!("{}/app", server.address)]).env("VIAL_TIMEOUT", "2").ends(125).prints("");
    assert_empty(scene);
    (output, server.count("latest"))
}

fn refusals_are_told_in_the_registrys_words(scene: &Scene) {
    let error = br#"{"errors":[{"code":"DENIED","message":"not \u001b[31mfor\n you"},{"message":"second"}]}"#;
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "400 Bad Request", "418 \x1b[2Jteapot"] {
        let (output, requests) = refused(scene, move |connection| reply(connection, status, "", error));
        let shown = status.replace('\x1b', "?");
        let output = output.says(&format!("answered with {shown} not ?[31mfor? you\n"));
        assert!(!output.stderr.contains('\x1b') && !output.stderr.contains("second"), "{}", output.shown());
        assert_eq!(requests, 1, "{status}");
    }
    let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(50_000));
    let (output, _) = refused(scene, move |connection| reply(connection, "404 Not Found", "", long.as_bytes()));
    assert!(output.stderr.len() < 700, "{}", output.shown());
    let (output, _) = refused(scene, |connection| reply(connection, "404 Not Found", "", b"<html>gone</html>"));
    assert!(!output.stderr.contains("html"), "{}", output.shown());
    let (output, _) = refused(scene, |connection| drop(connection.write_all(b"SSH-2.0-x\r\n")));
    output.says("something that is not HTTP");
}

fn what_may_pass_is_tried_again(scene: &Scene) {
    let image = Image::saying("hello\n");
    let server = Server::start(&image, |request, before, connection| {
        let hit = request.path.contains("/manifests/") && before < 2;
        if hit {
            let status = if before == 0 { "429 Too Many Requests" } else { "503 Service Unavailable" };
            reply(connection, status, "Retry-After: 1\r\n", b"");
        }
        hit
    });
    let begun = Instant::now();
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok().silent();
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(server.count("latest"), 3);
    vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    // Not for ever, and not for long.
    let (output, requests) = refused(scene, |connection| reply(connection, "500 Internal Server Error", "", b""));
    output.says("500 Internal Server Error");
    assert_eq!(requests, 4);
    let begun = Instant::now();
    let (output, requests) = refused(scene, |connection| {
        let error = br#"{"errors":[{"message":"too many"}]}"#;
        reply(connection, "429 Too Many Requests", "Retry-After: 3600\r\n", error);
    });
    output.says("429 Too Many Requests too many");
    assert!(requests == 1 && begun.elapsed() < Duration::from_secs(5));
    let (output, requests) =
        refused(scene, |connection| drop(connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")));
    output.says("the answer was cut short by http://127.0.0.1:");
    assert_eq!(requests, 4);
}

fn redirections_are_followed_without_the_password(scene: &Scene) {
    let image = large();
    let elsewhere = Server::start(&image, normal);
    let to = elsewhere.address.clone();
    let server = Server::start(&image, move |request, _, connection| {
        if request.field("authorization").is_empty() {
            reply(connection, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"here\"\r\n", b"");
            return true;
        }
        let blob = request.path.contains("/blobs/");
        if blob {
            let location =
                format!("Location: http://{to}/store/{}\r\n", request.path.rsplit('/').next().expect("a name"));
            reply(connection, "307 Temporary Redirect", &location, b"elsewhere");
        } else if request.path.starts_with("/v2/") {
            reply(connection, "301 Moved Permanently", "Location: /v3/manifests/x\r\n", b"");
        }
        blob || request.path.starts_with("/v2/")
    });
    vial(scene, &["pull", "--creds", "me:secret", &format!("{}/app", server.address)]).ok().silent();
    assert_eq!(elsewhere.requests().len(), image.layers.len() + 1);
    assert!(elsewhere.requests().iter().all(|request| request.field("authorization").is_empty()));
    assert_eq!(server.requests().last().expect("one").field("authorization"), "Basic bWU6c2VjcmV0");
    vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    for location in ["/v2/app/manifests/latest", "ftp://h/", "http://", "x", "http://h\u{1b}/"] {
        let (output, requests) =
            refused(scene, move |connection| reply(connection, "302 Found", &format!("Location: {location}\r\n"), b""));
        output.says("a redirection to");
        assert_eq!(requests, if location.starts_with('/') { 6 } else { 1 }, "{location}");
    }
}

fn answers_in_chunks_and_without_a_length_are_read(scene: &Scene) {
    let image = large();
    let inner = image.clone();
    let server = Server::start(&image, move |request, _, connection| {
        let name = request.path.rsplit('/').next().expect("a name");
        let blob = &inner.blobs[if name == "latest" { &inner.top } else { name }];
        if name == inner.layers[1] {
            let _ = connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n").and_then(|()| connection.write_all(blob));
            return true;
        }
        let _ =
            connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-ENCODING: chunked\r\n\r\n");
        for piece in blob.chunks(97) {
            let _ = write!(connection, "{:x};name=value\r\n", piece.len());
            let _ = connection.write_all(piece).and_then(|()| connection.write_all(b"\r\n"));
        }
        let _ = connection.write_all(b"0\r\nTrailer: x\r\n\r\n");
        true
    });
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok().silent();
    vial(scene, &["rmi", &format!("{}/app", server.address)]).ok();
    for body in ["zz\r\n", "-1\r\n", "\r\n", "fffffffffffffffff\r\n"] {
        let (output, _) = refused(scene, move |connection| {
            let _ = write!(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        });
        output.says("a chunk without a length");
    }
}

fn answers_without_end_are_given_up(scene: &Scene) {
    let begun = Instant::now();
    let (output, _) = refused(scene, |connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n");
        while connection.write_all(b"X-Field: and so on, and so on, and so on\r\n").is_ok() {}
    });
    output.says("something that is not HTTP");
    let (output, _) = refused(scene, |connection| while connection.write_all(&[b'x'; 4096]).is_ok() {});
    output.says("something that is not HTTP");
    let (output, _) = refused(scene, |connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        while connection.write_all(&[b' '; 4096]).is_ok() {}
    });
    output.says("more than can be right");
    let (output, _) = refused(scene, |connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while connection.write_all(b"10\r\n0123456789abcdef\r\n").is_ok() {}
    });
    output.says("more than can be right");
    let (output, _) = refused(scene, |connection| {
        let head = "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/\"\r\n\r\n";
        let _ = connection.write_all(head.as_bytes());
    });
    output.says("connect to 127.0.0.1:1: ECONNREFUSED");
    assert!(begun.elapsed() < Duration::from_secs(40));
}

fn a_server_that_hardly_sends_is_given_up(scene: &Scene) {
    let image = large();
    let big = image.layers[1].clone();
    let server = Server::start(&image, move |request, _, connection| {
        let hit = request.path.ends_with(&big);
        if hit {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while connection.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        }
        hit
    });
    let begun = Instant::now();
    let pull = vial(scene, &["pull", &format!("{}/app", server.address)]).env("VIAL_TIMEOUT", "1");
    pull.ends(125).says("next to nothing comes from http://127.0.0.1:");
    // Four times a second, and three pauses.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let silent = Server::start(&image, |_, _, _| {
        thread::sleep(Duration::from_secs(15));
        true
    });
    let pull = vial(scene, &["pull", &format!("{}/app", silent.address)]).env("VIAL_TIMEOUT", "1");
    pull.ends(125).says("next to nothing comes from");
    for bad in ["0", "x", "-1", "1.5"] {
        vial(scene, &["pull", "localhost:1/x"])
            .env("VIAL_TIMEOUT", bad)
            .ends(125)
            .says("VIAL_TIMEOUT is no number of seconds");
    }
    assert_empty(scene);
}

/// Whether a file of this name is anywhere below.
fn is_below(directory: &Path, name: &str) -> bool {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name() == name || (entry.path().is_dir() && is_below(&entry.path(), name)))
}

fn the_next_layer_is_fetched_while_one_is_unpacked(scene: &Scene) {
    let image = large();
    let (inner, root) = (image.clone(), scene.root());
    let seen = Arc::new(AtomicBool::new(false));
    let told = seen.clone();
    // The second layer is not sent to its end before the first one is unpacked.
    let server = Server::start(&image, move |request, _, connection| {
        if !request.path.ends_with(&inner.layers[1]) {
            return false;
        }
        let blob = &inner.blobs[&inner.layers[1]];
        let (first, rest) = blob.split_at(100);
        let _ = write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", blob.len());
        let _ = connection.write_all(first);
        let ends = Instant::now() + Duration::from_secs(10);
        // It may have landed already by the time it is looked for.
        let mut is_there = false;
        while Instant::now() < ends && !is_there {
            thread::sleep(Duration::from_millis(5));
            is_there = is_below(&root, "nothing");
        }
        told.store(is_there, Ordering::Relaxed);
        let _ = connection.write_all(rest);
        true
    });
    vial(scene, &["pull", &format!("{}/app", server.address)]).ok();
    assert!(seen.load(Ordering::Relaxed), "the first layer was not unpacked while the second was on its way");
}

/// How many processes have a file open whose name begins with these digits.
fn holders(digits: &str) -> usize {
    let holds = |process: &fs::DirEntry| {
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let names = files.filter_map(|file| fs::read_link(file.path()).ok());
        names.filter_map(|name| Some(name.file_name()?.to_str()?.starts_with(digits))).any(|is_it| is_it)
    };
    fs::read_dir("/proc").expect("list processes").flatten().filter(holds).count()
}

fn two_pulls_of_the_same_fetch_it_once(scene: &Scene) {
    let image = large();
    let (inner, name) = (image.clone(), image.layers[1].clone());
    let server = Server::start(&image, move |request, _, connection| {
        if request.path.ends_with(&name) {
            // Until all of them have its file in hand.
            let ends = Instant::now() + Duration::from_secs(20);
            while holders(name.trim_start_matches("sha256:")) < 3 && Instant::now() < ends {
                thread::sleep(Duration::from_millis(5));
            }
            respond(connection, request, &inner.blobs[&name]);
            return true;
        }
        false
    });
    let address = format!("{}/app", server.address);
    let pulls: Vec<_> = (0..3).map(|_| vial(scene, &["pull", &address]).start()).collect();
    for pull in pulls {
        pull.wait().ends(0);
    }
    assert_eq!(server.count(&image.layers[1]), 1);
    assert_eq!(names_in(&scene.root().join("tmp")), [""; 0]);
}

fn gc_removes_downloads_that_nobody_goes_on_with(scene: &Scene) {
    let partial = scene.root().join("partial");
    fs::create_dir_all(&partial).expect("make a directory");
    for (name, age) in [("old", "2 days ago"), ("new", "10 hours ago"), ("held", "2 days ago")] {
        fs::write(partial.join(name), name).expect("write a file");
        scene.command("touch", ["-d".as_ref(), age.as_ref(), partial.join(name).as_os_str()]).ok();
    }
    let held = partial.join("held").display().to_string();
    let holder = scene.command("flock", [&held, "sleep", "30"]).start();
    thread::sleep(Duration::from_millis(300));
    vial(scene, &["gc"]).ok().prints("Deleted: partial/old\n");
    crate::util::scene::kill_all_below(scene.directory());
    holder.wait();
    vial(scene, &["gc"]).ok().prints("Deleted: partial/held\n");
    assert_eq!(downloads(scene), ["new"]);
}

fn run_pulls_what_is_missing_and_only_that(scene: &Scene) {
    let root = rootfs_layer(scene);
    let image = |words: &[u8]| Image::new(&[root.clone(), layer(&[("etc/hello", words)])]);
    let server = Server::start(&image(b"one\n"), normal);
    let registries = |server: &Server| {
        fs::write(scene.root().join("registries"), format!("docker.io http://{}\n", server.address))
            .expect("write a file");
    };
    registries(&server);
    let never = vial(scene, &["run", "--rm", "--pull", "never", "app"]).ends(125).says("no image is named app");
    assert!(!never.stderr.contains("Unable"), "{}", never.shown());
    vial(scene, &["run", "--rm", "--dry-run", "app"]).ends(125).says("no image is named app");
    vial(scene, &["run", "--rm", "app"]).env("VIAL_PULL", "never").ends(125).says("no image is named app");
    assert!(server.requests().is_empty());
    let words = "Unable to find image 'app:latest' locally\n";
    vial(scene, &["run", "--rm", "app"])
        .ok()
        .prints("one\n")
        .says(words)
        .says("Status: Downloaded newer image for app:latest");
    let before = server.requests().len();
    vial(scene, &["run", "--rm", "--pull=missing", "app"]).ok().prints("one\n").silent();
    assert_eq!(server.requests().len(), before);
    let next = Server::start(&image(b"two\n"), normal);
    registries(&next);
    vial(scene, &["run", "--rm", "app"]).ok().prints("one\n");
    vial(scene, &["run", "--rm", "--pull=always", "app"]).ok().prints("two\n").says("Status: Downloaded newer image");
    vial(scene, &["run", "--rm", "app"]).env("VIAL_PULL", "always").ok().prints("two\n").says("up to date");
    vial(scene, &["create", "--name", "made", "other"]).ok().says("Unable to find image 'other:latest' locally");
    vial(scene, &["start", "-a", "made"]).ok().prints("two\n");
    vial(scene, &["rm", "made"]).ok();
    vial(scene, &["run", "--rm", "app"]).env("VIAL_PULL", "x").ends(125).says("VIAL_PULL").says("missing always never");
    // By the beginning of its ID nothing is pulled.
    let id = vial(scene, &["images", "-q", "app"]).ok().stdout.trim().to_owned();
    vial(scene, &["run", "--rm", &id]).ok().prints("two\n").silent();
}

fn an_image_that_is_nowhere_is_told_at_once(scene: &Scene) {
    let server = Server::start(&Image::saying("hello\n"), normal);
    fs::write(scene.root().join("registries"), format!("docker.io http://{}\n", server.address)).expect("write a file");
    vial(scene, &["pull", "alpine"]).ok();
    fs::write(scene.root().join("registries"), "docker.io http://127.0.0.1:1\n").expect("write a file");
    let begun = Instant::now();
    vial(scene, &["run", "--rm", "alpin", "true"])
        .ends(125)
        .says("Unable to find image 'alpin:latest' locally\n")
        .says("connect to 127.0.0.1:1: ECONNREFUSED (Connection refused)\n")
        .says("hint: did you mean alpine:latest?");
    fs::remove_file(scene.root().join("registries")).expect("remove a file");
    vial(scene, &["run", "--rm", "alpin", "true"])
        .ends(125)
        .says("curl failed with code 7: can't connect")
        .says("hint: did you mean alpine:latest?");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for (bad, words) in [
        ("host", "host names no image"),
        ("./x", "./x names no image"),
        ("A", "invalid image"),
        ("a:b:c", "invalid image"),
    ] {
        vial(scene, &["pull", bad]).ends(125).prints("").says(words);
    }
    let id = "0".repeat(64);
    vial(scene, &["pull", &id]).ends(125).says("names no image of a registry");
}

/// A registry that speaks TLS and gives tokens: its certificate is of an authority made here.
const TLS: &str = r#"
import http.server, json, ssl, sys
directory, port_file = sys.argv[1], sys.argv[2]
port = 0
class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def reply(self, status, body, fields={}):
        self.send_response(status)
        for name, value in fields.items(): self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        who = self.headers.get("Authorization", "")
        with open(directory + "/log", "a") as log: log.write(self.path + " " + who + "\n")
        if self.path.startswith("/token"):
            if self.path != "/token?service=the+service&scope=repository:team/app:pull": return self.reply(400, b"")
            if who not in ("", "Basic bWU6c2VjcmV0"): return self.reply(401, b'{"details":"incorrect password"}')
            return self.reply(200, json.dumps({"token": "abc.def_" + "x" * 3000}).encode())
        if who != "Bearer abc.def_" + "x" * 3000:
            challenge = f'Bearer realm="https://localhost:{port}/token",service="the service",scope="repository:team/app:pull"'
            return self.reply(401, b"", {"WWW-Authenticate": challenge})
        name = self.path.rsplit("/", 1)[1].replace("sha256:", "")
        if name == "away": return self.reply(307, b"", {"Location": "http://127.0.0.1:1/"})
        if name == "latest": name = open(directory + "/top").read()
        body = open(directory + "/blobs/sha256/" + name, "rb").read()
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if start: return self.reply(206, body[start:], {"Content-Range": f"bytes {start}-{len(body)-1}/{len(body)}"})
        if len(body) > 1000000:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:500000])
            self.wfile.flush()
            self.connection.close()
            return
        self.reply(200, body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
port = server.server_address[1]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(directory + "/cert.pem", directory + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
open(port_file + ".new", "w").write(str(port))
import os
os.rename(port_file + ".new", port_file)
server.serve_forever()
"#;

fn https_is_spoken_by_curl(scene: &Scene) {
    let image = large();
    let directory = scene.path("tls");
    image.write_layout(&directory);
    fs::write(directory.join("top"), hex(&image.top)).expect("write a file");
    let place = |name: &str| directory.join(name).display().to_string();
    let (key, cert) = (place("key.pem"), place("cert.pem"));
    let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", &key, "-out", &cert];
    scene.command("openssl", request.iter().chain(&subject)).ok();
    fs::write(scene.path("tls.py"), TLS).expect("write a program");
    let server = scene.command("python3", ["tls.py", &directory.display().to_string(), "port"]).start();
    let ends = Instant::now() + Duration::from_secs(20);
    while !scene.path("port").exists() {
        assert!(Instant::now() < ends, "the server does not start");
        thread::sleep(Duration::from_millis(20));
    }
    let port = fs::read_to_string(scene.path("port")).expect("read the port");
    fs::write(scene.root().join("registries"), format!("secure.example https://localhost:{port}\n"))
        .expect("write a file");
    let pull = |args: &[&str]| {
        let words = [&["pull"], args].concat();
        let command = scene.vial(words).env("VIAL_PULL", "missing").env("HOME", scene.directory());
        command.env("https_proxy", "").env("HTTPS_PROXY", "").env("no_proxy", "*")
    };
    let name = "secure.example/team/app";
    pull(&[name])
        .env("CURL_CA_BUNDLE", "/nonexistent")
        .ends(125)
        .says("curl failed with code 77: see EXIT CODES in curl(1)");
    pull(&[name])
        .ends(125)
        .says("curl failed with code 60: its certificate is not trusted")
        .says("hint: CURL_CA_BUNDLE=FILE names the authorities to trust");
    // The first half of the large layer is cut off, and curl goes on with the rest.
    let told = format!("Status: Downloaded newer image for {name}:latest\n{name}:latest\n");
    pull(&[name]).env("CURL_CA_BUNDLE", &cert).ok().shows(&told).silent();
    scene.vial(["rmi", name]).ok();
    pull(&["--creds", "me:secret", name]).env("CURL_CA_BUNDLE", &cert).ok();
    let log = fs::read_to_string(directory.join("log")).expect("read the log");
    assert!(log.contains("scope=repository:team/app:pull Basic bWU6c2VjcmV0\n"), "{log}");
    scene.vial(["rmi", name]).ok();
    let wrong = pull(&["--creds", "me:wrong", name]).env("CURL_CA_BUNDLE", &cert).ends(125).says("incorrect password");
    assert!(!wrong.stderr.contains("wrong"), "{}", wrong.shown());
    // It does not go on in the open.
    pull(&[&format!("{name}:away")])
        .env("CURL_CA_BUNDLE", &cert)
        .ends(125)
        .says("a redirection to http://127.0.0.1:1/");
    // Nobody sees the password in the list of processes.
    let traced = pull(&["--explain", "--creds", "me:secret", name]).env("CURL_CA_BUNDLE", &cert).ok();
    let lines: Vec<_> = traced.stderr.lines().filter(|line| line.contains("execve(")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(r#"["curl", "-q", "-K", "-"]"#)), "{lines:?}");
    stop(scene, server);
}

fn https_without_curl_names_what_works(scene: &Scene) {
    for path in ["", "/nonexistent", ":"] {
        vial(scene, &["pull", "alpine"])
            .env("PATH", path)
            .ends(125)
            .says("https needs the program curl, and there is none in PATH")
            .says("`skopeo copy docker://NAME docker-archive:FILE` and `vial load FILE`, or `docker save NAME | vial load`");
    }
    assert_empty(scene);
}

/// A name server that answers over UDP that the answer is too long, and knows one name.
fn name_server(address: &str) {
    use std::io::Read;
    use std::net::{TcpListener, UdpSocket};
    let reply = |question: &[u8], truncated: bool| {
        let known = question[12..].starts_with(b"\x08registry\x03lan\x00");
        let is_a = question[question.len() - 3] == 1;
        let found = known && is_a && !truncated;
        let mut answer = question.to_vec();
        answer[2] = if truncated { 0x83 } else { 0x81 };
        answer[3] = if known { 0x80 } else { 0x83 };
        answer[7] = u8::from(found);
        if found {
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
        }
        answer
    };
    let udp = UdpSocket::bind((address, 53)).expect("listen on port 53 of loopback");
    let tcp = TcpListener::bind((address, 53)).expect("listen on port 53 of loopback");
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut question) {
            // A stranger's word first, which is not believed.
            let mut other = reply(&question[..length], false);
            other[0] ^= 1;
            let _ = udp.send_to(&other, from);
            let _ = udp
                .send_to(&reply(&question[..length], question[12..length].starts_with(b"\x08registry\x03lan")), from);
        }
    });
    thread::spawn(move || {
        for mut connection in tcp.incoming().flatten() {
            let mut question = [0; 512];
            let Ok(length) = connection.read(&mut question) else { continue };
            let answer = reply(&question[2..length], false);
            // In pieces, as streams come.
            let _ = connection.write_all(&[0]);
            thread::sleep(Duration::from_millis(20));
            let _ = connection.write_all(&[answer.len() as u8]).and_then(|()| connection.write_all(&answer[..20]));
            thread::sleep(Duration::from_millis(20));
            let _ = connection.write_all(&answer[20..]);
        }
    });
}

fn names_are_found_by_name_servers(scene: &Scene) {
    let server = Server::start(&Image::saying("hello\n"), normal);
    let port = server.address.rsplit(':').next().expect("there is a port");
    let address = format!("127.77.{}.{}", std::process::id() / 250 % 250 + 1, std::process::id() % 250 + 1);
    name_server(&address);
    let pull = |settings: &str, hosts: &str, name: &str| {
        fs::write(scene.path("resolv.conf"), settings).expect("write a file");
        fs::write(scene.path("hosts"), hosts).expect("write a file");
        let line = format!(
            "mount --bind resolv.conf /etc/resolv.conf && mount --bind hosts /etc/hosts && exec {VIAL} pull --plain-http {name}:{port}/app"
        );
        let inner = ["-m", "--propagation", "private", "sh", "-c", &line];
        scene.command("unshare", inner).env("HOME", scene.directory()).run()
    };
    pull(&format!("# comment\nnameserver {address}\n"), "", "registry.lan").ends(0);
    pull("", "127.0.0.9 other\n::1 x # registry.lan\n127.0.0.1\tmine registry.lan # it\n", "registry.lan").ends(0);
    pull(&format!("nameserver {address}\n"), "", "nosuch.lan")
        .ends(125)
        .says("can't find the host nosuch.lan: neither /etc/hosts nor a name server knows it");
    pull("nameserver 127.77.0.1\n", "", "registry.lan").ends(125).says("can't find the host registry.lan");
    pull("", "", "registry.lan").ends(125).says("can't find the host registry.lan");
}

fn pulls_are_told_as_strace_sees_them(scene: &Scene) {
    let server = Server::start(&large(), normal);
    let name = format!("{}/app", server.address);
    let ledger = crate::ledger::compare(scene, 0, &["pull", &name]);
    assert!(ledger.processes.len() >= 5, "{:?}", ledger.processes.keys());
    crate::ledger::compare(scene, 125, &["pull", "127.0.0.1:1/app"]);
    fs::write(scene.root().join("registries"), "secure.example https://127.0.0.1:1\n").expect("write a file");
    crate::ledger::compare(scene, 125, &["pull", "secure.example/app"]);
}
