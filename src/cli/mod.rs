//! Floor 5: the command line.

pub mod flags;
pub mod options;
pub mod parse;
