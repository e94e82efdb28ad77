//! `vial stats`: what containers use, each second.
//!
//! This runs for as long as the user likes. So whatever is made each second is given back, and of a container no more is
//! looked at than whether it still is as it was; its files are read when that changes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{self, Field, Format};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::sort::sort;
use crate::base::text::{human_binary_size, human_size};
use crate::container::bundle::Bundles;
use crate::container::state::Seen;
use crate::container::usage::Sample;
use crate::kernel::cgroup::Group;
use crate::kernel::tty;
use crate::sys::file::Lock;
use crate::sys::{Fd, because, fd, file, ledger, process, terminal};

/// docker's columns.
const FIELDS: [Field; 9] = [
    Field { name: "ID", heading: "CONTAINER ID" },
    Field { name: "Name", heading: "NAME" },
    Field { name: "CPUPerc", heading: "CPU %" },
    Field { name: "MemUsage", heading: "MEM USAGE / LIMIT" },
    Field { name: "MemPerc", heading: "MEM %" },
    Field { name: "NetIO", heading: "NET I/O" },
    Field { name: "BlockIO", heading: "BLOCK I/O" },
    Field { name: "PIDs", heading: "PIDS" },
    Field { name: "Container", heading: "" },
];

/// Milliseconds between two looks.
const INTERVAL: u32 = 1000;

/// A container that is followed.
struct Followed {
    id: String,
    name: String,
    created: String,
    /// Its directory. It has no name any more when the container is gone.
    directory: Fd,
    /// What is looked at while it runs: its group, its first process, and whether its interfaces are not the host's.
    runs: Option<(Group, u32, bool)>,
    /// What it used at the last look and at the one before.
    samples: [Option<Sample>; 2],
}

impl Followed {
    fn new(seen: Seen) -> Followed {
        let mut runs = None;
        if seen.condition.is_running()
            && let Ok(group) = seen.group()
        {
            // The host's interfaces are nothing of the container's.
            let config = seen.config().unwrap_or_default();
            let namespaces = config.at(&["linux", "namespaces"]).and_then(Value::as_array).unwrap_or_default();
            let is_network = |namespace: &Value| namespace.get("type").and_then(Value::as_str) == Some("network");
            runs = Some((group, seen.state.pid, namespaces.iter().any(is_network)));
        }
        let Seen { id, name, directory, state, .. } = seen;
        Followed { id, name, created: state.created, directory, runs, samples: [None; 2] }
    }

    /// Whether all is still as it was when its files were read: it runs on, or nobody owns it.
    fn is_unchanged(&self) -> bool {
        match &self.runs {
            Some((group, pid, _)) => match group.processes() {
                // On a host without control groups the first process tells.
                Ok(processes) if group.directories().is_empty() => processes.is_empty() && exists(*pid),
                processes => processes.is_ok_and(|processes| !processes.is_empty()),
            },
            None => {
                let free = file::try_lock(self.directory.by_ref(), Lock::Shared).unwrap_or(false);
                free && file::unlock(self.directory.by_ref()).is_ok()
                    && file::exists(self.directory.by_ref(), c"state.json")
            }
        }
    }

    fn row(&self, whole: bool) -> Vec<String> {
        let [before, now] = self.samples;
        let runs = self.runs.is_some();
        let sample = now.unwrap_or_default();
        let percent = match (before, runs) {
            (Some(before), _) => percent(sample.cpu.saturating_sub(before.cpu), sample.at - before.at),
            (None, false) => percent(0, 0),
            // There is no first look to compare with yet.
            (None, true) => "--".to_string(),
        };
        let pair = |one: String, other: String| [&one, " / ", &other].concat();
        let sizes = |[one, other]: [u64; 2]| pair(human_size(one), human_size(other));
        let id = if whole { &self.id } else { self.id.get(..12).unwrap_or_default() };
        alloc::vec![
            id.to_string(),
            self.name.clone(),
            percent,
            pair(human_binary_size(sample.memory), human_binary_size(sample.limit)),
            self::percent(sample.memory, sample.limit),
            sizes(sample.network),
            sizes(sample.block),
            alloc::format!("{}", sample.pids),
            self.id.clone(),
        ]
    }
}

fn exists(pid: u32) -> bool {
    file::owned_path(alloc::format!("/proc/{pid}").as_bytes()).is_ok_and(|path| file::exists(fd::CWD, &path))
}

/// `12.34%`, rounded. docker divides by the time of all processors and multiplies by their number: the same.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = (part.saturating_mul(10_000).saturating_add(whole / 2)).checked_div(whole).unwrap_or(0);
    alloc::format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Shows it.
#[inline(never)]
pub(super) fn show(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let format = Format::new(parsed.last(Id::Format), parsed.on(Id::Json))?;
    output::list(&format, &FIELDS, &[])?;
    let bundles = Bundles::open(context.open_root()?.by_ref())?;
    let mut watch = Watch { bundles, all: parsed.on(Id::AllStats), named: None, followed: Vec::new() };
    if !parsed.positionals.is_empty() {
        let mut named = Vec::new();
        for name in &parsed.positionals {
            named.push(watch.bundles.find(&String::from_utf8_lossy(name))?.0);
        }
        watch.named = Some(named);
    }
    let live = tty::is_terminal(fd::STDOUT) && context.variable(b"TERM") != Some(b"dumb") && !parsed.on(Id::NoStream);
    watch.look()?;
    loop {
        process::sleep(INTERVAL);
        watch.look()?;
        let rows: Vec<Vec<String>> = watch.shown().map(|followed| followed.row(parsed.on(Id::NoTrunc))).collect();
        let text = output::list(&format, &FIELDS, &rows)?;
        super::print(&if live { redrawn(&text) } else { text })?;
        if parsed.on(Id::NoStream) || watch.named.as_ref().is_some_and(Vec::is_empty) {
            return Ok(0);
        }
        ledger::print_done();
    }
}

/// What draws a text over the one before, as far as the terminal has lines. The cursor is hidden only meanwhile, so that an
/// interrupt, which ends this at any time, leaves nothing to be restored.
fn redrawn(text: &str) -> String {
    let rows = terminal::size(fd::STDOUT).map_or(0, |size| usize::from(size.rows));
    let mut out = String::from("\x1b[?25l\x1b[H");
    for line in text.lines().take(if rows > 1 { rows - 1 } else { usize::MAX }) {
        out.push_str(line);
        // Erases what the line before was longer by.
        out.push_str("\x1b[K\r\n");
    }
    out.push_str("\x1b[J\x1b[?25h");
    out
}

struct Watch {
    bundles: Bundles,
    /// Whether containers count that do not run.
    all: bool,
    /// The IDs of those that were asked for.
    named: Option<Vec<String>>,
    followed: Vec<Followed>,
}

impl Watch {
    /// Looks at all of them once.
    fn look(&mut self) -> Result<()> {
        let _why = because("look at what the containers use");
        self.followed.retain(Followed::is_unchanged);
        let mut known = self.bundles.ids()?;
        if let Some(named) = &mut self.named {
            named.retain(|id| known.contains(id));
            known.clone_from(named);
        }
        known.retain(|id| !self.followed.iter().any(|followed| followed.id == *id));
        if !known.is_empty() {
            for container in self.bundles.list()? {
                if known.contains(&container.0)
                    && let Some(seen) = Seen::look(&self.bundles, container)?
                {
                    self.followed.push(Followed::new(seen));
                }
            }
            sort(&mut self.followed, |one, other| one.created > other.created);
        }
        for followed in &mut self.followed {
            if let Some((group, pid, network)) = &followed.runs {
                followed.samples = [followed.samples[1], Some(Sample::take(group, *pid, *network))];
            }
        }
        Ok(())
    }

    /// What is to be shown.
    fn shown(&self) -> impl Iterator<Item = &Followed> {
        self.followed.iter().filter(|followed| self.all || self.named.is_some() || followed.runs.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_rounded_to_hundredths() {
        for (part, whole, text) in [
            (0, 0, "0.00%"),
            (1, 3, "33.33%"),
            (2, 3, "66.67%"),
            (999_999, 1_000_000, "100.00%"),
            (1_500_000_000, 1_000_000_000, "150.00%"),
            (64 << 40, 128 << 40, "50.00%"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }

    #[test]
    fn a_table_is_drawn_over_the_one_before_and_leaves_the_cursor_visible() {
        let drawn = redrawn("A\nB\n");
        assert_eq!(drawn, "\x1b[?25l\x1b[HA\x1b[K\r\nB\x1b[K\r\n\x1b[J\x1b[?25h");
    }
}
