//! What the reader must do.
