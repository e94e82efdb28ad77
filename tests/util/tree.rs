//! A directory tree in every respect that an archive can carry, for comparing two of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// One file, of whatever kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `f`, `d`, `l`, `c`, `b`, `p`, `s`.
    pub kind: char,
    /// Permissions, set-ID bits, sticky bit.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Modification time: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// Bytes of a regular file.
    pub size: u64,
    /// Digest of a regular file's content.
    pub content: String,
    /// Where a symbolic link points.
    pub target: Option<PathBuf>,
    /// The number of a device.
    pub device: u64,
    /// Extended attributes.
    pub attributes: BTreeMap<OsString, Vec<u8>>,
    /// The first path of the same file, if it has several.
    pub same_as: Option<PathBuf>,
}

/// A tree: the path of each file below it, and `.` for itself.
pub type Tree = BTreeMap<PathBuf, Node>;

/// Looks at everything below a directory.
///
/// # Panics
/// When something can't be read.
pub fn look(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut seen = BTreeMap::new();
    let mut todo = vec![PathBuf::from(".")];
    while let Some(path) = todo.pop() {
        let full = top.join(&path);
        let data = fs::symlink_metadata(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()));
        if data.is_dir() {
            let mut names: Vec<_> = fs::read_dir(&full).expect("list a directory").flatten().collect();
            names.sort_by_key(fs::DirEntry::file_name);
            todo.extend(names.into_iter().rev().map(|entry| path.join(entry.file_name())));
        }
        tree.insert(path, Node { kind: kind(&data), ..node(&full, &data) });
    }
    // In the order of the paths, so that the first name of a file is the same one in every tree.
    for (path, node) in &mut tree {
        let data = fs::symlink_metadata(top.join(path)).expect("it was there a moment ago");
        if !data.is_dir() && data.nlink() > 1 {
            node.same_as = Some(seen.entry(data.ino()).or_insert_with(|| path.clone()).clone());
        }
    }
    tree
}

fn kind(data: &fs::Metadata) -> char {
    let kind = data.file_type();
    [
        (kind.is_file(), 'f'),
        (kind.is_dir(), 'd'),
        (kind.is_symlink(), 'l'),
        (kind.is_char_device(), 'c'),
        (kind.is_block_device(), 'b'),
        (kind.is_fifo(), 'p'),
    ]
    .iter()
    .find_map(|(is, letter)| is.then_some(*letter))
    .unwrap_or('s')
}

fn node(full: &Path, data: &fs::Metadata) -> Node {
    let names = xattr::list(full).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let attribute = |name: OsString| xattr::get(full, &name).ok().flatten().map(|value| (name, value));
    Node {
        mode: data.mode() & 0o7777,
        owner: (data.uid(), data.gid()),
        modified: (data.mtime(), data.mtime_nsec()),
        size: if data.is_file() { data.len() } else { 0 },
        content: if data.is_file() { digest(full, data).expect("read a file") } else { String::new() },
        target: fs::read_link(full).ok(),
        device: data.rdev(),
        attributes: names.into_iter().filter_map(attribute).collect(),
        ..Node::default()
    }
}

/// The digest of a file's content; of a large one only of its ends and middle, which is where tests put data.
fn digest(path: &Path, data: &fs::Metadata) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    if data.len() < 256 << 20 {
        io::copy(&mut file, &mut hash)?;
    } else {
        let mut piece = vec![0; 64 << 10];
        for at in [0, data.len() / 2, data.len() - piece.len() as u64] {
            file.read_exact_at(&mut piece, at)?;
            hash.update(&piece);
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Leaves out what an archive can't carry: fractions of seconds, and extended attributes.
pub fn without(mut tree: Tree, fractions: bool, attributes: bool) -> Tree {
    for node in tree.values_mut() {
        if fractions {
            node.modified.1 = 0;
        }
        if attributes {
            node.attributes.clear();
        }
    }
    tree
}

/// Asserts that two trees are the same; otherwise shows what differs.
#[track_caller]
pub fn assert_same(expected: &Tree, found: &Tree) {
    let mut lines = Vec::new();
    for path in expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path))) {
        let (one, other) = (expected.get(path), found.get(path));
        if one != other {
            let name = String::from_utf8_lossy(path.as_os_str().as_bytes()).chars().take(100).collect::<String>();
            lines.push(format!("{name:?}\n  expected {one:?}\n  found    {other:?}"));
        }
    }
    assert!(lines.is_empty(), "the trees differ:\n{}", lines.join("\n"));
}

/// Whether a file takes up less than its size.
pub fn is_sparse(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.blocks() * 512 < data.len())
}
