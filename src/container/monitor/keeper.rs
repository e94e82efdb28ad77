//! The keeper: the parent of the monitors of a container that its policy may start again.
//!
//! A monitor that has confined itself can start nothing. So when its workload is to be started again it ends, with a code that
//! says so, and its keeper makes the next one, which starts the workload and confines itself in turn. If a monitor is killed,
//! the next one takes over what runs. The keeper is not confined, and gives nobody a handle: it waits for its child and does
//! nothing else, reads nothing that comes from the workload or from those attached, and has only the container's directory
//! and lock, and the sockets in which its monitors leave connections for each other. A monitor dies with its keeper, so that
//! a container has both or neither.

use super::Monitor;
use super::clients::Client;
use super::handover::Handover;
use super::policy::{self, Policy};
use crate::base::error::Result;
use crate::container::launch::{self, Launch};
use crate::container::process as known;
use crate::container::state::{State, Status};
use crate::sys::because;
use crate::sys::fd::Fd;
use crate::sys::file::{self, Lock};
use crate::sys::ledger::{self, Role};
use crate::sys::poll::Signals;
use crate::sys::process::{self, Ended, Side};

/// Milliseconds before a monitor that was killed is replaced: one that can't live must not take all of the machine's time.
const BREATH: u32 = 20;
/// Milliseconds before the kernel is asked again for a process that it has no room for.
const NO_ROOM: u32 = 1000;

/// What a monitor is made of, and who makes it.
pub(super) struct Keeper {
    pub(super) root: Fd,
    /// The container's directory, with its lock.
    pub(super) directory: Fd,
    pub(super) id: &'static str,
    /// Where the command that starts the container waits for word.
    pub(super) channel: Option<Fd>,
    /// Whether that command is to get what the workload writes.
    pub(super) attach: bool,
    /// The signal mask that the workload begins with.
    pub(super) signals: Signals,
    /// There is none if no monitor comes after the first.
    pub(super) handover: Option<Handover>,
    /// The monitor that lives.
    pub(super) monitor: u32,
}

/// How a monitor begins.
#[derive(Clone, Copy)]
enum Start {
    /// A command wants the workload started.
    First,
    /// A command has found it running without a monitor.
    Adopted,
    /// It is started again after so many failures.
    Again(u8),
    /// The monitor before was killed.
    Killed,
}

impl Keeper {
    /// Becomes the container's monitor, or if its policy may want another start, what makes the monitors.
    pub(super) fn begin(mut self, adopted: bool) -> ! {
        let launch = Launch::read(self.directory.by_ref());
        let start = if adopted { Start::Adopted } else { Start::First };
        let policy = launch.as_ref().map_or("", |launch| launch.annotation(launch::RESTART));
        if Policy::parse(policy).unwrap_or(Policy::No) == Policy::No {
            self.monitor(start, launch);
        }
        let made = Handover::new().and_then(|handover| {
            self.handover = Some(handover);
            let _why = because!("make the monitor, which can't start a workload again; its keeper stays above it");
            process::clone(0, Role::Monitor)
        });
        match made {
            Ok(Side::Parent(pid)) => {
                ledger::leave();
                self.monitor = pid;
                self.stay()
            }
            Ok(Side::Child) => self.monitor(start, launch),
            Err(error) => self.monitor(start, Err(error)),
        }
    }

    /// Makes monitors until one says that the container has ended for good.
    pub(super) fn keep(mut self) -> ! {
        let _why = because!("keep the container's monitor");
        let _ = process::prctl_not_dumpable();
        let mut tried = false;
        loop {
            let start = match process::wait(Some(self.monitor), true) {
                Ok(Some(waited)) => match waited.ended {
                    Ended::Exited(0) => process::exit(0),
                    Ended::Exited(code @ 1..=policy::MOST_CODE) => {
                        // Whoever started it has long had its answer, or is connected.
                        self.channel = None;
                        Start::Again(code)
                    }
                    _ => Start::Killed,
                },
                _ => process::exit(0),
            };
            if let Start::Killed = start {
                if tried {
                    // Whoever waits must not wait for ever.
                    self.channel = None;
                }
                tried = true;
                process::sleep(BREATH);
            }
            self.monitor = loop {
                match process::clone(0, Role::Monitor) {
                    Ok(Side::Parent(pid)) => break pid,
                    Ok(Side::Child) => {
                        let launch = Launch::read(self.directory.by_ref());
                        self.monitor(start, launch)
                    }
                    Err(_) => process::sleep(NO_ROOM),
                }
            };
        }
    }

    /// Is a monitor from here on.
    fn monitor(self, start: Start, launch: Result<Launch>) -> ! {
        if self.handover.is_some() {
            let _why = because!("end with the keeper");
            let _ = process::prctl_die_with_parent(libc::SIGKILL);
        }
        let mut monitor = Monitor::new(self.root, self.directory, self.id, self.handover);
        let result = match start {
            Start::First => monitor.launch(launch, false, self.signals),
            Start::Adopted => monitor.take_over(launch),
            Start::Again(failures) => {
                monitor.receive_handed_over();
                monitor.failures = failures;
                monitor.launch_again(launch, self.signals)
            }
            Start::Killed => {
                monitor.receive_handed_over();
                monitor.recover(launch, self.signals)
            }
        };
        ledger::leave();
        match (self.channel, result) {
            (Some(channel), result) => {
                let attached = result.is_ok() && self.attach;
                Monitor::report(result, &channel);
                if attached {
                    monitor.clients.push(Client::new(channel, true));
                }
            }
            // As if the workload had failed at once.
            (None, Err(error)) => {
                let end = monitor.end_with(error.exit_code(), false);
                monitor.conclude(end);
            }
            (None, Ok(())) => {}
        }
        monitor.stay()
    }
}

impl Monitor {
    /// Starts the workload again, unless the user does not want that any more.
    fn launch_again(&mut self, launch: Result<Launch>, signals: Signals) -> Result<()> {
        if self.is_stopped() {
            let code = self.give_up();
            self.say_end(code);
        }
        self.launch(launch, true, signals)?;
        // Whoever has stopped it since could not tell this process.
        if self.is_stopped() {
            process::kill(self.pid, libc::SIGTERM)?;
        }
        Ok(())
    }

    /// Goes on where a monitor was killed.
    fn recover(&mut self, launch: Result<Launch>, signals: Signals) -> Result<()> {
        if !file::try_lock(self.directory.by_ref(), Lock::Exclusive)? {
            // It had ended, and belongs to others.
            process::exit(0);
        }
        let state = State::load(self.directory.by_ref())?.unwrap_or_default();
        if known::is_alive(state.pid, state.pid_start) && !known::is_dying(state.pid) {
            return self.take_over(launch);
        }
        match state.status {
            Status::Restarting => self.launch_again(launch, signals),
            Status::Running => {
                let end = self.finish(None);
                self.conclude(end)
            }
            Status::Created | Status::Exited => process::exit(0),
        }
    }
}
