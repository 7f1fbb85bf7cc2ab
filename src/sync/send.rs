//! A batch to the central office: one transaction that takes the rows of some ranges as they now stand, drops what is gone from
//! them, and moves the site's mark. Whatever breaks, it has happened or it has not.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgTransaction, Row, postgres::PgRow};

use super::{connect::answered, layout::Layout, meet::Mark, stage::Staged};
use crate::{
    calendar::date_text,
    store::{
        changes::{Keyed, Synced},
        outgoing::{Batch, Refused},
        ranges::Ranges,
    },
};

/// From so many rows on it is worth a question whether any of them is there.
const MANY_ROWS: i32 = 1000;
/// When more rows of one batch are refused, something is wrong with the central office and not with the rows.
const REFUSED_MAX: usize = 1000;

/// Another box, or a person, sends for the site.
pub const MOVED: &str = "the central office's mark of this site has moved meanwhile";

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
    /// What the tables look like.
    pub layouts: &'a BTreeMap<Synced, Layout>,
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
    pub async fn take_place(
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
            bail!("{MOVED}");
        }
        Ok(())
    }

    /// Takes what is staged over, in the open transaction, which has taken the site's place.
    pub async fn deliver(
        &self,
        transaction: &mut PgTransaction<'_>,
        batch: &Batch,
        staged: Staged,
    ) -> anyhow::Result<Sent> {
        let mut sent = Sent {
            rows: staged.rows.values().sum(),
            refused: staged.refused,
        };
        for (table, ranges) in &batch.ranges {
            let layout = &self.layouts[table];
            let rows = staged.rows.get(table).copied().unwrap_or(0);
            let mut merged = match rows {
                0 => Ok(()),
                rows => {
                    self.merge(transaction, layout, rows as i32, &mut sent)
                        .await
                }
            };
            if merged.is_ok() && (table.loses_rows() || batch.whole.contains(table)) {
                merged = self.drop_gone(transaction, layout, ranges).await;
            }
            merged.with_context(|| format!("cannot send {}", table.name()))?;
        }
        Ok(sent)
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

    /// Takes the staged rows over; those that the server refuses are found by halving.
    async fn merge(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        rows: i32,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let (insert, or_update) = merge_sql(layout);
        let mut waiting = vec![(0, rows - 1)];
        while let Some((first, last)) = waiting.pop() {
            let all = first == 0 && last == rows - 1;
            let sql = match all {
                // Rows of which none is there go in a third faster without looking for each.
                true if rows >= MANY_ROWS && self.nothing_is_there(transaction, layout).await? => {
                    insert.clone()
                }
                true => format!("{insert} {or_update}"),
                false => format!("{insert} WHERE place BETWEEN $2 AND $3 {or_update}"),
            };
            let mut attempt = answered(transaction.begin()).await?;
            let mut merging = sqlx::query(AssertSqlSafe(sql)).bind(self.site);
            if !all {
                merging = merging.bind(first).bind(last);
            }
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

    /// Whether the site has no row in the time of what is staged.
    async fn nothing_is_there(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
    ) -> anyhow::Result<bool> {
        let name = layout.table.name();
        let sql = format!(
            "SELECT NOT EXISTS (SELECT FROM pumphouse.{name} WHERE site_id = $1 AND ts BETWEEN \
             (SELECT min(ts) FROM stage_{name}) AND (SELECT max(ts) FROM stage_{name}))"
        );
        let looking = sqlx::query(AssertSqlSafe(sql)).bind(self.site);
        let row = answered(looking.fetch_one(&mut **transaction)).await?;
        Ok(row.try_get(0)?)
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

/// Inserts what is new; and updates what differs, while a row that stands as it is is left alone.
fn merge_sql(layout: &Layout) -> (String, String) {
    let (name, columns) = (layout.table.name(), layout.names());
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
    let insert = format!(
        "INSERT INTO pumphouse.{name} AS t (site_id, {columns}) SELECT $1, {columns} FROM stage_{name}"
    );
    let or_update = format!(
        "ON CONFLICT (site_id, {}) DO UPDATE SET ({}) = ROW ({excluded}) WHERE ROW ({}) IS DISTINCT FROM ROW ({excluded})",
        layout.key().join(", "),
        rest.join(", "),
        of("t"),
        excluded = of("excluded"),
    );
    (insert, or_update)
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
