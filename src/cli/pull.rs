//! `pull`, and what `run` and `create` do about an image that is not there.
//!
//! A process of its own does the work. So the user can end it at any time: the one that waits for it takes away what it had
//! begun, except for downloads, which the next one goes on with.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::images;
use super::load;
use super::options::{PULL, RunOptions};
use super::parse::invalid;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text;
use crate::image::bring::Wanted;
use crate::image::helper::Helper;
use crate::image::reference::{Image, Reference};
use crate::image::registry::{self, Registry};
use crate::image::store::full_name;
use crate::sys::cold::Gate;
use crate::sys::ledger;
use crate::sys::poll::{self, Waiting, bit};
use crate::sys::{FdRef, because, fd, file, process, terminal};

/// Brings an image from a registry.
#[inline(never)]
pub(super) fn pull(context: &Context<'static>) -> Result<u8> {
    let word = context.parsed.positionals.first().copied().unwrap_or_default();
    let Image::Name(name) = Image::parse(word)? else {
        return Err(Error::new(say!("{} names no image of a registry", context.parsed.word(0))).hint(phrase!(
            "accepted: [REGISTRY/]NAME[:TAG][@sha256:DIGEST], such as alpine:3.20 or 10.0.0.5:5000/app"
        )));
    };
    apart(context, &name, fd::STDOUT)
}

/// Pulls the image that a container is to be made of, if it is to be pulled; not 0 if that failed, which was said.
#[inline(never)]
pub(super) fn provide(context: &Context<'static>, options: &RunOptions<'static>) -> Result<u8> {
    let Image::Name(name) = options.image else { return Ok(0) };
    let variable = keep::lossy(context.variable(b"VIAL_PULL").unwrap_or(b"missing"));
    let Some(when) =
        text::place(PULL, context.parsed.last(Id::Pull).map_or(variable, |given| keep::lossy(given.value)))
    else {
        return Err(invalid(variable.as_bytes(), "VIAL_PULL", "not one of them", PULL));
    };
    // As it was given: without a tag it may be the beginning of an ID.
    let known = images::store(context)?.look_up(context.parsed.word(0)).is_ok();
    if when == NEVER || (when == MISSING && known) {
        return Ok(0);
    }
    if !known {
        let line = join!("Unable to find image '{}' locally\n", full_name(&name));
        file::write_all(fd::STDERR, line.as_bytes())?;
    }
    COLD_GATE.open()?(context, &name, fd::STDERR)
}

/// The way to [`apart`] for a command that need not pull.
static COLD_GATE: Gate<Apart> = Gate(apart);
/// See [`apart`].
type Apart = fn(&Context<'static>, &Reference<'static>, FdRef<'_>) -> Result<u8>;

/// Places in [`PULL`].
const MISSING: usize = 0;
const NEVER: usize = 2;

/// Pulls an image and says so.
#[inline(never)]
fn bring(context: &Context<'static>, reference: &Reference<'static>, output: FdRef<'_>) -> Result<()> {
    let parsed = context.parsed;
    let mut credentials = "";
    if let Some(given) = parsed.last(Id::Credentials) {
        credentials = given.check(
            Some(given.text()?).filter(|text| text.bytes().position(|byte| byte == b':') > Some(0)),
            "no name and password",
            "USER:PASSWORD",
        )?;
    }
    let (platform, max_size, quiet) = (load::platform(context)?, load::max_size(context)?, parsed.on(Id::PullQuiet));
    file::umask(0);
    let store = images::store(context)?;
    let root = context.open_root()?;
    let show = !quiet && terminal::modes(fd::STDERR).is_ok();
    let plain = parsed.on(Id::PlainHttp);
    let mut registry = Registry::open(root, context.env, reference, credentials, plain, show)?;
    let before = store.look_up(context.parsed.word(0));
    let top = match (registry.manifest(reference), &before) {
        // What was meant may be an image that is here.
        (Err(error), Err(missing)) => return Err(error.meant(missing)),
        (top, _) => top?,
    };
    let name = full_name(reference);
    let mut wanted = Wanted { platform, names: &[name], max_size, progress: &mut |_, _| () };
    let brought = store.bring(&mut *registry, top, &mut wanted)?;
    registry.tidy();
    images::warn_of_lost(brought.lost);
    let _why = because!("print the result");
    let (host, path) = registry::place(reference.name);
    let whole = join!("{}/{}{}\n", host, path, &name[reference.name.len()..]);
    let same = before.is_ok_and(|before| before == brought.id);
    let status = if same { "Image is up to date" } else { "Downloaded newer image" };
    let told = if quiet { whole } else { join!("Digest: {}\nStatus: {} for {}\n{}", top.name, status, name, whole) };
    file::write_all(output, told.as_bytes())
}

/// Pulls in another process, and cleans up behind it if it is ended by a signal; the exit code.
#[inline(never)]
fn apart(context: &Context<'static>, name: &Reference<'static>, output: FdRef<'_>) -> Result<u8> {
    let _why = because!("have another process pull the image, and be told of signals");
    let signals = bit(libc::SIGINT) | bit(libc::SIGTERM) | bit(libc::SIGHUP);
    let before = poll::block_signals(signals)?;
    let events = poll::signalfd(signals)?;
    process::prctl_adopt(true)?;
    let mut helper = Helper::start(&mut |_| {
        poll::block_signals(before)?;
        bring(context, name, output).map(|()| Vec::new())
    })?;
    let mut ended_by = 0;
    loop {
        let mut waiting = [Waiting::readable(events.by_ref()), Waiting::readable(helper.pipe.by_ref())];
        poll::poll_within(&mut waiting, if ledger::is_open() { 200 } else { u64::MAX })?;
        ledger::relieve();
        if waiting[0].is_ready() {
            ended_by = poll::next_signal(events.by_ref())?;
            if let Some(child) = helper.id() {
                process::kill(child, ended_by)?;
            }
        }
        if waiting[1].is_ready() && helper.listen(&mut |_| ())? {
            break;
        }
    }
    let result = helper.conclude();
    if ended_by != 0 {
        // Its own children end with it, and hold what it had locked until then.
        while process::wait(None, true).is_ok() {}
        images::store(context)?.clean_work()?;
    }
    process::prctl_adopt(false)?;
    poll::block_signals(before)?;
    if ended_by != 0 { Ok(128 + ended_by as u8) } else { result.map(|_| 0) }
}
