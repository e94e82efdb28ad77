//! Capabilities and privileges.

use super::{Read, RunOptions, conflict};
use crate::base::error::Result;
use crate::base::keep;
use crate::base::text;
use crate::cli::parse::Given;
use crate::kernel::security::caps;

impl RunOptions<'_> {
    /// The capabilities that the flags make of the default ones.
    #[must_use]
    pub fn capabilities(&self) -> u64 {
        caps::tweak(caps::DEFAULT, self.cap_add, self.cap_drop)
    }

    pub(super) fn check_capabilities(&self) -> Result<()> {
        if self.cap_add == caps::ALL && self.cap_drop == caps::ALL {
            return Err(conflict("cap-add", "cap-drop", phrase!("both name ALL"), phrase!("ALL for one of them")));
        }
        Ok(())
    }
}

/// `--security-opt`, of which there is one.
pub(super) fn option(text: &str) -> Read<&'static str> {
    let on = text.strip_prefix("no-new-privileges").and_then(|rest| match rest {
        "" => Some(true),
        _ => text::boolean(rest.strip_prefix(['=', ':'])?),
    });
    on.map(|on| if on { "true" } else { "false" }).ok_or(phrase!("no such option"))
}

/// Adds the bit of a capability, all for `ALL`, to a set.
#[inline(never)]
pub(super) fn capability(name: &str, set: &mut u64) -> Read<&'static str> {
    *set |= match &*name.to_ascii_uppercase() {
        "ALL" => caps::ALL,
        name => 1 << caps::number(name).ok_or(phrase!("no such capability"))?,
    };
    Ok("")
}

/// The capability that was probably meant.
pub(super) fn nearest(given: &Given<'_>) -> Option<&'static str> {
    text::nearest(&keep::lossy(given.value).to_ascii_uppercase(), &mut caps::names())
}
