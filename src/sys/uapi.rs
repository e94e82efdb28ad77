//! Constants and structures of the kernel's interface that the `libc` crate lacks or defines as a C library sees them.
//!
//! Source: `linux/mount.h`, `linux/openat2.h`, `asm-generic/termbits.h`, `linux/stat.h`, `linux/loop.h`, `linux/btrfs.h`.

/// `struct open_how`, openat2(2).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct OpenHow {
    /// As openat(2)'s.
    pub flags: u64,
    /// As openat(2)'s.
    pub mode: u64,
    /// `RESOLVE_*`.
    pub resolve: u64,
}

/// `struct mount_attr`, `mount_setattr(2)`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct MountAttr {
    /// `MOUNT_ATTR_*` to set.
    pub attr_set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub attr_clr: u64,
    /// `MS_PRIVATE` and its kin, or 0.
    pub propagation: u64,
    /// The user namespace of an id-mapped mount.
    pub userns_fd: u64,
}

/// `open_tree(2)`: copy the mount instead of referring to it.
pub const OPEN_TREE_CLONE: u32 = 1;
/// `open_tree(2)`: close on exec.
pub const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;
/// Of a whole tree of mounts.
pub const AT_RECURSIVE: u32 = 0x8000;
/// The descriptor itself, with an empty path.
pub const AT_EMPTY_PATH: u32 = 0x1000;
/// Do not trigger automounts.
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
/// `move_mount(2)`: the mount is the descriptor itself.
pub const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
/// `move_mount(2)`: the place is the descriptor itself.
pub const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
/// `fsopen(2)`: close on exec.
pub const FSOPEN_CLOEXEC: u32 = 1;
/// `fsmount(2)`: close on exec.
pub const FSMOUNT_CLOEXEC: u32 = 1;
/// `fsconfig(2)`: an option without a value.
pub const FSCONFIG_SET_FLAG: u32 = 0;
/// `fsconfig(2)`: an option with a text.
pub const FSCONFIG_SET_STRING: u32 = 1;
/// `fsconfig(2)`: an option with an open file.
pub const FSCONFIG_SET_FD: u32 = 5;
/// `fsconfig(2)`: make the file system.
pub const FSCONFIG_CMD_CREATE: u32 = 6;
/// Read-only.
pub const MOUNT_ATTR_RDONLY: u32 = 1;
/// Set-user-ID bits are not honoured.
pub const MOUNT_ATTR_NOSUID: u32 = 2;
/// Device nodes are not honoured.
pub const MOUNT_ATTR_NODEV: u32 = 4;
/// Programs can't be executed.
pub const MOUNT_ATTR_NOEXEC: u32 = 8;
/// Access times are not kept.
pub const MOUNT_ATTR_NOATIME: u32 = 0x10;
/// How times of access are kept; without any other of its bits when they are older than the last change.
pub const MOUNT_ATTR__ATIME: u32 = 0x70;
/// Access times are kept at every access.
pub const MOUNT_ATTR_STRICTATIME: u32 = 0x20;
/// Access times of directories are not kept.
pub const MOUNT_ATTR_NODIRATIME: u32 = 0x80;
/// Symbolic links are not followed (Linux 5.14).
pub const MOUNT_ATTR_NOSYMFOLLOW: u32 = 0x20_0000;
/// `mount_setattr(2)`: owners as a user namespace has them (Linux 5.12).
pub const MOUNT_ATTR_IDMAP: u32 = 0x10_0000;

/// The requests of `ioctl(2)` that vial makes.
pub mod ioctl {
    pub use libc::{
        FICLONE, SIOCSIFFLAGS, TCGETS, TCSETS, TIOCGPTN, TIOCGPTPEER, TIOCGWINSZ, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ,
    };
    /// Takes a call that waits for a decision: `_IOWR('!', 0, struct seccomp_notif)`.
    pub const SECCOMP_IOCTL_NOTIF_RECV: u32 = 0xc050_2100;
    /// Answers one: `_IOWR('!', 1, struct seccomp_notif_resp)`.
    pub const SECCOMP_IOCTL_NOTIF_SEND: u32 = 0xc018_2101;
    /// Says how who called and who answers take turns: `_IOW('!', 4, __u64)`.
    pub const SECCOMP_IOCTL_NOTIF_SET_FLAGS: u32 = 0x4008_2104;
    /// Has a BPF program run when an event happens: `_IOW('$', 8, __u32)`.
    pub const PERF_EVENT_IOC_SET_BPF: u32 = 0x4004_2408;
    /// Begins to tell of an event: `_IO('$', 0)`.
    pub const PERF_EVENT_IOC_ENABLE: u32 = 0x2400;
    /// Opens the namespace that a user or PID namespace was made in.
    pub const NS_GET_PARENT: u32 = 0xb702;
    /// Finds a loop device that is free.
    pub const LOOP_CTL_GET_FREE: u32 = 0x4c82;
    /// Binds a loop device (Linux 5.8).
    pub const LOOP_CONFIGURE: u32 = 0x4c0a;
    /// Binds a loop device to a file.
    pub const LOOP_SET_FD: u32 = 0x4c00;
    /// Sets a loop device's flags.
    pub const LOOP_SET_STATUS64: u32 = 0x4c04;
    /// Makes a snapshot: `_IOW(0x94, 1, struct btrfs_ioctl_vol_args)`.
    pub const BTRFS_IOC_SNAP_CREATE: u32 = 0x5000_9401;
    /// Makes a subvolume.
    pub const BTRFS_IOC_SUBVOL_CREATE: u32 = 0x5000_940e;
    /// Removes a subvolume.
    pub const BTRFS_IOC_SNAP_DESTROY: u32 = 0x5000_940f;
}

/// `struct termios` as the kernel has it (`asm-generic/termbits.h`); C libraries have a longer one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Termios {
    /// Input modes.
    pub iflag: u32,
    /// Output modes.
    pub oflag: u32,
    /// Control modes.
    pub cflag: u32,
    /// Local modes.
    pub lflag: u32,
    /// Line discipline.
    pub line: u8,
    /// Control characters.
    pub cc: [u8; 19],
}

/// `struct winsize`, `ioctl_tty(2)`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSize {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
    /// Unused by the kernel.
    pub x_pixels: u16,
    /// Unused by the kernel.
    pub y_pixels: u16,
}

/// `struct statx_timestamp`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatxTime {
    /// Seconds since 1970.
    pub secs: i64,
    /// Nanoseconds of the second.
    pub nanos: u32,
    reserved: i32,
}

/// `struct statx`, statx(2): the same on every architecture.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Statx {
    /// Which fields are filled.
    pub mask: u32,
    /// Preferred block size.
    pub blksize: u32,
    /// File attributes.
    pub attributes: u64,
    /// Number of hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Kind and permissions.
    pub mode: u16,
    spare0: u16,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes that are allocated.
    pub blocks: u64,
    /// Which attributes are supported.
    pub attributes_mask: u64,
    /// Last access.
    pub atime: StatxTime,
    /// Creation.
    pub btime: StatxTime,
    /// Last change of status.
    pub ctime: StatxTime,
    /// Last change of content.
    pub mtime: StatxTime,
    /// The device that this node stands for.
    pub rdev_major: u32,
    /// The device that this node stands for.
    pub rdev_minor: u32,
    /// The device that holds the file.
    pub dev_major: u32,
    /// The device that holds the file.
    pub dev_minor: u32,
    /// The mount's ID.
    pub mnt_id: u64,
    spare: [u64; 13],
}
