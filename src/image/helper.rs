//! Processes that do part of the first one's work, on other processors, and say how it went.

use alloc::vec;
use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::kernel::program::tie;
use crate::sys::ledger::Role;
use crate::sys::process::{self, Ended, Side};
use crate::sys::{Fd, FdRef, fd, file};

/// What stands before the end of what a process says; before it are numbers.
const END: u64 = u64::MAX;
/// Bytes read at a time, an error's four texts say.
const BUFFER: usize = 4 << 10;

/// A process that does part of this one's work. It dies with this one, and when this is dropped.
pub struct Helper {
    /// What it says comes out here.
    pub pipe: Fd,
    said: Vec<u8>,
    /// Not yet collected.
    process: Option<u32>,
}

impl Helper {
    /// Starts a process that does `work`, which may say numbers by [`say`], and then says what it returned.
    ///
    /// # Errors
    /// pipe(2), clone(2).
    #[inline(never)]
    pub fn start(work: &mut dyn FnMut(FdRef<'_>) -> Result<Vec<u8>>) -> Result<Helper> {
        let (pipe, report) = file::pipe()?;
        let parent = process::getpid();
        match process::clone(0, Role::Helper)? {
            Side::Parent(child) => Ok(Helper { pipe, said: Vec::new(), process: Some(child) }),
            Side::Child => {
                let result = tie(parent).and_then(|()| work(report.by_ref()));
                let (word, rest) = match result {
                    Ok(rest) => (1, rest),
                    Err(error) => (0, error.encode()),
                };
                // If nobody listens any more there is nobody to tell.
                let said = [&END.to_le_bytes()[..], &[word], &rest].concat();
                let sent = file::write_all(report.by_ref(), &said);
                if let Err(error) = &sent
                    && !error.is(Errno::EPIPE)
                {
                    // Who listens is told that there was no word, and nobody but this process knows why.
                    let _ = file::write_all(fd::STDERR, say!("vial: {}\n", error).as_bytes());
                }
                process::exit(u8::from(sent.is_err()));
            }
        }
    }

    /// Its process ID, until it was collected.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process
    }

    /// Reads what it says, waiting for it, and takes the numbers out; whether that was all.
    ///
    /// # Errors
    /// read(2).
    #[inline(never)]
    pub fn listen(&mut self, number: &mut dyn FnMut(u64)) -> Result<bool> {
        let mut buffer = vec![0; BUFFER];
        let count = file::read(self.pipe.by_ref(), &mut buffer)?;
        self.said.extend_from_slice(&buffer[..count]);
        while let Some(bytes) = self.said.first_chunk() {
            let said = u64::from_le_bytes(*bytes);
            if said == END {
                break;
            }
            number(said);
            self.said.drain(..8);
        }
        Ok(count == 0)
    }

    /// Collects it; what its work returned.
    ///
    /// # Errors
    /// That of its work, or how it died.
    #[inline(never)]
    pub fn conclude(&mut self) -> Result<Vec<u8>> {
        while !self.listen(&mut |_| ())? {}
        let ended = self.process.take().map(|child| process::wait(Some(child), true)).transpose()?.flatten();
        match self.said.get(8..).and_then(<[u8]>::split_first) {
            Some((1, rest)) => Ok(rest.to_vec()),
            Some((0, error)) if let Some(error) = Error::decode(error) => Err(error),
            _ => Err(Error::new(match ended.map(|waited| waited.ended) {
                Some(Ended::Killed(signal)) => {
                    say!("a helping process was killed by signal {}", signal)
                }
                _ => "a helping process ended without a word",
            })),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if let Some(child) = self.process.take() {
            // One that could not be killed would be waited for in vain; it ends with this process.
            if process::kill(child, libc::SIGKILL).is_ok() {
                let _ = process::wait(Some(child), true);
            }
        }
    }
}

/// Says a number to the process that listens; if that is gone, this one ends soon.
pub fn say(report: FdRef<'_>, number: u64) {
    let _ = file::write_all(report, &number.to_le_bytes());
}
