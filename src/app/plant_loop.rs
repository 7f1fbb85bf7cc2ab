//! The plant's loop: scan, read, derive, commit, tick, on a thread of its own.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use super::{Command, call_plan};
use crate::{
    calendar::{Calendar, Minute, utc_text},
    clock::Clock,
    config::Config,
    historian::{
        files::Piece,
        watch::{Hint, Trouble, Watch},
    },
    modbus::{Sample, Takeover},
    pipeline::{Intake, Pipeline},
    publish,
    store::{
        healing::{self, Exported},
        operators::Now,
        retention::Kept,
    },
    watchdog::{ALARM, INGEST},
};

/// How long to wait before the store is tried again after a failure, s.
const STORE_RETRY_S: u64 = 5;
/// Between two looks at the room on the disk.
const DISK_LOOK: Duration = Duration::from_secs(10);
/// Rows in one pass from which a word about them is due.
const ROWS_WORTH_A_WORD: u64 = 100;
/// 2026-01-01, before which this version was not made: a clock that says less was not set.
const MADE: Minute = 29_453_760;
/// How far ahead of the newest row a line may lie while the clock cannot be believed, min: a year.
const OFF_MIN_MAX: i64 = 366 * 1440;
/// 2100-01-01: the same where there is no row.
const FAR: Minute = 68_374_080;

/// What the clock says, and how far to believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    /// The clock's minute or, when it is behind, that of the newest row.
    now: Minute,
    /// The minute by which lines of exports are held to lie in the future.
    reading: Minute,
    /// Whether the clock can be believed.
    trusted: bool,
}

impl Time {
    fn believed(clock: Minute, newest: Option<Minute>) -> Self {
        let newest_or_made = newest.unwrap_or(MADE);
        if clock >= newest_or_made {
            return Self {
                now: clock,
                reading: clock,
                trusted: true,
            };
        }
        // How long the box was off is not known; a year is more than exports are kept for.
        Self {
            now: newest_or_made,
            reading: newest.map_or(FAR, |newest| newest + OFF_MIN_MAX),
            trusted: false,
        }
    }
}

/// Takes the plant's data.
pub(super) struct PlantLoop {
    config: Config,
    pipeline: Pipeline,
    watch: Watch,
    hint: Option<Hint>,
    clock: Clock,
    /// The minute in which the ends of shelvings were looked at.
    holds_checked: i64,
    /// When the room on the disk was looked at.
    disk_checked: Instant,
    /// What the budget of the disk came to then.
    kept: Kept,
    clock_trusted: bool,
    /// Who feeds the station; `None` without a PLC in the config.
    takeover: Option<Takeover>,
    /// Minutes polled that are for the station and not committed yet.
    polled: Vec<Sample>,
    /// What the exports have to give again after the store was mended.
    owed: Option<Exported>,
    commands: Sender<Command>,
}

/// The standing of the exports and the PLC, from where the store stands.
fn takeover(
    config: &Config,
    pipeline: &Pipeline,
    clock: Clock,
) -> anyhow::Result<Option<Takeover>> {
    let Some(modbus) = &config.modbus else {
        return Ok(None);
    };
    let newest = pipeline
        .writer()
        .call(|store| store.newest_exported_row())?;
    let takeover = Takeover::new(modbus.takeover_after_min, newest, clock.minute());
    Ok(Some(takeover))
}

fn open_watch(config: &Config, pipeline: &Pipeline) -> anyhow::Result<Watch> {
    let records = pipeline.writer().call(|store| store.files())?;
    let calendar = Calendar::new(config.plant.zone.clone());
    Ok(Watch::new(
        config.historian.format.clone(),
        calendar,
        config.historian.watch.clone(),
        records,
    ))
}

impl PlantLoop {
    /// Before its first look.
    pub(super) fn new(
        config: Config,
        pipeline: Pipeline,
        clock: Clock,
        commands: Sender<Command>,
        owed: Option<Exported>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            watch: open_watch(&config, &pipeline)?,
            takeover: takeover(&config, &pipeline, clock)?,
            polled: Vec::new(),
            owed,
            hint: None,
            config,
            pipeline,
            clock,
            holds_checked: 0,
            disk_checked: Instant::now(),
            kept: Kept::Everything,
            clock_trusted: true,
            commands,
        })
    }

    /// Goes on until it is told to stop, or until the store is damaged or has nobody any more who writes to it.
    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        let _running = (INGEST.begins(), ALARM.begins());
        self.listen();
        let mut failing = false;
        loop {
            match self.pass() {
                Ok(intake) => {
                    if intake.rows + intake.late >= ROWS_WORTH_A_WORD {
                        let Intake {
                            rows, late, alerts, ..
                        } = intake;
                        log::info!(rows, late, alerts; "exports read");
                    }
                    if intake.rows + intake.late == 0 && self.watch.is_well() {
                        self.settle_owed();
                    }
                    if intake.gone > 0 {
                        log::warn!(minutes = intake.gone; "minutes are older than what is kept, and passed over");
                    }
                    if std::mem::take(&mut failing) {
                        log::info!("the store can be written again");
                    }
                }
                Err(error) => {
                    if healing::is_damage(&error) {
                        log::error!(cause = format!("{error:#}"); "the store is damaged; the next start mends it");
                        break;
                    }
                    if self.pipeline.writer().has_ended() {
                        log::error!(cause = format!("{error:#}"); "nothing can be stored any more; the next start goes on");
                        break;
                    }
                    if !std::mem::replace(&mut failing, true) {
                        log::error!(cause = format!("{error:#}"); "what was read cannot be stored; trying again");
                    }
                    // What cannot be stored is tried again; nothing hangs.
                    ALARM.gets_on();
                    if !self.has_made_room() {
                        std::thread::sleep(Duration::from_secs(STORE_RETRY_S));
                    }
                    if let Err(error) = self.recover() {
                        log::debug!(cause = format!("{error:#}"); "not yet");
                    }
                }
            }
            let pause = Duration::from_secs_f64(self.config.historian.scan_interval_s);
            INGEST.rests(pause);
            ALARM.rests(pause);
            match queue.recv_timeout(pause) {
                Ok(Command::Look) => {
                    // One write shows as several changes; let them come together.
                    std::thread::sleep(Duration::from_millis(50));
                    if !self.follow(queue.try_iter()) {
                        break;
                    }
                }
                Ok(command) => {
                    if !self.follow(std::iter::once(command)) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.pipeline.stop();
    }

    /// Once everything that is there is read: tells what the damaged store had and no export has given again.
    fn settle_owed(&mut self) {
        let Some(owed) = self.owed.take() else { return };
        match self
            .pipeline
            .writer()
            .call(move |store| store.lacks_of(&owed))
        {
            Ok(..=0) => {
                log::info!(minutes = owed.rows; "what the damaged store had of the exports is there again")
            }
            Ok(lost) => {
                let [after, upto] = [owed.after_s, owed.upto_s].map(|s| utc_text(s / 60));
                log::warn!(minutes = lost, after, upto; "minutes of the damaged store are in no watched export; pumphouse ingest reads them from an archive");
            }
            Err(error) => {
                log::debug!(cause = format!("{error:#}"); "what is there again cannot be counted yet");
                self.owed = Some(owed);
            }
        }
    }

    /// Does what it is told; false when that is to stop.
    fn follow(&mut self, commands: impl Iterator<Item = Command>) -> bool {
        for command in commands {
            match command {
                Command::Look => {}
                Command::Polled(sample) => self.polled(*sample),
                Command::Stop => return false,
                Command::Reload(config) => {
                    if let Err(error) = self.reload(*config) {
                        log::error!(cause = format!("{error:#}"); "the changed config cannot be used");
                    }
                }
            }
        }
        true
    }

    fn reload(&mut self, config: Config) -> anyhow::Result<()> {
        let face = publish::face(&config);
        let calls = call_plan(&config, self.clock);
        self.pipeline.writer().call(move |store| {
            store.set_face(face);
            store.set_call_plan(calls);
            Ok(())
        })?;
        self.pipeline
            .set_plant(config.plant.clone(), config.historian.delivery_delay_min);
        self.watch = open_watch(&config, &self.pipeline)?;
        if config.modbus != self.config.modbus {
            self.takeover = takeover(&config, &self.pipeline, self.clock)?;
        }
        self.config = config;
        self.listen();
        Ok(())
    }

    /// After a failure to store: back to where the store stands.
    fn recover(&mut self) -> anyhow::Result<()> {
        self.pipeline.recover()?;
        self.watch = open_watch(&self.config, &self.pipeline)?;
        Ok(())
    }

    /// Whether the reserve was given up for what just failed.
    fn has_made_room(&self) -> bool {
        let asking = self
            .pipeline
            .writer()
            .call(|store| Ok(store.take_made_room()));
        asking.unwrap_or(false)
    }

    /// Lets the kernel's change reports wake the loop, where there are any.
    fn listen(&mut self) {
        let commands = self.commands.clone();
        self.hint = Some(Hint::new(&self.config.historian.watch, move || {
            // The loop has ended when it cannot be woken.
            let _ = commands.send(Command::Look);
        }));
    }

    /// Reads what is new, lets the clock pass, commits.
    fn pass(&mut self) -> anyhow::Result<Intake> {
        INGEST.gets_on();
        let mut intake = Intake::default();
        let mut exported = None;
        let (files, troubles) = self.watch.scan();
        troubles.iter().for_each(tell);
        for path in files {
            let time = self.time();
            let Self {
                watch, pipeline, ..
            } = self;
            let mut warned = false;
            let troubles = watch.read(&path, time.reading, |piece| {
                INGEST.gets_on();
                exported = exported.max(piece.minutes.last().map(|records| records.minute));
                if let Some(warning) = piece.record.tally.marker_warning(&piece.record.path)
                    && !std::mem::replace(&mut warned, true)
                {
                    log::warn!(warning; "many records are passed over for their marker");
                }
                tell_file(&piece);
                intake += pipeline.feed(piece, time.now)?;
                ALARM.gets_on();
                Ok(())
            })?;
            troubles.iter().for_each(tell);
        }
        let Time { now, trusted, .. } = self.time();
        self.exported(exported, now);
        for sample in &self.polled {
            intake += self.pipeline.poll(sample.records(), now)?;
        }
        if trusted {
            self.pipeline
                .tick(now - self.config.historian.delivery_delay_min, now)?;
        }
        self.pipeline.commit()?;
        ALARM.gets_on();
        self.polled.clear();
        // A day of minutes or a backup went: there may be more of them, as after a reload with a smaller budget.
        let is_purging = matches!(self.kept, Kept::Purged(_) | Kept::Backup);
        if is_purging || self.disk_checked.elapsed() >= DISK_LOOK {
            self.disk_checked = Instant::now();
            self.keep_disk()?;
        }
        if now != self.holds_checked && trusted {
            self.holds_checked = now;
            self.end_holds()?;
        }
        Ok(intake)
    }

    /// Makes the reserve again where it was given up, and purges what the disk has no room for.
    fn keep_disk(&mut self) -> anyhow::Result<()> {
        let (budget, has_office) = (self.config.budget, self.config.central.is_some());
        // Elsewhere they may be on a disk that hangs.
        let (store, backups) = (&self.config.store, &self.config.backups.folder);
        let is_beside = store.parent().is_some_and(|it| backups.starts_with(it));
        let backups = is_beside.then(|| backups.clone());
        let kept = self.pipeline.writer().call(move |store| {
            store.keep_reserve();
            store.keep_budget(&budget, backups.as_deref(), has_office)
        })?;
        let has_changed = std::mem::replace(&mut self.kept, kept) != kept;
        match kept {
            Kept::Purged(minutes) => {
                log::info!(minutes; "the oldest raw minutes are gone, to keep the disk's budget");
            }
            Kept::Newest if has_changed => {
                log::warn!(
                    "the disk's budget is exceeded, and the minutes that are left stay: make room on this disk"
                );
            }
            Kept::Others if has_changed => {
                log::warn!(
                    "the disk's budget is exceeded by more than the store takes, so its minutes stay: make room on this disk"
                );
            }
            Kept::Unsent if has_changed => {
                log::warn!(
                    "the disk's budget is exceeded, and the central office does not have the oldest minutes, or not for long, so they stay"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Hears how new the exports are: when they are back, the PLC steps back.
    fn exported(&mut self, minute: Option<Minute>, now: Minute) {
        if let (Some(takeover), Some(minute)) = (&mut self.takeover, minute)
            && takeover.exported(minute, now)
        {
            log::info!("the exports are back; the PLC stands by");
        }
    }

    /// Takes what was polled, as far as it is for the station.
    fn polled(&mut self, sample: Sample) {
        let now = self.time().now;
        let Some(takeover) = &mut self.takeover else {
            return;
        };
        let before = takeover.state();
        self.polled.extend(takeover.polled(sample, now));
        if takeover.state() != before {
            log::warn!("the exports stay away; the PLC feeds the station");
        }
    }

    /// The time as far as it can be believed: a clock below the newest row was not set yet, and nothing that depends on it happens.
    fn time(&mut self) -> Time {
        let time = Time::believed(self.clock.minute(), self.pipeline.clock());
        if self.clock_trusted != time.trusted {
            self.clock_trusted = time.trusted;
            if time.trusted {
                log::info!("the clock can be believed again");
            } else {
                log::warn!(
                    "the clock is behind the newest row: it is not synchronised, and what depends on it waits"
                );
            }
        }
        time
    }

    /// Ends shelvings whose time is up.
    fn end_holds(&mut self) -> anyhow::Result<()> {
        let ts = self.clock.now_s();
        let mut calendar = Calendar::new(self.config.plant.zone.clone());
        let local = calendar.local(ts.div_euclid(60)).minute;
        let ended = self
            .pipeline
            .writer()
            .handle()
            .transact(move |store| store.expire_holds(Now { ts, local }))?;
        if ended > 0 {
            log::info!(ended; "shelved alarms are shown again");
        }
        Ok(())
    }
}

/// Tells what a file is, once it begins, and what keeps it from being read.
fn tell_file(piece: &Piece) {
    let path = piece.record.path.display().to_string();
    if piece.from_line == 1 && !piece.record.layout.is_empty() {
        log::info!(path, format = piece.record.layout.as_str(); "export begins");
    }
    if let Some(moved) = &piece.moved_tags {
        log::warn!(path, cause = moved.as_str(); "tag table has changed");
    }
    if let Some(refusal) = &piece.refusal {
        log::warn!(path, line = refusal.line, cause = refusal.reason.as_ref(); "export is not read on");
    }
}

fn tell(trouble: &Trouble) {
    match trouble {
        Trouble::Began(path, cause) => {
            log::warn!(path = path.display().to_string(), cause = cause.as_str(); "cannot be read; it is tried again at each scan");
        }
        Trouble::Over(path) => log::info!(path = path.display().to_string(); "can be read again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_below_the_newest_row_is_not_believed() {
        assert_eq!(utc_text(MADE), "2026-01-01T00:00:00Z");
        assert_eq!(utc_text(FAR), "2100-01-01T00:00:00Z");
        let newest = MADE + 1000;
        let set = Time::believed(newest + 3, Some(newest));
        assert!(set.trusted && set.now == newest + 3 && set.reading == set.now);
        for clock in [0, newest - 1] {
            let unset = Time::believed(clock, Some(newest));
            assert_eq!((unset.trusted, unset.now), (false, newest));
            assert!(unset.reading > newest + 100_000);
        }
        assert!(!Time::believed(0, None).trusted);
        assert!(Time::believed(MADE, None).trusted);
    }
}
