//! `vial version`.

use super::context::Context;
use super::flags::Id;
use crate::base::error::Result;
use crate::base::json::object;
use crate::container::spec::OCI_VERSION;

/// Prints the version.
pub(super) fn version(context: &Context<'_>) -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let machine = if cfg!(target_arch = "x86_64") {
        "x86_64"
    } else if cfg!(target_arch = "aarch64") {
        "aarch64"
    } else {
        "arm"
    };
    let text = if context.parsed.on(Id::ReportJson) {
        let fields =
            object([("Version", version.into()), ("Arch", machine.into()), ("OCIVersion", OCI_VERSION.into())]);
        alloc::format!("{fields}\n")
    } else {
        alloc::format!("vial {version} ({machine}, OCI runtime specification {OCI_VERSION})\n")
    };
    super::print(&text)?;
    Ok(0)
}
