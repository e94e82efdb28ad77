//! What became of a container: `state.json`, and what is to be made of it together with the lock.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::bundle::{Bundle, Bundles, Durable, Named, damaged, read_json};
use super::monitor::RESTARTING;
use super::{process, remains};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::json::record::{self, names, record};
use crate::base::keep::Kept;
use crate::base::time::{Timestamp, human_duration};
use crate::kernel::cgroup::{Group, Hits};
use crate::sys::{Fd, FdRef, file};

/// The mark in a container's directory that says that it is being or has been paused.
pub const PAUSED: &CStr = c"paused";

names! {
    /// How far a container has come, as the last process that owned it has written.
    pub enum Status {
        /// It was made but never started.
        #[default]
        Created = "created",
        /// Its workload was executed.
        Running = "running",
        /// Its workload has ended.
        Exited = "exited",
        /// Its workload has ended and is about to be executed again.
        Restarting = "restarting",
    }
}

record! {
    /// What `state.json` holds: all that `config.json` has no place for. ID and name are not in it; the directory and the link
    /// to it say those.
    pub struct State {
        /// How far it has come.
        status: Status = Required "status",
        /// The image as the user named it.
        image: &'static str = Required "image",
        /// The image's ID; empty for the host and for directories.
        image_id: &'static str = Optional "imageId",
        /// What is executed, with its arguments.
        command: Vec<&'static str> = Optional "command",
        /// The first process, as the host sees it; 0 if there is none.
        pid: u32 = Optional "pid",
        /// When the first process began; see [`super::process::began`].
        pid_start: u64 = Optional "pidStart",
        /// The process that owns the container.
        owner: u32 = Optional "owner",
        /// When the owner began.
        owner_start: u64 = Optional "ownerStart",
        /// The pipes for standard output and standard error, by inode number.
        pipes: Vec<u64> = Optional "pipes",
        /// How often its restart policy has started it again.
        restarts: u32 = Optional "restartCount",
        /// When it was made, RFC 3339.
        created: &'static str = Required "created",
        /// When its workload was executed.
        started: &'static str = Optional "started",
        /// When its workload ended; empty if nobody saw it.
        finished: &'static str = Optional "finished",
        /// The workload's exit code; 128 + n for signal n.
        exit_code: u32 = Optional "exitCode",
        /// Whether a process of it was killed because memory ran out.
        oom_killed: bool = Optional "oomKilled",
        /// How often a process could not be made, and for how many nanoseconds processes waited, by its limits.
        hits: Vec<u64> = Optional "hits",
        /// What went wrong besides.
        error: &'static str = Optional "error",
        /// Whether it goes when it ends.
        remove: bool = Optional "remove",
        /// Whether the volumes made for it alone stay when it goes: `rm` without `-v` says so before it begins.
        keep_volumes: bool = Optional "keepVolumes",
        /// Whether it has a terminal.
        tty: bool = Optional "tty",
        /// The user's notes.
        labels: Vec<(&'static str, &'static str)> = Optional "labels",
        /// The ports that its image says it listens on: `80/tcp, 53/udp`.
        exposed: &'static str = Optional "exposed",
    }
}

impl State {
    /// Reads a container's state; `None` if nothing was written yet. Its texts stay until the process ends: this is not for
    /// loops without a bound.
    ///
    /// # Errors
    /// What the file system refuses, and a file that is damaged, by name.
    pub fn load(directory: FdRef<'_>) -> Result<Option<Kept<Box<State>>>> {
        let Some(value) = read_json(directory, c"state.json")? else { return Ok(None) };
        let mut state: Kept<Box<State>> = Kept::default();
        match record::take(&mut **state, &value) {
            Ok(()) => Ok(Some(state)),
            Err(error) => Err(damaged("state.json", &error)),
        }
    }

    /// Replaces a container's state as a whole. It is on the disk then, unless the container goes when it ends anyway.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn save(&mut self, directory: FdRef<'_>) -> Result<()> {
        self.write(directory, Durable::Done)
    }

    /// As `save`, but no more durable than this.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn write(&mut self, directory: FdRef<'_>, durable: Durable) -> Result<()> {
        let durable = if self.remove { Durable::Not } else { durable };
        Bundle::replace(directory, c"state.json", &record::write(self), durable)
    }

    /// Whether the first process goes on although its owner is not there, whose monitor was killed; it gives up its lock before it is
    /// gone.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        let goes_on = |pid, start| process::is_alive(pid, start) && !process::is_dying(pid);
        goes_on(self.pid, self.pid_start) && !goes_on(self.owner, self.owner_start)
    }

    /// Whether a container that nobody owns is to go: it was to go when it ends, and has been started, or was about to be.
    #[must_use]
    pub fn is_waste(&self) -> bool {
        self.remove && (self.status != Status::Created || self.owner != 0)
    }

    /// Notes what the limits of its group have done, if there is anything to note.
    pub fn note_hits(&mut self, hits: Hits) {
        self.hits.clear();
        if hits != Hits::default() {
            self.hits.extend([hits.refused, hits.throttled]);
        }
    }

    /// Notes how the workload ended.
    pub fn end(&mut self, code: u8, oom_killed: bool, status: Status) {
        self.status = status;
        (self.pid, self.pid_start) = (0, 0);
        self.finished = super::life::now();
        self.exit_code = code.into();
        self.oom_killed = oom_killed;
    }

    /// Notes that the owner was killed, and the workload with it: how and when it would have ended is not known.
    pub fn abandon(&mut self) {
        self.status = Status::Exited;
        self.pid = 0;
        self.finished = "";
        self.exit_code = 128 + libc::SIGKILL as u32;
        self.error = "the vial process that the container belonged to was killed";
    }
}

names! {
    /// A container's condition, from its state and its lock together, in docker's words.
    pub enum Condition {
        /// It was made, or is being made.
        #[default]
        Created = "created",
        /// Its workload runs.
        Running = "running",
        /// Its workload was frozen by `pause`.
        Paused = "paused",
        /// Its workload has ended.
        Exited = "exited",
        /// Its workload has ended and is about to be executed again.
        Restarting = "restarting",
        /// It was given up half-way: only `rm` and `gc` have to do with it.
        Dead = "dead",
    }
}

impl Condition {
    /// Whether there is a workload, be it frozen.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Condition::Running | Condition::Paused)
    }
}

/// A container as one look at it shows it.
pub struct Seen {
    /// 64 hexadecimal digits.
    pub id: &'static str,
    /// The name; empty if it was killed before it had one.
    pub name: &'static str,
    /// Its directory, not locked.
    pub directory: Fd,
    /// What is the matter with it.
    pub condition: Condition,
    /// Its state; the default if it has none or a damaged one.
    pub state: Kept<Box<State>>,
    /// Whether it runs without the process that owned it.
    pub orphan: bool,
    /// Why its state can't be told.
    pub problem: Option<Error>,
}

impl Seen {
    /// Looks at a container; `None` if it is gone.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn look(bundles: &Bundles, (id, name): Named) -> Result<Option<Box<Seen>>> {
        let Some((directory, owned)) = bundles.look(id)? else { return Ok(None) };
        let loaded = State::load(directory.by_ref());
        // Until here nobody could become its owner.
        file::unlock(directory.by_ref())?;
        let (condition, state) = (Condition::Dead, Kept::default());
        let mut seen = Box::new(Seen { id, name, directory, condition, state, orphan: false, problem: None });
        match loaded {
            Ok(state) => seen.judge(owned, state),
            Err(error) => seen.problem = Some(error.because(say!("look at container {}", seen.id))),
        }
        Ok(Some(seen))
    }

    fn judge(&mut self, owned: bool, state: Option<Kept<Box<State>>>) {
        let written = state.is_some();
        self.state = state.unwrap_or_default();
        let whole = written && file::exists(self.directory.by_ref(), c"config.json");
        // Whatever was written last: the workload may have been executed a moment before its monitor was killed.
        self.orphan = !owned && whole && self.state.is_orphan();
        let status = if self.orphan { Status::Running } else { self.state.status };
        let owned = owned || self.orphan;
        self.condition = match status {
            _ if !owned && !whole => Condition::Dead,
            // While it is restarted it stays.
            _ if !owned && self.state.is_waste() && !file::exists(self.directory.by_ref(), RESTARTING) => {
                Condition::Dead
            }
            Status::Running | Status::Restarting if !owned => {
                self.state.abandon();
                let left = self.config().is_ok_and(|config| remains::are_there(&config, self.id));
                if left { Condition::Dead } else { Condition::Exited }
            }
            Status::Created => Condition::Created,
            // The mark is there before the container is frozen and after it was thawed.
            Status::Running if file::exists(self.directory.by_ref(), PAUSED) && self.is_frozen() => Condition::Paused,
            Status::Running => Condition::Running,
            Status::Exited => Condition::Exited,
            Status::Restarting => Condition::Restarting,
        };
    }

    fn is_frozen(&self) -> bool {
        self.group().is_ok_and(|group| group.is_frozen().unwrap_or(false))
    }

    /// Its control group, in those hierarchies where it has a directory.
    ///
    /// # Errors
    /// As `config`; what hides the host's control groups.
    pub fn group(&self) -> Result<Group> {
        remains::group(&self.config()?, self.id)
    }

    /// Its `config.json`.
    ///
    /// # Errors
    /// There is none yet, or it is damaged.
    pub fn config(&self) -> Result<Value> {
        match read_json(self.directory.by_ref(), c"config.json")? {
            Some(config) => Ok(config),
            None => Err(Error::new(say!("no such container: {} is being made or removed", self.id))),
        }
    }

    /// `Up 3 minutes`, `Exited (0) 2 hours ago`: docker's words.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> &'static str {
        match self.condition {
            Condition::Created => "Created",
            Condition::Running => join!("Up{}", since(" ", self.state.started, now, "")),
            Condition::Paused => say!("Up{} (Paused)", since(" ", self.state.started, now, "")),
            Condition::Exited => {
                say!("Exited ({}){}", self.state.exit_code, since(" ", self.state.finished, now, " ago"))
            }
            Condition::Restarting => {
                say!("Restarting ({}){}", self.state.exit_code, since(" ", self.state.finished, now, " ago"))
            }
            Condition::Dead => "Dead",
        }
    }
}

/// How long ago a moment was, between two words; empty if it is not known.
#[must_use]
pub fn since(before: &str, moment: &str, now: Timestamp, after: &str) -> &'static str {
    match Timestamp::parse(moment) {
        Some(moment) => join!("{}{}{}", before, human_duration(now.seconds_since(moment)), after),
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::parse;

    fn state(status: Status) -> State {
        State {
            status,
            image: "host",
            pid: 7,
            created: "2026-01-02T03:04:05.000000000Z",
            started: "2026-01-02T03:04:05.000000000Z",
            labels: std::vec![("a", "b")],
            ..State::default()
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let mut written = state(Status::Running);
        let text = record::write(&mut written).to_compact();
        let read: State = record::read(&parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(read, written);
    }

    #[test]
    fn a_state_of_a_wrong_shape_names_the_member() {
        let value = parse(b"{\"status\":\"gone\",\"image\":\"host\",\"created\":\"\"}").unwrap();
        let error = record::read::<State>(&value).unwrap_err().to_string();
        assert!(error.contains("status: expected one of created, running, exited"), "{error}");
    }

    #[test]
    fn the_status_is_in_dockers_words() {
        let path = std::env::temp_dir().join(std::format!("vial-state-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let root =
            file::open(crate::sys::fd::CWD, file::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap();
        let bundles = Bundles::open(root.by_ref()).unwrap();
        let bundle = bundles.create("web").unwrap();
        let now = Timestamp::parse("2026-01-02T03:07:05Z").unwrap();
        let look = || Seen::look(&bundles, (bundle.id, "web")).unwrap().unwrap();
        let words = || {
            let seen = look();
            std::format!("{} {}", seen.condition.name(), seen.status(now))
        };
        assert_eq!(words(), "created Created");
        state(Status::Running).save(bundle.directory.by_ref()).unwrap();
        assert_eq!(words(), "running Up 3 minutes");
        let finished = "2026-01-02T01:07:05Z";
        State { finished, exit_code: 3, ..state(Status::Exited) }.save(bundle.directory.by_ref()).unwrap();
        assert_eq!(words(), "exited Exited (3) 2 hours ago");

        // Nobody owns it any more.
        file::unlock(bundle.directory.by_ref()).unwrap();
        assert_eq!(words(), "dead Dead", "without config.json it is waste");
        bundle.write(c"config.json", "{}").unwrap();
        assert_eq!(words(), "exited Exited (3) 2 hours ago");
        state(Status::Running).save(bundle.directory.by_ref()).unwrap();
        assert_eq!(words(), "exited Exited (137)");
        State { remove: true, ..state(Status::Exited) }.save(bundle.directory.by_ref()).unwrap();
        assert_eq!(words(), "dead Dead");
        bundle.write(c"state.json", "{").unwrap();
        assert!(look().problem.unwrap().to_string().contains("state.json"));
        std::fs::remove_dir_all(path).unwrap();
    }
}
