//! A file system image as a layer: kept as the file that it is, and mounted when a container starts.

use alloc::vec;

use super::land::{Workspace, full};
use super::layer::Unpacked;
use super::stream::Opened;
use crate::base::bytes::Source;
use crate::base::error::Result;
use crate::sys::{self, device, file};

/// Bytes digested at a time.
const PIECE: usize = 128 << 10;

impl Workspace {
    /// Takes a copy of the image, whose digest is the layer's.
    #[inline(never)]
    pub(super) fn keep_image(&self, opened: &mut Opened) -> Result<(&'static str, Unpacked)> {
        self.copy_image(opened).map_err(full)
    }

    fn copy_image(&self, opened: &mut Opened) -> Result<(&'static str, Unpacked)> {
        let _why = sys::because(phrase!("copy the file system image and digest it"));
        let work = self.dir.by_ref();
        file::mkdir(work, c"layer", 0o700)?;
        let copy = file::create(work, c"layer/image", libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600)?;
        // Where the file system can, both share the data, and what is kept is what is digested.
        let shared = device::clone_file(opened.file.by_ref(), copy.by_ref()).is_ok();
        if shared {
            *opened = Opened::new(file::duplicate(copy.by_ref())?);
        }
        let (mut digest, mut size, mut buffer) = (sys::sha::sha256(), 0, vec![0; PIECE]);
        loop {
            let count = opened.read(&mut buffer)?;
            let piece = &buffer[..count];
            if count == 0 {
                break;
            }
            digest.update(piece);
            if !shared && piece.iter().any(|byte| *byte != 0) {
                // Zeros are left out as holes.
                file::seek(copy.by_ref(), size)?;
                file::write_all(copy.by_ref(), piece)?;
            }
            size += count as u64;
        }
        file::truncate(copy.by_ref(), size)?;
        let digest = self.seal("layer", &digest.finish(), size)?;
        Ok((digest, Unpacked { size, entries: 1, ..Unpacked::default() }))
    }
}
