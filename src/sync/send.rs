//! A batch to the central office: one transaction that takes the rows of some ranges as they now stand, drops what is gone from
//! them, and moves the site's mark. Whatever breaks, it has happened or it has not.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgTransaction, Row, postgres::PgRow,
};

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
/// Rows among which the server looks at once for those that it refuses: soon enough it answers, and many refused ones are noticed.
const ROWS_APART: usize = 1024;

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

    /// Takes the staged rows over.
    async fn merge(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        rows: i32,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let (insert, or_update) = merge_sql(layout);
        // Rows of which none is there go in a third faster without looking for each.
        let is_new = rows >= MANY_ROWS && self.nothing_is_there(transaction, layout).await?;
        let sql = match is_new {
            true => insert.clone(),
            false => format!("{insert} {or_update}"),
        };
        let mut attempt = answered(transaction.begin()).await?;
        let merging = sqlx::query(AssertSqlSafe(sql)).bind(self.site);
        match answered(merging.execute(&mut *attempt)).await {
            Ok(_) => return answered(attempt.commit()).await,
            Err(error) if is_fault_of_a_row(&error) => answered(attempt.rollback()).await?,
            Err(error) => return Err(error),
        }
        let some = format!("{insert} WHERE place BETWEEN $2 AND $3 {or_update}");
        self.merge_apart(transaction, layout, rows, &some, sent)
            .await
    }

    /// Takes over those of the staged rows that the server accepts. It finds the others itself, by halving: with a round trip for each
    /// step, a long line would take hours over them.
    async fn merge_apart(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        rows: i32,
        some: &str,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let name = layout.table.name();
        let sql = format!(
            "CREATE INDEX IF NOT EXISTS stage_{name}_place ON stage_{name} (place); \
             CREATE OR REPLACE FUNCTION pg_temp.merge_{name} (text, int, int) RETURNS TABLE (refused int, reason text) \
             LANGUAGE plpgsql AS $function$ #variable_conflict use_column\n BEGIN {some}; \
             EXCEPTION WHEN data_exception OR integrity_constraint_violation OR plpgsql_error THEN \
             IF $2 = $3 THEN RETURN QUERY SELECT $2, SQLERRM || ' (' || SQLSTATE || ')'; ELSE \
             RETURN QUERY SELECT * FROM pg_temp.merge_{name} ($1, $2, ($2 + $3) / 2); \
             RETURN QUERY SELECT * FROM pg_temp.merge_{name} ($1, ($2 + $3) / 2 + 1, $3); \
             END IF; END $function$"
        );
        answered(transaction.execute(AssertSqlSafe(sql)))
            .await
            .context("cannot look for the rows that the central office refuses")?;
        let (mut places, mut reasons) = (Vec::new(), Vec::new());
        let sql = format!("SELECT refused, reason FROM pg_temp.merge_{name} ($1, $2, $3)");
        for first in (0..rows).step_by(ROWS_APART) {
            let last = (first + ROWS_APART as i32).min(rows) - 1;
            let merging = sqlx::query_as(AssertSqlSafe(sql.clone()))
                .bind(self.site)
                .bind(first)
                .bind(last);
            let found: Vec<(i32, String)> = answered(merging.fetch_all(&mut **transaction)).await?;
            for (place, reason) in found {
                places.push(place);
                reasons.push(reason);
            }
            if sent.refused.len() + places.len() > REFUSED_MAX {
                bail!(
                    "the central office refuses more than {REFUSED_MAX} rows of one batch, the last one because: {}",
                    reasons.last().map_or("", String::as_str)
                );
            }
        }
        let refused = self.staged(transaction, layout, places, reasons).await?;
        sent.refused.extend(refused);
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

    /// Staged rows and why they are refused, for the dead letters.
    async fn staged(
        &self,
        transaction: &mut PgTransaction<'_>,
        layout: &Layout,
        places: Vec<i32>,
        reasons: Vec<String>,
    ) -> anyhow::Result<Vec<Refused>> {
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
            "SELECT jsonb_build_object({key})::text, (to_jsonb(s) - 'place')::text, {range_key}, refused.reason \
             FROM stage_{} s JOIN unnest($1, $2) AS refused (place, reason) USING (place) ORDER BY place",
            layout.table.name()
        );
        let asking = sqlx::query(AssertSqlSafe(sql)).bind(places).bind(reasons);
        let rows = answered(asking.fetch_all(&mut **transaction)).await?;
        let refused = rows.iter().map(|row| {
            Ok(Refused {
                table: layout.table,
                row_key: row.try_get(0)?,
                row: row.try_get(1)?,
                range_key: row.try_get(2)?,
                reason: row.try_get(3)?,
            })
        });
        refused.collect()
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

/// Whether it is a row that the server refuses: data that do not fit, a constraint, a trigger of the office's own.
fn is_fault_of_a_row(error: &anyhow::Error) -> bool {
    let code = error
        .downcast_ref::<sqlx::Error>()
        .and_then(|error| error.as_database_error()?.code());
    code.is_some_and(|code| {
        ["22", "23", "P0"]
            .iter()
            .any(|class| code.starts_with(class))
    })
}
