//! Words on the command line to flags and positionals.
