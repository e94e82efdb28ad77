//! `vial gc`: removes what killed and interrupted commands left behind.
//!
//! What is waste is told by the store alone. A control group is removed because a container's directory tells of it: those
//! below `/vial` that no directory here tells of belong to another store, or are gone in a moment. So every container's
//! directory is there before its control group and goes after it.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::images;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::text;
use crate::container::bundle::{Bundle, Bundles, read_json};
use crate::container::disconnect;
use crate::container::monitor;
use crate::container::oci;
use crate::container::ranges;
use crate::container::remains::{self, With};
use crate::container::state::{State, Status};
use crate::container::volume::Volumes;
use crate::image::remove::Sweep;
use crate::network::{Networks, address_text, bridge, ipam, names, resolver, sweeper};
use crate::sys::file::Lock;
use crate::sys::{Fd, FdRef, because, fd, file, process};

/// Rounds of 10 ms for which an owner that seems to be gone still counts as one.
const ROUNDS: u32 = 25;

/// Removes it and says what, a line each; with `--dry-run` only says.
#[inline(never)]
pub(super) fn collect(context: &Context<'_>) -> Result<u8> {
    let dry = context.parsed.on(Id::GcDryRun);
    // `image prune` is about images alone.
    let all = context.parsed.noun.is_empty();
    if all && context.parsed.on(Id::GcAll) && !context.parsed.on(Id::GcImages) {
        return Err(Error::new(phrase!("--all is about images"))
            .hint(phrase!("accepted: gc --images --all, or image prune --all")));
    }
    let root = context.open_root()?;
    let bundles = Bundles::open(root)?;
    let (containers, dangling) = bundles.survey()?;
    let mut collector = Collector { root, bundles: &bundles, dry, code: 0 };
    {
        let _why = because!("wait for containers that are being made to get an owner");
        bundles.settle()?;
    }
    for (id, name) in containers.iter().filter(|_| all) {
        let result = collector.container(id, name);
        collector.note(result);
    }
    for (name, id) in dangling.iter().filter(|_| all) {
        let result = if dry { Ok(()) } else { bundles.give_back(name, id).map(drop) };
        let result = result.and_then(|()| say("name", name));
        collector.note(result);
    }
    let result = if all { collector.volumes() } else { Ok(()) };
    collector.note(result);
    let result = if all { collector.networks() } else { Ok(()) };
    collector.note(result);
    let result = collector.ranges();
    collector.note(result);
    let result = if all { collector.oci(context) } else { Ok(()) };
    collector.note(result);
    let result = collector.images(context);
    collector.note(result);
    Ok(collector.code)
}

fn say(kind: &str, what: &str) -> Result<()> {
    super::print_line(join!("{} {}", kind, what))
}

struct Collector<'a> {
    root: FdRef<'a>,
    bundles: &'a Bundles,
    dry: bool,
    code: u8,
}

impl Collector<'_> {
    /// Goes on after a failure.
    fn note(&mut self, result: Result<()>) {
        if let Err(error) = result {
            super::report(&error);
            self.code = EXIT_FAILURE;
        }
    }

    /// Takes a container that no process owns. When an owner has just been killed, a child of it may be about to go; while one
    /// is about to start, the container looks the same.
    fn take(&self, id: &str) -> Result<Option<Fd>> {
        let _why = because!("see whether a process owns the container");
        for _ in 0..ROUNDS {
            let Some((directory, free)) = self.bundles.take(id)? else { return Ok(None) };
            if free {
                return Ok(Some(directory));
            }
            let owner = State::load(directory.by_ref())?.map_or(0, |state| state.owner);
            if owner != 0 && file::exists(fd::CWD, file::path(join!("/proc/{}", owner))?) {
                break;
            }
            drop(directory);
            process::sleep(10);
        }
        Ok(None)
    }

    #[inline(never)]
    fn container(&self, id: &'static str, name: &'static str) -> Result<()> {
        let Some(directory) = self.take(id)? else { return Ok(()) };
        let _why = because!("remove what is left of a container that no process owns");
        let mut state = State::load(directory.by_ref())?;
        let config = match read_json(directory.by_ref(), c"config.json") {
            // Without a state it was cut short.
            Err(error) if state.is_some() => return Err(error),
            config => config.unwrap_or_default(),
        };
        if state.as_ref().is_some_and(|state| state.is_orphan()) && config.is_some() {
            let bundle = Bundle { id, name, directory };
            return if self.dry { Ok(()) } else { monitor::adopt(self.root, &bundle) };
        }
        let (Some(config), Some(state)) = (&config, &mut state) else {
            return self.discard(
                id,
                name,
                &With { config: config.as_ref(), state: state.as_deref().map(AsRef::as_ref), volumes: true },
            );
        };
        if state.is_waste() {
            let volumes = !state.keep_volumes;
            return self.discard(id, name, &With { config: Some(config), state: Some(state), volumes });
        }
        if remains::remove_group(config, id, Some(state), self.dry)? {
            say("control group of", id)?;
        }
        if !self.dry {
            sweeper::start(&disconnect::release(self.root, id)?);
        }
        if matches!(state.status, Status::Running | Status::Restarting) && !self.dry {
            state.abandon();
            state.save(directory.by_ref())?;
        }
        Ok(())
    }

    fn discard(&self, id: &str, name: &str, with: &With<'_>) -> Result<()> {
        if !self.dry {
            remains::discard(self.root, self.bundles, (id, name), with)?;
        }
        say("container", id)?;
        let volumes = with.config.filter(|_| with.volumes).map(remains::volumes).unwrap_or_default();
        volumes.iter().try_for_each(|volume| say("volume", volume))
    }

    fn volumes(&self) -> Result<()> {
        for name in Volumes::open(self.root)?.clean(self.dry)? {
            say("volume", name)?;
        }
        Ok(())
    }

    /// Ranges of user IDs of containers that are gone.
    fn ranges(&self) -> Result<()> {
        for range in ranges::collect(self.root, self.bundles, self.dry)? {
            say("range", range)?;
        }
        Ok(())
    }

    /// What killed `vial oci create`s left in the place that engines use unless told otherwise. A container that has had a process
    /// is the engine's, which asks how it ended and deletes it.
    fn oci(&self, context: &Context<'_>) -> Result<()> {
        let Some(root) = super::oci::existing_root(context)? else { return Ok(()) };
        for id in oci::clean(root, self.dry)? {
            say("oci container", id)?;
        }
        Ok(())
    }

    /// Addresses and names of containers that are gone, and bridges that no container is at.
    #[inline(never)]
    fn networks(&self) -> Result<()> {
        if !file::exists(self.root, c"networks") {
            return Ok(());
        }
        let networks = Networks::open(self.root)?;
        for name in networks.clean(self.dry)? {
            say("network", name)?;
        }
        for name in networks.names()? {
            let (directory, Some(network)) = (networks.directory(name)?, networks.load(name)?) else { continue };
            Networks::lock(&directory, Lock::Exclusive)?;
            let mut held = Vec::new();
            for (address, id) in ipam::leases(directory.by_ref())? {
                let owned = match self.bundles.take(id)? {
                    Some((_, false)) => true,
                    Some((bundle, true)) => State::load(bundle.by_ref())?.is_some_and(|state| state.is_orphan()),
                    None => false,
                };
                if owned {
                    held.push(address);
                    continue;
                }
                if !self.dry {
                    ipam::release(directory.by_ref(), &address)?;
                }
                say("address", address_text(&address))?;
            }
            if self.dry {
                continue;
            }
            ipam::clean(directory.by_ref())?;
            names::clean(directory.by_ref(), &held)?;
            if !held.is_empty() {
                // Who answers names has the directory open too, and is not to have the lock.
                file::unlock(directory.by_ref())?;
                let _ = resolver::ensure(directory.by_ref(), &bridge::gateways(&network));
            } else if bridge::remove(&network)? {
                say("bridge", bridge::interface(&network))?;
            }
        }
        Ok(())
    }

    /// What killed imports left in the store of images, and unwanted images.
    fn images(&self, context: &Context<'_>) -> Result<()> {
        let parsed = context.parsed;
        let images = parsed.on(Id::GcImages) || !parsed.noun.is_empty();
        let mut sweep = Sweep { dry: self.dry, images, named: parsed.on(Id::GcAll), freed: 0 };
        let done = images::store(context)?.clean(&mut sweep, &mut |layer| images::user_of(self.root, layer))?;
        for line in done {
            super::print_line(line)?;
        }
        if images {
            super::print_line(say!("Total reclaimed space: {}", text::human_size(sweep.freed)))?;
        }
        Ok(())
    }
}
