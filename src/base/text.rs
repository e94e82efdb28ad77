//! Reading numbers, sizes and names that people type.
