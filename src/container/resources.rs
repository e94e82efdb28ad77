//! Resource limits of the specification to those of the control groups.
