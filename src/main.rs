//! The hand-written main.

fn main() {}
