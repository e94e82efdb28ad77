//! The door: the only place where the binary enters the kernel.
#![expect(unsafe_code, reason = "this is the door")]

use syscalls::Sysno;

use super::ledger;
use crate::base::errno::Errno;

/// The highest error number that the kernel returns, negated, in the result register (`linux/err.h`, `MAX_ERRNO`).
const MAX_ERRNO: usize = 4095;

/// Enters the kernel.
///
/// Never inlined: law 2 is that the binary holds one such instruction.
#[inline(never)]
pub(super) fn enter(nr: usize, args: &[usize; 6]) -> usize {
    // SAFETY: that the arguments are valid for the call is upheld by the wrappers of this floor, the only callers of `call`.
    unsafe { syscalls::raw::syscall6(nr, args[0], args[1], args[2], args[3], args[4], args[5]) }
}

/// The result register as a value or an error number.
pub(super) fn outcome(register: usize) -> Result<usize, Errno> {
    if register > usize::MAX - MAX_ERRNO { Err(Errno(register.wrapping_neg() as i32)) } else { Ok(register) }
}

/// Issues a system call and keeps it in the ledger.
///
/// # Safety
/// Pointers among the arguments must be valid for what the call does with them.
#[inline(never)]
pub(super) unsafe fn call(nr: Sysno, args: [usize; 6]) -> Result<usize, Errno> {
    let record = ledger::begin(nr, &args);
    let register = enter(nr as usize, &args);
    ledger::end(record, register);
    outcome(register)
}

/// `sys!(openat, dir, path, flags)`: a system call by name; arguments are cast to the register width, missing ones are 0.
macro_rules! sys {
    ($name:ident $(, $arg:expr)* $(,)?) => {{
        #[allow(unused_mut, reason = "a call without arguments leaves all zero")]
        let mut args = [0usize; 6];
        let mut _next = 0;
        $( args[_next] = $arg as usize; _next += 1; )*
        $crate::sys::call::call(syscalls::Sysno::$name, args)
    }};
}
pub(super) use sys;
