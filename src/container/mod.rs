//! Floor 4: containers. One way to make them: a specification becomes a plan, and the plan is carried out.

pub mod act;
pub mod bundle;
pub mod changes;
pub mod child;
mod confine;
pub mod connect;
pub mod connections;
pub mod control;
pub mod defaults;
pub mod disconnect;
pub mod files;
mod init;
pub mod launch;
pub mod life;
pub mod log;
pub mod monitor;
mod notify;
pub mod pasta;
mod paths;
pub mod plan;
pub mod process;
pub(crate) mod publish;
pub mod ranges;
pub mod readback;
mod relay;
pub mod remains;
pub mod root;
pub mod run;
pub mod spec;
pub mod state;
pub mod usage;
pub mod user;
pub mod volume;
#[cfg(feature = "weakened")]
mod weakened;
