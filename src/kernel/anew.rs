//! Executing vial anew, with nothing but open files and numbers in its command line, so that a process that stays has none of
//! the memory, and of what else was the caller's, that making it took.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::error::{EXIT_FAILURE, Result};
use crate::base::text::{Cut, Words, decimal_i64};
use crate::sys::fd::{self, CWD, Fd, FdRef};
use crate::sys::ledger::{self, Role};
use crate::sys::process::{self, Side, Strings};
use crate::sys::{because, file, poll};

/// What goes into the command line, and the files that stay open.
#[derive(Default)]
pub struct Numbers<'a> {
    line: String,
    files: Vec<FdRef<'a>>,
}

impl<'a> Numbers<'a> {
    /// Adds a number.
    pub fn put(&mut self, number: i64) {
        self.line.push_str(join!("{} ", number));
    }

    /// Adds a file, or that there is none.
    pub fn file(&mut self, file: Option<&'a Fd>) {
        match file {
            Some(file) => self.put_file(file.by_ref()),
            None => self.put(-1),
        }
    }

    /// Adds a file.
    #[inline(never)]
    pub fn put_file(&mut self, mut file: FdRef<'a>) {
        // Standard files are going to be replaced, and may be closed now.
        if file.number() <= 2
            && let Ok(other) = file::duplicate(file)
        {
            file = other.keep();
        }
        self.put(file.number().into());
        self.files.push(file);
    }

    /// Executes vial with these, a name and a word; returns if that can't be done.
    pub fn execute(&self, name: &CStr, word: &str) {
        let _why = because!("execute vial anew, to give back what memory the start took");
        let _ = file::chdir(c"/");
        if let Ok(null) = file::open(CWD, c"/dev/null", libc::O_RDWR) {
            for standard in [fd::STDIN, fd::STDOUT, fd::STDERR] {
                let _ = file::put_in_place(null.by_ref(), standard);
            }
        }
        // What the command's caller had open is nothing to one that stays.
        let prepared =
            file::close_all_on_exec().and_then(|()| self.files.iter().copied().try_for_each(file::keep_on_exec));
        if let (Ok(()), Ok(word), Ok(line)) = (prepared, file::path(word), file::path(&self.line)) {
            let _ =
                process::execve(c"/proc/self/exe", &Strings::new(&[name, word, line]), &Strings::new(environment()));
        }
    }

    /// Makes a process that executes vial with these; it ends with this one if it is `tied`. No ledger tells of it.
    ///
    /// # Errors
    /// clone(2).
    pub fn start(&self, name: &CStr, word: &str, tied: bool) -> Result<u32> {
        let parent = process::getpid();
        if let Side::Parent(pid) = process::clone(0, Role::Server)? {
            return Ok(pid);
        }
        ledger::leave();
        let alone = tied && (process::prctl_die_with_parent(libc::SIGKILL).is_err() || process::getppid() != parent);
        // Whoever ends at a closed connection ends others with it.
        if !alone && process::setsid().and_then(|()| poll::block_signals(BLOCKED)).is_ok() {
            self.execute(name, word);
        }
        process::exit(EXIT_FAILURE)
    }
}

/// What vial that is executed anew has of the environment.
#[cfg(not(feature = "weakened"))]
fn environment() -> &'static [&'static CStr] {
    &[]
}

#[cfg(feature = "weakened")]
fn environment() -> &'static [&'static CStr] {
    let variable = file::path(crate::base::weak::variable());
    variable.map_or(&[], |variable| alloc::vec![variable].leak())
}

/// What a process made by [`Numbers::start`] has blocked.
pub const BLOCKED: poll::Signals = poll::bit(libc::SIGPIPE) | poll::bit(libc::SIGCHLD);

/// The numbers in the command line.
pub struct Line(Words<'static>);

impl Line {
    /// Reads them, and takes the name that vial was executed under for the process's: it would be that of the link which was
    /// executed, `exe`, and lists of processes show it.
    #[must_use]
    pub fn new(args: &[&'static CStr]) -> Line {
        if let Some(name) = args.first() {
            let _ = process::prctl_name(name);
        }
        Line(word(args, 2).words())
    }

    /// The next one; below zero behind the last.
    #[inline(never)]
    pub fn number(&mut self) -> i64 {
        self.0.next().and_then(decimal_i64).unwrap_or(-1)
    }

    /// The file that the next one is, if it is one.
    #[inline(never)]
    pub fn file(&mut self) -> Option<Fd> {
        let number = self.number();
        if number > 2 { Some(Fd::from_number(number as i32)) } else { None }
    }
}

/// A word of the command line; the first is the name, the second the one that [`Numbers::execute`] was given.
#[must_use]
pub fn word(args: &[&'static CStr], place: usize) -> &'static str {
    args.get(place).and_then(|word| word.to_str().ok()).unwrap_or_default()
}

/// Says that this is for vial's own use, if somebody else has executed it under such a name; and ends.
pub fn refuse() -> ! {
    let _ = file::write_all(fd::STDERR, b"vial: this is what vial makes of itself to stay with a container\n");
    process::exit(EXIT_FAILURE)
}
