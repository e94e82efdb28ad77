//! Which devices a group may use: the rules, and the BPF program that enforces them in v2.

use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::phrase::Phrase;
use crate::base::text::decimal_u32;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceRule {
    /// Allows or denies.
    allow: bool,
    /// Which nodes: `a` both, `b`, or `c`.
    kind: u8,
    /// The major and the minor number; a star is any.
    numbers: [&'static str; 2],
    /// Which uses: letters out of `rwm`.
    access: &'static str,
    /// Likewise, as bits in the order of [`USES`].
    uses: u32,
}

/// `BPF_DEVCG_ACC_*` (`linux/bpf.h`), the lowest bit first: make the node, read, write.
const USES: [u8; 3] = *b"mrw";
/// Every use, as bits.
const EVERY_USE: u32 = 7;

/// Reads letters out of `rwm`; `None` if there is another or none.
fn uses(letters: &str) -> Option<u32> {
    let mut uses = 0;
    for letter in letters.bytes() {
        uses |= 1 << USES.iter().position(|known| *known == letter)?;
    }
    Some(uses).filter(|uses| *uses > 0)
}

/// All rules of the runtime specification's `linux.resources.devices`.
///
/// # Errors
/// A value that no rule can have.
pub(super) fn read_all(resources: &Value) -> Result<Vec<DeviceRule>> {
    let mut rules = Vec::new();
    for rule in resources.get("devices").and_then(Value::as_array).unwrap_or_default() {
        rules.push(DeviceRule::read(rule)?);
    }
    Ok(rules)
}

impl DeviceRule {
    /// Whether it is about every use of every device.
    fn is_everything(&self) -> bool {
        self.kind == b'a' && self.numbers == ["*"; 2] && self.uses == EVERY_USE
    }

    #[inline(never)]
    fn read(rule: &Value) -> Result<DeviceRule> {
        let refuse = |what: Phrase, value: &str| Err(Error::new(say!("linux.resources.devices: {} {}", what, value)));
        let text = |member, default| rule.get(member).and_then(Value::as_str).unwrap_or(default);
        let kind = match text("type", "a") {
            "a" => b'a',
            "c" | "u" => b'c',
            "b" => b'b',
            other => return refuse(phrase!("unknown type"), other),
        };
        let mut numbers = ["*"; 2];
        for (number, member) in numbers.iter_mut().zip(["major", "minor"]) {
            // -1 is what docker and runc write for any number.
            match rule.get(member).and_then(Value::as_i64).unwrap_or(-1) {
                ..0 => {}
                given if given > u32::MAX.into() => return refuse(phrase!("no device number:"), member),
                given => *number = join!("{}", given),
            }
        }
        let access = text("access", "rwm");
        let Some(uses) = uses(access) else {
            return refuse(phrase!("not made of r, w and m: access"), access);
        };
        let allow = rule.get("allow").and_then(Value::as_bool).unwrap_or(false);
        Ok(DeviceRule { allow, kind, numbers, access, uses })
    }
}

/// The rules in v1's words: the file that each is for, and the line.
#[inline(never)]
pub(super) fn lines(rules: &[DeviceRule]) -> Vec<(&'static str, &'static str)> {
    let mut lines = alloc::vec![("devices.deny", "a")];
    for rule in rules {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        if rule.is_everything() {
            // A specification begins by denying everything once more, as a rule.
            if rule.allow || lines.len() > 1 {
                lines.push((file, "a"));
            }
            continue;
        }
        // `a` with numbers stands for both kinds here; to the kernel it means all devices, whatever follows.
        for kind in ["b", "c"] {
            if rule.kind == b'a' || kind.as_bytes() == [rule.kind] {
                let [major, minor] = rule.numbers;
                lines.push((file, join!("{} {}:{} {}", kind, major, minor, rule.access)));
            }
        }
    }
    lines
}

/// Registers: the context, the kind, the uses that are still to be decided, major and minor number.
const CONTEXT: u64 = 1;
const KIND: u64 = 2;
const LEFT: u64 = 3;
const MAJOR: u64 = 4;
const MINOR: u64 = 5;

/// Operation codes, kernel `Documentation/bpf/standardization/instruction-set.rst`.
const LOAD_WORD: u64 = 0x61;
const MOVE: u64 = 0xbf;
const MOVE_IMMEDIATE: u64 = 0xb7;
const AND: u64 = 0x57;
const SHIFT_RIGHT: u64 = 0x77;
const JUMP: u64 = 0x05;
const JUMP_UNLESS_EQUAL: u64 = 0x55;
const JUMP_IF_ANY_BIT: u64 = 0x45;
const EXIT: u64 = 0x95;

/// An instruction word: code 8 bits, destination 4, source 4, offset 16, immediate 32, from the low end.
const fn op(code: u64, to: u64, from: u64, offset: u16, immediate: u32) -> u64 {
    code | to << 8 | from << 12 | (offset as u64) << 16 | (immediate as u64) << 32
}

/// The program for `BPF_PROG_TYPE_CGROUP_DEVICE`: 1 allows, 0 denies.
///
/// Of two rules about the same use the later one wins, and what no rule is about is denied. A request may be for several uses
/// at once (an opening to read and write); each is decided by itself, as v1's controller does, and all must be allowed.
/// So the rules are gone through from the last to the first: an allowing one takes its uses out of those still to be
/// decided, and a denying one ends it when one of its uses is still among them.
///
/// # Source
/// `struct bpf_cgroup_dev_ctx` in `linux/bpf.h`: the kind in the low and the uses in the high half of the first word, then
/// major and minor number.
#[inline(never)]
pub(super) fn filter(rules: &[DeviceRule]) -> Vec<u64> {
    let mut program = alloc::vec![
        op(LOAD_WORD, KIND, CONTEXT, 0, 0),
        op(MOVE, LEFT, KIND, 0, 0),
        op(AND, KIND, 0, 0, 0xffff),
        op(SHIFT_RIGHT, LEFT, 0, 0, 16),
        op(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        op(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        rule_code(rule, &mut program);
        if rule.is_everything() {
            // It decides in any case. The verifier refuses code that can't be reached, so there must be no more.
            return program;
        }
    }
    decide(false, &mut program);
    program
}

fn decide(allow: bool, program: &mut Vec<u64>) {
    program.extend([op(MOVE_IMMEDIATE, 0, 0, 0, u32::from(allow)), op(EXIT, 0, 0, 0, 0)]);
}

/// One rule's instructions; what does not match jumps behind them.
#[inline(never)]
fn rule_code(rule: &DeviceRule, program: &mut Vec<u64>) {
    // `BPF_DEVCG_DEV_*` (`linux/bpf.h`).
    let kind = match rule.kind {
        b'a' => None,
        kind => Some(u32::from(kind - b'a')),
    };
    let uses = rule.uses;
    let mut body = Vec::new();
    match (rule.allow, uses) {
        (_, EVERY_USE) => {}
        (true, _) => body.extend([op(AND, LEFT, 0, 0, EVERY_USE & !uses), op(JUMP_UNLESS_EQUAL, LEFT, 0, 2, 0)]),
        (false, _) => body.extend([op(JUMP_IF_ANY_BIT, LEFT, 0, 1, uses), op(JUMP, 0, 0, 2, 0)]),
    }
    decide(rule.allow, &mut body);
    let conditions = [(KIND, kind), (MAJOR, decimal_u32(rule.numbers[0])), (MINOR, decimal_u32(rule.numbers[1]))];
    let mut left = conditions.iter().filter(|(_, value)| value.is_some()).count();
    for (register, value) in conditions {
        if let Some(value) = value {
            left -= 1;
            let behind = (left + body.len()) as u16;
            // The immediate is extended by its sign, but no device number reaches that bit (12 and 20 bits are used).
            program.push(op(JUMP_UNLESS_EQUAL, register, 0, behind, value));
        }
    }
    program.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec;

    fn rule(allow: bool, kind: char, major: Option<u32>, minor: Option<u32>, access: &'static str) -> DeviceRule {
        let number = |number: Option<u32>| number.map_or("*", |number| join!("{}", number));
        DeviceRule { allow, kind: kind as u8, numbers: [major, minor].map(number), access, uses: uses(access).unwrap() }
    }

    #[test]
    fn the_program_for_one_device_is_this_to_the_byte() {
        #[rustfmt::skip]
        let expected: &[[u8; 8]] = &[
            [0x61, 0x12, 0, 0, 0, 0, 0, 0],         // r2 = kind and uses
            [0xbf, 0x23, 0, 0, 0, 0, 0, 0],         // r3 = r2
            [0x57, 0x02, 0, 0, 0xff, 0xff, 0, 0],   // r2 &= 0xffff
            [0x77, 0x03, 0, 0, 16, 0, 0, 0],        // r3 >>= 16
            [0x61, 0x14, 4, 0, 0, 0, 0, 0],         // r4 = major
            [0x61, 0x15, 8, 0, 0, 0, 0, 0],         // r5 = minor
            [0x55, 0x02, 6, 0, 2, 0, 0, 0],         // unless it is a character device: behind the rule
            [0x55, 0x04, 5, 0, 1, 0, 0, 0],         // unless its major is 1: likewise
            [0x55, 0x05, 4, 0, 3, 0, 0, 0],         // unless its minor is 3: likewise
            [0x57, 0x03, 0, 0, 0b001, 0, 0, 0],     // r3 &= mknod: reads and writes are decided
            [0x55, 0x03, 2, 0, 0, 0, 0, 0],         // unless nothing is left: behind the rule
            [0xb7, 0x00, 0, 0, 1, 0, 0, 0],         // allow
            [0x95, 0x00, 0, 0, 0, 0, 0, 0],
            [0xb7, 0x00, 0, 0, 0, 0, 0, 0],         // deny what no rule is about
            [0x95, 0x00, 0, 0, 0, 0, 0, 0],
        ];
        let program = filter(&[rule(true, 'c', Some(1), Some(3), "rw")]);
        assert_eq!(program.iter().map(|word| word.to_le_bytes()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_follows_a_rule_about_everything() {
        let all = rule(true, 'a', None, None, "rwm");
        assert_eq!(filter(&[rule(false, 'c', Some(1), None, "r"), all]).len(), 6 + 2);
    }

    /// Runs a program on a request, as the kernel's instruction set says.
    fn run(program: &[u64], request: [u32; 3]) -> bool {
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        loop {
            let word = program[at];
            let (code, to, from) = (word & 0xff, (word >> 8 & 15) as usize, (word >> 12 & 15) as usize);
            let (offset, immediate) = ((word >> 16) as i16, (word >> 32) as i32 as i64 as u64);
            at += 1;
            let taken = match code {
                0x61 => {
                    assert_eq!(from, 1, "loads go through the context");
                    registers[to] = u64::from(request[offset as usize / 4]);
                    false
                }
                0xbf => {
                    registers[to] = registers[from];
                    false
                }
                0xb7 => {
                    registers[to] = immediate;
                    false
                }
                0x57 => {
                    registers[to] &= immediate;
                    false
                }
                0x77 => {
                    registers[to] >>= immediate;
                    false
                }
                0x05 => true,
                0x55 => registers[to] != immediate,
                0x45 => registers[to] & immediate != 0,
                0x95 => return registers[0] == 1,
                _ => panic!("unknown code {code:#x}"),
            };
            if taken {
                at = at.checked_add_signed(offset as isize).unwrap();
            }
        }
    }

    /// The meaning of the rules, told in the plainest way: for every use the last rule about it.
    fn allowed(rules: &[DeviceRule], [word, major, minor]: [u32; 3]) -> bool {
        (0..3).map(|bit| 1 << bit).filter(|bit| (word >> 16) & bit != 0).all(|bit| {
            let about = |rule: &&DeviceRule| {
                let kind = match rule.kind {
                    b'a' => true,
                    b'b' => word & 0xffff == 1,
                    _ => word & 0xffff == 2,
                };
                kind && decimal_u32(rule.numbers[0]).is_none_or(|number| number == major)
                    && decimal_u32(rule.numbers[1]).is_none_or(|number| number == minor)
                    && rule.uses & bit != 0
            };
            rules.iter().rev().find(about).is_some_and(|rule| rule.allow)
        })
    }

    #[test]
    fn the_last_rule_about_each_use_wins_for_every_program_and_request() {
        // A small generator with a fixed seed: every failure can be seen again.
        let mut seed = 1u32;
        let mut pick = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..2000 {
            let mut rules = vec![];
            for _ in 0..pick(6) {
                let number = |n: u32| if n == 0 { None } else { Some(n - 1) };
                let access = ["r", "w", "m", "rw", "rm", "wm", "rwm", "rwm"][pick(8) as usize];
                let kind = ['a', 'b', 'c'][pick(3) as usize];
                rules.push(rule(pick(3) > 0, kind, number(pick(4)), number(pick(4)), access));
            }
            let program = filter(&rules);
            for request in 0..2 * 7 * 9 {
                let (kind, uses, device) = (1 + request % 2, 1 + request / 2 % 7, request / 14);
                let request = [kind | uses << 16, device / 3, device % 3];
                assert_eq!(run(&program, request), allowed(&rules, request), "{rules:?} {request:?}");
            }
        }
    }

    #[test]
    fn v1_is_told_to_deny_everything_first_and_then_the_rules_in_order() {
        let rules = [
            rule(false, 'a', None, None, "rwm"),
            rule(true, 'c', Some(1), Some(3), "rwm"),
            rule(true, 'c', None, None, "m"),
            rule(false, 'a', Some(8), None, "w"),
        ];
        let (allow, deny) = ("devices.allow", "devices.deny");
        let expected = [(deny, "a"), (allow, "c 1:3 rwm"), (allow, "c *:* m"), (deny, "b 8:* w"), (deny, "c 8:* w")];
        assert_eq!(lines(&rules), expected);
    }

    fn read(rule: &str) -> Result<DeviceRule> {
        DeviceRule::read(&crate::base::json::parse(rule.as_bytes()).unwrap())
    }

    #[test]
    fn a_rule_without_members_is_about_every_device_and_use() {
        assert_eq!(read(r#"{"allow":false}"#).unwrap(), rule(false, 'a', None, None, "rwm"));
        let any = read(r#"{"allow":true,"type":"u","major":136,"minor":-1,"access":"rw"}"#).unwrap();
        assert_eq!(any, rule(true, 'c', Some(136), None, "rw"));
    }

    #[test]
    fn nonsense_in_a_rule_is_refused_by_member() {
        for (rule, expected) in [
            (r#"{"type":"z"}"#, "unknown type z"),
            (r#"{"access":"x"}"#, "access x"),
            (r#"{"major":4294967296}"#, "no device number: major"),
        ] {
            let error = read(rule).unwrap_err().to_string();
            assert!(error.contains("linux.resources.devices") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn access_is_letters_out_of_rwm() {
        assert_eq!(uses("wrm"), Some(EVERY_USE));
        assert_eq!(uses(""), None);
        assert_eq!(uses("rx"), None);
    }
}
