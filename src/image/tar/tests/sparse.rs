//! Sparse files in GNU tar's four ways.

use super::super::Extent;
use super::{Head, Members, archive, only, padded, pax, read, refusal};

type Extents<'a> = &'a [(u64, u64)];

fn octal(number: u64) -> Vec<u8> {
    format!("{number:011o}\0").into_bytes()
}

/// Type S: four extents in the header, 21 in each block that follows.
fn old(map: Extents, size: u64, data: &[u8]) -> Vec<u8> {
    let mut head = Head::gnu("s", b'S', data.len() as u64).put(483, &octal(size));
    let first = map.len().min(4);
    for (slot, (offset, length)) in map[..first].iter().enumerate() {
        head = head.put(386 + slot * 24, &octal(*offset)).put(398 + slot * 24, &octal(*length));
    }
    let mut more = Vec::new();
    let mut chunks = map[first..].chunks(21).peekable();
    if chunks.peek().is_some() {
        head = head.put(482, b"\x01");
    }
    while let Some(chunk) = chunks.next() {
        let mut block = vec![0; 512];
        for (slot, (offset, length)) in chunk.iter().enumerate() {
            block[slot * 24..][..12].copy_from_slice(&octal(*offset));
            block[slot * 24 + 12..][..12].copy_from_slice(&octal(*length));
        }
        block[504] = u8::from(chunks.peek().is_some());
        more.extend(block);
    }
    [head.with(b""), more, padded(data)].concat()
}

fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn pax_0_0(map: Extents, size: u64, data: &[u8]) -> Vec<u8> {
    let numbers: Vec<_> = map.iter().map(|(offset, length)| (text(*offset), text(*length))).collect();
    let (size, count) = (text(size), text(map.len() as u64));
    let mut records = vec![("GNU.sparse.size", size.as_slice()), ("GNU.sparse.numblocks", &count)];
    for (offset, length) in &numbers {
        records.extend([("GNU.sparse.offset", offset.as_slice()), ("GNU.sparse.numbytes", length)]);
    }
    [pax(&records), Head::ustar("s", b'0', data.len() as u64).with(data)].concat()
}

fn pax_0_1(map: Extents, size: u64, data: &[u8]) -> Vec<u8> {
    let list: Vec<_> = map.iter().map(|(offset, length)| format!("{offset},{length}")).collect();
    let (list, size, count) = (list.join(","), text(size), text(map.len() as u64));
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.size", &size),
        ("GNU.sparse.numblocks", &count),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.map", list.as_bytes()),
    ];
    [pax(records), Head::ustar("GNUSparseFile.1/s", b'0', data.len() as u64).with(data)].concat()
}

fn pax_1_0(map: Extents, size: u64, data: &[u8]) -> Vec<u8> {
    let numbers = map.iter().flat_map(|(offset, length)| [*offset, *length]);
    let lines: Vec<_> = core::iter::once(map.len() as u64).chain(numbers).map(text).collect();
    let lines = [lines.join(b"\n".as_slice()), b"\n".to_vec()].concat();
    let stored = [padded(&lines), data.to_vec()].concat();
    let size = text(size);
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.realsize", &size),
    ];
    [pax(records), Head::ustar("GNUSparseFile.1/s", b'0', stored.len() as u64).with(&stored)].concat()
}

type Writer = fn(Extents, u64, &[u8]) -> Vec<u8>;
const WRITERS: [Writer; 4] = [old, pax_0_0, pax_0_1, pax_1_0];

#[test]
fn each_format_gives_the_same_file() {
    let many: Vec<_> = (0..4 + 21 + 21 + 5).map(|n| (n * 1000, n % 7)).collect();
    let maps: [(Extents, u64); 6] = [
        (&[], 1000),
        (&[(0, 5)], 5),
        (&[(1000, 0)], 1000),
        (&[(512, 512), (2048, 3), (9000, 0)], 9000),
        (&[(0, 1), (1, 1), (2, 1), (3, 1)], 4),
        (&many, 100_000),
    ];
    for (map, size) in maps {
        let data: Vec<u8> = (0..map.iter().map(|(_, length)| length).sum()).map(|n: u64| n as u8).collect();
        let full = map.iter().filter(|(_, length)| *length != 0);
        let expected: Vec<_> = full.map(|&(offset, length)| Extent { offset, length }).collect();
        for (number, writer) in WRITERS.iter().enumerate() {
            let after = Head::ustar("after", b'0', 1).with(b"x");
            let members = read(&archive(&[writer(map, size, &data), after])).unwrap();
            let (entry, stored) = &members[0];
            assert_eq!((entry.path.as_slice(), entry.size), (b"s".as_slice(), size), "{number}");
            assert_eq!((entry.sparse.as_ref(), stored), (Some(&expected), &data), "{number}");
            assert_eq!(members[1].1, b"x");
        }
    }
}

fn each_refuses(map: Extents, size: u64, data: &[u8], why: &str) {
    for (number, writer) in WRITERS.iter().enumerate() {
        assert_eq!(refusal(&archive(&[writer(map, size, data)])), why, "{number}: {map:?}");
    }
}

#[test]
fn maps_that_cannot_be_are_refused_in_each_format() {
    each_refuses(&[(10, 5), (0, 5)], 100, &[1; 10], "a sparse map out of order");
    each_refuses(&[(0, 5), (4, 5)], 100, &[1; 10], "a sparse map out of order");
    each_refuses(&[(0, 5), (96, 5)], 100, &[1; 10], "a sparse map that goes beyond the file's end");
    each_refuses(&[(101, 0)], 100, &[], "a sparse map that goes beyond the file's end");
    each_refuses(&[(0, 5)], 100, &[1; 6], "a sparse map that does not fit the size of the stored data");
    each_refuses(&[(0, 5)], 100, &[1; 4], "a sparse map that does not fit the size of the stored data");
}

#[test]
fn maps_that_are_too_long_are_refused_before_they_are_stored() {
    let map: Vec<_> = (0..65_537).map(|n| (n, 1)).collect();
    let why = "a sparse map of more than 65536 extents";
    assert_eq!(refusal(&archive(&[old(&map, 100_000, &vec![1; 65_537])])), why);
    assert_eq!(refusal(&archive(&[pax_1_0(&map, 100_000, &vec![1; 65_537])])), why);
    let (most, data) = (&map[..65_536], vec![1; 65_536]);
    assert_eq!(only(&archive(&[old(most, 100_000, &data)])).0.sparse.unwrap().len(), 65_536);
    assert_eq!(only(&archive(&[pax_0_1(most, 100_000, &data)])).0.sparse.unwrap().len(), 65_536);
}

fn records(records: &[(&str, &[u8])]) -> Result<Members, (u64, &'static str)> {
    read(&archive(&[pax(records), Head::ustar("a", b'0', 0).with(b"")]))
}

#[test]
fn records_that_do_not_make_a_map_are_refused() {
    let [size, name]: [(&str, &[u8]); 2] = [("GNU.sparse.size", b"9"), ("GNU.sparse.name", b"n")];
    let bad: [&[(&str, &[u8])]; 12] = [
        &[name],
        &[size],
        &[size, ("GNU.sparse.numblocks", b"1")],
        &[size, ("GNU.sparse.numblocks", b"2"), ("GNU.sparse.map", b"0,0")],
        &[size, ("GNU.sparse.map", b"0")],
        &[size, ("GNU.sparse.map", b"0,0,")],
        &[size, ("GNU.sparse.map", b"0,+0")],
        &[size, ("GNU.sparse.offset", b"0")],
        &[size, ("GNU.sparse.offset", b"0"), ("GNU.sparse.offset", b"0")],
        &[size, ("GNU.sparse.numbytes", b"0")],
        &[size, ("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")],
        &[size, ("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.map", b"0,0")],
    ];
    for set in bad {
        assert!(records(set).is_err(), "{set:?}");
    }
    assert_eq!(records(&[size, ("GNU.sparse.map", b"9,0"), name]).unwrap()[0].0.path, b"n");
}

#[test]
fn a_map_in_the_data_must_be_decimal_lines_and_inside_the_data() {
    let head: [(&str, &[u8]); 3] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")];
    let with = |data: &[u8]| refusal(&archive(&[pax(&head), Head::ustar("a", b'0', data.len() as u64).with(data)]));
    assert_eq!(with(&padded(b"1\n0\n\n")), "a sparse map with an empty line");
    assert_eq!(with(&padded(b"1\n0\n-1\n")), "a sparse map that is not decimal numbers");
    assert_eq!(with(&padded(b"1\n0\n")), "a sparse map that is not decimal numbers");
    assert_eq!(with(&padded(b"1\n0\n99999999999999999999\n")), "a sparse map beyond 2^64");
    assert_eq!(with(&padded(b"1\n18446744073709551615\n1\n")), "a sparse map beyond 2^64");
    assert_eq!(with(&[b'0'; 512]), "a sparse map that goes beyond the member's data");
    assert_eq!(with(b"0\n"), "a sparse map that goes beyond the member's data");
}

#[test]
fn sparse_members_of_the_wrong_type_or_format_are_refused() {
    let map: [(&str, &[u8]); 2] = [("GNU.sparse.size", b"0"), ("GNU.sparse.map", b"0,0")];
    for flag in *b"12345D" {
        let bytes = archive(&[pax(&map), Head::ustar("a", flag, 0).with(b"")]);
        assert_eq!(refusal(&bytes), "a sparse member that is not a regular file");
    }
    let both = archive(&[pax(&map), old(&[], 0, b"")]);
    assert_eq!(refusal(&both), "two sparse maps for one member");
    assert_eq!(
        refusal(&archive(&[Head::ustar("a", b'S', 0).with(b"")])),
        "a member of type S that is not in GNU format"
    );
    let endless = Head::gnu("a", b'S', 0).put(483, &octal(9)).put(482, b"1").with(b"");
    assert_eq!(refusal(&archive(&[endless])), "a sparse map that goes on after its end");
}
