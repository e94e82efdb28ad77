//! Floor 3: the container's network.
