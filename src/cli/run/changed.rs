//! A run in the foreground of a container that is not quite what its files say.

use super::{Options, block_signals, create, end, follow};
use crate::base::error::Result;
use crate::cli::context::Context;
use crate::container::audit::Recorder;
use crate::container::run::Surroundings;
use crate::container::spec::Spec;
use crate::sys::poll;

/// Runs a container in the foreground, with some of what it is changed for this time.
///
/// # Errors
/// As for `vial run`.
pub(in crate::cli) fn with(
    context: &Context<'static>,
    options: Options,
    change: &dyn Fn(&mut Spec),
    recorder: Option<Recorder<'static>>,
) -> Result<u8> {
    let signals = block_signals()?;
    let mut life = create(context, options)?.life();
    change(life.launch.spec);
    life.recorder = recorder;
    let surroundings = Surroundings { standard: [None; 3], stays: false, signals };
    let result = life.start(&surroundings).and_then(|running| follow(running, &mut life));
    poll::block_signals(signals)?;
    end(&life, options, result)
}
