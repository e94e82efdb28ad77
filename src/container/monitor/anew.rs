//! Executing vial anew, with nothing but open files and numbers, so that no memory stays that starting a container took.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::clients::Client;
use super::handover::{Handover, read_queue};
use super::keeper::Keeper;
use super::{LogOptions, Monitor};
use crate::base::error::EXIT_FAILURE;
use crate::base::text::{Cut, Words, decimal_i64};
use crate::container::child;
use crate::sys::fd::{self, CWD, Fd, FdRef};
use crate::sys::process::{self, Strings};
use crate::sys::{because, file};

/// The name under which vial executes itself to become a monitor.
const MONITOR: &CStr = c"vial-monitor";
/// The name of what makes another one.
const KEEPER: &CStr = c"vial-keeper";

/// What goes into the command line, and the files that stay open.
#[derive(Default)]
struct Numbers<'a> {
    line: String,
    files: Vec<FdRef<'a>>,
}

impl<'a> Numbers<'a> {
    fn put(&mut self, number: i64) {
        self.line.push_str(join!("{} ", number));
    }

    fn file(&mut self, file: Option<&'a Fd>) {
        self.put(file.map_or(-1, |file| i64::from(file.number())));
        self.files.extend(file.map(Fd::by_ref));
    }

    /// Executes vial with these; returns if that can't be done.
    fn execute(&self, name: &CStr, id: &str) {
        let _why = because!("execute vial anew, to give back what memory the start took");
        let _ = file::chdir(c"/");
        if let Ok(null) = file::open(CWD, c"/dev/null", libc::O_RDWR) {
            for standard in [fd::STDIN, fd::STDOUT, fd::STDERR] {
                let _ = file::put_in_place(null.by_ref(), standard);
            }
        }
        // What the command's caller had open is nothing to a monitor.
        let prepared =
            child::close_on_exec().and_then(|()| self.files.iter().copied().try_for_each(file::keep_on_exec));
        if let (Ok(()), Ok(id), Ok(line)) = (prepared, file::path(id), file::path(&self.line)) {
            let _ = process::execve(c"/proc/self/exe", &Strings::new(&[name, id, line]), &Strings::new(&[]));
        }
    }
}

impl Monitor {
    /// Lets go of everything that was the command's, and stays with the container.
    pub(super) fn stay(self) -> ! {
        let mut numbers = Numbers::default();
        let handover = self.handover.as_ref();
        for file in [
            Some(&self.root),
            Some(&self.directory),
            handover.map(|handover| &handover.to),
            handover.map(|handover| &handover.from),
            self.outputs[0].as_ref(),
            self.outputs[1].as_ref(),
            self.input.as_ref(),
            self.listener.as_ref(),
        ] {
            numbers.file(file);
        }
        for number in [
            self.pid.into(),
            self.is_parent.into(),
            self.once.into(),
            self.tty.into(),
            self.failures.into(),
            if self.log_options.keeps() { self.log_options.max_size as i64 } else { 0 },
            self.log_options.max_file.into(),
        ] {
            numbers.put(number);
        }
        // What somebody has not taken yet.
        let queue = if self.queue.is_empty() { None } else { self.queue_as_file().ok() };
        numbers.file(queue.as_ref());
        for client in &self.clients {
            numbers.put(client.gets_output.into());
            numbers.put(client.taken as i64);
            numbers.file(Some(&client.socket));
        }
        if self.queue.is_empty() || queue.is_some() {
            numbers.execute(MONITOR, self.id);
        }
        self.live()
    }
}

impl Keeper {
    /// Lets go of everything but what another start needs, and waits.
    pub(super) fn stay(self) -> ! {
        let mut numbers = Numbers::default();
        numbers.file(Some(&self.root));
        numbers.file(Some(&self.directory));
        let handover = self.handover.as_ref();
        numbers.file(handover.map(|handover| &handover.to));
        numbers.file(handover.map(|handover| &handover.from));
        numbers.file(self.channel.as_ref());
        for number in [self.attach.into(), self.signals as i64, self.monitor.into()] {
            numbers.put(number);
        }
        numbers.execute(KEEPER, self.id);
        self.keep()
    }
}

/// Becomes the monitor or the keeper that executed vial anew, if these are its words: its name, the container's ID, and its
/// numbers.
pub fn become_one(args: &'static [&'static CStr]) {
    let Some(name) = args.first().filter(|name| [MONITOR, KEEPER].contains(name)) else { return };
    let word = |place: usize| args.get(place).and_then(|word| word.to_str().ok()).unwrap_or_default();
    let mut line = Line(word(2).words());
    let (Some(root), Some(directory)) = (line.file(), line.file()) else {
        let _ = file::write_all(fd::STDERR, b"vial: this is what vial makes of itself to stay with a container\n");
        process::exit(EXIT_FAILURE);
    };
    let handover = Handover::of(line.file(), line.file());
    // It would be that of the link which was executed, `exe`, and lists of processes show it.
    let _ = process::prctl_name(name);
    if *name == KEEPER {
        let channel = line.file();
        let (attach, signals, monitor) = (line.next() == 1, line.next() as u64, line.next() as u32);
        let _ = child::close_on_exec();
        Keeper { root, directory, id: word(1), channel, attach, signals, handover, monitor }.keep();
    }
    let mut monitor = Monitor::new(root, directory, word(1), handover);
    monitor.outputs = [line.file(), line.file()];
    monitor.input = line.file();
    monitor.listener = line.file();
    monitor.pid = line.next() as u32;
    monitor.is_parent = line.next() == 1;
    monitor.once = line.next() == 1;
    monitor.tty = line.next() == 1;
    monitor.failures = line.next() as u8;
    monitor.log_options = LogOptions::of(line.next() as u64, line.next() as u32);
    if let Some(queue) = line.file() {
        monitor.queue = read_queue(&queue).unwrap_or_default();
    }
    while let (gets_output, taken, Some(socket)) = (line.next(), line.next(), line.file()) {
        let mut client = Client::new(socket, gets_output == 1);
        client.taken = taken as usize;
        monitor.clients.push(client);
    }
    let _ = child::close_on_exec();
    monitor.live()
}

/// The numbers in the command line.
struct Line(Words<'static>);

impl Line {
    /// The next one; below zero behind the last.
    #[inline(never)]
    fn next(&mut self) -> i64 {
        self.0.next().and_then(decimal_i64).unwrap_or(-1)
    }

    /// The file that the next one is, if it is one.
    #[inline(never)]
    fn file(&mut self) -> Option<Fd> {
        let number = self.next();
        if number > 2 { Some(Fd::from_number(number as i32)) } else { None }
    }
}
