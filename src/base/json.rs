//! JSON text to values and back.
