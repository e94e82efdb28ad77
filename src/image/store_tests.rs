//! The store as its users see it: import, list, find, remove, and what a killed import leaves.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::layer::tests::{Scratch, archive, entry, show};
use super::manifest;
use super::reference::Reference;
use super::remove::Sweep;
use super::store::Store;
use super::tar::Kind;
use crate::base::error::{Error, Result};
use crate::sys::fd::CWD;
use crate::sys::file;
use crate::sys::process::{self, Side};

fn store(scratch: &Scratch) -> Store {
    Store::open(scratch.0.join("store").to_str().unwrap()).unwrap()
}

fn import(store: &Store, source: &Path, name: &str) -> Result<super::import::Imported> {
    let name = (!name.is_empty()).then(|| Reference::parse_new(name).unwrap());
    let mut input = super::import::look(source.to_str().unwrap().as_bytes())?;
    store.import(&mut input, name.as_ref(), &mut |_| Ok(()), "test", 0, &mut |_| ())
}

/// An archive of one small file that this user owns.
fn small(scratch: &Scratch, content: &str) -> std::path::PathBuf {
    let path = scratch.0.join(format!("{content}.tar"));
    let body = format!("{content}\n");
    fs::write(&path, archive(&[(entry(Kind::File, "f", ""), body.as_bytes())])).unwrap();
    path
}

fn names(store: &Store) -> Vec<&'static str> {
    store.list().unwrap().into_iter().flat_map(|image| image.names).collect()
}

fn files(scratch: &Scratch, directory: &str) -> usize {
    fs::read_dir(scratch.0.join("store").join(directory)).unwrap().count()
}

#[test]
fn compressed_archives_of_one_or_several_parts_give_the_digest_of_the_plain_one() {
    let scratch = Scratch::new("digest");
    let plain = small(&scratch, "x");
    let bytes = fs::read(&plain).unwrap();
    let (mut members, mut frames) = (Vec::new(), Vec::new());
    for part in bytes.chunks(700) {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(part).unwrap();
        members.extend(gzip.finish().unwrap());
        frames.extend(zstd::encode_all(part, 3).unwrap());
    }
    let store = store(&scratch);
    let first = import(&store, &plain, "a").unwrap();
    for compressed in [members, frames] {
        // The name says nothing: this one claims to be plain.
        fs::write(scratch.0.join("compressed.tar"), compressed).unwrap();
        let second = import(&store, &scratch.0.join("compressed.tar"), "b").unwrap();
        assert_eq!(second.layer, first.layer);
    }
    let expected: [u8; 32] = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&bytes)).into();
    assert_eq!(first.layer, crate::base::sha256::hex(&expected));
    assert_eq!(files(&scratch, "layers"), 1, "the same layer is kept once");
    let found = store.find("a").unwrap();
    assert_eq!((found.layers, found.names), (vec![first.layer], vec!["a:latest"]));
    let directory = store.layer_directory(first.layer).unwrap();
    assert_eq!(fs::read(Path::new(directory.to_str().unwrap()).join("f")).unwrap(), b"x\n");
    let json = fs::read(scratch.0.join(format!("store/images/{}.json", first.id))).unwrap();
    assert_eq!(crate::base::sha256::hex(&crate::base::sha256::digest(&json)), first.id);
    let oracle: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(oracle["architecture"], manifest::ARCHITECTURE);
}

#[test]
fn a_directory_becomes_the_same_tree_and_the_same_layer_every_time() {
    let scratch = Scratch::new("directory");
    scratch.sh(
        "mkdir -p in/d/e; echo f > in/f; ln in/f in/d/hard; ln -s f in/l; mkfifo in/p; head -c 300000 /dev/urandom > in/large
        truncate -s 3M in/sparse; echo x | dd of=in/sparse bs=1 seek=1000000 conv=notrunc status=none; truncate -s 1M in/hole
        n=$(printf %0200d 1); mkdir -p in/$n; echo n > in/$n/$n; chmod 4755 in/large",
    );
    let mut todo = vec![scratch.0.join("in")];
    while let Some(path) = todo.pop() {
        if path.is_dir() && !path.is_symlink() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let name = file::path(path.as_os_str().as_encoded_bytes()).unwrap();
        let time = (981_173_106, 789_012_345);
        file::set_times(CWD, Some(name), time, time).unwrap();
    }
    let store = store(&scratch);
    let first = import(&store, &scratch.0.join("in"), "a").unwrap();
    let second = import(&store, &scratch.0.join("in"), "b").unwrap();
    assert_eq!(first.layer, second.layer);
    let out = scratch.0.join("store/layers").join(first.layer).join("diff");
    assert_eq!(show(&out), show(&scratch.0.join("in")));
}

#[test]
fn sockets_are_left_out() {
    let scratch = Scratch::new("sockets");
    fs::create_dir(scratch.0.join("in")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.0.join("in/socket")).unwrap();
    let imported = import(&store(&scratch), &scratch.0.join("in"), "a").unwrap();
    assert_eq!(imported.unpacked.entries, 1, "the top");
}

#[test]
fn what_is_no_archive_is_refused_with_what_it_is() {
    let scratch = Scratch::new("refused");
    let store = store(&scratch);
    for (content, expected) in [
        (&b""[..], "is empty"),
        (b"\x28\xb5\x2f\xfd", "ends too early, at byte 4 of the archive"),
        (b"\x28\xb5\x2f\xfd\x01\x00\x07", "can't be decompressed: it was compressed with a dictionary"),
        (b"\xfd7zXZ\0....", "xz"),
        (b"BZh91AY", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"<!DOCTYPE html>", "web page"),
        (b"hello", "it begins with \"hello\""),
        (&[0; 1024], "holds no files"),
        (b"\x1f\x8b\x08", "ends too early, at byte 3 of the archive"),
    ] {
        let path = scratch.0.join("file");
        fs::write(&path, content).unwrap();
        let message = import(&store, &path, "a").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let message = import(&store, &scratch.0.join("missing"), "a").unwrap_err().to_string();
    assert!(message.contains("ENOENT"), "{message}");
    assert_eq!((names(&store).len(), files(&scratch, "tmp"), files(&scratch, "layers")), (0, 0, 0));
}

#[test]
fn damage_anywhere_gives_the_place_and_leaves_nothing() {
    let scratch = Scratch::new("damage");
    let bytes = fs::read(small(&scratch, "x")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&bytes).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut wrong_sum = gzip.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    let store = store(&scratch);
    for damaged in [&bytes[..700], &gzip[..gzip.len() / 2], &gzip[..gzip.len() - 1], &wrong_sum] {
        let path = scratch.0.join("file");
        fs::write(&path, damaged).unwrap();
        let message = import(&store, &path, "a").unwrap_err().to_string();
        assert!(message.contains("the archive is damaged") && message.contains("at byte"), "{message}");
    }
    assert_eq!((names(&store).len(), files(&scratch, "tmp"), files(&scratch, "layers")), (0, 0, 0));
}

#[test]
fn a_killed_import_shows_nothing_and_is_cleaned_up() {
    let scratch = Scratch::new("killed");
    let store = store(&scratch);
    let small = small(&scratch, "x");
    import(&store, &small, "kept").unwrap();
    // The archive's end never comes, so the import is under way when it is killed.
    scratch.sh("mkfifo endless");
    let Side::Parent(child) = process::clone(0, crate::sys::ledger::Role::Helper).unwrap() else {
        let _ = import(&store, &scratch.0.join("endless"), "kept");
        process::exit(1);
    };
    let mut feed = fs::OpenOptions::new().write(true).open(scratch.0.join("endless")).unwrap();
    feed.write_all(&fs::read(&small).unwrap()[..1024].repeat(3)).unwrap();
    for _ in 0..1000 {
        if files(&scratch, "tmp") == 1 {
            break;
        }
        process::sleep(10);
    }
    assert_eq!(files(&scratch, "tmp"), 1);
    let untouched = store.clean(&mut Sweep::default(), &mut |_| None).unwrap();
    assert!(untouched.is_empty(), "the owner lives: {untouched:?}");
    process::kill(child, libc::SIGKILL).unwrap();
    process::wait(Some(child), true).unwrap();
    assert_eq!(names(&store), ["kept:latest"]);
    // The helper dies with its parent, in its own time, and holds the lock until then.
    let cleaned = (0..500).any(|_| {
        process::sleep(10);
        store.clean(&mut Sweep::default(), &mut |_| None).unwrap().iter().any(|line| line.starts_with("Deleted: tmp/"))
    });
    assert!(cleaned && files(&scratch, "tmp") == 0);
    assert_eq!(names(&store), ["kept:latest"]);
}

#[test]
fn a_name_set_by_an_import_that_never_landed_still_means_the_image_before() {
    let scratch = Scratch::new("unlanded");
    let store = store(&scratch);
    let image = import(&store, &small(&scratch, "x"), "a:1").unwrap();
    let reference = scratch.0.join("store/refs/a:1");
    fs::write(&reference, format!("{}\n{}\n", "0".repeat(64), image.id)).unwrap();
    fs::write(scratch.0.join("store/refs/ghost:1"), format!("{}\n\n", "0".repeat(64))).unwrap();
    fs::create_dir(scratch.0.join("store/layers").join("1".repeat(64))).unwrap();
    assert_eq!(store.find("a:1").unwrap().id, image.id);
    assert!(store.find("ghost:1").is_err());
    let mut used = |layer: &str| (layer == "2".repeat(64)).then(|| "box".to_string());
    fs::create_dir(scratch.0.join("store/layers").join("2".repeat(64))).unwrap();
    assert_eq!(store.clean(&mut Sweep::default(), &mut used).unwrap().len(), 2);
    assert_eq!((files(&scratch, "layers"), files(&scratch, "refs")), (2, 1));
}

#[test]
fn images_are_found_by_name_and_by_the_beginning_of_their_id() {
    let scratch = Scratch::new("find");
    let store = store(&scratch);
    let debian = import(&store, &small(&scratch, "x"), "localhost:5000/team/debian:bookworm").unwrap();
    let other = import(&store, &small(&scratch, "y"), "debian").unwrap();
    assert_eq!(store.find("localhost:5000/team/debian:bookworm").unwrap().id, debian.id);
    assert_eq!(store.find("debian:latest").unwrap().id, other.id);
    for prefix in [&debian.id[..12], debian.id, &format!("sha256:{}", &debian.id[..20])] {
        assert_eq!(store.find(prefix).unwrap().id, debian.id, "{prefix}");
    }
    let hint = |word: &str| store.find(word).unwrap_err().to_string();
    assert!(hint("debain").contains("did you mean debian?"), "{}", hint("debain"));
    assert!(hint("nothing-like-it").contains("vial images"));
    // A second image whose ID begins like the first's.
    let twin = format!("{}{}", &debian.id[..12], "0".repeat(52));
    fs::copy(
        scratch.0.join(format!("store/images/{}.json", debian.id)),
        scratch.0.join(format!("store/images/{twin}.json")),
    )
    .unwrap();
    assert!(hint(&debian.id[..12]).contains("several"));
}

#[test]
fn removing_takes_names_first_and_layers_that_nothing_needs() {
    let scratch = Scratch::new("remove");
    let store = store(&scratch);
    let archive = small(&scratch, "x");
    let image = import(&store, &archive, "a").unwrap();
    let twin = import(&store, &archive, "twin").unwrap();
    store.tag("a", &Reference::parse_new("b:2").unwrap()).unwrap();
    let mut free = |_: &str| None;
    let several: Error = store.remove(image.id, false, &mut free).unwrap_err();
    assert!(several.to_string().contains("several names"), "{several}");
    assert_eq!(store.remove("a", false, &mut free).unwrap(), ["Untagged: a:latest"]);
    let done = store.remove("b:2", false, &mut free).unwrap();
    assert_eq!(done, ["Untagged: b:2".to_string(), format!("Deleted: sha256:{}", image.id)]);
    let mut used = |layer: &str| (layer == twin.layer).then(|| "web".to_string());
    let busy = store.remove("twin", false, &mut used).unwrap_err().to_string();
    assert!(busy.contains("in use by container web") && busy.contains("vial rm web"), "{busy}");
    assert_eq!(store.remove("twin", true, &mut used).unwrap(), ["Untagged: twin:latest"]);
    assert!(store.list().unwrap()[0].names.is_empty());
    let done = store.remove(twin.id, false, &mut free).unwrap();
    assert_eq!(done, [format!("Deleted: sha256:{}", twin.id), format!("Deleted: sha256:{}", twin.layer)]);
    assert_eq!((files(&scratch, "layers"), files(&scratch, "tmp"), files(&scratch, "images")), (0, 0, 0));
}

#[test]
fn a_new_import_of_a_name_leaves_the_image_before_without_one() {
    let scratch = Scratch::new("rename");
    let store = store(&scratch);
    let before = import(&store, &small(&scratch, "x"), "a").unwrap();
    let after = import(&store, &small(&scratch, "y"), "a").unwrap();
    let list = store.list().unwrap();
    let shown: Vec<_> = list.iter().map(|image| (image.id, image.names.len(), image.size)).collect();
    assert_eq!(shown, [(after.id, 1, 2), (before.id, 0, 2)]);
}
