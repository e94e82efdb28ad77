//! tar archives: ustar, pax and GNU, read as a stream.
