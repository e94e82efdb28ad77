//! Carrying out the plan's actions, one by one, in the container's first process.

mod simple;

use alloc::vec::Vec;
use core::ffi::CStr;

use super::confine::heed;
use super::gift;
use super::hooks::{self, Stage};
use super::join::{become_root, enter};
use super::paths::{own_standard_files, working_directory};
use super::plan::{Action, Rare, Step};
use super::readback::Rights;
use super::run::Engine;
use super::user::{self, Identity, Wanted};
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::keep;
use crate::kernel::mounts::{self, Kind, Tree};
use crate::kernel::security::{caps, lsm};
use crate::kernel::{tty, users};
use crate::sys::cold::Gate;
use crate::sys::fd::{self, CWD, Fd, FdRef};
use crate::sys::ledger::Role;
use crate::sys::process::Side;
use crate::sys::security::{self, Capabilities};
use crate::sys::uapi::WindowSize;
use crate::sys::users::is_confined;
use crate::sys::{because, file, net, process, terminal};

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
    /// What an engine asks for.
    pub engine: Engine<'a>,
    /// Whether it is in the workload's directory already.
    is_there: bool,
    /// This process as the host sees it, once hooks need to know.
    pub outer_pid: u32,
    /// The host's root, and the directory of before, while they are in reach.
    outside: Option<[Fd; 2]>,
    /// Whether the process that cloned this one wants the network namespace in hand.
    pub shows_network: bool,
}

/// The root and the current directory.
fn places() -> Result<[Fd; 2]> {
    let open = |path: &CStr| file::open(CWD, path, libc::O_PATH | libc::O_DIRECTORY);
    Ok([open(c"/")?, open(c".")?])
}

static COLD_GATE_OCI: Gate<fn(&mut Actor<'_>, &Rare) -> Result<()>> = Gate(super::rare::act);
static COLD_GATE_SELDOM: Gate<fn(&str) -> Result<()>> = Gate(lsm::apparmor);
static COLD_GATE_SELDOM_LABEL: Gate<fn(&str) -> Result<()>> = Gate(lsm::selinux);

/// The message that carries the terminal's master side.
pub const TERMINAL: u8 = b'T';
/// The message that says that the workload is about to be executed.
pub const READY: u8 = b'R';
/// The message to the first process that it may become the workload.
pub const GO: u8 = b'G';
/// The message that the hooks are to be run that see the container before it lets go of the host's root.
pub const MEET: u8 = b'M';
/// The message that the first process is all that the workload is to be, and waits to be started.
pub const CREATED: u8 = b'C';
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
            engine: Engine::default(),
            is_there: false,
            outer_pid: 0,
            outside: None,
            shows_network: false,
        }
    }

    /// Hands the network namespace to the process that connects it.
    ///
    /// # Errors
    /// open(2), sendmsg(2).
    pub fn show_network(&self) -> Result<()> {
        let _why = because!(
            "hand the network namespace to vial: once this is closed to tracing nobody but root could open it"
        );
        let namespace = file::open(CWD, c"/proc/self/ns/net", libc::O_RDONLY)?;
        net::send(self.channel.by_ref(), &[NAMESPACE], Some(namespace.by_ref()))
    }

    /// Carries out all steps in order.
    ///
    /// # Errors
    /// The first that fails.
    pub fn perform(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            let _why = because(step.why);
            if self.engine.exact && matches!(step.action, Action::Become { .. }) {
                // Other runtimes' workloads may work where only root can go.
                let enters = |step: &Step| matches!(step.action, Action::WorkingDirectory { path } if working_directory(path).is_ok());
                self.is_there = steps.iter().any(enters);
            }
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
            Action::MapOwners { slot, recursive } => self.map_owners(slot, self.users()?, recursive),
            Action::Own(gift) => gift::give(self, gift),
            Action::Place { slot, target } => self.tree(slot)?.put(target),
            Action::EnterUsers { kinds, directory } => self.enter_users(kinds, directory),
            Action::EnterTree { slot, loosely } => {
                let here = if loosely { Some(places()?) } else { None };
                self.tree(slot)?.go_into()?;
                self.enter_root(here)
            }
            Action::Hooks => self.hooks(),
            Action::Make { slot, kind, source, options } => {
                self.hold(slot, Tree::make(kind, source, options)?);
                Ok(())
            }
            Action::Attach { slot, target, options } => match self.trees.get_mut(slot).and_then(Option::take) {
                Some(tree) => tree.attach(target, options),
                None => Err(Error::new(phrase!("the plan attaches a tree that it did not take"))),
            },
            Action::Fill { slot, path } => self.tree(slot)?.fill_from(path),
            Action::EnterRoot { target, loosely } => {
                mounts::carry(&mut self.trees, target)?;
                let here = if loosely { Some(places()?) } else { None };
                file::chdir(target)?;
                if weak!("root") { Ok(()) } else { self.enter_root(here) }
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
            Action::WorkingDirectory { path } => {
                if self.is_there {
                    Ok(())
                } else {
                    working_directory(path)
                }
            }
            Action::AppArmor { profile, best_effort } => {
                heed(best_effort, self.channel, COLD_GATE_SELDOM.open().and_then(|apparmor| apparmor(profile)))
            }
            Action::Rare(rare) => COLD_GATE_OCI.open()?(self, rare),
            Action::Label { label, best_effort } => {
                heed(best_effort, self.channel, COLD_GATE_SELDOM_LABEL.open().and_then(|selinux| selinux(label)))
            }
            // The last thing, which comes when all else is done.
            Action::Confine(_) => Ok(()),
            Action::NoNewPrivileges => {
                self.rights.no_new_privileges = true;
                process::prctl_no_new_privs()
            }
            _ => simple::act(action),
        }
    }

    /// Has a tree that was taken show owners as a user namespace has them.
    ///
    /// # Errors
    /// `mount_setattr(2)`.
    pub fn map_owners(&self, slot: usize, users: FdRef<'_>, recursive: bool) -> Result<()> {
        self.tree(slot)?
            .map_owners(users, recursive)
            .map_err(|error| error.hint(phrase!("the file system or the kernel (before 5.12) can't map owners")))
    }

    /// Makes the current directory, a mount, the root: for good, or with the way back to where this process was.
    fn enter_root(&mut self, here: Option<[Fd; 2]>) -> Result<()> {
        match here {
            None => mounts::enter(),
            Some(here) => {
                self.outside = Some(here);
                mounts::enter_loosely()
            }
        }
    }

    /// Has the engine's hooks run, and then runs those that belong in the container's namespaces, all with the host's root in reach.
    fn hooks(&mut self) -> Result<()> {
        let inside = file::open(CWD, c"/", libc::O_PATH | libc::O_DIRECTORY)?;
        let outside = self.outside.take().ok_or_else(|| Error::new(phrase!("the plan has hooks where it can't")))?;
        mounts::go_back(&outside)?;
        net::send(self.channel.by_ref(), &[MEET], None)?;
        let mut answer = [0u8; 5];
        match (net::receive(self.channel.by_ref(), &mut answer)?.0, answer) {
            (5, [GO, a, b, c, d]) => self.outer_pid = u32::from_le_bytes([a, b, c, d]),
            // Whoever started this has given up.
            _ => process::exit(EXIT_FAILURE),
        }
        hooks::run(self.engine.hooks, &[Stage::CreateContainer], self.outer_pid)?;
        drop(outside);
        file::fchdir(inside.by_ref())?;
        mounts::enter()
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

    pub(super) fn tree(&self, slot: usize) -> Result<&Tree> {
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
        // What is in a namespace from the beginning, such as its directory of message queues, belongs to whoever makes it.
        become_root()?;
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
        if self.shows_network {
            self.show_network()?;
        }
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
        if self.engine.exact {
            (self.identity.uid, self.identity.gid) = self.default_user;
            self.identity.groups.clear();
            own_standard_files(self.identity.uid)?;
        }
        self.identity.groups.extend_from_slice(self.groups);
        let Identity { uid, gid, ref mut groups, .. } = self.identity;
        // To the kernel the last ID is none: nothing would change, and root stay root, setresuid(2).
        if (uid == u32::MAX || gid == u32::MAX || groups.contains(&u32::MAX)) && !weak!("ids") {
            return Err(Error::new(phrase!(
                "process.user: an ID is 4294967295, which stands for no user and no group"
            )));
        }
        // So that no program with a set-group-ID bit takes it away from the workload (CVE-2022-36109). Engines that mean this say so.
        if !self.engine.exact && !self.keeps_groups && !groups.contains(&gid) {
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
