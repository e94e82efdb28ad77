//! Fetching: manifests, and blobs that go on where an earlier download was interrupted. A process of its own fetches the layers, one
//! behind the other, while those that are there are unpacked.

use alloc::vec::Vec;

use super::Registry;
use crate::base::bytes::Source;
use crate::base::error::{Error, Result};
use crate::base::sha256::{self, hex};
use crate::base::text::{self, Cut};
use crate::image::blobs::{Blobs, DOCUMENT, Descriptor};
use crate::image::helper::{Helper, say};
use crate::image::reference::Reference;
use crate::image::stream::Opened;
use crate::sys::file::Lock;
use crate::sys::{Fd, because, fd, file};

/// Shown again after so many bytes.
const STEP: u64 = 1 << 20;

impl Registry {
    /// Finds out which manifest or index a name stands for. It is verified if the name has a digest.
    ///
    /// # Errors
    /// There is none, or the registry can't be reached.
    #[inline(never)]
    pub fn manifest(&mut self, name: &Reference<'_>) -> Result<Descriptor> {
        let _why = because!("ask the registry for the image's manifest");
        let path = join!("manifests/{}", name.digest.unwrap_or(name.tag()));
        let mut body = Vec::new();
        self.persist(&mut |registry| {
            registry.get(path, "")?;
            body = registry.client.body(DOCUMENT)?;
            Ok(())
        })?;
        let digest = join!("sha256:{}", hex(&sha256::digest(&body)));
        if name.digest.is_some_and(|wanted| wanted != digest) {
            return Err(Error::new(say!(
                "{} is damaged: its content does not have the digest that was asked for",
                digest
            )));
        }
        // There it is found when it is opened.
        let digits = &digest[7..];
        let flags = libc::O_WRONLY | libc::O_CREAT;
        let file = file::create(self.partial.by_ref(), file::path(digits)?, flags, 0o600)?;
        // Another pull may write the same.
        file::write_all(file.by_ref(), &body)?;
        self.fetched.push(digits);
        Ok(Descriptor { name: digest, size: body.len() as u64, media: "manifest" })
    }

    /// Removes what was fetched, of which there is an image now, and says so.
    pub fn tidy(&self) {
        for digits in &self.fetched {
            // Another pull of the same may have removed it.
            let _ = file::path(digits).and_then(|path| file::unlink(self.partial.by_ref(), path));
        }
        for index in 0..self.wanted.len() {
            self.say(index, "Pull complete");
        }
    }

    /// Says how far layer number `index` is. Several processes do so at once: each write goes to its line and back.
    #[inline(never)]
    fn say(&self, index: usize, words: &str) {
        if let Some(blob) = self.wanted.get(index).filter(|_| self.show) {
            let (up, digits) = (self.wanted.len() - index, blob.digest().unwrap_or_default());
            let line = join!("\x1b[{}A\r{}: {}\x1b[K\x1b[{}B\r", up, &digits[..12], words, up);
            let _ = file::write_all(fd::STDERR, line.as_bytes());
        }
    }

    /// Which of those that are wanted it is.
    fn place(&self, blob: &Descriptor) -> Option<usize> {
        self.wanted.iter().position(|wanted| wanted.name == blob.name)
    }

    /// The blob as a file, once all of it is there. It is locked until it is closed.
    #[inline(never)]
    fn fetch(&mut self, blob: &Descriptor, index: usize) -> Result<Fd> {
        let _why = because!("download a part of the image");
        let digits = blob.digest().unwrap_or_default();
        let path = file::path(digits)?;
        self.fetched.push(digits);
        let file = loop {
            let file = file::create(self.partial.by_ref(), path, libc::O_RDWR | libc::O_CREAT, 0o600)?;
            // Another pull may have it in hand, and remove it then. If all of it is there, that makes no difference.
            file::lock(file.by_ref(), Lock::Exclusive)?;
            let found = file::stat(file.by_ref(), c"")?;
            if found.nlink > 0 || found.size == blob.size {
                break file;
            }
        };
        let result = self.persist(&mut |registry| registry.go_on(blob, &file, index));
        if result.is_err() && file::stat(file.by_ref(), c"")?.size == 0 {
            let _ = file::unlink(self.partial.by_ref(), path);
        }
        result.map(|()| file)
    }

    /// Fetches what is missing, and verifies all.
    #[inline(never)]
    fn go_on(&mut self, blob: &Descriptor, file: &Fd, index: usize) -> Result<()> {
        self.client.may_pass = false;
        let old = file::stat(file.by_ref(), c"")?.size;
        let mut have = old;
        if have < blob.size {
            let is_document = blob.media.parts(b'.').any(|part| text::place("manifest index", part).is_some());
            let path = join!("{}/{}", if is_document { "manifests" } else { "blobs" }, blob.name);
            self.get(path, if have > 0 { join!("Range: bytes={}-\n", have) } else { "" })?;
            if self.client.status != 206 {
                // It sends all of it.
                file::truncate(file.by_ref(), 0)?;
                have = 0;
            }
            file::seek(file.by_ref(), have)?;
            let other = self.client.ends == super::http::Ends::Length && self.client.left != blob.size - have;
            if other || (have > 0 && !self.client.field("content-range").starts_with(join!("bytes {}-", have))) {
                return Err(self.client.wrong(phrase!("something else than the part that was asked for")));
            }
            let mut shown = 0;
            while have < blob.size {
                let piece = self.client.piece()?;
                if piece.is_empty() {
                    return Err(self.client.cut());
                }
                have += piece.len() as u64;
                file::write_all(file.by_ref(), piece)?;
                if have >= shown + STEP || have >= blob.size {
                    shown = have;
                    let (now, all) = (text::human_size(have), text::human_size(blob.size));
                    self.say(index, join!("Downloading {}/{}", now, all));
                }
            }
        }
        let mut whole = Opened::part(file::duplicate(file.by_ref())?, 0, have);
        whole.expect(blob);
        let mut buffer = [0; 16 << 10];
        while whole.read(&mut buffer)? > 0 {}
        if have == blob.size && whole.verify(blob).is_ok() {
            return Ok(());
        }
        file::truncate(file.by_ref(), 0)?;
        // What was there before may have been damaged since.
        self.client.may_pass = old > 0;
        Err(self.client.wrong(phrase!("something that does not have the digest that was asked for")))
    }
}

impl Blobs for Registry {
    fn want(&mut self, missing: &[Descriptor]) -> Result<()> {
        self.wanted = missing.to_vec().leak();
        for blob in self.wanted {
            let digits = blob.digest().unwrap_or_default();
            self.fetched.push(digits);
            if self.show {
                file::write_all(fd::STDERR, join!("{}: Waiting\n", &digits[..12]).as_bytes())?;
            }
        }
        let _why = because!("have another process download the layers");
        self.fetcher = Some(Helper::start(&mut |report| {
            for (index, blob) in self.wanted.iter().enumerate() {
                self.fetch(blob, index)?;
                self.say(index, "Download complete");
                say(report, 0);
            }
            Ok(Vec::new())
        })?);
        Ok(())
    }

    fn wait(&mut self, blob: &Descriptor) -> Result<()> {
        let _why = because!("wait for a part of the image to be downloaded");
        if let (Some(place), Some(fetcher)) = (self.place(blob), &mut self.fetcher) {
            while self.ready <= place {
                if fetcher.listen(&mut |_| self.ready += 1)? {
                    fetcher.conclude()?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, blob: &Descriptor) -> Result<Opened> {
        let path = file::path(blob.digest().unwrap_or_default())?;
        // What another pull of the same has removed since is fetched once more.
        let file = match file::open(self.partial.by_ref(), path, libc::O_RDONLY) {
            Ok(file) if self.place(blob).is_some() => file,
            _ => self.fetch(blob, usize::MAX)?,
        };
        Ok(Opened::part(file, 0, blob.size))
    }
}
