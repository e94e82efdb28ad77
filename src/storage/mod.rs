//! Floor 3: what a container's root file system is made of.
