//! What is tried, each in a process of its own that ends with it: nothing is left of what it makes.

use core::ffi::CStr;

use super::{Feature, Need};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::text;
use crate::kernel::cgroup::{Group, GroupPath, Hierarchies};
use crate::kernel::mounts::{Tree, make_private};
use crate::kernel::netlink::link::{self, New};
use crate::kernel::netlink::nft::Filter;
use crate::kernel::netlink::{Datagram, Socket};
use crate::kernel::security::{caps, lsm};
use crate::kernel::users;
use crate::network::bridge;
use crate::sys::fd::CWD;
use crate::sys::ledger::Role;
use crate::sys::process::{Ended, Side};
use crate::sys::uapi::MountAttr;
use crate::sys::{bpf, file, mount, process, security, users as confined};

/// Where something is mounted, out of everybody else's sight: a directory that every system has.
const PLACE: &CStr = c"/proc";

macro_rules! features {
    ($($name:literal $needed:ident $inside:expr, $probe:expr, $options:literal, $without:expr;)*) => {
        /// Everything, in the order in which it is shown.
        pub(super) const FEATURES: &[Feature] = &[$(Feature {
            name: $name,
            needed: $needed,
            inside: $inside,
            probe: $probe,
            options: $options,
            without: $without,
        }),*];
    };
}

const MOUNTS: i32 = libc::CLONE_NEWNS;
const NETWORK: i32 = libc::CLONE_NEWNET;
/// Who can't have a plain `run` without it.
#[expect(non_upper_case_globals, reason = "words in a table")]
const needed: Need = Need::All;
#[expect(non_upper_case_globals, reason = "words in a table")]
const by_root: Need = Need::Root;
#[expect(non_upper_case_globals, reason = "words in a table")]
const optional: Need = Need::Nobody;

features! {
    "capabilities of root"      needed   0, rights, "", phrase!("what takes a right that is missing is refused");
    "mount namespaces"          needed   MOUNTS, fine, "CONFIG_NAMESPACES", phrase!("no container");
    "UTS namespaces"            needed   libc::CLONE_NEWUTS, fine, "CONFIG_UTS_NS", phrase!("only --uts host");
    "IPC namespaces"            needed   libc::CLONE_NEWIPC, fine, "CONFIG_IPC_NS", phrase!("only --ipc host");
    "PID namespaces"            needed   libc::CLONE_NEWPID, fine, "CONFIG_PID_NS", phrase!("only --pid host");
    "network namespaces"        needed   NETWORK, fine, "CONFIG_NET_NS", phrase!("only --network host");
    "control group namespaces"  optional libc::CLONE_NEWCGROUP, fine, "CONFIG_CGROUPS, Linux 4.6", phrase!("containers see where the host has them");
    "user namespaces"           optional libc::CLONE_NEWUSER, fine, "CONFIG_USER_NS", phrase!("neither --userns nor vial as a normal user");
    "time namespaces"           optional NEW_TIME, fine, "CONFIG_TIME_NS, Linux 5.6", phrase!("no linux.timeOffsets");
    "tmpfs"                     needed   MOUNTS, || mounted(c"tmpfs"), "CONFIG_TMPFS", phrase!("no container");
    "proc"                      needed   MOUNTS | libc::CLONE_NEWPID, proc, "CONFIG_PROC_FS", phrase!("no container");
    "sysfs"                     needed   MOUNTS | NETWORK, || mounted(c"sysfs"), "CONFIG_SYSFS", phrase!("no container");
    "devpts"                    needed   MOUNTS, || mounted(c"devpts"), "CONFIG_UNIX98_PTYS", phrase!("no container");
    "mqueue"                    needed   MOUNTS | libc::CLONE_NEWIPC, || mounted(c"mqueue"), "CONFIG_POSIX_MQUEUE", phrase!("no container");
    "overlay"                   needed   MOUNTS, overlay, "CONFIG_OVERLAY_FS", phrase!("only --storage copy or btrfs");
    "squashfs"                  optional MOUNTS, || known(c"squashfs"), "CONFIG_SQUASHFS", phrase!("no such images");
    "erofs"                     optional MOUNTS, || known(c"erofs"), "CONFIG_EROFS_FS", phrase!("no such images");
    "ext4"                      optional MOUNTS, || known(c"ext4"), "CONFIG_EXT4_FS", phrase!("no such images");
    "btrfs"                     optional MOUNTS, || known(c"btrfs"), "CONFIG_BTRFS_FS", phrase!("no --storage btrfs");
    "loop devices"              optional 0, || opens(c"/dev/loop-control"), "CONFIG_BLK_DEV_LOOP", phrase!("no file system images");
    "mounts with mapped owners" optional 0, mapped_owners, "Linux 5.12, 5.19 for overlay", phrase!("--userns copies the layers");
    "control groups"            needed   0, control_groups, "CONFIG_CGROUPS, mounted on /sys/fs/cgroup", phrase!("only --best-effort: no limit, no pause, no count of what is used");
    "memory limits"             optional 0, || controller(&["memory"]), "CONFIG_MEMCG, on some kernels cgroup_enable=memory", phrase!("--memory and its like are refused");
    "processor limits"          optional 0, || controller(&["cpu"]), "CONFIG_CGROUP_SCHED, CONFIG_CFS_BANDWIDTH", phrase!("--cpus and --cpu-shares are refused");
    "process limits"            optional 0, || controller(&["pids"]), "CONFIG_CGROUP_PIDS", phrase!("--pids-limit is refused");
    "choice of processors"      optional 0, || controller(&["cpuset"]), "CONFIG_CPUSETS", phrase!("--cpuset-cpus and --cpuset-mems are refused");
    "disk limits"               optional 0, || controller(&["io", "blkio"]), "CONFIG_BLK_CGROUP", phrase!("--device-read-bps and its like are refused");
    // No file system that a normal user mounts has devices.
    "device rules"              by_root  0, devices, "CONFIG_CGROUP_DEVICE, on version 2 CONFIG_CGROUP_BPF", phrase!("only --best-effort or --privileged");
    "seccomp filters"           needed   0, filters, "CONFIG_SECCOMP_FILTER", phrase!("only --security-opt seccomp=unconfined");
    "seccomp notification"      optional 0, notification, "Linux 5.0", phrase!("no SCMP_ACT_NOTIFY");
    "Landlock"                  optional 0, || security::landlock_version().map(drop), "CONFIG_SECURITY_LANDLOCK, Linux 5.13", phrase!("--landlock is refused");
    "AppArmor"                  optional 0, || is_there(lsm::has_apparmor()), "CONFIG_SECURITY_APPARMOR", phrase!("apparmor= is refused");
    "SELinux"                   optional 0, || is_there(lsm::has_selinux()?), "CONFIG_SECURITY_SELINUX", phrase!("label= is refused");
    "bridges"                   needed   NETWORK, bridges, "CONFIG_BRIDGE", phrase!("only --network none or host");
    "veth"                      needed   NETWORK, || pair().map(drop), "CONFIG_VETH", phrase!("only --network none or host");
    "macvlan"                   optional NETWORK, macvlan, "CONFIG_MACVLAN", phrase!("no network of that driver");
    "packet filters"            optional NETWORK, packet_filters, "CONFIG_NF_TABLES, NFT_CT, NFT_NAT, NFT_MASQ, NFT_FIB_IPV4, NF_CT_NETLINK", phrase!("no port is published, nothing leads out of a bridge");
    "IPv6"                      optional 0, || is_there(bridge::has_ipv6()), "CONFIG_IPV6", phrase!("networks have IPv4 alone");
    "tun"                       optional 0, || opens(c"/dev/net/tun"), "CONFIG_TUN", phrase!("a normal user's containers have no network");
    "openat2"                   optional 0, || file::openat2(CWD, c"/", libc::O_PATH, 0).map(drop), "Linux 5.6", phrase!("paths are walked name by name");
    "open_tree, move_mount"     optional MOUNTS, || mount::open_tree(CWD, c"/", true).map(drop), "Linux 5.2", phrase!("mount(2) does it");
    "fsopen, fsmount"           optional MOUNTS, || mount::fsopen(c"tmpfs").map(drop), "Linux 5.2", phrase!("mount(2) does it");
    "mount_setattr"             optional MOUNTS, attributes, "Linux 5.12", phrase!("mounts are made read-only one by one");
    "clone3"                    optional 0, clone3, "Linux 5.7", phrase!("processes are moved to their control group");
    "pidfd_open"                optional 0, || process::pidfd_open(process::getpid()).map(drop), "Linux 5.3", phrase!("processes are known by number and start time");
    "close_range"               optional 0, || file::close_range(1 << 20, i32::MAX), "Linux 5.9", phrase!("files are closed one by one");
    "memfd_create"              optional 0, || file::in_memory().map(drop), "CONFIG_MEMFD_CREATE", phrase!("no exec, no vial oci");
}

/// `CLONE_NEWTIME`, which unshare(2) alone takes.
const NEW_TIME: i32 = 0x80;

/// Makes a user namespace where this user is root, and goes there.
pub(super) fn become_root() -> Result<()> {
    let (uid, gid) = (process::geteuid(), process::getegid());
    process::unshare(libc::CLONE_NEWUSER).map_err(users::refused)?;
    confined::entered();
    users::map_alone(uid, gid)
}

/// That there are the namespaces is all.
#[expect(clippy::unnecessary_wraps, reason = "it is one of many")]
fn fine() -> Result<()> {
    Ok(())
}

/// What it is when nothing says why.
fn is_there(there: bool) -> Result<()> {
    if there { Ok(()) } else { Err(Error::new(phrase!("it is not there, or turned off"))) }
}

/// Capabilities that a plain run uses.
const RIGHTS: [&str; 12] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_ADMIN",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_ADMIN",
    "MKNOD",
];

fn rights() -> Result<()> {
    if process::geteuid() != 0 {
        become_root()?;
    }
    let own = security::capget()?.effective;
    let lacks = |name: &&&str| caps::number(name).is_none_or(|number| own >> number & 1 == 0);
    match RIGHTS.iter().find(lacks) {
        Some(name) => Err(Error::new(say!("CAP_{} is missing", *name))),
        None => Ok(()),
    }
}

fn mounted(kind: &CStr) -> Result<()> {
    make_private()?;
    mount::mount(Some(kind), PLACE, Some(kind), 0, None)
}

/// What is mounted shows the processes of the namespace of who mounts it, which only a new process is in.
fn proc() -> Result<()> {
    match process::clone(0, Role::Helper)? {
        Side::Child => process::exit(mounted(c"proc").err().map_or(0, |error| error.errno().0 as u8)),
        Side::Parent(pid) => match process::wait(Some(pid), true)?.map(|waited| waited.ended) {
            Some(Ended::Exited(0)) => Ok(()),
            Some(Ended::Exited(number)) => {
                Err(Error::os(Errno(number.into()), phrase!("mount proc on"), PLACE.to_string_lossy()))
            }
            _ => is_there(false),
        },
    }
}

fn overlay() -> Result<()> {
    // What it keeps about files is trusted in the host's own namespace only.
    let attributes = confined::is_confined();
    mounted(c"tmpfs")?;
    for name in [c"/proc/lower", c"/proc/upper", c"/proc/work", c"/proc/merged"] {
        file::mkdir(CWD, name, 0o700)?;
    }
    let options = if attributes {
        c"lowerdir=/proc/lower,upperdir=/proc/upper,workdir=/proc/work,userxattr"
    } else {
        c"lowerdir=/proc/lower,upperdir=/proc/upper,workdir=/proc/work"
    };
    mount::mount(Some(c"overlay"), c"/proc/merged", Some(c"overlay"), 0, Some(options))
}

/// A file system that is on a disk is known if the kernel misses the disk, and not the file system.
fn known(kind: &CStr) -> Result<()> {
    make_private()?;
    match mount::mount(Some(c"none"), PLACE, Some(kind), libc::MS_RDONLY, None) {
        Err(error) if error.is(Errno::ENODEV) => Err(error),
        _ => Ok(()),
    }
}

fn opens(path: &CStr) -> Result<()> {
    file::open(CWD, path, libc::O_RDWR).map(drop)
}

fn mapped_owners() -> Result<()> {
    if process::geteuid() != 0 {
        return Err(Error::new(phrase!("only root can map the owners of the host's mounts")));
    }
    let users = users::make("0 100000 1", "0 100000 1")?;
    Tree::take(c"/", false)?.map_owners(users.by_ref(), false)
}

fn control_groups() -> Result<()> {
    let hierarchies = Hierarchies::detect()?;
    if hierarchies.is_none() {
        return is_there(false);
    }
    let path = GroupPath::new(join!("vial-check-{}", process::getpid()))?;
    let (group, _) = Group::create_everywhere(&hierarchies, &Value::default(), path, true)?;
    group.remove()
}

/// Any of these controllers.
fn controller(names: &[&str]) -> Result<()> {
    let hierarchies = Hierarchies::detect()?;
    is_there(hierarchies.iter().any(|hierarchy| names.iter().any(|name| hierarchy.has(name))))
}

fn devices() -> Result<()> {
    /// `BPF_PROG_TYPE_CGROUP_DEVICE`, and a program that allows everything: `r0 = 1; exit`.
    const KIND: u32 = 15;
    const PROGRAM: &[u64] = &[0x1_0000_00b7, 0x95];
    if controller(&["devices"]).is_ok() {
        return Ok(());
    }
    if Hierarchies::detect()?.v2().is_none() {
        return is_there(false);
    }
    bpf::load(KIND, PROGRAM).map(drop)
}

fn filters() -> Result<()> {
    /// `SECCOMP_RET_ALLOW`.
    const ALLOW: u64 = 0x06 | 0x7fff_0000 << 32;
    process::prctl_no_new_privs()?;
    security::seccomp_set(0, &[ALLOW]).map(drop)
}

fn notification() -> Result<()> {
    is_there(security::seccomp_knows(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32))
}

fn bridges() -> Result<()> {
    let mut datagram = Datagram::default();
    datagram.bridge(&New { name: "check", ..New::default() });
    datagram.acknowledge();
    Socket::route()?.request(&mut datagram, phrase!("make a bridge"))
}

/// Makes a pair of interfaces, both here, one of them at a bridge.
fn pair() -> Result<Socket> {
    bridges()?;
    let (socket, own) = (Socket::route()?, file::open(CWD, c"/proc/self/ns/net", libc::O_RDONLY)?);
    let over = link::find(&socket, "check", 0)?.unwrap_or_default().index;
    let mut datagram = Datagram::default();
    datagram.pair("check1", &New { name: "check0", over, namespace: own.number(), ..New::default() });
    datagram.acknowledge();
    socket.request(&mut datagram, phrase!("make a pair of interfaces"))?;
    Ok(socket)
}

fn macvlan() -> Result<()> {
    let (socket, own) = (pair()?, file::open(CWD, c"/proc/self/ns/net", libc::O_RDONLY)?);
    let over = link::find(&socket, "check1", 0)?.unwrap_or_default().index;
    let mut datagram = Datagram::default();
    datagram.macvlan(&New { name: "check2", over, namespace: own.number(), ..New::default() });
    datagram.acknowledge();
    socket.request(&mut datagram, phrase!("make a macvlan"))
}

fn packet_filters() -> Result<()> {
    let subnet = text::address("192.0.2.0").unwrap_or_default();
    let mut datagram = Datagram::default();
    datagram.begin_batch();
    datagram.filter(&Filter { bridge: "check", internal: false }, &subnet, 24);
    datagram.end_batch();
    Socket::netfilter()?.request(&mut datagram, phrase!("set up the packet filter"))
}

fn attributes() -> Result<()> {
    make_private()?;
    mounted(c"tmpfs")?;
    mount::mount_setattr(CWD, PLACE, &MountAttr::default(), true)
}

/// A file that is no control group's directory is refused as such, by a kernel that knows the call.
fn clone3() -> Result<()> {
    let none = file::open(CWD, c"/", libc::O_RDONLY)?;
    match process::clone_into(none.by_ref(), 0, Role::Helper) {
        Err(error) if error.is(Errno::EBADF) => Ok(()),
        Err(error) => Err(error),
        Ok(Side::Child) => process::exit(0),
        Ok(Side::Parent(pid)) => process::wait(Some(pid), true).map(drop),
    }
}
