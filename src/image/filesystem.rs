//! A file system image as a layer: kept as the file that it is, and mounted when a container starts.

use alloc::vec;

use super::land::{Workspace, full};
use super::layer::Unpacked;
use super::stream::Opened;
use crate::base::error::Result;
use crate::base::keep;
use crate::base::sha256::hex;
use crate::kernel::mounts::copy_file;
use crate::sys::{self, file};

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
        let stat = file::stat(opened.file.by_ref(), c"")?;
        let mut buffer = vec![0; PIECE];
        if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFREG {
            copy_file(&opened.file, &copy, stat.size)?;
        } else {
            file::write_all(copy.by_ref(), &opened.head)?;
            loop {
                match file::read(opened.file.by_ref(), &mut buffer)? {
                    0 => break,
                    count => file::write_all(copy.by_ref(), &buffer[..count])?,
                }
            }
        }
        file::seek(copy.by_ref(), 0)?;
        let (mut digest, mut size) = (sys::sha::sha256(), 0);
        loop {
            match file::read(copy.by_ref(), &mut buffer)? {
                0 => break,
                count => {
                    digest.update(&buffer[..count]);
                    size += count as u64;
                }
            }
        }
        file::write_file(work, c"layer/size", join!("{}\n", size).as_bytes(), 0o600)?;
        let digest = keep::copy(&hex(&digest.finish()));
        file::rename(work, c"layer", work, file::path(digest)?, false)?;
        Ok((digest, Unpacked { size, entries: 1, ..Unpacked::default() }))
    }
}
