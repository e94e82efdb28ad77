//! What flags' values mean: typed options of `run`.
