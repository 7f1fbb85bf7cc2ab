//! `GET /metrics`: the daemon's own figures in Prometheus' text format, for whoever watches many stations.

use std::{
    fmt::Write,
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Shared, access::Visitor, api::Problem, listen::Peer};
use crate::{
    config::Config,
    measured::{COMMIT, FORECAST, PLAN, STEP, Timer},
    rules::Severity,
    store::{
        backups,
        look::{Look, alarms::AlarmCount},
        view::{ForecastError, NewestPlan, Table, View},
    },
    watchdog,
};

/// Answers with all figures.
pub async fn metrics(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    visitor: Option<Extension<Visitor>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if visitor.is_none() && !shared.access.may_measure(peer.ip(), &headers).await? {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"pumphouse\"")];
        return Ok((StatusCode::UNAUTHORIZED, ask).into_response());
    }
    let (config, now_s) = (shared.config.clone(), shared.clock.now_s());
    let told = move |look: &mut Look| page(&config, &look.alarms_by_state()?, now_s);
    let text = shared.looks.ask(told).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((kind, text).into_response())
}

/// The text: each figure with what it means.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Explains a figure; its name in full, which is after `pumphouse_` but for what every process has.
    fn explain(&mut self, name: &str, kind: &str, means: &str) -> String {
        let name = match name.starts_with("process_") {
            true => name.to_owned(),
            false => format!("pumphouse_{name}"),
        };
        // Writing into a text does not fail.
        let _ = writeln!(self.0, "# HELP {name} {means}\n# TYPE {name} {kind}");
        name
    }

    /// A figure: its name, its kind, what it means, and a value for each set of labels.
    fn put<L: AsRef<str>>(
        &mut self,
        name: &str,
        kind: &str,
        means: &str,
        values: &[(L, Option<f64>)],
    ) {
        let name = self.explain(name, kind, means);
        for (labels, value) in values {
            let Some(value) = value else { continue };
            let _ = match labels.as_ref() {
                "" => writeln!(self.0, "{name} {value}"),
                labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
            };
        }
    }

    fn gauge(&mut self, name: &str, means: &str, value: Option<f64>) {
        self.put(name, "gauge", means, &[("", value)]);
    }

    fn timer(&mut self, name: &str, means: &str, timer: &Timer) {
        let name = self.explain(name, "summary", means);
        let (count, seconds) = timer.total();
        let _ = writeln!(self.0, "{name}_sum {seconds}\n{name}_count {count}");
    }
}

fn page(config: &Config, alarms_by_state: &[AlarmCount], now_s: i64) -> anyhow::Result<String> {
    let view = View::open(&config.store)?;
    let mut page = Page::default();
    let info = format!(
        "site=\"{}\",version=\"{}\"",
        config.site_id,
        env!("CARGO_PKG_VERSION")
    );
    page.put(
        "info",
        "gauge",
        "The station and the version.",
        &[(info, Some(1.0))],
    );
    let newest = view.newest_row()?;
    let age_s = newest.map(|(minute, _)| (now_s - minute * 60) as f64);
    page.gauge("sample_age_seconds", "Age of the newest row.", age_s);
    let totals = view.totals()?;
    page.put(
        "records_total",
        "counter",
        "Records of the exports that are kept in the books.",
        &[
            ("result=\"kept\"", Some(totals.kept as f64)),
            ("result=\"rejected\"", Some(totals.rejected as f64)),
        ],
    );
    deliveries(&mut page, &view, config, now_s)?;
    page.timer(
        "step_seconds",
        "Writing a step into the open transaction.",
        &STEP,
    );
    page.timer(
        "commit_seconds",
        "A commit, until it is on the disk.",
        &COMMIT,
    );
    page.timer("forecast_seconds", "A minute's forecasts.", &FORECAST);
    page.timer("plan_seconds", "A schedule.", &PLAN);
    alarms(&mut page, alarms_by_state);
    let errors = view.forecast_errors()?;
    let labels: Vec<String> = errors
        .iter()
        .map(|it| format!("target=\"{}\",model=\"{}\"", it.target, it.model))
        .collect();
    let of = |value: fn(&ForecastError) -> Option<f64>| -> Vec<_> {
        let values = labels.iter().zip(&errors);
        values
            .map(|(labels, error)| (labels.as_str(), value(error)))
            .collect()
    };
    page.put(
        "forecast_rmse",
        "gauge",
        "Error of the newest scored day, in the target's unit.",
        &of(|it| it.rmse),
    );
    page.put(
        "forecast_rmse_naive",
        "gauge",
        "The same of the day before, taken for a forecast.",
        &of(|it| it.naive),
    );
    let plan = view.newest_plan()?;
    let pct = |value: fn(&NewestPlan) -> Option<f64>| plan.as_ref().and_then(value);
    page.gauge(
        "plan_savings_percent",
        "What the newest schedule saves of the cost beside the station's own control.",
        pct(|it| it.savings_pct),
    );
    page.gauge(
        "plan_gap_percent",
        "How much cheaper than the newest schedule another could be at most.",
        pct(|it| it.gap_pct),
    );
    let disk = view.outlook(&config.store)?;
    page.gauge(
        "store_bytes",
        "The store with its log.",
        Some(disk.store_bytes as f64),
    );
    page.gauge(
        "disk_free_bytes",
        "Room on the store's disk, without the reserve.",
        Some(disk.free_bytes as f64),
    );
    page.gauge(
        "disk_reserve_bytes",
        "The reserve; 0 when it is used up.",
        Some(disk.reserve_bytes as f64),
    );
    let flag = |is_so: bool| Some(f64::from(u8::from(is_so)));
    page.gauge(
        "disk_reserve_lacking",
        "1 when the disk has no room for the reserve.",
        flag(disk.lacks_reserve(config.reserve_bytes)),
    );
    page.gauge(
        "disk_used_percent",
        "How much of the store's disk is in use, by whomever.",
        Some(disk.used.pct()),
    );
    page.gauge(
        "disk_beyond_budget",
        "1 when the store or its disk is beyond the budget, so that the oldest minutes go where that helps.",
        flag(disk.is_beyond(&config.budget)),
    );
    page.gauge(
        "disk_days_left",
        "Days until the disk is full.",
        Some(disk.days_left as f64),
    );
    let kept = kept_backups(&config.backups.folder);
    page.gauge(
        "backups",
        "Backups in their folder, when it was last looked at.",
        kept.map(|(count, _)| count as f64),
    );
    page.gauge(
        "backup_age_seconds",
        "Age of the newest of them.",
        kept.and_then(|(_, age)| Some(age?.as_secs_f64())),
    );
    let parts = watchdog::due_s().into_iter();
    let parts: Vec<_> = parts
        .map(|(part, due_s)| (format!("part=\"{part}\""), Some(due_s)))
        .collect();
    page.put(
        "watchdog_due_seconds",
        "gauge",
        "When a part must be heard of, or the service manager is asked to restart the daemon.",
        &parts,
    );
    page.gauge(
        "purged_rows",
        "Raw minutes that are gone to keep the disk's budget.",
        Some(disk.settled.map_or(0, |settled| settled.purged_rows) as f64),
    );
    process(&mut page);
    Ok(page.0)
}

/// How many backups there are, and how old the newest is. The folder may be on another disk, and a disk may hang: it is looked at on a
/// thread of its own, and what the look before has found is told.
fn kept_backups(folder: &Path) -> Option<(usize, Option<Duration>)> {
    static IS_LOOKING: AtomicBool = AtomicBool::new(false);
    static FOUND: Mutex<Option<(Instant, usize, Option<Duration>)>> = Mutex::new(None);
    let known = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if !IS_LOOKING.swap(true, Ordering::AcqRel) {
        let folder = folder.to_path_buf();
        let looking = thread::Builder::new()
            .name("backups".into())
            .spawn(move || {
                let backups = backups::list(&folder);
                let age = backups.first().and_then(|newest| backups::age(newest).ok());
                // One of the future is as far from now as one of the past: it says nothing of last night.
                let age = age.map(|age| age.unsigned_abs());
                *known() = Some((Instant::now(), backups.len(), age));
                IS_LOOKING.store(false, Ordering::Release);
            });
        if looking.is_err() {
            IS_LOOKING.store(false, Ordering::Release);
        }
    }
    // While the disk hangs, they get older.
    let (looked, count, age) = (*known())?;
    Some((count, age.map(|age| age + looked.elapsed())))
}

/// What waits for each target, for how long, and what it will not take.
fn deliveries(page: &mut Page, view: &View, config: &Config, now_s: i64) -> anyhow::Result<()> {
    const TARGETS: [&str; 3] = ["target=\"mqtt\"", "target=\"central\"", "target=\"calls\""];
    let (mut rows, mut age_s, mut dropped) = ([None; 3], [None; 3], [None; 3]);
    if config.mqtt.is_some() {
        rows[0] = Some(view.count(Table::Outbox)? as f64);
        age_s[0] = Some(view.oldest_message()?.map_or(0, |ts| (now_s - ts).max(0)) as f64);
    }
    if config.central.is_some() {
        let central = view.central(&config.store, now_s)?;
        rows[1] = Some(central.rows_waiting as f64);
        age_s[1] = Some((central.behind_min * 60) as f64);
        dropped[1] = Some(central.refused as f64);
    }
    if config.notify.is_some() {
        let calls = view.calls(now_s)?;
        rows[2] = Some(calls.waiting as f64);
        age_s[2] = Some(calls.waits_s as f64);
        dropped[2] = Some(calls.given_up as f64);
    }
    let of = |values: [Option<f64>; 3]| TARGETS.into_iter().zip(values).collect::<Vec<_>>();
    page.put(
        "outbox_rows",
        "gauge",
        "What waits for a target.",
        &of(rows),
    );
    page.put(
        "outbox_age_seconds",
        "gauge",
        "How long the oldest of it has been waiting.",
        &of(age_s),
    );
    page.put(
        "dropped_rows",
        "gauge",
        "What a target refused for good, or nobody took for a day; it is kept with the reason.",
        &of(dropped),
    );
    Ok(())
}

fn alarms(page: &mut Page, counts: &[AlarmCount]) {
    let states = [
        "unacknowledged",
        "acknowledged",
        "shelved",
        "out_of_service",
    ];
    let mut values = Vec::new();
    for severity in Severity::ALL {
        for state in states {
            let of = |it: &&AlarmCount| it.severity == severity.name() && it.state == state;
            let open = counts.iter().find(of).map_or(0, |it| it.open);
            let severity = severity.name().to_lowercase();
            values.push((
                format!("severity=\"{severity}\",state=\"{state}\""),
                Some(open as f64),
            ));
        }
    }
    page.put(
        "alarms",
        "gauge",
        "Open alarms by severity, and by what operators have done about them.",
        &values,
    );
}

/// What the kernel counts of this process, where it tells.
fn process(page: &mut Page) {
    let line = |file: &str, key: &str| -> Option<f64> {
        let text = fs::read_to_string(file).ok()?;
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let written = line("/proc/self/io", "write_bytes:");
    page.put(
        "process_written_bytes_total",
        "counter",
        "Bytes sent to the disk since the start.",
        &[("", written)],
    );
    let resident = line("/proc/self/status", "VmRSS:").map(|kb| kb * 1024.0);
    page.gauge("process_resident_memory_bytes", "Memory in use.", resident);
    let files = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|it| it.count() as f64);
    page.gauge("process_open_fds", "Open files and sockets.", files);
}
