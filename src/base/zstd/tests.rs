//! The decoder against libzstd, and against data that no compressor wrote.

use std::io::Write;

use zstd::stream::raw::CParameter;
use zstd::zstd_safe::Strategy;

use super::super::samples::{Bytes, Random};
use super::{BLOCK, Decode, Failure, MAGIC, Source, Zstd};

type Result<T> = core::result::Result<T, Failure<&'static str>>;

fn decode(bytes: &[u8]) -> Result<Vec<u8>> {
    decode_in_pieces(bytes, usize::MAX, 200_000)
}

/// Decodes through reads of `most` bytes below and `piece` bytes above.
fn decode_in_pieces(bytes: &[u8], most: usize, piece: usize) -> Result<Vec<u8>> {
    decode_on(&mut Zstd::new(Bytes::new(bytes, most)), piece)
}

fn decode_on(zstd: &mut Zstd<Bytes>, piece: usize) -> Result<Vec<u8>> {
    let (mut decoded, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match zstd.read(&mut buffer)? {
            0 => return Ok(decoded),
            count => decoded.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A frame by libzstd. Without `whole` it does not know the length in advance.
fn encode(bytes: &[u8], level: i32, whole: bool, parameters: &[CParameter]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
    for &parameter in parameters {
        encoder.set_parameter(parameter).unwrap();
    }
    if whole {
        encoder.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
    }
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What libzstd makes of a file, if it takes it.
fn oracle(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::decode_all(bytes).ok()
}

fn what<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    match result {
        Err(Failure::Corrupt { what, .. }) => what.kept(),
        other => panic!("{other:?} instead of corrupt"),
    }
}

const CHECKSUM: CParameter = CParameter::ChecksumFlag(true);

#[test]
fn what_libzstd_compresses_comes_back_at_every_level() {
    let mut random = Random(1);
    for round in 0..8 {
        let data = random.data([0, 1, 2, 100, 5_000, 70_000, 300_000, 1_000_000][round]);
        for level in (-7..=19).chain([22]) {
            // The highest levels are slow, and have a large window to fill.
            if level < 10 || round < 7 {
                let encoded = encode(&data, level, round % 2 == 0, &[CParameter::ChecksumFlag(level % 2 == 0)]);
                assert!(decode(&encoded) == Ok(data.clone()), "round {round}, level {level}");
            }
        }
    }
}

#[test]
fn every_strategy_and_window_gives_the_same_bytes() {
    use Strategy::*;
    let strategies = [
        ZSTD_fast,
        ZSTD_dfast,
        ZSTD_greedy,
        ZSTD_lazy,
        ZSTD_lazy2,
        ZSTD_btlazy2,
        ZSTD_btopt,
        ZSTD_btultra,
        ZSTD_btultra2,
    ];
    let mut random = Random(2);
    for (round, strategy) in strategies.into_iter().enumerate() {
        for window in [10, 11, 14, 17, 19, 22, 27] {
            let mut data = random.data(60_000 << (round % 4));
            // Repeats from as far back as the window allows, again and again around its end.
            let far = (1 << window).min(data.len());
            for _ in 0..40 {
                let from = data.len() - far + random.below(40);
                let count = 1 + random.below(700);
                (from..from + count.min(far - 40)).for_each(|at| data.push(data[at]));
                data.extend((0..random.below(9)).map(|at| at as u8 * 31));
            }
            let long = CParameter::EnableLongDistanceMatching(round % 2 == 0);
            let parameters = [CParameter::Strategy(strategy), CParameter::WindowLog(window), long, CHECKSUM];
            let encoded = encode(&data, 5, false, &parameters);
            assert!(decode(&encoded) == Ok(data), "{strategy:?}, window {window}");
        }
    }
}

#[test]
fn pieces_of_any_size_make_the_same_bytes() {
    let mut random = Random(3);
    for (most, piece) in [(1, 1), (1, 100_000), (7, 3), (1000, 1), (1023, 131_072), (65_536, 17), (usize::MAX, 7)] {
        for level in [-5, 1, 6] {
            let data = random.data(400_000);
            let decoded = decode_in_pieces(&encode(&data, level, false, &[CHECKSUM]), most, piece);
            assert!(decoded == Ok(data), "{most} bytes a read, {piece} a piece, level {level}");
        }
    }
}

#[test]
fn fill_gives_the_same_bytes_until_they_are_consumed() {
    let data = encode(b"hello", 3, true, &[]);
    let mut zstd = Zstd::new(Bytes::new(&data, 1));
    assert_eq!(zstd.fill(), Ok(&b"hello"[..]));
    zstd.consume(2);
    assert_eq!(zstd.fill(), Ok(&b"llo"[..]));
    zstd.consume(100);
    assert_eq!(zstd.fill(), Ok(&b""[..]));
    assert_eq!(zstd.fill(), Ok(&b""[..]));
    assert_eq!(zstd.into_source().at, data.len());
}

fn skippable(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    [&[0x50 | kind, 0x2A, 0x4D, 0x18], &length[..], content].concat()
}

#[test]
fn frames_follow_each_other_and_some_are_skipped() {
    let mut random = Random(4);
    for most in [1, 900, usize::MAX] {
        let (mut encoded, mut data) = (Vec::new(), Vec::new());
        for n in 0..40 {
            let length = random.below(9000) * (n % 3);
            let part = random.data(length);
            encoded.extend(encode(&part, n as i32 % 10, n % 2 == 0, &[]));
            data.extend(part);
            if n % 5 == 0 {
                let length = random.below(300_000) * (n % 2);
                encoded.extend(skippable(n as u8 % 16, &random.data(length)));
            }
        }
        encoded.splice(0..0, skippable(7, b"first"));
        assert!(decode_in_pieces(&encoded, most, 5000) == Ok(data));
        let offset = encoded.len() as u64;
        encoded.extend([0; 10]);
        let what = phrase!("not the start of a zstd frame");
        assert_eq!(decode_in_pieces(&encoded, most, 5000), Err(Failure::Corrupt { offset, what }));
    }
    assert_eq!(decode(&skippable(0, b"nothing else")), Ok(Vec::new()));
}

#[test]
fn a_match_must_not_reach_into_the_frame_before() {
    // One byte, and then an offset of two.
    let second = frame(4, &[], &sequence(b"a", [1, 2, 0], &[0b101]));
    assert_eq!(what(decode(&second)), "a distance to before the start of the data");
    let both = [encode(b"some bytes", 3, true, &[]), second].concat();
    assert_eq!(what(decode(&both)), "a distance to before the start of the data");
}

#[test]
fn every_cut_is_an_error_and_says_so() {
    let mut random = Random(5);
    for (level, whole) in [(-5, true), (1, false), (19, true)] {
        let encoded = encode(&random.data(3000), level, whole, &[CHECKSUM]);
        for end in 0..encoded.len() {
            let offset = end as u64;
            let failure = Err(Failure::Corrupt { offset, what: phrase!("the data ends too early") });
            assert_eq!(decode_in_pieces(&encoded[..end], usize::MAX, 5000), failure, "level {level}");
        }
    }
    let encoded = skippable(3, b"some bytes");
    for end in 0..encoded.len() {
        assert_eq!(what(decode(&encoded[..end])), "the data ends too early", "{end}");
    }
}

#[test]
fn every_wrong_bit_is_an_error_or_means_nothing() {
    let mut random = Random(6);
    for level in [-5, 3, 19] {
        let data = random.data(900);
        let encoded = encode(&data, level, true, &[CHECKSUM]);
        for bit in 0..encoded.len() * 8 {
            let mut wrong = encoded.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let result = decode(&wrong);
            // The checksum finds all; but without its flag it is no checksum, but rubbish behind the frame.
            assert!(result.is_err() || result == Ok(data.clone()), "{bit}");
            assert_eq!(result.is_ok(), oracle(&wrong).is_some(), "bit {bit}: {result:?}");
        }
    }
}

#[test]
fn the_checksum_of_every_length_is_that_of_libzstd() {
    let data = Random(7).data(300);
    for length in 0..data.len() {
        let mut encoded = encode(&data[..length], 3, true, &[CHECKSUM]);
        assert!(decode_in_pieces(&encoded, 7, 100) == Ok(data[..length].to_vec()), "{length}");
        *encoded.last_mut().unwrap() ^= 1;
        let offset = encoded.len() as u64;
        assert_eq!(decode(&encoded), Err(Failure::Corrupt { offset, what: phrase!("the checksum is wrong") }));
    }
}

#[test]
fn nothing_of_a_failed_block_is_handed_out() {
    let mut encoded = encode(b"hello", 3, true, &[CHECKSUM]);
    *encoded.last_mut().unwrap() ^= 1;
    let mut zstd = Zstd::new(Bytes::new(&encoded, 100));
    for _ in 0..3 {
        assert_eq!(what(decode_on(&mut zstd, 500)), "the checksum is wrong");
    }
}

#[test]
fn a_failing_source_is_reported_and_ends_everything() {
    let encoded = encode(&Random(8).data(100_000), 3, true, &[]);
    for end in [0, 5, 12, 5_000] {
        let mut zstd = Zstd::new(Bytes { fails: true, ..Bytes::new(&encoded[..end], 100) });
        assert_eq!(decode_on(&mut zstd, 500), Err(Failure::Source("the disk is on fire")));
        assert_eq!(what(decode_on(&mut zstd, 500)), "reading on after a failure");
    }
}

#[test]
fn damaged_data_never_panics_nor_hangs_and_is_judged_like_libzstd_does() {
    let mut random = Random(9);
    let mut accepted = 0;
    let rounds = 1_500;
    for round in 0..rounds {
        let length = random.below(1000) << (round % 4);
        let data = random.data(length);
        let mut encoded = encode(&data, round % 15 - 3, round % 2 == 0, &[]);
        for _ in 0..=random.below(3) {
            let at = random.below(encoded.len());
            encoded[at] ^= 1 << random.below(8);
        }
        let (ours, theirs) = (decode(&encoded), oracle(&encoded));
        // libzstd looks less closely at what no compressor would write.
        if let Ok(decoded) = &ours {
            assert!(theirs.as_ref() == Some(decoded), "round {round}: {encoded:02x?}");
            accepted += 1;
        }
    }
    assert!(accepted > rounds / 20, "only {accepted} files were valid");
}

#[test]
fn random_data_never_panics_nor_hangs() {
    let mut random = Random(10);
    for _ in 0..3_000 {
        let count = 1 + random.below(80);
        let content: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        if let Ok(decoded) = decode(&frame(4, &[], &content)) {
            assert_eq!(oracle(&frame(4, &[], &content)), Some(decoded));
        }
    }
}

/// A frame of one block of type `form / 2`, and the descriptor and what follows it, if not a window of 1 KiB.
fn frame(form: usize, header: &[u8], block: &[u8]) -> Vec<u8> {
    let header = if header.is_empty() { &[0, 0][..] } else { header };
    let head = (block.len() << 3 | form | 1).to_le_bytes();
    [&MAGIC, header, &head[..3], block].concat()
}

#[test]
fn plain_and_repeated_blocks_are_as_rfc_8878_lays_them_out() {
    #[rustfmt::skip]
    let bytes = [
        0x28, 0xB5, 0x2F, 0xFD, // magic number
        0b0010_0000,            // length in one byte, one segment, no checksum, no dictionary
        9,                      // the length
        0b0010_1000, 0, 0,      // five plain bytes, not the last block
        b'h', b'e', b'l', b'l', b'o',
        0b0010_0011, 0, 0,      // four times the same, the last block
        b'!',
    ];
    assert_eq!(decode(&bytes), Ok(b"hello!!!!".to_vec()));
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        what(decode(&bytes))
    };
    assert_eq!(changed(5, 10), "the length is wrong");
    assert_eq!(changed(5, 8), "the length is wrong");
    assert_eq!(changed(4, 0b0010_1000), "a reserved bit in the frame's header");
    assert_eq!(changed(14, 0b0000_1111), "a block of the reserved type");
    assert_eq!(changed(14, 0b0101_0011), "a block of more bytes than it may have");
}

#[test]
fn literals_without_sequences_are_as_rfc_8878_lays_them_out() {
    let decode_block = |block: &[u8]| decode(&frame(4, &[], block));
    // Plain literals, with a length of 5, 12 and 20 bits; then the number of sequences, in one byte and in two.
    assert_eq!(decode_block(&[5 << 3, b'h', b'e', b'l', b'l', b'o', 0]), Ok(b"hello".to_vec()));
    assert_eq!(decode_block(&[0b0100 | 3 << 4, 0, b'a', b'b', b'c', 0]), Ok(b"abc".to_vec()));
    assert_eq!(decode_block(&[0b1100 | 3 << 4, 0, 0, b'a', b'b', b'c', 128, 0]), Ok(b"abc".to_vec()));
    assert_eq!(decode_block(&[1 | 31 << 3, b'x', 0]), Ok(vec![b'x'; 31]));
    assert_eq!(what(decode_block(&[5 << 3, b'h', b'e'])), "a block that is shorter than its content");
    assert_eq!(what(decode_block(&[1 << 3, b'h', 0, 0])), "something behind the literals of a block without sequences");
    // Two codes of one bit, of weights told directly: 'a' has none, so the weight of symbol 1 follows from that of 0.
    let huffman = [2 | 3 << 4, 3 << 6, 0, 128, 1 << 4, 0b1101, 0];
    assert_eq!(decode_block(&huffman), Ok(vec![1, 0, 1]));
    let mut wrong = huffman;
    wrong[5] = 0b1_1101;
    assert_eq!(what(decode_block(&wrong)), "a bit stream of another length than its symbols");
    wrong[5] = 0;
    assert_eq!(what(decode_block(&wrong)), "a bit stream without an end mark");
    wrong = huffman;
    wrong[4] = 2 << 4;
    assert_eq!(what(decode_block(&wrong)), "weights that make no Huffman code");
    wrong[0] = 3 | 3 << 4;
    assert_eq!(what(decode_block(&wrong)), "literals that need the codes of a block before, which has none");
    wrong[0] = 6 | 3 << 4;
    assert!(decode_block(&wrong).is_err(), "four streams of three symbols");
}

/// A block of plain literals and one sequence: tables that know one symbol, and extra bits.
fn sequence(literals: &[u8], [length, distance, matched]: [u8; 3], extra: &[u8]) -> Vec<u8> {
    let head = [&[(literals.len() << 3) as u8], literals].concat();
    [&head[..], &[1, 0b0101_0100, length, distance, matched], extra].concat()
}

#[test]
fn sequences_are_as_rfc_8878_lays_them_out() {
    let decode_block = |block: &[u8]| decode(&frame(4, &[], block));
    // Two literals, an offset value of 4 + 1, which means two back, and a length of 3; one literal is left.
    let block = sequence(b"abc", [2, 2, 0], &[0b101]);
    assert_eq!(decode_block(&block), Ok(b"ababac".to_vec()));
    // Offset values 1 to 3 are the last ones, 1, 4 and 8 at first.
    let bytes = b"abcdefghi";
    for (distance, extra, expected) in [(0, 0b1, b"iii"), (1, 0b10, b"fgh"), (1, 0b11, b"bcd")] {
        let block = sequence(bytes, [9, distance, 0], &[extra]);
        assert_eq!(decode_block(&block), Ok([&bytes[..], expected].concat()));
    }
    let refused = |literals: &[u8], codes: [u8; 3], extra: &[u8]| what(decode_block(&sequence(literals, codes, extra)));
    // Without literals, value 3 is the last offset less one.
    assert_eq!(refused(b"", [0, 1, 0], &[0b11]), "a distance of nothing");
    assert_eq!(refused(b"abc", [3, 2, 0], &[0b111]), "a distance to before the start of the data");
    assert_eq!(refused(b"abc", [4, 2, 0], &[0b101]), "sequences of more literals than there are");
    assert_eq!(refused(b"abc", [36, 2, 0], &[0b101]), "a symbol that stands for nothing");
    assert_eq!(refused(b"abc", [2, 32, 0], &[0b101]), "a symbol that stands for nothing");
    assert_eq!(refused(b"abc", [2, 2, 53], &[0b101]), "a symbol that stands for nothing");
    assert_eq!(refused(b"abc", [2, 2, 0], &[0b1010]), "a bit stream of another length than its symbols");
    // Match length symbol 46: 1027 and more. More than the 1 KiB of the window is more than a block may have.
    assert_eq!(refused(b"abc", [2, 2, 46], &[0, 0, 0b101]), "a block of more bytes than it may have");
    let mut wrong = block.clone();
    wrong[5] |= 1;
    assert_eq!(what(decode_block(&wrong)), "reserved bits in the header of sequences");
    wrong[5] = 0b1101_0100;
    assert!(decode_block(&wrong).is_err(), "a table of a block before");
}

#[test]
fn a_dictionary_and_a_window_that_is_too_large_are_refused_with_a_way_out() {
    let refused = |header: &[u8]| match decode(&frame(0, header, b"")) {
        Err(Failure::Refused { what, hint }) => {
            assert!(hint.text().starts_with("pass it through zstd: "));
            what.kept()
        }
        other => panic!("{other:?}"),
    };
    let mut dictionary = encode(b"hello", 3, true, &[]);
    assert_eq!(refused(&[1, 0, 7]), "it was compressed with a dictionary");
    assert_eq!(refused(&[3, 0, 0, 0, 0, 7]), "it was compressed with a dictionary");
    // The number 0 means that there is none.
    assert_eq!(decode(&frame(0, &[2, 0, 0, 0], b"x")), Ok(b"x".to_vec()));
    let much = "it needs a window of more than 128 MiB";
    assert_eq!(refused(&[0, 17 << 3 | 1]), much);
    assert_eq!(refused(&[0xE0, 1, 0, 0, 8, 0, 0, 0, 0]), much);
    assert_eq!(refused(&[0, 255]), much);
    assert_eq!(decode(&frame(0, &[0, 17 << 3], b"x")), Ok(b"x".to_vec()));
    dictionary[4] ^= 8;
    assert_eq!(what(decode(&dictionary)), "a reserved bit in the frame's header");
}

#[test]
fn memory_is_taken_for_the_window_that_the_frame_tells() {
    let taken = |encoded: &[u8]| {
        let mut zstd = Zstd::new(Bytes::new(encoded, usize::MAX));
        let decoded = decode_on(&mut zstd, 200_000).unwrap();
        (decoded.len(), zstd.frames.window.memory())
    };
    let data = Random(11).data(3_000_000);
    for window in [10, 17, 20] {
        let encoded = encode(&data, 3, false, &[CParameter::WindowLog(window)]);
        let (length, taken) = taken(&encoded);
        let needed = (1 << window) + BLOCK.min(1 << window);
        assert!(length == data.len() && (needed..=needed + 64).contains(&taken), "{taken} for {window}");
    }
    // The next frame makes do with what there is.
    let both = [encode(&data, 3, false, &[]), encode(&data, 3, false, &[CParameter::WindowLog(10)])].concat();
    let (length, taken) = taken(&both);
    assert!(length == 2 * data.len() && taken <= (1 << 21) + BLOCK + 64, "{taken}");
}
