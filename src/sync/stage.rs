//! A batch on its way into the staging tables of a connection: many rows by COPY, few as one array for each column, which takes
//! one round trip. What is read and what is staged is one stream of bytes, PostgreSQL's binary COPY format.

use std::{collections::BTreeMap, path::Path};

use anyhow::bail;
use jiff::tz::TimeZone;
use sqlx::{
    AssertSqlSafe, Encode, Executor, PgConnection, PgTransaction, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, types::Oid},
};
use tokio::sync::mpsc;

use super::{
    connect::answered,
    encode::{HEADER, Kind, TRAILER, row},
    layout::Layout,
};
use crate::{
    calendar::Calendar,
    store::{
        changes::Synced,
        outgoing::{Batch, Refused, Snapshot},
        ranges::Ranges,
    },
};

/// Bytes of rows handed over at once. What fits into one is few.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks read ahead.
const CHUNKS_WAITING_MAX: usize = 2;

/// What lies in the staging tables of a connection.
#[derive(Default)]
pub struct Staged {
    /// Rows, by table.
    pub rows: BTreeMap<Synced, u64>,
    /// Rows that do not fit their columns.
    pub refused: Vec<Refused>,
}

/// What the reading side hands over.
enum Piece {
    /// Rows; the first ones of a table behind the header, the last ones with the trailer.
    Rows(Vec<u8>),
    /// The end of a table: how many rows there were, and those that do not fit their columns.
    End(u64, Vec<Refused>),
}

/// Makes a connection ready to send.
pub async fn prepare(
    connection: &mut PgConnection,
    layouts: &BTreeMap<Synced, Layout>,
) -> anyhow::Result<()> {
    // Nobody analyses a staging table, so the planner takes a large one for a small one, and would go through it row by row.
    let mut sql = "SET enable_nestloop = off; SET jit = off;".to_owned();
    for (table, layout) in layouts {
        let (name, columns) = (table.name(), layout.names());
        sql += &format!(
            "CREATE TEMPORARY TABLE stage_{name} ON COMMIT DELETE ROWS AS \
             SELECT 0::int4 AS place, {columns} FROM pumphouse.{name} WITH NO DATA;"
        );
    }
    answered(connection.execute(AssertSqlSafe(sql))).await?;
    Ok(())
}

/// Where rows come from.
pub struct Source<'a> {
    /// The plant's zone.
    pub zone: &'a TimeZone,
    /// The store.
    pub store: &'a Path,
    /// What the tables look like.
    pub layouts: &'a BTreeMap<Synced, Layout>,
}

impl Source<'_> {
    /// Puts the rows of a batch, as they now stand in the store, into the staging tables of the open transaction.
    pub async fn stage(
        &self,
        transaction: &mut PgTransaction<'_>,
        batch: &Batch,
    ) -> anyhow::Result<Staged> {
        let (pieces, mut queue) = mpsc::channel(CHUNKS_WAITING_MAX);
        let work = (
            self.store.to_path_buf(),
            self.zone.clone(),
            self.layouts.clone(),
            batch.ranges.clone(),
        );
        let reading = tokio::task::spawn_blocking(move || {
            let (store, zone, layouts, ranges) = work;
            let read = read(&store, &zone, &layouts, &ranges, &pieces);
            if let Err(error) = read {
                // Nobody waits for it when the sending side has failed.
                let _ = pieces.blocking_send(Err(error));
            }
        });
        let mut staged = Staged::default();
        for table in batch.ranges.keys() {
            let layout = &self.layouts[table];
            let (rows, refused) = stage_table(transaction, layout, &mut queue).await?;
            staged.rows.insert(*table, rows);
            staged.refused.extend(refused);
        }
        reading.await?;
        Ok(staged)
    }
}

async fn next(queue: &mut mpsc::Receiver<anyhow::Result<Piece>>) -> anyhow::Result<Piece> {
    match queue.recv().await {
        Some(piece) => piece,
        None => bail!("the store's reader has gone"),
    }
}

async fn stage_table(
    transaction: &mut PgTransaction<'_>,
    layout: &Layout,
    queue: &mut mpsc::Receiver<anyhow::Result<Piece>>,
) -> anyhow::Result<(u64, Vec<Refused>)> {
    let first = match next(queue).await? {
        Piece::Rows(first) => first,
        Piece::End(rows, refused) => return Ok((rows, refused)),
    };
    let mut piece = next(queue).await?;
    if matches!(piece, Piece::End(..)) {
        stage_few(transaction, layout, &first).await?;
    } else {
        let (name, columns) = (layout.table.name(), layout.names());
        let copy = format!("COPY stage_{name} (place, {columns}) FROM STDIN (FORMAT binary)");
        let mut copy = answered(transaction.copy_in_raw(&copy)).await?;
        answered(copy.send(first)).await?;
        while let Piece::Rows(rows) = piece {
            answered(copy.send(rows)).await?;
            piece = match next(queue).await {
                Ok(piece) => piece,
                Err(error) => {
                    answered(copy.abort("the store cannot be read")).await?;
                    return Err(error);
                }
            };
        }
        answered(copy.finish()).await?;
    }
    match piece {
        Piece::End(rows, refused) => Ok((rows, refused)),
        Piece::Rows(_) => unreachable!("all rows are staged before the end"),
    }
}

async fn stage_few(
    transaction: &mut PgTransaction<'_>,
    layout: &Layout,
    stream: &[u8],
) -> anyhow::Result<()> {
    let columns = columns(layout, stream);
    let places: Vec<_> = (1..=columns.len())
        .map(|place| format!("${place}"))
        .collect();
    let sql = format!(
        "INSERT INTO stage_{} (place, {}) SELECT * FROM unnest({})",
        layout.table.name(),
        layout.names(),
        places.join(", ")
    );
    let mut inserting = sqlx::query(AssertSqlSafe(sql));
    for column in columns {
        inserting = inserting.bind(column);
    }
    answered(inserting.execute(&mut **transaction)).await?;
    Ok(())
}

/// A column of a few rows: a PostgreSQL array.
struct Array {
    kind: Kind,
    rows: i32,
    /// The values, each behind its length, as in the stream they came from.
    values: Vec<u8>,
}

/// A whole stream, column by column.
fn columns(layout: &Layout, stream: &[u8]) -> Vec<Array> {
    let kinds = layout.sent.iter().map(|column| column.kind);
    let mut columns: Vec<_> = std::iter::once(Kind::Int4)
        .chain(kinds)
        .map(|kind| Array {
            kind,
            rows: 0,
            values: Vec::new(),
        })
        .collect();
    let mut rest = &stream[HEADER.len()..];
    while rest != TRAILER {
        // The count of columns, which is always the same.
        rest = &rest[2..];
        for column in &mut columns {
            let (length, _) = rest.split_first_chunk().expect("a length");
            let length = i32::from_be_bytes(*length).max(0) as usize;
            let (value, behind) = rest.split_at(4 + length);
            column.values.extend_from_slice(value);
            column.rows += 1;
            rest = behind;
        }
    }
    columns
}

impl Array {
    /// PostgreSQL's number of the elements' type, and of their array's.
    fn types(&self) -> (u32, u32) {
        match self.kind {
            Kind::Int2 => (21, 1005),
            Kind::Int4 => (23, 1007),
            Kind::Int8 => (20, 1016),
            Kind::Float8 => (701, 1022),
            Kind::Text => (25, 1009),
            Kind::Time => (1184, 1185),
        }
    }
}

impl Type<Postgres> for Array {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("anyarray")
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let (element, _) = self.types();
        // One dimension; there may be NULLs; of that type; so many, counted from 1.
        for word in [1, 1, element as i32, self.rows, 1] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.values);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        let (_, array) = self.types();
        Some(PgTypeInfo::with_oid(Oid(array)))
    }
}

/// Reads the ranges from one snapshot and hands their rows over, table by table.
fn read(
    store: &Path,
    zone: &TimeZone,
    layouts: &BTreeMap<Synced, Layout>,
    ranges: &BTreeMap<Synced, Ranges>,
    pieces: &mpsc::Sender<anyhow::Result<Piece>>,
) -> anyhow::Result<()> {
    let snapshot = Snapshot::open(store)?;
    let mut calendar = Calendar::new(zone.clone());
    let hand_over = |piece| {
        let gone = |_| anyhow::anyhow!("the sending side has gone");
        pieces.blocking_send(Ok(piece)).map_err(gone)
    };
    for (table, ranges) in ranges {
        let layout = &layouts[table];
        let count = (layout.sent.len() as i16 + 1).to_be_bytes();
        let mut out = HEADER.to_vec();
        let (mut rows, mut refused) = (0u64, Vec::new());
        for range in ranges.iter() {
            snapshot.rows(*table, &layout.read, range, |cells| {
                if out.len() >= CHUNK_BYTES {
                    let empty = Vec::with_capacity(CHUNK_BYTES + 4096);
                    hand_over(Piece::Rows(std::mem::replace(&mut out, empty)))?;
                }
                let before = out.len();
                out.extend_from_slice(&count);
                out.extend_from_slice(&4i32.to_be_bytes());
                out.extend_from_slice(&(rows as i32).to_be_bytes());
                match row(&mut out, &layout.sent, cells, &mut calendar)? {
                    Ok(()) => rows += 1,
                    Err(reason) => {
                        out.truncate(before);
                        refused.push(Refused::unsent(*table, &layout.read, cells, reason)?);
                    }
                }
                Ok(())
            })?;
        }
        if rows > 0 {
            out.extend_from_slice(TRAILER);
            hand_over(Piece::Rows(out))?;
        }
        hand_over(Piece::End(rows, refused))?;
    }
    Ok(())
}
