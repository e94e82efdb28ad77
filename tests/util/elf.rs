//! What a program's headers tell.

use goblin::elf::Elf;
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP};

/// Whether this is an ELF program that asks for no dynamic loader or library.
pub fn is_static(program: &[u8]) -> bool {
    let Ok(elf) = Elf::parse(program) else { return false };
    let headers = &elf.program_headers;
    !headers.is_empty() && !headers.iter().any(|header| [PT_DYNAMIC, PT_INTERP].contains(&header.p_type))
}
