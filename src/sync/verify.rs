//! Proof that the central office has every row: count and hash of each table's days, on both ends; and sending a range again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Context;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{
    Sent,
    connect::answered,
    encode::row,
    layout::{Layout, columns, layouts},
    send::{Sender, commit, mark},
    stage::{Source, prepare},
};
use crate::{
    calendar::{Calendar, DAY_MIN, Day, date_text},
    store::{
        changes::{Keyed, Synced, held, held_between},
        outgoing::{Batch, Held, Snapshot, ordered_by},
        ranges::Ranges,
    },
};

/// A table's day on one end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct End {
    /// Rows.
    pub rows: u64,
    /// SHA-256 over all rows, hexadecimal.
    pub hash: String,
}

/// A table's day that is not the same on both ends.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The local date.
    pub date: String,
    /// On the box; `None` without rows.
    pub here: Option<End>,
    /// At the central office.
    pub there: Option<End>,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Verdict {
    /// Rows compared, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Days compared, over all tables.
    pub days: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Rows that wait to be sent.
    pub waiting: u64,
    /// Rows that the central office refused: table, key, reason.
    pub refused: Vec<(String, String, String)>,
}

impl Verdict {
    /// Whether both ends are the same.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A store and the central office, for comparing them.
pub struct Ends<'a> {
    /// The site's id.
    pub site: &'a str,
    /// The plant's zone.
    pub zone: &'a TimeZone,
    /// The store.
    pub store: &'a Path,
    /// The central office.
    pub connection: &'a mut PgConnection,
}

impl Ends<'_> {
    /// Compares all days in the range. `compared` is told after each table, and of how many.
    pub async fn verify(
        &mut self,
        days: (Day, Day),
        mut compared: impl FnMut(&'static str, usize),
    ) -> anyhow::Result<Verdict> {
        let snapshot = Snapshot::open(self.store)?;
        let layouts = layouts(self.connection, columns(&snapshot)?).await?;
        let mut calendar = Calendar::new(self.zone.clone());
        let mut verdict = Verdict {
            waiting: snapshot.rows_waiting()?,
            refused: snapshot.refused()?,
            ..Verdict::default()
        };
        for layout in layouts.values() {
            let table = layout.table;
            let first = match snapshot.held(table)? {
                Held::All => days.0,
                // Its day may have lost some.
                Held::From(oldest) => days.0.max(calendar.local(oldest).day() + 1),
                Held::Nothing => days.1 + 1,
            };
            let days = (first, days.1);
            let there = self.there(layout, days).await?;
            let here = snapshot.dates(table, days)?;
            let dates: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
            for date in dates {
                let rows = here.get(date).copied().unwrap_or(0);
                *verdict.rows.entry(table.name()).or_default() += rows;
                verdict.days += 1;
                let here = if rows > 0 {
                    Some(self::here(&snapshot, layout, date, &mut calendar)?)
                } else {
                    None
                };
                let there = there.get(date);
                if here.as_ref() != there {
                    verdict.differences.push(Difference {
                        table: table.name(),
                        date: date.clone(),
                        here,
                        there: there.cloned(),
                    });
                }
            }
            compared(table.name(), layouts.len());
        }
        Ok(verdict)
    }

    async fn there(
        &mut self,
        layout: &Layout,
        (first, last): (Day, Day),
    ) -> anyhow::Result<BTreeMap<String, End>> {
        let name = layout.table.name();
        let date = match layout.table {
            Synced::Rejects => "to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
            _ => "date",
        };
        let bytes: Vec<_> = layout
            .sent
            .iter()
            .map(|column| column.kind.sql(&column.name))
            .collect();
        let order = ordered_by(layout.table)
            .split(", ")
            .map(|column| match column {
                "pump" | "rule" | "date" | "target" | "model" | "period" => {
                    format!("{column} COLLATE \"C\"")
                }
                _ => column.to_owned(),
            })
            .collect::<Vec<_>>()
            .join(", ");
        // Days' first and last minutes lie within a day of UTC's; the condition on ts lets partitions be passed over.
        let sql = format!(
            "SELECT {date}, count(*), encode(sha256(string_agg({}, ''::bytea ORDER BY {order})), 'hex') \
             FROM pumphouse.{name} WHERE site_id = $1 AND {date} BETWEEN $2 AND $3 \
             AND ts BETWEEN to_timestamp($4) AND to_timestamp($5) GROUP BY 1",
            bytes.join(" || ")
        );
        let rows = answered(
            sqlx::query(AssertSqlSafe(sql))
                .bind(self.site)
                .bind(date_text(first))
                .bind(date_text(last))
                .bind((first - 2) as f64 * 86_400.0)
                .bind((last + 2) as f64 * 86_400.0)
                .fetch_all(&mut *self.connection),
        )
        .await
        .with_context(|| format!("cannot hash {name} at the central office"))?;
        rows.into_iter()
            .map(|row| {
                let end = End {
                    rows: row.try_get::<i64, _>(1)? as u64,
                    hash: row.try_get(2)?,
                };
                Ok((row.try_get(0)?, end))
            })
            .collect()
    }

    /// Sends all rows of the days once more, day by day of a week each. `sent` is told after each piece.
    pub async fn resend(
        &mut self,
        (first, last): (Day, Day),
        mut sent: impl FnMut(Day, &Sent),
    ) -> anyhow::Result<()> {
        let columns = columns(&Snapshot::open(self.store)?)?;
        let layouts = layouts(self.connection, columns).await?;
        prepare(self.connection, &layouts).await?;
        let mut from = first;
        while from <= last {
            let until = last.min(from + 6);
            let batch = Batch {
                ranges: ranges(self.store, (from, until))?,
                ..Batch::default()
            };
            let expected = mark(self.connection, self.site).await?;
            let sender = Sender {
                site: self.site,
                layouts: &layouts,
            };
            let source = Source {
                zone: self.zone,
                store: self.store,
                layouts: &layouts,
            };
            let mut transaction = answered(self.connection.begin()).await?;
            // Before the rows are read: nobody can have sent newer ones when they arrive.
            sender
                .take_place(&mut transaction, expected.as_ref())
                .await?;
            let staged = source.stage(&mut transaction, &batch).await?;
            let piece = sender.deliver(&mut transaction, &batch, staged).await?;
            commit(transaction).await?;
            sent(until, &piece);
            from = until + 1;
        }
        Ok(())
    }

    /// Frees the site at the central office: the next store to meet it sends everything, and what it does not have goes there.
    pub async fn take_over(&mut self) -> anyhow::Result<bool> {
        let sql =
            "UPDATE pumphouse.edge_sync SET epoch = '', updated_at = now() WHERE site_id = $1";
        let done = answered(
            sqlx::query(sql)
                .bind(self.site)
                .execute(&mut *self.connection),
        )
        .await
        .context("cannot take the site over")?;
        Ok(done.rows_affected() > 0)
    }
}

/// The days for which a store has rows.
pub fn days_held(store: &Path) -> anyhow::Result<Option<(Day, Day)>> {
    let connection = crate::store::open_read_only(store)?;
    let mut days: Option<(Day, Day)> = None;
    for table in Synced::ALL {
        let Some((first, last)) = held(&connection, table)? else {
            continue;
        };
        let ends = match table.keyed() {
            Keyed::Minute(_) => (first.div_euclid(86_400) - 1, last.div_euclid(86_400) + 1),
            Keyed::Day => (first, last),
            Keyed::Id => continue,
        };
        days = Some(days.map_or(ends, |days| (days.0.min(ends.0), days.1.max(ends.1))));
    }
    Ok(days)
}

/// The ranges of all tables that cover local days.
fn ranges(store: &Path, (first, last): (Day, Day)) -> anyhow::Result<BTreeMap<Synced, Ranges>> {
    let connection = crate::store::open_read_only(store)?;
    let mut all = BTreeMap::new();
    for table in Synced::ALL {
        let mut ranges = Ranges::default();
        match table.keyed() {
            // Local days begin within a day of UTC's.
            Keyed::Minute(_) => {
                let day_s = DAY_MIN * 60;
                ranges.add((first - 1) * day_s, (last + 2) * day_s, table.unit());
            }
            Keyed::Day => ranges.add(first, last, table.unit()),
            Keyed::Id => {
                let seconds = ((first - 1) * 86_400, (last + 2) * 86_400);
                if let Some((first, last)) = held_between(&connection, table, seconds)? {
                    ranges.add(first, last, table.unit());
                }
            }
        }
        if !ranges.is_empty() {
            all.insert(table, ranges);
        }
    }
    Ok(all)
}

fn here(
    snapshot: &Snapshot,
    layout: &Layout,
    date: &str,
    calendar: &mut Calendar,
) -> anyhow::Result<End> {
    let mut hash = Sha256::new();
    let mut rows = 0;
    let mut bytes = Vec::new();
    snapshot.rows_of(layout.table, &layout.read, date, |cells| {
        bytes.clear();
        // A row that does not fit cannot be the same there.
        if row(&mut bytes, &layout.sent, cells, calendar)?.is_err() {
            bytes.push(0);
        }
        hash.update(&bytes);
        rows += 1;
        Ok(())
    })?;
    let hash = hash.finalize();
    let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(End { rows, hash })
}
