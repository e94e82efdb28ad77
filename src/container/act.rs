//! Carrying out the plan's actions, one by one, in the container's first process.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::confine::heed;
use super::paths::{device, make_working_directory, working_directory};
use super::plan::{self, Action, Entered, Step};
use super::process as known;
use super::readback::Rights;
use super::user::{self, Identity, Wanted};
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::keep;
use crate::kernel::loopdev;
use crate::kernel::mounts::{self, Kind, Tree};
use crate::kernel::netlink::{Datagram, Socket, link};
use crate::kernel::security::{caps, lsm};
use crate::kernel::{tty, users};
use crate::sys::cold::Gate;
use crate::sys::fd::{self, CWD, Fd, FdRef};
use crate::sys::ledger::Role;
use crate::sys::process::Side;
use crate::sys::security::{self, Capabilities};
use crate::sys::uapi::WindowSize;
use crate::sys::users::is_confined;
use crate::sys::{because, file, mount, net, process, procfs, terminal};

/// What the actions need besides themselves, and what they leave behind.
pub struct Actor<'a> {
    /// Who the workload is to be.
    pub wanted: Wanted<'a>,
    /// The specification's user and group, if nothing else was wanted.
    pub default_user: (u32, u32),
    /// Supplementary groups by number, from the specification.
    pub groups: &'a [u32],
    /// The size of the user's terminal.
    pub size: Option<WindowSize>,
    /// The channel to the process that cloned this one.
    pub channel: &'a Fd,
    /// Who the workload turned out to be.
    pub identity: Identity,
    /// Whether groups can't be changed, as in a user namespace without `newgidmap`; the container's `/proc` does not tell.
    keeps_groups: bool,
    /// What the workload may do.
    pub rights: Rights,
    /// What tells what this process may do, opened while the container had no say in what that is.
    pub status: Option<Fd>,
    trees: Vec<Option<Tree>>,
    /// The container's null device, once something is hidden behind it.
    null: Option<Fd>,
    /// The container's user namespace, while it is not entered yet.
    pub users: Option<Fd>,
}

/// Becomes root of the user namespace that this process has entered: so far it is nobody there, though nothing is forbidden to it.
fn become_root() -> Result<()> {
    security::setgroups(&[])?;
    security::setresgid(0)?;
    security::setresuid(0)
}

static COLD_GATE_APPARMOR: Gate<fn(&str) -> Result<()>> = Gate(lsm::apparmor);

/// The message that carries the terminal's master side.
pub const TERMINAL: u8 = b'T';
/// The message that says that the workload is about to be executed.
pub const READY: u8 = b'R';
/// The message to the first process that it may become the workload.
pub const GO: u8 = b'G';
/// The message that another process is going to be the workload: its number, the lowest byte first.
pub const HEIR: u8 = b'H';
/// The message that carries the first process's network namespace.
pub const NAMESPACE: u8 = b'N';
/// The message that carries an error's wire form.
pub const ERROR: u8 = b'E';

impl<'a> Actor<'a> {
    /// An actor that has done nothing yet.
    #[must_use]
    pub fn new(wanted: Wanted<'a>, channel: &'a Fd) -> Actor<'a> {
        Actor {
            wanted,
            default_user: (0, 0),
            groups: &[],
            size: None,
            channel,
            identity: Identity::default(),
            keeps_groups: is_confined() && users::keeps_groups(),
            rights: Rights::default(),
            status: None,
            trees: Vec::new(),
            null: None,
            users: None,
        }
    }

    /// Carries out all steps in order.
    ///
    /// # Errors
    /// The first that fails.
    pub fn perform(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            let _why = because(step.why);
            #[cfg(feature = "weakened")]
            let step = &Step { why: step.why, action: super::weakened::late(&step.action)? };
            self.act(&step.action).map_err(|error| error.because(step.why))?;
        }
        Ok(())
    }

    #[inline(never)]
    fn act(&mut self, action: &Action) -> Result<()> {
        match *action {
            Action::Join { path, kind } => {
                let join = |namespace: Fd| process::setns(namespace.by_ref(), kind);
                file::open(CWD, path, libc::O_RDONLY).and_then(join).map_err(|error| {
                    Error::os(error.errno(), phrase!("join the namespace"), keep::lossy(path.to_bytes()))
                        .hint(phrase!("--network ns:PATH takes a network namespace that is there"))
                })
            }
            Action::Take { slot, source, recursive } => {
                self.hold(slot, Tree::take(source, recursive)?);
                Ok(())
            }
            Action::Users { uids, gids } => {
                self.users = Some(users::make(uids, gids)?);
                Ok(())
            }
            Action::MapOwners { slot } => {
                let mapped = self.tree(slot)?.map_owners(self.users()?);
                mapped.map_err(|error| {
                    error.hint(phrase!("the file system or the kernel (before 5.12) can't map owners"))
                })
            }
            Action::Place { slot, target } => self.tree(slot)?.put(target),
            Action::EnterUsers { kinds, directory } => self.enter_users(kinds, directory),
            Action::EnterTree { slot } => {
                self.tree(slot)?.go_into()?;
                mounts::enter()
            }
            Action::Make { slot, kind, options } => {
                self.hold(slot, Tree::make(kind, options)?);
                Ok(())
            }
            Action::Attach { slot, target, options } => match self.trees.get_mut(slot).and_then(Option::take) {
                Some(tree) => tree.attach(target, options),
                None => Err(Error::new(phrase!("the plan attaches a tree that it did not take"))),
            },
            Action::Fill { slot, path } => self.tree(slot)?.fill_from(path),
            Action::EnterRoot { target } => {
                mounts::carry(&mut self.trees, target)?;
                file::chdir(target)?;
                if weak!("root") { Ok(()) } else { mounts::enter() }
            }
            Action::Mask { path } => mounts::mask(path, &mut self.null),
            Action::Enter { container, kinds } => {
                enter(container, kinds)?;
                if kinds & libc::CLONE_NEWUSER == 0 {
                    return Ok(());
                }
                // The host tells its own IDs.
                self.rights.other_ids = true;
                become_root()
            }
            Action::Console { first } => self.console(first),
            Action::Become { bounding, effective, permitted, inheritable, ambient, temporary } => {
                let sets = Capabilities { effective, permitted, inheritable };
                self.become_user(bounding, sets, ambient, temporary)
            }
            Action::WorkingDirectory { path } => working_directory(path),
            Action::AppArmor { profile, best_effort } => {
                heed(best_effort, self.channel, COLD_GATE_APPARMOR.open().and_then(|apparmor| apparmor(profile)))
            }
            // The last thing, which comes when all else is done.
            Action::Confine(_) => Ok(()),
            Action::NoNewPrivileges => {
                self.rights.no_new_privileges = true;
                process::prctl_no_new_privs()
            }
            _ => simple(action),
        }
    }

    /// Opens what tells what this process may do.
    ///
    /// # Errors
    /// open(2).
    pub fn open_status(&mut self) -> Result<()> {
        self.status = match file::open(CWD, c"/proc/self/status", libc::O_RDONLY) {
            Err(error) if error.is(Errno::ENOENT) => None,
            result => Some(result?),
        };
        Ok(())
    }

    fn tree(&self, slot: usize) -> Result<&Tree> {
        let missing = || Error::new(phrase!("the plan uses a tree that it did not take"));
        self.trees.get(slot).and_then(Option::as_ref).ok_or_else(missing)
    }

    /// The container's user namespace.
    fn users(&self) -> Result<FdRef<'_>> {
        let missing = || Error::new(phrase!("the plan enters a user namespace that it did not make"));
        self.users.as_ref().map(Fd::by_ref).ok_or_else(missing)
    }

    /// Goes on as a process that is root in the user namespace. It takes this one's place with the parent.
    fn enter_users(&mut self, kinds: i32, directory: &CStr) -> Result<()> {
        // There the root is going to be, whose way may be closed to the other process.
        file::chdir(directory)?;
        process::setns(self.users()?, libc::CLONE_NEWUSER)?;
        let (announced, announce) = file::pipe()?;
        if let Side::Parent(pid) = process::clone(kinds | libc::CLONE_PARENT, Role::Container)? {
            let [a, b, c, d] = pid.to_le_bytes();
            net::send(self.channel.by_ref(), &[HEIR, a, b, c, d], None)?;
            file::write_all(announce.by_ref(), b"1")?;
            process::exit(0);
        }
        process::prctl_die_with_parent(libc::SIGKILL)?;
        process::setsid()?;
        drop(announce);
        // Whatever it says comes after the parent was told who it is.
        if file::read(announced.by_ref(), &mut [0])? == 0 {
            process::exit(EXIT_FAILURE);
        }
        self.users = None;
        become_root()?;
        // It tells of another process than before.
        self.open_status()
    }

    fn hold(&mut self, slot: usize, tree: Tree) {
        while self.trees.len() <= slot {
            self.trees.push(None);
        }
        self.trees[slot] = Some(tree);
    }

    /// Makes the pseudo-terminal, hands its master side to the process outside, and takes the other as standard files. What
    /// enters a container does not keep it: it would hang up when this process ends.
    fn console(&mut self, first: bool) -> Result<()> {
        let pair = tty::open_pair(self.size)?;
        if first {
            let console = mounts::make(c"/dev/console", Kind::File)?;
            mounts::put(&pair.slave, &console)?;
        }
        net::send(self.channel.by_ref(), &[TERMINAL], Some(pair.master.by_ref()))?;
        if first {
            terminal::make_controlling(pair.slave.by_ref())?;
        }
        for standard in [fd::STDIN, fd::STDOUT, fd::STDERR] {
            file::put_in_place(pair.slave.by_ref(), standard)?;
        }
        Ok(())
    }

    /// Becomes the workload's user. The order matters: the bounding set while `CAP_SETPCAP` is there, groups before the user
    /// while `CAP_SETGID` is, the rest last. `temporary` is kept until the workload is executed: being in none of the sets that
    /// outlast that, it ends then, capabilities(7).
    #[inline(never)]
    fn become_user(&mut self, bounding: u64, sets: Capabilities, ambient: u64, temporary: u64) -> Result<()> {
        self.identity = user::resolve(&self.wanted, self.default_user)?;
        self.identity.groups.extend_from_slice(self.groups);
        let Identity { uid, gid, ref mut groups, .. } = self.identity;
        // To the kernel the last ID is none: nothing would change, and root stay root, setresuid(2).
        if (uid == u32::MAX || gid == u32::MAX || groups.contains(&u32::MAX)) && !weak!("ids") {
            return Err(Error::new(phrase!(
                "process.user: an ID is 4294967295, which stands for no user and no group"
            )));
        }
        // So that no program with a set-group-ID bit takes it away from the workload (CVE-2022-36109).
        if !self.keeps_groups && !groups.contains(&gid) {
            groups.push(gid);
        }
        for capability in 0..64 {
            if bounding & 1 << capability == 0 && !security::drop_from_bounding_set(capability)? {
                break;
            }
        }
        // Another user than root keeps none unless they are ambient.
        let own = if uid == 0 || ambient != 0 { sets } else { Capabilities::default() };
        let keep = uid != 0 && own.permitted | temporary != 0;
        if keep || weak!("inheritable") {
            process::prctl_keep_capabilities()?;
        }
        match if weak!("groups") { Ok(()) } else { security::setgroups(groups) } {
            // Nobody with the right to it has mapped groups; then there are none that could be given away.
            Err(error) if error.is(Errno::EPERM) && groups.is_empty() && self.keeps_groups => {
                self.rights.keeps_groups = true;
            }
            result => result.map_err(unmapped)?,
        }
        security::setresgid(gid).map_err(unmapped)?;
        if uid != 0 && terminal::modes(fd::STDIN).is_ok() && file::stat(CWD, c"/dev/console").is_ok() {
            let _ = file::chown(fd::STDIN, uid, u32::MAX);
        }
        security::setresuid(uid).map_err(unmapped)?;
        let wanted = Capabilities {
            effective: (own.effective | temporary) & caps::ALL,
            permitted: (own.permitted | temporary) & caps::ALL,
            inheritable: if weak!("inheritable") { bounding & sets.permitted } else { own.inheritable } & caps::ALL,
        };
        // Also where setresuid(2) takes all: whoever started vial may have it not do so (`SECBIT_NO_SETUID_FIXUP`).
        security::capset(wanted).map_err(|error| capability_hint(error, sets.permitted))?;
        self.rights.sets = [wanted.inheritable, wanted.permitted, wanted.effective, bounding, ambient];
        security::clear_ambient_set()?;
        (0..64).filter(|number| ambient & 1 << number != 0).try_for_each(security::raise_ambient)
    }
}

/// Namespaces in the order in which they are entered one by one, as `/proc` calls them.
const KINDS: [(&str, i32); 7] = [
    ("user", libc::CLONE_NEWUSER),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("net", libc::CLONE_NEWNET),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("pid", libc::CLONE_NEWPID),
    ("mnt", libc::CLONE_NEWNS),
];

/// Moves to the namespaces of a container's process: all at once where the kernel can (Linux 5.8).
fn enter(container: Entered, kinds: i32) -> Result<()> {
    let held = FdRef::from_number(container.held);
    let mut kinds = kinds;
    if is_confined() {
        // Whoever is not the host's root can't go where it is already, if that is the host's.
        for (name, kind) in KINDS {
            let inode = |whose: &str| -> Result<u64> {
                Ok(file::stat_follow(CWD, file::path(join!("/proc/{}/ns/{}", whose, name))?)?.ino)
            };
            if inode("self")? == inode(join!("{}", container.pid))? {
                kinds &= !kind;
            }
        }
    }
    match process::setns(held, kinds) {
        Err(error) if [Errno::EINVAL, Errno::EBADF].contains(&error.errno()) => {}
        result => return result,
    }
    let mut namespaces = Vec::with_capacity(8);
    for (name, kind) in KINDS.into_iter().filter(|(_, kind)| kinds & kind != 0) {
        let path = file::path(join!("/proc/{}/ns/{}", container.pid, name))?;
        namespaces.push((file::open(CWD, path, libc::O_RDONLY)?, kind));
    }
    if !known::is_alive(container.pid, container.then) {
        return Err(Error::os(Errno::ESRCH, phrase!("find the container's first process"), ""));
    }
    namespaces.iter().try_for_each(|(namespace, kind)| process::setns(namespace.by_ref(), *kind))
}

/// Actions that need nothing but themselves.
#[inline(never)]
fn simple(action: &Action) -> Result<()> {
    match *action {
        Action::Private => mounts::make_private(),
        Action::Image { file } => loopdev::mount_image(file, plan::MOUNTED, plan::NODE),
        Action::Overlay { target, data, volatile, owner: (0, 0) } => overlay(target, data, volatile),
        Action::Overlay { target, data, volatile, owner: (uid, gid) } => {
            // The overlay keeps the rights of whoever mounts it, and makes files as that one.
            security::own_files_as(uid, gid)?;
            overlay(target, data, volatile)?;
            security::own_files_as(0, 0)
        }
        Action::BindRoot { source, target } => {
            mount::mount(Some(source), target, None, libc::MS_BIND | libc::MS_REC, None)
        }
        Action::Filesystem { source, kind, target, flags, data } => {
            mounts::filesystem(source, kind, target, flags, data)
        }
        Action::Directory { path } => file::mkdir_if_missing(CWD, path, 0o755),
        Action::Device { path, mode, major, minor, owner } => device(path, mode, (major, minor), owner),
        Action::Link { target, path } => match file::symlink(target, CWD, path) {
            Err(error) if error.is(Errno::EEXIST) => Ok(()),
            result => result,
        },
        Action::MakeWorkingDirectory { path } => make_working_directory(path),
        Action::ReadOnly { path } => mounts::read_only(path),
        Action::Seal { path } => mounts::seal(path),
        Action::HostName { name } => process::sethostname(name),
        Action::DomainName { name } => process::setdomainname(name),
        Action::Loopback => {
            let mut datagram = Datagram::default();
            datagram.up(link::LOOPBACK);
            datagram.acknowledge();
            Socket::route()?.request(&mut datagram, phrase!("set the loopback interface up"))
        }
        Action::Sysctl { path, value } => sysctl(path, value).map_err(|error| {
            if error.is(Errno::ENOENT) {
                error.hint(phrase!("--sysctl: the kernel has no such parameter, or not in this namespace"))
            } else {
                error
            }
        }),
        Action::OomScore { value } => {
            file::write_value(CWD, c"/proc/self/oom_score_adj", join!("{}", value).as_bytes()).map_err(|error| {
                if error.is(Errno::EACCES) {
                    error.hint(phrase!("--oom-score-adj: a value below vial's own needs CAP_SYS_RESOURCE"))
                } else {
                    error
                }
            })
        }
        Action::Limit { name, resource, soft, hard } => {
            process::set_rlimit(resource, soft, hard).map_err(|error| limit_hint(error.errno(), name, resource))
        }
        _ => Err(Error::new(phrase!("the plan holds an action that needs an actor"))),
    }
}

/// Sets a kernel parameter, by its path in the kernel's own `/proc`.
fn sysctl(path: &str, value: &str) -> Result<()> {
    file::write_one_of_values(procfs::open(path)?.by_ref(), file::path(path)?, value.as_bytes())
}

/// Mounts the layers. Without `volatile` (Linux 5.10) the unmount waits until all that the host has written is on the disk,
/// whoever wrote it.
fn overlay(target: &CStr, data: &CStr, volatile: bool) -> Result<()> {
    let mount = |data: &CStr| mount::mount(Some(c"overlay"), target, Some(c"overlay"), 0, Some(data));
    if volatile {
        match mount(file::path([data.to_bytes(), b",volatile"].concat())?) {
            Err(error) if error.is(Errno::EINVAL) => {}
            result => return result.map_err(overlay_hint),
        }
    }
    mount(data).map_err(overlay_hint)
}

fn overlay_hint(error: Error) -> Error {
    match error.errno() {
        Errno::ENODEV => error
            .hint(phrase!("the kernel has no overlay file system (CONFIG_OVERLAY_FS); --storage copy does without")),
        Errno::EINVAL if is_confined() => error.hint(phrase!(
            "a normal user can't have what is mounted below it left out of a directory, such as the host's root: name one without, or run vial as root; or the store's file system can't hold an overlay (--storage copy, Linux 5.11)"
        )),
        Errno::EINVAL => error.hint(phrase!(
            "the store's file system can't hold an overlay; --root DIR puts it elsewhere, --storage copy does without"
        )),
        _ => error,
    }
}

/// Tells what an ID lacks in a user namespace.
fn unmapped(error: Error) -> Error {
    if is_confined() { error.hint(users::UNMAPPED) } else { error }
}

fn capability_hint(error: Error, wanted: u64) -> Error {
    let missing = security::capget().map_or(0, |own| wanted & !own.permitted);
    match caps::name(missing.trailing_zeros() as u8) {
        Some(name) => error.hint(say!("vial itself lacks {}, so it can't grant it", name)),
        None => error,
    }
}

fn limit_hint(errno: Errno, name: &str, resource: u32) -> Error {
    let error = Error::os(errno, phrase!("set the resource limit"), say!("{} (--ulimit)", name.to_ascii_lowercase()));
    match process::get_rlimit(resource) {
        Ok((_, hard)) if error.is(Errno::EPERM) => {
            error.hint(say!("vial's own hard limit is {}, and raising it needs CAP_SYS_RESOURCE", hard))
        }
        _ => error,
    }
}
