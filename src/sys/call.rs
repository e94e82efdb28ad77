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
#[inline]
pub(super) fn outcome(register: usize) -> Result<usize, Errno> {
    if register > usize::MAX - MAX_ERRNO { Err(Errno(register.wrapping_neg() as i32)) } else { Ok(register) }
}

/// Issues a system call and keeps it in the ledger.
///
/// # Safety
/// Pointers among the arguments must be valid for what the call does with them.
#[inline]
pub(super) unsafe fn call(nr: Sysno, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: the caller upholds the same.
    outcome(unsafe { issue(nr, &args) })
}

/// The call itself; the result register as it is, because a `Result` would come back through memory.
#[inline(never)]
unsafe fn issue(nr: Sysno, args: &[usize; 6]) -> usize {
    let record = ledger::begin(nr, args);
    let register = enter(nr as usize, args);
    ledger::end(record, register);
    register
}

/// Defines [`issue`] for fewer arguments. They travel in registers, which is shorter at a hundred call sites than an array.
macro_rules! shims {
    ($($shim:ident($($arg:ident)*) $($zero:literal)*;)*) => {$(
        /// Issues a call with so many arguments; the others are 0.
        ///
        /// # Safety
        /// Pointers among the arguments must be valid for what the call does with them.
        #[inline(never)]
        pub(super) unsafe fn $shim(nr: Sysno $(, $arg: usize)*) -> usize {
            // SAFETY: the caller upholds the same.
            unsafe { issue(nr, &[$($arg,)* $($zero),*]) }
        }
    )*};
}

shims! {
    call0() 0 0 0 0 0 0;
    call1(a) 0 0 0 0 0;
    call2(a b) 0 0 0 0;
    call3(a b c) 0 0 0;
    call4(a b c d) 0 0;
    call5(a b c d e) 0;
    call6(a b c d e f);
}

/// `sys!(openat, dir, path, flags)`: a system call by name; arguments are cast to the register width, missing ones are 0.
macro_rules! sys {
    ($name:ident) => { sys!(@ $name call0) };
    ($name:ident, $a:expr) => { sys!(@ $name call1 $a) };
    ($name:ident, $a:expr, $b:expr) => { sys!(@ $name call2 $a, $b) };
    ($name:ident, $a:expr, $b:expr, $c:expr) => { sys!(@ $name call3 $a, $b, $c) };
    ($name:ident, $a:expr, $b:expr, $c:expr, $d:expr) => { sys!(@ $name call4 $a, $b, $c, $d) };
    ($name:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { sys!(@ $name call5 $a, $b, $c, $d, $e) };
    ($name:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => { sys!(@ $name call6 $a, $b, $c, $d, $e, $f) };
    (@ $name:ident $shim:ident $($arg:expr),*) => {
        $crate::sys::call::outcome($crate::sys::call::$shim($crate::sys::number::$name $(, $arg as usize)*))
    };
}
pub(super) use sys;
