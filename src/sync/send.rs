//! A batch to the central office: one transaction that takes the rows of some ranges as they now stand, drops what is gone from
//! them, and moves the site's mark. Whatever breaks, it has happened or it has not.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgTransaction, Row, postgres::PgRow,
};
use tokio::sync::mpsc;

use super::{
    connect::answered,
    encode::{HEADER, TRAILER, row},
    layout::Layout,
    meet::Mark,
};
use crate::{
    calendar::{Calendar, date_text},
    store::{
        changes::{Keyed, Synced},
        outgoing::{Batch, Refused, Snapshot},
        ranges::Ranges,
    },
};

/// Bytes of rows handed over at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks read ahead.
const CHUNKS_WAITING_MAX: usize = 2;
/// When more rows of one batch are refused, something is wrong with the central office and not with the rows.
const REFUSED_MAX: usize = 1000;

/// What a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Rows sent.
    pub rows: u64,
    /// Rows refused.
    pub refused: Vec<Refused>,
}

/// What is needed to send.
pub struct Sender<'a> {
    /// The site's id.
    pub site: &'a str,
    /// The plant's zone.
    pub zone: &'a TimeZone,
    /// The store.
    pub store: &'a Path,
    /// What the tables look like.
    pub layouts: &'a BTreeMap<Synced, Layout>,
}

/// What the reading side hands over.
enum Piece {
    Rows(Vec<u8>),
    /// The end of a table: rows sent, and rows that do not fit their columns.
    End(u64, Vec<Refused>),
}

/// Ends a transaction.
pub async fn commit(transaction: PgTransaction<'_>) -> anyhow::Result<()> {
    answered(transaction.commit())
        .await
        .context("cannot commit at the central office")
}

/// What is known of this site at the central office.
pub async fn mark(connection: &mut PgConnection, site: &str) -> anyhow::Result<Option<Mark>> {
    let sql = "SELECT epoch, last_rev, nonce FROM pumphouse.edge_sync WHERE site_id = $1";
    let row = answered(sqlx::query(sql).bind(site).fetch_optional(connection))
        .await
        .context("cannot read how far the central office is")?;
    row.as_ref().map(read_mark).transpose()
}

fn read_mark(row: &PgRow) -> anyhow::Result<Mark> {
    Ok(Mark {
        epoch: row.try_get(0)?,
        last_rev: row.try_get(1)?,
        nonce: row.try_get(2)?,
    })
}

impl Sender<'_> {
    /// Takes the site's place for this transaction: nobody else writes for the site until it ends. `expected` is the mark it
    /// must find; another one means that something else has sent for this site, and this batch must not.
    async fn take_place(
        &self,
        transaction: &mut PgTransaction<'_>,
        expected: Option<&Mark>,
    ) -> anyhow::Result<()> {
        let sql =
            "SELECT epoch, last_rev, nonce FROM pumphouse.edge_sync WHERE site_id = $1 FOR UPDATE";
        let found = answered(
            sqlx::query(sql)
                .bind(self.site)
                .fetch_optional(&mut **transaction),
        )
        .await
        .context("cannot take the site's place")?;
        let found = found.as_ref().map(read_mark).transpose()?;
        if found.as_ref() != expected {
            bail!("the central office's mark of this site has moved meanwhile");
        }
        Ok(())
    }

    /// Sends ranges as they now stand, in a transaction that is still open. `expected` is the mark that the central office
    /// must have of this site.
    pub async fn send<'c>(
        &self,
        connection: &'c mut PgConnection,
        batch: &Batch,
        expected: Option<&Mark>,
    ) -> anyhow::Result<(PgTransaction<'c>, Sent)> {
        let mut transaction = answered(connection.begin()).await?;
        self.take_place(&mut transaction, expected).await?;
        let sent = self.send_ranges(&mut transaction, batch).await?;
        Ok((transaction, sent))
    }

    /// Moves the site's mark in the open transaction.
    pub async fn move_mark(
        &self,
        transaction: &mut PgTransaction<'_>,
        mark: &Mark,
    ) -> anyhow::Result<()> {
        let sql = "INSERT INTO pumphouse.edge_sync (site_id, epoch, last_rev, nonce, version, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT (site_id) DO UPDATE SET \
                   (epoch, last_rev, nonce, version, updated_at) = \
                   (excluded.epoch, excluded.last_rev, excluded.nonce, excluded.version, excluded.updated_at)";
        let moving = sqlx::query(sql)
            .bind(self.site)
            .bind(&mark.epoch)
            .bind(mark.last_rev)
            .bind(mark.nonce)
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(&mut **transaction);
        answered(moving)
            .await
            .context("cannot move the site's mark")?;
        Ok(())
    }

    async fn send_ranges(
        &self,
        transaction: &mut PgTransaction<'_>,
        batch: &Batch,
    ) -> anyhow::Result<Sent> {
        let (pieces, mut queue) = mpsc::channel(CHUNKS_WAITING_MAX);
        // The place is taken before the snapshot: nobody can have sent anything newer.
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
        let mut sent = Sent::default();
        for (table, ranges) in &batch.ranges {
            let layout = &self.layouts[table];
            let merged = self
                .send_table(transaction, layout, &mut queue, &mut sent)
                .await;
            let merged = match merged {
                Ok(()) if table.loses_rows() || batch.whole.contains(table) => {
                    self.drop_gone(transaction, layout, ranges).await
                }
                merged => merged,
            };
            merged.with_context(|| format!("cannot send {}", table.name()))?;
        }
        drop(queue);
        reading.await?;
        Ok(sent)
    }

    async fn send_table(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        queue: &mut mpsc::Receiver<anyhow::Result<Piece>>,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let name = layout.table.name();
        let columns = names(layout);
        // One for each connection; emptied by each commit.
        let stage = format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS stage_{name} ON COMMIT DELETE ROWS AS \
             SELECT 0::int4 AS place, {columns} FROM pumphouse.{name} WITH NO DATA"
        );
        answered(transaction.execute(AssertSqlSafe(stage))).await?;
        let copy = format!("COPY stage_{name} (place, {columns}) FROM STDIN (FORMAT binary)");
        let mut copy = answered(transaction.copy_in_raw(&copy)).await?;
        let mut done = None;
        while done.is_none() {
            match queue.recv().await {
                Some(Ok(Piece::Rows(bytes))) => {
                    answered(copy.send(bytes)).await?;
                }
                Some(Ok(Piece::End(rows, refused))) => done = Some((rows, refused)),
                Some(Err(error)) => {
                    answered(copy.abort("the store cannot be read")).await?;
                    return Err(error);
                }
                None => {
                    answered(copy.abort("the store cannot be read")).await?;
                    bail!("the store's reader has gone");
                }
            }
        }
        answered(copy.finish()).await?;
        let (rows, refused) = done.expect("the loop ends with it");
        sent.rows += rows;
        sent.refused.extend(refused);
        if rows > 0 {
            self.merge(transaction, layout, rows as i32, sent).await?;
        }
        Ok(())
    }

    /// Takes the staged rows over; those that the server refuses are found by halving.
    async fn merge(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        rows: i32,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let sql = merge_sql(layout);
        let mut waiting = vec![(0, rows - 1)];
        while let Some((first, last)) = waiting.pop() {
            let mut attempt = answered(transaction.begin()).await?;
            let all = first == 0 && last == rows - 1;
            let merging = if all {
                sqlx::query(AssertSqlSafe(sql.clone())).bind(self.site)
            } else {
                let part = sql.replacen(
                    " ON CONFLICT",
                    " WHERE place BETWEEN $2 AND $3 ON CONFLICT",
                    1,
                );
                sqlx::query(AssertSqlSafe(part))
                    .bind(self.site)
                    .bind(first)
                    .bind(last)
            };
            let error = match answered(merging.execute(&mut *attempt)).await {
                Ok(_) => {
                    answered(attempt.commit()).await?;
                    continue;
                }
                Err(error) => error,
            };
            let Some(reason) = fault_of_the_row(&error) else {
                return Err(error);
            };
            answered(attempt.rollback()).await?;
            if first < last {
                let middle = first + (last - first) / 2;
                waiting.push((middle + 1, last));
                waiting.push((first, middle));
                continue;
            }
            let refused = self.staged(transaction, layout, first, reason).await?;
            sent.refused.push(refused);
            if sent.refused.len() > REFUSED_MAX {
                bail!(
                    "the central office refuses more than {REFUSED_MAX} rows of one batch, the last one because: {}",
                    sent.refused.last().map_or("", |refused| &refused.reason)
                );
            }
        }
        Ok(())
    }

    /// A staged row, for the dead letters.
    async fn staged(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        place: i32,
        reason: String,
    ) -> anyhow::Result<Refused> {
        let key = layout
            .key()
            .iter()
            .map(|column| format!("'{column}', {column}"))
            .collect::<Vec<_>>()
            .join(", ");
        let range_key = match layout.table.keyed() {
            Keyed::Minute(_) => "extract(epoch FROM ts)::bigint",
            Keyed::Day => "(date::date - '1970-01-01'::date)::bigint",
            Keyed::Id => "id",
        };
        let sql = format!(
            "SELECT jsonb_build_object({key})::text, (to_jsonb(s) - 'place')::text, {range_key} FROM stage_{} s WHERE place = $1",
            layout.table.name()
        );
        let row = answered(
            sqlx::query(AssertSqlSafe(sql))
                .bind(place)
                .fetch_one(&mut **transaction),
        )
        .await?;
        Ok(Refused {
            table: layout.table,
            row_key: row.try_get(0)?,
            row: row.try_get(1)?,
            range_key: row.try_get(2)?,
            reason,
        })
    }

    /// Drops what the ranges no longer hold on the box.
    async fn drop_gone(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        ranges: &Ranges,
    ) -> anyhow::Result<()> {
        let name = layout.table.name();
        let same = layout
            .key()
            .iter()
            .map(|column| format!("s.{column} = t.{column}"))
            .collect::<Vec<_>>()
            .join(" AND ");
        let within = match layout.table.keyed() {
            Keyed::Minute(_) => "t.ts BETWEEN to_timestamp($2) AND to_timestamp($3)",
            Keyed::Day => "t.date BETWEEN $2 AND $3",
            Keyed::Id => "t.id BETWEEN $2 AND $3",
        };
        let sql = format!(
            "DELETE FROM pumphouse.{name} t WHERE t.site_id = $1 AND {within} \
             AND NOT EXISTS (SELECT FROM stage_{name} s WHERE {same})"
        );
        for (first, last) in ranges.iter() {
            let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(self.site);
            let query = match layout.table.keyed() {
                Keyed::Minute(_) => query.bind(first as f64).bind(last as f64),
                Keyed::Day => query.bind(date_text(first)).bind(date_text(last)),
                Keyed::Id => query.bind(first).bind(last),
            };
            answered(query.execute(&mut **transaction))
                .await
                .context("cannot drop rows that are gone")?;
        }
        Ok(())
    }
}

fn names(layout: &Layout) -> String {
    let names: Vec<_> = layout
        .sent
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    names.join(", ")
}

/// Inserts what is new and updates what differs; a row that stands as it is is left alone.
fn merge_sql(layout: &Layout) -> String {
    let (name, columns) = (layout.table.name(), names(layout));
    let rest: Vec<_> = layout
        .sent
        .iter()
        .map(|column| column.name.as_str())
        .filter(|column| !layout.key().contains(column))
        .collect();
    let of = |whose: &str| {
        rest.iter()
            .map(|column| format!("{whose}.{column}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "INSERT INTO pumphouse.{name} AS t (site_id, {columns}) SELECT $1, {columns} FROM stage_{name} \
         ON CONFLICT (site_id, {}) DO UPDATE SET ({}) = ROW ({excluded}) WHERE ROW ({}) IS DISTINCT FROM ROW ({excluded})",
        layout.key().join(", "),
        rest.join(", "),
        of("t"),
        excluded = of("excluded"),
    )
}

/// The server's reason when it is the row that it refuses: data that do not fit, a constraint, a trigger of the office's own.
fn fault_of_the_row(error: &anyhow::Error) -> Option<String> {
    let database = error.downcast_ref::<sqlx::Error>()?.as_database_error()?;
    let code = database.code()?;
    ["22", "23", "P0"]
        .iter()
        .any(|class| code.starts_with(class))
        .then(|| format!("{} ({code})", database.message()))
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
    let gone = || anyhow::anyhow!("the sending side has gone");
    for (table, ranges) in ranges {
        let layout = &layouts[table];
        let count = (layout.sent.len() as i16 + 1).to_be_bytes();
        let mut out = Vec::with_capacity(CHUNK_BYTES + 4096);
        out.extend_from_slice(HEADER);
        let (mut rows, mut refused) = (0u64, Vec::new());
        for range in ranges.iter() {
            snapshot.rows(*table, &layout.read, range, |cells| {
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
                if out.len() >= CHUNK_BYTES {
                    let full = std::mem::replace(&mut out, Vec::with_capacity(CHUNK_BYTES + 4096));
                    pieces
                        .blocking_send(Ok(Piece::Rows(full)))
                        .map_err(|_| gone())?;
                }
                Ok(())
            })?;
        }
        out.extend_from_slice(TRAILER);
        for piece in [Piece::Rows(out), Piece::End(rows, refused)] {
            pieces.blocking_send(Ok(piece)).map_err(|_| gone())?;
        }
    }
    Ok(())
}
