//! The dashboard: pages for people, and the JSON behind them for whoever builds on it.
//!
//! ```text
//!  store ─► store::look ─┬► api ──► /api/v1/…        on request
//!  advice, forecasts ────┴► live ─► /api/v1/live     pushed as server-sent events
//!                           assets, page/ ──► the pages themselves
//! ```
//!
//! *Invariants.* Everything read comes from a connection for reading only; what operators do goes the same way as their requests over
//! MQTT, through the one writer and its journal. Pages load nothing from elsewhere.

pub mod access;
pub mod api;
mod assets;
pub mod listen;
mod live;
mod metrics;
mod shell;

use std::{
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use jiff::tz::TimeZone;
use tokio::sync::{Semaphore, watch};

use crate::{
    attempts::Attempts,
    clock::Clock,
    config::{self, Config},
    forecast::worker::Told,
    schedule::worker::Advice,
    store::{look::Look, troubles::Part, writer::Handle},
};
use access::{Access, passwords::Users};
use listen::{Certificate, Listener, Peer};

/// Queries at a time: more would only share the box's cores.
const QUERIES_MAX: usize = 3;
/// Most bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Between two attempts to take a port that is in use, s.
const RETRY_S_MAX: u64 = 30;
/// Between two looks at whether the files of the config can still be used.
const FILES_LOOK: Duration = Duration::from_secs(10);
/// How long a stopping daemon waits for answers under way.
const FAREWELL: Duration = Duration::from_secs(2);

/// The dashboard.
pub struct Web {
    /// The whole config.
    pub config: Config,
    /// Writes what operators do, and log-ins.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// The newest forecasts.
    pub forecasts: watch::Receiver<Arc<Vec<Told>>>,
    /// The newest advice on pumping.
    pub advice: watch::Receiver<Option<Arc<Advice>>>,
    /// The time.
    pub clock: Clock,
}

/// What requests share.
pub struct Shared {
    config: Config,
    access: Access,
    looks: Looks,
    live: watch::Receiver<Arc<str>>,
    forecasts: watch::Receiver<Arc<Vec<Told>>>,
    advice: watch::Receiver<Option<Arc<Advice>>>,
    stopping: watch::Receiver<bool>,
    handle: Handle,
    clock: Clock,
    /// Whose turn it is to ask.
    questions: Semaphore,
}

impl Web {
    /// Serves until the daemon stops.
    pub async fn run(mut self) {
        let mut attempts = Attempts::new(
            Part::Dashboard,
            self.handle.clone(),
            self.clock,
            RETRY_S_MAX,
        );
        loop {
            let Err(error) = self.serve(&mut attempts).await else {
                return;
            };
            if let Some(cause) = attempts.fail(&error).await {
                log::error!(failures = attempts.failures(), cause; "the dashboard cannot be served; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(attempts.pause()) => {}
                _ = self.stopping.wait_for(|&stopping| stopping) => return,
            }
        }
    }

    async fn serve(&mut self, attempts: &mut Attempts) -> anyhow::Result<()> {
        let Some(web) = self.config.web.clone() else {
            return Ok(());
        };
        let listener = Listener::bind(web.listen, web.tls.as_ref()).await?;
        let address = axum::serve::Listener::local_addr(&listener)?;
        let access = Access::new(
            web.password_file.clone(),
            web.session,
            web.tls.is_some(),
            self.handle.clone(),
            self.clock,
        )
        .await?;
        let looks = Looks::new(&self.config, self.handle.clone());
        let (told, live) = watch::channel(Arc::from("null"));
        let shared = Arc::new(Shared {
            config: self.config.clone(),
            access,
            looks,
            live,
            forecasts: self.forecasts.clone(),
            advice: self.advice.clone(),
            stopping: self.stopping.clone(),
            handle: self.handle.clone(),
            clock: self.clock,
            questions: Semaphore::new(1),
        });
        let mut telling = tokio::spawn(live::tell(shared.clone(), self.committed.clone(), told));
        let scheme = web.scheme();
        log::info!(url = format!("{scheme}://{address}"), has_passwords = shared.access.needs_login(); "the dashboard is served");
        let mut stopping = self.stopping.clone();
        let served = axum::serve(
            listener,
            router(shared).into_make_service_with_connect_info::<Peer>(),
        )
        .with_graceful_shutdown(async move {
            let _ = stopping.wait_for(|&stopping| stopping).await;
        });
        let mut stopping = self.stopping.clone();
        let late = async move {
            let _ = stopping.wait_for(|&stopping| stopping).await;
            tokio::time::sleep(FAREWELL).await;
        };
        let ended = tokio::select! {
            served = async { served.await } => served,
            () = late => Ok(()),
            // It ends by itself only in a panic.
            Err(error) = &mut telling => Err(io::Error::other(error)),
            never = watch_files(&web, attempts) => match never {},
        };
        telling.abort();
        Ok(ended?)
    }
}

/// Tells what is wrong with the files that the dashboard needs.
pub fn look_at_files(web: &config::Web) -> anyhow::Result<()> {
    if let Some(passwords) = &web.password_file {
        Users::new(passwords.clone()).verify()?;
    }
    if let Some((certificate, key)) = &web.tls {
        Certificate::load(certificate, key)?;
    }
    Ok(())
}

/// The same on a thread of its own: a file on a share that hangs must hold up nobody.
pub async fn look_at_files_aside(web: config::Web) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || look_at_files(&web)).await?
}

/// Looks again and again: a file that cannot be used any more is no reason to end, but somebody must hear of it.
async fn watch_files(web: &config::Web, attempts: &mut Attempts) -> Infallible {
    loop {
        match look_at_files_aside(web.clone()).await {
            Ok(()) => attempts.succeed().await,
            Err(error) => {
                if let Some(cause) = attempts.fail(&error).await {
                    log::error!(failures = attempts.failures(), cause; "the dashboard cannot use a file: nobody can log in, or an old certificate goes on");
                }
            }
        }
        tokio::time::sleep(FILES_LOOK).await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(shell::pages())
        .route("/login", get(shell::login).post(access::log_in))
        .route("/logout", post(access::log_out))
        .route("/assets/{name}", get(assets::asset))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .nest("/api/v1", api::router())
        .route("/api/v1/live", get(live::stream))
        .fallback(async || api::Problem::NotFound("there is no such page".into()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            access::guard,
        ))
        .with_state(shared)
}

/// Connections to the store that wait to be asked something.
struct Looks {
    store: PathBuf,
    zone: TimeZone,
    handle: Handle,
    idle: Arc<Mutex<Vec<Look>>>,
    turns: Semaphore,
}

impl Looks {
    fn new(config: &Config, handle: Handle) -> Self {
        Self {
            store: config.store.clone(),
            zone: config.plant.zone.clone(),
            handle,
            idle: Arc::default(),
            turns: Semaphore::new(QUERIES_MAX),
        }
    }

    /// Asks the store something, on a thread of its own.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Look) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let _turn = self.turns.acquire().await?;
        let (store, zone, idle) = (self.store.clone(), self.zone.clone(), self.idle.clone());
        let handle = self.handle.clone();
        tokio::task::spawn_blocking(move || {
            let taken = idle
                .lock()
                .unwrap_or_else(|broken| broken.into_inner())
                .pop();
            let mut look = match taken {
                Some(look) => look,
                None => Look::open(&store, zone)?,
            };
            let answer = ask(&mut look);
            match &answer {
                Ok(_) => idle
                    .lock()
                    .unwrap_or_else(|broken| broken.into_inner())
                    .push(look),
                Err(error) => handle.report(error),
            }
            answer
        })
        .await?
    }
}
