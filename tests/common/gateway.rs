//! The gateway in process: exports in, store out, by way of the watch or as `ingest` does.

use std::path::PathBuf;

use pumphouse::{
    calendar::{Calendar, Minute},
    config::Config,
    historian::{
        files::{End, Reader},
        minutes::MinuteRecords,
        watch::Watch,
    },
    pipeline::Pipeline,
    store::{Store, writer::Writer},
};

/// A gateway that is running.
pub struct Gateway<'c> {
    config: &'c Config,
    now: Minute,
    pipeline: Pipeline,
    watch: Watch,
}

impl<'c> Gateway<'c> {
    /// Goes on where the store of the config stands; `now` is the wall clock.
    pub fn open(config: &'c Config, now: Minute) -> Self {
        let store = Store::open(&config.store, None).expect("the store opens");
        let files = store.files().expect("the files are known");
        let writer = Writer::start(store).expect("the writer starts");
        let delay_min = config.historian.delivery_delay_min;
        let pipeline =
            Pipeline::new(config.plant.clone(), writer, delay_min).expect("the station loads");
        let watch = Watch::new(
            config.historian.format.clone(),
            Calendar::new(config.plant.zone.clone()),
            config.historian.watch.clone(),
            files,
        );
        Self {
            config,
            now,
            pipeline,
            watch,
        }
    }

    /// Takes in what is new in the watched folders; nothing of it is safe yet.
    pub fn read(&mut self) {
        let (changed, troubles) = self.watch.scan();
        assert_eq!(troubles, [], "the folder can be read");
        for path in changed {
            let (pipeline, now) = (&mut self.pipeline, self.now);
            let troubles = self
                .watch
                .read(&path, now, |piece| pipeline.feed(piece, now).map(drop));
            assert_eq!(
                troubles.expect("the store takes it"),
                [],
                "the file can be read"
            );
        }
    }

    /// Takes in what is new, and commits.
    pub fn look(&mut self) {
        self.read();
        self.commit();
    }

    /// Lets the wall clock pass.
    pub fn tick(&mut self, minute: Minute) {
        self.pipeline.tick(minute, minute).expect("a tick");
    }

    /// Commits.
    pub fn commit(&self) {
        self.pipeline.commit().expect("a commit");
    }

    /// Replays files whole, as `ingest` does.
    pub fn ingest(&mut self, paths: &[PathBuf]) {
        self.feed(paths).expect("the store takes it");
        self.commit();
    }

    /// Takes a minute that was polled from the PLC; it is not safe yet.
    pub fn poll(&mut self, records: MinuteRecords) {
        self.pipeline
            .poll(records, self.now)
            .expect("the store takes it");
    }

    /// The writer.
    pub fn writer(&self) -> &Writer {
        self.pipeline.writer()
    }

    /// Replays files whole; nothing of it is safe yet.
    pub fn feed(&mut self, paths: &[PathBuf]) -> anyhow::Result<()> {
        let known = self.writer().call(|store| store.files())?;
        let mut next = known.iter().map(|record| record.id).max().unwrap_or(0);
        let calendar = Calendar::new(self.config.plant.zone.clone());
        for path in paths {
            let same = known
                .iter()
                .find(|record| !record.detached && record.path == *path);
            let id = same.map_or_else(
                || {
                    next += 1;
                    next
                },
                |record| record.id,
            );
            let format = &self.config.historian.format;
            let mut reader = Reader::start(path, id, format, &calendar).expect("the file opens");
            if let Some(before) = known.iter().find(|record| record.id == id) {
                reader.expect_again(before);
            }
            while let Some(piece) = reader.next_piece(End::Final, self.now).expect("a piece") {
                self.pipeline.feed(piece, self.now)?;
            }
        }
        Ok(())
    }

    /// Stops. What is not committed is taken back, as after a crash.
    pub fn stop(self) {
        self.pipeline.stop();
    }

    /// Stops and goes on with what the store holds.
    #[must_use]
    pub fn restart(self) -> Self {
        let (config, now) = (self.config, self.now);
        self.stop();
        Self::open(config, now)
    }
}
