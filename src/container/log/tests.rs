use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::read::{Reader, Wanted};
use super::write::Log;
use super::*;
use crate::base::json::parse;
use crate::base::time::Timestamp;
use crate::sys::{Fd, fd, file};

/// A directory of the test's own, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Place {
        let path = std::env::temp_dir().join(format!("vial-log-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn open(&self) -> Fd {
        file::open(fd::CWD, file::path(self.0.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap()
    }

    fn log(&self, max_size: u64, max_file: u32) -> Log {
        let options = LogOptions { max_size, max_file, ..LogOptions::default() };
        Log::open(self.open().by_ref(), &options).unwrap().unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    /// What is shown, in pieces.
    fn pieces(&self, wanted: Wanted) -> Vec<(Stream, Vec<u8>)> {
        let directory = self.open();
        let mut reader = Reader::open(directory.by_ref(), wanted).unwrap();
        let mut shown = Vec::new();
        drain(&mut reader, &mut shown, true);
        shown
    }

    fn shown(&self, wanted: Wanted) -> [Vec<u8>; 3] {
        joined(&self.pieces(wanted))
    }

    fn tail(&self, lines: u64) -> [Vec<u8>; 3] {
        self.shown(Wanted { tail: Some(lines), ..Wanted::default() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn drain(reader: &mut Reader<'_>, shown: &mut Vec<(Stream, Vec<u8>)>, last: bool) {
    reader
        .drain(last, &mut |stream, bytes| {
            shown.push((stream, bytes.to_vec()));
            Ok(())
        })
        .unwrap();
}

fn joined(pieces: &[(Stream, Vec<u8>)]) -> [Vec<u8>; 3] {
    let mut streams = [const { Vec::new() }; 3];
    for (stream, bytes) in pieces {
        streams[*stream as usize].extend_from_slice(bytes);
    }
    streams
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }

    /// Bytes of any kind, with a newline now and then.
    fn bytes(&mut self, most: u64, newlines: u64) -> Vec<u8> {
        let length = self.below(most);
        let byte = |random: &mut Random| if random.below(newlines) == 0 { b'\n' } else { random.below(256) as u8 };
        (0..length).map(|_| byte(self)).collect()
    }

    fn stream(&mut self) -> Stream {
        if self.below(3) == 0 { Stream::Stderr } else { Stream::Stdout }
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 123_456_789 }
}

#[test]
fn entries_are_as_kubernetes_has_them() {
    let place = Place::new("format");
    let mut log = place.log(1 << 20, 3);
    log.append(Stream::Stdout, at(1_795_428_000), b"one\n\ntwo\r\n$ ");
    log.append(Stream::Stderr, at(1_795_428_001), b"\xff\0\n");
    log.append(Stream::Stdout, at(1_795_428_002), b"exit\n");
    let expected = b"2026-11-23T10:00:00.123456789Z stdout F one\n\
        2026-11-23T10:00:00.123456789Z stdout F \n\
        2026-11-23T10:00:00.123456789Z stdout F two\r\n\
        2026-11-23T10:00:00.123456789Z stdout P $ \n\
        2026-11-23T10:00:01.123456789Z stderr F \xff\0\n\
        2026-11-23T10:00:02.123456789Z stdout F exit\n";
    assert_eq!(place.read("log"), expected);
    assert_eq!(place.shown(Wanted::default()), [&b"one\n\ntwo\r\n$ exit\n"[..], b"\xff\0\n", b""]);
}

#[test]
fn whatever_is_written_is_read_byte_for_byte_over_all_files_and_restarts() {
    let place = Place::new("random");
    let mut random = Random(0x5eed);
    for (max_size, most, newlines) in
        [(200, 10, 5), (4096, 900, 60), (1 << 20, 40 << 10, 100), (1 << 20, 40 << 10, 1 << 40)]
    {
        let mut written = [const { Vec::new() }; 3];
        let mut log = place.log(max_size, 100);
        let directory = place.open();
        let mut follower = Reader::open(directory.by_ref(), Wanted::default()).unwrap();
        let mut followed = Vec::new();
        for round in 0..100 {
            let (stream, bytes) = (random.stream(), random.bytes(most, newlines));
            log.append(stream, at(round), &bytes);
            written[stream as usize].extend_from_slice(&bytes);
            if random.below(20) == 0 {
                log = place.log(max_size, 100);
            }
            if random.below(4) == 0 {
                drain(&mut follower, &mut followed, false);
                assert!(joined(&followed) == written, "all that was written can be read at once");
            }
        }
        drain(&mut follower, &mut followed, true);
        assert!(joined(&followed) == written);
        assert!(place.shown(Wanted::default()) == written);
        for entry in fs::read_dir(&place.0).unwrap() {
            let path = entry.unwrap().path();
            assert!(fs::metadata(&path).unwrap().len() <= max_size, "{}", path.display());
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_file_is_full_at_every_length_of_a_line_and_the_oldest_goes() {
    for max_file in [1, 2, 3, 12] {
        for extra in 0..60 {
            let place = Place::new(&format!("rotate-{max_file}-{extra}"));
            let mut log = place.log(200 + extra, max_file);
            let mut written = Vec::new();
            for number in 0..60usize {
                let line = format!("{number:02}{}\n", "x".repeat(number % 40));
                log.append(Stream::Stdout, at(0), line.as_bytes());
                written.extend(line.into_bytes());
            }
            let [shown, ..] = place.shown(Wanted::default());
            assert!(written.ends_with(&shown) && shown.len() > 20, "{} bytes", shown.len());
            let names: std::collections::BTreeSet<String> = fs::read_dir(&place.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let expected = (0..max_file).map(|number| if number == 0 { "log".into() } else { format!("log.{number}") });
            assert_eq!(names, expected.collect());
            for name in &names {
                let content = place.read(name);
                assert!(content.len() as u64 <= 200 + extra && content.ends_with(b"\n"), "{name}");
                // Another line would not have fitted.
                assert!(name == "log" || content.len() as u64 + 82 > 200 + extra, "{name}: {}", content.len());
            }
        }
    }
}

#[test]
fn one_file_holds_exactly_what_it_may() {
    let place = Place::new("exact");
    // Two entries of 40 + 9 + 1 bytes.
    let mut log = place.log(100, 2);
    log.append(Stream::Stdout, at(0), b"123456789\n123456789\n");
    assert_eq!((place.read("log").len(), place.0.join("log.1").exists()), (100, false));
    log.append(Stream::Stdout, at(0), b"\n");
    assert_eq!((place.read("log").len(), place.read("log.1").len()), (41, 100));
}

#[test]
fn a_log_goes_on_where_it_was_and_a_cut_entry_is_closed() {
    let place = Place::new("resume");
    place.log(150, 2).append(Stream::Stdout, at(0), b"first\n");
    place.log(150, 2).append(Stream::Stdout, at(0), b"second\n");
    assert!(!place.0.join("log.1").exists());
    place.log(150, 2).append(Stream::Stdout, at(0), b"third, which does not fit any more into the first file\n");
    assert!(place.0.join("log.1").exists());
    assert_eq!(place.tail(2)[0], b"second\nthird, which does not fit any more into the first file\n");
    for (cut, shown) in [(3, &b"second\nthi"[..]), (94, b"second\n")] {
        let whole = place.read("log");
        fs::write(place.0.join("log"), &whole[..whole.len() - cut.min(whole.len() - 43)]).unwrap();
        place.log(1 << 20, 2).append(Stream::Stdout, at(0), b"after\n");
        let [stdout, ..] = place.tail(3);
        assert!(stdout.starts_with(shown) && stdout.ends_with(b"\nafter\n"), "{}", String::from_utf8_lossy(&stdout));
    }
}

/// What the last lines are, in the plainest way: a line counts where its last entry stands.
fn last_lines(entries: &[(Stream, Vec<u8>)], count: usize) -> Vec<(Stream, Vec<u8>)> {
    let (mut open, mut lines): (BTreeMap<usize, Vec<usize>>, Vec<Vec<usize>>) = (BTreeMap::new(), Vec::new());
    for (number, (stream, text)) in entries.iter().enumerate() {
        let line = open.entry(*stream as usize).or_default();
        line.push(number);
        if text.ends_with(b"\n") {
            lines.push(std::mem::take(line));
        }
    }
    lines.extend(open.into_values().filter(|line| !line.is_empty()));
    lines.sort_by_key(|line| *line.last().unwrap());
    let mut wanted: Vec<usize> = lines[lines.len().saturating_sub(count)..].concat();
    wanted.sort_unstable();
    wanted.into_iter().map(|number| entries[number].clone()).collect()
}

#[test]
fn the_last_lines_are_whole_however_their_pieces_are_mixed() {
    let mut random = Random(77);
    for round in 0..60 {
        let place = Place::new(&format!("tail-{round}"));
        let mut log = place.log(600, 30);
        let mut entries = Vec::new();
        for _ in 0..random.below(60) {
            let mut text = random.bytes(12, 1 << 40);
            text.retain(|byte| *byte != b'\n');
            text.push(if random.below(3) == 0 { b'+' } else { b'\n' });
            let stream = random.stream();
            log.append(stream, at(0), &text);
            entries.push((stream, text));
        }
        for lines in 0..30 {
            let pieces = place.pieces(Wanted { tail: Some(lines), ..Wanted::default() });
            let pieces: Vec<_> = pieces.into_iter().filter(|(_, text)| !text.is_empty()).collect();
            assert_eq!(pieces, last_lines(&entries, lines as usize), "round {round}, {lines} lines");
        }
    }
}

#[test]
fn the_last_lines_are_found_across_the_edges_of_what_is_read_at_once() {
    let place = Place::new("edges");
    let mut log = place.log(10 << 20, 3);
    let mut lines = Vec::new();
    // Lines in two entries, of lengths that put those everywhere around the edges; one is longer than what is read at once.
    for number in 0..6000usize {
        let length = if number == 3000 { 200_000 } else { number * 7 % 301 };
        lines.push(format!("{number} {}\n", "y".repeat(length)));
        let (start, end) = lines[number].split_at(2);
        log.append(Stream::Stdout, at(0), start.as_bytes());
        log.append(Stream::Stdout, at(0), end.as_bytes());
    }
    for count in [0, 1, 2, 150, 400, 401, 402, 500, 600, 700, 800, 900, 1000, 2998, 2999, 3000, 3001, 5999, 6000, 9999]
    {
        let expected = lines[lines.len().saturating_sub(count)..].concat();
        assert!(place.tail(count as u64)[0] == expected.as_bytes(), "{count}");
    }
}

#[test]
fn lines_are_chosen_and_marked_by_the_time_at_which_they_began() {
    let place = Place::new("times");
    let mut log = place.log(1 << 20, 3);
    for (second, text) in [(10, "a\nb"), (20, "b\nc"), (30, "c"), (40, "c\nd\n")] {
        log.append(Stream::Stdout, at(second), text.as_bytes());
    }
    let between = |since: i64, until: i64| {
        let (since, until) = (at(since).rfc3339_bytes(), at(until).rfc3339_bytes());
        let [shown, ..] = place.shown(Wanted { since, until, timestamps: true, ..Wanted::default() });
        String::from_utf8(shown).unwrap().replace("1970-01-01T00:00:", "").replace(".123456789Z", "")
    };
    assert_eq!(between(0, 99), "10 a\n10 bb\n20 ccc\n40 d\n");
    assert_eq!(between(20, 20), "20 ccc\n");
    assert_eq!(between(11, 39), "20 ccc\n");
    assert_eq!(between(21, 40), "40 d\n");
    assert_eq!(between(41, 99), "");
}

#[test]
fn damage_hides_nothing_but_what_is_damaged() {
    let mut random = Random(4);
    let whole = |number: u8| format!("2026-11-23T10:00:00.{number:09}Z stdout F line {number}\n").into_bytes();
    for round in 0..300 {
        let place = Place::new(&format!("damage-{round}"));
        let mut content: Vec<u8> = (0..20).flat_map(whole).collect();
        let start = random.below(content.len() as u64) as usize;
        let end = (start + random.below(150) as usize).min(content.len());
        content.splice(start..end, random.bytes(100, 20));
        content.truncate(content.len() - random.below(30) as usize);
        // In two files, with the cut at any place.
        let edge = random.below(content.len() as u64) as usize;
        fs::write(place.0.join("log.1"), &content[..edge]).unwrap();
        fs::write(place.0.join("log"), &content[edge..]).unwrap();
        let [stdout, ..] = place.shown(Wanted::default());
        let last = place.tail(1000);
        assert_eq!(last, place.shown(Wanted::default()), "both ways tell the same lines apart");
        for number in 0..20 {
            let line = whole(number);
            let here = |bytes: &[u8]| bytes.windows(line.len()).any(|window| window == line);
            let before = |at: usize| at == 0 || content[at - 1] == b'\n' || at == edge;
            let intact = [&content[..edge], &content[edge..]].iter().any(|part| here(part));
            let begins = content.windows(line.len()).position(|window| window == line).is_some_and(before);
            if intact && begins {
                let text = format!("line {number}\n");
                assert!(stdout.windows(text.len()).any(|window| window == text.as_bytes()), "{round}: {text}");
            }
        }
    }
}

#[test]
fn garbage_of_any_kind_is_read_to_its_end() {
    let mut random = Random(99);
    let place = Place::new("garbage");
    fs::write(place.0.join("log"), [vec![0; 1 << 20], random.bytes(1 << 20, 500)].concat()).unwrap();
    let shown = place.shown(Wanted::default());
    assert_eq!(shown.iter().map(Vec::len).sum::<usize>(), place.read("log").len());
    assert_eq!(place.tail(1 << 40), shown);
}

#[test]
fn a_reader_beside_the_writer_loses_and_repeats_nothing() {
    const LINES: usize = 60_000;
    let place = Place::new("beside");
    let mut log = place.log(64 << 10, 100);
    let (sender, receiver) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        for number in 0..LINES {
            log.append(Stream::Stdout, at(0), format!("line {number}\n").as_bytes());
        }
        sender.send(()).unwrap();
    });
    let directory = place.open();
    let mut reader = Reader::open(directory.by_ref(), Wanted::default()).unwrap();
    let (mut shown, mut ended) = (Vec::new(), false);
    while !ended {
        ended = receiver.try_recv().is_ok();
        drain(&mut reader, &mut shown, ended);
    }
    writer.join().unwrap();
    let [stdout, _, system] = joined(&shown);
    assert_eq!(String::from_utf8(system).unwrap(), "");
    let expected: String = (0..LINES).map(|number| format!("line {number}\n")).collect();
    assert!(stdout == expected.as_bytes(), "{} of {} bytes", stdout.len(), expected.len());
}

#[test]
fn a_reader_that_was_overtaken_says_so_and_goes_on() {
    let place = Place::new("overtaken");
    let mut log = place.log(200, 3);
    log.append(Stream::Stdout, at(0), b"first\n");
    let directory = place.open();
    let mut reader = Reader::open(directory.by_ref(), Wanted::default()).unwrap();
    for number in 0..50 {
        log.append(Stream::Stdout, at(0), format!("line {number:030}\n").as_bytes());
    }
    let mut shown = Vec::new();
    drain(&mut reader, &mut shown, true);
    let [stdout, _, system] = joined(&shown);
    assert!(stdout.starts_with(b"first\n") && stdout.ends_with(b"49\n") && stdout.len() < 600);
    assert!(String::from_utf8(system).unwrap().contains("lines may be missing"));
}

#[test]
fn options_are_as_usual_unless_an_annotation_makes_sense() {
    let read = |annotations: &str| {
        LogOptions::from_annotations(&parse(format!("{{\"annotations\":{{{annotations}}}}}").as_bytes()).unwrap())
    };
    let usual = LogOptions { driver: "k8s-file", max_size: 10 << 20, max_file: 3 };
    assert_eq!((read(""), LogOptions::from_annotations(&parse(b"{}").unwrap())), (usual, usual));
    for wrong in ["0", "-1", "x", "", "1023", "99999999999999999999"] {
        assert_eq!(
            read(&format!("\"vial.log.maxSize\":\"{wrong}\",\"vial.log.maxFile\":\"{wrong}\"")),
            usual,
            "{wrong}"
        );
    }
    let given = LogOptions { driver: "none", max_size: 1024, max_file: 100 };
    let text = r#""vial.log.driver":"none","vial.log.maxSize":"1024","vial.log.maxFile":"100""#;
    assert_eq!(read(text), given);
    assert!(usual.keeps() && !given.keeps());
    assert!(Log::open(fd::CWD, &given).unwrap().is_none());
}

#[test]
fn files_are_numbered_from_the_newest() {
    for (number, expected) in [(0, c"log"), (1, c"log.1"), (9, c"log.9"), (10, c"log.10"), (99, c"log.99")] {
        assert_eq!(name(number, &mut [0; 8]), expected);
    }
}
