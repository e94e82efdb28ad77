//! Whiteouts, as OCI layers have them and as overlayfs has them; and copies beside what is there.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

use super::super::tar::Reader;
use super::super::walk::{self, What};
use super::tests::{Bytes, Scratch, archive, directory, entry, root, show};
use super::*;
use crate::image::import::transfer;

/// Unpacks members (a name, a kind, a link) into the scratch directory's `root`.
fn unpack_as(how: How, scratch: &Scratch, members: &[(&str, Kind, &str)]) -> Result<Unpacked> {
    let members: Vec<_> = members.iter().map(|(name, kind, link)| (entry(*kind, name, link), &b""[..])).collect();
    let into = scratch.0.join("root");
    fs::create_dir_all(&into).unwrap();
    unpack(&mut Reader::new(Bytes(&archive(&members))), directory(&into).by_ref(), how, &mut |_| ())
}

fn layer() -> How {
    How { whiteouts: true, ..How::default() }
}

fn is_whiteout(path: &std::path::Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_char_device() && data.rdev() == 0)
}

fn is_opaque(path: &std::path::Path) -> bool {
    xattr::get(path, "trusted.overlay.opaque").unwrap().as_deref() == Some(b"y")
}

#[test]
fn whiteouts_become_what_overlayfs_knows_in_any_order() {
    use Kind::{Directory, File};
    if !root() {
        return;
    }
    let scratch = Scratch::new("whiteouts");
    let members = [
        ("d/", Directory, ""),
        ("d/.wh.gone", File, ""),
        ("d/.wh..wh..opq", File, ""),
        ("d/stays", File, ""),
        // What the layer itself has of a name lies above.
        ("both", File, ""),
        (".wh.both", File, ""),
        (".wh.later", File, ""),
        ("later", File, ""),
        (".wh.dir-later", File, ""),
        ("dir-later/", Directory, ""),
        ("dir-before/", Directory, ""),
        ("dir-before/x", File, ""),
        (".wh.dir-before", File, ""),
        ("no/such/directory/.wh.x", File, ""),
        // Of aufs, about itself.
        (".wh..wh.plnk", File, ""),
        (".wh..wh.aufs", File, ""),
    ];
    unpack_as(layer(), &scratch, &members).unwrap();
    let top = scratch.0.join("root");
    assert!(is_whiteout(&top.join("d/gone")) && is_opaque(&top.join("d")) && top.join("d/stays").is_file());
    assert!(top.join("both").is_file() && top.join("later").is_file());
    assert!(
        is_opaque(&top.join("dir-later")) && is_opaque(&top.join("dir-before")) && top.join("dir-before/x").is_file()
    );
    assert!(is_whiteout(&top.join("no/such/directory/x")));
    let names: Vec<_> = show(&top).into_iter().filter(|line| line.contains(".wh.")).collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn hostile_whiteouts_are_refused_or_stay_inside() {
    use Kind::{Directory, File, Symlink};
    if !root() {
        return;
    }
    for (number, name) in
        [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh...", "../.wh.x", "d/../../.wh.x"].iter().enumerate()
    {
        let scratch = Scratch::new(&format!("whiteout{number}"));
        let result = unpack_as(layer(), &scratch, &[("d/", Directory, ""), (name, File, "")]);
        assert!(result.is_err(), "{name}");
    }
    let scratch = Scratch::new("whiteout-links");
    fs::create_dir(scratch.0.join("outside")).unwrap();
    fs::write(scratch.0.join("outside/secret"), "untouched").unwrap();
    let before = show(&scratch.0.join("outside"));
    let outside = scratch.0.join("outside").display().to_string();
    let members = [
        ("abs", Symlink, &*outside),
        ("abs/.wh.secret", File, ""),
        ("abs/.wh..wh..opq", File, ""),
        ("up", Symlink, "../outside"),
        ("up/.wh.secret", File, ""),
        ("up/.wh..wh..opq", File, ""),
        // Not the directory that the link leads to.
        (".wh.abs", File, ""),
    ];
    unpack_as(layer(), &scratch, &members).unwrap();
    assert_eq!(show(&scratch.0.join("outside")), before);
    assert!(is_whiteout(&scratch.0.join("root/outside/secret")), "it went where the link leads inside");
    assert!(scratch.0.join("root/abs").is_symlink());
}

#[test]
fn a_layer_that_is_written_and_read_again_is_the_same() {
    if !root() {
        return;
    }
    let scratch = Scratch::new("layer-again");
    let script =
        "mkdir -p upper/d/e upper/opaque root; echo f > upper/d/f; mknod upper/d/gone c 0 0; mknod upper/dev c 1 3
        ln upper/d/f upper/hard; touch upper/etc; mkdir upper/proc upper/full; touch upper/full/x";
    assert!(scratch.sh(script));
    xattr::set(scratch.0.join("upper/opaque"), "trusted.overlay.opaque", b"y").unwrap();
    let (upper, into) = (directory(&scratch.0.join("upper")), directory(&scratch.0.join("root")));
    let places = ["/etc", "/proc", "/full", "/full/x"];
    let what = What { layer: true, places: &places, ..What::default() };
    let again = |into: &Fd| {
        transfer(into.by_ref(), layer(), &mut |_| (), &mut |output| {
            walk::archive(upper.by_ref(), c".", b".", what, output)
        })
    };
    let (digest, _) = again(&into).unwrap();
    assert!(scratch.sh("rm -r upper/etc upper/proc upper/full/x; touch -r root/full upper/full; touch -r root upper"));
    // A whiteout has neither a mode nor a time that means anything.
    let shown = |name: &str| {
        let mut lines = show(&scratch.0.join(name));
        lines.retain(|line| !line.starts_with("d/gone c"));
        lines
    };
    assert_eq!(shown("root"), shown("upper"));
    assert!(is_whiteout(&scratch.0.join("root/d/gone")) && scratch.sh("mkdir other"));
    assert_ne!(digest, [0; 32]);
    fs::write(scratch.0.join("upper/d/.wh.x"), "").unwrap();
    assert!(again(&directory(&scratch.0.join("other"))).unwrap_err().to_string().contains(".wh.x"));
}

#[test]
fn a_careful_copy_does_not_replace_directories_with_files_or_files_with_directories() {
    use Kind::{Directory, File, HardLink, Symlink};
    let careful = How { keep: true, ..How::default() };
    for (number, members) in [
        &[("dir", File, "")][..],
        &[("dir", Symlink, "x")],
        &[("f", File, ""), ("dir", HardLink, "f")],
        &[("file/", Directory, "")],
        &[("link/", Directory, "")],
    ]
    .iter()
    .enumerate()
    {
        let scratch = Scratch::new(&format!("careful{number}"));
        fs::create_dir_all(scratch.0.join("root/dir/keep")).unwrap();
        fs::write(scratch.0.join("root/file"), "kept").unwrap();
        symlink("dir", scratch.0.join("root/link")).unwrap();
        let error = unpack_as(careful, &scratch, members).unwrap_err().to_string();
        assert!(error.starts_with("cannot replace "), "{error}");
        assert!(scratch.0.join("root/dir/keep").is_dir() && scratch.0.join("root/link").is_symlink());
        assert_eq!(fs::read_to_string(scratch.0.join("root/file")).unwrap(), "kept");
        // Of the same kind they do.
        unpack_as(careful, &scratch, &[("file", File, ""), ("dir/", Directory, ""), ("link", Symlink, "y")]).unwrap();
        assert!(scratch.0.join("root/dir/keep").is_dir());
        assert_eq!(fs::read_to_string(scratch.0.join("root/file")).unwrap(), "");
    }
}

#[test]
fn another_owner_gets_no_rights_that_were_meant_for_the_first() {
    let of = |owner, foreign, kind| {
        let capability = super::super::tar::Xattr { name: CAPABILITY.to_bytes().to_vec(), value: vec![1] };
        let mut given = Entry { mode: 0o6755, uid: 7, gid: 8, xattrs: vec![capability], ..entry(kind, "f", "") };
        How { owner, foreign, ..How::default() }.give(&mut given);
        ((given.uid, given.gid), given.mode, given.xattrs.len())
    };
    assert_eq!(of(None, true, Kind::File), ((7, 8), 0o6755, 1));
    assert_eq!(of(Some((0, 0)), false, Kind::File), ((0, 0), 0o755, 0));
    assert_eq!(of(Some((7, 8)), false, Kind::File), ((7, 8), 0o6755, 1));
    assert_eq!(of(Some((7, 8)), true, Kind::File), ((7, 8), 0o755, 0));
    assert_eq!(of(Some((0, 0)), true, Kind::Directory), ((0, 0), 0o6755, 1));
}
