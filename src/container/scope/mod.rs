//! Control groups that systemd makes (`--systemd-cgroup`): a container's group is that of a scope, a unit for processes that
//! systemd did not start itself. It knows of the container then, and leaves the group and its limits alone.
//!
//! A scope begins with a process and ends with the last one. So a process that does nothing else, the holder, is in the group
//! until the container's first process has joined it as it does any group, and dies with vial: of a vial that is killed before
//! that, nothing is left. Until then the holder counts as one of the container's processes.
//!
//! # Source
//! org.freedesktop.systemd1(5); systemd's `docs/CONTROL_GROUP_INTERFACE.md` and `docs/CGROUP_DELEGATION.md`.

mod names;
mod properties;

use alloc::vec::Vec;

use super::spec::Spec;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json;
use crate::base::text::{Cut, Quoted};
use crate::kernel::cgroup::{self, GroupPath, Hierarchies};
use crate::kernel::dbus::{Answer, Bus, Method, Value, Writer, socket};
use crate::kernel::program::tie;
use crate::sys::cold::Gate;
use crate::sys::fd::CWD;
use crate::sys::ledger::Role;
use crate::sys::process::{self, Side};
use crate::sys::{because, file, poll, users};

/// The annotation that tells the unit, and in further lines the sockets at which whoever manages it may be reached.
pub const UNIT: &str = "vial.systemdUnit";

/// Where root finds systemd: by way of the bus of the whole system, and without any.
const ROOTS: &str = "/run/dbus/system_bus_socket\n/run/systemd/private";
/// The signals that tell of what was begun and has come to its end.
const ENDS: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
const MANAGER: Method = Method {
    to: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};
/// The beginning of what systemd says of a property that its version does not have. It does not touch the file either then.
const UNKNOWN: &str = "Cannot set property ";
/// The longest `/proc/PID/cgroup`: a dozen lines with a path each.
const LIMIT: usize = 128 << 10;

/// Finds a variable of the environment.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// What systemd is going to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The path of the control group.
    pub path: &'static str,
    /// What tells of the unit; see [`UNIT`].
    pub note: &'static str,
}

/// Works out what systemd is to be asked for a container with this `cgroupsPath`, before anything is made. `variable` finds
/// variables of the environment.
///
/// # Errors
/// What `cgroupsPath` can't be; there is no systemd that could be asked.
pub fn prepare(path: &str, id: &str, variable: Variable<'_>) -> Result<Asked> {
    let confined = users::is_confined();
    let unit = names::unit(path, id, if confined { "user.slice" } else { "system.slice" })?;
    let name = if confined { "DBUS_SESSION_BUS_ADDRESS" } else { "DBUS_SYSTEM_BUS_ADDRESS" };
    let sockets = match (variable(name).filter(|address| !address.is_empty()), variable("XDG_RUNTIME_DIR")) {
        (Some(address), _) => socket(address).ok_or_else(|| {
            Error::new(say!("{}: {} has no unix:path=...", name, Quoted(address)))
                .hint(phrase!("no other kind of bus is known; without the variable the usual one is taken"))
        })?,
        (None, _) if !confined => ROOTS,
        (None, Some(directory)) => join!("{}/bus\n{}/systemd/private", directory, directory),
        (None, None) => {
            return Err(Error::new(phrase!(
                "--systemd-cgroup: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set"
            ))
            .hint(phrase!("a user's systemd is found by them, in a session that has one; or leave the option out")));
        }
    };
    Ok(Asked { path: unit.path, note: join!("{}\n{}", unit.name, sockets) })
}

/// What is done with units: they are made, changed and ended.
#[derive(Clone, Copy)]
pub struct Acts {
    /// See [`make`].
    pub make: fn(&Spec, &Hierarchies, &json::Value, GroupPath, &'static str) -> Result<u32>,
    /// See [`change`].
    pub change: fn(&Hierarchies, &json::Value, GroupPath, &str) -> Result<()>,
    /// See [`stop`].
    pub stop: fn(&str) -> Result<()>,
}

/// The way to them.
pub static COLD_GATE_OCI_UNIT: Gate<Acts> = Gate(Acts { make, change, stop });

/// Makes the unit that `note` tells of, with its group at this path and the limits that systemd is to know of; the process that
/// holds it.
fn make(
    spec: &Spec,
    hierarchies: &Hierarchies,
    resources: &json::Value,
    path: GroupPath,
    note: &'static str,
) -> Result<u32> {
    let _why =
        because!("have systemd make the control group, with a process in it that keeps it until the container's joins");
    if hierarchies.is_none() && users::is_confined() {
        return Err(Error::new(phrase!(
            "--systemd-cgroup: this session's control groups are not delegated to its user"
        ))
        .hint(phrase!("start vial in a unit of the user's own: systemd-run --user --scope -p Delegate=yes vial ...")));
    }
    let (unit, _) = note.cut(b'\n').unwrap_or((note, ""));
    let steps = cgroup::plan(hierarchies, resources, path, None, false)?;
    let mut told = properties::of_limits(&steps.steps)?.into_inner();
    properties::of_annotations(&spec.annotations, &mut told)?;
    let mut systemd = Systemd::open(note)?;
    let holder = hold()?;
    let made = systemd.start(unit, path, holder, told).and_then(|()| see(holder, path));
    made.inspect_err(|_| {
        let_go(holder);
        // Only what was begun here is ended: otherwise the unit may be another container's. The first failure is the one to tell.
        if systemd.begun {
            let _ = systemd.end(unit);
        }
    })?;
    Ok(holder)
}

/// Has systemd know of changed limits too.
fn change(hierarchies: &Hierarchies, resources: &json::Value, path: GroupPath, note: &str) -> Result<()> {
    let _why = because!("tell systemd of the container's limits");
    let plan = cgroup::plan(hierarchies, resources, path, None, false)?;
    let told = properties::of_limits(&plan.steps)?.into_inner();
    if told.is_empty() {
        return Ok(());
    }
    let mut systemd = Systemd::open(note)?;
    let (unit, _) = note.cut(b'\n').unwrap_or((note, ""));
    systemd.tell("SetUnitProperties", "sba(sv)", told, &|body| {
        body.text(unit);
        // Until the next boot, which ends the unit as well.
        body.number(1);
    })?;
    Ok(())
}

/// Ends the unit; that there is none any more is no error. If nobody can be asked the unit has ended, or ends by itself with its
/// last process.
fn stop(note: &str) -> Result<()> {
    let _why = because!("end the container's unit");
    let (unit, _) = note.cut(b'\n').unwrap_or((note, ""));
    match Systemd::open(note) {
        Ok(mut systemd) => systemd.end(unit),
        Err(_) => Ok(()),
    }
}

/// systemd, by way of a bus or without one.
struct Systemd {
    bus: Bus,
    /// Whether it has taken the order to start a unit.
    begun: bool,
}

impl Systemd {
    fn open(note: &str) -> Result<Systemd> {
        let (_, sockets) = note.cut(b'\n').unwrap_or_default();
        let mut bus = Bus::open(sockets).map_err(|error| {
            let is_absent = [Errno::ENOENT, Errno::ECONNREFUSED, Errno::ENOTDIR].contains(&error.errno());
            if !is_absent {
                return error;
            }
            error.option("--systemd-cgroup").hint(phrase!(
                "no systemd can be reached there; leave the option out, and vial makes the control groups itself"
            ))
        })?;
        bus.subscribe(ENDS)?;
        Ok(Systemd { bus, begun: false })
    }

    /// Starts the scope with this process in it.
    #[inline(never)]
    fn start(&mut self, unit: &str, path: GroupPath, pid: u32, limits: Vec<properties::Property>) -> Result<()> {
        let mut told = alloc::vec![
            ("Description", Value::Text(join!("vial container {}", unit.strip_suffix(".scope").unwrap_or(unit)))),
            ("Slice", Value::Text(names::slice_of(path.as_str()))),
            ("Delegate", Value::Bool(true)),
            ("PIDs", Value::Numbers(alloc::vec![pid].leak())),
            ("DefaultDependencies", Value::Bool(false)),
            // One that fails is not kept until somebody resets it.
            ("CollectMode", Value::Text("inactive-or-failed")),
        ];
        // What is not counted from the beginning can't be limited later.
        for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
            told.push((name, Value::Bool(true)));
        }
        told.extend(limits);
        let begin = |body: &mut Writer| {
            body.text(unit);
            body.text("replace");
        };
        let mut answer = self.tell("StartTransientUnit", "ssa(sv)a(sa(sv))", told.clone(), &begin);
        if matches!(&answer, Ok(answer) if answer.error.ends_with(".UnitExists")) {
            // One that has failed is kept for whoever wants to know why.
            self.call("ResetFailedUnit", "s", &[unit])?;
            answer = self.tell("StartTransientUnit", "ssa(sv)a(sa(sv))", told, &begin);
        }
        let answer = answer?;
        answer
            .taken(join!("start {}", unit))
            .map_err(|error| error.hint(say!("see what systemd knows of it: systemctl status {}", unit)))?;
        self.begun = true;
        match self.result(&answer)?.as_str() {
            "done" => Ok(()),
            other => Err(Error::new(say!("start {}: systemd says {}", unit, Quoted(other)))
                .hint(say!("see what systemd knows of it: systemctl status {}", unit))),
        }
    }

    /// Calls a method that takes properties; again without those that this version of systemd does not have.
    #[inline(never)]
    fn tell(
        &mut self,
        method: &str,
        types: &str,
        mut told: Vec<properties::Property>,
        begin: &dyn Fn(&mut Writer),
    ) -> Result<Answer> {
        loop {
            let mut body = Writer::default();
            begin(&mut body);
            let array = body.open(8);
            for &(name, value) in &told {
                body.property(name, value);
            }
            body.close(array);
            if types.ends_with("a(sa(sv))") {
                let none = body.open(8);
                body.close(none);
            }
            let answer = self.bus.ask(&MANAGER, method, types, &body)?;
            let unknown = answer.text.strip_prefix(UNKNOWN).and_then(|rest| rest.cut(b',')).map(|(name, _)| name);
            // The others are what makes the unit what it is, or what annotations ask for by name.
            let at = told.iter().position(|(name, _)| Some(*name) == unknown && properties::is_dispensable(name));
            match at {
                Some(at) => drop(told.remove(at)),
                None => {
                    return if types.starts_with("sb") { answer.taken(method).map(|()| answer) } else { Ok(answer) };
                }
            }
        }
    }

    /// Calls a method that takes texts.
    fn call(&mut self, method: &str, types: &str, texts: &[&str]) -> Result<Answer> {
        let mut body = Writer::default();
        for text in texts {
            body.text(text);
        }
        self.bus.ask(&MANAGER, method, types, &body)
    }

    /// Waits for the end of what a method has begun; what came of it.
    fn result(&mut self, begun: &Answer) -> Result<alloc::string::String> {
        let mut result = alloc::string::String::new();
        self.bus.await_signal(&mut |message| {
            // Anybody may send a signal to anybody else; the bus says who did.
            if message.member != "JobRemoved" || message.types != "uoss" || message.sender != begun.sender {
                return false;
            }
            let mut body = message.body;
            let [Some(_), job, _, Some(came)] = [body.number().map(|_| ""), body.text(), body.text(), body.text()]
            else {
                return false;
            };
            result = came.into();
            job == Some(&begun.text)
        })?;
        Ok(result)
    }

    /// Ends a unit, and has it forgotten if it failed.
    fn end(&mut self, unit: &str) -> Result<()> {
        let answer = self.call("StopUnit", "ss", &[unit, "replace"])?;
        if answer.error.is_empty() {
            self.result(&answer)?;
        } else if !answer.error.ends_with(".NoSuchUnit") {
            return answer.taken(join!("end {}", unit));
        }
        // One that did not fail is not there any more.
        self.call("ResetFailedUnit", "s", &[unit]).map(drop)
    }
}

/// Starts the process that keeps a scope.
fn hold() -> Result<u32> {
    let parent = process::getpid();
    match process::clone(0, Role::Helper)? {
        Side::Parent(pid) => Ok(pid),
        Side::Child => {
            let _why = because!("keep the unit until the container's first process is in it");
            if tie(parent).and_then(|()| file::close_from(0, true)).is_ok() {
                while poll::poll(&mut []).is_ok() {}
            }
            process::exit(1)
        }
    }
}

/// Ends the process that keeps a scope.
pub fn let_go(holder: u32) {
    let _why = because!("end the process that has kept the unit");
    let _ = process::kill(holder, libc::SIGKILL);
    let _ = process::wait(Some(holder), true);
}

/// Sees to it that the process is in the group that is going to be limited.
fn see(pid: u32, path: GroupPath) -> Result<()> {
    let groups = file::read_file(CWD, file::path(join!("/proc/{}/cgroup", pid))?, LIMIT)?;
    let groups = crate::base::keep::lossy(&groups);
    if groups.parts(b'\n').any(|line| line.strip_suffix(path.as_str()).is_some_and(|before| before.ends_with('/'))) {
        return Ok(());
    }
    Err(Error::new(say!("systemd has made the unit, but not the control group {}", path.as_str()))
        .hint(phrase!("it manages other control groups than those that are seen here: vial runs in a container, or in a session that is not delegated")))
}
