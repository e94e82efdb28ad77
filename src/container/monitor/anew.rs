//! Executing vial anew, with nothing but open files and numbers, so that no memory stays that starting a container took.

use core::ffi::CStr;

use super::clients::Client;
use super::handover::{Handover, read_queue};
use super::keeper::Keeper;
use super::{LogOptions, Monitor};
use crate::kernel::anew::{self, Line, Numbers};
use crate::kernel::users;
use crate::sys::file;

/// The name under which vial executes itself to become a monitor.
const MONITOR: &CStr = c"vial-monitor";
/// The name of what makes another one.
const KEEPER: &CStr = c"vial-keeper";

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
    let mut line = Line::new(args);
    let (Some(root), Some(directory)) = (line.file(), line.file()) else { anew::refuse() };
    users::stay_too(root.by_ref());
    let handover = Handover::of(line.file(), line.file());
    if *name == KEEPER {
        let channel = line.file();
        let (attach, signals, monitor) = (line.number() == 1, line.number() as u64, line.number() as u32);
        let _ = file::close_all_on_exec();
        Keeper { root, directory, id: anew::word(args, 1), channel, attach, signals, handover, monitor }.keep();
    }
    let mut monitor = Monitor::new(root, directory, anew::word(args, 1), handover);
    monitor.outputs = [line.file(), line.file()];
    monitor.input = line.file();
    monitor.listener = line.file();
    monitor.pid = line.number() as u32;
    monitor.is_parent = line.number() == 1;
    monitor.once = line.number() == 1;
    monitor.tty = line.number() == 1;
    monitor.failures = line.number() as u8;
    monitor.log_options = LogOptions::of(line.number() as u64, line.number() as u32);
    if let Some(queue) = line.file() {
        monitor.queue = read_queue(&queue).unwrap_or_default();
    }
    while let (gets_output, taken, Some(socket)) = (line.number(), line.number(), line.file()) {
        let mut client = Client::new(socket, gets_output == 1);
        client.taken = taken as usize;
        monitor.clients.push(client);
    }
    let _ = file::close_all_on_exec();
    monitor.live()
}
