//! Archives that are cut off or damaged.

use super::super::Kind;
use super::{Head, Members, archive, extended, long, padded, pax, read, read_by};

/// A little of everything, under 16 KiB, so that damage soon hits something.
fn seed() -> Vec<u8> {
    let octal = |number: u64| format!("{number:011o}\0").into_bytes();
    let sparse =
        Head::gnu("s", b'S', 7).put(386, &octal(512)).put(398, &octal(4)).put(410, &octal(4096)).put(422, &octal(3));
    let in_data: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"s1"),
        ("GNU.sparse.realsize", b"5000"),
    ];
    let everything: &[(&str, &[u8])] = &[
        ("path", b"a/path"),
        ("size", b"3"),
        ("mtime", b"-1.5"),
        ("uid", b"4294967294"),
        ("SCHILY.xattr.user.a%3Db", b"\0\n="),
        ("LIBARCHIVE.xattr.user.%41", b"aGk="),
    ];
    archive(&[
        extended(b'g', &[("comment", b"0123456789abcdef"), ("gid", b"9")]),
        Head::v7("dir/", 0, 0).with(b""),
        pax(everything),
        Head::ustar("a", b'0', 3).put(345, b"prefix").with(b"abc"),
        long(b'L', b"a long name\0"),
        long(b'K', b"a long link\0"),
        Head::gnu("b", b'2', 0).put(157, b"c").with(b""),
        sparse.put(483, &octal(5000)).with(b"1234567"),
        pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,1,8,1"), ("GNU.sparse.numblocks", b"2")]),
        Head::ustar("s0", b'0', 2).with(b"xy"),
        pax(in_data),
        Head::ustar("s1", b'0', 514).with(&[padded(b"1\n4096\n2\n"), b"zz".to_vec()].concat()),
        Head::ustar("dev", b'4', 0).with(b""),
        Head::gnu("e", b'0', 0).put(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x05").with(b"12345"),
    ])
}

/// What holds for anything that is read.
fn check(members: &Members) {
    for (entry, data) in members {
        assert!(!entry.path.contains(&0) && !entry.link.contains(&0));
        assert!(entry.mode < 0o10000 && entry.mtime.nanoseconds < 1_000_000_000);
        assert!(entry.kind == Kind::File || (entry.size == 0 && data.is_empty() && entry.sparse.is_none()));
        let Some(extents) = &entry.sparse else {
            assert_eq!(entry.size, data.len() as u64);
            continue;
        };
        let (mut end, mut sum) = (0, 0);
        for extent in extents {
            assert!(extent.offset >= end && extent.length > 0);
            end = extent.offset + extent.length;
            sum += extent.length;
        }
        assert!(end <= entry.size && sum == data.len() as u64);
    }
}

struct Random(u64);

impl Random {
    /// Marsaglia's xorshift64.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

#[test]
fn an_archive_cut_between_blocks_misses_members_at_most_and_elsewhere_is_refused() {
    let whole = seed();
    let members = read(&whole).unwrap();
    assert_eq!(members.len(), 8);
    check(&members);
    let starts: Vec<_> = members.iter().map(|(entry, _)| entry.offset as usize).collect();
    for cut in 0..whole.len() {
        match read(&whole[..cut]) {
            Ok(found) => {
                assert!(cut == 0 || cut == 1024 || starts.contains(&cut) || cut + 1024 >= whole.len(), "{cut}");
                assert_eq!(found[..], members[..found.len()], "{cut}");
            }
            Err((offset, what)) => assert!(offset as usize <= cut && what.contains("ends"), "{cut}: {what}"),
        }
    }
}

/// Makes the checksum of a block right, so that damage gets past it.
fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn damage(bytes: &mut [u8], random: &mut Random) {
    let telling = *b"\0 01789=%\n,.-/agxLKSVMD\x80\xff";
    for _ in 0..=random.below(3) {
        let block = random.below(bytes.len() / 512) * 512;
        let here = &mut bytes[block..block + 512];
        // Most of a header's meaning is in the middle.
        let place = if random.below(2) == 0 { 100 + random.below(60) } else { random.below(512) };
        here[place] = if random.below(4) == 0 { random.below(256) as u8 } else { telling[random.below(telling.len())] };
        if &here[257..262] == b"ustar" || random.below(8) == 0 {
            seal(here);
        }
    }
}

#[test]
fn a_damaged_archive_is_read_or_refused_but_never_panics() {
    let whole = seed();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut fine, mut reasons) = (0, std::collections::BTreeSet::<&str>::new());
    for round in 0..100_000 {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut random);
        if random.below(16) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        match read_by(&bytes, if round % 64 == 0 { 1 + random.below(700) } else { usize::MAX }) {
            Ok(members) => {
                fine += 1;
                check(&members);
            }
            Err((offset, what)) => {
                assert!(offset <= bytes.len() as u64);
                reasons.insert(what);
            }
        }
    }
    // The damage must get past the first checks, or it tests nothing.
    assert!(fine > 10_000 && reasons.len() > 30, "{fine} {reasons:?}");
}

#[test]
fn noise_behind_right_checksums_never_panics() {
    let mut random = Random(42);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..2048).map(|_| random.below(256) as u8).collect();
        for block in bytes.chunks_mut(512) {
            block[156] = b"01235SxgLK"[random.below(10)];
            if random.below(2) == 0 {
                block[124..136].copy_from_slice(b"00000000777\0");
            }
            seal(block);
        }
        if let Ok(members) = read(&bytes) {
            check(&members);
        }
    }
}
