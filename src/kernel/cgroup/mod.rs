//! Control groups.

/// A group.
pub struct Group;

impl Group {
    /// Joins.
    ///
    /// # Errors
    /// None.
    pub fn join_self(&self) -> crate::base::error::Result<()> {
        Ok(())
    }
}
