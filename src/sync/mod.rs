//! From the store to the central office's PostgreSQL.
//!
//! *Invariants.* The rows of a batch and the site's mark move in one transaction, so a crash between any two statements leaves
//! both where they were. A batch sends ranges as they stand when it is sent: sent twice, late, or after a newer one, it ends in
//! the same rows. Nothing leaves the change log before the central office has it. Memory does not grow with the backlog: rows
//! are streamed from one snapshot.

mod connect;
mod encode;
mod layout;
pub(crate) mod meet;
mod send;
pub mod setup;
pub mod verify;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::{
    clock::{Clock, with_jitter},
    config::Central,
    store::{
        Store,
        changes::Synced,
        outgoing::{Refused, Snapshot},
        ranges::Ranges,
        writer::Handle,
    },
};
pub use connect::connect;
use connect::impatient;
use layout::{columns, layouts};
use meet::{Mark, Meeting, meet};
pub use send::Sent;
use send::{Sender, commit, mark};

/// A transaction should not take longer than this.
const BLOCK_MAX: Duration = Duration::from_secs(10);
/// Fewest rows of a block; the entries of the change log that make it up may hold more.
const BLOCK_ROWS_MIN: usize = 500;
/// A connection that has nothing to do is tried this often: a server that was restored meanwhile must be noticed.
const IDLE: Duration = Duration::from_secs(15);

/// Sends what changes to the central office.
pub struct Centre {
    /// The central office.
    pub central: Central,
    /// The site's id.
    pub site: String,
    /// The plant's zone.
    pub zone: TimeZone,
    /// The store.
    pub store: PathBuf,
    /// Writes how far the central office is.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
}

/// How many rows go in one transaction: as many as the line carries in a while. A slow one gets on by small steps, and one that
/// breaks every few minutes gets on at all.
struct Block {
    rows: usize,
    rows_max: usize,
}

impl Block {
    fn new(rows_max: usize) -> Self {
        Self {
            rows: rows_max,
            rows_max,
        }
    }

    fn took(&mut self, time: Duration) {
        if time > BLOCK_MAX {
            self.shrink();
        } else if time < BLOCK_MAX / 4 {
            self.rows = (self.rows * 2).min(self.rows_max);
        }
    }

    fn shrink(&mut self) {
        self.rows = (self.rows / 2).max(BLOCK_ROWS_MIN.min(self.rows_max));
    }
}

impl Centre {
    /// Sends until the daemon stops.
    pub async fn run(mut self) {
        let mut stopping = self.stopping.clone();
        let central = self.central.clone();
        let (mut failures, mut backoff_s) = (0u32, 1);
        let mut block = Block::new(self.central.batch_rows_max);
        loop {
            let mut served = false;
            let cause = tokio::select! {
                // What is under way is given up; it starts over the next time.
                _ = stopping.wait_for(|&stopping| stopping) => return,
                ended = impatient(&central, self.session(&mut block, &mut served, failures > 0)) => match ended {
                    Ok(()) => return,
                    Err(cause) => cause,
                },
            };
            if served {
                (failures, backoff_s) = (0, 1);
            }
            failures += 1;
            block.shrink();
            let trouble = format!("{cause:#}");
            // The first failure, then ever fewer: at 2, 4, 8 … in a row.
            if failures.is_power_of_two() {
                let told = trouble.clone();
                let noting = self
                    .handle
                    .transact_async(move |store| store.note_trouble(&told, Clock::Wall.now_s()));
                if let Err(error) = noting.await {
                    log::debug!(cause = format!("{error:#}"); "cannot note the central office's trouble");
                }
                log::warn!(failures, cause = trouble.as_str(); "the central office does not take anything; changes wait in the store");
            }
            let wait = with_jitter(backoff_s);
            backoff_s = (backoff_s * 2).min(self.central.retry_s_max);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopping.wait_for(|&stopping| stopping) => return,
            }
        }
    }

    /// One connection: meets the central office and sends until something fails.
    async fn session(
        &mut self,
        block: &mut Block,
        served: &mut bool,
        again: bool,
    ) -> anyhow::Result<()> {
        let mut connection = connect(&self.central).await?;
        let columns = columns(&Snapshot::open(&self.store)?)?;
        let layouts = layouts(&mut connection, columns).await?;
        let mut centre = mark(&mut connection, &self.site).await?;
        let snapshot = Snapshot::open(&self.store)?;
        let standing = snapshot.standing()?;
        let own = match &centre {
            Some(mark) => snapshot.nonce(mark.last_rev)?,
            None => None,
        };
        drop(snapshot);
        let mut from = match meet(&standing, centre.as_ref(), own) {
            Meeting::GoOn(from) => {
                match &centre {
                    None if standing.acked > 0 => {
                        log::warn!(
                            "the central office has nothing of this site; everything is sent again"
                        );
                    }
                    Some(mark) if mark.last_rev < standing.acked => {
                        log::warn!(
                            "the central office was restored from a backup; what it lacks is sent again"
                        );
                    }
                    _ => {}
                }
                from
            }
            Meeting::SendAll { after, why } => {
                log::info!(why; "everything is sent to the central office");
                self.handle
                    .transact_async(move |store| store.change_everything(after))
                    .await?;
                // The new entries, which lie behind, cover all that the older ones did.
                standing.newest
            }
            Meeting::Refuse(why) => bail!("{why}"),
        };
        if again {
            log::info!("the central office is there again");
        }
        loop {
            let newest = self.handle.transact_async(Store::freeze_changes).await?;
            let snapshot = Snapshot::open(&self.store)?;
            let Some(mut batch) = snapshot.batch((from, newest), block.rows)? else {
                drop(snapshot);
                *served = true;
                if let Ok(changed) = tokio::time::timeout(IDLE, self.committed.changed()).await {
                    // Without a writer the daemon has ended.
                    if changed.is_err() {
                        return Ok(());
                    }
                } else if mark(&mut connection, &self.site).await? != centre {
                    bail!("the central office's mark of this site has moved meanwhile");
                }
                continue;
            };
            snapshot.add_newest(&mut batch)?;
            let nonce = snapshot.nonce(batch.upto)?;
            drop(snapshot);
            let begun = Instant::now();
            let sender = Sender {
                site: &self.site,
                zone: &self.zone,
                store: &self.store,
                layouts: &layouts,
            };
            let (mut transaction, sent) = sender
                .send(&mut connection, &batch, centre.as_ref())
                .await?;
            let had_refused = !Snapshot::open(&self.store)?.refused()?.is_empty();
            if had_refused || !sent.refused.is_empty() {
                // Before they count as sent.
                self.keep_refused(batch.ranges, sent.refused.clone())
                    .await?;
            }
            let upto = batch.upto;
            let reached = Mark {
                epoch: standing.epoch.clone(),
                last_rev: upto,
                nonce: nonce.context("the change log has lost an entry")?,
            };
            sender.move_mark(&mut transaction, &reached).await?;
            commit(transaction).await?;
            centre = Some(reached);
            self.handle
                .transact_async(move |store| store.note_acked(upto, Clock::Wall.now_s()))
                .await?;
            from = upto;
            *served = true;
            block.took(begun.elapsed());
            if !sent.refused.is_empty() {
                let reason = sent.refused[0].reason.as_str();
                log::error!(rows = sent.refused.len(), reason; "the central office refuses rows; they are kept in central_refused");
            }
        }
    }

    /// Keeps the rows that were refused, and forgets those of the same ranges that were refused before.
    async fn keep_refused(
        &self,
        ranges: BTreeMap<Synced, Ranges>,
        refused: Vec<Refused>,
    ) -> anyhow::Result<()> {
        let now_s = Clock::Wall.now_s();
        self.handle
            .transact_async(move |store| store.replace_refused(&ranges, &refused, now_s))
            .await
            .context("cannot keep the rows that were refused")
    }
}
