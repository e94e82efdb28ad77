//! Floor 3: archives, layers and the store of images.

pub mod reference;
pub mod tar;
