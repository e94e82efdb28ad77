//! Programs of the host's, for what vial leaves to them where they are installed.

use core::ffi::CStr;

use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::Cut;
use crate::sys::ledger::{self, Role};
use crate::sys::process::{self, Ended, Side, Strings};
use crate::sys::{Fd, FdRef, fd, file};

/// The environment.
pub type Environment<'a> = &'a [&'static CStr];

/// The code with which a process ends that could not become the program.
const NOT_EXECUTED: u8 = 255;

/// A program that runs; it ends when this is dropped.
pub struct Program {
    /// Not yet collected.
    process: Option<u32>,
}

impl Program {
    /// Starts the first program of this name in `PATH`; what it prints comes out of the file. It reads `input`, or what vial
    /// itself would.
    ///
    /// # Errors
    /// pipe(2), clone(2).
    #[inline(never)]
    pub fn start(args: &[&CStr], env: Environment<'_>, input: Option<FdRef<'_>>) -> Result<(Fd, Program)> {
        let (answer, output) = file::pipe()?;
        let program = Program::prepare(args, env, &mut |parent| {
            tie(parent)?;
            input.map_or(Ok(()), |input| file::put_in_place(input, fd::STDIN))?;
            file::put_in_place(output.by_ref(), fd::STDOUT)
        })?;
        Ok((answer, program))
    }

    /// The same with what its process does before; that is told which process has started it.
    ///
    /// # Errors
    /// clone(2).
    #[inline(never)]
    pub fn prepare(
        args: &[&CStr],
        env: Environment<'_>,
        prepare: &mut dyn FnMut(u32) -> Result<()>,
    ) -> Result<Program> {
        let parent = process::getpid();
        match process::clone(0, Role::Helper)? {
            Side::Parent(child) => return Ok(Program { process: Some(child) }),
            Side::Child => {}
        }
        let ready = prepare(parent);
        let (words, environment) = (Strings::new(args), Strings::new(env));
        for variable in env.iter().filter(|_| ready.is_ok()) {
            let Some(path) = variable.to_bytes().strip_prefix(b"PATH=") else { continue };
            for directory in keep::lossy(path).parts(b':') {
                if let Ok(program) = file::path(join!("{}/{}", directory, keep::lossy(args[0].to_bytes()))) {
                    let _ = process::execve(program, &words, &environment);
                }
            }
        }
        process::exit(NOT_EXECUTED)
    }

    /// Waits for its end, if it was not waited for; the code it ended with, 128 and the signal if one killed it, and nothing if
    /// there is no such program.
    #[inline(never)]
    pub fn conclude(&mut self) -> Option<u8> {
        let Some(child) = self.process.take() else { return Some(0) };
        let code = match process::wait(Some(child), true) {
            Ok(Some(waited)) => match waited.ended {
                Ended::Exited(NOT_EXECUTED) => return None,
                Ended::Exited(code) => code,
                Ended::Killed(signal) => 128 + signal,
            },
            _ => 0,
        };
        ledger::executed();
        Some(code)
    }
}

impl Program {
    /// Lets it run on; its number.
    #[must_use]
    pub fn leave(mut self) -> u32 {
        ledger::executed();
        self.process.take().unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = self.process {
            let _ = process::kill(child, libc::SIGKILL);
            let _ = self.conclude();
        }
    }
}

/// Has this process end with its parent, which may have ended already.
///
/// # Errors
/// It has.
pub fn tie(parent: u32) -> Result<()> {
    process::prctl_die_with_parent(libc::SIGKILL)?;
    if process::getppid() == parent { Ok(()) } else { Err(Error::new(phrase!("vial's first process has ended"))) }
}
