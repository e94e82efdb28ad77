//! Runs filters of system calls as the kernel does, bpf(4).

/// What a filter says of a call, and after how many instructions. A program is in words of 64 bits, `struct sock_filter`.
pub fn run(program: &[u64], architecture: u32, number: u32, args: [u64; 6]) -> (u32, usize) {
    // `struct seccomp_data` in words of 32 bits; the place of the call is not of interest here.
    let mut data = [0; 16];
    data[..2].copy_from_slice(&[number, architecture]);
    for (words, arg) in data[4..].chunks_exact_mut(2).zip(args) {
        words.copy_from_slice(&[arg as u32, (arg >> 32) as u32]);
    }
    let (mut at, mut accumulator) = (0, 0);
    for steps in 1..5000 {
        let word = program[at];
        let (code, yes, no, k) = (word as u16, word >> 16 & 0xff, word >> 24 & 0xff, (word >> 32) as u32);
        let truth = match code {
            0x20 => {
                accumulator = data[k as usize / 4];
                true
            }
            0x54 => {
                accumulator &= k;
                true
            }
            0x06 => return (k, steps),
            0x05 => {
                at += k as usize;
                true
            }
            0x15 => accumulator == k,
            0x25 => accumulator > k,
            0x35 => accumulator >= k,
            0x45 => accumulator & k != 0,
            _ => panic!("an instruction that is not known: {code:#x}"),
        };
        at += 1 + if truth { yes } else { no } as usize;
    }
    panic!("the program has no end")
}
