//! `vial syscalls`: every call that the binary can make, and for what.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use crate::base::error::Result;
use crate::base::json::{Value, object};
use crate::base::sort::sort;
use crate::sys::{CallInfo, calls};

/// Lists the calls by name.
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let mut calls: Vec<CallInfo> = calls().collect();
    sort(&mut calls, |one, other| one.name < other.name);
    if context.parsed.on(Id::ReportJson) {
        let row = |call: &CallInfo| {
            object([
                ("number", (call.number as u64).into()),
                ("name", call.name.into()),
                ("purpose", call.purpose.into()),
            ])
        };
        super::print(&alloc::format!("{}\n", Value::from(calls.iter().map(row).collect::<Vec<Value>>())))?;
        return Ok(0);
    }
    let mut text = alloc::format!("{:<20}{:>6}  {}\n", "CALL", "NUMBER", "PURPOSE");
    for call in calls {
        text.push_str(&alloc::format!("{:<20}{:>6}  {}\n", call.name, call.number, call.purpose));
    }
    super::print(&text)?;
    Ok(0)
}
