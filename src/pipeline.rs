//! From a piece of an export to the store: late minutes are merged and derived once more, new ones go through the
//! station, and one step carries rows, alerts, figures and the file's position to the writer.

use std::sync::Arc;

use crate::{
    calendar::{Calendar, Minute},
    historian::{files::Piece, minutes::MinuteRecords},
    plant::Plant,
    rules::{CATALOGUE, engine::Kind},
    station::{Effects, Station},
    store::{NewRow, Step, reading, writer::Writer},
    tags::pump_name,
};

/// How much later than `delivery_delay_min` a minute may come and still be news, min.
const NEWS_MARGIN_MIN: i64 = 15;

/// The station and its store.
pub struct Pipeline {
    plant: Arc<Plant>,
    calendar: Calendar,
    station: Option<Station>,
    writer: Writer,
    delivery_delay_min: i64,
}

/// What a pass has taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// New rows.
    pub rows: u64,
    /// Minutes that came late, or again.
    pub late: u64,
    /// Those of them that are older than what is kept, and were passed over.
    pub gone: u64,
    /// Alerts raised.
    pub alerts: u64,
}

impl std::ops::AddAssign for Intake {
    fn add_assign(&mut self, more: Self) {
        self.rows += more.rows;
        self.late += more.late;
        self.gone += more.gone;
        self.alerts += more.alerts;
    }
}

impl Pipeline {
    /// Goes on where the store stands.
    pub fn new(plant: Arc<Plant>, writer: Writer, delivery_delay_min: i64) -> anyhow::Result<Self> {
        let calendar = Calendar::new(plant.zone.clone());
        let of = plant.clone();
        let station = writer.call(move |store| store.load_station(&of))?;
        Ok(Self {
            plant,
            calendar,
            station: Some(station),
            writer,
            delivery_delay_min,
        })
    }

    /// The writer.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The newest minute looked at.
    pub fn clock(&self) -> Option<Minute> {
        self.station.as_ref().and_then(Station::clock)
    }

    /// Takes back what is not committed and goes on where the store stands: after a failure to store.
    pub fn recover(&mut self) -> anyhow::Result<()> {
        let plant = self.plant.clone();
        self.station = Some(self.writer.call(move |store| {
            store.forget_failure();
            store.load_station(&plant)
        })?);
        Ok(())
    }

    /// Changes the plant's settings from the next minute on.
    pub fn set_plant(&mut self, plant: Arc<Plant>, delivery_delay_min: i64) {
        self.plant = plant;
        self.delivery_delay_min = delivery_delay_min;
    }

    fn news_from(&self, now: Minute) -> Minute {
        now - self.delivery_delay_min - NEWS_MARGIN_MIN
    }

    /// Takes a piece of a file. Nothing of it is safe before [`Pipeline::commit`].
    pub fn feed(&mut self, piece: Piece, now: Minute) -> anyhow::Result<Intake> {
        let step = Step {
            file: Some(piece.record),
            rejects: piece.rejects,
            logging: piece.logging,
            from_line: piece.from_line,
            ..Step::default()
        };
        self.take(piece.minutes, step, now)
    }

    /// Takes a minute that was polled from the PLC. It is not safe before [`Pipeline::commit`].
    pub fn poll(&mut self, records: MinuteRecords, now: Minute) -> anyhow::Result<Intake> {
        self.take(vec![records], Step::default(), now)
    }

    fn take(
        &mut self,
        mut minutes: Vec<MinuteRecords>,
        step: Step,
        now: Minute,
    ) -> anyhow::Result<Intake> {
        let news_from = self.news_from(now);
        let Some(mut station) = self.station.take() else {
            anyhow::bail!("the station was lost in an earlier failure")
        };
        let new_from = station.clock().map_or(0, |clock| {
            minutes.partition_point(|records| records.minute <= clock)
        });
        let new = minutes.split_off(new_from);
        let mut intake = Intake {
            rows: new.len() as u64,
            late: minutes.len() as u64,
            ..Intake::default()
        };
        if !minutes.is_empty() {
            let plant = self.plant.clone();
            (station, intake.gone) = self
                .writer
                .call(move |store| store.take_late(&plant, station, minutes, news_from))?;
        }
        let mut effects = Effects::default();
        let mut rows = Vec::with_capacity(new.len());
        for records in new {
            let derived = station.row(&self.plant, &reading(&records), &mut effects);
            let local = self.calendar.local(records.minute).minute;
            rows.push(NewRow {
                records,
                local,
                derived,
            });
        }
        if !rows.is_empty() {
            station.standing(&self.plant, &mut effects);
        }
        self.station = Some(station);
        intake.alerts = effects.raised();
        tell(&effects, news_from);
        self.writer.write(Step {
            rows,
            effects,
            by_wall_clock: false,
            now: self
                .clock()
                .map(|minute| (minute, self.calendar.local(minute).minute)),
            news_from,
            ..step
        })?;
        Ok(intake)
    }

    /// Lets the wall clock pass.
    pub fn tick(&mut self, minute: Minute, now: Minute) -> anyhow::Result<()> {
        let Some(station) = &mut self.station else {
            return Ok(());
        };
        let mut effects = Effects::default();
        station.tick(&self.plant, minute, &mut effects);
        if effects.is_empty() {
            return Ok(());
        }
        station.standing(&self.plant, &mut effects);
        let news_from = self.news_from(now);
        tell(&effects, news_from);
        self.writer.write(Step {
            effects,
            by_wall_clock: true,
            now: Some((minute, self.calendar.local(minute).minute)),
            news_from,
            ..Step::default()
        })
    }

    /// Commits; when it returns, everything fed is on the disk.
    pub fn commit(&self) -> anyhow::Result<()> {
        self.writer.commit()
    }

    /// Stops the writer; what is not committed is taken back.
    pub fn stop(self) {
        self.writer.stop();
    }
}

/// Writes alerts that are news into the log; an alert's severity is a field, not a level.
fn tell(effects: &Effects, news_from: Minute) {
    for transition in effects
        .transitions
        .iter()
        .filter(|transition| transition.minute >= news_from)
    {
        let rule = CATALOGUE[transition.rule].code;
        let pump = transition.subject.map_or("", pump_name);
        match &transition.kind {
            Kind::Raised {
                severity,
                value,
                message,
            } => {
                log::info!(rule, pump, severity = severity.name(), value, text = message.as_str(); "alert raised");
            }
            Kind::Resolved { raised } => {
                log::info!(rule, pump, duration_min = transition.minute - raised; "alert resolved");
            }
        }
    }
}
