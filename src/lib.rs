//! vial: a container engine in one small static binary.
//!
//! The floors, from the ground up; imports point strictly downward:
//!
//! - [`base`] (F0): pure code, no system calls: errors, text, bytes, JSON, SHA-256, inflate, time.
//! - [`sys`] (F1): the one door to the kernel, its ledger, owned file descriptors, wrappers by kernel area.
//! - [`kernel`] (F2): typed kernel features: namespaces, mounts, cgroups, netlink, terminals, security.
//! - [`image`] (F3): archives and layers, and the store of images.
//! - [`network`] (F3): networks of containers: their name server, and the way in from the host's loopback.
//! - [`container`] (F4): the runtime specification, the plan, and the code that carries it out.
//! - [`cli`] (F5): flags, parsing, output, and one file per family of commands.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

// Before the others, which use its macros.
#[macro_use]
pub mod base;
#[macro_use]
pub mod sys;

pub mod cli;
pub mod container;
pub mod image;
pub mod kernel;
pub mod network;
pub mod storage;
