//! What differs between processors: a cheap clock for the ledger.
#![cfg_attr(not(target_arch = "arm"), expect(unsafe_code, reason = "reads a counter register"))]

/// A counter that every core agrees on; it costs a system call only where user mode has none.
#[must_use]
pub(super) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reading the time-stamp counter has no side effect.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let count: u64;
        // SAFETY: Linux lets user mode read the virtual counter.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
        count
    }
    #[cfg(target_arch = "riscv64")]
    {
        let count: u64;
        // SAFETY: Linux lets user mode read the time counter.
        unsafe { core::arch::asm!("rdtime {}", out(reg) count, options(nomem, nostack)) };
        count
    }
    #[cfg(target_arch = "arm")]
    {
        let mut now = [0u64; 2];
        // Not every processor has such a counter; this call is in no ledger.
        let args = [libc::CLOCK_MONOTONIC as usize, now.as_mut_ptr() as usize, 0, 0, 0, 0];
        super::call::enter(super::number::clock_gettime as usize, &args);
        now[0] * 1_000_000_000 + now[1]
    }
}
