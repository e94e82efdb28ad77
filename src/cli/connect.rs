//! `vial network connect` and `disconnect`: further networks for containers that are there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::lifecycle;
use super::network::{self, find};
use super::options::network::{DETAILS, is_detail};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::container::bundle::{Bundle, Durable, read_json};
use crate::container::connect::{self as own, First, Whose};
use crate::container::connections::Connections;
use crate::container::disconnect::leave;
use crate::container::launch::{Launch, NETWORKS};
use crate::container::life;
use crate::container::state::Seen;
use crate::sys::file::{self, Lock};
use crate::sys::{Fd, FdRef, because};

/// A container and the network that are named, and the lines of its networks as its configuration has them.
struct Named {
    root: FdRef<'static>,
    seen: Box<Seen>,
    network: &'static str,
    config: Value,
    lines: Vec<&'static str>,
    /// Of several commands at once each begins with what the one before has made.
    _turn: Fd,
}

#[inline(never)]
fn look(context: &Context<'_>) -> Result<Named> {
    let (wanted, container) = (context.parsed.word(0), context.parsed.word(1));
    let (root, _, seen) = lifecycle::look(context, container)?;
    let networks = network::open(context)?;
    let Some((network, _)) = find(&networks, wanted)? else { return Err(networks.missing(wanted)) };
    let turn = file::open(seen.directory.by_ref(), c"rootfs", libc::O_RDONLY | libc::O_DIRECTORY)?;
    file::lock(turn.by_ref(), Lock::Exclusive)?;
    let config = read_json(seen.directory.by_ref(), c"config.json")?.unwrap_or_default();
    let noted = config.at(&["annotations", NETWORKS]).and_then(Value::as_str).unwrap_or_default();
    if noted.is_empty() {
        return Err(Error::new(say!("container {} is on no network that others can be added to", container))
            .hint(phrase!("it was made with --network none, host, container:ID or ns:PATH")));
    }
    let lines = keep::copy(noted).parts(b'\n').collect();
    Ok(Named { root, seen, network, config, lines, _turn: turn })
}

impl Named {
    /// The place of the network among those of the container.
    fn place(&self) -> Option<usize> {
        self.lines.iter().position(|line| line.words().next() == Some(self.network))
    }

    fn first(&self) -> First {
        First(self.seen.state.pid, self.seen.state.pid_start)
    }

    /// Writes down which networks the container is on when it is started.
    fn note(&mut self) -> Result<()> {
        let noted = self.lines.join("\n");
        self.config.member("annotations").text(NETWORKS, noted.leak());
        Bundle::replace(self.seen.directory.by_ref(), c"config.json", &self.config, Durable::Done)
    }
}

/// Connects a container to a network.
#[inline(never)]
pub(super) fn connect(context: &Context<'static>) -> Result<u8> {
    let _why = because!("connect the container to the network");
    let mut line = Vec::new();
    for given in &context.parsed.flags {
        let (text, place) = (given.text()?, (given.flag.id as usize).wrapping_sub(Id::NetworkAlias as usize));
        if !is_detail(place, text) {
            return Err(
                given.refuse(phrase!("malformed"), phrase!("a name, an address of the network, or a MAC address"))
            );
        }
        line.push(join!("{}={}", text::word(DETAILS, place), text));
    }
    let mut named = look(context)?;
    if named.place().is_some() {
        return Err(Error::new(say!("container {} is on the network {} already", named.seen.name, named.network)));
    }
    line.insert(0, named.network);
    let line: &'static str = line.join(" ").leak();
    if named.seen.condition.is_running() {
        let directory = named.seen.directory.by_ref();
        let launch = Launch::read(directory)?;
        let whose = Whose { root: named.root, directory, id: named.seen.id, name: named.seen.name, spec: launch.spec };
        for note in &own::join(&whose, named.first(), line)? {
            life::warn(note);
        }
    }
    named.lines.push(line);
    named.note()?;
    Ok(0)
}

/// Takes a container off a network.
#[inline(never)]
pub(super) fn disconnect(context: &Context<'static>) -> Result<u8> {
    let _why = because!("take the container off the network");
    let mut named = look(context)?;
    let Some(place) = named.place() else {
        return Err(Error::new(say!("container {} is not on the network {}", named.seen.name, named.network)));
    };
    if named.lines.len() == 1 {
        return Err(Error::new(say!("{} is the only network of container {}", named.network, named.seen.name))
            .hint(phrase!("connect it to another one first")));
    }
    let directory = named.seen.directory.by_ref();
    let is_up = Connections::read(directory)?.networks.iter().any(|connection| connection.network == named.network);
    if named.seen.condition.is_running() && is_up {
        leave(named.root, directory, named.first(), named.network)?;
    }
    named.lines.remove(place);
    named.note()?;
    Ok(0)
}
