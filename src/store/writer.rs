//! The one writer: a thread that owns the store, so that the next rows are derived while the last ones are written.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use anyhow::{Context, anyhow};

use tokio::sync::watch;

use super::{
    Step, Store,
    healing::{damage, is_damage},
};
use crate::measured::STEP;

/// Steps that may wait: enough to keep both threads busy, few enough to keep memory flat.
const STEPS_WAITING_MAX: usize = 2;
/// Rows after which a backlog is committed.
const ROWS_PER_COMMIT: usize = 30_000;

type Call = Box<dyn FnOnce(&mut Store) + Send>;

enum Job {
    Write(Box<Step>),
    Call(Call),
    Stop,
}

/// A handle to the writer.
pub struct Writer {
    jobs: SyncSender<Job>,
    commits: watch::Receiver<u64>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the writer.
    pub fn start(store: Store) -> anyhow::Result<Self> {
        let commits = store.commits.subscribe();
        let (jobs, queue) = sync_channel(STEPS_WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(store, &queue))
            .context("cannot start the writer")?;
        Ok(Self {
            jobs,
            commits,
            thread,
        })
    }

    /// Hands a step over; what goes wrong with it comes back from the next [`Writer::commit`].
    pub fn write(&self, step: Step) -> anyhow::Result<()> {
        self.jobs
            .send(Job::Write(Box::new(step)))
            .map_err(|_| anyhow!("the writer has stopped"))
    }

    /// Runs something on the store behind all steps handed over so far. When it fails, all since the last commit is taken back
    /// at once: what it left half done must not be committed with what somebody else has to write.
    pub fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Store) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self::call(&self.jobs, |store| {
            let done = call(store);
            if done.is_err() {
                store.roll_back();
            }
            done
        })
    }

    /// Commits all steps handed over so far. When it fails, all since the last commit are taken back.
    pub fn commit(&self) -> anyhow::Result<()> {
        self.call(|store| {
            store.settle()?;
            store.commit().context("cannot commit")
        })
    }

    /// Counts the commits that changed anything.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Whether its thread has ended, which it does by itself only in a panic.
    pub fn has_ended(&self) -> bool {
        self.commits.has_changed().is_err()
    }

    /// A handle for the tasks beside the pipeline.
    pub fn handle(&self) -> Handle {
        Handle {
            jobs: self.jobs.clone(),
        }
    }

    /// Stops behind all steps handed over; what is not committed is taken back.
    pub fn stop(self) {
        // When the send fails, the thread has ended already.
        let _ = self.jobs.send(Job::Stop);
        if self.thread.join().is_err() {
            log::error!("the writer ended in a panic");
        }
    }
}

/// Lets the tasks beside the pipeline write: acknowledgements, an operator's request, how far the central office is.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Job>,
}

impl Handle {
    /// Runs something on the store and commits it; when it returns, that is on the disk. When it fails, only its own doing is
    /// taken back. It blocks until the writer gets to it.
    pub fn transact<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Store) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self::call(&self.jobs, move |store| {
            anyhow::ensure!(
                store.is_sound(),
                "the store cannot be written at the moment"
            );
            let done = store.within_savepoint(call);
            if let Err(error) = &done
                && is_damage(error)
            {
                store.failure = Some(damage(error));
            }
            let done = done?;
            store.attempt_commit();
            match &store.failure {
                // The pipeline will hear of it, too: its steps were in the same transaction.
                Some(failure) => Err(anyhow!("cannot commit: {failure:#}")),
                None => Ok(done),
            }
        })
    }

    /// The same for a task: the wait does not hold up the others.
    pub async fn transact_async<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Store) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let handle = self.clone();
        tokio::task::spawn_blocking(move || handle.transact(call)).await?
    }

    /// Tells of an error that a reader met. Where it says that the store is damaged, the pipeline's next commit fails for it, and
    /// with that the daemon ends, to be mended by its next start. It blocks until the writer gets to it.
    pub fn report(&self, error: &anyhow::Error) {
        if is_damage(error) {
            let damage = damage(error);
            let reporting = self::call(&self.jobs, |store| {
                store.failure.get_or_insert(damage);
                Ok(())
            });
            if let Err(error) = reporting {
                log::debug!(cause = format!("{error:#}"); "cannot tell of the damage");
            }
        }
    }

    /// The same for a task: the wait does not hold up the others.
    pub async fn report_async(&self, error: &anyhow::Error) {
        if is_damage(error) {
            let (handle, damage) = (self.clone(), damage(error));
            // It cannot fail but by a panic, and there is nobody to tell.
            let _ = tokio::task::spawn_blocking(move || handle.report(&damage)).await;
        }
    }
}

fn call<T: Send + 'static>(
    jobs: &SyncSender<Job>,
    call: impl FnOnce(&mut Store) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (answer, answered) = sync_channel(1);
    let job = Job::Call(Box::new(move |store| {
        let done = call(store);
        if let Err(error) = &done {
            store.make_room(error);
        }
        // Nobody waits any more when the caller is gone.
        let _ = answer.send(done);
    }));
    jobs.send(job)
        .map_err(|_| anyhow!("the writer has stopped"))?;
    answered.recv().context("the writer has stopped")?
}

fn run(mut store: Store, queue: &Receiver<Job>) {
    let mut rows = 0;
    while let Ok(job) = queue.recv() {
        match job {
            Job::Write(step) => {
                rows += step.rows.len();
                store.attempt(&step);
                if rows >= ROWS_PER_COMMIT && store.is_sound() {
                    rows = 0;
                    store.attempt_commit();
                }
            }
            Job::Call(call) => call(&mut store),
            Job::Stop => break,
        }
    }
    store.roll_back();
}

impl Store {
    /// Writes a step; after a failure nothing is written until [`Store::settle`] has told of it.
    fn attempt(&mut self, step: &Step) {
        if self.failure.is_some() {
            return;
        }
        let written = self
            .begin()
            .map_err(anyhow::Error::from)
            .and_then(|()| STEP.time(|| self.write(step)));
        self.fail(written.err());
    }

    /// Keeps a failure until it is told of; room is made at once.
    fn fail(&mut self, failure: Option<anyhow::Error>) {
        if let Some(error) = &failure {
            self.make_room(error);
        }
        self.failure = failure;
    }

    fn within_savepoint<T>(
        &mut self,
        call: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.begin()?;
        self.connection.execute_batch("SAVEPOINT call")?;
        let done = call(self);
        if let Err(error) = &done
            && self.connection.is_autocommit()
        {
            // When the disk is full, SQLite may take back the whole transaction, the pipeline's steps with it: it must hear.
            let gone = format!("{error:#}");
            self.fail(Some(anyhow!("the transaction was taken back: {gone}")));
            return done;
        }
        let end = match done {
            Ok(_) => "RELEASE call",
            Err(_) => "ROLLBACK TO call; RELEASE call",
        };
        self.connection.execute_batch(end)?;
        done
    }

    fn attempt_commit(&mut self) {
        let failure = self.commit().err().map(anyhow::Error::from);
        self.fail(failure);
    }

    fn is_sound(&self) -> bool {
        self.failure.is_none()
    }

    /// Takes back what a failure left half done, without a word: it has been told of.
    pub fn forget_failure(&mut self) {
        self.failure = None;
        self.roll_back();
    }

    /// Tells of a failure since the last time, taking back what it left half done.
    fn settle(&mut self) -> anyhow::Result<()> {
        match self.failure.take() {
            None => Ok(()),
            Some(error) => {
                self.roll_back();
                Err(error.context("cannot store what was read"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_has_ended_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("a.db"), None).expect("a store");
        let writer = Writer::start(store).expect("a thread");
        writer.commit().expect("nothing to do");
        assert!(!writer.has_ended());
        let ending = writer
            .handle()
            .transact(|_| -> anyhow::Result<()> { panic!("as a test") });
        assert!(ending.is_err());
        // The answer's end is dropped before the store is.
        for _ in 0..10_000 {
            if writer.has_ended() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(writer.has_ended() && writer.commit().is_err());
        writer.stop();
    }
}
