//! Whiteouts, as OCI layers have them and as overlayfs has them. No command reads such layers but `commit` its own, so this
//! goes through the library.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::{Builder, EntryType, Header};
use vial::base::bytes::Source;
use vial::base::error::{Error, Result};
use vial::image::layer::{self, How};
use vial::image::stream::Output;
use vial::image::walk::{self, What};
use vial::sys::{Fd, fd, file};

use crate::util::Scene;
use crate::util::tree::{self, Tree, assert_same};

trials! {
    whiteouts_become_what_overlayfs_knows_in_any_order [Root];
    hostile_whiteouts_stay_inside [Root];
    a_layer_that_is_written_and_read_again_is_the_same [Root];
}

struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    type Error = Error;
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let (head, tail) = self.0.split_at(self.0.len().min(buffer.len()));
        buffer[..head.len()].copy_from_slice(head);
        self.0 = tail;
        Ok(head.len())
    }
}

fn open(path: &Path) -> Fd {
    file::open(fd::CWD, file::path(path.to_str().expect("UTF-8")).expect("a path"), libc::O_RDONLY)
        .expect("open a directory")
}

/// Unpacks a layer into the scene's `layer`.
fn unpack(scene: &Scene, bytes: &[u8]) {
    let into = scene.path("layer");
    fs::create_dir_all(&into).expect("make a directory");
    let how = How { whiteouts: true, ..How::default() };
    layer::unpack(&mut layer::Archive::new(&mut Bytes(bytes)), open(&into).by_ref(), how, &mut |_| ())
        .unwrap_or_else(|error| panic!("{error}"));
}

/// An archive of members without content: a name, or with a `/` at its end a directory's, or `NAME -> TARGET`.
fn archive(members: &[&str]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for member in members {
        let mut header = Header::new_gnu();
        let (name, target) = member.split_once(" -> ").unwrap_or((member, ""));
        header.set_entry_type(match (name.ends_with('/'), target.is_empty()) {
            (true, _) => EntryType::Directory,
            (_, false) => EntryType::Symlink,
            _ => EntryType::Regular,
        });
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_mtime(1_000_000_000);
        if target.is_empty() {
            builder.append_data(&mut header, name, &b""[..]).expect("add a member");
        } else {
            builder.append_link(&mut header, name, target).expect("add a link");
        }
    }
    builder.into_inner().expect("end the archive")
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_char_device() && data.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    xattr::get(path, "trusted.overlay.opaque").expect("read an attribute").as_deref() == Some(b"y")
}

fn whiteouts_become_what_overlayfs_knows_in_any_order(scene: &Scene) {
    unpack(
        scene,
        &archive(&[
            "d/",
            "d/.wh.gone",
            "d/.wh..wh..opq",
            "d/stays",
            // What the layer itself has of a name lies above.
            "both",
            ".wh.both",
            ".wh.later",
            "later",
            ".wh.dir-later",
            "dir-later/",
            "dir-before/",
            "dir-before/x",
            ".wh.dir-before",
            "no/such/directory/.wh.x",
            // Of aufs, about itself.
            ".wh..wh.plnk",
            ".wh..wh.aufs",
        ]),
    );
    let top = scene.path("layer");
    assert!(is_whiteout(&top.join("d/gone")) && is_opaque(&top.join("d")) && top.join("d/stays").is_file());
    assert!(top.join("both").is_file() && top.join("later").is_file());
    assert!(is_opaque(&top.join("dir-later")) && is_opaque(&top.join("dir-before")));
    assert!(top.join("dir-before/x").is_file() && is_whiteout(&top.join("no/such/directory/x")));
    assert!(!tree::look(&top).keys().any(|path| path.display().to_string().contains(".wh.")));
}

fn hostile_whiteouts_stay_inside(scene: &Scene) {
    let outside = scene.path("outside");
    fs::create_dir(&outside).expect("make a directory");
    fs::write(outside.join("secret"), "untouched").expect("write a file");
    let before = tree::look(&outside);
    unpack(
        scene,
        &archive(&[
            &format!("abs -> {}", outside.display()),
            "abs/.wh.secret",
            "abs/.wh..wh..opq",
            "up -> ../outside",
            "up/.wh.secret",
            "up/.wh..wh..opq",
            // Not the directory that the link leads to.
            ".wh.abs",
        ]),
    );
    assert_same(&before, &tree::look(&outside));
    let top = scene.path("layer");
    assert!(is_whiteout(&top.join("outside/secret")), "it went where the link leads inside");
    assert!(top.join("abs").is_symlink());
}

fn a_layer_that_is_written_and_read_again_is_the_same(scene: &Scene) {
    let script = "mkdir -p upper/d/e upper/opaque; echo f > upper/d/f; mknod upper/d/gone c 0 0; mknod upper/dev c 1 3
        ln upper/d/f upper/hard; touch upper/etc; mkdir upper/proc upper/full; touch upper/full/x";
    scene.command("sh", ["-ec", script]).ok();
    let upper = scene.path("upper");
    xattr::set(upper.join("opaque"), "trusted.overlay.opaque", b"y").expect("set an attribute");
    let what = What { layer: true, places: &["/etc", "/proc", "/full", "/full/x"], ..What::default() };
    let write = || {
        let path = scene.path("layer.tar");
        fs::write(&path, "").expect("make a file");
        let name = file::path(path.to_str().expect("UTF-8")).expect("a path");
        let file = file::open(fd::CWD, name, libc::O_WRONLY).expect("open a file");
        let dir = open(&upper);
        Output::to(file, 0, &mut |output| walk::archive(dir.by_ref(), c".", b".", what, output))?;
        Ok::<Vec<u8>, Error>(fs::read(&path).expect("read a file"))
    };
    unpack(scene, &write().unwrap_or_else(|error| panic!("{error}")));
    scene
        .command(
            "sh",
            ["-ec", "rm -r upper/etc upper/proc upper/full/x; touch -r layer/full upper/full; touch -r layer upper"],
        )
        .ok();
    let look = |name: &str| -> Tree {
        let mut tree = tree::look(&scene.path(name));
        // A whiteout has neither a mode nor a time that means anything.
        let gone = tree.get_mut(Path::new("./d/gone")).expect("the whiteout");
        (gone.mode, gone.modified) = (0, (0, 0));
        tree
    };
    assert!(is_whiteout(&scene.path("layer/d/gone")));
    assert_same(&look("upper"), &look("layer"));
    fs::write(upper.join("d/.wh.x"), "").expect("write a file");
    let error = write().expect_err("a name that means something else").to_string();
    assert!(error.contains(".wh.x"), "{error}");
}
