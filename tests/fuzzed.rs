//! What the fuzz targets check, for their first inputs and some thousand that are made of them; always the same ones.
//! CONTRIBUTING.md says how to let the fuzzer look for more.

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::panic::catch_unwind;

use crate::util::Scene;
use targets::TARGETS;

trials! {
    the_first_inputs_of_every_fuzz_target_are_handled [];
    inputs_made_of_them_are_handled_too [];
}

/// Inputs that are made of the first ones, for each target.
const INPUTS: usize = 2_000;

fn the_first_inputs_of_every_fuzz_target_are_handled(_: &Scene) {
    for target in TARGETS {
        for seed in (target.seeds)() {
            assert!(seed.len() <= target.longest, "the fuzzer would cut an input of {}", target.name);
            (target.check)(&seed);
        }
    }
}

/// A small pseudo-random generator (xorshift64*), so that a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize % limit
    }
}

/// Changes some bytes or bits, or cuts, repeats or mixes parts, as a fuzzer does.
fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let end = at + random.below((input.len() - at).min(40) + 1);
        match random.below(8) {
            0 | 1 if at < input.len() => input[at] ^= 1 << random.below(8),
            2 if at < input.len() => input[at] = [0, 1, 0x7F, 0x80, 0xFF, b'0', b'"', b':'][random.below(8)],
            3 => drop(input.drain(at..end)),
            4 => input.extend_from_within(at..end),
            5 => input.insert(at, random.below(256) as u8),
            6 => input.truncate(at),
            _ => {
                let from = random.below(other.len() + 1);
                let to = other.len().min(from + 40);
                input.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}

fn inputs_made_of_them_are_handled_too(_: &Scene) {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let mut random = Random(9);
        for number in 0..INPUTS {
            let mut input = seeds[random.below(seeds.len())].clone();
            let other = &seeds[random.below(seeds.len())];
            change(&mut input, other, &mut random);
            let handled = catch_unwind(|| (target.check)(&input));
            assert!(handled.is_ok(), "{}, input {number}: \"{}\"", target.name, input.escape_ascii());
        }
    }
}
