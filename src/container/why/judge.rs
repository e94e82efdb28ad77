//! Which line of defence refused a call.

use super::standing::Standing;
use super::{Finding, calls, ends, paths, programs};
use crate::base::errno::Errno;
use crate::base::json::Value;
use crate::base::text::is_among;
use crate::kernel::security::caps;
use crate::kernel::security::filter::NATIVE;
use crate::kernel::security::seccomp::outcomes::outcomes;
use crate::kernel::security::seccomp::watch::{self, Verdict};
use crate::kernel::security::seccomp::{self, names};
use crate::sys::notify::Call;

/// A call that was refused.
pub(super) struct Case<'a> {
    pub(super) thread: u32,
    pub(super) call: Call,
    pub(super) errno: Errno,
    /// The container's filter.
    pub(super) program: &'a [u64],
    pub(super) config: &'a Value,
    pub(super) standing: &'a Standing,
    /// By what the program does not have the rights that its file gives.
    pub(super) muted: Option<&'static str>,
}

/// The errors that lines of defence have calls fail with.
pub(super) fn matters(errno: Errno) -> bool {
    const MATTERING: &str = "EPERM EACCES EROFS ENOSYS ENOEXEC ENOENT EAGAIN EINVAL ENODEV ENOSPC EMFILE EOVERFLOW EAFNOSUPPORT ENETUNREACH";
    errno.name().is_some_and(|name| is_among(MATTERING, name))
}

/// The kernel's name for a call.
pub(super) fn name(call: &Call) -> &'static str {
    names::name(call.architecture, call.number).1.unwrap_or("?")
}

impl Case<'_> {
    pub(super) fn name(&self) -> &'static str {
        name(&self.call)
    }

    /// The path that the call is about.
    pub(super) fn path(&self) -> Option<&'static str> {
        calls::path(self.thread, self.name(), &self.call)
    }

    /// Whether the call changes the directory that its path is in.
    pub(super) fn changes_directory(&self) -> bool {
        const CHANGE: &str = "mkdir mkdirat rmdir unlink unlinkat mknod mknodat rename renameat renameat2 link linkat symlink symlinkat creat";
        is_among(CHANGE, self.name())
    }

    /// What it wants to do with the file, as a mode has it.
    pub(super) fn wanted(&self) -> u16 {
        match self.name() {
            "open" => paths::wanted(self.call.arguments[1] as i32),
            "openat" => paths::wanted(self.call.arguments[2] as i32),
            _ => 0,
        }
    }
}

/// What helps where the kernel has not something.
const OTHER_KERNEL: &str = "`vial check` tells of the kernel's options; another kernel";

/// Which line of defence refused a call, if one did.
pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    if watch::verdict(case.program, &case.call) == Verdict::Fails(case.errno) {
        return Some(by_filter(&case.call, case.config, Some(case.program)));
    }
    if case.call.architecture != NATIVE {
        return None;
    }
    let name = case.name();
    let path = case.path();
    match case.errno {
        Errno::ENOSYS => {
            return Some(finding!("kernel", "it has no {}, or its option is off"[name], "{}"[OTHER_KERNEL]));
        }
        Errno::EAFNOSUPPORT if name == "socket" => {
            let family = join!("{}", case.call.arguments[0]);
            return Some(finding!("kernel", "it has no sockets of family {}"[family], "{}"[OTHER_KERNEL]));
        }
        Errno::ENODEV if is_among("mount fsopen", name) => {
            return Some(finding!(
                "kernel", "it has no file system of that kind, or its module is not loaded" [], "{}" [OTHER_KERNEL]
            ));
        }
        Errno::ENETUNREACH => {
            return Some(finding!(
                "network",
                "the container has no way to that address" [],
                "--network bridge, or another network than none or an internal one" []
            ));
        }
        Errno::EMFILE => {
            return Some(finding!(
                "number of open files", "the process has as many files open as it may" [], "a higher --ulimit nofile" []
            ));
        }
        Errno::EAGAIN if is_among("clone clone3 fork vfork", name) => {
            return ends::no_process(case.config).or_else(|| {
                Some(finding!(
                    "number of processes",
                    "its user, or the machine, has as many processes as there may be" [],
                    "a higher --ulimit nproc" []
                ))
            });
        }
        Errno::ENOSPC => return paths::full(case),
        Errno::EINVAL => return not_mapped(case, name),
        Errno::ENOENT | Errno::ENOEXEC => return programs::judge(case.standing, path?, case.errno),
        Errno::EPERM | Errno::EACCES if let Some(line) = case.muted => {
            let who = case.standing.name;
            return Some(if line == "nosuid" {
                finding!(
                    "nosuid",
                    "{} has no rights by its file, and {} takes some" [who, name],
                    "a volume from a mount of the host's without nosuid" []
                )
            } else {
                finding!(
                    "no-new-privileges",
                    "{} has no rights by its file, and {} takes some" [who, name],
                    "without --security-opt no-new-privileges" []
                )
            });
        }
        _ => {}
    }
    if let Some(finding) = path.and_then(|path| paths::judge(case, path)) {
        return Some(finding);
    }
    by_right(case, name)
}

/// Why a user or a group is none.
fn not_mapped(case: &Case<'_>, name: &str) -> Option<Finding> {
    const SETS: &str = "setuid setgid setreuid setregid setresuid setresgid chown fchown lchown fchownat setgroups";
    if !case.standing.is_mapped() || !is_among(SETS, name.strip_suffix("32").unwrap_or(name)) {
        return None;
    }
    Some(finding!(
        "user namespace",
        "{} has a user or a group that the container's user namespace has no number for" [name],
        "--uidmap and --gidmap with more numbers, or --userns host" []
    ))
}

/// The capability that was missing.
fn by_right(case: &Case<'_>, name: &'static str) -> Option<Finding> {
    if ![Errno::EPERM, Errno::EACCES].contains(&case.errno) {
        return None;
    }
    let capability = calls::capability(case.thread, name, &case.call)?;
    let title = caps::name(capability).unwrap_or("?");
    let standing = case.standing;
    let name = if is_among("recvmsg recvfrom", name) { "what it asks over netlink" } else { name };
    if !standing.has(capability) {
        if standing.bounding >> capability & 1 != 0 {
            let user = join!("{}", standing.inside(standing.user).unwrap_or(standing.user));
            return Some(finding!(
                "capability",
                "{} takes CAP_{}, which a process of user {} does not have" [name, title, user],
                "-u 0, or a program that does without" []
            ));
        }
        return Some(finding!(
            "capability", "{} takes CAP_{}, which the container does not have" [name, title], "--cap-add {}" [title]
        ));
    }
    if standing.is_mapped() {
        return Some(finding!(
            "user namespace",
            "{} takes CAP_{} on the machine, and the container has it in its user namespace alone" [name, title],
            "--userns host" []
        ));
    }
    is_among("mknod mknodat", name).then(|| {
        finding!(
            "device rules",
            "the container's control group does not let it make this device" [],
            "--device-cgroup-rule 'c MAJOR:MINOR m'" []
        )
    })
}

/// What of a profile refuses a call. Without a program it has killed its caller.
pub(super) fn by_filter(call: &Call, config: &Value, program: Option<&[u64]>) -> Finding {
    let name = name(call);
    let own = config.at(&["linux", "seccomp"]).filter(|own| own.as_object().is_some());
    if let Some(own) = own {
        let Some((number, action)) = rule(own, name) else {
            return finding!(
                "seccomp",
                "no rule of the profile is for {}, so that its default action is"[name],
                "{} among what the profile allows"[name]
            );
        };
        let number = join!("{}", number);
        return finding!(
            "seccomp",
            "rule {} of the profile ({}) is for {}" [number, action, name],
            "{} among what the profile allows" [name]
        );
    }
    // As in the default profile for more capabilities.
    let bounding = config.at(&["process", "capabilities", "bounding"]).and_then(Value::as_array).unwrap_or_default();
    let has =
        bounding.iter().filter_map(|name| caps::number(name.as_str()?)).fold(0u64, |set, number| set | 1 << number);
    let helps = |number: &u8| {
        has >> number & 1 == 0
            && watch::verdict(seccomp::default_filter(has | 1 << number).program, call) == Verdict::Made
    };
    // The one that the kernel asks for too, before others.
    let mut candidates = calls::capability(0, name, call).into_iter().chain(0..caps::COUNT);
    if let Some(number) = candidates.find(helps) {
        let title = caps::name(number).unwrap_or("?");
        return finding!(
            "seccomp",
            "the default profile lets a container call {} with CAP_{} only" [name, title],
            "--cap-add {}" [title]
        );
    }
    let allowed = program.is_some_and(|program| outcomes(program, call.architecture, call.number).len() > 1);
    let how = if allowed { " with these arguments" } else { "" };
    finding!(
        "seccomp",
        "the default profile refuses {}{}" [name, how],
        "--security-opt seccomp=FILE with a profile that allows {}, or seccomp=unconfined" [name]
    )
}

/// The first rule of a profile that has something else than allowing for a call: its number, from 1 on, and its action.
fn rule(profile: &Value, name: &str) -> Option<(usize, &'static str)> {
    let rules = profile.get("syscalls")?.as_array()?;
    let is_for = |rule: &Value| {
        let listed = rule.get("names").and_then(Value::as_array).unwrap_or_default();
        listed.iter().any(|one| one.as_str() == Some(name))
    };
    let action = |rule: &Value| rule.get("action").and_then(Value::as_str).unwrap_or_default();
    let numbered = rules.iter().enumerate().filter(|(_, rule)| is_for(rule));
    numbered.map(|(place, rule)| (place + 1, action(rule))).find(|(_, action)| *action != "SCMP_ACT_ALLOW")
}
