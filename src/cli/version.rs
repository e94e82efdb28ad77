//! `vial version`.

use super::context::Context;
use super::flags::Id;
use crate::base::error::Result;
use crate::base::json::Value;
use crate::container::spec::OCI_VERSION;

/// Prints the version.
pub(super) fn version(context: &Context<'_>) -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let machine = if cfg!(target_arch = "x86_64") {
        "x86_64"
    } else if cfg!(target_arch = "aarch64") {
        "aarch64"
    } else if cfg!(target_arch = "riscv64") {
        "riscv64"
    } else {
        "arm"
    };
    if context.parsed.on(Id::ReportJson) {
        let mut fields = Value::default();
        fields.text("Version", version);
        fields.text("Arch", machine);
        fields.text("OCIVersion", OCI_VERSION);
        super::print_line(&fields.to_compact())?;
    } else {
        super::print_line(say!("vial {} ({}, OCI runtime specification {})", version, machine, OCI_VERSION))?;
    }
    Ok(0)
}
