//! What a page shows of this moment, pushed to it as server-sent events.
//!
//! The picture is made once for all who look, when something has been committed, planned or forecast. Only the newest is kept: whoever
//! is slow gets the next one and misses nothing that still holds.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use tokio::sync::watch;
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{IntervalStream, WatchStream},
};

use super::{Shared, api::now};

/// Changes this close together make one picture.
const TOGETHER: Duration = Duration::from_millis(100);
/// The picture is made anew at least this often, because time itself changes it: ages, tariff windows, what is planned next.
const ANEW: Duration = Duration::from_secs(30);
/// A page hears the time at least this often; one that hears nothing for longer shows that it has lost the daemon.
const BEAT: Duration = Duration::from_secs(5);

/// Makes the pictures until the daemon stops.
pub async fn tell(
    shared: Arc<Shared>,
    mut committed: watch::Receiver<u64>,
    told: watch::Sender<Arc<str>>,
) {
    let (mut forecasts, mut advice) = (shared.forecasts.clone(), shared.advice.clone());
    loop {
        match now::picture(&shared).await {
            Ok(picture) => drop(told.send_replace(Arc::from(picture.to_string()))),
            Err(error) => {
                log::warn!(cause = format!("{error:#}"); "the dashboard cannot read the store");
            }
        }
        tokio::select! {
            changed = committed.changed() => if changed.is_err() { return },
            Ok(()) = forecasts.changed() => {}
            Ok(()) = advice.changed() => {}
            () = tokio::time::sleep(shared.clock.real(ANEW)) => {}
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

/// `GET /api/v1/live`: events `picture`, as `/api/v1/now` has it, and `time`, the station's clock.
pub async fn stream(
    State(shared): State<Arc<Shared>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let pictures = WatchStream::new(shared.live.clone())
        .map(|picture| Event::default().event("picture").data(&*picture));
    let clock = shared.clock;
    let beats = IntervalStream::new(tokio::time::interval(BEAT)).map(move |_| {
        Event::default()
            .event("time")
            .data(clock.now_s().to_string())
    });
    let stopped = WatchStream::new(shared.stopping.clone())
        .filter(|&stopping| stopping)
        .map(|_| None);
    let events = pictures.merge(beats).map(Some).merge(stopped);
    // The stream ends with the daemon, so that a restart does not wait for pages that look on.
    let events = events.map_while(|event| event).map(Ok);
    Sse::new(events).keep_alive(KeepAlive::default())
}
