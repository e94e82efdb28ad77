//! Floor 1: the door to the kernel.
