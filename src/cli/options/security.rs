//! Capabilities and privileges.

use super::conflict;
use crate::base::error::Result;
use crate::base::text;
use crate::cli::flags::Id;
use crate::cli::parse::Given;
use crate::kernel::security::caps;

/// What the process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// `--cap-add`: one bit for each capability, [`caps::ALL`] for `ALL`.
    pub cap_add: u64,
    /// `--cap-drop`, likewise.
    pub cap_drop: u64,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
}

impl Security {
    /// The capabilities that this makes of the default ones.
    #[must_use]
    pub fn capabilities(&self) -> u64 {
        caps::tweak(caps::DEFAULT, self.cap_add, self.cap_drop)
    }

    /// Takes a flag in; false if it belongs elsewhere.
    pub(super) fn set(&mut self, given: &Given<'_>) -> Result<bool> {
        match given.flag.id {
            Id::CapAdd => self.cap_add |= capability(given)?,
            Id::CapDrop => self.cap_drop |= capability(given)?,
            Id::SecurityOpt => {
                let on = given.text()?.strip_prefix("no-new-privileges").and_then(|rest| match rest {
                    "" => Some(true),
                    _ => text::boolean(rest.strip_prefix(['=', ':'])?),
                });
                self.no_new_privileges =
                    given.check(on, phrase!("no such option"), phrase!("no-new-privileges[=true|false]"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.cap_add == caps::ALL && self.cap_drop == caps::ALL {
            return Err(conflict("cap-add", "cap-drop", phrase!("both name ALL"), phrase!("ALL for one of them")));
        }
        Ok(())
    }
}

fn capability(given: &Given<'_>) -> Result<u64> {
    let name = given.text()?.to_ascii_uppercase();
    if name == "ALL" {
        return Ok(caps::ALL);
    }
    let form = phrase!("ALL, or a capability with or without CAP_, such as NET_ADMIN; capabilities(7) lists them");
    match caps::number(&name) {
        Some(number) => Ok(1 << number),
        None => Err(match text::nearest(&name, &mut caps::names()) {
            Some(near) => given.refuse(say!("no such capability; did you mean {}?", near), form),
            None => given.refuse(phrase!("no such capability"), form),
        }),
    }
}
