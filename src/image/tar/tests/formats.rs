//! The plain formats: fields, numbers, ends; and GNU tar's own word for it.

use super::super::{Entry, Failure, Kind, Reader, Time};
use super::{Bytes, Head, archive, extended, only, pax, read, read_by, refusal};
use crate::base::bytes::Source;

#[test]
fn a_ustar_member_has_all_its_fields() {
    let head = Head::ustar("name", b'3', 0).put(345, b"some/prefix").put(136, b"00000000012\0");
    let head = head.put(100, b"0024755\0").put(329, b"0000005\x000000017\0");
    let (entry, data) = only(&archive(&[head.with(b"")]));
    let expected = Entry {
        kind: Kind::CharDevice,
        path: b"some/prefix/name".to_vec(),
        link: vec![],
        mode: 0o4755,
        uid: 1000,
        gid: 100,
        size: 0,
        mtime: Time { seconds: 10, nanoseconds: 0 },
        atime: None,
        ctime: None,
        major: 5,
        minor: 15,
        xattrs: vec![],
        sparse: None,
        offset: 0,
    };
    assert_eq!((entry, data), (expected, vec![]));
}

#[test]
fn each_type_has_its_kind_and_unknown_ones_are_files() {
    let kinds = [
        (b'0', Kind::File),
        (0, Kind::File),
        (b'7', Kind::File),
        (b'Z', Kind::File),
        (b'1', Kind::HardLink),
        (b'2', Kind::Symlink),
        (b'3', Kind::CharDevice),
        (b'4', Kind::BlockDevice),
        (b'5', Kind::Directory),
        (b'6', Kind::Fifo),
    ];
    for (flag, kind) in kinds {
        let (entry, _) = only(&archive(&[Head::ustar("a", flag, 0).put(157, b"b").with(b"")]));
        assert_eq!(entry.kind, kind, "{flag}");
        assert_eq!(entry.link, if matches!(kind, Kind::HardLink | Kind::Symlink) { b"b".as_slice() } else { b"" });
    }
}

#[test]
fn a_slash_makes_a_directory_only_of_the_oldest_type() {
    assert_eq!(only(&archive(&[Head::v7("d/", 0, 0).with(b"")])).0.kind, Kind::Directory);
    assert_eq!(only(&archive(&[Head::v7("d/", b'0', 0).with(b"")])).0.kind, Kind::File);
    assert_eq!(refusal(&archive(&[Head::v7("d/", 0, 3).with(b"abc")])), "a directory with data");
}

#[test]
fn a_member_that_is_no_file_has_no_data_whatever_its_size() {
    for flag in b"123456" {
        let members =
            read(&archive(&[Head::ustar("a", *flag, 700).with(b""), Head::ustar("b", b'0', 1).with(b"x")])).unwrap();
        assert_eq!((members[0].0.size, members[1].1.as_slice()), (0, b"x".as_slice()));
    }
}

#[test]
fn numbers_come_in_octal_and_in_base_256() {
    let cases: [(&[u8; 12], Option<i64>); 9] = [
        (b"00000000017\0", Some(15)),
        (b"        17 \0", Some(15)),
        (b"777777777777", Some((1 << 36) - 1)),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", Some(0)),
        (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(1 << 33)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
        (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        (b"0000000001a\0", None),
        (b"-0000000001\0", None),
    ];
    for (field, expected) in cases {
        let found = read(&archive(&[Head::gnu("a", b'0', 0).put(136, field).with(b"")]));
        assert_eq!(found.ok().map(|members| members[0].0.mtime.seconds), expected, "{field:?}");
    }
    assert!(read(&archive(&[Head::gnu("a", b'0', 0).put(124, &[0xff; 12]).with(b"")])).is_err());
}

#[test]
fn the_id_that_means_no_change_is_refused() {
    let with =
        |id: &[u8; 8]| read(&archive(&[Head::gnu("a", b'0', 0).put(108, id).with(b"")])).map(|all| all[0].0.uid).ok();
    assert_eq!(with(b"\x80\0\0\0\xff\xff\xff\xfe"), Some(u32::MAX - 1));
    assert_eq!(with(b"\x80\0\0\0\xff\xff\xff\xff"), None);
    assert_eq!(with(b"\x80\0\0\x01\0\0\0\0"), None);
    assert_eq!(with(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None);
}

#[test]
fn signed_checksums_are_right_too() {
    let mut bytes = Head::v7("caf\u{e9}", b'0', 0).with(b"");
    let sum: i32 = bytes[..148].iter().chain(&bytes[156..]).map(|&b| i32::from(b.cast_signed())).sum::<i32>() + 256;
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(only(&archive(&[bytes.clone()])).0.path, "caf\u{e9}".as_bytes());
    bytes[0] = b'd';
    assert_eq!(refusal(&archive(&[bytes])), "not a tar header: its checksum is wrong");
}

#[test]
fn an_archive_may_end_with_two_zero_blocks_or_one_or_none_but_not_go_on_after_one() {
    let member = Head::ustar("a", b'0', 1).with(b"x");
    for zeros in [0, 1, 2, 3, 20] {
        let archive = [member.clone(), vec![0; zeros * 512]].concat();
        assert_eq!(read(&archive).unwrap().len(), 1);
    }
    let gap = [member.clone(), vec![0; 512], member.clone()].concat();
    assert_eq!(read(&gap), Err((1024, "a zero block between the members")));
    let junk = [member.clone(), vec![0; 1024], member].concat();
    assert_eq!(read(&junk).unwrap().len(), 1);
    assert_eq!(read(b"").unwrap().len(), 0);
}

#[test]
fn what_is_left_of_a_member_is_skipped() {
    let archive =
        archive(&[Head::ustar("a", b'0', 600_001).with(&vec![1; 600_001]), Head::ustar("b", b'0', 1).with(b"x")]);
    let mut reader = Reader::new(Bytes { rest: &archive, step: 70_000 });
    assert_eq!(reader.next_entry().unwrap().unwrap().path, b"a");
    assert!(!reader.data().unwrap().is_empty());
    let second = reader.next_entry().unwrap().unwrap();
    assert_eq!((second.path.as_slice(), second.offset), (b"b".as_slice(), 512 + 600_001_u64.next_multiple_of(512)));
    assert_eq!(reader.data().unwrap(), b"x");
    assert!(reader.data().unwrap().is_empty());
    assert!(reader.next_entry().unwrap().is_none());
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn draining_reads_the_stream_to_its_end() {
    let mut bytes = archive(&[Head::ustar("a", b'0', 1).with(b"x")]);
    bytes.resize(1_000_003, 7);
    let mut reader = Reader::new(Bytes { rest: &bytes, step: usize::MAX });
    reader.next_entry().unwrap().unwrap();
    let Ok(()) = reader.drain();
    assert_eq!((reader.offset(), reader.source().rest.len()), (1_000_003, 0));
    assert!(reader.next_entry().unwrap().is_none());
}

struct Broken;

impl Source for Broken {
    type Error = &'static str;

    fn read(&mut self, _: &mut [u8]) -> Result<usize, Self::Error> {
        Err("no more")
    }
}

#[test]
fn the_streams_own_errors_come_through() {
    let mut reader = Reader::new(Broken);
    assert_eq!(reader.next_entry(), Err(Failure::Source("no more")));
    assert_eq!(
        reader.next_entry(),
        Err(Failure::Corrupt { offset: 0, what: phrase!("the stream failed here before") })
    );
    assert_eq!(reader.drain(), Err("no more"));
}

#[test]
fn a_failure_is_given_again() {
    let bytes = [vec![7; 512], archive(&[Head::ustar("a", b'0', 0).with(b"")])].concat();
    let mut reader = Reader::new(Bytes { rest: &bytes, step: usize::MAX });
    let first = reader.next_entry();
    assert_eq!(first, Err(Failure::Corrupt { offset: 0, what: phrase!("not a tar header: its checksum is wrong") }));
    assert_eq!(reader.next_entry(), first);
    assert_eq!(reader.data(), Ok(b"".as_slice()));
}

#[test]
fn the_size_of_the_pieces_does_not_matter() {
    let data: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let parts =
        [pax(&[("path", b"p"), ("SCHILY.xattr.user.a", b"1\n=\0")]), Head::ustar("a", b'0', 300_000).with(&data)];
    let archive = archive(&[parts.concat(), Head::gnu("b", b'2', 0).with(b"")]);
    let whole = read(&archive).unwrap();
    assert_eq!(whole[0].1, data);
    for step in [1, 3, 511, 512, 513, 4096, 65_535, 262_145] {
        assert_eq!(read_by(&archive, step).unwrap(), whole, "{step}");
    }
}

#[test]
fn global_headers_hold_until_taken_back_and_may_not_set_sizes() {
    let global = extended(b'g', &[("uid", b"7"), ("mtime", b"5"), ("comment", b"x")]);
    let member = Head::ustar("a", b'0', 0).with(b"");
    let own = [pax(&[("uid", b""), ("mtime", b"6")]), member.clone()].concat();
    let members = read(&archive(&[global, member.clone(), own, member.clone()])).unwrap();
    let found: Vec<_> = members.iter().map(|(entry, _)| (entry.uid, entry.mtime.seconds)).collect();
    assert_eq!(found, [(7, 5), (1000, 6), (7, 5)]);
    for key in ["size", "GNU.sparse.major", "SCHILY.xattr.user.a"] {
        let global = extended(b'g', &[(key, b"1")]);
        assert!(refusal(&archive(&[global, member.clone()])).contains("whole archive"));
    }
}
