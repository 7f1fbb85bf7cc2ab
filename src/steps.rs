//! Work beside the plant's loop, step by step, each on a thread of its own: forecasts and plans.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use anyhow::anyhow;

use tokio::sync::watch;

use crate::store::writer::Handle;

/// Between two steps when nothing was committed.
const LOOK: Duration = Duration::from_secs(5);
/// The longest pause behind a panic; each in a row doubles it.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Does `step` after each commit and every few seconds until the daemon stops. A step that fails is done again after a while; the
/// first failure in a row is told of under the name `what`, and whoever `handle` belongs to hears of a damaged store.
pub async fn steps<W: Send + 'static>(
    mut work: W,
    what: &'static str,
    handle: Handle,
    step: fn(&mut W) -> anyhow::Result<()>,
    mut committed: watch::Receiver<u64>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut failing = false;
    let mut pause = LOOK;
    loop {
        let handle = handle.clone();
        let stepping = tokio::task::spawn_blocking(move || {
            // A panic within is one in a model's or our own arithmetic: the daemon goes on without, and another minute's may do.
            let caught = catch_unwind(AssertUnwindSafe(|| step(&mut work)));
            let panicked = caught.is_err();
            let done = caught
                .unwrap_or_else(|_| Err(anyhow!("a panic, of which the journal has the place")));
            if let Err(error) = &done {
                handle.report(error);
            }
            (work, done, panicked)
        });
        let (done, panicked);
        (work, done, panicked) = match stepping.await {
            Ok(stepped) => stepped,
            Err(error) => {
                log::error!(task = what, cause = error.to_string(); "a task has ended");
                return;
            }
        };
        match done {
            Ok(()) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    log::warn!(task = what, cause = format!("{error:#}"); "a task cannot go on; trying again");
                }
            }
        }
        let wait = pause;
        pause = match panicked {
            true => (2 * pause).min(PAUSE_MAX),
            false => LOOK,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = committed.changed(), if !failing => if changed.is_err() {
                return;
            },
            _ = stopping.wait_for(|&stopping| stopping) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, writer::Writer};

    #[tokio::test]
    async fn a_step_that_panics_is_done_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("a.db"), None).expect("a store");
        let writer = Writer::start(store).expect("a thread");
        let (stop, stopping) = watch::channel(false);
        let step = |(steps, stop): &mut (u32, watch::Sender<bool>)| {
            *steps += 1;
            assert!(*steps > 1, "as a test");
            stop.send_replace(true);
            Ok(())
        };
        let work = (0, stop);
        let (handle, commits) = (writer.handle(), writer.commits());
        tokio::time::timeout(
            4 * LOOK,
            steps(work, "work", handle, step, commits, stopping),
        )
        .await
        .expect("it goes on behind the panic");
        writer.stop();
    }
}
