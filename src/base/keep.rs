//! Text that stays until the process ends.
//!
//! Each of vial's processes serves one command and is gone. What a command is asked to do, and what it makes of that once, is
//! not given back: a reference that is valid for ever can be copied, and code that frees it on every way out of a function is
//! not there. What is made again and again, for each file of an archive say, is owned and freed as usual.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::slice;

/// What stays, with all that it owns: a box or a vector that no code gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept<T>(ManuallyDrop<T>);

impl<T> Kept<T> {
    /// Keeps this.
    #[must_use]
    pub const fn new(what: T) -> Kept<T> {
        Kept(ManuallyDrop::new(what))
    }

    /// It does not stay after all.
    #[must_use]
    pub fn into_inner(self) -> T {
        ManuallyDrop::into_inner(self.0)
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'a, T> IntoIterator for &'a Kept<Vec<T>> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.iter()
    }
}

/// Formats text that stays.
#[must_use]
#[inline(never)]
pub fn format(words: fmt::Arguments<'_>) -> &'static str {
    alloc::fmt::format(words).leak()
}

/// A copy that stays.
#[must_use]
#[inline(never)]
pub fn copy(text: &str) -> &'static str {
    String::from(text).leak()
}

/// Bytes as text that stays, with a mark in the place of what is not UTF-8.
#[must_use]
#[inline(never)]
pub fn lossy(bytes: &[u8]) -> &'static str {
    String::from_utf8_lossy(bytes).into_owned().leak()
}

/// `text!("{name}.json")`: as `format!`, for text that stays.
macro_rules! text {
    ($($words:tt)*) => { $crate::base::keep::format(format_args!($($words)*)) };
}
pub(crate) use text;
