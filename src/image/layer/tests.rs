use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::tar::{Entry, Kind, Time, Xattr, write};
use super::*;

/// A directory that goes when the test ends.
pub(in crate::image) struct Scratch(pub PathBuf);

impl Scratch {
    pub(in crate::image) fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("vial-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// Runs a shell script in it.
    pub(in crate::image) fn sh(&self, script: &str) {
        let output = Command::new("sh").arg("-ec").arg(script).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
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

fn directory(path: &Path) -> Fd {
    file::open(crate::sys::fd::CWD, file::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY | libc::O_DIRECTORY)
        .unwrap()
}

pub(in crate::image) fn entry(kind: Kind, path: &str, link: &str) -> Entry {
    let (uid, gid) = fs::metadata("/proc/self").map(|at| (at.uid(), at.gid())).unwrap();
    Entry {
        kind,
        path: path.into(),
        link: link.into(),
        mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
        uid,
        gid,
        size: 0,
        mtime: Time { seconds: 1_000_000_000, nanoseconds: 123_456_789 },
        atime: None,
        ctime: None,
        major: 1,
        minor: 3,
        xattrs: Vec::new(),
        sparse: None,
        offset: 0,
    }
}

pub(in crate::image) fn archive(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (entry, content) in entries {
        let entry = Entry { size: content.len() as u64, ..entry.clone() };
        let stored = write::header(&entry, &mut bytes).unwrap();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + write::padding(stored), 0);
    }
    bytes.extend_from_slice(&write::END);
    bytes
}

fn unpack_bytes(bytes: &[u8], into: &Path) -> Result<Unpacked> {
    fs::create_dir_all(into).unwrap();
    unpack_as(How::default(), bytes, into)
}

fn unpack_as(how: How, bytes: &[u8], into: &Path) -> Result<Unpacked> {
    file::umask(0);
    unpack(&mut Archive::new(&mut Bytes(bytes)), directory(into).by_ref(), how, &mut |_| ())
}

/// Unpacks members without content (a name, a kind, a link) into the scratch directory's `root`.
fn unpack_names(how: How, scratch: &Scratch, members: &[(&str, Kind, &str)]) -> Result<Unpacked> {
    let members: Vec<_> = members.iter().map(|(name, kind, link)| (entry(*kind, name, link), &b""[..])).collect();
    let into = scratch.0.join("root");
    fs::create_dir_all(&into).unwrap();
    unpack_as(how, &archive(&members), &into)
}

/// Everything that a tree is, a line for each name and each extended attribute.
pub(in crate::image) fn show(top: &Path) -> Vec<String> {
    let script = "find . -printf '%P %y %m %U %G %T@ %l %n ' \\( -type d -printf '\\n' -o -type b -printf '\\n' -o -printf '%s\\n' \\)
        find . -type f -size -1048576k -exec sha256sum {} +; find . \\( -type b -o -type c \\) -exec stat -c '%n %t %T' {} +";
    let output = Command::new("sh").arg("-c").arg(script).current_dir(top).output().unwrap();
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let names = Command::new("find").arg(top).args(["-printf", "%P\\n"]).output().unwrap().stdout;
    for name in String::from_utf8(names).unwrap().lines() {
        for attribute in xattr::list(top.join(name)).unwrap() {
            let value = xattr::get(top.join(name), &attribute).unwrap();
            lines.push(format!("attribute {name} {} {value:?}", attribute.display()));
        }
    }
    lines.sort();
    lines
}

/// Unpacks what must not get out of the root, beside a directory that it would like to reach; returns the outcome.
fn attack(name: &str, entries: &[(Entry, &[u8])]) -> (Scratch, Result<Unpacked>) {
    let scratch = Scratch::new(name);
    fs::create_dir(scratch.0.join("outside")).unwrap();
    fs::write(scratch.0.join("outside/secret"), "untouched").unwrap();
    let before = show(&scratch.0.join("outside"));
    let outcome = unpack_bytes(&archive(entries), &scratch.0.join("root"));
    assert_eq!(show(&scratch.0.join("outside")), before, "{name} changed something outside");
    let mut names: Vec<_> = fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["outside", "root"], "{name} made something outside");
    (scratch, outcome)
}

#[test]
fn names_that_lead_upwards_are_refused() {
    for (at, path) in ["../x", "a/../../x", "..", "/../x", "a/.."].into_iter().enumerate() {
        let (_scratch, outcome) = attack(&format!("up{at}"), &[(entry(Kind::File, path, ""), b"x")]);
        assert!(outcome.unwrap_err().to_string().contains("`..`"), "{path}");
    }
    let (_scratch, outcome) = attack("uplink", &[(entry(Kind::HardLink, "x", "../outside/secret"), b"")]);
    assert!(outcome.unwrap_err().to_string().contains("`..`"));
}

#[test]
fn absolute_names_and_links_stay_inside() {
    let outside = std::env::temp_dir().join(format!("vial-absolute-{}/outside", std::process::id()));
    let outside = outside.to_str().unwrap();
    let through = format!("{outside}/made");
    let (scratch, outcome) = attack(
        "absolute",
        &[
            (entry(Kind::Symlink, "link", outside), b""),
            (entry(Kind::File, "link/secret", ""), b"inside"),
            (entry(Kind::File, &through, ""), b"inside"),
            (entry(Kind::Symlink, "up", "../../../../../../.."), b""),
            (entry(Kind::File, "up/top", ""), b"inside"),
        ],
    );
    outcome.unwrap();
    let below = scratch.0.join("root").join(outside.trim_start_matches('/'));
    assert_eq!(fs::read(below.join("secret")).unwrap(), b"inside");
    assert_eq!(fs::read(below.join("made")).unwrap(), b"inside");
    assert_eq!(fs::read(scratch.0.join("root/top")).unwrap(), b"inside");
}

#[test]
fn links_through_links_stay_inside() {
    let (scratch, outcome) = attack(
        "chain",
        &[
            (entry(Kind::Symlink, "a", ".."), b""),
            (entry(Kind::Symlink, "b", "a/.."), b""),
            (entry(Kind::Symlink, "c", "b/../outside"), b""),
            (entry(Kind::File, "c/secret", ""), b"inside"),
            (entry(Kind::HardLink, "stolen", "c/secret"), b""),
        ],
    );
    outcome.unwrap();
    assert_eq!(fs::read(scratch.0.join("root/stolen")).unwrap(), b"inside");
    assert_eq!(fs::read(scratch.0.join("root/outside/secret")).unwrap(), b"inside");
}

#[test]
fn a_file_takes_the_place_of_a_link_and_is_not_written_through_it() {
    let (scratch, outcome) = attack(
        "through",
        &[
            (entry(Kind::Symlink, "x", "../outside/secret"), b""),
            (entry(Kind::File, "x", ""), b"new"),
            (entry(Kind::Symlink, "d", "../outside"), b""),
            (entry(Kind::Directory, "d", ""), b""),
            (entry(Kind::File, "d/secret", ""), b"new"),
        ],
    );
    outcome.unwrap();
    assert_eq!(fs::read(scratch.0.join("root/x")).unwrap(), b"new");
    assert!(fs::symlink_metadata(scratch.0.join("root/d")).unwrap().is_dir());
}

#[test]
fn a_hard_link_to_a_link_is_the_link_itself_and_one_to_nowhere_is_refused() {
    let link = entry(Kind::Symlink, "l", "../outside/secret");
    let (scratch, outcome) = attack(
        "hardsoft",
        &[
            (link, b""),
            (entry(Kind::HardLink, "h", "l"), b""),
            (entry(Kind::HardLink, "h", "h"), b""),
            (entry(Kind::HardLink, "l", "h"), b""),
        ],
    );
    outcome.unwrap();
    assert_eq!(fs::read_link(scratch.0.join("root/h")).unwrap(), Path::new("../outside/secret"));
    let (_scratch, outcome) = attack("hardnone", &[(entry(Kind::HardLink, "h", "missing"), b"")]);
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("a hard link to missing, which does not exist"), "{message}");
}

#[test]
fn loops_of_links_and_files_used_as_directories_are_errors() {
    let (_scratch, outcome) = attack(
        "loop",
        &[
            (entry(Kind::Symlink, "a", "b"), b""),
            (entry(Kind::Symlink, "b", "a"), b""),
            (entry(Kind::File, "a/x", ""), b""),
        ],
    );
    assert!(outcome.unwrap_err().is(Errno::ELOOP));
    let (_scratch, outcome) =
        attack("notdir", &[(entry(Kind::File, "f", ""), b""), (entry(Kind::File, "f/x", ""), b"")]);
    let error = outcome.unwrap_err();
    assert!(error.is(Errno::ENOTDIR) && error.to_string().contains("this is about f/x"), "{error}");
}

#[test]
fn the_last_of_several_entries_of_one_name_wins() {
    let file = |path| entry(Kind::File, path, "");
    let (scratch, outcome) = attack(
        "twice",
        &[
            (file("f"), b"first and longer"),
            (file("./f"), b"last"),
            (file("d/x"), b"kept"),
            (Entry { mode: 0o700, ..entry(Kind::Directory, "d", "") }, b""),
            (file("gone/x"), b""),
            (Entry { mode: 0o604, ..file("gone") }, b"file"),
            (entry(Kind::Symlink, "l", "f"), b""),
            (entry(Kind::Fifo, "l", ""), b""),
        ],
    );
    outcome.unwrap();
    let at = |name: &str| scratch.0.join("root").join(name);
    assert_eq!(fs::read(at("f")).unwrap(), b"last");
    assert_eq!(fs::read(at("d/x")).unwrap(), b"kept");
    assert_eq!(fs::metadata(at("d")).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(at("gone")).unwrap().permissions().mode() & 0o7777, 0o604);
    assert!(fs::symlink_metadata(at("l")).unwrap().file_type().is_fifo());
}

#[test]
fn directories_keep_their_times_in_whatever_order_their_files_come() {
    let time = |seconds| Time { seconds, nanoseconds: 5 };
    let (scratch, outcome) = attack(
        "times",
        &[
            (Entry { mtime: time(1), ..entry(Kind::Directory, "./", "") }, b""),
            (Entry { mtime: time(2), ..entry(Kind::Directory, "a/", "") }, b""),
            (Entry { mtime: time(3), ..entry(Kind::Directory, "b/", "") }, b""),
            (entry(Kind::Symlink, "to_a", "a"), b""),
            (entry(Kind::File, "a/x", ""), b"1"),
            (entry(Kind::File, "b/x", ""), b"2"),
            (entry(Kind::File, "to_a/y", ""), b"3"),
            (entry(Kind::HardLink, "b/y", "a/x"), b""),
            (entry(Kind::File, "last", ""), b"4"),
        ],
    );
    outcome.unwrap();
    for (name, seconds) in [("", 1), ("a", 2), ("b", 3), ("a/y", 1_000_000_000)] {
        assert_eq!(fs::metadata(scratch.0.join("root").join(name)).unwrap().mtime(), seconds, "{name}");
    }
}

#[test]
fn attributes_of_the_overlay_and_of_the_hosts_policy_are_left_out() {
    assert!(keeps_attribute(b"security.capability") && keeps_attribute(b"user.x") && keeps_attribute(b"trusted.x"));
    for name in ["trusted.overlay.opaque", "user.overlay.whiteout", "security.selinux", "security.ima"] {
        assert!(!keeps_attribute(name.as_bytes()), "{name}");
    }
    let opaque = Xattr { name: b"trusted.overlay.opaque".to_vec(), value: b"y".to_vec() };
    let (_scratch, outcome) =
        attack("overlay", &[(Entry { xattrs: vec![opaque], ..entry(Kind::Directory, "d", "") }, b"")]);
    assert_eq!(outcome.unwrap().lost, 0);
}

#[test]
fn a_name_of_two_thousand_levels_is_unpacked_and_a_longer_one_refused() {
    let (scratch, outcome) = attack("deep", &[(entry(Kind::File, &format!("{}f", "d/".repeat(2000)), ""), b"deep")]);
    outcome.unwrap();
    file::remove_tree(directory(&scratch.0).by_ref(), c"root").unwrap();
    let (_scratch, outcome) = attack("deeper", &[(entry(Kind::File, &"d/".repeat(2100), ""), b"")]);
    assert!(outcome.unwrap_err().is(Errno::ENAMETOOLONG));
}

#[test]
fn the_walk_for_old_kernels_leads_where_openat2_does() {
    let scratch = Scratch::new("walk");
    let script = "mkdir -p root/usr/lib/x root/etc outside; ln -s usr/lib root/lib; ln -s /usr root/abs; ln -s ../../../.. root/up
        ln -s .. root/usr/back; ln -s b root/a; ln -s a root/b; ln -s lib/x/../../lib root/usr/winding; touch root/file
        ln -s missing root/dangling; ln -s ../outside root/out";
    scratch.sh(script);
    let root = directory(&scratch.0.join("root"));
    let identity = |found: Result<Option<Fd>>| match found {
        Ok(Some(dir)) => file::stat(dir.by_ref(), c"").map(|stat| Some(stat.ino)).map_err(|error| error.errno()),
        Ok(None) => Ok(None),
        Err(error) => Err(error.errno()),
    };
    for path in [
        "usr",
        "lib",
        "lib/x",
        "abs/lib",
        "up",
        "up/usr",
        "usr/back/lib/x",
        "usr/back/up/abs/back",
        "usr/winding/x",
        "a",
        "a/b",
        "file",
        "file/x",
        "dangling",
        "dangling/x",
        "none/x",
        "out",
        "out/x",
        "etc",
    ] {
        let new = identity(resolve::open(root.by_ref(), path.as_bytes()));
        let old = identity(resolve::walk(root.by_ref(), path.as_bytes(), false));
        assert_eq!(new, old, "{path}");
    }
    resolve::make(root.by_ref(), b"out/made/here").unwrap();
    assert!(scratch.0.join("root/outside/made/here").is_dir());
    assert_eq!(fs::read_dir(scratch.0.join("outside")).unwrap().count(), 0);
}

#[test]
fn a_damaged_archive_tells_where() {
    let bytes = archive(&[(entry(Kind::File, "f", ""), &[7; 5000])]);
    for cut in [100, 700, 1500, 3000] {
        let scratch = Scratch::new(&format!("cut{cut}"));
        let message = unpack_bytes(&bytes[..cut], &scratch.0).unwrap_err().to_string();
        assert!(message.contains("at byte "), "{message}");
    }
}

#[test]
fn whiteouts_of_nothing_and_of_what_lies_above_are_refused() {
    let how = How { whiteouts: true, ..How::default() };
    for (number, name) in
        [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh...", "../.wh.x", "d/../../.wh.x"].iter().enumerate()
    {
        let scratch = Scratch::new(&format!("whiteout{number}"));
        let members = [("d/", Kind::Directory, ""), (*name, Kind::File, "")];
        assert!(unpack_names(how, &scratch, &members).is_err(), "{name}");
        // In a root file system those are names like others, if they lead nowhere else.
        assert_eq!(unpack_names(How::default(), &scratch, &members).is_ok(), !name.contains("../"), "{name}");
    }
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
        std::os::unix::fs::symlink("dir", scratch.0.join("root/link")).unwrap();
        let error = unpack_names(careful, &scratch, members).unwrap_err().to_string();
        assert!(error.starts_with("cannot replace "), "{error}");
        assert!(scratch.0.join("root/dir/keep").is_dir() && scratch.0.join("root/link").is_symlink());
        assert_eq!(fs::read_to_string(scratch.0.join("root/file")).unwrap(), "kept");
        // Of the same kind they do.
        unpack_names(careful, &scratch, &[("file", File, ""), ("dir/", Directory, ""), ("link", Symlink, "y")])
            .unwrap();
        assert!(scratch.0.join("root/dir/keep").is_dir());
        assert_eq!(fs::read_to_string(scratch.0.join("root/file")).unwrap(), "");
    }
}

#[test]
fn another_owner_gets_no_rights_that_were_meant_for_the_first() {
    let of = |owner, foreign, kind| {
        let capability = Xattr { name: CAPABILITY.to_bytes().to_vec(), value: vec![1] };
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
