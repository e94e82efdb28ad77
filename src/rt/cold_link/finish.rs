//! The finished program: what is packed is compressed, and what nobody needs who runs it is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::class::{Class, MACHINE, NAME, SEGMENT_KIND, get, put};
use super::object::{ALLOC, ARM, RISCV, X86_64};
use super::packs::{PACKS, SLOW};
use super::short_code::{self, Position};
use super::{COLD, PAGE, with_needed};

/// `PT_NULL`, `PT_LOAD`, `PF_R`.
const NULL: u32 = 0;
const LOAD: u32 = 1;
const READ: u32 = 4;

/// Packs a program's last segment. In its place are a table, and the packs: for each the address and the length, the length of
/// what is packed with [`SLOWLY`] if it is so packed, and which packs are unpacked before (bits).
pub fn finish(path: &Path, used: &BTreeSet<usize>, report: &mut String) {
    let mut program = fs::read(path).expect("read the program");
    let class = Class::of(&program).expect("the linker makes programs");
    let at = |field| get(&program, field) as usize;
    let (headers, count) = (at(class.segments), at(class.segment_count));
    // Sections follow: the headers of those that are not packed stay, so that programs can be looked into.
    let (sections, section_count) = (at(class.sections), at(class.section_count));
    let table = program[sections..sections + class.header * section_count].to_vec();
    let names = at(class.section_names);
    let content =
        |header: &[u8]| program[get(header, class.place) as usize..][..get(header, class.size) as usize].to_vec();
    let strings = content(&table[class.header * names..]);
    let name = |header: &[u8]| &strings[get(header, NAME) as usize..];
    let is_cold = |header: &[u8]| name(header).starts_with(COLD.as_bytes());
    let address = get(
        table.chunks_exact(class.header).find(|header| is_cold(header)).expect("something is packed"),
        class.address,
    );
    // What is packed has one segment, or several if the linker leaves out what is between; the last one is kept.
    let segments = (0..count).map(|index| headers + class.segment * index);
    let segment = |at: &usize, field| get(&program[*at..], field);
    let segments: Vec<usize> = segments.filter(|at| segment(at, SEGMENT_KIND) == u64::from(LOAD)).collect();
    let memory = |at: &usize| segment(at, class.segment_address) + segment(at, class.segment_memory);
    let (cold, others): (Vec<usize>, Vec<usize>) = segments.into_iter().partition(|at| memory(at) > address);
    let end = |at: &usize, field| segment(at, field) + segment(at, class.segment_size);
    let end_before = others.iter().map(|at| end(at, class.segment_place)).max().expect("there is another segment");
    let end_packed = cold.iter().map(|at| end(at, class.segment_address)).max().expect("what is packed has a segment");
    let is_code = |header: &[u8]| name(header).starts_with(b".text\0");
    let code = table.chunks_exact(class.header).find(|header| is_code(header)).expect("a program has code");
    let before = content(code);
    // A row before the first has their number, and where the code is that packs resemble.
    let mut rows = vec![0; 16 * (1 + PACKS.len())];
    let first = get(code, class.address);
    for (field, value) in [PACKS.len() as u64, first, before.len() as u64].into_iter().enumerate() {
        put(&mut rows, (4 * field, 4), value);
    }
    let (machine, first) = (get(&program, MACHINE), first as u32);
    let before = short(&before, machine, Position { address: first, first });
    let mut packed = Vec::new();
    let mut codes = BTreeMap::new();
    for header in table.chunks_exact(class.header) {
        let place = get(header, class.address);
        let is = |pack: &usize| name(header).starts_with(format!("{COLD}{}\0", PACKS[*pack].name).as_bytes());
        let Some(pack) = used.iter().find(|pack| is(pack)) else { continue };
        let code = content(header);
        let whole = code.len();
        let code = short(&code, machine, Position { address: place as u32, first });
        // It resembles what is not packed, and what is unpacked before it.
        let mut before = before.clone();
        before.extend(
            codes.iter().filter(|(other, _)| with_needed(*pack) >> **other & 1 != 0).flat_map(|(_, code)| code),
        );
        let is_slow = SLOW.contains(&PACKS[*pack].name);
        let bytes = if is_slow { compress_more(&code, &before, machine) } else { compress(&code, &before) };
        let length = bytes.len() as u64 | if is_slow { u64::from(SLOWLY) } else { 0 };
        let fields = [place, whole as u64, length, with_needed(*pack).into()];
        for (field, value) in fields.into_iter().enumerate() {
            put(&mut rows, (16 * (1 + pack) + 4 * field, 4), value);
        }
        codes.insert(*pack, code);
        let _ = writeln!(report, "{:10} {whole} bytes, packed {}", PACKS[*pack].name, bytes.len());
        packed.extend_from_slice(&bytes);
    }
    for pack in (0..PACKS.len()).filter(|pack| !used.contains(pack)) {
        // Empty, but what it needs is unpacked.
        put(&mut rows, (16 * (1 + pack) + 12, 4), with_needed(pack).into());
    }
    rows.extend_from_slice(&packed);
    program.truncate(end_before as usize);
    while !program.len().is_multiple_of(8) {
        program.push(0);
    }
    let start = program.len() as u64;
    program.extend_from_slice(&rows);
    keep_sections(&mut program, class, &table, names, &strings);
    // The packed bytes are mapped behind the place that they are unpacked to.
    let mapped = end_packed.next_multiple_of(PAGE) + start % PAGE;
    let [others @ .., last] = &cold[..] else { unreachable!("what is packed has a segment") };
    for at in others {
        put(&mut program[*at..], SEGMENT_KIND, NULL.into());
    }
    for (field, value) in [
        (class.segment_flags, READ.into()),
        (class.segment_place, start),
        (class.segment_address, mapped),
        (class.segment_physical, mapped),
        (class.segment_size, rows.len() as u64),
        (class.segment_memory, rows.len() as u64),
        (class.segment_align, PAGE),
    ] {
        put(&mut program[*last..], field, value);
    }
    fs::write(path, program).expect("write the program");
}

/// Adds the headers of sections to a program, from a table of all, for whoever looks into it: of those that are in memory.
fn keep_sections(program: &mut Vec<u8>, class: &Class, table: &[u8], names: usize, strings: &[u8]) {
    let name = |header: &[u8]| &strings[get(header, NAME) as usize..];
    let headers = table.chunks_exact(class.header).enumerate();
    let is_kept = |(index, header): &(usize, &[u8])| {
        *index == 0
            || *index == names
            || get(header, class.flags) & ALLOC != 0 && !name(header).starts_with(COLD.as_bytes())
    };
    let (mut kept, mut kept_names) = (Vec::new(), Vec::new());
    for (_, header) in headers.filter(is_kept) {
        let mut header = header.to_vec();
        let name: Vec<u8> = name(&header).iter().copied().take_while(|letter| *letter != 0).collect();
        put(&mut header, NAME, kept_names.len() as u64);
        kept_names.extend(name);
        kept_names.push(0);
        kept.push(header);
    }
    // The section of names is the last one.
    let last = kept.len() - 1;
    put(&mut kept[last], class.place, program.len() as u64);
    put(&mut kept[last], class.size, kept_names.len() as u64);
    program.extend_from_slice(&kept_names);
    while !program.len().is_multiple_of(8) {
        program.push(0);
    }
    let table_at = program.len() as u64;
    for (field, value) in
        [(class.sections, table_at), (class.section_count, kept.len() as u64), (class.section_names, last as u64)]
    {
        put(program, field, value);
    }
    program.extend_from_slice(&kept.concat());
}

/// In the length of what is packed: by LZMA. What unpacks it has the same, `sys::cold`.
const SLOWLY: u32 = 1 << 31;
/// Bits by which it tells models of literals apart, `base::lzma`.
const LITERAL_BITS: u32 = 2;

type Shorten = fn(&[u8], Position, &mut [u8]) -> Option<usize>;
type Lengthen = fn(&[u8], Position, &mut [u8]) -> Option<()>;

/// Code as it is packed.
fn short(code: &[u8], machine: u64, position: Position) -> Vec<u8> {
    let (mut short, mut long) = (vec![0; 2 * code.len() + 4], vec![0; code.len()]);
    let (there, back) = match machine {
        X86_64 => (short_code::x86::shorten as Shorten, short_code::x86::lengthen as Lengthen),
        RISCV => (short_code::risc::shorten as Shorten, short_code::risc::lengthen as Lengthen),
        ARM => (short_code::thumb::shorten as Shorten, short_code::thumb::lengthen as Lengthen),
        _ => (short_code::arm::shorten as Shorten, short_code::arm::lengthen as Lengthen),
    };
    let length = there(code, position, &mut short).expect("there is room for it");
    short.truncate(length);
    back(&short, position, &mut long).expect("it is as long as it was");
    assert_eq!(long, code, "short code is the same made long again");
    short
}

/// Packs with what comes before as a dictionary, see `base::lzma`.
fn compress_more(bytes: &[u8], before: &[u8], machine: u64) -> Vec<u8> {
    use lzma_rust2::{LzmaOptions, LzmaWriter};
    let place_bits = match machine {
        X86_64 => short_code::x86::PLACE_BITS,
        RISCV => short_code::risc::PLACE_BITS,
        ARM => short_code::thumb::PLACE_BITS,
        _ => short_code::arm::PLACE_BITS,
    };
    let mut options = LzmaOptions::with_preset(9);
    (options.lc, options.lp, options.pb) = (LITERAL_BITS - place_bits, place_bits, place_bits);
    (options.dict_size, options.preset_dict) = (1 << 20, Some(before.to_vec()));
    (options.nice_len, options.depth_limit) = (LzmaOptions::NICE_LEN_MAX, 1 << 16);
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, true).expect("choose how to pack");
    writer.write_all(bytes).expect("pack what is cold");
    writer.finish().expect("pack what is cold")
}

/// Packs with what comes before as a prefix: a frame without its header, see `base::zstd::Alike`.
fn compress(bytes: &[u8], before: &[u8]) -> Vec<u8> {
    use zstd::zstd_safe::{CCtx, CParameter, Strategy};
    let mut shortest: Option<Vec<u8>> = None;
    for (shortest_match, length) in [(3, 4096), (3, 64), (4, 4096), (5, 4096)] {
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(22),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::WindowLog(20),
            CParameter::ChainLog(24),
            CParameter::HashLog(22),
            CParameter::SearchLog(16),
            CParameter::MinMatch(shortest_match),
            CParameter::TargetLength(length),
            CParameter::Strategy(Strategy::ZSTD_btultra2),
        ] {
            context.set_parameter(parameter).expect("choose how to pack");
        }
        context.ref_prefix(before).expect("choose what it resembles");
        let mut packed = vec![0; bytes.len() + 1000];
        let length = context.compress2(&mut packed[..], bytes).expect("pack what is cold");
        // The magic number; no flags; the size of the window.
        assert_eq!(packed[..5], [0x28, 0xb5, 0x2f, 0xfd, 0], "the frame's header is as short as can be");
        let packed = packed[6..length].to_vec();
        if shortest.as_ref().is_none_or(|shortest| packed.len() < shortest.len()) {
            shortest = Some(packed);
        }
    }
    shortest.expect("it was packed")
}
