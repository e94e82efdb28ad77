//! Writes the archive that a kernel unpacks as its first root: `newc` (kernel, `driver-api/early-userspace/buffer-format.rst`).

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// An archive in the making; everything in it belongs to root.
#[derive(Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    members: u32,
}

impl Cpio {
    /// Adds all that is below a directory: files, directories and symbolic links.
    ///
    /// # Panics
    /// When something can't be read.
    pub fn tree(&mut self, top: &Path) {
        let mut todo = vec![PathBuf::new()];
        while let Some(path) = todo.pop() {
            let full = top.join(&path);
            let data = fs::symlink_metadata(&full).expect("look at a file");
            let name = path.as_os_str().as_bytes();
            if data.is_dir() {
                if !name.is_empty() {
                    self.member(name, DIRECTORY | data.mode() & 0o7777, b"");
                }
                todo.extend(
                    fs::read_dir(&full).expect("list a directory").flatten().map(|at| path.join(at.file_name())),
                );
            } else if data.is_symlink() {
                self.member(name, LINK | 0o777, fs::read_link(&full).expect("read a link").as_os_str().as_bytes());
            } else {
                self.member(name, FILE | data.mode() & 0o7777, &fs::read(&full).expect("read a file"));
            }
        }
    }

    /// Adds a directory, whose parent is there.
    pub fn directory(&mut self, path: &str) {
        self.member(path.as_bytes(), DIRECTORY | 0o755, b"");
    }

    /// Adds a program, or a file that may as well be one.
    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.member(path.as_bytes(), FILE | 0o755, content);
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.member(b"TRAILER!!!", 0, b"");
        self.bytes
    }

    fn member(&mut self, path: &[u8], mode: u32, content: &[u8]) {
        self.members += 1;
        let (owner, group, links, modified, device) = (0, 0, 1, 0, 0);
        let (size, name_size, sum) = (content.len() as u32, path.len() as u32 + 1, 0);
        let fields = [self.members, mode, owner, group, links, modified, size];
        let fields = fields.into_iter().chain([device; 4]).chain([name_size, sum]);
        let mut header = String::from("070701");
        fields.for_each(|field| write!(header, "{field:08X}").expect("a string takes all"));
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(path);
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
