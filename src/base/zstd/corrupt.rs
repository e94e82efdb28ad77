//! What is wrong with the data: numbers, since they come back in registers, and their texts.

use super::super::text::Cut;
use super::Failure;

/// What is wrong with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Corrupt {
    NotAFrame,
    ReservedInFrame,
    Dictionary,
    LargeWindow,
    ReservedBlock,
    LargeBlock,
    ShortBlock,
    WrongLength,
    WrongSum,
    TooEarly,
    NoEndMark,
    OtherLength,
    NoTable,
    LargeTable,
    NoDistribution,
    NoSymbol,
    ManyLiterals,
    LongLiterals,
    NoCodes,
    NotFour,
    WrongWeights,
    ManyWeights,
    ReservedInSequences,
    Behind,
    NoLiterals,
    NoDistance,
    TooFar,
    Before,
}

/// In the same order, between bars.
const TEXTS: &str = "not the start of a zstd frame|\
    a reserved bit in the frame's header|\
    it was compressed with a dictionary|\
    it needs a window of more than 128 MiB|\
    a block of the reserved type|\
    a block of more bytes than it may have|\
    a block that is shorter than its content|\
    the length is wrong|\
    the checksum is wrong|\
    the data ends too early|\
    a bit stream without an end mark|\
    a bit stream of another length than its symbols|\
    sequences that need the table of a block before, which has none|\
    a table that is larger than it may be|\
    a distribution that does not add up|\
    a symbol that stands for nothing|\
    more literals than a block may have|\
    literals that are longer than their block|\
    literals that need the codes of a block before, which has none|\
    four streams for fewer literals|\
    weights that make no Huffman code|\
    more weights than symbols|\
    reserved bits in the header of sequences|\
    something behind the literals of a block without sequences|\
    sequences of more literals than there are|\
    a distance of nothing|\
    a distance to before the start of the data|\
    reading on after a failure";

impl Corrupt {
    /// The same with its text and place.
    pub(super) fn failure<E>(self, offset: u64) -> Failure<E> {
        let what = TEXTS.parts(b'|').nth(self as usize).unwrap_or_default();
        let hint = match self {
            Corrupt::Dictionary => "pass it through zstd: zstd -dc -D DICTIONARY FILE",
            Corrupt::LargeWindow => "pass it through zstd: zstd -dc --long=31 FILE",
            _ => return Failure::Corrupt { offset, what },
        };
        Failure::Refused { what, hint }
    }
}
