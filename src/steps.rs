//! Work beside the plant's loop, step by step, each on a thread of its own: forecasts and plans.

use std::time::Duration;

use tokio::sync::watch;

use crate::store::writer::Handle;

/// Between two steps when nothing was committed.
const LOOK: Duration = Duration::from_secs(5);

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
    loop {
        let handle = handle.clone();
        let stepping = tokio::task::spawn_blocking(move || {
            let done = step(&mut work);
            if let Err(error) = &done {
                handle.report(error);
            }
            (work, done)
        });
        let done;
        // A panic within is one in a model's or our own arithmetic; without this work the daemon goes on.
        (work, done) = match stepping.await {
            Ok(stepped) => stepped,
            Err(error) => {
                log::error!(task = what, cause = error.to_string(); "a task has ended in a panic");
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
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            changed = committed.changed(), if !failing => if changed.is_err() {
                return;
            },
            _ = stopping.wait_for(|&stopping| stopping) => return,
        }
    }
}
