//! What a program's headers tell. Source: elf(5).

/// Whether this is a 64-bit little-endian ELF program that asks for no dynamic loader or library.
pub fn is_static(program: &[u8]) -> bool {
    const DYNAMIC: u32 = 2;
    const INTERPRETER: u32 = 3;
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let number = |at: usize, width: usize| {
        program[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) as usize
    };
    let (table, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    count > 0 && (0..count).all(|at| ![DYNAMIC, INTERPRETER].contains(&(number(table + at * size, 4) as u32)))
}
