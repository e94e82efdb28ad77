//! `vial stats`: what containers use, each second.
//!
//! This runs for as long as the user likes. So whatever is made each second is given back, and of a container no more is
//! looked at than whether it still is as it was; its files are read when that changes. What they hold stays in memory, and
//! when much of it has gathered, vial executes itself anew.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{FLAGS, List};
use super::sealed;
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
use crate::sys::{because, fd, file, ledger, process, terminal};

/// docker's columns.
const FIELDS: &str = "ID=CONTAINER ID|Name=NAME|CPUPerc=CPU %|MemUsage=MEM USAGE / LIMIT|MemPerc=MEM %|NetIO=NET I/O\
                      |BlockIO=BLOCK I/O|PIDs=PIDS|Container=";

/// Milliseconds between two looks.
const INTERVAL: u32 = 1000;

/// How many times containers are looked into before their files fill too much memory: some 3 KiB each time.
const LOOKS: usize = 500;

/// A container that is followed.
struct Followed {
    /// As it was when its files were read. Its directory has no name any more when the container is gone.
    seen: Box<Seen>,
    /// Its group while it runs, and whether its interfaces are not the host's.
    runs: Option<(Group, bool)>,
    /// What it used at the last look but one and at the last.
    samples: [Option<Sample>; 2],
}

impl Followed {
    fn new(seen: Box<Seen>) -> Followed {
        let mut runs = None;
        if seen.condition.is_running()
            && let Ok(group) = seen.group()
        {
            // The host's interfaces are nothing of the container's.
            let config = seen.config().unwrap_or_default();
            let namespaces = config.at(&["linux", "namespaces"]).and_then(Value::as_array).unwrap_or_default();
            let is_network = |namespace: &Value| namespace.get("type").and_then(Value::as_str) == Some("network");
            runs = Some((group, namespaces.iter().any(is_network)));
        }
        Followed { seen, runs, samples: [None; 2] }
    }

    /// Whether all is still as it was when its files were read: it runs on, or nobody owns it.
    fn is_unchanged(&self) -> bool {
        let directory = self.seen.directory.by_ref();
        match &self.runs {
            // On a host without control groups the first process tells.
            Some((group, _)) if group.directories().is_empty() => exists(self.seen.state.pid),
            Some((group, _)) => group.has_processes(),
            None => {
                file::try_lock(directory, Lock::Shared).unwrap_or(false)
                    && file::unlock(directory).is_ok()
                    && file::exists(directory, c"state.json")
            }
        }
    }

    /// Notes what it uses now.
    fn look(&mut self) {
        if let Some((group, network)) = &self.runs {
            self.samples = [self.samples[1], Some(Sample::take(group, self.seen.state.pid, *network))];
        }
    }

    fn row(&self, whole: bool) -> Vec<String> {
        let [before, now] = self.samples;
        let sample = now.unwrap_or_default();
        let used = match before {
            Some(before) => percent(sample.cpu.saturating_sub(before.cpu), sample.at - before.at),
            // There is no first look to compare with yet.
            None if self.runs.is_some() => "--".to_string(),
            None => percent(0, 0),
        };
        let pair = |write: fn(u64) -> String, [one, other]: [u64; 2]| [&*write(one), " / ", &write(other)].concat();
        let id = self.seen.id;
        alloc::vec![
            if whole { id } else { id.get(..12).unwrap_or(id) }.to_string(),
            self.seen.name.to_string(),
            used,
            pair(human_binary_size, [sample.memory, sample.limit]),
            percent(sample.memory, sample.limit),
            pair(human_size, sample.network),
            pair(human_size, sample.block),
            alloc::format!("{}", sample.pids),
            id.to_string(),
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
    let list = List::new(parsed, FLAGS, FIELDS)?;
    list.text(&[])?;
    let bundles = Bundles::open(context.open_root()?)?;
    let mut watch = Watch { bundles, named: Vec::new(), followed: Vec::new(), looks: 0 };
    for name in &parsed.positionals {
        match watch.bundles.find(&String::from_utf8_lossy(name)) {
            Ok(found) => watch.named.push(found.0),
            // It went while vial was executed anew ([`Watch::renew`]).
            Err(_) if context.is_sealed() => {}
            Err(error) => return Err(error),
        }
    }
    if watch.named.is_empty() && !parsed.positionals.is_empty() {
        return Ok(0);
    }
    let (once, all) = (parsed.on(Id::NoStream), parsed.on(Id::AllStats) || !watch.named.is_empty());
    let live = !once && tty::is_terminal(fd::STDOUT) && context.variable(b"TERM") != Some(b"dumb");
    watch.look()?;
    let most = watch.looks + LOOKS;
    loop {
        process::sleep(INTERVAL);
        watch.look()?;
        let mut cells = Vec::new();
        for followed in &watch.followed {
            if all || followed.runs.is_some() {
                cells.append(&mut followed.row(parsed.on(Id::NoTrunc)));
            }
        }
        let mut row: Vec<&str> = Vec::new();
        for cell in &cells {
            row.push(cell);
        }
        let text = list.text(&row)?;
        super::print(&if live { redrawn(&text) } else { text })?;
        if once || (!watch.named.is_empty() && watch.followed.is_empty()) {
            return Ok(0);
        }
        if watch.looks > most {
            // Should it fail, this one goes on.
            watch.looks = 0;
            let _ = watch.renew(context);
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
    /// The IDs of those that were asked for; none for all.
    named: Vec<&'static str>,
    /// The newest first.
    #[expect(clippy::vec_box, reason = "sorting moves what is boxed as one word")]
    followed: Vec<Box<Followed>>,
    /// How many times the files of one were read.
    looks: usize,
}

impl Watch {
    /// Looks at all of them once.
    #[inline(never)]
    fn look(&mut self) -> Result<()> {
        let _why = because!("look at what the containers use");
        while let Some(place) = self.followed.iter().position(|known| !known.is_unchanged()) {
            drop(self.followed.remove(place));
        }
        let others = self.bundles.others(&|id| !self.is_new(id))?;
        for &container in others {
            self.looks += 1;
            if let Some(seen) = Seen::look(&self.bundles, container)? {
                self.followed.push(Box::new(Followed::new(seen)));
            }
        }
        if !others.is_empty() {
            sort(&mut self.followed, |one, other| one.seen.state.created > other.seen.state.created);
        }
        for followed in &mut self.followed {
            followed.look();
        }
        Ok(())
    }

    /// Goes on with the same command line, but with the IDs of those that are still there.
    fn renew(&self, context: &Context<'_>) -> Result<()> {
        let _why = because!("execute vial anew, to give back the memory that containers' files took");
        let words = context.args.len() - self.named.len();
        let mut args = Vec::from(&context.args[..words]);
        args[0] = sealed::NAME;
        for id in &self.named {
            if self.followed.iter().any(|known| known.seen.id == *id) {
                args.push(file::path(id)?);
            }
        }
        Err(process::go_on_as(c"/proc/self/exe", &args, context.env))
    }

    /// Whether this one is wanted and not followed yet.
    fn is_new(&self, id: &str) -> bool {
        (self.named.is_empty() || self.named.contains(&id)) && !self.followed.iter().any(|known| known.seen.id == id)
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
