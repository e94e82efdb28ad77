//! The words of an OCI runtime's command line, as engines give them.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::super::flags::table::{GLOBAL, OCI, OCI_ROOTLESS};
use super::super::flags::{Id, Takes, find};
use super::super::parse::{Globals, Parsed};
use super::NOUN;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{Cut, boolean, place};
use crate::container::life;
use crate::sys::{because, fd, file};

/// The program's names that mean `vial oci`.
const NAMES: [&[u8]; 3] = [b"runc", b"crun", b"vial-oci"];
/// The exit code for whatever went wrong, as runc's.
const FAILED: u8 = 1;
/// And where the code is a process's own otherwise.
const EXEC_FAILED: u8 = 255;

/// Whether the program was called by a name that means `vial oci`.
pub(in super::super) fn is_runtime(args: &[&'static CStr]) -> bool {
    let name = args.first().map_or(&b""[..], |name| name.to_bytes());
    NAMES.iter().any(|known| name.strip_suffix(*known).is_some_and(|before| matches!(before, [] | [.., b'/'])))
}

/// The name that the program was called by.
fn name(args: &[&'static CStr]) -> &'static str {
    args.first().and_then(|name| keep::lossy(name.to_bytes()).parts(b'/').last()).unwrap_or_default()
}

/// The words behind the program's name; those before an OCI command's name come behind it.
pub(in super::super) fn words(args: &[&'static CStr]) -> Vec<&'static [u8]> {
    let mut words: Vec<&[u8]> = args.iter().skip(1).map(|word| word.to_bytes()).collect();
    if is_runtime(args) {
        words.insert(0, b"oci");
    }
    if super::super::boot::is_init(name(args)) {
        return alloc::vec![b"boot"];
    }
    // Options that all commands have may come first.
    let noun = behind_options(&words, 0);
    if words.get(noun) == Some(&b"oci".as_slice()) {
        words.remove(noun);
        words.insert(0, b"oci");
    }
    if !is_oci(&words) {
        return words;
    }
    let at = behind_options(&words, 1);
    if words[1..at].iter().any(|word| matches!(*word, b"-v" | b"--version")) {
        return [b"oci".as_slice(), b"version"].to_vec();
    }
    if at > 1 && at < words.len() {
        let command = words.remove(at);
        words.insert(1, command);
    }
    // Others know many options of these. The answer is that vial does neither, and not that it does not know the option.
    let is_image = |word: &&[u8]| word.starts_with(b"--image-path") || word.starts_with(b"--work-path");
    if matches!(words.get(1), Some(&(b"checkpoint" | b"restore"))) && words.iter().any(is_image) {
        words.insert(at + 1, b"--");
    }
    words
}

/// Where the options end that begin at a word.
fn behind_options(words: &[&[u8]], mut at: usize) -> usize {
    while let Some([b'-', rest @ ..]) = words.get(at).copied() {
        let long = keep::lossy(rest).trim_start_matches('-');
        at += match find(&[OCI, OCI_ROOTLESS, GLOBAL], &|flag| flag.long() == long) {
            Some(flag) if flag.takes == Takes::One => 2,
            _ => 1,
        };
    }
    at.min(words.len())
}

fn is_oci(words: &[&[u8]]) -> bool {
    words.first() == Some(&b"oci".as_slice())
}

/// The exit code for an error, which is written where the engine looks for it; nothing if the command is not of an OCI runtime.
/// A command line that could not be taken apart is searched for where that is.
#[cold]
pub(in super::super) fn failed(
    words: &[&'static [u8]],
    parsed: &core::result::Result<Parsed<'_>, (Globals<'_>, Error)>,
    error: &Error,
) -> Option<u8> {
    let name = match parsed {
        Ok(parsed) => parsed.command.name(),
        Err(_) if is_oci(words) => NOUN,
        Err(_) => "",
    };
    if !name.starts_with(NOUN) {
        return None;
    }
    if parsed.is_err() {
        let _ = open_log(value(words, "--log"), value(words, "--log-format"));
    }
    life::note("error", error);
    Some(if name == "oci exec" { EXEC_FAILED } else { FAILED })
}

/// What follows an option.
fn value(words: &[&'static [u8]], option: &str) -> &'static str {
    for (at, word) in words.iter().enumerate() {
        match keep::lossy(word).strip_prefix(option) {
            Some("") => return words.get(at + 1).map_or("", |word| keep::lossy(word)),
            Some(rest) if rest.starts_with('=') => return &rest[1..],
            _ => {}
        }
    }
    ""
}

/// Looks at what concerns all commands, and opens the engine's log, if there is one.
///
/// # Errors
/// It can't be opened; a value that no option has.
pub(super) fn begin(parsed: &'static Parsed<'static>) -> Result<()> {
    if let Some(given) = parsed.last(Id::OciLog) {
        open_log(given.text()?, parsed.text(Id::OciLogFormat)).map_err(|error| error.option("--log"))?;
    }
    for given in parsed.flags.iter().filter(|given| given.flag.takes != Takes::Switch) {
        let text = given.text()?;
        let known = match given.flag.id {
            _ if text.is_empty() => None,
            Id::OciLogFormat => place("text json", text),
            Id::CgroupManager => place(MANAGERS, text),
            Id::OciRootless if text == "auto" => Some(0),
            Id::OciRootless => boolean(text).map(usize::from),
            _ => Some(0),
        };
        given.check(known, phrase!("no such thing"), given.flag.value())?;
    }
    Ok(())
}

/// Who makes control groups.
const MANAGERS: &str = "cgroupfs systemd disabled";

fn open_log(path: &str, format: &str) -> Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    let _why = because!("open the file that the engine looks for errors in (--log)");
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
    let opened = file::create(fd::CWD, file::path(path)?, flags, 0o644)
        .map_err(|error| error.hint(phrase!("accepted: a file, in a directory that is there")))?;
    life::log_to(opened.keep(), format == "json");
    Ok(())
}
