//! The plan of a further process in a container that runs.

use super::rights::{modules, process_rights};
use super::{Action, Planner, Stage, Step, clone_flag, namespaces, oom_score, process_limits};
use crate::base::error::Result;
use crate::container::spec::{NamespaceKind, Process, Spec};

/// A process of a container that runs, to be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    /// A descriptor that holds it; -1 before Linux 5.3.
    pub held: i32,
    /// Its number.
    pub pid: u32,
    /// When it began.
    pub then: u64,
}

/// The plan of a further process in a container that runs. What must not be led astray by the container's files comes before
/// its namespaces are entered. The process itself stays outside of the PID namespace, where nothing of the container can see or
/// trace it; only what it clones in the end is in there.
///
/// # Errors
/// What the specification asks for and can't be done.
pub fn enter(spec: &Spec, process: &Process, container: Entered) -> Result<&'static [Step]> {
    let plan = Planner::new(32);
    oom_score(plan, Some(process));
    plan.rare(spec, Some(process), Stage::Joins)?;
    process_limits(plan, process)?;
    modules(plan, spec, process);
    plan.why =
        phrase!("move to the container's namespaces, the mounts last: from then on all paths are the container's");
    let kinds = libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | namespaces(spec).iter().fold(0, |kinds, namespace| match namespace.kind {
            NamespaceKind::User | NamespaceKind::Time => kinds | clone_flag(namespace.kind),
            _ => kinds,
        });
    plan.add(Action::Enter { container, kinds });
    if process.terminal {
        plan.why = phrase!("make a terminal of the container's own");
        plan.add(Action::Console { first: false });
    }
    plan.rare(spec, Some(process), Stage::Joined)?;
    process_rights(plan, spec, process)?;
    Ok(&plan.steps)
}
