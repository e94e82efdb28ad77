//! Import: a root filesystem, as an archive or a directory, becomes an image of one layer.

use super::blobs::Descriptor;
use super::land::Workspace;
use super::layer::{How, Unpacked, refused};
use super::manifest;
use super::reference::Reference;
use super::store::{Store, full_name};
use super::stream::{self, Opened};
use super::tar::write;
use super::walk::{self, Chosen, What};
use crate::base::phrase::Phrase;

use crate::base::bytes::Decode;
use crate::base::error::{Error, Result};
use crate::base::inflate::{self, Gzip};
use crate::base::json::Value;
use crate::base::zstd::{self, Zstd};
use crate::kernel::loopdev;
use crate::sys::{self, Fd, file, process};

/// Bytes looked at to tell what a file is.
const HEAD: usize = loopdev::HEAD;

/// What people may take for an archive of a root: where its mark stands, the mark, its name, and what to do about it.
#[rustfmt::skip]
const OTHERS: &[(usize, &[u8], Phrase, Phrase)] = &[
    (0, b"\xfd7zXZ\0",       phrase!("an xz archive"), phrase!("pass it through xz: xz -dc FILE | vial import - NAME")),
    (0, b"BZh",              phrase!("a bzip2 archive"), phrase!("pass it through bzip2: bzip2 -dc FILE | vial import - NAME")),
    (0, b"\x04\x22\x4d\x18", phrase!("an lz4 archive"), phrase!("pass it through lz4: lz4 -dc FILE | vial import - NAME")),
    (0, b"PK\x03\x04",       phrase!("a zip archive"), phrase!("vial imports tar archives, plain, gzip or zstd, directories, and squashfs, erofs or ext4 images")),
    (0, b"0707",             phrase!("a cpio archive"), phrase!("unpack it with cpio -id, then import the directory")),
    (0, b"!<arch>\n",        phrase!("an ar archive (a Debian package?)"), phrase!("vial imports tar archives, plain, gzip or zstd, directories, and squashfs, erofs or ext4 images")),
    (0, b"\x7fELF",          phrase!("a program"), phrase!("vial imports tar archives, plain, gzip or zstd, directories, and squashfs, erofs or ext4 images")),
    (510, b"\x55\xaa",       phrase!("a disk with a boot sector or partitions"), phrase!("take the file system out of it: losetup -P, then dd")),
    (0, b"<",                phrase!("a web page or XML"), phrase!("the download may have failed; look into the file")),
    (0, b"{",                phrase!("JSON"), phrase!("vial imports tar archives, plain, gzip or zstd, directories, and squashfs, erofs or ext4 images")),
];

/// What came of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The image's ID, 64 hexadecimal digits.
    pub id: &'static str,
    /// The layer's digest in hexadecimal digits.
    pub layer: &'static str,
    /// What was unpacked.
    pub unpacked: Unpacked,
}

impl Store {
    /// Makes an image of an archive, plain or compressed, a directory or a file system image, as [`look`] finds it.
    ///
    /// `change` gets the member `config` of its configuration; `progress` the number of bytes that have been unpacked, now and
    /// then.
    ///
    /// # Errors
    /// The source can't be read or is damaged. Nothing of it is then in the store.
    #[inline(never)]
    pub fn import(
        &self,
        input: &mut Input,
        name: Option<&Reference<'_>>,
        change: &mut dyn FnMut(&mut Value) -> Result<()>,
        message: &'static str,
        max_size: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported> {
        let work = self.begin()?;
        let flusher = work.flush()?;
        let how = How { max_size, ..How::default() };
        let (layer, unpacked) = match input {
            Input::Image(opened) => work.keep_image(opened)?,
            input => work.make_layer("layer", how, progress, &mut |output| input.send(output))?,
        };
        if max_size != 0 && unpacked.size > max_size {
            return Err(stream::too_large(max_size));
        }
        if unpacked.entries == 0 {
            return Err(Error::new(phrase!("the archive holds no files")));
        }
        if work.holds_image(layer)? {
            return Err(Error::new(phrase!("this is no root file system, but images as other programs save them"))
                .hint(phrase!("vial load FILE|DIR loads them")));
        }
        drop(flusher);
        let created = process::clock(libc::CLOCK_REALTIME);
        let mut config = manifest::single_layer(layer, created, message);
        change(config.member("config"))?;
        let id = self.land(&work, config.to_compact().as_bytes(), name.map(full_name).as_slice())?;
        Ok(Imported { id, layer, unpacked })
    }
}

impl Workspace {
    /// Whether a layer that was unpacked is an archive of images: one of these files names them.
    fn holds_image(&self, layer: &str) -> Result<bool> {
        let has = |name: &str| file::is_there(self.dir.by_ref(), file::path(join!("{}/diff/{}", layer, name))?);
        Ok(has("oci-layout")? || has("repositories")?)
    }
}

/// What is to be imported.
pub enum Input {
    /// A tar archive.
    Plain(Opened),
    /// A tar archive, compressed by gzip.
    Gzip(Opened),
    /// A tar archive, compressed by zstd.
    Zstd(Opened),
    /// A directory: all of its file system, or some of what is in it, mounted or not.
    Directory(Fd, &'static [Chosen]),
    /// A file system image.
    Image(Opened),
}

impl Input {
    /// Tells what a file is; `shown` is what to call it.
    ///
    /// # Errors
    /// It can't be read, or is no archive.
    #[inline(never)]
    pub fn of(mut opened: Opened, shown: &str) -> Result<Input> {
        let head = opened.peek(HEAD)?;
        if head.is_empty() {
            return Err(Error::new(say!("{} is empty", shown)));
        }
        if head.starts_with(&inflate::MAGIC) {
            return Ok(Input::Gzip(opened));
        }
        if zstd::is_start(head) {
            return Ok(Input::Zstd(opened));
        }
        let is_image = loopdev::kind(head).is_some();
        let known = OTHERS.iter().find(|(at, mark, ..)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
        let is_start = head.first_chunk().is_some_and(write::is_start);
        // File system images may begin with zeros, and so does an archive without members.
        if is_start && (head[0] != 0 || !is_image && known.is_none()) {
            return Ok(Input::Plain(opened));
        }
        if is_image {
            return Ok(Input::Image(opened));
        }
        Err(match known {
            Some((.., what, hint)) => Error::new(say!("{} is {}", shown, what)).hint(*hint),
            None => Error::new(say!(
                "{} is not an archive: it begins with \"{}\"",
                shown,
                head[..head.len().min(16)].escape_ascii()
            ))
            .hint(phrase!(
                "vial imports tar archives, plain, gzip or zstd, directories, and squashfs, erofs or ext4 images"
            )),
        })
    }

    /// Whether all that was sent was this blob.
    ///
    /// # Errors
    /// It was not.
    pub fn verify(&mut self, blob: &Descriptor) -> Result<()> {
        match self {
            Input::Plain(opened) | Input::Gzip(opened) | Input::Zstd(opened) => opened.verify(blob),
            _ => Ok(()),
        }
    }

    /// Writes all of it as an archive, once.
    ///
    /// # Errors
    /// What can't be read or decompressed.
    pub fn send(&mut self, output: &mut stream::Output) -> Result<()> {
        match self {
            Input::Plain(opened) => {
                let _why = sys::because(phrase!("read and digest the archive"));
                stream::copy(opened, output)
            }
            Input::Gzip(opened) => {
                let _why = sys::because(phrase!("decompress and digest the archive"));
                decompress(&mut Gzip::new(opened), output)
            }
            Input::Zstd(opened) => {
                let _why = sys::because(phrase!("decompress and digest the archive"));
                decompress(&mut Zstd::new(opened), output)
            }
            Input::Directory(top, chosen) => {
                let _why = sys::because(phrase!("read and digest the directory"));
                let what = What { chosen, mounted: !chosen.is_empty(), ..What::default() };
                walk::archive(top.by_ref(), c".", b".", what, output)
            }
            Input::Image(_) => Err(Error::new(phrase!("a file system image is no archive"))
                .hint(phrase!("import it, or run it with its path in the image's place: vial run ./FILE"))),
        }
    }
}

/// Opens a source (`-` is standard input) and tells what it is, which shows in its content, not in its name.
///
/// # Errors
/// It can't be read, or is nothing that vial takes.
#[inline(never)]
pub fn look(source: &[u8]) -> Result<Input> {
    let shown = join!("{}", source.escape_ascii());
    let file = if source == b"-" {
        file::duplicate(sys::fd::STDIN)?
    } else {
        file::open(sys::fd::CWD, file::path(source)?, libc::O_RDONLY)?
    };
    let stat = file::stat(file.by_ref(), c"")?;
    if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR {
        return Ok(Input::Directory(file, &[]));
    }
    if sys::terminal::size(file.by_ref()).is_ok() {
        return Err(Error::new(phrase!("standard input is a terminal"))
            .hint(phrase!("give the archive's name, or feed it: ... | vial import - NAME, or ... | vial load")));
    }
    let opened = if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFREG {
        Opened::part(file, 0, stat.size)
    } else {
        Opened::new(file)
    };
    let input = Input::of(opened, shown)?;
    if let Input::Plain(opened) = &input
        && opened.head.first() == Some(&0)
        // An extended header may have no name.
        && opened.head.iter().take(512).all(|byte| *byte == 0)
    {
        return Err(Error::new(phrase!("the archive holds no files")));
    }
    Ok(input)
}

fn decompress(decoder: &mut dyn Decode<Error>, output: &mut stream::Output) -> Result<()> {
    let failed = |failure| refused(failure, phrase!("bytes are counted in the compressed file"));
    loop {
        let piece = decoder.fill().map_err(failed)?;
        if piece.is_empty() {
            return Ok(());
        }
        let length = piece.len();
        output.write(piece)?;
        decoder.consume(length);
    }
}
