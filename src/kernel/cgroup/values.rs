//! Taking the steps of a plan, and taking them back.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::files::{read, write};
use super::hints::hint;
use super::plan::{Action, Step};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{Cut, decimal_u64};
use crate::sys::{Fd, bpf, fd::CWD, file};

/// `BPF_PROG_TYPE_CGROUP_DEVICE` and `BPF_CGROUP_DEVICE` (`linux/bpf.h`).
const PROGRAM_KIND: u32 = 15;
const ATTACH_KIND: u32 = 6;

/// Writes values, keeping the file of the last one open: rules for devices are many for one file.
#[derive(Default)]
pub(super) struct Values {
    open: Option<(&'static CStr, Fd)>,
    /// What the files held before, if that is to be remembered: directory, file, content.
    before: Option<Vec<[&'static str; 3]>>,
}

impl Values {
    /// Such as can be taken back.
    pub(super) fn with_undo() -> Values {
        Values { open: None, before: Some(Vec::new()) }
    }

    /// Takes a step.
    #[inline(never)]
    pub(super) fn take(&mut self, step: &Step, program: &[u64]) -> Result<()> {
        let &Step { directory, file, value, fallback, .. } = step;
        let mut taken = match step.action {
            Action::Write => self.write(directory, file, value),
            Action::Try => {
                let _ = write(directory, file, value);
                return Ok(());
            }
            Action::Inherit => inherit(directory, file),
            Action::AtMost => at_most(directory, file, value),
            Action::FilterDevices => filter(directory, program),
        };
        if let (Err(error), Some((file, value))) = (&taken, fallback.cut(b'='))
            && error.is(Errno::ENOENT)
        {
            taken = self.write(directory, file, value);
        }
        taken.map_err(|error| hint(error, file, step.option))
    }

    #[inline(never)]
    fn write(&mut self, directory: &'static str, file: &'static str, value: &str) -> Result<()> {
        let path = file::path(join!("{}/{}", directory, file))?;
        let open = match &mut self.open {
            Some((known, open)) if *known == path => open,
            open => &mut open.insert((path, file::open(CWD, path, libc::O_WRONLY)?)).1,
        };
        // What can't be read, such as rules for devices, can't be put back either.
        if let Some(before) = &mut self.before
            && let Ok(content) = read(directory, file)
        {
            before.push([directory, file, former(&content, file, value)]);
        }
        file::write_one_of_values(open.by_ref(), path, value.as_bytes())
    }

    /// Puts back what was there before, the last first, so that each is accepted as it was then.
    pub(super) fn undo(self) {
        for [directory, file, content] in self.before.unwrap_or_default().iter().rev() {
            // The failure that led here is the one to tell.
            let _ = write(directory, file, content);
        }
    }
}

fn inherit(directory: &str, file: &str) -> Result<()> {
    if !read(directory, file)?.trim_ascii().is_empty() {
        return Ok(());
    }
    let above = directory.cut_last(b'/').map_or("/", |(above, _)| above);
    write(directory, file, read(above, file)?.trim_ascii())
}

fn at_most(directory: &str, file: &str, value: &str) -> Result<()> {
    let (now, most) = (decimal_u64(read(directory, file)?.trim_ascii()), decimal_u64(value).unwrap_or(u64::MAX));
    match now {
        Some(now) if now > most => Err(Error::os(
            Errno::EBUSY,
            phrase!("set the limit to less than what is in use"),
            join!("{}/{}", directory, file),
        )),
        _ => Ok(()),
    }
}

fn filter(directory: &str, program: &[u64]) -> Result<()> {
    let group = file::open(CWD, file::path(directory)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
    bpf::load(PROGRAM_KIND, program)
        .and_then(|program| bpf::attach(group.by_ref(), program.by_ref(), ATTACH_KIND))
        .map_err(|error| {
            error.hint(phrase!(
                "devices are kept from a cgroup v2 by BPF: needs CONFIG_CGROUP_BPF, CONFIG_BPF_SYSCALL and root"
            ))
        })
}

/// What brings a file's content back after `value` was written to it. A file with a line for each device takes one line.
#[inline(never)]
fn former(content: &str, file: &str, value: &str) -> &'static str {
    let (device, rest) = value.cut(b' ').unwrap_or_default();
    // An empty list is written as an empty line; without a byte nothing would be written at all.
    if !device.has(b':') {
        return if content.is_empty() { "\n" } else { keep::copy(content) };
    }
    for line in content.parts(b'\n') {
        if line.cut(b' ').is_some_and(|(known, _)| known == device) {
            return keep::copy(line);
        }
    }
    if let Some((key, _)) = rest.cut(b'=') {
        return join!("{} {}=max", device, key);
    }
    // A weight that is not the device's own again is told by a word in v2, by 0 in v1.
    join!("{} {}", device, (if file.starts_with("io.") { "default" } else { "0" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_the_whole_file_or_the_line_of_one_device() {
        assert_eq!(former("max\n", "pids.max", "5"), "max\n");
        assert_eq!(former("", "cpuset.cpus", "0"), "\n");
        assert_eq!(former("max 100000\n", "cpu.max", "5000 100000"), "max 100000\n");
        let lines = "8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=max wbps=7 riops=max wiops=max\n";
        assert_eq!(former(lines, "io.max", "8:16 rbps=5"), "8:16 rbps=max wbps=7 riops=max wiops=max");
        assert_eq!(former(lines, "io.max", "8:1 rbps=5"), "8:1 rbps=max");
        assert_eq!(former("8:0 10\n", "blkio.throttle.read_bps_device", "8:0 20"), "8:0 10");
        assert_eq!(former("8:0 10\n", "blkio.throttle.read_bps_device", "8:1 20"), "8:1 0");
        assert_eq!(former("default 100\n", "io.weight", "8:1 20"), "8:1 default");
    }
}
