//! Floor 3: archives, layers and the store of images.

pub mod blobs;
pub mod bring;
pub mod commit;
mod filesystem;
pub mod helper;
pub mod import;
pub mod instruction;
pub mod land;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod reference;
pub mod registry;
pub mod remove;
pub mod resolve;
pub mod store;
#[cfg(test)]
mod store_tests;
pub mod stream;
pub mod tar;
pub mod walk;
