//! Signals by name and number.
//!
//! # Source
//! `signal(7)`; x86 and ARM share one numbering. Real-time signals count from 34 as under glibc and docker, which keep
//! 32 and 33 for their threads.

use alloc::format;
use alloc::string::String;

use super::text::{Cut, decimal_u64, place};

/// Signals 1 to 31 in the kernel's order.
const NAMES: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN \
                     TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
const RTMIN: u64 = 34;
const RTMAX: u64 = 64;

/// The number of a signal given by name, with or without `SIG` and in either case (`TERM`, `sigkill`, `SIGRTMIN+3`), or by
/// number from 1 to 64.
#[must_use]
pub fn parse(text: &str) -> Option<u8> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = if let Some(offset) = name.strip_prefix("RTMIN") {
        let offset = if offset.is_empty() { 0 } else { decimal_u64(offset.strip_prefix('+')?)? };
        RTMIN.checked_add(offset)?
    } else if let Some(offset) = name.strip_prefix("RTMAX") {
        let offset = if offset.is_empty() { 0 } else { decimal_u64(offset.strip_prefix('-')?)? };
        RTMAX.checked_sub(offset).filter(|&number| number >= RTMIN)?
    } else if let Some(index) = place(NAMES, name) {
        index as u64 + 1
    } else {
        decimal_u64(text)?
    };
    (1..=RTMAX).contains(&number).then_some(number as u8)
}

/// The name with `SIG`: `SIGTERM`, `SIGRTMIN+3`; a bare number for what has no name.
#[must_use]
pub fn name(number: u8) -> String {
    match NAMES.parts(b' ').nth(usize::from(number).wrapping_sub(1)) {
        Some(name) => format!("SIG{name}"),
        None if (34..=64).contains(&number) => format!("SIGRTMIN+{}", u32::from(number) - 34),
        None => format!("{}", u32::from(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_name_and_number() {
        let good = [
            ("TERM", libc::SIGTERM),
            ("sigkill", libc::SIGKILL),
            ("SIGSYS", libc::SIGSYS),
            ("SIGIO", libc::SIGIO),
            ("winch", libc::SIGWINCH),
            ("9", 9),
            ("64", 64),
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
        ];
        for (text, number) in good {
            assert_eq!(parse(text).map(i32::from), Some(number), "{text}");
        }
        for bad in ["", "0", "65", "-9", "SIG", "SIG9", "KILLL", "RTMIN+31", "RTMIN-1", "RTMAX-31", "RTMAX+1", "TERM "]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_signal_reads_back_from_its_name() {
        for number in 1..=64 {
            assert_eq!(parse(&name(number)), Some(number), "{}", name(number));
        }
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!(name(0), "0");
    }
}
