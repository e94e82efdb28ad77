//! Floor 5: the command line.

pub mod flags;
pub mod help;
pub mod options;
pub mod output;
pub mod parse;
