//! What is fuzzed: for each parser that takes hostile bytes a check of what must hold for any input, and the first inputs.
//!
//! A check panics where something does not hold. The fuzzer runs them (`tests/fuzz`), and so do the ordinary tests, briefly.

mod archives;
mod attach;
mod codecs;
mod documents;
mod elf;
mod network;
mod seccomp;
mod system;
mod words;

/// A parser and what must hold for it.
pub struct Target {
    /// How it is called.
    pub name: &'static str,
    /// The longest inputs that the fuzzer tries: enough for what the format has, and not more, since it is to be fast.
    pub longest: usize,
    /// The first inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Panics if anything does not hold for this input.
    pub check: fn(&[u8]),
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "inflate",   longest: 1024, seeds: codecs::deflated,       check: codecs::inflate },
    Target { name: "gzip",      longest: 1024, seeds: codecs::gzipped,        check: codecs::gzip },
    Target { name: "zstd",      longest: 1024, seeds: codecs::zstd_frames,    check: codecs::zstd },
    Target { name: "tar",       longest: 8192, seeds: archives::archives,     check: archives::tar },
    Target { name: "json",      longest: 512,  seeds: documents::json_texts,  check: documents::json },
    Target { name: "config",    longest: 1024, seeds: documents::configs,     check: documents::config },
    Target { name: "index",     longest: 1024, seeds: documents::indexes,     check: documents::index },
    Target { name: "spec",      longest: 1024, seeds: documents::specs,       check: documents::spec },
    Target { name: "passwd",    longest: 256,  seeds: documents::passwds,     check: documents::passwd },
    Target { name: "wire",      longest: 256,  seeds: documents::errors,      check: documents::wire },
    Target { name: "names",     longest: 160,  seeds: words::names,           check: words::name },
    Target { name: "numbers",   longest: 64,   seeds: words::numbers,         check: words::number },
    Target { name: "files",     longest: 256,  seeds: words::files,           check: words::file },
    Target { name: "argv",      longest: 192,  seeds: words::lines,           check: words::argv },
    Target { name: "dns",       longest: 256,  seeds: network::name_answers,  check: network::name_answer },
    Target { name: "asked",     longest: 256,  seeds: network::name_questions, check: network::name_question },
    Target { name: "bus",       longest: 256,  seeds: network::bus_messages,  check: network::bus_message },
    Target { name: "http",      longest: 512,  seeds: network::http_answers,  check: network::http_answer },
    Target { name: "elf",       longest: 512,  seeds: elf::files,             check: elf::read },
    Target { name: "tables",    longest: 256,  seeds: system::tables,         check: system::table },
    Target { name: "state",     longest: 512,  seeds: system::states,         check: system::state },
    Target { name: "log",       longest: 128,  seeds: system::logs,           check: system::log },
    Target { name: "frame",     longest: 128,  seeds: system::frames,         check: system::frame },
    Target { name: "attach",    longest: 64,   seeds: attach::talks,          check: attach::talk },
    Target { name: "seccomp",   longest: 256,  seeds: seccomp::profiles,      check: seccomp::filter },
];

/// Bytes as a source that gives at most so many of them at a time.
pub struct Bytes<'a>(pub &'a [u8], pub usize);

impl vial::base::bytes::Source for Bytes<'_> {
    type Error = ();

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let count = self.0.len().min(buffer.len()).min(self.1);
        let (given, left) = self.0.split_at(count);
        buffer[..count].copy_from_slice(given);
        self.0 = left;
        Ok(count)
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Text for the first inputs: with repeats near and far, and all kinds of bytes.
pub fn sample(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut state = 1u32;
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match state >> 30 {
            0 => bytes.extend(state.to_le_bytes()),
            1 => bytes.extend(format!("the number {} and ", state % 100).bytes()),
            2 => bytes.resize(bytes.len() + 1 + (state >> 8 & 63) as usize, state as u8),
            _ => {
                let from = (state >> 8) as usize % (bytes.len() + 1);
                let to = bytes.len().min(from + 40);
                bytes.extend_from_within(from..to);
            }
        }
    }
    bytes.truncate(length);
    bytes
}
