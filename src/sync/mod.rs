//! From the store to the central office's PostgreSQL.
//!
//! *Invariants.* The rows of a batch and the site's mark move in one transaction, so a crash between any two statements leaves
//! both where they were. A batch sends ranges as they stand when it is sent: sent twice, late, or after a newer one, it ends in
//! the same rows. Nothing leaves the change log before the central office has it. Memory does not grow with the backlog: rows
//! are streamed from one snapshot.
//!
//! A backlog drains over two connections: while one batch is merged into the tables, the next one is on the line. They are
//! read, and delivered, one after the other and in order; what changes between its reading and its delivery is in the change
//! log behind it, and follows.

mod connect;
mod encode;
mod layout;
pub(crate) mod meet;
pub mod question;
mod send;
pub mod setup;
mod stage;
pub mod verify;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex as Turn, watch};

use crate::{
    attempts::Attempts,
    clock::Clock,
    config::Central,
    store::{
        Store,
        changes::Synced,
        outgoing::{Batch, Refused, Snapshot},
        ranges::Ranges,
        troubles::Part,
        writer::Handle,
    },
    watchdog::SYNC,
};
pub use connect::connect;
use connect::{answered, impatient};
use layout::{Layout, columns, layouts};
use meet::{Mark, Meeting, meet};
pub use send::Sent;
use send::{MOVED, Sender, commit, mark};
use stage::Source;

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
        let _running = SYNC.begins();
        let mut stopping = self.stopping.clone();
        let central = self.central.clone();
        let mut attempts = Attempts::new(
            Part::Central,
            self.handle.clone(),
            Clock::Wall,
            central.retry_s_max,
        );
        let block = Mutex::new(Block::new(self.central.batch_rows_max));
        loop {
            let served = AtomicBool::new(false);
            let again = attempts.failures() > 0;
            let error = tokio::select! {
                // What is under way is given up; it starts over the next time.
                _ = stopping.wait_for(|&stopping| stopping) => return,
                ended = impatient(&central, self.session(&block, &served, again)) => match ended {
                    Ok(()) => return,
                    Err(error) => error,
                },
            };
            if served.into_inner() {
                attempts.begin_anew();
            }
            locked(&block).shrink();
            if let Some(cause) = attempts.fail(&error).await {
                log::warn!(failures = attempts.failures(), cause; "the central office does not take anything; changes wait in the store");
            }
            let pause = attempts.pause();
            SYNC.rests(pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.wait_for(|&stopping| stopping) => return,
            }
        }
    }

    /// One connection: meets the central office and sends until something fails.
    async fn session(
        &mut self,
        block: &Mutex<Block>,
        served: &AtomicBool,
        again: bool,
    ) -> anyhow::Result<()> {
        let mut connection = connect(&self.central).await?;
        let columns = columns(&Snapshot::open(&self.store)?)?;
        let layouts = layouts(&mut connection, columns).await?;
        stage::prepare(&mut connection, &layouts).await?;
        let centre = mark(&mut connection, &self.site).await?;
        let snapshot = Snapshot::open(&self.store)?;
        let standing = snapshot.standing()?;
        let own = match &centre {
            Some(mark) => snapshot.nonce(mark.last_rev)?,
            None => None,
        };
        drop(snapshot);
        let from = match meet(&standing, centre.as_ref(), own) {
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
                if from < standing.acked {
                    self.handle
                        .transact_async(move |store| Ok(store.note_set_back(from)?))
                        .await?;
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
        let sending = Sending {
            centre: self,
            layouts: &layouts,
            epoch: standing.epoch,
            block,
            served,
            reading: Turn::new(Reading {
                from,
                newest_sent: 0,
            }),
            place: Turn::new(centre),
        };
        let mut committed = self.committed.clone();
        loop {
            SYNC.gets_on();
            committed.mark_unchanged();
            sending.drain(&mut connection).await?;
            if !served.swap(true, Ordering::Relaxed) {
                // Nothing waited, so nothing was confirmed.
                self.handle
                    .transact_async(|store| store.end_trouble(Part::Central))
                    .await?;
            }
            if let Ok(changed) = tokio::time::timeout(IDLE, committed.changed()).await {
                // Without a writer the daemon has ended.
                if changed.is_err() {
                    return Ok(());
                }
            } else if mark(&mut connection, &self.site).await? != *sending.place.lock().await {
                bail!("{MOVED}");
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

/// How far reading for the central office is.
struct Reading {
    /// The newest entry of the change log that was read.
    from: i64,
    /// What is newest was sent with the backlog up to this entry.
    newest_sent: i64,
}

/// What is to be read next.
struct Waiting {
    batch: Batch,
    /// The nonce of the newest entry of the change log in the batch.
    nonce: i64,
    /// The newest entry of the change log there is.
    newest: i64,
}

/// One meeting with the central office. Whoever has the turn to read takes the turn to deliver before giving it back, so
/// batches are delivered in the order in which they were read.
struct Sending<'a> {
    centre: &'a Centre,
    layouts: &'a BTreeMap<Synced, Layout>,
    epoch: String,
    block: &'a Mutex<Block>,
    served: &'a AtomicBool,
    reading: Turn<Reading>,
    /// The mark that the central office has of this site.
    place: Turn<Option<Mark>>,
}

impl Sending<'_> {
    /// Sends until nothing waits; a backlog over a second connection, too, if one can be had.
    async fn drain(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let Some(waiting) = self.next(&*self.reading.lock().await).await? else {
            return Ok(());
        };
        if waiting.batch.upto < waiting.newest
            && let Ok(mut second) = self.second().await
        {
            tokio::try_join!(self.send(connection), self.send(&mut second))?;
            return Ok(());
        }
        self.send(connection).await
    }

    async fn second(&self) -> anyhow::Result<PgConnection> {
        let mut connection = connect(&self.centre.central).await?;
        stage::prepare(&mut connection, self.layouts).await?;
        Ok(connection)
    }

    /// What is to be read next.
    async fn next(&self, reading: &Reading) -> anyhow::Result<Option<Waiting>> {
        let freezing = self.centre.handle.transact_async(Store::freeze_changes);
        let newest = freezing.await?;
        let snapshot = Snapshot::open(&self.centre.store)?;
        let rows_max = locked(self.block).rows;
        let Some(mut batch) = snapshot.batch((reading.from, newest), rows_max)? else {
            return Ok(None);
        };
        snapshot.add_newest(&mut batch, reading.newest_sent)?;
        let nonce = snapshot.nonce(batch.upto)?;
        Ok(Some(Waiting {
            batch,
            nonce: nonce.context("the change log has lost an entry")?,
            newest,
        }))
    }

    /// Sends batch after batch over one connection until nothing waits.
    async fn send(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let sender = Sender {
            site: &self.centre.site,
            layouts: self.layouts,
        };
        let source = Source {
            zone: &self.centre.zone,
            store: &self.centre.store,
            layouts: self.layouts,
        };
        loop {
            SYNC.gets_on();
            let mut reading = self.reading.lock().await;
            let Some(waiting) = self.next(&reading).await? else {
                return Ok(());
            };
            let Waiting {
                batch,
                nonce,
                newest,
            } = waiting;
            let upto = batch.upto;
            let begun = Instant::now();
            let mut transaction = answered(connection.begin()).await?;
            let staged = source.stage(&mut transaction, &batch).await?;
            let mut time = begun.elapsed();
            let mut place = self.place.lock().await;
            (reading.from, reading.newest_sent) = (upto, newest);
            drop(reading);
            let begun = Instant::now();
            sender.take_place(&mut transaction, place.as_ref()).await?;
            let sent = sender.deliver(&mut transaction, &batch, staged).await?;
            let had_refused = !Snapshot::open(&self.centre.store)?.refused()?.is_empty();
            if had_refused || !sent.refused.is_empty() {
                // Before they count as sent.
                self.centre
                    .keep_refused(batch.ranges, sent.refused.clone())
                    .await?;
            }
            let reached = Mark {
                epoch: self.epoch.clone(),
                last_rev: upto,
                nonce,
            };
            sender.move_mark(&mut transaction, &reached).await?;
            commit(transaction).await?;
            *place = Some(reached);
            self.centre
                .handle
                .transact_async(move |store| store.note_acked(upto, Clock::Wall.now_s()))
                .await?;
            drop(place);
            self.served.store(true, Ordering::Relaxed);
            time += begun.elapsed();
            locked(self.block).took(time);
            if let Some(refused) = sent.refused.first() {
                log::error!(rows = sent.refused.len(), reason = refused.reason.as_str(); "the central office refuses rows; they are kept in central_refused");
            }
        }
    }
}

/// The size of a block. Nothing is awaited, and nothing can fail, while it is locked.
fn locked(block: &Mutex<Block>) -> std::sync::MutexGuard<'_, Block> {
    block.lock().expect("nobody fails with it")
}
