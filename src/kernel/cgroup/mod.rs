//! Control groups: limits, v1, v2 and hybrid hierarchies.
