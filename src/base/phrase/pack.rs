//! Packs the phrases, for the build script: which pairs of symbols become symbols of their own, and how each is written.

use std::collections::HashMap;

/// A symbol stands for a byte if its first half is this, else for two other symbols.
const BYTE: u16 = 0xFFF;
/// The most symbols: their numbers have 12 bits, of which the last is [`BYTE`].
const MOST: usize = 4095;

/// All phrases, packed.
pub struct Packed {
    /// What each symbol stands for: two numbers of 12 bits, either two symbols or [`BYTE`] and a byte.
    pub symbols: Vec<[u8; 3]>,
    /// How many of the 16 values of a symbol's first half-byte leave none, or one more, to follow.
    pub split: (usize, usize),
    /// The half-bytes of all phrases, the high one first.
    pub text: Vec<u8>,
    /// Where each phrase begins, and how long it is, in half-bytes.
    pub places: Vec<(usize, usize)>,
}

/// Packs these texts. The most frequent pair of symbols becomes a symbol, again and again (Larsson and Moffat, "Offline
/// dictionary-based compression", 1999); then the most frequent symbols get the shortest numbers.
pub fn pack(texts: &[&str]) -> Packed {
    let mut texts: Vec<Vec<u16>> = texts.iter().map(|text| text.bytes().map(u16::from).collect()).collect();
    // The first 256 stand for bytes.
    let mut pairs = vec![[0; 2]; 256];
    while pairs.len() < MOST {
        let chosen = frequent(&texts);
        if chosen.is_empty() {
            break;
        }
        let fresh: HashMap<[u16; 2], u16> = chosen.iter().copied().zip(pairs.len() as u16..).collect();
        pairs.extend(chosen);
        for text in &mut texts {
            *text = replaced(text, &fresh);
        }
    }
    let mut counts = vec![0; pairs.len()];
    pairs[256..].iter().flatten().chain(texts.iter().flatten()).for_each(|&symbol| counts[symbol as usize] += 1);
    let mut order: Vec<usize> = (0..pairs.len()).filter(|&symbol| counts[symbol] > 0).collect();
    order.sort_by_key(|&symbol| std::cmp::Reverse(counts[symbol]));
    let mut ranks = vec![0; pairs.len()];
    order.iter().enumerate().for_each(|(rank, &symbol)| ranks[symbol] = rank);
    let symbols = order.iter().map(|&symbol| match pairs[symbol] {
        _ if symbol < 256 => halves(BYTE, symbol as u16),
        [one, other] => halves(ranks[one as usize] as u16, ranks[other as usize] as u16),
    });
    let frequencies: Vec<usize> = order.iter().map(|&symbol| counts[symbol]).collect();
    let split = split(&frequencies);
    let (mut nibbles, mut places) = (Vec::new(), Vec::new());
    for text in &texts {
        let start = nibbles.len();
        for &symbol in text {
            write(ranks[symbol as usize], split, &mut nibbles);
        }
        places.push((start, nibbles.len() - start));
    }
    let text = nibbles.chunks(2).map(|two| two[0] << 4 | two.get(1).unwrap_or(&0)).collect();
    Packed { symbols: symbols.collect(), split, text, places }
}

/// Two numbers of 12 bits.
fn halves(one: u16, other: u16) -> [u8; 3] {
    [(one >> 4) as u8, (one << 4) as u8 | (other >> 8) as u8, other as u8]
}

/// The pairs that occur most often, nearly equally often, and have no symbol in common, so that all can be replaced at once.
fn frequent(texts: &[Vec<u16>]) -> Vec<[u16; 2]> {
    /// Fewer are not worth the three bytes of a symbol.
    const LEAST: usize = 4;
    let mut counts: HashMap<[u16; 2], usize> = HashMap::new();
    for text in texts {
        let mut last = None;
        for pair in text.windows(2).map(|pair| [pair[0], pair[1]]) {
            // Three equal symbols are one such pair.
            if last.replace(pair) == Some(pair) && pair[0] == pair[1] {
                last = None;
            } else {
                *counts.entry(pair).or_default() += 1;
            }
        }
    }
    let mut pairs: Vec<([u16; 2], usize)> = counts.into_iter().filter(|&(_, count)| count >= LEAST).collect();
    pairs.sort_by_key(|&(pair, count)| (std::cmp::Reverse(count), pair));
    let most = pairs.first().map_or(0, |&(_, count)| count);
    let mut chosen: Vec<[u16; 2]> = Vec::new();
    for (pair, count) in pairs {
        let apart = !chosen.iter().flatten().any(|symbol| pair.contains(symbol));
        if count * 4 >= most * 2 && apart {
            chosen.push(pair);
        }
    }
    chosen
}

/// The text with the new symbols in the place of the pairs.
fn replaced(text: &[u16], fresh: &HashMap<[u16; 2], u16>) -> Vec<u16> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let symbol = tail.first().and_then(|second| fresh.get(&[*first, *second]));
        out.push(*symbol.unwrap_or(first));
        rest = if symbol.is_some() { &tail[1..] } else { tail };
    }
    out
}

/// The split of first half-bytes with which symbols of these frequencies take the fewest.
fn split(frequencies: &[usize]) -> (usize, usize) {
    let cost = |(none, one): (usize, usize)| {
        let lengths =
            (0..frequencies.len()).map(|rank| if rank < none { 1 } else { 2 + usize::from(rank >= none + 16 * one) });
        lengths.zip(frequencies).map(|(length, count)| length * count).sum::<usize>()
    };
    let all = (0..16).flat_map(|none| (0..=16 - none).map(move |one| (none, one)));
    let enough = |&(none, one): &(usize, usize)| none + 16 * one + 256 * (16 - none - one) >= frequencies.len();
    all.filter(enough).min_by_key(|&split| cost(split)).expect("one of the splits has room for 4095 symbols")
}

/// Writes a symbol's number in one, two or three half-bytes.
fn write(rank: usize, (none, one): (usize, usize), out: &mut Vec<u8>) {
    if rank < none {
        out.push(rank as u8);
    } else if rank < none + 16 * one {
        let rank = rank - none;
        out.extend([(none + rank / 16) as u8, (rank % 16) as u8]);
    } else {
        let rank = rank - none - 16 * one;
        out.extend([(none + one + rank / 256) as u8, (rank / 16 % 16) as u8, (rank % 16) as u8]);
    }
}
