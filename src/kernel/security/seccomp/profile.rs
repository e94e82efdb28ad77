//! The filter of a specification's `linux.seccomp`.
//!
//! Whoever writes such a profile has libseccomp in mind, so it means what that library makes of it: 32-bit architectures and
//! x32 have arguments of 32 bits, a rule without conditions goes before those with some, and calls of architectures that are not named
//! kill. Of the rules with conditions the first that fits counts. As with runc, a call that no table knows fails with `ENOSYS`
//! unless it is allowed by default, so that programs look for another way, and names that this kernel's architectures don't have
//! say nothing. Unlike there, a rule for `socket` says nothing about `socketcall`, which has a name of its own.
//!
//! # Source
//! `config-linux.md` of the runtime specification, `seccomp_rule_add(3)`.

use alloc::vec::Vec;

use super::names::{self, ARCHITECTURES};
use super::search::{ABOVE, AND, ARCHITECTURE, ARGUMENTS, AT_LEAST, EQUALS, LOAD, NUMBER, Parts, Program, add_part};
use super::{COMPAT_ARCHITECTURE, Filter, KILL_THREAD, NATIVE, SPEC_ALLOW, X32_BIT};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::text::{Cut, place};
use crate::kernel::security::filter::{ALLOW, fail};

/// What becomes of calls, by name and as the kernel has it (`linux/seccomp.h`), without `SCMP_ACT_`.
const ACTIONS: &str = "KILL KILL_THREAD KILL_PROCESS TRAP ERRNO NOTIFY TRACE LOG ALLOW";
const VERDICTS: [u32; 9] =
    [KILL_THREAD, KILL_THREAD, 0x8000_0000, 0x0003_0000, 0x0005_0000, NOTIFY, 0x7ff0_0000, 0x7ffc_0000, ALLOW];
/// A process outside decides.
pub const NOTIFY: u32 = 0x7fc0_0000;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (Linux 5.0): the filter's descriptor is returned.
pub const NEW_LISTENER: u32 = 8;

/// The flags, without `SECCOMP_FILTER_FLAG_`, each at the number of its bit.
const FLAGS: &str = "TSYNC LOG SPEC_ALLOW NEW_LISTENER TSYNC_ESRCH WAIT_KILLABLE_RECV";
/// Those that no profile can ask for.
const OWN_FLAGS: [usize; 2] = [3, 4];
/// How arguments are compared, without `SCMP_CMP_`.
const OPERATORS: &str = "NE LT LE EQ GE GT MASKED_EQ";

/// A comparison: which argument, the place of its operator, and two values.
#[derive(Clone, Copy)]
struct Condition(u32, usize, u64, u64);

/// What becomes of a call if all of its conditions are true.
struct Rule<'a> {
    names: &'a [Value],
    verdict: u32,
    conditions: Vec<Condition>,
}

/// What becomes of a call: conditions in turn with their verdicts, and the verdict if all fail.
type Decision<'a> = (Vec<(&'a [Condition], u32)>, u32);

/// Actions, operators, architectures and flags by their whole names, which `vial oci features` tells, in this order.
#[must_use]
pub fn known() -> [Vec<&'static str>; 4] {
    let lists = [
        ("SCMP_ACT_", ACTIONS),
        ("SCMP_CMP_", OPERATORS),
        ("SCMP_ARCH_", ARCHITECTURES),
        ("SECCOMP_FILTER_FLAG_", FLAGS),
    ];
    lists.map(|(start, list)| {
        let mut names = Vec::new();
        for (bit, name) in list.parts(b' ').enumerate() {
            // The kernel's listener is not for the profile to ask for.
            if list != FLAGS || !OWN_FLAGS.contains(&bit) {
                names.push(join!("{}{}", start, name));
            }
        }
        names
    })
}

/// The flag of this name, as a bit.
#[must_use]
pub fn flag(name: &str) -> Option<u32> {
    let bit = name.strip_prefix("SECCOMP_FILTER_FLAG_").and_then(|name| place(FLAGS, name))?;
    (!OWN_FLAGS.contains(&bit)).then_some(1 << bit)
}

fn refuse(member: &str, value: &str) -> Error {
    Error::new(say!("linux.seccomp: {}: unknown value {}", member, value))
}

/// The verdict that an object's `action` and `errnoRet` come to.
fn verdict(of: &Value, action: &str, errno: &str) -> Result<u32> {
    let name = of.get(action).and_then(Value::as_str).unwrap_or_default();
    let place = name.strip_prefix("SCMP_ACT_").and_then(|name| place(ACTIONS, name));
    let Some(&verdict) = place.and_then(|place| VERDICTS.get(place)) else { return Err(refuse(action, name)) };
    let data = of.get(errno).and_then(Value::as_u64).unwrap_or(1) as u32 & 0xffff;
    Ok(if matches!(verdict, 0x0005_0000 | 0x7ff0_0000) { verdict | data } else { verdict })
}

fn list<'a>(of: &'a Value, member: &str) -> &'a [Value] {
    of.get(member).and_then(Value::as_array).unwrap_or_default()
}

/// The rules in the order of the profile; conditions of one rule on the same argument are rules of their own, as with runc.
fn rules(seccomp: &Value) -> Result<Vec<Rule<'_>>> {
    let mut rules = Vec::new();
    for call in list(seccomp, "syscalls") {
        let (names, verdict) = (list(call, "names"), verdict(call, "action", "errnoRet")?);
        let mut conditions = Vec::new();
        for arg in list(call, "args") {
            let number = |member| arg.get(member).and_then(Value::as_u64).unwrap_or(0);
            let name = arg.get("op").and_then(Value::as_str).unwrap_or_default();
            let operator = name.strip_prefix("SCMP_CMP_").and_then(|name| place(OPERATORS, name));
            let Some(operator) = operator else { return Err(refuse("op", name)) };
            if number("index") > 5 {
                return Err(refuse("index", join!("{}", number("index"))));
            }
            conditions.push(Condition(number("index") as u32, operator, number("value"), number("valueTwo")));
        }
        let twice = |at: usize| conditions[..at].iter().any(|before| before.0 == conditions[at].0);
        if (0..conditions.len()).any(twice) {
            for condition in conditions {
                rules.push(Rule { names, verdict, conditions: [condition].to_vec() });
            }
        } else {
            rules.push(Rule { names, verdict, conditions });
        }
    }
    Ok(rules)
}

/// The filter that a specification asks for, and whether a process outside decides about some calls.
///
/// # Errors
/// Names the member whose value is not one of the specification's.
pub fn compile(seccomp: &Value) -> Result<(Filter, bool)> {
    let default = verdict(seccomp, "defaultAction", "defaultErrnoRet")?;
    let rules = rules(seccomp)?;
    let notifies = rules.iter().any(|rule| rule.verdict == NOTIFY);
    let by_hand = |name: &Value| matches!(name.as_str(), Some("sendmsg"));
    if default == NOTIFY || rules.iter().any(|rule| rule.verdict == NOTIFY && rule.names.iter().any(by_hand)) {
        // The listener is sent by this call.
        return Err(Error::new(phrase!(
            "linux.seccomp: SCMP_ACT_NOTIFY can't be the default action, and not that of sendmsg"
        )));
    }
    let flags = flags(seccomp)? | if notifies { NEW_LISTENER } else { 0 };
    let program = &mut Program::default();
    let foreign = program.verdict(KILL_THREAD);
    let named = |column: usize| {
        let name = ARCHITECTURES.parts(b' ').nth(column);
        let is = |value: &Value| value.as_str().and_then(|text| text.strip_prefix("SCMP_ARCH_")) == name;
        name.is_some() && list(seccomp, "architectures").iter().any(is)
    };
    let mut others = foreign;
    if named(1) {
        let mut table = Table::new(default);
        table.add(&rules, 1, 0);
        let compat = program.search(&table.parts, &|program, key| table.write(program, key));
        program.forget();
        let compat = program.before(LOAD, NUMBER, compat);
        others = program.branch(EQUALS, COMPAT_ARCHITECTURE, compat, foreign);
    }
    let mut table = Table::new(default);
    table.add(&rules, 0, 0);
    if cfg!(target_pointer_width = "64") {
        table.wide = table.decisions.len();
    }
    if cfg!(target_arch = "x86_64") {
        if named(2) {
            table.add(&rules, 2, X32_BIT);
        } else {
            table.part(X32_BIT, (Vec::new(), KILL_THREAD));
        }
        // Of a call that a tracer has skipped there is nothing to decide, seccomp(2).
        table.part(u32::MAX, (Vec::new(), default));
    }
    let native = program.search(&table.parts, &|program, key| table.write(program, key));
    let native = program.before(LOAD, NUMBER, native);
    let first = program.branch(EQUALS, NATIVE, native, others);
    program.before(LOAD, ARCHITECTURE, first);
    let program = core::mem::take(program).finish();
    if program.len() > 4096 {
        return Err(Error::new(phrase!(
            "linux.seccomp: the filter is longer than the kernel takes: 4096 instructions"
        )));
    }
    Ok((Filter { program, flags }, notifies))
}

fn flags(seccomp: &Value) -> Result<u32> {
    // As runc: none is another thing than nothing said.
    let Some(names) = seccomp.get("flags").and_then(Value::as_array) else { return Ok(SPEC_ALLOW) };
    let mut flags = 0;
    for name in names {
        let name = name.as_str().unwrap_or_default();
        flags |= flag(name).ok_or_else(|| refuse("flags", name))?;
    }
    // One process has nobody to be in time with; a listener and that exclude each other.
    Ok(flags & !1)
}

/// What becomes of the calls of one architecture.
struct Table<'a> {
    parts: Parts,
    decisions: Vec<Decision<'a>>,
    default: u32,
    /// How many of the decisions are about arguments that have two halves: those of x32, which come behind, have not.
    wide: usize,
}

impl<'a> Table<'a> {
    fn new(default: u32) -> Table<'a> {
        Table { parts: Parts::new(), decisions: Vec::new(), default, wide: 0 }
    }

    /// Adds the calls of a column of the tables, whose numbers have so many more.
    fn add(&mut self, rules: &'a [Rule<'a>], column: usize, base: u32) {
        let unknown = match self.default & 0x7fff_0000 {
            0x7ff0_0000.. => self.default,
            _ => fail(Errno::ENOSYS),
        };
        let calls = names::calls(column);
        self.part(base, (Vec::new(), unknown));
        let mut index = 0;
        while let Some(&(number, _)) = calls.get(index) {
            // A number may have two names.
            let mut names: Vec<&str> = Vec::new();
            while let Some(&(_, name)) = calls.get(index).filter(|call| call.0 == number) {
                names.push(name);
                index += 1;
            }
            self.part(base + number, self.decide(rules, &names));
            self.part(base + number + 1, (Vec::new(), unknown));
        }
    }

    fn decide(&self, rules: &'a [Rule<'a>], names: &[&str]) -> Decision<'a> {
        let mut conditional = Vec::new();
        for rule in rules {
            if !rule.names.iter().any(|name| name.as_str().is_some_and(|name| names.contains(&name))) {
                continue;
            }
            if rule.conditions.is_empty() && rule.verdict != self.default {
                return (Vec::new(), rule.verdict);
            }
            if rule.verdict != self.default {
                conditional.push((&*rule.conditions, rule.verdict));
            }
        }
        (conditional, self.default)
    }

    /// Begins a part; what is decided alike and without conditions has one key.
    fn part(&mut self, start: u32, decision: Decision<'a>) {
        let same = |known: &Decision<'_>| known.0.is_empty() && decision.0.is_empty() && known.1 == decision.1;
        let key = self.decisions.iter().position(same).unwrap_or_else(|| {
            self.decisions.push(decision);
            self.decisions.len() - 1
        });
        add_part(&mut self.parts, start, key as u32);
    }

    fn write(&self, program: &mut Program, key: u32) -> usize {
        let (rules, otherwise) = &self.decisions[key as usize];
        let mut next = program.verdict(*otherwise);
        for (conditions, verdict) in rules.iter().rev() {
            let mut then = program.verdict(*verdict);
            for condition in conditions.iter().rev() {
                then = compare(program, *condition, (key as usize) < self.wide, (then, next));
            }
            next = then;
        }
        next
    }
}

/// Writes a comparison and where it leads to.
fn compare(program: &mut Program, condition: Condition, wide: bool, (then, otherwise): (usize, usize)) -> usize {
    let Condition(argument, operator, one, two) = condition;
    let at = ARGUMENTS + 8 * argument;
    let (low, high) = (one as u32, (one >> 32) as u32);
    // NE, LT and LE are the others the other way round.
    let (operator, yes, no) = match operator {
        0..=2 => ([3, 4, 5][operator], otherwise, then),
        _ => (operator, then, otherwise),
    };
    let (value, mask) = if operator == 6 { (two, Some((low, high))) } else { (one, None) };
    let last = match operator {
        4 => AT_LEAST,
        5 => ABOVE,
        _ => EQUALS,
    };
    let mut next = program.branch(last, value as u32, yes, no);
    if let Some((low, _)) = mask {
        next = program.before(AND, low, next);
    }
    next = program.before(LOAD, at, next);
    if !wide {
        return next;
    }
    let upper = (value >> 32) as u32;
    next = program.branch(EQUALS, upper, next, no);
    if last != EQUALS {
        next = program.branch(ABOVE, upper, yes, next);
    }
    if let Some((_, high)) = mask {
        next = program.before(AND, high, next);
    }
    program.before(LOAD, at + 4, next)
}
