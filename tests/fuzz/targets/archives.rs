//! Archives, against the crate that others use.

use std::io::Read;

use vial::image::tar::{Entry, Kind, Reader, write};

use super::Bytes;

pub fn archives() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0; 1024]];
    for long in [false, true] {
        let mut builder = tar::Builder::new(Vec::new());
        let name = if long { "d/".repeat(90) } else { "d/".to_owned() };
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(1_700_000_000);
        // Headers before headers take much room.
        let kinds =
            [(tar::EntryType::Directory, name.clone(), ""), (tar::EntryType::Regular, name.clone() + "f", "content")];
        for (kind, name, content) in kinds.into_iter().skip(usize::from(long)) {
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            if long {
                builder
                    .append_pax_extensions([("SCHILY.xattr.user.a", &b"v"[..]), ("mtime", b"5.25")])
                    .expect("to memory");
            }
            builder.append_data(&mut header, name, content.as_bytes()).expect("to memory");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link].into_iter().skip(usize::from(long)) {
            header.set_entry_type(kind);
            header.set_size(0);
            builder.append_link(&mut header, name.clone() + "l", name.clone() + "f").expect("to memory");
        }
        seeds.push(builder.into_inner().expect("to memory"));
    }
    // A sparse file in GNU's first format: a hole, then four bytes.
    let mut header = tar::Header::new_gnu();
    header.set_path("s").expect("a name");
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(4);
    header.set_mode(0o600);
    let gnu = header.as_gnu_mut().expect("it is");
    gnu.set_real_size(1028);
    gnu.sparse[0].offset.copy_from_slice(b"00000002000\0");
    gnu.sparse[0].numbytes.copy_from_slice(b"00000000004\0");
    header.set_cksum();
    seeds.push([header.as_bytes(), &b"data"[..], &[0; 508 + 1024]].concat());
    seeds
}

/// A member with its stored data.
type Member = (Entry, Vec<u8>);

/// Members up to the first error; whether there was none.
fn members(bytes: &[u8], most: usize) -> (Vec<Member>, bool) {
    let mut reader = Reader::new(Bytes(bytes, most));
    let mut found = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(None) => return (found, true),
            Err(_) => {
                assert!(reader.next_entry().is_err(), "it goes on after an error");
                return (found, false);
            }
            Ok(Some(entry)) => {
                let mut data = Vec::new();
                loop {
                    match reader.data() {
                        Ok([]) => break,
                        Ok(piece) => data.extend_from_slice(piece),
                        Err(_) => return (found, false),
                    }
                }
                assert!(reader.offset() <= bytes.len() as u64);
                found.push((*entry, data));
            }
        }
    }
}

/// The archive with the sums of all blocks that look like headers made right, which hardly any would be by chance. A byte
/// behind the last block leaves them as they are.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() % 512 != 1 {
        for block in bytes.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    bytes
}

/// Members' names and sizes and data are within bounds, and do not depend on how the bytes come.
pub fn tar(bytes: &[u8]) {
    let bytes = &summed(bytes);
    let (found, whole) = members(bytes, usize::MAX);
    assert!(found.len() <= bytes.len() / 512);
    assert!(found.iter().map(|(_, data)| data.len()).sum::<usize>() <= bytes.len());
    let mut before = 0;
    for (entry, data) in &found {
        let Entry { kind, path, link, size, xattrs, sparse, .. } = entry;
        assert!(!path.contains(&0) && !link.contains(&0), "NUL in a name");
        assert!(path.len() + link.len() <= bytes.len() && entry.mode <= 0o7777);
        assert!(entry.mtime.nanoseconds < 1_000_000_000);
        assert!(before <= entry.offset && entry.offset.is_multiple_of(512), "headers stand one after the other");
        before = entry.offset + 512;
        assert!(*kind == Kind::File || data.is_empty() && *size == 0, "only files have data");
        for (number, one) in xattrs.iter().enumerate() {
            assert!(!one.name.is_empty() && !one.name.contains(&0));
            assert!(xattrs[..number].iter().all(|other| other.name != one.name), "an attribute twice");
        }
        match sparse {
            None => assert_eq!(*size, data.len() as u64),
            Some(extents) => {
                let mut end = 0;
                for extent in extents {
                    assert!(extent.offset >= end && extent.length > 0, "extents out of order");
                    end = extent.offset.checked_add(extent.length).expect("within 64 bits");
                }
                assert!(end <= *size);
                assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), data.len() as u64);
            }
        }
    }
    assert!(members(bytes, 511) == (found.clone(), whole), "in other pieces it is something else");
    if whole {
        against_tar(bytes, &found);
        written(found);
    }
}

/// An archive that vial writes of these members has them. Nothing in a tree is without a name.
fn written(mut found: Vec<Member>) {
    found.retain(|(entry, _)| !entry.path.is_empty());
    let mut archive = Vec::new();
    for (entry, data) in &mut found {
        // When it was looked at is not written.
        (entry.atime, entry.ctime, entry.offset) = (None, None, archive.len() as u64);
        let Ok(stored) = write::header(entry, &mut archive) else { return };
        archive.extend_from_slice(data);
        archive.resize(archive.len() + write::padding(stored), 0);
    }
    archive.extend_from_slice(&write::END);
    assert!(members(&archive, usize::MAX) == (found, true), "what was written is read as something else");
}

/// Where the tar crate reads as many members, it reads the same names and data. It gives up where vial does not, say on
/// names that are not text, and ends at one block of zeros.
fn against_tar(bytes: &[u8], found: &[Member]) {
    let mut archive = tar::Archive::new(bytes);
    let Ok(entries) = archive.entries() else { return };
    let mut other = Vec::new();
    for entry in entries {
        let Ok(mut entry) = entry else { return };
        if entry.header().entry_type().is_pax_global_extensions() {
            continue;
        }
        let mut data = Vec::new();
        if entry.size() > bytes.len() as u64 || entry.read_to_end(&mut data).is_err() {
            return;
        }
        other.push((entry.header().entry_type(), entry.path_bytes().into_owned(), data));
    }
    if other.len() != found.len() {
        return;
    }
    for ((kind, path, data), (entry, ours)) in other.into_iter().zip(found) {
        if kind == tar::EntryType::Regular && entry.kind == Kind::File && entry.sparse.is_none() && path == entry.path {
            assert!(data == *ours, "the tar crate reads other data");
        }
    }
}
