//! How to reach the central office: address, password, TLS.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, bail};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    config::{CENTRAL_SILENCE_S_MAX, Central, read_secret},
    tls,
    watchdog::SYNC,
};

/// How long a connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How long the server may be silent where nothing else is said.
const SILENCE_MAX: Duration = Duration::from_secs(CENTRAL_SILENCE_S_MAX as u64);

tokio::task_local! {
    /// How long the server may be silent in a session: every request is under it, so none is told.
    static SESSION_SILENCE_MAX: Duration;
}

/// Runs a session whose every request must be answered as soon as the config says.
pub async fn impatient<T>(central: &Central, session: impl Future<Output = T>) -> T {
    let silence_max = Duration::from_secs(central.silence_s_max);
    SESSION_SILENCE_MAX.scope(silence_max, session).await
}

/// Waits for the server's answer, but not for ever: a half-open connection answers never.
pub async fn answered<T, E: Into<anyhow::Error>>(
    answer: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T> {
    let silence_max = SESSION_SILENCE_MAX.try_get().unwrap_or(SILENCE_MAX);
    SYNC.rests(silence_max);
    match tokio::time::timeout(silence_max, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => bail!("no answer for {} s", silence_max.as_secs()),
    }
}

/// Connects; the password is read anew each time, so that a changed file needs no restart.
pub async fn connect(central: &Central) -> anyhow::Result<PgConnection> {
    let options = options(central)?;
    let connecting = PgConnection::connect_with(&options);
    let silence_max = Duration::from_secs(central.silence_s_max);
    let connect_max = CONNECT_MAX.min(silence_max);
    let mut connection = match tokio::time::timeout(connect_max, connecting).await {
        Ok(connected) => connected.map_err(|error| explain(error, &options, central))?,
        Err(_) => bail!("no answer within {} s", connect_max.as_secs()),
    };
    // What a connection that died on our side holds is let go soon on theirs; who waits for it gives up first.
    let (lock_ms, idle_ms) = (silence_max.as_millis() / 2, silence_max.as_millis() * 3 / 2);
    let settings = format!(
        "SET statement_timeout = '10min'; SET lock_timeout = {lock_ms}; \
         SET idle_in_transaction_session_timeout = {idle_ms}; SET client_min_messages = warning; SET timezone = 'UTC'"
    );
    answered(connection.execute(AssertSqlSafe(settings)))
        .await
        .context("cannot set up the connection")?;
    Ok(connection)
}

fn options(central: &Central) -> anyhow::Result<PgConnectOptions> {
    let mut options = PgConnectOptions::from_str(&central.url)?
        .application_name(concat!("pumphouse ", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &central.password_file {
        options = options.password(&read_secret(path)?);
    }
    // Unless the address says otherwise, whoever answers from another machine must prove who it is.
    let is_local = tls::is_local(options.get_host());
    if !central.url.contains("sslmode=") && (central.ca_file.is_some() || !is_local) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if let Some(path) = &central.ca_file {
        options = options.ssl_root_cert(path);
    }
    if let Some((certificate, key)) = &central.client_auth {
        options = options.ssl_client_cert(certificate).ssl_client_key(key);
    }
    Ok(options)
}

/// Says what a failed connect means.
fn explain(error: sqlx::Error, options: &PgConnectOptions, central: &Central) -> anyhow::Error {
    let host = options.get_host();
    // Class 28: whoever wants in is not let in.
    let code = error.as_database_error().and_then(|it| it.code());
    let meaning = match code.is_some_and(|code| code.starts_with("28")) {
        true => Some(format!(
            "it does not accept user {:?} with the password in password_file",
            options.get_username()
        )),
        false => tls::explain(&error, host, central.ca_file.is_some()),
    };
    let error = anyhow::Error::from(error);
    let error = match meaning {
        Some(meaning) => error.context(meaning),
        None => error,
    };
    error.context(format!("cannot connect to {host}:{}", options.get_port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str, ca_file: Option<&str>) -> String {
        let central = Central {
            url: url.into(),
            password_file: None,
            ca_file: ca_file.map(Into::into),
            client_auth: None,
            batch_rows_max: 1000,
            retry_s_max: 1,
            silence_s_max: 60,
        };
        let options = options(&central).expect("a valid address");
        format!("{:?}", options.get_ssl_mode())
    }

    #[test]
    fn another_machine_must_prove_its_name_unless_the_address_says_otherwise() {
        assert_eq!(mode("postgres://a@central.example/p", None), "VerifyFull");
        assert_eq!(mode("postgres://a@192.0.2.7:5433/p", None), "VerifyFull");
        assert_eq!(mode("postgres://a@[2001:db8::1]/p", None), "VerifyFull");
        // Not this machine, however much the name looks like it.
        for host in ["localhost.example", "127.0.0.1.example"] {
            assert_eq!(mode(&format!("postgres://a@{host}/p"), None), "VerifyFull");
        }
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("postgres://a@{host}/p");
            assert_eq!(mode(&url, None), "Prefer");
            assert_eq!(mode(&url, Some("ca.pem")), "VerifyFull");
        }
        let said = "postgres://a@central.example/p?sslmode=require";
        assert_eq!(mode(said, None), "Require");
        assert_eq!(mode(said, Some("ca.pem")), "Require");
    }
}
