//! Working as a normal user: in a user namespace where this user is root.
//!
//! All vial processes of a user that work on one store at a time are in one such namespace, since only there are they root to
//! each other's containers. Nobody keeps it: whoever comes first makes it, and others join whoever is there. A file in the store
//! tells who that is, by the kernel's own account of who has it locked.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::context::Context;
use super::{flags::Id, sealed};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::Cut;
use crate::container::bundle::Bundles;
use crate::container::process as known;
use crate::container::state::Seen;
use crate::image::helper::Helper;
use crate::kernel::program::Program;
use crate::kernel::users::{self, Range};
use crate::sys::cold::Gate;
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::{because, file, process};

static COLD_GATE_SELDOM: Gate<fn(&mut Context<'static>, u32) -> Result<()>> = Gate(become_root);

/// Enters the user namespace, unless vial was started by root or the command needs no rights.
///
/// # Errors
/// The host allows no user namespaces, or not all that is needed for one.
pub(super) fn enter(context: &mut Context<'static>) -> Result<()> {
    if matches!(context.parsed.command.name(), "help" | "version" | "syscalls" | "explain" | "info" | "check") {
        return Ok(());
    }
    match process::geteuid() {
        0 => Ok(()),
        uid => COLD_GATE_SELDOM.open()?(context, uid),
    }
}

fn become_root(context: &mut Context<'static>, uid: u32) -> Result<()> {
    let name = context.parsed.command.name();
    if matches!(name, "exec" | "why") || context.parsed.last(Id::Pid).is_some() {
        // The copy finds the store by who started it, as this process does.
        sealed::go_on(context)?;
    }
    context.user_root = Some(context.root_path());
    let root = context.open_root()?;
    let _why = because!("become root in a user namespace, of what this user owns");
    let place = file::create(root, users::PLACE, libc::O_RDWR | libc::O_CREAT, 0o600)?.keep();
    let turn = users::take_turn(place)?;
    if !join_others(place, root)? {
        make(context, uid)?;
    }
    users::stay(place)?;
    drop(turn);
    Ok(())
}

/// Joins the namespace of another vial process, or of a container that runs; whether there is one.
fn join_others(place: FdRef<'_>, root: FdRef<'_>) -> Result<bool> {
    while let Some(pid) = users::who_stays(place)? {
        let is_meant = || users::who_stays(place).map(|now| now == Some(pid));
        match users::join(pid, &is_meant) {
            Ok(()) => return Ok(true),
            Err(error) if is_meant()? => {
                return Err(error.hint(say!(
                    "process {} works on this store in a user namespace that this process can't join",
                    pid
                )));
            }
            // It has ended meanwhile.
            Err(_) => {}
        }
    }
    if !file::exists(root, c"containers") {
        return Ok(false);
    }
    // A container outlives its monitor.
    let bundles = Bundles::open(root)?;
    for (id, name) in bundles.list()? {
        let seen = Seen::look(&bundles, (id, name)).ok().flatten();
        let running = seen.filter(|seen| seen.condition.is_running());
        let Some(state) = running.map(|seen| seen.state) else { continue };
        let is_meant = || Ok(known::is_alive(state.pid, state.pid_start));
        if users::join(state.pid, &is_meant).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes a new user namespace, in which this user is root and has the further IDs of `/etc/subuid` and `/etc/subgid`. Those
/// only `newuidmap` and `newgidmap` may map.
#[inline(never)]
fn make(context: &Context<'static>, uid: u32) -> Result<()> {
    let gid = process::getegid();
    let name = user_name(uid).unwrap_or_else(|| context.variable(b"USER").map_or("", keep::lossy));
    let map = |path: &CStr, id| {
        let text = file::read_file(CWD, path, 1 << 20).unwrap_or_default();
        let ranges = users::subordinate(keep::lossy(&text), name, uid);
        if ranges.is_empty() { Vec::new() } else { users::own_map(id, &ranges) }
    };
    let (uids, gids) = (map(c"/etc/subuid", uid), map(c"/etc/subgid", gid));
    if uids.is_empty() || gids.is_empty() {
        users::unshare()?;
        return users::map_alone(uid, gid);
    }
    let (go, ready) = file::pipe()?;
    let pid = process::getpid();
    // Who maps must be outside.
    let mut helper = Helper::start(&mut |_| {
        file::read(go.by_ref(), &mut [0])?;
        let written = write_map(c"newuidmap", pid, &uids, context.env)?;
        if written && !write_map(c"newgidmap", pid, &gids, context.env)? {
            return Err(Error::new(phrase!("there is newuidmap, but no newgidmap"))
                .hint(phrase!("both are in the package uidmap, or shadow-utils")));
        }
        Ok(alloc::vec![u8::from(written)])
    })?;
    users::unshare()?;
    file::write_all(ready.by_ref(), b"1")?;
    match helper.conclude()?.first() {
        Some(1) => Ok(()),
        _ => users::map_alone(uid, gid),
    }
}

/// Has a program write a map; whether there is that program.
fn write_map(program: &'static CStr, pid: u32, map: &[Range], env: &[&'static CStr]) -> Result<bool> {
    let mut args = alloc::vec![program, file::path(join!("{}", pid))?];
    for range in map {
        for number in [range.inside, range.outside, range.count] {
            args.push(file::path(join!("{}", number))?);
        }
    }
    let (_output, mut running): (Fd, Program) = Program::start(&args, env, None)?;
    match running.conclude() {
        None => Ok(false),
        Some(0) => Ok(true),
        Some(code) => {
            let program = program.to_string_lossy();
            Err(Error::new(say!("{} can't set the IDs of the user namespace: it ended with code {}", program, code)).hint(
                phrase!("it must be set-user-ID root, on a mount without nosuid, and allow the ranges that /etc/subuid and /etc/subgid have for this user"),
            ))
        }
    }
}

/// What the host calls a user, passwd(5).
fn user_name(uid: u32) -> Option<&'static str> {
    let text = keep::lossy(file::read_file(CWD, c"/etc/passwd", 4 << 20).ok()?.leak());
    let line = text.parts(b'\n').find(|line| line.parts(b':').nth(2) == Some(join!("{}", uid)))?;
    line.parts(b':').next()
}
