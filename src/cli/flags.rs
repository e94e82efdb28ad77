//! Every flag of every command, as one table.
