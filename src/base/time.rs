//! Calendar time without a clock.
