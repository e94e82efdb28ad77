//! What the kernel and vial itself have written: tables in `/proc`, answers to messages, logs, the state of containers, frames.

use std::path::PathBuf;
use std::{env, fs, process};

use vial::base::json::{self, record};
use vial::base::sha256;
use vial::base::text;
use vial::container::log::LogOptions;
use vial::container::log::Stream;
use vial::container::log::read::{Reader, Wanted};
use vial::container::state::State;
use vial::container::usage::{self, Process};
use vial::image::blobs::Descriptor;
use vial::image::frame::{self, Frame};
use vial::image::layout;
use vial::image::stream::Output;
use vial::kernel::cgroup::{Hierarchies, Version, sum};
use vial::kernel::mounts::mounts_below;
use vial::kernel::netlink::{next_attribute, next_message, verdict};
use vial::sys::{Fd, fd, file, net};

use super::texts;

pub fn tables() -> Vec<Vec<u8>> {
    texts(&[
        "22 1 0:20 / /a rw,nosuid - tmpfs t rw\n23 22 0:21 / /a/b\\040c ro,nodev,relatime shared:1 - tmpfs t rw\n",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n33 31 0:30 / /c rw - cgroup2 c rw\n",
        "8:0 rbytes=10 wbytes=20 rios=1\n254:0 rbytes=1 wbytes=2\n",
        "7 (a b) c) S 1 7 7 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 3 0 99 1 2",
        "Inter-| Receive\n face |bytes\n    lo: 1 0 0 0 0 0 0 0 2\n  eth0: 10 0 0 0 0 0 0 0 20 0\n",
        "\x24\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ])
}

/// Mount points are those of a naive reader, and counters are what they are whatever stands beside them; what the kernel answers over
/// netlink is read as far as it goes.
pub fn table(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((_, _, body)) = next_message(&mut rest) {
        assert!(body.len() + rest.len() < bytes.len());
        assert!(verdict(body).1.len() <= body.len());
        let mut attributes = body;
        while let Some((kind, value)) = next_attribute(&mut attributes) {
            assert!(kind < 0x4000 && value.len() + attributes.len() < body.len());
        }
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut points = Vec::new();
    for line in text.split('\n') {
        let fields: Vec<&str> = line.split(' ').collect();
        if fields.len() > 5 {
            points.push(text::unescape_octal(fields[4]));
        }
    }
    let found = mounts_below(text, "/a");
    points.retain(|point| point == "/a" || point.starts_with("/a/"));
    assert!(found.iter().map(|(point, _)| point).eq(&points), "{found:?}");
    for hierarchy in Hierarchies::parse(text).iter() {
        assert_eq!(hierarchy.version == Version::V2, hierarchy.controllers.is_empty());
        assert!(text.contains("cgroup") && hierarchy.controllers.split(',').all(|name| text.contains(name)));
    }
    if let Some(process) = Process::parse(text) {
        assert!(text.contains(process.name));
    }
    assert!(sum(text, "rbytes=").is_some());
    let _ = (sum(text, "-"), sum(text, "Read"), usage::traffic(text));
}

pub fn states() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"status":"running","image":"a","imageId":"b","command":["sh"],"pid":7,"pidStart":8,"created":"2024-01-02T03:04:05Z","pipes":[1,2],"labels":{"a":"b"},"remove":true}"#,
        r#"{"annotations":{"vial.log.driver":"none","vial.log.maxSize":"1m","vial.log.maxFile":"2"}}"#,
        r#"{"Config":"a.json","RepoTags":["a:b","c"],"Layers":["x/layer.tar","blobs/sha256/y"]}"#,
    ])
}

/// A container's state that was read and written is read the same again, and the rest of what vial notes is within bounds.
pub fn state(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let mut state = State::default();
    if record::take(&mut state, &value).is_ok() {
        let written = record::write(&mut state);
        let mut again = State::default();
        assert!(record::take(&mut again, &written).is_ok() && record::write(&mut again) == written);
    }
    let options = LogOptions::from_annotations(&value);
    assert!((1..=100).contains(&options.max_file) && options.max_size >= 1 << 10);
    if let Ok(found) = layout::docker_image(&value) {
        assert!(found.names.iter().all(|name| name.contains(':')));
        let digests = found.layers.iter().chain([&found.config]).filter_map(Descriptor::digest);
        assert!(digests.into_iter().all(|digest| digest.len() == 64));
    }
}

/// Short bytes stand for what else would hardly come about: headers of a log's entries, and where one of its files ends.
const SHORT: [&[u8]; 6] = [
    b"",
    b"2026-11-23T10:00:00.123456789Z stdout F ",
    b"2026-11-23T10:00:00.123456789Z stdout P ",
    b"2026-11-23T10:00:00.123456789Z stderr F ",
    b"2026-11-23T10:00:00.123456789Z stderr P ",
    b"2026-11-23T10:00:00.123456789Z system F ",
];

pub fn logs() -> Vec<Vec<u8>> {
    texts(&[
        "7\x01one\n\x02two\n\x03err\n\x01 more\n",
        "2\x01one\n\x00\x01two\n\x05lost\n\x00\x02th\n\x04er\n\x01ree\nx",
        "1no header\n2026-11-23T10:00:00.123456789Z stdout F x\n\x02y\n",
    ])
}

/// A directory with the files of a log, which goes with it.
struct Place(PathBuf);

impl Place {
    /// The oldest file comes first.
    fn new(parts: &[Vec<u8>]) -> Place {
        let place = Place(env::temp_dir().join(format!("vial-fuzz-{}", process::id())));
        fs::create_dir_all(&place.0).expect("make a directory");
        for (number, part) in parts.iter().rev().enumerate() {
            fs::write(place.file(number), part).expect("write a file");
        }
        place
    }

    fn file(&self, number: usize) -> PathBuf {
        self.0.join(["log", "log.1", "log.2", "log.3"][number])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for number in 0..4 {
            if fs::remove_file(self.file(number)).is_err() {
                break;
            }
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// An entry as a naive reader has it: whose it is, whether it ends its line, what is shown.
struct Entry {
    stream: Stream,
    ends: bool,
    text: Vec<u8>,
    /// Its time, if it has a header.
    time: Option<Vec<u8>>,
}

fn entries(file: &[u8], into: &mut Vec<Entry>) {
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        let known =
            SHORT[1..].iter().position(|head| line.len() >= 40 && line[10] == b'T' && line[29..40] == head[29..]);
        let streams = [Stream::Stdout, Stream::Stdout, Stream::Stderr, Stream::Stderr, Stream::System];
        let stream = known.map_or(Stream::System, |known| streams[known]);
        let ends = known.is_none_or(|known| known.is_multiple_of(2));
        let mut text = line[if known.is_some() { 40 } else { 0 }..].to_vec();
        if !ends && text.last() == Some(&b'\n') {
            text.pop();
        }
        into.push(Entry { stream, ends, text, time: known.map(|_| line[..30].to_vec()) });
    }
}

/// What is shown of a log, stream by stream, is what a naive reader finds, of the last lines too.
pub fn log(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let parts: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == 0)
        .take(4)
        .map(|part| {
            part.iter()
                .flat_map(|byte| SHORT.get(usize::from(*byte)).map_or(vec![*byte], |head| head.to_vec()))
                .collect()
        })
        .collect();
    let mut all = Vec::new();
    for part in &parts {
        entries(part, &mut all);
    }
    // What would be an entry of vial's own without an end is none that there is.
    if parts.iter().any(|part| part.windows(9).any(|at| at == b" system P")) {
        return;
    }
    let tail = Some(u64::from(first & 7)).filter(|lines| *lines < 7);
    if let Some(mut left) = tail {
        let mut open = [None; 3];
        let mut keep = Vec::new();
        for entry in all.iter().rev() {
            let place = entry.stream as usize;
            if entry.ends || open[place].is_none() {
                open[place] = Some(left > 0);
                left = left.saturating_sub(1);
            }
            keep.push(open[place] == Some(true));
        }
        let mut keep = keep.into_iter().rev();
        all.retain(|_| keep.next() == Some(true));
    }
    let mut expected = [const { Vec::new() }; 3];
    let (mut inside, timestamps) = ([false; 3], first & 8 != 0);
    for entry in &all {
        let place = entry.stream as usize;
        if let Some(time) = &entry.time {
            if timestamps && !inside[place] {
                expected[place].extend_from_slice(time);
                expected[place].push(b' ');
            }
            inside[place] = !entry.ends;
        }
        expected[place].extend_from_slice(&entry.text);
    }
    let place = Place::new(&parts);
    let path = file::owned_path(place.0.as_os_str().as_encoded_bytes()).expect("a path");
    let directory = file::open(fd::CWD, &path, 0).expect("open the directory");
    let wanted = Wanted { tail, timestamps, ..Wanted::default() };
    let mut reader = Reader::open(directory.by_ref(), wanted).expect("open the log");
    let mut shown = [const { Vec::new() }; 3];
    let mut show = |stream: Stream, piece: &[u8]| {
        shown[stream as usize].extend_from_slice(piece);
        Ok(())
    };
    reader.drain(true, &mut show).expect("read the log");
    assert!(shown == expected, "a naive reader finds something else");
}

pub fn frames() -> Vec<Vec<u8>> {
    vec![
        [&[5 << 2][..], b"ab\0\0c", &[0xb1, 0x09], &[10 << 2 | 2], b"Cargo.toml", &[3, 0x04]].concat(),
        vec![4 << 2, 1, 2, 3, 4, 0x81, 0x80, 1],
    ]
}

/// A file with this in it.
fn holding(bytes: &[u8]) -> Fd {
    let (from, to) = net::socket_pair().expect("two ends");
    if !bytes.is_empty() {
        net::send(to.by_ref(), bytes, None).expect("there is room");
    }
    from
}

/// A damaged frame is an error or another archive, of which no more comes than may; and a frame of any bytes gives them
/// again.
pub fn frame(bytes: &[u8]) {
    let tree = file::open(fd::CWD, c".", 0).expect("open the directory");
    let restored = |frame: &[u8]| {
        let frame = holding(frame);
        let null = file::open(fd::CWD, c"/dev/null", 1).expect("open /dev/null");
        let mut frame = Some(frame);
        Output::to(null, 1 << 18, &mut |output| frame::restore(frame.take().expect("once"), tree.by_ref(), output))
    };
    let _ = restored(bytes);
    let (from, to) = net::socket_pair().expect("two ends");
    let mut frame = Frame::new(to);
    frame.bytes(bytes);
    frame.finish().expect("write the frame");
    let mut from = Some(from);
    let produce = &mut |output: &mut Output| frame::restore(from.take().expect("once"), tree.by_ref(), output);
    let (digest, length) = Output::measure(produce).expect("restore it");
    assert!(length == bytes.len() as u64 && digest == sha256::digest(bytes), "it does not come back as it was");
}
