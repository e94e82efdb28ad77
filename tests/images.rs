//! Images: their names, how they are listed, found and removed, and what the store holds of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::util::container::eventually;
use crate::util::image::{configured, rewritten};
use crate::util::{Scene, command};

trials! {
    the_list_has_dockers_columns_newest_first [Command("images")];
    the_list_prints_ids_json_and_templates [Command("images")];
    the_list_is_narrowed_by_name_and_tag [Command("images")];
    the_list_is_filtered_as_dockers [Command("images")];
    an_image_gets_further_names [Command("tag")];
    the_history_has_a_line_for_each_step [Command("history")];
    names_and_tags_follow_the_rules [Command("import")];
    an_image_without_a_name_is_known_by_its_id [Root, Busybox, Kernel("overlay"), Command("run")];
    importing_again_moves_the_name [Command("images")];
    the_same_content_twice_is_one_layer [Tool("tar"), Command("images")];
    an_image_is_found_by_any_unique_beginning_of_its_id [Root, Busybox, Kernel("overlay"), Command("run")];
    an_ambiguous_beginning_of_an_id_is_refused [Command("rmi")];
    a_misspelt_image_is_answered_with_the_one_that_was_meant [Command("rmi")];
    removing_by_name_by_id_and_by_force [Command("rmi")];
    removing_frees_the_layers [Root, Command("rmi")];
    removing_goes_on_after_one_that_is_not_there [Command("rmi")];
    an_image_in_use_stays [Root, Busybox, Kernel("overlay"), Command("run")];
    an_image_that_a_container_that_ended_used_stays [Root, Busybox, Kernel("overlay"), Command("rm")];
    an_image_of_the_same_layers_as_another_stays_while_it_is_used [Root, Busybox, Kernel("overlay"), Command("run")];
    gc_removes_images_that_nobody_wants_if_it_is_told_to [Root, Busybox, Kernel("overlay"), Command("gc")];
    inspect_tells_what_an_image_is [Command("inspect")];
    a_damaged_store_is_an_error_that_names_the_damage [Root, Kernel("overlay"), Command("run")];
    a_containers_configuration_is_valid [Root, Busybox, Kernel("overlay"), Command("run")];
    the_store_can_be_moved [Root, Busybox, Kernel("overlay"), Command("run")];
}

/// Imports a directory with one file of this content.
fn import(scene: &Scene, content: &str, name: &str) -> String {
    let tree = scene.path("tree");
    fs::create_dir_all(&tree).expect("make a directory");
    fs::write(tree.join("file"), content).expect("write a file");
    let words = ["import", "tree", name].into_iter().filter(|word| !word.is_empty());
    let id = scene.vial(words).ok().silent().stdout;
    id.trim_end().strip_prefix("sha256:").unwrap_or_else(|| panic!("{id:?} is no ID")).to_owned()
}

fn import_busybox(scene: &Scene, name: &str) -> String {
    let rootfs = scene.rootfs().display().to_string();
    let words = ["import", &rootfs, name].into_iter().filter(|word| !word.is_empty());
    scene.vial(words).ok().silent().stdout.trim_end().replace("sha256:", "")
}

/// What `images` prints with this template.
fn list(scene: &Scene, template: &str) -> String {
    scene.vial(["images", "--format", template]).ok().silent().stdout
}

fn entries(scene: &Scene, name: &str) -> Vec<PathBuf> {
    fs::read_dir(scene.root().join(name)).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn the_list_has_dockers_columns_newest_first(scene: &Scene) {
    scene.vial(["images"]).ok().prints("REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
    let first = import(scene, "12345", "first");
    let second = import(scene, &"x".repeat(123_456), "localhost:5000/team/second:v1");
    let output = scene.vial(["images"]).ok().silent();
    let lines: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0], ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    assert_eq!(
        lines[1],
        ["localhost:5000/team/second", "v1", &second[..12], "Less than a second ago", "123kB"],
        "{}",
        output.shown()
    );
    assert_eq!(lines[2], ["first", "latest", &first[..12], "Less than a second ago", "5B"], "{}", output.shown());
    assert_eq!(lines.len(), 3);
    // Every column begins where its heading does.
    let place = output.stdout.lines().next().and_then(|line| line.find("IMAGE ID")).expect("the heading");
    assert!(
        output.stdout.lines().skip(1).all(|line| line[place..].starts_with(|digit: char| digit.is_ascii_hexdigit()))
    );
}

fn the_list_prints_ids_json_and_templates(scene: &Scene) {
    scene.vial(["images", "-q"]).ok().prints("");
    scene.vial(["images", "--json"]).ok().prints("[]\n");
    scene.vial(["images", "--format=json"]).ok().prints("");
    let one = import(scene, "1", "one:a");
    let two = import(scene, "2", "two:b");
    scene.vial(["images", "-q"]).ok().prints(&format!("{}\n{}\n", &two[..12], &one[..12]));
    scene.vial(["images", "-q", "--no-trunc"]).ok().prints(&format!("sha256:{two}\nsha256:{one}\n"));
    scene.vial(["images", "--no-trunc"]).ok().shows(&format!("sha256:{one}   "));
    let array: Value = serde_json::from_str(&scene.vial(["images", "--json"]).ok().stdout).expect("one array");
    assert_eq!(array[0]["Repository"], "two");
    assert_eq!(array[1]["Tag"], "a");
    assert_eq!(array[1]["ID"], one[..12]);
    assert_eq!(array[1]["Size"], "1B");
    assert!(array[1]["CreatedAt"].as_str().is_some_and(|time| time.starts_with("20")));
    let lines = scene.vial(["images", "--format", "json"]).ok().stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(Value::from(lines), array);
    assert_eq!(
        list(scene, "{{.Repository}}:{{.Tag}}={{.ID}}"),
        format!("two:b={}\none:a={}\n", &two[..12], &one[..12])
    );
    assert_eq!(list(scene, "table {{.Tag}}\\t{{.Size}}"), "TAG       SIZE\nb         1B\na         1B\n");
    assert_eq!(list(scene, "{{json .Tag}}"), "\"b\"\n\"a\"\n");
    scene.vial(["images", "--format", "{{.Nope}}"]).run().ends(125).prints("").says("--format").says(".Repository");
}

fn the_list_is_narrowed_by_name_and_tag(scene: &Scene) {
    for name in ["app:1", "app:2", "team/app:1", "other"] {
        import(scene, name, name);
    }
    let names = |word: &str| scene.vial(["images", "--format={{.Repository}}:{{.Tag}}", word]).ok().stdout;
    assert_eq!(names("app"), "app:2\napp:1\n");
    assert_eq!(names("app:1"), "app:1\n");
    assert_eq!(names("team/app"), "team/app:1\n");
    assert_eq!(names("other"), "other:latest\n");
    assert_eq!(names("nosuch"), "");
    assert_eq!(names("app:3"), "");
}

fn the_list_is_filtered_as_dockers(scene: &Scene) {
    import(scene, "1", "team/app:1");
    import(scene, "2", "app:1");
    import(scene, "3", "app:1");
    import(scene, "4", "app:2");
    import(scene, "5", "base");
    configured(scene, "base", "labelled", r#"{"Labels": {"a": "b"}}"#);
    let names = |filters: &[&str]| {
        let mut command = scene.vial(["images", "--format={{.Repository}}:{{.Tag}}"]);
        for filter in filters {
            command = command.args(["-f", filter]);
        }
        command.ok().stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&["dangling=true"]), ["<none>:<none>"]);
    assert_eq!(names(&["dangling=false", "reference=app*:*"]), ["app:2", "app:1"]);
    assert_eq!(names(&["reference=*/app"]), ["team/app:1"]);
    assert_eq!(names(&["reference=a?p:2"]), ["app:2"]);
    assert_eq!(names(&["reference=ap"]), [""; 0]);
    assert_eq!(names(&["label=a"]), ["labelled:latest"]);
    assert_eq!(names(&["label=a=b", "label=a"]), ["labelled:latest"]);
    assert_eq!(names(&["label=a=c"]), [""; 0]);
    assert_eq!(names(&["before=app:2", "reference=*:1", "reference=*"]), ["app:1"]);
    assert_eq!(names(&["since=app:2", "reference=base"]), ["base:latest"]);
    scene.vial(["images", "-f", "since=nosuch"]).ends(125).prints("").says("no image is named nosuch");
    // A word is a pattern as well.
    scene.vial(["images", "--format={{.Tag}}", "ap*"]).ok().prints("2\n1\n");
    scene.vial(["images", "--digests"]).ok().shows("DIGEST");
}

fn an_image_gets_further_names(scene: &Scene) {
    let id = import(scene, "1", "one");
    let other = import(scene, "2", "two");
    scene.vial(["tag", "one", "localhost:5000/team/one:v1"]).ok().prints("").silent();
    scene.vial(["tag", &id[..12], "by-id"]).ok();
    // A name that stands for something else moves.
    scene.vial(["image", "tag", "one", "two"]).ok();
    let rows = list(scene, "{{.Repository}}:{{.Tag}} {{.ID}}");
    for name in ["one:latest", "localhost:5000/team/one:v1", "by-id:latest", "two:latest"] {
        assert!(rows.contains(&format!("{name} {}\n", &id[..12])), "{rows}");
    }
    assert!(rows.contains(&format!("<none>:<none> {}\n", &other[..12])), "{rows}");
    scene.vial(["tag", "nosuch", "x"]).ends(125).says("no image is named nosuch");
    for bad in ["A", "a b", "a:", "host", "a:b:c", ""] {
        scene.vial(["tag", "one", bad]).ends(125).says("accepted");
    }
    scene.vial(["rmi", "by-id"]).ok().prints("Untagged: by-id:latest\n");
}

fn the_history_has_a_line_for_each_step(scene: &Scene) {
    import(scene, "12345", "one");
    let id = rewritten(scene, "one", "one", |config| {
        config["history"] = serde_json::json!([
            {"created": "2020-01-02T03:04:05Z", "created_by": "/bin/sh -c #(nop) ADD file:0123456789abcdef0123456789 in /"},
            {"created_by": "CMD [\"sh\"]\n\u{1b}[2J", "empty_layer": true, "comment": "no\tlayer"},
            {"created": "2021-01-02T03:04:05Z", "empty_layer": true},
        ]);
    });
    let template = "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}|{{.CreatedAt}}";
    let first = "/bin/sh -c #(nop) ADD file:0123456789abcdef0…";
    scene.vial(["history", "--format", template, "one"]).ok().prints(&format!(
        "{}||0B||2021-01-02T03:04:05Z\n<missing>|CMD [\"sh\"]  [2J|0B|no layer|\n<missing>|{first}|5B||2020-01-02T03:04:05Z\n",
        &id[..12]
    ));
    let table = scene.vial(["history", "one"]).ok().shows("IMAGE          CREATED       CREATED BY").stdout;
    assert!(table.lines().nth(2).is_some_and(|line| line.contains("N/A")), "{table}");
    scene
        .vial(["history", "--no-trunc", "-H=false", "one"])
        .ok()
        .shows(&format!("sha256:{id}"))
        .shows("0123456789 in /");
    let plain = scene.vial(["history", "--human=false", "--format={{.CreatedSince}} {{.Size}}", "one"]).ok();
    plain.prints("2021-01-02T03:04:05Z 0\n 0\n2020-01-02T03:04:05Z 5\n");
    scene.vial(["history", "-q", "one"]).ok().prints(&format!("{}\n<missing>\n", &id[..12]));
    // Nothing is said of a layer; and what is said is nonsense.
    for history in [serde_json::json!([]), serde_json::json!({"a": 1}), serde_json::json!([1, null, "x"])] {
        rewritten(scene, "one", "one", |config| config["history"] = history.clone());
        scene.vial(["history", "one"]).ok().shows("5B");
    }
    scene.vial(["history", "nosuch"]).ends(125).says("no image is named nosuch");
}

fn names_and_tags_follow_the_rules(scene: &Scene) {
    let good = [
        "a",
        "a1",
        "a.b",
        "a_b",
        "a__b",
        "a--b",
        "a/b/c",
        "localhost/a",
        "reg.example:5000/a:T_a-g.1",
        "a:_x",
        &format!("a:{}", "t".repeat(128)),
    ];
    for name in good {
        import(scene, name, name);
        let full = if name.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            name.to_owned()
        } else {
            format!("{name}:latest")
        };
        assert!(list(scene, "{{.Repository}}:{{.Tag}}").lines().any(|line| line == full), "{name}");
    }
    let before = list(scene, "{{.ID}}");
    for name in [
        "A",
        "a:",
        "a:.x",
        ":x",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a-",
        "a b",
        "a:b:c",
        "host",
        "a@sha256:0",
        "a+b",
        "..",
        "a/../b",
    ] {
        let output = scene.vial(["import", "tree", "--", name]).run().ends(125).prints("");
        assert!(output.stderr.starts_with(&format!("vial: invalid image {name:?}: ")), "{}", output.shown());
    }
    assert_eq!(list(scene, "{{.ID}}"), before);
}

fn an_image_without_a_name_is_known_by_its_id(scene: &Scene) {
    let id = import_busybox(scene, "");
    assert_eq!(list(scene, "{{.Repository}} {{.Tag}} {{.ID}}"), format!("<none> <none> {}\n", &id[..12]));
    for word in [&id[..], &id[..12], &format!("sha256:{id}"), &format!("sha256:{}", &id[..7])] {
        scene.vial(["run", "--rm", word, "echo", "ran"]).ok().prints("ran\n");
    }
    scene.vial(["rmi", &id[..12]]).ok().shows(&format!("Deleted: sha256:{id}\n"));
}

fn importing_again_moves_the_name(scene: &Scene) {
    let old = import(scene, "old", "it:1");
    let new = import(scene, "new", "it:1");
    assert_ne!(old, new);
    let expected = format!("it:1 {}\n<none>:<none> {}\n", &new[..12], &old[..12]);
    assert_eq!(list(scene, "{{.Repository}}:{{.Tag}} {{.ID}}"), expected);
    scene.vial(["rmi", &old]).ok().shows(&format!("Deleted: sha256:{old}\n"));
    assert_eq!(list(scene, "{{.ID}}"), format!("{}\n", &new[..12]));
    assert_eq!(entries(scene, "layers").len(), 1);
}

fn the_same_content_twice_is_one_layer(scene: &Scene) {
    let one = import(scene, "same", "one");
    let two = scene.vial(["import", "tree", "two"]).ok().stdout;
    scene.command("tar", ["-cf", "same.tar", "-C", "tree", "."]).ok();
    scene.vial(["import", "same.tar", "archive"]).ok();
    scene.command("sh", ["-c", &format!("gzip <same.tar | {} import - gzipped", command::VIAL)]).ok();
    assert!(!two.contains(&one), "they were made at different times");
    // A directory's archive is vial's own and not tar's; but each of the two is stored once.
    assert_eq!(entries(scene, "layers").len(), 2);
    scene.vial(["rmi", "one"]).ok();
    assert_eq!(entries(scene, "layers").len(), 2, "the other image still needs it");
    for name in ["archive", "two", "gzipped"] {
        scene.vial(["rmi", name]).ok();
    }
    assert!(entries(scene, "layers").is_empty());
}

fn an_image_is_found_by_any_unique_beginning_of_its_id(scene: &Scene) {
    let id = import_busybox(scene, "box");
    import(scene, "another", "other");
    let ids = scene.vial(["images", "-q", "--no-trunc"]).ok().stdout;
    let unique = |length: &usize| ids.lines().filter(|line| line[7..].starts_with(&id[..*length])).count() == 1;
    for length in [2, 3, 7, 12, 63].iter().filter(|length| unique(length)) {
        scene.vial(["run", "--rm", &id[..*length], "echo", "ran"]).ok().prints("ran\n");
    }
    // A name goes before the beginning of an ID.
    let name = &id[..5];
    let named = import(scene, "named as the other's ID begins", name);
    scene.vial(["rmi", name]).ok().shows(&format!("Deleted: sha256:{named}\n"));
    scene.vial(["rmi", name]).ok().shows(&format!("Deleted: sha256:{id}\n"));
}

fn an_ambiguous_beginning_of_an_id_is_refused(scene: &Scene) {
    let mut firsts = BTreeSet::new();
    // Of 17 IDs two begin with the same digit.
    let digit = (0..17).find_map(|number| {
        let id = import(scene, "x", &format!("it:{number}"));
        (!firsts.insert(id[..1].to_owned())).then(|| id[..1].to_owned())
    });
    let word = format!("sha256:{}", digit.expect("17 are more than 16"));
    let count = list(scene, "{{.ID}}").lines().count();
    let output = scene.vial(["rmi", &word]).run().ends(125).prints("");
    assert!(
        output.stderr.contains("the beginning of several images' IDs") && output.stderr.contains("hint: "),
        "{}",
        output.shown()
    );
    assert_eq!(list(scene, "{{.ID}}").lines().count(), count);
}

fn a_misspelt_image_is_answered_with_the_one_that_was_meant(scene: &Scene) {
    import(scene, "1", "alpine:3.20");
    import(scene, "2", "debian");
    for (word, meant) in [
        ("alpin:3.20", "alpine:3.20"),
        ("debain", "debian"),
        ("alpine:3.2", "alpine:3.20"),
        ("debian:latets", "debian:latest"),
    ] {
        for words in [&["rmi", word][..], &["run", "--rm", word, "true"]] {
            let output = scene.vial(words).run().ends(125).prints("");
            assert!(output.stderr.starts_with(&format!("vial: no image is named {word}\n")), "{}", output.shown());
            output.says(&format!("hint: did you mean {meant}?"));
        }
    }
    let output = scene.vial(["rmi", "somethingelse"]).run().ends(125).says("hint: `vial images` lists the images");
    assert!(!output.stderr.contains("did you mean"), "{}", output.shown());
}

fn removing_by_name_by_id_and_by_force(scene: &Scene) {
    let id = import(scene, "1", "it:1");
    scene.vial(["rmi", "it"]).run().ends(125).says("no image is named it");
    scene.vial(["rmi", "it:1"]).ok().silent().shows("Untagged: it:1\n").shows(&format!("Deleted: sha256:{id}\n"));
    let id = import(scene, "2", "it");
    scene.vial(["rmi", "it:latest"]).ok().shows("Untagged: it:latest\n").shows(&format!("Deleted: sha256:{id}\n"));
    let id = import(scene, "3", "it");
    scene.vial(["rmi", &id[..12]]).ok().shows("Untagged: it:latest\n").shows(&format!("Deleted: sha256:{id}\n"));
    scene.vial(["rmi", "it"]).run().ends(125).prints("");
    scene.vial(["rmi", "-f", "it"]).ok().prints("").says("no image is named it");
    scene.vial(["rmi", "--force", "it", "other"]).ok();
    assert_eq!(list(scene, "{{.ID}}"), "");
    for name in ["images", "refs", "layers", "tmp"] {
        assert!(entries(scene, name).is_empty(), "{name}");
    }
}

fn removing_frees_the_layers(scene: &Scene) {
    let used = |scene: &Scene| -> u64 {
        let output = scene.command("du", ["-s", "--block-size=1", "root"]).ok().stdout;
        output.split_whitespace().next().and_then(|size| size.parse().ok()).expect("du prints a size")
    };
    import(scene, &"0123456789abcdef".repeat(500_000), "large");
    assert!(used(scene) > 7_000_000);
    // Also what an image holds that is hard to remove.
    let script = "chmod 000 root/layers/*/diff/file; mkdir -p root/layers/*/diff/a/b && chmod 000 root/layers/*/diff/a";
    scene.command("sh", ["-c", script]).ok();
    scene.vial(["rmi", "large"]).ok();
    assert!(used(scene) < 100_000, "{} bytes are left", used(scene));
}

fn removing_goes_on_after_one_that_is_not_there(scene: &Scene) {
    import(scene, "1", "one");
    import(scene, "2", "two");
    let output = scene.vial(["rmi", "one", "nosuch", "two", "nor this"]).run().ends(125);
    output
        .shows("Untagged: one:latest\n")
        .shows("Untagged: two:latest\n")
        .says("no image is named nosuch")
        .says("nor this");
    assert_eq!(list(scene, "{{.ID}}"), "");
}

/// Starts a container that waits until [`stop`], and waits until it runs.
fn start<'a>(scene: &'a Scene, options: &[&str], image: &str) -> command::Running<'a> {
    let _ = fs::remove_file(scene.path("up"));
    let share = format!("{}:/mnt", scene.directory().display());
    let script = "touch /mnt/up; while [ ! -e /mnt/stop ]; do sleep 0.02; done";
    let words = ["run", "-v", &share].into_iter().chain(options.iter().copied()).chain([image, "sh", "-c", script]);
    let running = scene.vial(words).start();
    eventually("the container runs", || scene.path("up").exists().then_some(()));
    running
}

fn stop(scene: &Scene, running: command::Running<'_>) {
    fs::write(scene.path("stop"), "").expect("write a file");
    running.wait().ends(0);
    fs::remove_file(scene.path("stop")).expect("remove the file");
}

fn an_image_in_use_stays(scene: &Scene) {
    let id = import_busybox(scene, "box:1");
    let running = start(scene, &["--rm", "--name", "user"], "box:1");
    for words in [&["rmi", "box:1"][..], &["rmi", &id], &["rmi", "-f", &id]] {
        let output = scene.vial(words).run().ends(125);
        assert!(output.stderr.contains("in use by container user"), "{}", output.shown());
        assert_eq!(entries(scene, "layers").len(), 1);
    }
    // Its name may go.
    scene.vial(["rmi", "-f", "box:1"]).ok().prints("Untagged: box:1\n");
    assert_eq!(list(scene, "{{.Repository}} {{.ID}}"), format!("<none> {}\n", &id[..12]));
    stop(scene, running);
    scene.vial(["rmi", &id]).ok();
    assert!(entries(scene, "layers").is_empty());
}

fn an_image_that_a_container_that_ended_used_stays(scene: &Scene) {
    import_busybox(scene, "box");
    scene.vial(["run", "--name", "ended", "box", "true"]).ok();
    let output = scene.vial(["rmi", "box"]).run().ends(125).says("in use by container ended");
    assert!(output.stderr.contains("vial rm ended"), "{}", output.shown());
    // What can't be read may say anything.
    let spec = scene.root().join("containers").join(&entries(scene, "containers")[0]).join("config.json");
    let written = fs::read(&spec).expect("read the specification");
    fs::write(&spec, "{").expect("damage the specification");
    scene.vial(["rmi", "box"]).run().ends(125).says("in use by container ended");
    fs::write(&spec, written).expect("mend the specification");
    scene.vial(["rm", "ended"]).ok();
    scene.vial(["rmi", "box"]).ok();
    assert!(entries(scene, "layers").is_empty());
}

fn an_image_of_the_same_layers_as_another_stays_while_it_is_used(scene: &Scene) {
    import_busybox(scene, "base");
    configured(scene, "base", "it", r#"{"Cmd": ["true"]}"#);
    scene.vial(["create", "--name", "c", "it"]).ok();
    scene.vial(["rmi", "it"]).ends(125).says("image it is in use by container c").says("vial rm c");
    // Its layers are needed, but not by the image below.
    scene.vial(["rmi", "base"]).ok().shows("Untagged: base:latest");
    scene.vial(["rmi", "-f", "it"]).ok().prints("Untagged: it:latest\n");
    scene.vial(["start", "-a", "c"]).ok();
    scene.vial(["rm", "c"]).ok();
}

fn gc_removes_images_that_nobody_wants_if_it_is_told_to(scene: &Scene) {
    let old = import(scene, &"1".repeat(2000), "one");
    import(scene, "2", "one");
    import_busybox(scene, "used");
    scene.vial(["create", "--name", "c", "used", "true"]).ok();
    scene.vial(["gc"]).ok().prints("");
    assert_eq!(list(scene, "{{.Tag}}").lines().count(), 3);
    let (layers, images) = (entries(scene, "layers").len(), entries(scene, "images").len());
    let dry = scene.vial(["gc", "--images", "--dry-run"]).ok().stdout;
    assert_eq!((layers, images), (entries(scene, "layers").len(), entries(scene, "images").len()), "{dry}");
    let done = scene.vial(["gc", "--images"]).ok().prints(&dry).stdout;
    assert!(done.starts_with(&format!("Deleted: sha256:{old}\nDeleted: sha256:")), "{done}");
    assert!(done.ends_with("Total reclaimed space: 2kB\n"), "{done}");
    assert_eq!((layers - 1, images - 1), (entries(scene, "layers").len(), entries(scene, "images").len()));
    // Those with names go too, unless a container has one; containers stay.
    scene.vial(["gc", "--all"]).ends(125).says("--all is about images");
    let done = scene.vial(["image", "prune", "-a"]).ok().stdout;
    assert!(done.contains("Untagged: one:latest\n") && !done.contains("used"), "{done}");
    assert_eq!(list(scene, "{{.Repository}}"), "used\n");
    scene.vial(["start", "-a", "c"]).ok();
    scene.vial(["rm", "c"]).ok();
    scene.vial(["image", "prune", "-a"]).ok().shows("Untagged: used:latest");
    assert!(
        entries(scene, "layers").is_empty() && entries(scene, "images").is_empty() && entries(scene, "refs").is_empty()
    );
}

fn inspect_tells_what_an_image_is(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    fs::write(scene.path("tree/file"), "12345").expect("write a file");
    let id = scene.vial(["import", "-m", "where it comes from", "tree", "it:1"]).ok().stdout.trim_end().to_owned();
    for words in [&["inspect", "it:1"][..], &["image", "inspect", "it:1"], &["inspect", "--type=image", &id]] {
        let output = scene.vial(words).ok().silent();
        let array: Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.shown()));
        assert_eq!(array[0]["Id"], id, "{}", output.shown());
        assert_eq!(array[0]["RepoTags"], serde_json::json!(["it:1"]), "{}", output.shown());
        assert!(
            array[0]["RootFS"]["Layers"][0].as_str().is_some_and(|layer| layer.starts_with("sha256:")),
            "{}",
            output.shown()
        );
        assert!(output.stdout.contains("where it comes from"), "{}", output.shown());
    }
    scene.vial(["inspect", "-f", "{{.Id}}", "it:1"]).ok().prints(&format!("{id}\n"));
    scene.vial(["inspect", "nosuch"]).run().ends(125).says("nosuch");
    scene.vial(["inspect", "--type=container", "it:1"]).run().ends(125);
}

fn a_damaged_store_is_an_error_that_names_the_damage(scene: &Scene) {
    let id = import(scene, "1", "it");
    let config = scene.root().join(format!("images/{id}.json"));
    let whole = fs::read_to_string(&config).expect("read the configuration");
    fs::write(&config, &whole[..20]).expect("damage it");
    scene.vial(["run", "--rm", "it", "true"]).run().ends(125).says("configuration is damaged");
    fs::write(&config, whole.replace("sha256:", "sha256:../")).expect("damage it");
    scene.vial(["run", "--rm", "it", "true"]).run().ends(125).says("does not name its layers");
    fs::write(&config, &whole).expect("repair it");
    fs::remove_dir_all(&entries(scene, "layers")[0]).expect("remove the layer");
    scene.vial(["run", "--rm", "it", "true"]).run().ends(125).says("lacks its layer").says("import the image again");
    let again = import(scene, "1", "it");
    assert_ne!(again, id);
    scene.vial(["images", "-q"]).ok().shows(&again[..12]);
}

/// What is wrong with a document by the members and types of the specification.
fn errors(document: &Value) -> Vec<String> {
    let schema = crate::util::source::project().join("tests/data/runtime-spec.schema.json");
    let schema = serde_json::from_slice(&fs::read(schema).expect("read the schema")).expect("it is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

/// A run that asks for something of everything.
#[rustfmt::skip]
const EVERYTHING: &[&str] = &[
    "--rm", "--name", "full", "-m", "64m", "--memory-reservation", "32m", "--cpus", "0.5", "--cpu-shares", "512",
    "--cpuset-cpus", "0", "--pids-limit", "100", "--hostname", "a.b", "--domainname", "c.d", "--tmpfs",
    "/x:size=1m,mode=700,uid=3", "--mount", "type=tmpfs,dst=/y,tmpfs-size=1m", "-v", "data:/data", "-v",
    "/usr:/usr2:ro", "-e", "A=ä \"quoted\" \\ \u{1}", "-w", "/tmp", "-u", "1000:1000", "--group-add", "29",
    "--device", "/dev/null:/dev/other:r", "--device-cgroup-rule", "c 10:* rwm", "--sysctl", "net.ipv4.ip_forward=1",
    "--ulimit", "nofile=64:128", "--ulimit", "core=0", "--oom-score-adj", "500", "--cap-add", "SYS_PTRACE",
    "--cap-drop", "MKNOD", "--security-opt", "no-new-privileges", "--shm-size", "1m", "--uts", "private", "--ipc",
    "shareable", "--init", "-l", "key=value", "--stop-signal", "USR1", "--add-host", "x:1.2.3.4", "--dns", "9.9.9.9",
];

fn a_containers_configuration_is_valid(scene: &Scene) {
    import_busybox(scene, "box");
    // The user that it runs as must be able to tell that it is up.
    std::os::unix::fs::chown(scene.directory(), Some(1000), Some(1000)).expect("give the directory away");
    let few = [
        "--rm",
        "--pid",
        "host",
        "--uts",
        "host",
        "--network",
        "host",
        "--ipc",
        "host",
        "--cgroupns",
        "host",
        "--read-only",
    ];
    for options in [EVERYTHING, &["--rm"], &few] {
        let running = start(scene, options, "box");
        let bundles = entries(scene, "containers");
        assert_eq!(bundles.len(), 1, "{bundles:?}");
        let text = fs::read_to_string(bundles[0].join("config.json")).expect("the container's configuration");
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(errors(&document), [""; 0], "{text}");
        assert_eq!(document["ociVersion"], "1.3.0");
        if options.len() > 20 {
            assert_eq!(document["linux"]["resources"]["memory"]["limit"], 64 << 20);
            assert_eq!(document["linux"]["resources"]["pids"]["limit"], 100);
            assert_eq!(document["process"]["noNewPrivileges"], true);
            assert_eq!(document["hostname"], "a.b");
        }
        stop(scene, running);
    }
    // That the schema would have found something.
    let mut wrong: Value =
        serde_json::json!({"ociVersion": "1.3.0", "linux": {"resources": {"memory": {"limit": "64m"}}}});
    assert!(!errors(&wrong).is_empty());
    wrong = serde_json::json!({"process": {"cwd": "/"}});
    assert!(!errors(&wrong).is_empty());
}

fn the_store_can_be_moved(scene: &Scene) {
    import_busybox(scene, "box");
    fs::rename(scene.root(), scene.path("moved")).expect("move the store");
    scene.vial(["--root", "moved", "run", "--rm", "box", "echo", "ran"]).ok().prints("ran\n");
    let here = scene.directory().display().to_string();
    scene.command("grep", ["-rIl", &here, "moved"]).run().ends(1);
    fs::rename(scene.path("moved"), scene.root()).expect("move it back");
    scene.vial(["run", "--rm", "box", "echo", "ran"]).ok().prints("ran\n");
    scene.vial(["rmi", "box"]).ok();
}
