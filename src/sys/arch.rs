//! What differs between processors: a cheap clock for the ledger.
#![cfg_attr(not(target_arch = "arm"), expect(unsafe_code, reason = "reads a counter register"))]

/// A counter that every core agrees on; 0 where user mode has none, so that no call is said to have taken any time.
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
    // Not every processor has one that programs can read, and a call to ask for the time would be in no ledger.
    #[cfg(target_arch = "arm")]
    {
        0
    }
}
