//! `vial commit`: an image of what a container has made of its own.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::images;
use crate::base::error::{Error, Result};
use crate::base::json::{Value, object};
use crate::base::text::Cut;
use crate::container::bundle::Bundles;
use crate::container::root::Files;
use crate::image::commit::Commit;
use crate::image::instruction;
use crate::image::reference::Reference;
use crate::sys::file::{self, Lock};

/// Makes the image and prints its ID.
pub(super) fn commit(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let text = |id: Id| parsed.last(id).map(|given| given.text()).transpose().map(Option::unwrap_or_default);
    let (author, message) = (text(Id::Author)?, text(Id::CommitMessage)?);
    let mut changes = Vec::new();
    for given in parsed.flags.iter().filter(|given| given.flag.id == Id::Change) {
        for line in given.text()?.parts(b'\n').filter(|line| !line.trim_ascii().is_empty() || given.value.is_empty()) {
            instruction::apply(&mut Value::Null, line).map_err(|why| given.refuse(why, instruction::ACCEPTED))?;
            changes.push(line);
        }
    }
    let words = context.words()?;
    let name = words.get(1).map(|word| Reference::parse_new(word)).transpose()?;
    let root = context.open_root()?;
    let files = Files::hold(&Bundles::open(root.by_ref())?, words[0], Lock::Shared)?;
    if files.state.image_id.is_empty() {
        return Err(Error::new(alloc::format!(
            "container {} has no image that a layer could go on: it runs in {}",
            words[0],
            files.state.image
        ))
        .hint(alloc::format!("make an image of one layer: vial export {} | vial import - IMAGE", words[0])));
    }
    let upper = file::open(files.directory.by_ref(), c"upper", libc::O_RDONLY | libc::O_DIRECTORY)?;
    let commit = Commit {
        base: &files.state.image_id,
        upper: upper.by_ref(),
        places: &files.places(),
        command: files.state.command.join(" "),
        author,
        message,
    };
    file::umask(0);
    let made = images::store(context)?.commit(&commit, name.as_ref(), &mut |config| {
        inherit(config, &files);
        let mut cleared = false;
        for line in &changes {
            let is_command = instruction::apply(config, line).map_err(Error::new)?;
            // As in a Dockerfile: a new entry point does not get the words of the old one.
            cleared |= is_command;
            if !cleared && line.trim_ascii_start().get(..10).is_some_and(|name| name.eq_ignore_ascii_case("ENTRYPOINT"))
            {
                config.set("Cmd", Value::Null);
            }
        }
        Ok(())
    })?;
    images::warn_of_lost(&made.unpacked);
    super::print(&["sha256:", &made.id, "\n"].concat())?;
    Ok(0)
}

/// What the user gave the container when it was made becomes the image's, as with docker.
fn inherit(config: &mut Value, files: &Files) {
    let list = |config: &Value, member: &str| config.get(member).and_then(Value::as_array).unwrap_or_default().to_vec();
    let entry = list(config, "Entrypoint");
    let words: Vec<Value> = files.state.command.iter().map(|word| word.as_str().into()).collect();
    let (entry, command) = match words.strip_prefix(&entry[..]) {
        Some(command) => (entry, command.to_vec()),
        None => (Vec::new(), words),
    };
    // vial's own are made anew for each container.
    let own = ["HOSTNAME=", "TERM=", "container="];
    let env = files.config.at(&["process", "env"]).and_then(Value::as_array).unwrap_or_default().iter();
    let env: Vec<Value> = env
        .filter(|line| line.as_str().is_some_and(|line| !own.iter().any(|own| line.starts_with(own))))
        .cloned()
        .collect();
    let (user, group) = (files.annotation("vial.user"), files.annotation("vial.group"));
    let user = if group.is_empty() { String::from(user) } else { [user, ":", group].concat() };
    let directory = files.config.at(&["process", "cwd"]).and_then(Value::as_str).unwrap_or_default();
    for (member, value) in [("Entrypoint", entry), ("Cmd", command), ("Env", env)] {
        if !value.is_empty() || config.get(member).is_some() || member == "Env" {
            config.set(member, value.into());
        }
    }
    for (member, value) in [
        ("User", &*user),
        ("WorkingDir", directory.trim_end_matches('/')),
        ("StopSignal", files.annotation("vial.stopSignal")),
    ] {
        if !value.is_empty() {
            config.set(member, value.into());
        }
    }
    if !files.state.labels.is_empty() {
        let mut labels =
            config.get("Labels").filter(|labels| labels.as_object().is_some()).cloned().unwrap_or_else(|| object([]));
        for (name, value) in &files.state.labels {
            labels.set(name, value.as_str().into());
        }
        config.set("Labels", labels);
    }
}
