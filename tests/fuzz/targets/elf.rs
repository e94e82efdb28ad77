//! Programs and libraries, against the crate that others use.

use vial::image::elf::{self, Elf};

/// Numbers, each with how many bytes it has.
fn fields(fields: &[(u64, usize)]) -> Vec<u8> {
    fields.iter().flat_map(|(number, width)| number.to_le_bytes()[..*width].to_vec()).collect()
}

/// A file of 32 or 64 bits with all that is looked at: a loader, two libraries, its own name, a list of directories.
fn file(wide: bool) -> Vec<u8> {
    let names = b"\0liba.so.1\0libb.so\0/one:$ORIGIN\0/ld.so\0me\0";
    let word = if wide { 8 } else { 4 };
    let (head, entry) = if wide { (64, 56) } else { (52, 32) };
    let (dynamic, text) = (head + 3 * entry, head + 3 * entry + 8 * 2 * word as u64);
    let size = text + names.len() as u64;
    #[rustfmt::skip]
    let mut bytes = fields(&[
        // e_ident; type, machine, version, entry, both tables, flags; sizes and numbers of their entries
        (0x464c_457f, 4), (if wide { 2 } else { 1 }, 1), (1, 1), (1, 1), (0, 8), (0, 1),
        (3, 2), (if wide { 62 } else { 3 }, 2), (1, 4), (0, word), (head, word), (0, word), (0, 4),
        (head, 2), (entry, 2), (3, 2), (0, 6),
    ]);
    for (kind, offset, length) in [(1, 0, size), (3, text + 32, 7), (2, dynamic, 16 * word as u64)] {
        let address = 0x1_0000 + offset;
        let rest = [(offset, word), (address, word), (address, word), (length, word), (length, word)];
        let (before, after) = if wide { ((5, 4), (5, 0)) } else { ((0, 0), (5, 4)) };
        bytes.extend(fields(&[(kind, 4), before]));
        bytes.extend(fields(&rest));
        bytes.extend(fields(&[after, (8, word)]));
    }
    for (tag, value) in [
        (1, 1),
        (1, 11),
        (5, 0x1_0000 + text),
        (14, 39),
        (if wide { 29 } else { 15 }, 19),
        (21, 0),
        (10, names.len() as u64),
        (0, 0),
    ] {
        bytes.extend(fields(&[(tag, word), (value, word)]));
    }
    bytes.extend_from_slice(names);
    bytes
}

pub fn files() -> Vec<Vec<u8>> {
    vec![file(false), file(true), b"#!/bin/sh\n".to_vec()]
}

/// Names are in the file, few bytes are asked for, and what is taken is what goblin reads.
pub fn read(bytes: &[u8]) {
    let mut reads = 0;
    let found = elf::parse(&mut |offset, buffer| {
        reads += 1;
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    });
    assert!(reads < 40_000, "{reads} reads");
    let Some(elf) = found else { return assert!(!bytes.starts_with(b"\x7fELF")) };
    let Elf { loader, soname, rpath, runpath, needed, .. } = elf;
    let names = [loader, soname, rpath, runpath].into_iter().chain(needed);
    for name in names {
        let there =
            name.is_empty() || name.contains('\u{fffd}') || bytes.windows(name.len()).any(|at| at == name.as_bytes());
        assert!(there, "a name from nowhere: {name}");
    }
    assert!(rpath.is_empty() || runpath.is_empty());
    if elf.wrong.is_none() {
        against_goblin(bytes, elf);
    }
}

/// Where goblin reads names of the same kinds, they are the same ones, or their beginnings, since it ends with the table of
/// names. It does not look at how long entries are, takes the last of several segments or values, and takes what is in a
/// segment's memory alone for names too.
fn against_goblin(bytes: &[u8], elf: &Elf) {
    let Ok(other) = goblin::elf::Elf::parse(bytes) else { return };
    assert_eq!(elf.kind, (if other.is_64 { 2 } else { 1 }) << 16 | u64::from(other.header.e_machine));
    if other.header.e_phentsize != (if other.is_64 { 56 } else { 32 }) {
        return;
    }
    let several = |kind| other.program_headers.iter().filter(|header| header.p_type == kind).count() > 1;
    let values = other.dynamic.as_ref().map_or(&[][..], |dynamic| &dynamic.dyns);
    let twice = |tag| values.iter().filter(|value| value.d_tag == tag).count() > 1;
    if several(2) || several(3) || twice(5) || twice(14) {
        return;
    }
    if other.program_headers.iter().any(|header| header.p_memsz != header.p_filesz) {
        return;
    }
    let begins = |ours: &str, theirs: &str| ours.is_empty() || ours.starts_with(theirs);
    if other.libraries.len() == elf.needed.len() {
        let same = elf.needed.iter().zip(&other.libraries).all(|(ours, theirs)| begins(ours, theirs));
        assert!(same, "goblin reads {:?}, vial {:?}", other.libraries, elf.needed);
    }
    let soname = other.soname.unwrap_or_default();
    assert!(begins(elf.soname, soname), "goblin reads {soname}, vial {}", elf.soname);
    let loader = other.interpreter.and_then(|loader| loader.split('\0').next()).unwrap_or_default();
    assert!(begins(elf.loader, loader), "goblin reads {loader}, vial {}", elf.loader);
}
