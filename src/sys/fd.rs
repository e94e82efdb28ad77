//! File descriptors: owned ones close when they go out of scope, borrowed ones can't outlive them.
#![expect(unsafe_code, reason = "closes what it owns")]

use core::marker::PhantomData;
use core::mem;
use core::num::NonZeroU64;

use super::call::sys;

/// An open file that closes when dropped.
///
/// The number stands in the lower half of a word that is never zero: a result and an option of it then come back in two
/// registers instead of in memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Fd(NonZeroU64);

/// The upper half.
const BASE: NonZeroU64 = NonZeroU64::new(1 << 32).unwrap();

/// A file that somebody else keeps open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdRef<'a>(i32, PhantomData<&'a Fd>);

/// Standard input.
pub const STDIN: FdRef<'static> = FdRef(0, PhantomData);
/// Standard output.
pub const STDOUT: FdRef<'static> = FdRef(1, PhantomData);
/// Standard error.
pub const STDERR: FdRef<'static> = FdRef(2, PhantomData);
/// The current directory, for the calls that take a directory.
pub const CWD: FdRef<'static> = FdRef(libc::AT_FDCWD, PhantomData);

impl Fd {
    /// Takes over a number that the kernel just returned.
    pub(super) fn from_kernel(number: usize) -> Fd {
        Fd::from_number(number as i32)
    }

    /// Takes over a number that came through other means (inherited, or in a message).
    #[must_use]
    pub fn from_number(number: i32) -> Fd {
        Fd(BASE | u64::from(number as u32))
    }

    /// Lends it.
    #[must_use]
    pub fn by_ref(&self) -> FdRef<'_> {
        FdRef(self.number(), PhantomData)
    }

    /// Keeps it open until the process ends.
    #[must_use]
    pub fn keep(self) -> FdRef<'static> {
        FdRef::from_number(self.leak())
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.0.get() as i32
    }

    /// Gives up ownership: it stays open until the process ends or executes another program.
    #[must_use]
    pub fn leak(self) -> i32 {
        let number = self.number();
        mem::forget(self);
        number
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // Errors of close(2) tell of earlier writes, which are checked by fsync(2) where it matters.
        // SAFETY: the number is owned, so nobody else uses it.
        let _ = unsafe { sys!(close, self.number()) };
    }
}

impl FdRef<'_> {
    /// The number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Lends an inherited descriptor by number.
    #[must_use]
    pub fn from_number(number: i32) -> FdRef<'static> {
        FdRef(number, PhantomData)
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;
    use crate::base::error::Result;

    #[test]
    fn results_of_descriptors_fit_two_registers_and_numbers_stay() {
        assert_eq!([size_of::<Option<Fd>>(), size_of::<Result<Option<Fd>>>()], [8, 16]);
        for number in [0, 7, i32::MAX, -1] {
            let fd = Fd::from_number(number);
            assert_eq!((fd.number(), fd.by_ref().number()), (number, number));
            // It is nobody's.
            assert_eq!(fd.leak(), number);
        }
    }
}
