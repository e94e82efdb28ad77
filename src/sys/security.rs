//! Rights: capabilities, users and groups, the BPF call.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::Fd;
use super::file::fail_on;
use crate::base::errno::Errno;
use crate::base::error::Result;

/// `_LINUX_CAPABILITY_VERSION_3`, capget(2).
const VERSION: u32 = 0x2008_0522;

/// Sets of capabilities: bit n stands for capability n, capabilities(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What the process may do now.
    pub effective: u64,
    /// What it may take up.
    pub permitted: u64,
    /// What programs with inheritable file capabilities get.
    pub inheritable: u64,
}

/// Sets this process's capabilities.
///
/// # Errors
/// capset(2).
pub fn capset(sets: Capabilities) -> Result<()> {
    let header = [VERSION, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let Capabilities { effective, permitted, inheritable } = sets;
    let data = [low(effective), low(permitted), low(inheritable), high(effective), high(permitted), high(inheritable)];
    // SAFETY: header and data have the layout of version 3.
    unsafe { sys!(capset, header.as_ptr(), data.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set capabilities"), ""))
}

/// This process's capabilities.
///
/// # Errors
/// capget(2).
pub fn capget() -> Result<Capabilities> {
    let header = [VERSION, 0];
    let mut data = [0u32; 6];
    // SAFETY: header and data have the layout of version 3.
    unsafe { sys!(capget, header.as_ptr(), data.as_mut_ptr()) }
        .map_err(|errno| fail_on(errno, phrase!("read capabilities"), ""))?;
    let join = |at: usize| u64::from(data[at]) | u64::from(data[at + 3]) << 32;
    Ok(Capabilities { effective: join(0), permitted: join(1), inheritable: join(2) })
}

/// Drops a capability from the bounding set; whether the kernel knows it.
///
/// # Errors
/// prctl(2), `PR_CAPBSET_DROP`.
pub fn drop_from_bounding_set(capability: u32) -> Result<bool> {
    // SAFETY: numbers only.
    match unsafe { sys!(prctl, libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } {
        Ok(_) => Ok(true),
        // Should the kernel know it, it was not dropped.
        // SAFETY: numbers only.
        Err(Errno::EINVAL) if unsafe { sys!(prctl, libc::PR_CAPBSET_READ, capability, 0, 0, 0) }.is_err() => Ok(false),
        Err(errno) => Err(fail_on(errno, phrase!("drop from the bounding set capability"), capability)),
    }
}

/// Empties the ambient set (Linux 4.3).
///
/// # Errors
/// prctl(2), `PR_CAP_AMBIENT`.
pub fn clear_ambient_set() -> Result<()> {
    // SAFETY: numbers only.
    unsafe { sys!(prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("empty the ambient set"), ""))
}

/// Adds a capability to the ambient set (Linux 4.3); it must be permitted and inheritable.
///
/// # Errors
/// prctl(2), `PR_CAP_AMBIENT`.
pub fn raise_ambient(capability: u32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { sys!(prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("add to the ambient set capability"), capability))
}

/// Sets the supplementary groups.
///
/// # Errors
/// setgroups(2).
pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: the groups are readable.
    unsafe { sys!(setgroups, groups.len(), groups.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the supplementary groups"), ""))
}

/// Becomes this group: real, effective and saved.
///
/// # Errors
/// setresgid(2).
pub fn setresgid(gid: u32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { sys!(setresgid, gid, gid, gid) }.map(drop).map_err(|errno| fail_on(errno, phrase!("become group"), gid))
}

/// Becomes this user: real, effective and saved.
///
/// # Errors
/// setresuid(2).
pub fn setresuid(uid: u32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { sys!(setresuid, uid, uid, uid) }.map(drop).map_err(|errno| fail_on(errno, phrase!("become user"), uid))
}

/// Has this process own the files that it makes as another user and group, without losing rights over any.
///
/// # Errors
/// capset(2), capget(2). The calls for users and groups themselves tell of none, setfsuid(2).
pub fn own_files_as(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe {
        let _ = sys!(setfsgid, gid);
        let _ = sys!(setfsuid, uid);
    }
    // Whoever is not root for files loses the rights over those of others, capabilities(7).
    let own = capget()?;
    capset(Capabilities { effective: own.permitted, ..own })
}

/// Has every call of this process, and of all that it starts, decided by a program.
///
/// # Errors
/// seccomp(2): `EACCES` without `CAP_SYS_ADMIN` and `no_new_privs`; `ENOSYS` or `EINVAL` on a kernel without filters.
pub fn seccomp_set_filter(program: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel only reads the program, which is alive and that long.
    unsafe { sys!(seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set a filter of system calls"), ""))
}

/// As [`seccomp_set_filter`], with flags (`SECCOMP_FILTER_FLAG_*`) and a program whose instructions are words of 64 bits. What
/// comes back is the listener, if that flag asks for one.
///
/// # Errors
/// seccomp(2), as above.
pub fn seccomp_set(flags: u32, program: &[u64]) -> Result<Option<Fd>> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr() as *mut libc::sock_filter };
    // SAFETY: the kernel only reads the program, which is alive and that long.
    unsafe { sys!(seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) }
        .map(|listener| (listener != 0).then(|| Fd::from_kernel(listener)))
        .map_err(|errno| fail_on(errno, phrase!("set a filter of system calls"), ""))
}

/// Whether the kernel knows these flags of filters; none is set.
#[must_use]
pub fn seccomp_knows(flags: u32) -> bool {
    // SAFETY: there is no program to read, which the kernel finds out only after it has looked at the flags.
    let result = unsafe { sys!(seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, 0) };
    matches!(result, Err(crate::base::errno::Errno(libc::EFAULT)))
}

/// The version of the kernel's interface to Landlock.
///
/// # Errors
/// `landlock_create_ruleset(2)`: `ENOSYS`, or `EOPNOTSUPP` if it is turned off.
pub fn landlock_version() -> Result<usize> {
    // SAFETY: `LANDLOCK_CREATE_RULESET_VERSION` takes no memory.
    unsafe { sys!(landlock_create_ruleset, 0, 0, 1) }
        .map_err(|errno| fail_on(errno, phrase!("restrict files by Landlock"), ""))
}

/// Makes a set of rules that decides about these accesses (`LANDLOCK_ACCESS_FS_*`).
///
/// # Errors
/// `landlock_create_ruleset(2)`.
pub fn landlock_create_ruleset(handled: u64) -> Result<Fd> {
    // SAFETY: the attributes are readable: `struct landlock_ruleset_attr`, of which the first member is enough.
    unsafe { sys!(landlock_create_ruleset, &raw const handled, size_of_val(&handled), 0) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("make rules of Landlock"), ""))
}

/// Allows accesses below a file that is open.
///
/// # Errors
/// `landlock_add_rule(2)`.
pub fn landlock_add_rule(ruleset: super::FdRef<'_>, allowed: u64, below: super::FdRef<'_>) -> Result<()> {
    /// `LANDLOCK_RULE_PATH_BENEATH`.
    const PATH_BENEATH: usize = 1;
    /// `struct landlock_path_beneath_attr`.
    #[repr(C, packed)]
    struct PathBeneath(u64, i32);
    let rule = PathBeneath(allowed, below.number());
    // SAFETY: the rule is readable.
    unsafe { sys!(landlock_add_rule, ruleset.number(), PATH_BENEATH, &raw const rule, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("add a rule of Landlock"), ""))
}

/// Has a set of rules decide for this process and all that it starts.
///
/// # Errors
/// `landlock_restrict_self(2)`.
pub fn landlock_restrict_self(ruleset: super::FdRef<'_>) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { sys!(landlock_restrict_self, ruleset.number(), 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("restrict files by Landlock"), ""))
}

/// Gets a session keyring of its own in the place of the one that was inherited.
///
/// # Errors
/// keyctl(2): `ENOSYS` on a kernel without keys, which nobody can use then; `EPERM` where it is filtered, for whatever this
/// process starts as well.
pub fn keyctl_join_session_keyring() -> Result<()> {
    /// `KEYCTL_JOIN_SESSION_KEYRING`; the null name is that of a new one.
    const JOIN: usize = 1;
    // SAFETY: numbers only.
    match unsafe { sys!(keyctl, JOIN, 0) } {
        Ok(_) | Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(errno) => Err(fail_on(errno, phrase!("make a session keyring"), "")),
    }
}
