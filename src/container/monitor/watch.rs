//! What a monitor does while the workload runs: waits for several files at once, and never longer in one than in another.

use alloc::vec::Vec;
use core::mem::replace;

use super::clients::{Client, ENDED, INPUT_CHUNK, OUTPUT, Said, hand_out, read};
use super::{Monitor, policy};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::keep::text;
use crate::base::text::{Cut, decimal_u32};
use crate::container::log::{Stream, write::Log};
use crate::container::{launch, process as known, remains, run};
use crate::network::sweeper;
use crate::sys::fd::{CWD, Fd};
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Ended};
use crate::sys::{because, file, net, terminal};

/// The most that is read from the workload at once, and the byte before it.
const CHUNK: usize = 16 << 10;
/// The most that is read from a pipe when the workload has ended. Few have room for more, pipe(7); who writes on then was not
/// in the container's control group, and need not come to an end.
const LAST: usize = 1 << 20;

/// Milliseconds between two looks at a process that can't be held.
const LOOK: u64 = 500;
/// Milliseconds after which what the kernel refused is tried again.
const AGAIN: u32 = 20;

/// A process that somebody else is the parent of.
struct Adopted {
    /// Its directory in `/proc`, which is never another process's of that number.
    directory: Fd,
    /// Ready when it has ended (Linux 5.3).
    held: Option<Fd>,
}

impl Adopted {
    /// Finds it; `None` if it has ended.
    fn find(pid: u32) -> Option<Adopted> {
        let path = file::path(text!("/proc/{pid}")).ok()?;
        let directory = file::open(CWD, path, libc::O_RDONLY | libc::O_DIRECTORY).ok()?;
        Some(Adopted { directory, held: known::hold(pid, known::began(pid)) })
    }

    /// Whether it has ended, and how, if anybody can tell. The kernel tells once its new parent has collected it (Linux
    /// 6.15), which is about to happen, and before that in the last word of `/proc/PID/stat`, `proc_pid_stat(5)`.
    fn end(&self) -> (bool, Option<Ended>) {
        let mut seen = None;
        for _ in 0..200 {
            if let Some(ended) = self.held.as_ref().and_then(|held| process::end_of(held.by_ref())) {
                return (true, Some(ended));
            }
            let Ok(stat) = file::read_file(self.directory.by_ref(), c"stat", LAST) else { break };
            let words =
                core::str::from_utf8(&stat).ok().and_then(|stat| stat.cut_last(b')')).map_or("", |(_, rest)| rest);
            if !matches!(words.words().next(), Some("Z" | "X")) {
                return (false, None);
            }
            seen = words.words().last().and_then(decimal_u32).map(|status| Ended::of(status as i32));
            process::sleep(10);
        }
        (true, seen)
    }
}

/// Where what is on its way passes through.
struct Buffers {
    /// A message for those attached, which begins with its kind.
    output: Vec<u8>,
    input: Vec<u8>,
    /// How many bytes at the beginning of the input's buffer are for the workload.
    waiting: usize,
}

/// The monotonic clock, in milliseconds.
fn now() -> u64 {
    process::clock(libc::CLOCK_MONOTONIC).milliseconds() as u64
}

impl Monitor {
    /// Watches until the workload has ended; `None` if nobody can tell how.
    pub(super) fn watch(&mut self) -> Option<Ended> {
        let _why = because!("watch the container: its output, its end, and who attaches");
        // The container is not to end because the kernel is short of something for a while: what it refuses is tried again.
        let signals = loop {
            match poll::signalfd(run::watched_signals()) {
                Ok(signals) => break signals,
                Err(_) => process::sleep(AGAIN),
            }
        };
        // One that has ended meanwhile may have left output.
        self.log = Log::open(self.directory.by_ref(), &self.log_options).unwrap_or_default();
        let adopted = if self.is_parent { None } else { Some(Adopted::find(self.pid)?) };
        let held = adopted.as_ref().and_then(|adopted| adopted.held.as_ref());
        let mut buffers = Buffers { output: alloc::vec![0; CHUNK], input: alloc::vec![0; INPUT_CHUNK + 1], waiting: 0 };
        let mut files: Vec<Waiting> = Vec::with_capacity(16);
        loop {
            let flowing = self.queue.is_empty();
            let reading = |file: Option<&Fd>, on: bool| match file {
                Some(file) if on => Waiting::readable(file.by_ref()),
                _ => Waiting::nothing(),
            };
            files.clear();
            files.push(Waiting::readable(signals.by_ref()));
            files.push(reading(held, true));
            files.push(reading(self.outputs[0].as_ref(), flowing));
            files.push(reading(self.outputs[1].as_ref(), flowing));
            files.push(reading(self.listener.as_ref(), true));
            files.push(match &self.input {
                Some(input) if buffers.waiting > 0 => Waiting::writable(input.by_ref()),
                _ => Waiting::nothing(),
            });
            for client in &self.clients {
                files.push(match client {
                    _ if client.is_behind(&self.queue) => Waiting::writable(client.socket.by_ref()),
                    _ if buffers.waiting > 0 => Waiting::nothing(),
                    _ => Waiting::readable(client.socket.by_ref()),
                });
            }
            let looks = adopted.is_some() && held.is_none();
            let patience = self.patience();
            if poll::poll_within(&mut files, if looks { LOOK.min(patience) } else { patience }).is_err() {
                process::sleep(AGAIN);
                continue;
            }
            if self.patience() == 0 {
                let _why = because!("kill the workload, which was asked to end and has not");
                self.deadline = u64::MAX;
                let _ = known::signal(self.pid, known::began(self.pid), libc::SIGKILL);
            }
            for (place, ready) in files[6..].iter().enumerate() {
                if ready.is_ready() {
                    self.serve(place, &mut buffers);
                }
            }
            if files[5].is_ready() {
                self.write_input(&mut buffers);
            }
            for which in [0, 1] {
                if files[2 + which].is_ready() && self.queue.is_empty() {
                    self.pass(which, &mut buffers.output);
                }
            }
            if files[4].is_ready()
                && let Some(Ok(socket)) = self.listener.as_ref().map(|listener| net::accept(listener.by_ref()))
            {
                self.clients.push(Client::new(socket, false));
            }
            self.settle();
            if let (Some(adopted), true) = (&adopted, looks || files[1].is_ready())
                && let (true, how) = adopted.end()
            {
                return how;
            }
            if files[0].is_ready()
                && let Ok(Some(ended)) = self.handle_signal(&signals)
            {
                return Some(ended);
            }
        }
    }

    /// Forgets those that are gone, and messages that all have taken.
    fn settle(&mut self) {
        if self.clients.iter().any(|client| client.gone) {
            self.clients.retain(|client| !client.gone);
        }
        if !self.clients.iter().any(|client| client.is_behind(&self.queue)) {
            self.queue.clear();
        }
    }

    /// Reads what the workload wrote and hands it to those that are attached; how much that was.
    fn pass(&mut self, which: usize, buffer: &mut [u8]) -> usize {
        let Some(output) = &self.outputs[which] else { return 0 };
        match file::read(output.by_ref(), &mut buffer[1..]) {
            Err(error) if error.is(Errno::EAGAIN) => 0,
            // EIO: nobody has the terminal's other side open any more, pty(7).
            Ok(0) | Err(_) => {
                self.outputs[which] = None;
                0
            }
            Ok(count) => {
                buffer[0] = OUTPUT + which as u8;
                if let Some(log) = &mut self.log {
                    let stream = if which == 0 { Stream::Stdout } else { Stream::Stderr };
                    log.append(stream, process::clock(libc::CLOCK_REALTIME), &buffer[1..=count]);
                }
                hand_out(&mut self.clients, &mut self.queue, &buffer[..=count]);
                count
            }
        }
    }

    /// Takes a client's message, or hands it what it has not taken yet.
    fn serve(&mut self, place: usize, buffers: &mut Buffers) {
        let client = &mut self.clients[place];
        if client.is_behind(&self.queue) {
            return client.catch_up(&self.queue);
        }
        let Ok((length, _)) = net::receive(client.socket.by_ref(), &mut buffers.input) else {
            client.gone = true;
            return;
        };
        match read(&buffers.input[..length]) {
            Said::Gone => client.gone = true,
            Said::Attach => client.gets_output = true,
            Said::Size(size) => {
                if let (Some(master), true) = (&self.outputs[0], self.tty) {
                    let _ = terminal::set_size(master.by_ref(), size);
                }
            }
            Said::Close if self.once && !self.tty => {
                self.input = None;
            }
            Said::Input(_) if self.input.is_some() => {
                buffers.input.copy_within(1..length, 0);
                buffers.waiting = length - 1;
                self.write_input(buffers);
            }
            _ => {}
        }
    }

    /// Gives the workload what it can take of its input.
    fn write_input(&mut self, buffers: &mut Buffers) {
        let Some(input) = &self.input else { return };
        match file::write(input.by_ref(), &buffers.input[..buffers.waiting]) {
            Ok(count) => {
                buffers.input.copy_within(count..buffers.waiting, 0);
                buffers.waiting -= count;
            }
            Err(error) if error.is(Errno::EAGAIN) => {}
            Err(_) => {
                // Nobody reads it any more.
                self.input = None;
                buffers.waiting = 0;
            }
        }
    }

    fn handle_signal(&mut self, signals: &Fd) -> Result<Option<Ended>> {
        match poll::next_signal(signals.by_ref())? {
            libc::SIGCHLD if self.is_parent => {
                return Ok(process::wait(Some(self.pid), false)?.map(|waited| waited.ended));
            }
            libc::SIGTERM | libc::SIGINT => {
                // Whoever ends all processes, as when the machine goes down, ends the container. That one may wait for much
                // longer than the container should be waited for.
                if !replace(&mut self.told, true) {
                    let config = remains::config(self.directory.by_ref(), self.id);
                    if let Ok(seconds) = u64::try_from(launch::patience(&config)) {
                        self.deadline = now().saturating_add(seconds.saturating_mul(1000));
                    }
                }
                known::signal(self.pid, known::began(self.pid), libc::SIGTERM)?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// For how many milliseconds the workload may go on; for ever, unless it was asked to end.
    fn patience(&self) -> u64 {
        if self.deadline == u64::MAX { u64::MAX } else { self.deadline.saturating_sub(now()) }
    }

    /// Passes on what the workload left in its pipes. It is gone, but what it started outside its group may hold them open.
    pub(super) fn drain(&mut self) {
        let mut buffer = alloc::vec![0; CHUNK];
        for which in [0, 1] {
            let mut room = LAST;
            while let Some(output) = &self.outputs[which] {
                let mut ready = [Waiting::readable(output.by_ref())];
                if room == 0 || poll::poll_now(&mut ready).is_err() || !ready[0].is_ready() {
                    break;
                }
                room = room.saturating_sub(self.pass(which, &mut buffer));
            }
            self.outputs[which] = None;
        }
        if let Some(mut log) = self.log.take() {
            // What was lost and not told yet.
            log.append(Stream::System, process::clock(libc::CLOCK_REALTIME), b"");
        }
        self.input = None;
    }

    /// Waits before the next start, unless the monitor is told to end.
    pub(super) fn pause(&mut self) {
        let _why = because!("wait before the container is started again");
        let Ok(signals) = poll::signalfd(run::watched_signals()) else { return };
        let ends = now() + u64::from(policy::delay(self.failures));
        loop {
            let left = ends.saturating_sub(now());
            if left == 0 {
                return;
            }
            let mut ready = [Waiting::readable(signals.by_ref())];
            if poll::poll_within(&mut ready, left).is_err() {
                return;
            }
            if ready[0].is_ready() && matches!(poll::next_signal(signals.by_ref()), Ok(libc::SIGTERM | libc::SIGINT)) {
                self.told = true;
                return;
            }
        }
    }

    /// Tells all that the container has ended for good, serves those that are slow as long as they take, and ends.
    pub(super) fn say_end(&mut self, code: u8) -> ! {
        let _why = because!("tell those that are attached how the container ended");
        // Whoever has connected and was not served yet.
        while let Some(listener) = &self.listener {
            let mut ready = [Waiting::readable(listener.by_ref())];
            match poll::poll_now(&mut ready) {
                Ok(()) if ready[0].is_ready() => match net::accept(listener.by_ref()) {
                    Ok(socket) => self.clients.push(Client::new(socket, false)),
                    Err(_) => break,
                },
                _ => break,
            }
        }
        self.listener = None;
        // The container is nobody's now: whoever has not read to the end must not keep others from it.
        let _ = file::unlock(self.directory.by_ref());
        hand_out(&mut self.clients, &mut self.queue, &[ENDED, code]);
        loop {
            self.settle();
            if self.queue.is_empty() {
                self.clients.clear();
                sweeper::sweep(&self.links);
                process::exit(0);
            }
            let mut files = Vec::new();
            for client in &self.clients {
                let behind = client.is_behind(&self.queue);
                files.push(if behind { Waiting::writable(client.socket.by_ref()) } else { Waiting::nothing() });
            }
            // From here on anybody may end it.
            if poll::block_signals(0).is_err() || poll::poll(&mut files).is_err() {
                process::exit(0);
            }
            for (client, ready) in self.clients.iter_mut().zip(&files) {
                if ready.is_ready() {
                    client.catch_up(&self.queue);
                }
            }
        }
    }
}
