//! Floor 3: archives, layers and the store of images.

pub mod blobs;
pub mod bring;
pub mod commit;
pub mod elf;
mod filesystem;
pub mod frame;
pub mod helper;
pub mod import;
pub mod instruction;
pub mod land;
pub mod layer;
pub mod layout;
mod library;
pub mod manifest;
pub mod pack;
pub mod reference;
pub mod registry;
pub mod remove;
pub mod resolve;
mod room;
pub mod save;
pub mod store;
#[cfg(test)]
mod store_tests;
pub mod stream;
pub mod tar;
pub mod walk;
