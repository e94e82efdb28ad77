//! Packs the phrases, for the build script: which pairs of symbols become symbols of their own, and how each is written.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The most symbols: a half of a symbol has 12 bits, of which the last number says that the other half is a byte.
const MOST: usize = 4095;
/// With fewer symbols their halves have 11 bits.
const FEW: usize = 2047;
/// What a symbol that no text has is taken to cost, in bits.
const RARE: usize = 15;

/// All phrases, packed.
pub struct Packed {
    /// What each symbol stands for: two numbers of `width` bits, either two symbols or all ones and a byte.
    pub symbols: Vec<u8>,
    /// How many bits a half of a symbol has.
    pub width: usize,
    /// How many symbols have a code of one bit, of two, and so on, in the order of their numbers.
    pub lengths: Vec<usize>,
    /// The codes of all phrases, the high bit first.
    pub text: Vec<u8>,
    /// Where each phrase begins, and how long it is, in bits.
    pub places: Vec<(usize, usize)>,
}

/// Packs these texts. The most frequent pair of symbols becomes a symbol, again and again (Larsson and Moffat, "Offline
/// dictionary-based compression", 1999). Then each text is taken apart anew into those symbols with which it is shortest, and
/// they get canonical Huffman codes, which their order and the number of each length say in full.
pub fn pack(texts: &[&str]) -> Packed {
    let (pairs, mut parsed) = pairs(texts);
    let mut counts = count(&parsed, pairs.len());
    let mut lengths = lengths(&counts);
    let mut used = vec![true; pairs.len()];
    for least in 22.. {
        let words = Words::new(&pairs, &used);
        parsed = texts.iter().map(|text| words.parse(text.as_bytes(), &lengths)).collect();
        counts = count(&parsed, pairs.len());
        lengths = self::lengths(&counts);
        let parts = parts(&pairs, &counts);
        used = (0..pairs.len()).map(|symbol| counts[symbol] + parts[symbol] > 0).collect();
        if least > 27 && used.iter().filter(|&&used| used).count() < FEW {
            break;
        }
        // A symbol that saves no more bits than it takes goes, unless others are made of it.
        for symbol in (256..pairs.len()).filter(|&symbol| parts[symbol] == 0) {
            let apart: usize = pairs[symbol].iter().map(|&part| cost(lengths[part as usize])).sum();
            used[symbol] &= counts[symbol] * (apart - lengths[symbol].min(apart)) >= least;
        }
    }
    let mut order: Vec<usize> = (0..pairs.len()).filter(|&symbol| used[symbol]).collect();
    order.sort_by_key(|&symbol| (lengths[symbol].wrapping_sub(1), symbol));
    let mut ranks = vec![0; pairs.len()];
    order.iter().enumerate().for_each(|(rank, &symbol)| ranks[symbol] = rank);
    let width = 8.max(order.len().ilog2() as usize + 1);
    let mut symbols = Bits::default();
    for &symbol in &order {
        let [one, other] = match pairs[symbol] {
            _ if symbol < 256 => [(1 << width) - 1, symbol],
            pair => pair.map(|part| ranks[part as usize]),
        };
        symbols.push(one, width);
        symbols.push(other, width);
    }
    let mut numbers = vec![0; *lengths.iter().max().unwrap_or(&0)];
    lengths.iter().filter(|&&length| length > 0).for_each(|&length| numbers[length - 1] += 1);
    let (mut text, mut places) = (Bits::default(), Vec::new());
    let codes = codes(&numbers);
    for symbols in &parsed {
        let start = text.length;
        for &symbol in symbols {
            text.push(codes[ranks[symbol as usize]], lengths[symbol as usize]);
        }
        places.push((start, text.length - start));
    }
    Packed { symbols: symbols.padded(), width, lengths: numbers, text: text.padded(), places }
}

/// The pairs that become symbols, behind 256 that stand for bytes, and the texts in these symbols.
fn pairs(texts: &[&str]) -> (Vec<[u16; 2]>, Vec<Vec<u16>>) {
    let mut texts: Vec<Vec<u16>> = texts.iter().map(|text| text.bytes().map(u16::from).collect()).collect();
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
    (pairs, texts)
}

/// How often each symbol occurs.
fn count(texts: &[Vec<u16>], symbols: usize) -> Vec<usize> {
    let mut counts = vec![0; symbols];
    texts.iter().flatten().for_each(|&symbol| counts[symbol as usize] += 1);
    counts
}

/// In how many symbols each is a part, of those that occur or are parts themselves. Parts come before what they are in.
fn parts(pairs: &[[u16; 2]], counts: &[usize]) -> Vec<usize> {
    let mut parts = vec![0; pairs.len()];
    for symbol in (256..pairs.len()).rev() {
        if counts[symbol] + parts[symbol] > 0 {
            pairs[symbol].iter().for_each(|&part| parts[part as usize] += 1);
        }
    }
    parts
}

/// The bits of a symbol whose code has this length, if it has any.
fn cost(length: usize) -> usize {
    if length == 0 { RARE } else { length }
}

/// The lengths of Huffman codes for symbols of these frequencies; 0 for what does not occur.
fn lengths(counts: &[usize]) -> Vec<usize> {
    // Symbols, then what joins two of them; each comes before what it is joined in.
    let mut above = vec![0; counts.len()];
    let present = (0..counts.len()).filter(|&symbol| counts[symbol] > 0);
    let mut heap: BinaryHeap<_> = present.map(|symbol| Reverse((counts[symbol], symbol))).collect();
    while let (Some(Reverse((one, left))), Some(Reverse((other, right)))) = (heap.pop(), heap.pop()) {
        above[left] = above.len();
        above[right] = above.len();
        heap.push(Reverse((one + other, above.len())));
        above.push(0);
        if heap.len() == 1 {
            break;
        }
    }
    let mut depths = vec![0; above.len()];
    for place in (0..above.len()).rev().filter(|&place| above[place] > 0) {
        depths[place] = depths[above[place]] + 1;
    }
    depths.truncate(counts.len());
    depths
}

/// The codes of the symbols in order, of which there are so many of each length.
fn codes(numbers: &[usize]) -> Vec<usize> {
    let (mut codes, mut next) = (Vec::new(), 0);
    for &number in numbers {
        codes.extend(next..next + number);
        next = (next + number) << 1;
    }
    codes
}

/// What the symbols stand for, as a tree of letters.
struct Words {
    children: HashMap<(usize, u8), usize>,
    symbols: Vec<Option<u16>>,
}

impl Words {
    fn new(pairs: &[[u16; 2]], used: &[bool]) -> Words {
        let mut words = Words { children: HashMap::new(), symbols: vec![None] };
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for (symbol, pair) in pairs.iter().enumerate() {
            let text =
                if symbol < 256 { vec![symbol as u8] } else { pair.map(|part| &texts[part as usize][..]).concat() };
            let mut node = 0;
            for &letter in &text {
                let fresh = words.symbols.len();
                node = *words.children.entry((node, letter)).or_insert(fresh);
                if node == fresh {
                    words.symbols.push(None);
                }
            }
            words.symbols[node] = used[symbol].then_some(symbol as u16);
            texts.push(text);
        }
        words
    }

    /// The text in those symbols that take the fewest bits, if they have codes of these lengths.
    fn parse(&self, text: &[u8], lengths: &[usize]) -> Vec<u16> {
        // For each place the bits before it, and the symbol that ends there with its first place.
        let mut best = vec![(usize::MAX, 0, 0); text.len() + 1];
        best[0].0 = 0;
        for start in 0..text.len() {
            let mut node = 0;
            for (end, &letter) in text.iter().enumerate().skip(start) {
                let Some(&child) = self.children.get(&(node, letter)) else { break };
                node = child;
                if let Some(symbol) = self.symbols[node] {
                    let bits = best[start].0 + cost(lengths[symbol as usize]);
                    if bits < best[end + 1].0 {
                        best[end + 1] = (bits, symbol, start);
                    }
                }
            }
        }
        let (mut symbols, mut at) = (Vec::new(), text.len());
        while at > 0 {
            symbols.push(best[at].1);
            at = best[at].2;
        }
        symbols.reverse();
        symbols
    }
}

/// Numbers of some bits, one behind the other.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    length: usize,
}

impl Bits {
    fn push(&mut self, number: usize, count: usize) {
        for bit in (0..count).rev() {
            self.bytes.resize(self.length / 8 + 1, 0);
            self.bytes[self.length / 8] |= ((number >> bit & 1) as u8) << (7 - self.length % 8);
            self.length += 1;
        }
    }

    /// With room behind it, so that four bytes can be read wherever a number begins.
    fn padded(mut self) -> Vec<u8> {
        self.bytes.extend([0; 3]);
        self.bytes
    }
}

/// The pairs that occur most often, nearly equally often, and have no symbol in common, so that all can be replaced at once.
fn frequent(texts: &[Vec<u16>]) -> Vec<[u16; 2]> {
    /// Fewer are never worth the bits of a symbol.
    const LEAST: usize = 3;
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
    pairs.sort_by_key(|&(pair, count)| (Reverse(count), pair));
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
