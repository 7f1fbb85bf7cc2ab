//! Questions to the central office's database: a SELECT that nobody here has written, as a role that reads and nothing else.
//!
//! The wall is what the role is granted (`central init --reader`). What stands before it: one parsed SELECT over the tables that are
//! sent there, without functions that reach beyond them; a transaction that reads only; bounds of time, rows and bytes.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use anyhow::Context;
use serde_json::Value;
use sqlparser::{
    ast::{Expr, ObjectName, Query, Statement, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
};
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgConnection, Row, SqlSafeStr, Statement as _,
};
use tokio_stream::StreamExt;

use super::connect::{answered, connect};
use crate::{
    config::Central,
    store::question::{Limits, Rows, TABLES},
};

/// Tables of the office alone.
const OFFICE_TABLES: [&str; 2] = ["alarm_kpi_daily", "edge_sync"];
/// Beginnings of the names of functions that read files, wait, run SQL that they are given, or change settings.
const FUNCTIONS_REFUSED: [&str; 14] = [
    "pg_",
    "lo_",
    "dblink",
    "set_config",
    "current_setting",
    "query_to_",
    "table_to_",
    "cursor_to_",
    "schema_to_",
    "database_to_",
    "nextval",
    "setval",
    "xpath",
    "inet_",
];
/// Longest SQL, bytes.
const SQL_BYTES_MAX: usize = 20_000;
/// Longest row, bytes: it is cut before it leaves the server.
const ROW_BYTES_MAX: usize = 100_000;

/// The central office, open for questions.
pub struct Office {
    central: Central,
    connection: Option<PgConnection>,
    limits: Limits,
}

impl Office {
    /// Connects as a reader.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn open(central: Central, limits: Limits) -> anyhow::Result<Self> {
        let connection = connect(&central).await?;
        Ok(Self {
            central,
            connection: Some(connection),
            limits,
        })
    }

    /// The tables as a model needs to know them, one a line.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn schema(&mut self) -> anyhow::Result<String> {
        let sql = "SELECT table_name::text || '(' || string_agg(quote_ident(column_name) || ' ' || data_type, ', ' ORDER BY ordinal_position) || ')' \
                   FROM information_schema.columns WHERE table_schema = 'pumphouse' AND table_name = ANY($1) GROUP BY table_name ORDER BY table_name";
        let names: Vec<String> = tables().map(str::to_owned).collect();
        let connection = self.connection().await?;
        let rows = answered(sqlx::query(sql).bind(names).fetch_all(connection)).await?;
        let mut text = String::from(
            "-- PostgreSQL 15, not SQLite: use its dialect. Many sites: every table has site_id. ts is timestamptz; date and timestamp are texts \
             of each plant's own wall clock.\n",
        );
        for row in rows {
            text.push_str(&row.try_get::<String, _>(0)?);
            text.push('\n');
        }
        Ok(text)
    }

    /// Answers a question in SQL, or says why not.
    ///
    /// # Errors
    /// It is refused, wrong, or takes too long.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, String> {
        let sql = understand(sql)?;
        let limits = self.limits;
        let connection = self
            .connection()
            .await
            .map_err(|error| format!("{error:#}"))?;
        let found = run(connection, &sql, limits).await;
        // What a run left open ends with its connection, whatever state that is in.
        if !matches!(found, Ok(Rows { cut: false, .. })) {
            self.connection = None;
        }
        found.map_err(|error| explain(&error))
    }

    async fn connection(&mut self) -> anyhow::Result<&mut PgConnection> {
        if self.connection.is_none() {
            self.connection = Some(connect(&self.central).await?);
        }
        self.connection.as_mut().context("no connection")
    }
}

async fn run(connection: &mut PgConnection, sql: &str, limits: Limits) -> anyhow::Result<Rows> {
    let time_ms = limits.time.as_millis();
    let mut transaction = answered(connection.begin_with("BEGIN READ ONLY")).await?;
    let settings = format!(
        "SET LOCAL statement_timeout = {time_ms}; SET LOCAL lock_timeout = {time_ms}; \
         SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL search_path = pumphouse",
        2 * time_ms
    );
    answered(transaction.execute(AssertSqlSafe(settings))).await?;
    let columns: Vec<String> = {
        let prepared =
            answered(transaction.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())).await?;
        prepared
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect()
    };
    let distinct: BTreeSet<&String> = columns.iter().collect();
    anyhow::ensure!(
        distinct.len() == columns.len(),
        "two columns have one name; give each its own"
    );
    // In a subquery nothing but a SELECT can stand, and a row that is too long is cut before it is sent.
    let bounded = format!(
        "SELECT left(row_to_json(q)::text, {}) FROM ({sql}) AS q LIMIT {}",
        ROW_BYTES_MAX + 1,
        limits.rows + 1
    );
    let mut found = Rows {
        columns,
        ..Rows::default()
    };
    let mut bytes = 0;
    let mut rows = sqlx::query(AssertSqlSafe(bounded)).fetch(&mut *transaction);
    let patience = limits.time + Duration::from_secs(5);
    while let Some(row) = tokio::time::timeout(patience, rows.next()).await? {
        let text: String = row?.try_get(0)?;
        bytes += text.len();
        if found.rows.len() == limits.rows || bytes > limits.bytes {
            found.cut = true;
            break;
        }
        anyhow::ensure!(
            text.len() <= ROW_BYTES_MAX,
            "a row is longer than {ROW_BYTES_MAX} bytes"
        );
        let mut row: Value = serde_json::from_str(&text)?;
        found.rows.push(
            found
                .columns
                .iter()
                .map(|column| row[column].take())
                .collect(),
        );
    }
    drop(rows);
    if !found.cut {
        answered(transaction.rollback()).await?;
    }
    Ok(found)
}

/// What the server says, without its own SQL around it.
fn explain(error: &anyhow::Error) -> String {
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(error)) => error.message().to_owned(),
        _ => format!("{error:#}"),
    }
}

fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().chain(OFFICE_TABLES)
}

/// One SELECT over the listed tables, without a semicolon.
fn understand(sql: &str) -> Result<String, String> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(format!("the SQL is longer than {SQL_BYTES_MAX} bytes"));
    }
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let statements =
        Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(|error| error.to_string())?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Err("only one SELECT can be run".into());
    };
    let mut reading = Reading::default();
    if let ControlFlow::Break(refused) = query.visit(&mut reading) {
        return Err(refused);
    }
    match reading
        .read
        .difference(&reading.named)
        .find(|name| !tables().any(|table| table == *name))
    {
        Some(name) => Err(format!(
            "{name} cannot be asked about; {} can",
            tables().collect::<Vec<_>>().join(", ")
        )),
        None => Ok(sql.to_owned()),
    }
}

/// What a query reads.
#[derive(Default)]
struct Reading {
    read: BTreeSet<String>,
    /// Names of its common table expressions.
    named: BTreeSet<String>,
}

impl Visitor for Reading {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(table.alias.name.value.to_lowercase());
        }
        if query.locks.is_empty() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break("rows cannot be locked".into())
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let parts: Vec<String> = relation
            .0
            .iter()
            .map(|part| part.to_string().replace('"', "").to_lowercase())
            .collect();
        match parts.as_slice() {
            [table] => drop(self.read.insert(table.clone())),
            [schema, table] if schema == "pumphouse" => drop(self.read.insert(table.clone())),
            _ => return ControlFlow::Break(format!("{relation} cannot be asked about")),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<String> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break("only one SELECT can be run".into()),
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        if let Expr::Function(function) = expression {
            let name = function
                .name
                .0
                .last()
                .map(|part| part.to_string().replace('"', "").to_lowercase());
            let name = name.unwrap_or_default();
            if FUNCTIONS_REFUSED
                .iter()
                .any(|refused| name.starts_with(refused))
            {
                return ControlFlow::Break(format!("the function {name} cannot be used"));
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_select_over_the_listed_tables_gets_through() {
        for sql in [
            "SELECT count(*) FROM readings_wide",
            "select site_id, max(hlt_pct) from pumphouse.readings_wide group by 1;",
            "WITH busy AS (SELECT date FROM daily_summary) SELECT * FROM busy",
            "SELECT sum(flow_during_run) OVER (ORDER BY ts) FROM pump_sessions",
        ] {
            assert!(understand(sql).is_ok(), "{sql}: {:?}", understand(sql));
        }
        for sql in [
            "DELETE FROM readings_wide",
            "SELECT 1; SELECT 2",
            "SELECT * FROM pg_shadow",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM public.readings_wide",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT \"pg_sleep\"(100)",
            "SELECT query_to_xml('DELETE FROM x', true, true, '')",
            "SELECT set_config('transaction_read_only', 'off', false)",
            "SELECT * FROM readings_wide FOR UPDATE",
            "WITH gone AS (DELETE FROM readings_wide RETURNING *) SELECT * FROM gone",
            "COPY readings_wide TO PROGRAM 'sh'",
            "SELECT * INTO copied FROM readings_wide, dead_letters",
            "",
        ] {
            assert!(understand(sql).is_err(), "{sql}");
        }
    }
}
