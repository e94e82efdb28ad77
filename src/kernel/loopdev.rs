//! File system images: files that hold a whole file system, mounted read-only through loop devices.
//!
//! A device is bound so that the kernel frees it when nobody uses it any more. Once it is mounted only the mount does, so it is
//! freed with the last mount, however the processes that see it end (`loop(4)`, `LO_FLAGS_AUTOCLEAR`).

use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::sys::cold::Gate;
use crate::sys::fd::CWD;
use crate::sys::{Fd, device, file, mount};

/// Bytes at the beginning that tell what a file holds.
pub const HEAD: usize = 2048;
/// Tells what they hold: where the mark stands, the mark, and the file system that can be mounted (`linux/magic.h`; ext4's mark
/// is that of ext2 and ext3 too, and at byte 56 of the superblock).
const KINDS: &[(usize, &[u8], &CStr)] =
    &[(0, b"hsqs", c"squashfs"), (1024, b"\xe2\xe1\xf5\xe0", c"erofs"), (1080, b"\x53\xef", c"ext4")];
/// The driver's numbers: the misc device of `loop-control` and the loop devices', `linux/miscdevice.h` and `linux/major.h`.
const CONTROL: (u32, u32) = (10, 237);
/// See [`CONTROL`].
const MAJOR: u32 = 7;
/// How often another process may take the device that was free.
const ROUNDS: u32 = 100;

/// The file system in a file that begins so.
#[must_use]
pub fn kind(head: &[u8]) -> Option<&'static CStr> {
    KINDS
        .iter()
        .find(|(at, mark, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark)))
        .map(|(.., kind)| *kind)
}

/// Opens a file system image and tells which file system it holds.
///
/// # Errors
/// It can't be read, or holds none that is known.
#[inline(never)]
pub fn open(path: &CStr) -> Result<(Fd, &'static CStr)> {
    let image = file::open(CWD, path, libc::O_RDONLY | libc::O_NONBLOCK)?;
    let mut head = alloc::vec![0; HEAD];
    let length = file::read(image.by_ref(), &mut head)?;
    match kind(&head[..length]) {
        Some(kind) => Ok((image, kind)),
        None => Err(Error::new(say!("{} holds no file system that is known", keep::lossy(path.to_bytes()))).hint(
            phrase!("accepted: a squashfs, erofs or ext4 image, without partitions; what is an archive: vial import FILE NAME"),
        )),
    }
}

/// Mounts the image at `path`. `node` is a path where a device node may be made, for a `/dev` that lacks it.
///
/// # Errors
/// As for [`open`]; there is no loop device; the kernel can't mount what the image holds.
#[inline(never)]
pub fn mount_image(path: &CStr, target: &CStr, node: &'static CStr) -> Result<()> {
    COLD_GATE_SELDOM.open()?(path, target, node)
}

type Mount = fn(&CStr, &CStr, &'static CStr) -> Result<()>;

static COLD_GATE_SELDOM: Gate<Mount> = Gate(mount_one);

fn mount_one(path: &CStr, target: &CStr, node: &'static CStr) -> Result<()> {
    let (image, kind) = open(path)?;
    let (device, source) = bind(&image, node)?;
    let mounted = mount::mount(Some(source), target, Some(kind), libc::MS_RDONLY, None);
    drop(device);
    mounted.map_err(|error| {
        Error::os(error.errno(), phrase!("mount the file system image"), keep::lossy(path.to_bytes())).hint(match error
            .errno()
        {
            Errno::ENODEV => {
                phrase!("the kernel lacks that file system: CONFIG_SQUASHFS, CONFIG_EROFS_FS, CONFIG_EXT4_FS")
            }
            Errno::EROFS => phrase!("its journal was never written back, which only a writable mount or e2fsck does"),
            _ => phrase!("it is damaged, or made in a way that the kernel can't read, as by another compressor"),
        })
    })
}

/// Binds a free loop device; the path of its node.
fn bind(image: &Fd, node: &'static CStr) -> Result<(Fd, &'static CStr)> {
    let control = open_node(c"/dev/loop-control", node, libc::S_IFCHR, CONTROL)?.0;
    for _ in 0..ROUNDS {
        let number = device::free_loop(control.by_ref())?;
        let path = file::path(join!("/dev/loop{}", number))?;
        let (device, path) = open_node(path, node, libc::S_IFBLK, (MAJOR, number))?;
        match device::bind_loop(device.by_ref(), image.by_ref()) {
            Err(error) if error.is(Errno::EBUSY) => {}
            result => return result.map(|()| (device, path)),
        }
    }
    Err(Error::os(Errno::EBUSY, phrase!("bind a loop device"), ""))
}

/// Opens a device by its node in `/dev`, or by one that is made where nobody else sees it.
fn open_node(path: &'static CStr, node: &'static CStr, kind: u32, number: (u32, u32)) -> Result<(Fd, &'static CStr)> {
    let (mut place, mut opened) = (path, file::open(CWD, path, libc::O_RDONLY));
    if opened.as_ref().is_err_and(|error| error.is(Errno::ENOENT)) {
        let _ = file::unlink(CWD, node);
        file::mknod(CWD, node, kind | 0o600, number)?;
        (place, opened) = (node, file::open(CWD, node, libc::O_RDONLY));
    }
    match opened {
        Ok(device) => Ok((device, place)),
        Err(error) => {
            Err(error.hint(phrase!("does the kernel have loop devices (CONFIG_BLK_DEV_LOOP), and may vial use them?")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_known_by_its_mark_where_the_mark_belongs() {
        let image = |at: usize, mark: &[u8]| {
            let mut image = std::vec![0; HEAD];
            image[at..at + mark.len()].copy_from_slice(mark);
            image
        };
        assert_eq!(kind(&image(0, b"hsqs")), Some(c"squashfs"));
        assert_eq!(kind(&image(1024, b"\xe2\xe1\xf5\xe0")), Some(c"erofs"));
        assert_eq!(kind(&image(1080, b"\x53\xef")), Some(c"ext4"));
        for (at, mark) in [(1, &b"hsqs"[..]), (0, b"sqsh"), (1081, b"\x53\xef"), (510, b"\x55\xaa")] {
            assert_eq!(kind(&image(at, mark)), None, "{mark:?} at {at}");
        }
        assert_eq!(kind(b"hsq"), None);
    }
}
