//! Extended headers: long names, times, owners, attributes.

use super::super::{Time, Xattr};
use super::{Head, archive, extended, long, only, pax, read, refusal};

fn pax_member(records: &[(&str, &[u8])]) -> Vec<u8> {
    archive(&[pax(records), Head::ustar("a", b'0', 0).with(b"")])
}

#[test]
fn a_pax_header_overrides_the_members_own() {
    let records: &[(&str, &[u8])] = &[
        ("path", b"long/name=with\nodd bytes"),
        ("uid", b"4294967294"),
        ("gid", b"3000000"),
        ("mtime", b"1234.5"),
        ("atime", b"-1.25"),
        ("ctime", b"0.0000000019"),
        ("hdrcharset", b"BINARY"),
        ("unknown", b"\0"),
    ];
    let (entry, _) = only(&pax_member(records));
    assert_eq!(entry.path, b"long/name=with\nodd bytes");
    assert_eq!((entry.uid, entry.gid, entry.offset), (u32::MAX - 1, 3_000_000, 0));
    assert_eq!(entry.mtime, Time { seconds: 1234, nanoseconds: 500_000_000 });
    assert_eq!(entry.atime, Some(Time { seconds: -2, nanoseconds: 750_000_000 }));
    assert_eq!(entry.ctime, Some(Time { seconds: 0, nanoseconds: 1 }));
}

#[test]
fn a_pax_link_overrides_the_members_own() {
    for flag in [b'1', b'2'] {
        let bytes = archive(&[pax(&[("linkpath", b"far")]), Head::ustar("a", flag, 0).put(157, b"near").with(b"")]);
        assert_eq!(only(&bytes).0.link, b"far");
    }
}

#[test]
fn the_size_in_a_pax_header_is_the_one_that_counts() {
    // A reader that believes the member's own size of 0 sees a second member here, `hidden`.
    let hidden = Head::ustar("hidden", b'0', 0).with(b"");
    let smuggled = [pax(&[("size", b"512")]), Head::ustar("a", b'0', 0).with(b""), hidden.clone()].concat();
    let (entry, data) = only(&archive(&[smuggled]));
    assert_eq!((entry.size, data), (512, hidden.clone()));
    // And the other way round: `hidden` is a member, not data.
    let shown = [pax(&[("size", b"0")]), Head::ustar("a", b'0', 512).with(b""), hidden].concat();
    let members = read(&archive(&[shown])).unwrap();
    assert_eq!((members[0].0.size, members[1].0.path.as_slice()), (0, b"hidden".as_slice()));
}

#[test]
fn the_size_in_a_pax_header_is_the_members_and_not_the_next_headers() {
    let parts = [pax(&[("size", b"3")]), long(b'L', b"a long name\0"), Head::gnu("a", b'0', 1024).with(b"abc")];
    let (entry, data) = only(&archive(&parts));
    assert_eq!((entry.path.as_slice(), data.as_slice()), (b"a long name".as_slice(), b"abc".as_slice()));
}

#[test]
fn a_pax_size_is_digits_and_nothing_else() {
    for size in ["", "+1", "-1", " 1", "1 ", "0x1", "1.0", "1\0", "9223372036854775808", "99999999999999999999999"] {
        assert!(refusal(&pax_member(&[("size", size.as_bytes())])).starts_with("a pax size"), "{size:?}");
    }
}

#[test]
fn malformed_records_are_refused() {
    for data in [
        "5 a=b",
        "6 a=bx",
        "7 a=b\n",
        "4 a=\n",
        "6 =abc\n",
        "x a=b\n",
        " 6 a=b\n",
        "5 ab\n",
        "99999999999999999999 a=b\n",
        "0 a=b\n",
        "2 \n",
    ] {
        let header = Head::ustar("x", b'x', data.len() as u64).with(data.as_bytes());
        let bytes = archive(&[header, Head::ustar("a", b'0', 0).with(b"")]);
        assert_eq!(refusal(&bytes), "a malformed pax record", "{data:?}");
    }
    for time in ["x", "1.x", "1.2.3", ".5", "-", "--1", "1,5", "9223372036854775808"] {
        assert_eq!(refusal(&pax_member(&[("mtime", time.as_bytes())])), "a pax mtime that is not a time", "{time:?}");
    }
    for id in ["4294967295", "-1", "root"] {
        assert!(refusal(&pax_member(&[("gid", id.as_bytes())])).starts_with("a pax gid"));
    }
    assert_eq!(refusal(&pax_member(&[("path", b"a\0b")])), "a name that holds a NUL");
}

#[test]
fn attributes_are_read_in_both_spellings_and_come_once() {
    let records: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.user.a%3Db%25%41", b"\0=\n"),
        ("SCHILY.xattr.user.empty", b""),
        ("LIBARCHIVE.xattr.user.%C3%A9", b"aGk"),
        ("LIBARCHIVE.xattr.user.empty", b""),
        ("LIBARCHIVE.xattr.user.padded", b"/+8="),
    ];
    let names: [(&[u8], &[u8]); 4] =
        [(b"user.a=b%%41", b"\0=\n"), (b"user.empty", b""), (b"user.\xc3\xa9", b"hi"), (b"user.padded", b"\xff\xef")];
    let expected = names.map(|(name, value)| Xattr { name: name.to_vec(), value: value.to_vec() });
    assert_eq!(only(&pax_member(records)).0.xattrs, expected);
    assert!(refusal(&pax_member(&[("SCHILY.xattr.", b"x")])).contains("name"));
    assert!(refusal(&pax_member(&[("SCHILY.xattr.user.\0", b"x")])).contains("name"));
    assert!(refusal(&pax_member(&[("LIBARCHIVE.xattr.user.a", b"a*")])).contains("base64"));
}

#[test]
fn the_last_of_several_headers_before_a_member_counts() {
    let link = Head::ustar("a", b'2', 0).put(157, b"b").with(b"");
    let (entry, _) =
        only(&archive(&[pax(&[("path", b"first"), ("uid", b"1")]), pax(&[("linkpath", b"second")]), link.clone()]));
    assert_eq!(
        (entry.path.as_slice(), entry.link.as_slice(), entry.uid),
        (b"a".as_slice(), b"second".as_slice(), 1000)
    );
    let parts = [long(b'L', b"1\0"), long(b'K', b"2\0"), long(b'L', b"3\0junk"), long(b'K', b"4"), link];
    let (entry, _) = only(&archive(&parts));
    assert_eq!((entry.path.as_slice(), entry.link.as_slice()), (b"3".as_slice(), b"4".as_slice()));
}

#[test]
fn two_names_for_one_member_are_refused() {
    let member = Head::gnu("a", b'0', 0).with(b"");
    let twice = |name: &[u8]| archive(&[pax(&[("path", b"one")]), long(b'L', name), member.clone()]);
    assert_eq!(only(&twice(b"one\0")).0.path, b"one");
    assert!(refusal(&twice(b"two\0")).contains("two names"));
    assert_eq!(refusal(&archive(&[long(b'L', b"\0"), member])), "an empty long name");
}

#[test]
fn long_headers_without_a_member_are_refused() {
    for header in [pax(&[("path", b"x")]), long(b'L', b"x"), long(b'K', b"x")] {
        assert_eq!(refusal(&header), "the archive ends after an extended header");
        assert_eq!(refusal(&archive(&[header])), "the archive ends after an extended header");
    }
    assert_eq!(read(&archive(&[extended(b'g', &[("comment", b"x")])])).unwrap().len(), 0);
}

#[test]
fn what_is_too_long_is_refused() {
    let member = Head::gnu("a", b'0', 0).with(b"");
    let name = vec![b'n'; 64 << 10];
    assert_eq!(only(&archive(&[long(b'L', &name), member.clone()])).0.path, name);
    let name = vec![b'n'; (64 << 10) + 1];
    for header in [long(b'L', &name), pax(&[("path", &name)])] {
        assert_eq!(refusal(&archive(&[header, member.clone()])), "a name of more than 64 KiB");
    }
    for flag in *b"xgXLK" {
        let header = Head::ustar("x", flag, (1 << 20) + 1).with(b"");
        assert_eq!(refusal(&header), "a long name or extended header of more than 1 MiB");
    }
    let global = extended(b'g', &[("comment", &[b'c'; 40_000])]);
    assert_eq!(read(&archive(&[global.clone(), member.clone()])).unwrap().len(), 1);
    assert!(refusal(&archive(&[global.clone(), global, member])).contains("more than 64 KiB"));
    let keys: Vec<_> = (0..1025).map(|n| format!("SCHILY.xattr.user.{n}")).collect();
    let records: Vec<_> = keys.iter().map(|key| (key.as_str(), b"".as_slice())).collect();
    assert_eq!(only(&pax_member(&records[1..])).0.xattrs.len(), 1024);
    assert_eq!(refusal(&pax_member(&records)), "more than 1024 extended attributes");
}

#[test]
fn labels_are_skipped_with_their_names_and_volumes_refused() {
    let label = [long(b'L', b"a label\0"), Head::gnu("label", b'V', 3).with(b"abc")].concat();
    let bytes = archive(&[label.clone(), Head::gnu("a", b'0', 1).with(b"x")]);
    let (entry, data) = only(&bytes);
    assert_eq!((entry.path.as_slice(), entry.offset, data), (b"a".as_slice(), label.len() as u64, b"x".to_vec()));
    let rest = Head::gnu("a", b'M', 1).with(b"x");
    assert_eq!(refusal(&archive(&[rest])), "the rest of a file that begins in another volume");
}

#[test]
fn an_incremental_directory_keeps_its_list_for_itself() {
    let bytes = archive(&[Head::gnu("d/", b'D', 5).with(b"Yx\0\0\0"), Head::gnu("a", b'0', 1).with(b"x")]);
    let members = read(&bytes).unwrap();
    assert_eq!((members[0].0.size, members[0].1.len(), members[1].1.as_slice()), (0, 0, b"x".as_slice()));
}

#[test]
fn star_leaves_less_room_for_the_prefix() {
    let head = Head::ustar("name", b'0', 0).put(345, b"dir").put(476, b"00000000001 00000000002 ").put(508, b"tar\0");
    assert_eq!(only(&archive(&[head.with(b"")])).0.path, b"dir/name");
    let full = Head::ustar("name", b'0', 0).put(345, &[b'p'; 131]).put(476, b"00000000001 ").put(508, b"tar\0");
    assert_eq!(only(&archive(&[full.with(b"")])).0.path.len(), 131 + 5);
}
