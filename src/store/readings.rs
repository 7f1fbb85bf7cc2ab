//! `readings_wide`: new rows, late records merged into rows that stand, and rows read back for a re-run.

use std::sync::LazyLock;

use anyhow::Context;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, types::ValueRef};

use super::{NewRow, Store, Synced, Texts};
use crate::{
    calendar::{Local, LocalMinute, Minute},
    derive::{Derived, FLAGS},
    historian::minutes::{MinuteRecords, Origin},
    station::Reading,
    tags::{COLUMNS, TAGS, is_command},
};

/// The derived columns, in the order in which they are bound and read.
const DERIVED: [&str; 10] = [
    "is_peak_hour",
    "pumps_on_count",
    "total_kw",
    "flow_per_pump",
    "energy_per_flow",
    "hlt_pct",
    "hlt_diff",
    "flow_diff",
    "flow_z_score",
    "flow_slope_10",
];
/// The columns that say when a row is.
const WHEN: [&str; 6] = [
    "ts",
    "timestamp",
    "date",
    "hour",
    "day_of_week",
    "is_weekend",
];
/// The columns that say where a row comes from.
const ORIGIN: [&str; 2] = ["marker", "source"];
/// Bound places before the raw values.
const BEFORE_VALUES: usize = WHEN.len() + ORIGIN.len();
/// Columns of a row that are computed.
const COMPUTED: usize = DERIVED.len() + FLAGS.len();

fn computed_columns() -> impl Iterator<Item = &'static str> {
    DERIVED.into_iter().chain(FLAGS)
}

fn join(columns: impl Iterator<Item = &'static str>) -> String {
    columns.collect::<Vec<_>>().join(", ")
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = join(
        WHEN.into_iter()
            .chain(ORIGIN)
            .chain(COLUMNS)
            .chain(computed_columns()),
    );
    let places = vec!["?"; BEFORE_VALUES + TAGS + COMPUTED].join(", ");
    format!("INSERT INTO readings_wide ({columns}) VALUES ({places})")
});

static UPSERT_RAW: LazyLock<String> = LazyLock::new(|| {
    let columns = join(WHEN.into_iter().chain(ORIGIN).chain(COLUMNS));
    let places = vec!["?"; BEFORE_VALUES + TAGS].join(", ");
    let updates = ORIGIN
        .into_iter()
        .chain(COLUMNS)
        .map(|c| format!("{c} = excluded.{c}"))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "INSERT INTO readings_wide ({columns}) VALUES ({places}) ON CONFLICT (ts) DO UPDATE SET {updates}"
    )
});

static UPDATE_COMPUTED: LazyLock<String> = LazyLock::new(|| {
    let updates = computed_columns()
        .map(|column| format!("{column} = ?"))
        .collect::<Vec<_>>()
        .join(", ");
    format!("UPDATE readings_wide SET {updates} WHERE ts = ?")
});

static SELECT_RAW: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT r.ts, r.marker, s.duplicated, s.micros, s.polled, {} FROM readings_wide r LEFT JOIN reading_stamps s USING (ts) \
         WHERE r.ts = ?",
        join(COLUMNS.into_iter())
    )
});

static SELECT_PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT r.ts, r.marker, s.duplicated, s.micros, s.polled, {}, {} FROM readings_wide r LEFT JOIN reading_stamps s \
         USING (ts) WHERE r.ts >= ? ORDER BY r.ts LIMIT ?",
        join(COLUMNS.into_iter()),
        join(computed_columns())
    )
});

/// First column of the raw values in the selects.
const VALUES_AT: usize = 5;

/// The computed columns as they are stored: NaN is NULL.
pub type Computed = [f64; COMPUTED];

/// The computed columns of a derived row.
pub fn computed(derived: &Derived) -> Computed {
    let flag = |set: bool| f64::from(u8::from(set));
    let mut columns = [0.0; COMPUTED];
    columns[..DERIVED.len()].copy_from_slice(&[
        flag(derived.is_peak_hour),
        derived.pumps_on_count,
        derived.total_kw,
        derived.flow_per_pump,
        derived.energy_per_flow,
        derived.level_pct,
        derived.level_diff,
        derived.flow_diff,
        derived.flow_z_score,
        derived.flow_slope_10,
    ]);
    for (column, set) in columns[DERIVED.len()..].iter_mut().zip(derived.flags) {
        *column = flag(set);
    }
    columns
}

fn is_integer_column(place: usize) -> bool {
    place < 2 || place >= DERIVED.len()
}

/// A row of the store, for a re-run.
pub struct Stored {
    /// Raw values and what must be known of their records.
    pub reading: Reading,
    /// The computed columns as they stand.
    pub computed: Computed,
}

fn bind(
    statement: &mut CachedStatement<'_>,
    place: usize,
    value: f64,
    is_integer: bool,
) -> rusqlite::Result<()> {
    if value.is_nan() {
        statement.raw_bind_parameter(place, rusqlite::types::Null)
    } else if is_integer {
        statement.raw_bind_parameter(place, value as i64)
    } else {
        statement.raw_bind_parameter(place, value)
    }
}

/// Binds when a row is, its marker and its raw values.
fn bind_records(
    statement: &mut CachedStatement<'_>,
    texts: &mut Texts,
    records: &MinuteRecords,
    local: LocalMinute,
) -> rusqlite::Result<()> {
    let at = Local { minute: local };
    let text = texts.local(local);
    statement.raw_bind_parameter(1, records.minute * 60)?;
    statement.raw_bind_parameter(2, text)?;
    statement.raw_bind_parameter(3, &text[..10])?;
    statement.raw_bind_parameter(4, at.hour())?;
    statement.raw_bind_parameter(5, at.day_of_week())?;
    statement.raw_bind_parameter(6, matches!(at.day_of_week(), 0 | 6))?;
    statement.raw_bind_parameter(BEFORE_VALUES - 1, marker(records))?;
    statement.raw_bind_parameter(BEFORE_VALUES, source(records))?;
    for (slot, &value) in records.values.iter().enumerate() {
        bind(statement, 1 + BEFORE_VALUES + slot, value, is_command(slot))?;
    }
    Ok(())
}

fn bind_computed(
    statement: &mut CachedStatement<'_>,
    from: usize,
    columns: &Computed,
) -> rusqlite::Result<()> {
    for (place, &value) in columns.iter().enumerate() {
        bind(statement, from + place, value, is_integer_column(place))?;
    }
    Ok(())
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<f64> {
    Ok(match row.get_ref(column)? {
        ValueRef::Real(value) => value,
        ValueRef::Integer(value) => value as f64,
        _ => f64::NAN,
    })
}

fn marker(records: &MinuteRecords) -> &'static str {
    match (records.from_b, records.origin()) {
        (true, _) => "B",
        (false, Origin::Modbus) => "M",
        (false, _) => "S",
    }
}

fn source(records: &MinuteRecords) -> &'static str {
    match records.origin() {
        Origin::Historian => "historian",
        Origin::Modbus => "modbus",
        Origin::Both => "both",
    }
}

fn encode_micros(micros: &[u32; TAGS]) -> Option<Vec<u8>> {
    micros.iter().any(|&micros| micros != 0).then(|| {
        micros
            .iter()
            .flat_map(|micros| micros.to_le_bytes())
            .collect()
    })
}

fn read_records(row: &Row<'_>) -> rusqlite::Result<MinuteRecords> {
    let mut records = MinuteRecords {
        from_b: row.get_ref(1)?.as_str()? == "B",
        duplicated: row.get::<_, Option<i64>>(2)?.unwrap_or(0) as u32,
        polled: row.get::<_, Option<i64>>(4)?.unwrap_or(0) as u32,
        ..MinuteRecords::empty(row.get::<_, i64>(0)? / 60)
    };
    if let ValueRef::Blob(bytes) = row.get_ref(3)? {
        for (micros, bytes) in records.micros.iter_mut().zip(bytes.chunks_exact(4)) {
            *micros = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    for (slot, value) in records.values.iter_mut().enumerate() {
        *value = number(row, VALUES_AT + slot)?;
    }
    Ok(records)
}

/// Merges a minute's records into those that stand: what the historian has goes before what was polled; among the same, the later
/// full timestamp wins, and of two with the same one the one read last. Where two of the historian differ, that is a
/// duplicate. Whether anything changed.
fn merge(standing: &mut MinuteRecords, records: &MinuteRecords) -> bool {
    let before = standing.clone();
    for slot in 0..TAGS {
        let value = records.values[slot];
        if value.is_nan() {
            continue;
        }
        let stands = standing.values[slot];
        let (newer, older) = (records.micros[slot], standing.micros[slot]);
        let differs = stands.is_nan() || newer != older || value != stands;
        let bit = 1 << slot;
        let (polls, polled) = (records.polled & bit != 0, standing.polled & bit != 0);
        if !stands.is_nan() && polls != polled {
            if polled {
                (standing.values[slot], standing.micros[slot]) = (value, newer);
                standing.polled &= !bit;
            }
            continue;
        }
        let corrects = polls || records.corrected & bit != 0;
        if !stands.is_nan() && newer == older && value != stands && !corrects {
            standing.duplicated |= 1 << slot;
        }
        if differs && (stands.is_nan() || newer >= older) {
            (standing.values[slot], standing.micros[slot]) = (value, newer);
            standing.polled |= records.polled & bit;
        }
    }
    standing.duplicated |= records.duplicated;
    standing.from_b |= records.from_b;
    let same_values = before
        .values
        .iter()
        .zip(&standing.values)
        .all(|(a, b)| a.to_bits() == b.to_bits());
    !(same_values
        && before.micros == standing.micros
        && before.duplicated == standing.duplicated
        && before.polled == standing.polled
        && before.from_b == standing.from_b)
}

impl Store {
    /// The minute of the newest row that came from an export, whole or in part.
    pub fn newest_exported_row(&self) -> anyhow::Result<Option<Minute>> {
        let newest = self.connection.query_row(
            "SELECT ts FROM readings_wide WHERE source <> 'modbus' ORDER BY ts DESC LIMIT 1",
            [],
            |row| row.get::<_, i64>(0),
        );
        Ok(newest.optional()?.map(|ts| ts / 60))
    }

    /// Inserts rows that are later than all others.
    pub(super) fn insert_rows(&mut self, rows: &[NewRow]) -> anyhow::Result<()> {
        let mut statement = self.connection.prepare_cached(&INSERT)?;
        for NewRow {
            records,
            local,
            derived,
        } in rows
        {
            bind_records(&mut statement, &mut self.texts, records, *local)?;
            bind_computed(&mut statement, 1 + BEFORE_VALUES + TAGS, &computed(derived))?;
            statement.raw_execute()?;
            save_stamps(&self.connection, records)?;
            self.changes.note(Synced::Readings, records.minute * 60);
        }
        Ok(())
    }

    /// Merges late records into what stands, without deriving anything; the first and the last minute that changed.
    pub(super) fn merge_late(
        &mut self,
        late: &[(MinuteRecords, i64)],
    ) -> anyhow::Result<Option<(Minute, Minute)>> {
        let mut changed: Option<(Minute, Minute)> = None;
        for (records, local) in late {
            let minute = records.minute;
            let mut select = self.connection.prepare_cached(&SELECT_RAW)?;
            let stands = select.query_row([minute * 60], read_records).optional()?;
            let merged = match stands {
                None => records.clone(),
                Some(mut standing) => {
                    if !merge(&mut standing, records) {
                        continue;
                    }
                    standing
                }
            };
            let mut upsert = self.connection.prepare_cached(&UPSERT_RAW)?;
            bind_records(&mut upsert, &mut self.texts, &merged, *local)?;
            upsert.raw_execute()?;
            forget_stamps(&self.connection, minute)?;
            save_stamps(&self.connection, &merged)?;
            self.changes.note(Synced::Readings, minute * 60);
            changed = Some(changed.map_or((minute, minute), |(first, last)| {
                (first.min(minute), last.max(minute))
            }));
        }
        Ok(changed)
    }

    /// The next rows from a minute on, oldest first.
    pub(super) fn page(&self, from: Minute, rows_max: usize) -> anyhow::Result<Vec<Stored>> {
        page(&self.connection, from, rows_max)
    }

    /// Writes a row's computed columns where they differ from what stands.
    pub(super) fn update_computed(
        &mut self,
        stored: &Stored,
        derived: &Derived,
    ) -> anyhow::Result<()> {
        let columns = computed(derived);
        let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        if columns.iter().zip(&stored.computed).all(same) {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(&UPDATE_COMPUTED)?;
        bind_computed(&mut statement, 1, &columns)?;
        statement.raw_bind_parameter(1 + COMPUTED, stored.reading.minute * 60)?;
        statement.raw_execute()?;
        self.changes
            .note(Synced::Readings, stored.reading.minute * 60);
        Ok(())
    }
}

/// The next rows from a minute on, oldest first.
pub(super) fn page(
    connection: &Connection,
    from: Minute,
    rows_max: usize,
) -> anyhow::Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(&SELECT_PAGE)?;
    let rows = statement.query_map([from.saturating_mul(60), rows_max as i64], |row| {
        let records = read_records(row)?;
        let mut computed = [f64::NAN; COMPUTED];
        for (place, value) in computed.iter_mut().enumerate() {
            *value = number(row, VALUES_AT + TAGS + place)?;
        }
        Ok(Stored {
            reading: reading(&records),
            computed,
        })
    })?;
    rows.collect::<rusqlite::Result<_>>()
        .context("cannot read stored rows")
}

fn forget_stamps(connection: &rusqlite::Connection, minute: Minute) -> anyhow::Result<()> {
    connection
        .prepare_cached("DELETE FROM reading_stamps WHERE ts = ?")?
        .execute([minute * 60])?;
    Ok(())
}

fn save_stamps(connection: &rusqlite::Connection, records: &MinuteRecords) -> anyhow::Result<()> {
    let micros = encode_micros(&records.micros);
    if micros.is_some() || records.duplicated != 0 || records.polled != 0 {
        let (duplicated, polled) = (i64::from(records.duplicated), i64::from(records.polled));
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO reading_stamps (ts, micros, duplicated, polled) VALUES (?, ?, ?, ?)",
            )?
            .execute((records.minute * 60, micros, duplicated, polled))?;
    }
    Ok(())
}

/// What the station takes of a minute's records.
pub fn reading(records: &MinuteRecords) -> Reading {
    Reading {
        minute: records.minute,
        values: records.values,
        duplicated: records.duplicated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::LEVEL;

    fn level(value: f64, micros: u32) -> MinuteRecords {
        let mut records = MinuteRecords::empty(1);
        records.values[LEVEL] = value;
        records.micros[LEVEL] = micros;
        records
    }

    #[test]
    fn the_later_stamp_stands_and_an_equal_one_replaces_and_counts() {
        let mut standing = level(1.0, 10);
        assert!(
            !merge(&mut standing, &level(1.0, 10)),
            "an identical record changes nothing"
        );
        assert!(
            !merge(&mut standing, &level(9.0, 5)),
            "an earlier one neither"
        );
        assert!(merge(&mut standing, &level(2.0, 10)));
        assert_eq!(
            (standing.values[LEVEL], standing.duplicated),
            (2.0, 1 << LEVEL)
        );
        assert!(merge(&mut standing, &level(3.0, 11)));
        assert_eq!((standing.values[LEVEL], standing.micros[LEVEL]), (3.0, 11));
        assert_eq!(
            standing.duplicated,
            1 << LEVEL,
            "what was seen twice stays seen twice"
        );
    }
}
