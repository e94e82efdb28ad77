//! The tar crate's opinion on archives of every kind of writer, and on its own.

use super::super::{Entry, Kind};
use super::{Head, archive, expand, extended, long, pax, read};
use std::{io, io::Read as _};

/// Kind, path, link, mode, uid, gid, size, mtime's seconds, device, and the content if it is not huge.
type Summary = (Kind, Vec<u8>, Vec<u8>, u32, u64, u64, u64, i64, Option<(u32, u32)>, Option<Vec<u8>>);

const HUGE: u64 = 16 << 20;

fn ours(bytes: &[u8]) -> Vec<Summary> {
    let summary = |member: (Entry, Vec<u8>)| {
        let content = (member.0.size < HUGE).then(|| expand(&member));
        let Entry { kind, path, link, mode, uid, gid, size, mtime, major, minor, .. } = member.0;
        let device = matches!(kind, Kind::CharDevice | Kind::BlockDevice).then_some((major, minor));
        (kind, path, link, mode, uid.into(), gid.into(), size, mtime.seconds, device, content)
    };
    read(bytes).unwrap().into_iter().map(summary).collect()
}

fn theirs(bytes: &[u8]) -> io::Result<Vec<Summary>> {
    let mut found = Vec::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let kind = match entry.header().entry_type() {
            tar::EntryType::XGlobalHeader => continue,
            tar::EntryType::Link => Kind::HardLink,
            tar::EntryType::Symlink => Kind::Symlink,
            tar::EntryType::Char => Kind::CharDevice,
            tar::EntryType::Block => Kind::BlockDevice,
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::Fifo => Kind::Fifo,
            _ => Kind::File,
        };
        let is_link = matches!(kind, Kind::HardLink | Kind::Symlink);
        let link = entry.link_name_bytes().filter(|_| is_link).unwrap_or_default().to_vec();
        let mut mtime = entry.header().mtime()? as i64;
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            if record.key_bytes() == b"mtime" {
                let seconds = record.value().unwrap().split('.').next().unwrap();
                mtime = seconds.parse().map_err(io::Error::other)?;
            }
        }
        let device = match kind {
            Kind::CharDevice | Kind::BlockDevice => entry.header().device_major()?.zip(entry.header().device_minor()?),
            _ => None,
        };
        let (path, header) = (entry.path_bytes().to_vec(), entry.header());
        let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
        let size = if kind == Kind::File { entry.size() } else { 0 };
        let mut content = None;
        if size < HUGE {
            entry.read_to_end(content.insert(Vec::new()))?;
        }
        found.push((kind, path, link, mode, uid, gid, size, mtime, device, content));
    }
    Ok(found)
}

/// An old GNU header of a sparse file: a block at 512 and 3 bytes at 4096 of 5000.
fn sparse() -> Vec<u8> {
    let octal = |number: u64| format!("{number:011o}\0").into_bytes();
    let map = Head::gnu("sparse", b'S', 515).put(386, &octal(512)).put(398, &octal(512)).put(410, &octal(4096));
    map.put(422, &octal(3)).put(434, &octal(5000)).put(446, &octal(0)).put(483, &octal(5000)).with(&[7; 515])
}

#[test]
fn the_tar_crate_sees_the_same_members() {
    let deep = "directory/".repeat(30) + "file";
    let file = |name: &str| Head::ustar(name, b'0', 3).with(b"abc");
    let large: &[u8] = b"\x80\0\0\0\xb2\xd0\x5e\0";
    for (what, members) in [
        ("version 7", vec![Head::v7("d", b'5', 0).with(b""), Head::v7("d/f", 0, 3).with(b"abc")]),
        ("links of version 7", vec![file("f"), Head::v7("h", b'1', 0).put(157, b"f").with(b"")]),
        ("a name in two fields", vec![Head::ustar("name", b'0', 1).put(345, b"a/prefix").with(b"x")]),
        ("a name that fills its field", vec![file(&"n".repeat(100))]),
        ("every kind", (b'0'..b'7').map(|kind| Head::ustar("x", kind, 0).put(157, b"link").with(b"")).collect()),
        ("devices", vec![Head::ustar("c", b'3', 0).put(329, b"0000005\x000000001\0").with(b"")]),
        (
            "set-ID bits and owners",
            vec![Head::ustar("f", b'0', 0).put(100, b"0007755\x000000007\x000000010\0").with(b"")],
        ),
        (
            "blanks before numbers",
            vec![Head::ustar("f", b'0', 3).put(100, b"   644 \0").put(124, b"          3 ").with(b"abc")],
        ),
        ("numbers without an end", vec![Head::ustar("f", b'0', 3).put(124, b"000000000003").with(b"abc")]),
        ("an owner in base 256", vec![Head::gnu("f", b'0', 3).put(108, large).with(b"abc")]),
        ("a name of bytes", vec![Head::gnu("f", b'0', 3).put(0, b"\x80\xff\xfe").with(b"abc")]),
        ("GNU's long name", vec![long(b'L', format!("{deep}\0").as_bytes()), file("cut")]),
        ("GNU's long link", vec![long(b'K', b"far/away\0"), Head::gnu("l", b'2', 0).put(157, b"cut").with(b"")]),
        (
            "both of them",
            vec![long(b'K', b"far/away\0"), long(b'L', b"long\0"), Head::gnu("l", b'1', 0).put(157, b"cut").with(b"")],
        ),
        (
            "a pax header",
            vec![
                pax(&[("path", deep.as_bytes()), ("mtime", b"1234567890.5"), ("uid", b"3000000000"), ("gid", b"7")]),
                file("cut"),
                file("next"),
            ],
        ),
        ("a pax link", vec![pax(&[("linkpath", b"far")]), Head::ustar("l", b'2', 0).put(157, b"cut").with(b"")]),
        ("a pax size", vec![pax(&[("size", b"3")]), Head::ustar("f", b'0', 0).with(b"abc"), file("next")]),
        ("attributes", vec![pax(&[("SCHILY.xattr.user.a", b"\0="), ("comment", b"none")]), file("f")]),
        ("a comment for all", vec![extended(b'g', &[("comment", b"0123")]), file("f")]),
        ("the same twice", vec![file("f"), Head::ustar("f", b'0', 1).with(b"x"), Head::ustar("f/", b'5', 0).with(b"")]),
        ("a sparse file", vec![sparse(), file("next")]),
    ] {
        let bytes = archive(&members);
        assert_eq!(ours(&bytes), theirs(&bytes).unwrap(), "{what}");
        let cut = members.concat();
        assert_eq!(ours(&cut), theirs(&cut).unwrap(), "{what}, without an end");
    }
}

#[test]
fn what_the_tar_crate_writes_is_read() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "l".repeat(99) + "/" + &"m".repeat(200);
    let data: Vec<u8> = (0..100_000_u32).map(|n| (n % 253) as u8).collect();
    for (number, path) in ["short", &long, "another"].into_iter().enumerate() {
        let mut header = if number == 2 { tar::Header::new_ustar() } else { tar::Header::new_gnu() };
        header.set_mode(0o640);
        header.set_uid(3_000_000_000 >> (number * 20));
        header.set_gid(7);
        header.set_mtime(1_700_000_000);
        header.set_size(data.len() as u64);
        if number == 2 {
            builder.append_pax_extensions([("size", b"100000".as_slice()), ("uid", b"12")]).unwrap();
        }
        builder.append_data(&mut header, path, data.as_slice()).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    builder.append_link(&mut header, "link", &long).unwrap();
    let bytes = builder.into_inner().unwrap();
    let found = ours(&bytes);
    assert_eq!(found, theirs(&bytes).unwrap());
    assert_eq!((found[1].1.as_slice(), found[3].2.as_slice()), (long.as_bytes(), long.as_bytes()));
    assert_eq!((found[0].4, found[2].4, found[2].9.as_ref()), (3_000_000_000, 12, Some(&data)));
}
