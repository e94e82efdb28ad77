//! `vial commit`: an image of what a container has made of its own.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::images;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::container::bundle::Bundles;
use crate::container::root::Files;
use crate::container::state::PAUSED;
use crate::container::{launch, remains};
use crate::image::commit::Commit;
use crate::image::reference::Reference;
use crate::kernel::cgroup::Group;
use crate::sys::because;
use crate::sys::file::{self, Lock};

/// Makes the image and prints its ID.
#[inline(never)]
pub(super) fn commit(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let option = |id: Id| parsed.last(id).map(|given| given.text()).transpose().map(Option::unwrap_or_default);
    let (author, message) = (option(Id::Author)?, option(Id::CommitMessage)?);
    let changes = images::changes(parsed)?;
    let words = context.words()?;
    let name = words.get(1).map(|word| Reference::parse_new(word)).transpose()?;
    let root = context.open_root()?;
    let files = Files::hold(&Bundles::open(root)?, words[0], Lock::Shared)?;
    if files.state.image_id.is_empty() {
        return Err(Error::new(say!(
            "a layer can't be an image without what lies below it: {} runs in {}",
            words[0],
            files.state.image
        ))
        .hint(say!("make an image of one layer: vial export {} | vial import - IMAGE", words[0])));
    }
    file::umask(0);
    let pause = parsed.last(Id::CommitPause).is_none_or(|given| given.value == b"true");
    let frozen = if pause { freeze(&files)? } else { None };
    let made = images::store(context).and_then(|store| {
        let (upper, changed);
        let only = if files.tree().is_some() {
            (changed, upper) = files.changes(&|| images::store(context))?;
            Some(&*changed)
        } else {
            upper = file::open(files.directory.by_ref(), c"upper", libc::O_RDONLY | libc::O_DIRECTORY)?;
            None
        };
        let commit = Commit {
            base: files.state.image_id,
            upper: upper.by_ref(),
            only,
            places: &files.places(),
            command: files.state.command.join(" ").leak(),
            author,
            message,
        };
        store.commit(&commit, name.as_ref(), &mut |config| {
            inherit(config, &files);
            images::change(config, &changes)
        })
    });
    if let Some(group) = frozen {
        let _why = because!("let the container go on");
        let thawed = group.freeze(false);
        // Both may have gone with the container.
        let _ = file::unlink(files.directory.by_ref(), PAUSED);
        thawed.or_else(|error| if error.is(Errno::ENOENT) || error.is(Errno::ENODEV) { Ok(()) } else { Err(error) })?;
    }
    let made = made?;
    images::warn_of_lost(made.unpacked.lost);
    super::print(&["sha256:", made.id, "\n"].concat())?;
    Ok(0)
}

/// Freezes a container that runs and is not paused already, so that its files are those of one moment.
fn freeze(files: &Files) -> Result<Option<Group>> {
    let directory = files.directory.by_ref();
    if !files.runs() || file::exists(directory, PAUSED) {
        return Ok(None);
    }
    let _why = because!("freeze the container's processes");
    let group = remains::group(files.config, files.id)?;
    // Before, so that whatever is frozen is known to be, even if vial is killed here.
    file::write_file(directory, PAUSED, b"", 0o600)?;
    match group.freeze(true) {
        Ok(()) => Ok(Some(group)),
        Err(error) => {
            let _ = file::unlink(directory, PAUSED);
            Err(error.hint(phrase!("--pause=false leaves it running meanwhile")))
        }
    }
}

/// What the user gave the container when it was made becomes the image's, as with docker.
#[inline(never)]
fn inherit(config: &mut Value, files: &Files) {
    let command = &files.state.command;
    let entry = config.get("Entrypoint").and_then(Value::as_array).unwrap_or_default();
    let begins =
        entry.len() <= command.len() && entry.iter().zip(command).all(|(one, other)| one.as_str() == Some(other));
    let skipped = if begins { entry.len() } else { 0 };
    if !begins {
        config.set("Entrypoint", Value::Null);
    }
    config.set("Cmd", Value::texts(command.get(skipped..).unwrap_or_default(), ""));
    let mut env: Vec<Value> = Vec::new();
    for line in files.config.at(&["process", "env"]).and_then(Value::as_array).unwrap_or_default() {
        let text = line.as_str().unwrap_or_default();
        // vial's own are made anew for each container.
        if !["HOSTNAME=", "TERM=", "container="].iter().any(|own| text.starts_with(own)) {
            env.push(text.into());
        }
    }
    config.set("Env", env.into());
    let (user, group) = (files.annotation(launch::USER), files.annotation(launch::GROUP));
    let user = join!("{}{}{}", user, (if group.is_empty() { "" } else { ":" }), group);
    let directory = files.config.at(&["process", "cwd"]).and_then(Value::as_str).unwrap_or_default();
    let directory = directory.trim_end_matches('/');
    for (member, value) in
        [("User", user), ("WorkingDir", directory), ("StopSignal", files.annotation(launch::STOP_SIGNAL))]
    {
        if !value.is_empty() {
            config.set(member, value.into());
        }
    }
    for (name, value) in &files.state.labels {
        config.member("Labels").text(name, value);
    }
}
