//! SHA-256 with the processor's own instructions, where it has them.
