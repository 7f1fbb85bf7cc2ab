//! What the central office's tables look like, held against ours: all fits, or a clear refusal.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use sqlx::{PgConnection, Row};

use super::{
    connect::answered,
    encode::{Column, Kind, Source},
};
use crate::store::{
    changes::{Keyed, Synced},
    outgoing::Snapshot,
};

/// A table as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The table.
    pub table: Synced,
    /// The columns that are read on the box.
    pub read: Vec<String>,
    /// The columns that are sent, without `site_id`.
    pub sent: Vec<Column>,
}

impl Layout {
    /// The primary key at the central office, without `site_id`.
    pub fn key(&self) -> &'static [&'static str] {
        match self.table {
            Synced::Readings | Synced::Hours | Synced::Days | Synced::Runs | Synced::Savings => {
                &["ts"]
            }
            Synced::Sessions | Synced::Health | Synced::Expectation => &["ts", "pump"],
            Synced::Predictions => &["ts", "target", "model", "for_ts"],
            Synced::Performance => &["ts", "model", "period", "ahead_min"],
            Synced::Suppressed => &["ts", "rule"],
            Synced::Alerts | Synced::Journal | Synced::Rejects => &["ts", "id"],
        }
    }

    /// The columns that are sent, for SQL.
    pub fn names(&self) -> String {
        let names: Vec<_> = self
            .sent
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        names.join(", ")
    }
}

struct Remote {
    kind: Option<Kind>,
    type_name: String,
    must_be_given: bool,
}

/// The columns of all tables on the box.
pub fn columns(snapshot: &Snapshot) -> anyhow::Result<BTreeMap<Synced, Vec<String>>> {
    let columns = Synced::ALL
        .into_iter()
        .map(|table| Ok((table, snapshot.columns(table)?)));
    columns.collect()
}

/// The layouts of all tables. The error says what does not fit and what to do.
pub async fn layouts(
    connection: &mut PgConnection,
    columns: BTreeMap<Synced, Vec<String>>,
) -> anyhow::Result<BTreeMap<Synced, Layout>> {
    let sql = "SELECT table_name::text, column_name::text, udt_name::text, \
               is_nullable = 'NO' AND column_default IS NULL AND is_generated = 'NEVER' AND is_identity = 'NO' \
               FROM information_schema.columns WHERE table_schema = 'pumphouse'";
    let rows = answered(sqlx::query(sql).fetch_all(connection))
        .await
        .context("cannot read the central office's schema")?;
    let mut remote: BTreeMap<String, BTreeMap<String, Remote>> = BTreeMap::new();
    for row in rows {
        let type_name: String = row.try_get(2)?;
        remote.entry(row.try_get(0)?).or_default().insert(
            row.try_get(1)?,
            Remote {
                kind: Kind::parse(&type_name),
                type_name,
                must_be_given: row.try_get(3)?,
            },
        );
    }
    if remote.is_empty() {
        bail!(
            "the database has no schema pumphouse, or this user may not see it; run `pumphouse central init`"
        );
    }
    let mut faults = Vec::new();
    let mut layouts = BTreeMap::new();
    for (table, read) in columns {
        let layout = fit(table, read, remote.get(table.name()), &mut faults);
        layouts.insert(table, layout);
    }
    if !faults.is_empty() {
        bail!(
            "the central office's schema does not fit this version ({}): {}; run `pumphouse central init` of this version; until \
             then everything waits here",
            env!("CARGO_PKG_VERSION"),
            faults.join(", ")
        );
    }
    Ok(layouts)
}

fn fit(
    table: Synced,
    read: Vec<String>,
    remote: Option<&BTreeMap<String, Remote>>,
    faults: &mut Vec<String>,
) -> Layout {
    let name = table.name();
    let place = |wanted: &str| read.iter().position(|column| column == wanted);
    let ts = match table.keyed() {
        Keyed::Minute(column) => place(column).map(Source::Column),
        Keyed::Id => place("ts").map(Source::Column),
        Keyed::Day => place("date").map(|date| Source::Start {
            date,
            hour: place("hour"),
        }),
    };
    let mut wanted: Vec<(&str, Source)> = ts.into_iter().map(|source| ("ts", source)).collect();
    let own = read
        .iter()
        .enumerate()
        .filter(|(_, column)| !matches!(column.as_str(), "ts" | "start_ts"));
    wanted.extend(own.map(|(place, column)| (column.as_str(), Source::Column(place))));
    let Some(remote) = remote else {
        faults.push(format!("{name} is missing"));
        return Layout {
            table,
            read,
            sent: Vec::new(),
        };
    };
    let mut sent = Vec::new();
    for (column, source) in &wanted {
        match remote.get(*column) {
            None => faults.push(format!("{name}.{column} is missing")),
            Some(Remote {
                kind: None,
                type_name,
                ..
            }) => faults.push(format!("{name}.{column} has the type {type_name}")),
            Some(Remote {
                kind: Some(kind), ..
            }) => sent.push(Column {
                name: (*column).to_owned(),
                kind: *kind,
                source: source.clone(),
            }),
        }
    }
    for (column, _) in remote.iter().filter(|(column, remote)| {
        remote.must_be_given
            && *column != "site_id"
            && !wanted.iter().any(|(wanted, _)| wanted == column)
    }) {
        faults.push(format!(
            "{name}.{column} must be given, and this version does not know it"
        ));
    }
    Layout { table, read, sent }
}
