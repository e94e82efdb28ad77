//! `vial syscalls`: every call that the binary can make, and for what.

use alloc::string::String;
use alloc::vec::Vec;

use super::audit;
use super::context::Context;
use super::flags::Id;
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep::text;
use crate::base::sort::sort;
use crate::sys::{CallInfo, calls};

/// Lists the calls by name.
#[inline(never)]
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let mut calls: Vec<CallInfo> = calls().collect();
    sort(&mut calls, |one, other| one.name < other.name);
    if context.parsed.on(Id::SyscallsSeccomp) {
        let names: Vec<&str> = calls.iter().map(|call| call.name).collect();
        super::print_line(&audit::allowing(&names).to_pretty())?;
        return Ok(0);
    }
    let json = context.parsed.on(Id::ReportJson);
    let mut rows = Vec::new();
    let mut text = String::from(text!("{:<20}{:>6}  {}\n", "CALL", "NUMBER", "PURPOSE"));
    for call in calls {
        if json {
            let mut row = Value::default();
            row.set("number", (call.number as u64).into());
            row.text("name", call.name);
            row.text("purpose", call.purpose.text().leak());
            rows.push(row);
        } else {
            text.push_str(text!("{:<20}{:>6}  {}\n", call.name, call.number, call.purpose));
        }
    }
    if json {
        super::print_line(&Value::from(rows).to_compact())?;
    } else {
        super::print(&text)?;
    }
    Ok(0)
}
