//! Runs in the foreground of containers that are not quite what their files say, or that have run before.

use alloc::boxed::Box;

use super::{Options, block_signals, create, end, follow};
use crate::base::error::{Error, Result};
use crate::cli::context::Context;
use crate::cli::lifecycle;
use crate::container::launch::Launch;
use crate::container::life::Life;
use crate::container::monitor::STOPPED;
use crate::container::run::Surroundings;
use crate::container::state::{Condition, PAUSED};
use crate::container::{disconnect, remains};
use crate::network::sweeper;
use crate::sys::{file, poll};

/// Changes what is about to be started.
type Change<'a> = dyn Fn(&mut Life<'static>) + 'a;

/// Runs a container in the foreground, with some of what it is changed for this time.
///
/// # Errors
/// As for `vial run`.
pub(in crate::cli) fn with(context: &Context<'static>, options: Options, change: &Change<'_>) -> Result<u8> {
    let signals = block_signals()?;
    let mut life = create(context, options)?.life();
    change(&mut life);
    let surroundings = Surroundings { standard: [None; 3], stays: false, signals };
    let result = life.start(&surroundings).and_then(|running| follow(running, &mut life));
    poll::block_signals(signals)?;
    end(&life, options, result)
}

/// Runs a container again that has ended, in the foreground.
///
/// # Errors
/// It runs; as for `vial start`.
pub(in crate::cli) fn again(context: &Context<'static>, name: &str, change: &Change<'_>) -> Result<u8> {
    let signals = block_signals()?;
    let (root, bundles, seen) = lifecycle::look(context, name)?;
    let bundles = Box::leak(Box::new(bundles));
    if !matches!(seen.condition, Condition::Created | Condition::Exited) {
        return Err(Error::new(say!("container {} does not stand still", name))
            .hint(phrase!("a command in one that runs is followed by: vial why -- exec NAME COMMAND")));
    }
    let Some((directory, true)) = bundles.take(seen.id)? else {
        return Err(Error::new(say!("container {} is being started or removed by another process", name)));
    };
    let directory = Box::leak(Box::new(directory));
    for stale in [STOPPED, PAUSED] {
        let _ = file::unlink(directory.by_ref(), stale);
    }
    let launch = Box::leak(Box::new(Launch::read(directory.by_ref())?));
    let mut life = Life {
        root,
        bundles,
        id: seen.id,
        name: seen.name,
        directory,
        launch,
        state: seen.state,
        control: None,
        recorder: None,
        follower: None,
    };
    change(&mut life);
    let surroundings = Surroundings { standard: [None; 3], stays: false, signals };
    let result = life.start(&surroundings).and_then(|running| follow(running, &mut life));
    poll::block_signals(signals)?;
    if let Err(error) = &result {
        (life.state.pid, life.state.pid_start) = (0, 0);
        life.state.error = join!("{}", error);
        life.state.exit_code = error.exit_code().into();
        let _ = life.state.save(directory.by_ref());
    }
    let config = remains::config(directory.by_ref(), life.id);
    remains::remove_group(&config, life.id, None, false)?;
    sweeper::start(&disconnect::release(root, life.id)?);
    Ok(result?.code())
}
