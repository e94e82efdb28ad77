//! Where a group lies below the mount point of a hierarchy.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::text::{Cut, Quoted};

/// The topmost directory of the groups that vial makes unless it is told another; it goes with the last of them.
pub(super) const DEFAULT_PARENT: &str = "vial";

/// A group's path below the mount point of every hierarchy: no leading slash, no empty component, no dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPath(&'static str);

impl GroupPath {
    /// Takes a path, absolute or relative; both mean from the mount point on.
    ///
    /// # Errors
    /// When it is empty, leads upwards, or has a component that can't be a directory's name.
    pub fn new(path: &str) -> Result<GroupPath> {
        let mut clean = String::new();
        for component in path.parts(b'/').filter(|component| !component.is_empty() && *component != ".") {
            // The kernel refuses newlines because they would break /proc/*/cgroup (`cgroup_mkdir`).
            if component == ".." || component.len() > 255 || component.bytes().any(|byte| matches!(byte, 0 | b'\n')) {
                return Err(Error::new(say!(
                    "the control group path {} has a component that is not allowed",
                    Quoted(path)
                ))
                .hint(phrase!("no `..`, no newline, at most 255 bytes each")));
            }
            if !clean.is_empty() {
                clean.push('/');
            }
            clean.push_str(component);
        }
        if clean.is_empty() {
            return Err(
                Error::new(phrase!("the control group path is empty")).hint(phrase!("give one such as /vial/NAME"))
            );
        }
        Ok(GroupPath(clean.leak()))
    }

    /// The group of a container: below `parent` (`--cgroup-parent`) or below `/vial`.
    ///
    /// # Errors
    /// As [`GroupPath::new`].
    pub fn of_container(parent: Option<&str>, id: &str) -> Result<GroupPath> {
        GroupPath::new(join!("{}/{}", parent.unwrap_or(DEFAULT_PARENT), id))
    }

    /// The path, without a leading slash.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The directories on the way to it below a mount point, topmost first, and itself: `a`, `a/b`, and `a/b/c`.
    #[inline(never)]
    pub(super) fn way(self) -> &'static [&'static str] {
        let mut way = Vec::new();
        for (at, byte) in self.0.bytes().enumerate() {
            if byte == b'/' {
                way.extend(self.0.get(..at));
            }
        }
        way.push(self.0);
        way.leak()
    }

    /// The directories above it: `a` and `a/b` for `a/b/c`.
    pub(super) fn parents(self) -> &'static [&'static str] {
        self.way().split_last().map_or(&[], |(_, parents)| parents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_and_relative_paths_mean_the_same() {
        assert_eq!(GroupPath::new("/a//b/./c/").unwrap(), GroupPath::new("a/b/c").unwrap());
        assert_eq!(GroupPath::of_container(None, "x").unwrap().as_str(), "vial/x");
        assert_eq!(GroupPath::of_container(Some("/docker"), "x").unwrap().as_str(), "docker/x");
    }

    #[test]
    fn a_path_that_leads_upwards_or_nowhere_is_refused() {
        for path in ["", "/", ".", "a/../b", "..", "a\nb", "a\0b", &"x".repeat(256)] {
            assert!(GroupPath::new(path).is_err(), "{path:?}");
        }
        assert!(GroupPath::new("a/..b/c..").is_ok());
    }

    #[test]
    fn parents_come_from_the_top() {
        let path = GroupPath::new("a/b/c").unwrap();
        assert_eq!(path.parents(), ["a", "a/b"]);
    }
}
