//! `pumphouse central init`: the central office's schema, roles and views.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, migrate::Migrator};

use super::connect::answered;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// What `init` found and did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// Migrations applied now.
    pub applied: usize,
    /// All of them.
    pub all: usize,
}

/// Brings the schema up to date; needs a role that may create schemas and roles.
pub async fn init(connection: &mut PgConnection) -> anyhow::Result<Done> {
    let version = answered(
        sqlx::query("SELECT current_setting('server_version_num')::int")
            .fetch_one(&mut *connection),
    )
    .await?
    .try_get::<i32, _>(0)?;
    anyhow::ensure!(
        version >= 150_000,
        "the server is PostgreSQL {}; 15 or newer is needed, for views that respect row-level security",
        version / 10_000
    );
    answered(connection.execute("CREATE SCHEMA IF NOT EXISTS pumphouse"))
        .await
        .context("cannot create the schema pumphouse")?;
    answered(connection.execute("SET search_path = pumphouse")).await?;
    let before = applied(connection).await?;
    MIGRATIONS
        .run(&mut *connection)
        .await
        .context("cannot bring the schema up to date")?;
    let after = applied(connection).await?;
    Ok(Done {
        applied: after - before,
        all: after,
    })
}

async fn applied(connection: &mut PgConnection) -> anyhow::Result<usize> {
    let sql = "SELECT to_regclass('pumphouse._sqlx_migrations') IS NOT NULL";
    let known: bool = answered(sqlx::query(sql).fetch_one(&mut *connection))
        .await?
        .try_get(0)?;
    if !known {
        return Ok(0);
    }
    let sql = "SELECT count(*) FROM pumphouse._sqlx_migrations WHERE success";
    let count: i64 = answered(sqlx::query(sql).fetch_one(&mut *connection))
        .await?
        .try_get(0)?;
    Ok(count as usize)
}

/// Makes the writer of a site, or gives it a new password.
pub async fn add_writer(
    connection: &mut PgConnection,
    site: &str,
    password: &str,
) -> anyhow::Result<()> {
    add_login(connection, site, password, "pumphouse_writer").await
}

/// Makes a login that reads all sites, or gives it a new password.
pub async fn add_reader(
    connection: &mut PgConnection,
    name: &str,
    password: &str,
) -> anyhow::Result<()> {
    add_login(connection, name, password, "pumphouse_reader").await
}

async fn add_login(
    connection: &mut PgConnection,
    name: &str,
    password: &str,
    group: &str,
) -> anyhow::Result<()> {
    anyhow::ensure!(
        !password.is_empty() && !password.contains('\0'),
        "the password of {name} is empty"
    );
    let sql = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
    let known: bool = answered(sqlx::query(sql).bind(name).fetch_one(&mut *connection))
        .await?
        .try_get(0)?;
    let verb = if known { "ALTER" } else { "CREATE" };
    // The statement takes no parameters; the server quotes what goes into it.
    let sql = format!(
        "SELECT format('{verb} ROLE %I LOGIN PASSWORD %L', $1, $2), format('GRANT {group} TO %I', $1)"
    );
    let row = answered(
        sqlx::query(AssertSqlSafe(sql))
            .bind(name)
            .bind(password)
            .fetch_one(&mut *connection),
    )
    .await?;
    for column in 0..2 {
        let statement: String = row.try_get(column)?;
        answered(connection.execute(AssertSqlSafe(statement)))
            .await
            .with_context(|| format!("cannot set up the role {name}"))?;
    }
    Ok(())
}
