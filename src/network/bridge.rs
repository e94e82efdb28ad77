//! What the kernel has of a network on a bridge.

use super::Network;
use crate::base::error::Result;

/// Removes what the kernel has of a network.
///
/// # Errors
/// What the kernel refuses.
pub fn remove(_network: &Network) -> Result<()> {
    Ok(())
}
