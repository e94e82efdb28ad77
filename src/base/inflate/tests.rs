//! The decoder against flate2, and against data that no compressor wrote.

use std::io::Write;

use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::super::samples::{Bytes, Random};
use super::{Decode, Failure, Gzip, Input, Source, State};

type Result<T> = core::result::Result<T, Failure<&'static str>>;

fn decode(bytes: &[u8]) -> Result<Vec<u8>> {
    decode_in_pieces(bytes, usize::MAX, 100_000)
}

/// Decodes through reads of `most` bytes below and `piece` bytes above.
fn decode_in_pieces(bytes: &[u8], most: usize, piece: usize) -> Result<Vec<u8>> {
    decode_on(&mut Gzip::new(Bytes::new(bytes, most)), piece)
}

fn decode_on(gzip: &mut Gzip<Bytes>, piece: usize) -> Result<Vec<u8>> {
    let (mut decoded, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match gzip.read(&mut buffer)? {
            0 => return Ok(decoded),
            count => decoded.extend_from_slice(&buffer[..count]),
        }
    }
}

fn encode(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzip member around raw deflate data that decodes to `content`.
fn member(deflated: &[u8], content: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let mut bytes = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3];
    bytes.extend_from_slice(deflated);
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    bytes
}

/// Deflate data written bit by bit.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl BitWriter {
    /// Writes `count` bits of `value`, the lowest first, as everything but codes is written.
    fn bits(&mut self, value: u32, count: usize) -> &mut Self {
        for n in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> n & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    /// Writes a Huffman code, its highest bit first.
    fn code(&mut self, value: u32, count: usize) -> &mut Self {
        for n in (0..count).rev() {
            self.bits(value >> n & 1, 1);
        }
        self
    }

    /// Starts a last, dynamic block with these code lengths, each written as it is.
    fn dynamic(&mut self, literals: &[u8], distances: &[u8]) -> &mut Self {
        self.bits(1, 1).bits(2, 2);
        self.bits(literals.len() as u32 - 257, 5).bits(distances.len() as u32 - 1, 5).bits(15, 4);
        // Lengths 0 to 15 all have codes of four bits; the first three of the order, 16 to 18, have none.
        for n in 0..19 {
            self.bits(if n < 3 { 0 } else { 4 }, 3);
        }
        for &length in literals.iter().chain(distances) {
            self.code(length as u32, 4);
        }
        self
    }
}

fn what<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    match result {
        Err(Failure::Corrupt { what, .. }) => what.kept(),
        other => panic!("{other:?} instead of corrupt"),
    }
}

#[test]
fn what_flate2_compresses_comes_back_at_every_level() {
    let mut random = Random(1);
    for round in 0..16 {
        let data = random.data([0, 1, 2, 100, 5_000, 70_000, 300_000, 1_000_000][round % 8]);
        for level in 0..=9 {
            assert!(decode(&encode(&data, level)) == Ok(data.clone()), "round {round}, level {level}");
        }
    }
}

#[test]
fn pieces_of_any_size_make_the_same_bytes() {
    let mut random = Random(2);
    for (most, piece) in [(1, 1), (1, 100_000), (7, 3), (1000, 1), (1023, 131_072), (65_536, 17), (usize::MAX, 7)] {
        for level in [0, 1, 6] {
            let data = random.data(400_000);
            let decoded = decode_in_pieces(&encode(&data, level), most, piece);
            assert!(decoded == Ok(data), "{most} bytes a read, {piece} a piece, level {level}");
        }
    }
}

#[test]
fn fill_gives_the_same_bytes_until_they_are_consumed() {
    let data = encode(b"hello", 6);
    let mut gzip = Gzip::new(Bytes::new(&data, 1));
    assert_eq!(gzip.fill(), Ok(&b"hello"[..]));
    gzip.consume(2);
    assert_eq!(gzip.fill(), Ok(&b"llo"[..]));
    gzip.consume(100);
    assert_eq!(gzip.fill(), Ok(&b""[..]));
    assert_eq!(gzip.fill(), Ok(&b""[..]));
    assert_eq!(gzip.into_source().at, data.len());
}

#[test]
fn members_follow_each_other_and_zeros_follow_them() {
    let mut random = Random(3);
    for most in [1, 900, usize::MAX] {
        let (mut encoded, mut data) = (Vec::new(), Vec::new());
        for n in 0..40 {
            let length = random.below(9000) * (n % 3);
            let part = random.data(length);
            encoded.extend(encode(&part, n as u32 % 10));
            data.extend(part);
        }
        assert!(decode_in_pieces(&encoded, most, 5000) == Ok(data.clone()));
        encoded.resize(encoded.len() + 200_000, 0);
        assert!(decode_in_pieces(&encoded, most, 5000) == Ok(data));
        encoded.push(b'x');
        let failure = decode_in_pieces(&encoded, most, 5000);
        let what = phrase!("something other than zeros behind the last gzip member");
        assert_eq!(failure, Err(Failure::Corrupt { offset: encoded.len() as u64 - 1, what }));
    }
}

#[test]
fn rubbish_behind_a_member_is_an_error_at_its_first_byte() {
    let mut encoded = encode(b"hello", 6);
    let offset = encoded.len() as u64;
    encoded.extend(b"rubbish");
    assert_eq!(decode(&encoded), Err(Failure::Corrupt { offset, what: phrase!("not the start of a gzip member") }));
}

#[test]
fn all_fields_of_the_header_are_read() {
    let builder = GzBuilder::new().extra(vec![7; 66]).filename("name").comment("a comment").mtime(1_000_000);
    let mut writer = builder.write(Vec::new(), Compression::new(6));
    writer.write_all(b"hello").unwrap();
    let mut encoded = writer.finish().unwrap();
    assert_eq!(decode(&encoded), Ok(b"hello".to_vec()));
    assert_eq!(decode_in_pieces(&encoded, 1, 1), Ok(b"hello".to_vec()));
    // flate2 does not write FHCRC. Ten bytes, the extra field and its length, and two strings are before its place.
    let place = 10 + 2 + 66 + 5 + 10;
    encoded[3] |= super::FHCRC;
    let mut crc = flate2::Crc::new();
    crc.update(&encoded[..place]);
    let sum = (crc.sum() as u16).to_le_bytes();
    encoded.splice(place..place, sum);
    assert_eq!(decode(&encoded), Ok(b"hello".to_vec()));
    encoded[20] ^= 1;
    assert_eq!(what(decode(&encoded)), "the gzip header's checksum is wrong");
    encoded[3] |= 0x20;
    assert_eq!(what(decode(&encoded)), "unknown flags in the gzip header");
}

#[test]
fn a_name_longer_than_the_input_buffer_is_read() {
    let mut encoder = GzBuilder::new().filename(vec![b'n'; 200_000]).write(Vec::new(), Compression::new(6));
    encoder.write_all(b"hello").unwrap();
    assert_eq!(decode(&encoder.finish().unwrap()), Ok(b"hello".to_vec()));
}

#[test]
fn every_cut_is_an_error_and_says_so() {
    let mut random = Random(4);
    for level in [0, 1, 9] {
        let encoded = encode(&random.data(3000), level);
        for end in 0..encoded.len() {
            let offset = end as u64;
            let failure = Err(Failure::Corrupt { offset, what: phrase!("the data ends too early") });
            assert_eq!(decode_in_pieces(&encoded[..end], usize::MAX, 5000), failure, "level {level}");
        }
    }
}

#[test]
fn every_wrong_bit_in_the_data_is_an_error() {
    let mut random = Random(5);
    for level in [0, 6] {
        let data = random.data(700);
        let encoded = encode(&data, level);
        for bit in 0..encoded.len() * 8 {
            let mut wrong = encoded.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let result = decode(&wrong);
            // Time, level and system (bytes 4 to 9) and the FTEXT flag are not verified by anything.
            let harmless = (4 * 8..10 * 8).contains(&bit) || bit == 3 * 8;
            // The padding bits of a stored block mean nothing either.
            assert!(
                if harmless { result == Ok(data.clone()) } else { result.is_err() || result == Ok(data.clone()) },
                "{bit}"
            );
        }
    }
}

#[test]
fn a_failing_source_is_reported_and_ends_everything() {
    let encoded = encode(&Random(7).data(100_000), 6);
    for end in [0, 5, 12, 5_000] {
        let mut gzip = Gzip::new(Bytes { fails: true, ..Bytes::new(&encoded[..end], 100) });
        assert_eq!(decode_on(&mut gzip, 500), Err(Failure::Source("the disk is on fire")));
        assert_eq!(what(decode_on(&mut gzip, 500)), "reading on after a failure");
    }
}

/// Whether flate2 and the decoder agree about deflate data; and whether they accept it.
///
/// `gzip` is used again and again, since making one takes long in a debug build.
fn agrees_with_flate2(gzip: &mut Gzip<Bytes>, deflated: &[u8]) -> bool {
    let mut oracle = flate2::Decompress::new(false);
    let mut content = Vec::with_capacity(1 << 16);
    let status = oracle.decompress_vec(deflated, &mut content, flate2::FlushDecompress::Finish);
    let accepted = matches!(status, Ok(flate2::Status::StreamEnd));
    let end = if accepted { oracle.total_in() as usize } else { deflated.len() };
    let encoded = member(&deflated[..end], &content);
    gzip.source = Bytes::new(&encoded, usize::MAX);
    gzip.input = Input::new();
    // What a failed stream left behind.
    gzip.sum();
    gzip.window.give(usize::MAX);
    gzip.state = State::Start;
    gzip.failed = None;
    let decoded = decode_on(gzip, 1 << 16);
    assert_eq!(decoded.ok(), accepted.then_some(content), "{deflated:02x?}");
    accepted
}

#[test]
fn random_data_never_panics_nor_hangs_and_is_judged_like_flate2_does() {
    let mut random = Random(6);
    let mut gzip = Gzip::new(Bytes::new(&[], 1));
    let mut accepted = 0;
    for _ in 0..100_000 {
        let count = 1 + random.below(60);
        let mut bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        // Three of eight random blocks would be stored or reserved: mostly have compressed ones.
        bytes[0] = bytes[0] & !7 | [3, 3, 5, 5, 4, 2, 1, 7][random.below(8)];
        accepted += usize::from(agrees_with_flate2(&mut gzip, &bytes));
    }
    assert!(accepted > 500, "only {accepted} streams were valid");
}

#[test]
fn damaged_data_never_panics_nor_hangs_and_is_judged_like_flate2_does() {
    let mut random = Random(8);
    let mut gzip = Gzip::new(Bytes::new(&[], 1));
    let mut accepted = 0;
    for round in 0..10_000 {
        let length = random.below(800);
        let encoded = encode(&random.data(length), 1 + round % 9);
        let mut deflated = encoded[10..encoded.len() - 8].to_vec();
        for _ in 0..random.below(3) {
            let at = random.below(deflated.len());
            deflated[at] ^= 1 << random.below(8);
        }
        accepted += usize::from(agrees_with_flate2(&mut gzip, &deflated));
    }
    assert!(accepted > 5000, "only {accepted} streams were valid");
}

/// Decodes a last, dynamic block with these code lengths and then these codes.
fn dynamic(literals: &[u8], distances: &[u8], codes: &[(u32, usize)], content: &[u8]) -> Result<Vec<u8>> {
    let mut writer = BitWriter::default();
    writer.dynamic(literals, distances);
    for &(code, count) in codes {
        writer.code(code, count);
    }
    decode(&member(&writer.bytes, content))
}

/// Code lengths for 257 or more symbols, all 0 but the given ones.
fn lengths(given: &[(usize, u8)]) -> Vec<u8> {
    let mut lengths = vec![0; given.iter().map(|&(symbol, _)| symbol + 1).max().unwrap().max(257)];
    for &(symbol, length) in given {
        lengths[symbol] = length;
    }
    lengths
}

#[test]
fn codes_that_are_none_are_refused_like_zlib_does() {
    let refused = |literals: &[(usize, u8)], distances: &[u8]| what(dynamic(&lengths(literals), distances, &[], b""));
    let no_literals = "the lengths of the literal codes make no code";
    let no_distances = "the lengths of the distance codes make no code";
    assert_eq!(refused(&[(0, 1), (1, 1), (256, 1)], &[0]), no_literals, "over-subscribed");
    assert_eq!(refused(&[(0, 2), (256, 1)], &[0]), no_literals, "incomplete");
    assert_eq!(refused(&[(256, 2)], &[0]), no_literals, "a lone code of two bits");
    assert_eq!(refused(&[(0, 1)], &[0]), "a block without a code for its end");
    assert_eq!(refused(&[(0, 1), (256, 1)], &[1, 1, 1]), no_distances, "over-subscribed");
    assert_eq!(refused(&[(0, 1), (256, 1)], &[2, 2]), no_distances, "incomplete");
    assert_eq!(refused(&[(0, 1), (256, 1)], &[2]), no_distances, "a lone code of two bits");
    let mut writer = BitWriter::default();
    writer.bits(5, 3).bits(0, 5 + 5 + 4).bits(0, 3 * 4);
    assert_eq!(what(decode(&member(&writer.bytes, b""))), "the lengths of the code length codes make no code");
    for (literals, distances) in [(287 - 257, 0), (0, 31 - 1)] {
        let mut writer = BitWriter::default();
        writer.bits(5, 3).bits(literals, 5).bits(distances, 5).bits(0, 4);
        assert_eq!(what(decode(&member(&writer.bytes, b""))), "more codes than there are symbols");
    }
}

#[test]
fn one_code_of_one_bit_and_no_distance_codes_are_accepted() {
    // Literals: a 0, end 10, length three 11; the one distance is 1.
    let literals = lengths(&[(97, 1), (256, 2), (257, 2)]);
    assert_eq!(dynamic(&literals, &[1], &[(0, 1), (3, 2), (0, 1), (2, 2)], b"aaaa"), Ok(b"aaaa".to_vec()));
    let unused = "a distance code that stands for nothing";
    assert_eq!(what(dynamic(&literals, &[1], &[(0, 1), (3, 2), (1, 1), (2, 2)], b"aaaa")), unused);
    assert_eq!(what(dynamic(&literals, &[0], &[(0, 1), (3, 2), (0, 1), (2, 2)], b"aaaa")), unused);
    assert_eq!(dynamic(&literals, &[0], &[(0, 1), (0, 1), (2, 2)], b"aa"), Ok(b"aa".to_vec()));
    assert_eq!(dynamic(&lengths(&[(256, 1)]), &[0], &[(0, 1)], b""), Ok(vec![]));
    assert_eq!(what(dynamic(&lengths(&[(256, 1)]), &[0], &[(1, 1)], b"")), "a code that stands for nothing");
}

#[test]
fn the_longest_codes_go_through_subtables() {
    // One code of each length 1 to 14 and two of 15, for literals and for distances alike.
    let literals: Vec<(usize, u8)> = (0..14).map(|n| (n + 97, n as u8 + 1)).chain([(256, 15), (257, 15)]).collect();
    let distances: Vec<u8> = (1..=15).chain([15]).collect();
    let ones = |count: u32| (1u32 << count) - 1;
    let mut codes: Vec<(u32, usize)> = (1..=14).map(|length| (ones(length) - 1, length as usize)).collect();
    // Length three, distance symbol 2, which is three bytes; the end.
    codes.extend([(ones(15), 15), (ones(3) - 1, 3), (ones(15) - 1, 15)]);
    let content = b"abcdefghijklmnlmn";
    assert_eq!(dynamic(&lengths(&literals), &distances, &codes, content), Ok(content.to_vec()));
    // Distance symbol 15, with six extra bits: 193 at least.
    codes[15] = (ones(15), 15);
    let what = what(dynamic(&lengths(&literals), &distances, &codes, content));
    assert_eq!(what, "a distance to before the start of the data");
}

#[test]
fn a_match_must_not_reach_into_the_member_before() {
    // Fixed codes: length three is 0000001, distance one 00000, the end 0000000.
    let mut writer = BitWriter::default();
    writer.bits(1, 1).bits(1, 2).code(1, 7).code(0, 5).code(0, 7);
    let encoded = [encode(b"aaaa", 6), member(&writer.bytes, b"aaa")].concat();
    assert_eq!(what(decode(&encoded)), "a distance to before the start of the data");
}

#[test]
fn the_unused_symbols_of_the_fixed_codes_are_refused() {
    for (symbol, what_is_wrong) in
        [(0b1100_0110, "a code that stands for nothing"), (0b1100_0111, "a code that stands for nothing")]
    {
        let mut writer = BitWriter::default();
        writer.bits(1, 1).bits(1, 2).code(symbol, 8).bits(0, 16);
        assert_eq!(what(decode(&member(&writer.bytes, b""))), what_is_wrong);
    }
    for symbol in [30, 31] {
        let mut writer = BitWriter::default();
        writer.bits(1, 1).bits(1, 2).code(0x30, 8).code(1, 7).code(symbol, 5).bits(0, 16);
        assert_eq!(what(decode(&member(&writer.bytes, b""))), "a distance code that stands for nothing");
    }
}

#[test]
fn matches_of_every_length_and_small_distance_repeat_what_was_there() {
    // Level 9 turns each run of a period into matches; the periods are 1 to 40 bytes.
    let mut data = Vec::new();
    for period in 1..=40 {
        for length in 3..=258 {
            let start = data.len();
            data.extend((0..period).map(|n| (n * 7 + length) as u8));
            (0..length).for_each(|_| data.push(data[data.len() - period]));
            data.push((start % 251) as u8);
        }
    }
    assert!(decode(&encode(&data, 9)) == Ok(data));
}

#[test]
fn the_crc_of_flate2_and_ours_agree_at_every_length() {
    let data = Random(9).data(300);
    for length in 0..data.len() {
        let (mut ours, mut oracle) = (super::Crc32::new(), flate2::Crc::new());
        ours.update(&data[..length / 3]);
        ours.update(&data[length / 3..length]);
        oracle.update(&data[..length]);
        assert_eq!(ours.value(), oracle.sum(), "{length} bytes");
    }
}

#[test]
fn nothing_of_a_failed_member_is_handed_out() {
    let mut encoded = encode(b"hello", 6);
    let sum = encoded.len() - 8;
    encoded[sum] ^= 1;
    let mut gzip = Gzip::new(Bytes::new(&encoded, 100));
    for _ in 0..3 {
        assert_eq!(what(decode_on(&mut gzip, 500)), "the checksum is wrong");
    }
}
