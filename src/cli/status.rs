//! `pumphouse status`: how the station and its store stand.

use std::fmt::Write;

use serde_json::json;

use super::{ConfigFile, print_json, print_text};
use crate::{
    calendar::{self, Calendar, span_text, utc_text},
    clock::Clock,
    config::Mqtt,
    forecast::{
        manifest::Place,
        models::{InUse, Models},
    },
    quality::DayQuality,
    store::{
        lock::is_in_use,
        reserve::Outlook,
        retention::Budget,
        troubles::{Part, Trouble},
        view::{Calls, Central, NewestPlan, Table, View},
    },
};

/// Files shown that are not read on.
const FILES_HELD_MAX: usize = 5;
/// Days of suppressed raises shown.
const SUPPRESSED_MAX: usize = 12;

/// Show how the station and its store stand
///
/// Reads the store beside a running daemon: age of the newest sample, rows, rejects, messages waiting for the broker,
/// calls to people, open alerts.
#[derive(clap::Args)]
pub struct Status {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let view = View::open(&config.store)?;
        let now_s = Clock::Wall.now_s();
        let is_running = is_in_use(&config.store);
        let newest = view.newest_row()?;
        let age_min = newest
            .as_ref()
            .map(|(minute, _)| Clock::Wall.minute() - minute);
        let newest = newest.map(|(_, local)| local);
        let source = view.newest_source()?;
        let count = |table| view.count(table);
        let (rows, alerts, rejects) = (
            count(Table::Rows)?,
            count(Table::Alerts)?,
            count(Table::Rejects)?,
        );
        let waiting = count(Table::Outbox)?;
        let (broker, dashboard) = (view.trouble(Part::Broker)?, view.trouble(Part::Dashboard)?);
        // Of a node that there was before, a trouble may be left.
        let has_node = |mqtt: &Mqtt| mqtt.sparkplug_group.is_some();
        let sparkplug = match config.mqtt.as_ref().is_some_and(has_node) {
            true => view.trouble(Part::Sparkplug)?,
            false => None,
        };
        let totals = view.totals()?;
        let formats = view.files_by_format()?;
        let held_files = view.files_held(FILES_HELD_MAX)?;
        let stop = view.last_logging_stop()?;
        let open = view.open_alerts()?;
        let held = view.held_alarms()?;
        let suppressed = view.suppressed(SUPPRESSED_MAX)?;
        let disk = view.outlook(&config.store)?;
        let quality = view.newest_quality()?;
        let central = match &config.central {
            Some(_) => Some(view.central(&config.store, now_s)?),
            None => None,
        };
        let calls = match &config.notify {
            Some(_) => Some(view.calls(now_s)?),
            None => None,
        };
        let mut models = Models::new(config.models.clone());
        models.look();
        let models: Vec<_> = Place::ALL
            .map(|place| (place.name(), models.at(&place.name()).cloned()))
            .into();
        let plan = view.newest_plan()?;
        if self.json {
            return print_json(&json!({
                "site": config.site_id,
                "is_running": is_running,
                "newest_row": newest,
                "newest_row_age_min": age_min,
                "newest_row_source": source,
                "rows": rows,
                "alerts": alerts,
                "rejects": rejects,
                "files": totals,
                "files_by_format": formats.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "files_not_read_on": held_files,
                "last_logging_stop": stop.map(|(from, until)| json!({ "from": from * 60, "until": until * 60 })),
                "store_bytes": disk.store_bytes,
                "disk_free_bytes": disk.free_bytes,
                "disk_days_left": disk.days_left,
                "disk_reserve_bytes": disk.reserve_bytes,
                "disk_used_pct": disk.used.pct(),
                "disk_used_max_pct": config.budget.disk_used_max_pct,
                "disk_budget_bytes": config.budget.store_bytes,
                "purged_rows": disk.settled.map_or(0, |settled| settled.purged_rows),
                "settled_from": disk.settled.map(|settled| utc_text(settled.from)),
                "central": central,
                "mqtt": config.mqtt.as_ref().map(|_| json!({
                    "messages_waiting": waiting,
                    "trouble": broker,
                    "sparkplug_trouble": sparkplug,
                })),
                "web": config.web.as_ref().map(|web| json!({ "listen": web.listen, "trouble": dashboard })),
                "calls": calls,
                "models": models.iter().map(|(place, in_use)| json!({
                    "place": place,
                    "model": in_use.as_ref().ok().map(|it| &it.model.manifest.id),
                    "trouble": in_use.as_ref().map_or_else(|why| Some(why.clone()), |it| it.instead.clone()),
                })).collect::<Vec<_>>(),
                "advice": plan,
                "quality": quality,
                "open_alerts": open,
                "held_alarms": held,
                "suppressed_min": suppressed,
            }));
        }
        let mut text = format!("site     {} ({})\n", config.site_id, config.site_name);
        match is_running {
            Some(true) => writeln!(text, "daemon   at work")?,
            Some(false) => writeln!(
                text,
                "daemon   does not run: nothing is read, and nobody is told (sudo systemctl start pumphouse)"
            )?,
            None => {}
        }
        match (newest, age_min) {
            (Some(newest), Some(age_min)) if age_min < 0 => writeln!(
                text,
                "newest   {newest}, {} ahead of this machine's clock: it is not set, and what depends on it waits",
                span_text(-age_min)
            )?,
            (Some(newest), Some(age_min)) => {
                let source = match source.as_deref() {
                    Some("modbus") => ", polled from the PLC: the exports stay away",
                    Some("both") => ", in part polled from the PLC",
                    _ => "",
                };
                writeln!(
                    text,
                    "newest   {newest}, {} ago{source}",
                    span_text(age_min)
                )?
            }
            _ => writeln!(text, "newest   no row yet")?,
        }
        let megabytes = disk.store_bytes as f64 / 1e6;
        writeln!(
            text,
            "store    {rows} rows, {alerts} alerts, {megabytes:.1} MB"
        )?;
        writeln!(
            text,
            "exports  {} files, {} records kept, {rejects} rejected",
            totals.files, totals.kept
        )?;
        for (name, files) in &formats {
            writeln!(text, "         {files} {name}")?;
        }
        for (file, reason) in &held_files {
            writeln!(text, "         {file}: {reason}")?;
        }
        if let Some((from, until)) = stop {
            let mut calendar = Calendar::new(config.plant.zone.clone());
            let mut at = |minute| calendar::text(calendar.local(minute).minute);
            let (from, until) = (at(from), at(until));
            writeln!(
                text,
                "         the historian last stopped logging from {from} to {until}"
            )?;
        }
        match &config.mqtt {
            Some(mqtt) => {
                let (host, port) = (&mqtt.host, mqtt.port);
                let trouble = beneath(broker.as_ref(), now_s);
                writeln!(
                    text,
                    "broker   {host}:{port}, {waiting} messages waiting{trouble}"
                )?;
                if let Some(trouble) = sparkplug {
                    writeln!(text, "         sparkplug: {}", trouble.told(now_s))?;
                }
            }
            None => writeln!(text, "broker   none in the config")?,
        }
        if let Some(web) = &config.web {
            let (scheme, listen) = (web.scheme(), web.listen);
            let trouble = beneath(dashboard.as_ref(), now_s);
            writeln!(text, "web      {scheme}://{listen}{trouble}")?;
        }
        writeln!(text, "central  {}", describe(central.as_ref(), now_s))?;
        if let Some(calls) = &calls {
            writeln!(text, "calls    {}", tell(calls))?;
        }
        describe_models(&models, &mut text)?;
        writeln!(text, "advice   {}", describe_plan(plan.as_ref()))?;
        writeln!(text, "quality  {}", describe_quality(quality.as_ref()))?;
        let disk = describe_disk(&disk, config.reserve_bytes, &config.budget);
        writeln!(text, "disk     {disk}")?;
        writeln!(text, "alerts   {} open", open.len())?;
        for alert in &open {
            let pump = alert.pump.as_deref().unwrap_or("");
            writeln!(
                text,
                "  {:<8} {} {pump:<2} since {}: {}",
                alert.severity, alert.rule, alert.since, alert.message
            )?;
            match alert.respond_within_min {
                Some(min) => writeln!(text, "           within {min} min: {}", alert.action)?,
                None => writeln!(text, "           {}", alert.action)?,
            }
        }
        if !held.is_empty() {
            writeln!(text, "held     by operators")?;
        }
        for hold in &held {
            let until = hold.until.as_deref().unwrap_or("it is taken back");
            writeln!(
                text,
                "  {:<8} {} by {} until {until}: {}",
                hold.alarm,
                hold.kind.replace('_', " "),
                hold.operator,
                hold.comment
            )?;
        }
        if !suppressed.is_empty() {
            writeln!(
                text,
                "held back by design (alerts.switching_mask_min, alerts.normal_stop_pct), newest days"
            )?;
            for (date, rule, minutes) in &suppressed {
                writeln!(text, "  {date} {rule} {minutes} min")?;
            }
        }
        print_text(&text)
    }
}

fn describe_models(
    models: &[(String, Result<InUse, String>)],
    out: &mut String,
) -> std::fmt::Result {
    let mut label = "models";
    for (place, in_use) in models {
        match in_use {
            Ok(in_use) => {
                writeln!(out, "{label:<8} {}", in_use.model.manifest.id)?;
                if let Some(instead) = &in_use.instead {
                    writeln!(out, "         instead, because {instead}")?;
                }
            }
            Err(why) => writeln!(out, "{label:<8} {place}: as the day before, because {why}")?,
        }
        label = "";
    }
    Ok(())
}

fn describe_plan(plan: Option<&NewestPlan>) -> String {
    let Some(plan) = plan else {
        return "none yet".into();
    };
    let made = &plan.made_at;
    let because = plan.reason.as_deref().unwrap_or_default();
    let mut text = match plan.status.as_str() {
        "refused" => return format!("none at {made}, because {because}"),
        "limits" => format!("of {made}; cannot be kept: {because}"),
        _ => format!("of {made}"),
    };
    if let Some(pct) = plan.savings_pct {
        text += &format!("; saves {pct:.1} % of the cost beside the station's own control");
    }
    if let Some(pct) = plan.gap_pct {
        text += &format!("; at most {pct:.2} % better is possible");
    }
    text
}

fn describe_quality(quality: Option<&DayQuality>) -> String {
    let Some(day) = quality else {
        return "no day has been judged yet".into();
    };
    let (date, rows_pct) = (&day.date, day.rows_pct);
    let mut text = format!("{date}: {rows_pct:.1} % of the minutes");
    match day.findings.as_slice() {
        [] => text.push_str(", and all instruments agree"),
        [one] => text = format!("{text}; {one}"),
        [first, more @ ..] => {
            let more = more.len();
            text = format!("{text}; {first}; and {more} more: pumphouse quality");
        }
    }
    text
}

fn describe_disk(disk: &Outlook, reserve_bytes: u64, budget: &Budget) -> String {
    let gigabytes = disk.free_bytes as f64 / 1e9;
    let mut text = format!(
        "{gigabytes:.1} GB free, room for {} more days without the central office",
        disk.days_left
    );
    let own = budget.store_bytes;
    let own = own.map_or(String::new(), |bytes| {
        format!("{:.1} GB for the store and ", bytes as f64 / 1e9)
    });
    let _ = write!(
        text,
        "; {:.0} % in use, of a budget of {own}{} %",
        disk.used.pct(),
        budget.disk_used_max_pct
    );
    if disk.is_beyond(budget) {
        text.push_str(", so the oldest minutes go where that helps: make room on this disk");
    }
    if disk.lacks_reserve(reserve_bytes) {
        text.push_str("; the reserve is used up: make room on this disk");
    }
    if let Some(settled) = disk.settled {
        let _ = write!(
            text,
            "; {} raw minutes from before {} are gone to keep the budget",
            settled.purged_rows,
            utc_text(settled.from)
        );
    }
    text
}

fn describe(central: Option<&Central>, now_s: i64) -> String {
    let Some(central) = central else {
        return "none in the config".into();
    };
    let mut text = if central.rows_waiting == 0 {
        "up to date".to_owned()
    } else {
        format!(
            "behind by {} rows, the oldest waits for {}",
            central.rows_waiting,
            span_text(central.behind_min)
        )
    };
    match central.confirmed_min_ago {
        Some(min) => text.push_str(&format!(", confirmed {} ago", span_text(min))),
        None => text.push_str(", nothing confirmed yet"),
    }
    if central.refused > 0 {
        text.push_str(&format!(
            ", {} rows refused (central_refused)",
            central.refused
        ));
    }
    text.push_str(&beneath(central.trouble.as_ref(), now_s));
    text
}

/// A trouble, on a line of its own below what it is the trouble of.
fn beneath(trouble: Option<&Trouble>, now_s: i64) -> String {
    trouble.map_or(String::new(), |it| format!("\n         {}", it.told(now_s)))
}

fn tell(calls: &Calls) -> String {
    let mut text = format!("{} waiting", calls.waiting);
    if calls.escalations_ahead > 0 {
        text.push_str(&format!(", {} to escalate", calls.escalations_ahead));
    }
    match &calls.last_taken {
        Some(at) => text.push_str(&format!(", last one taken {at}")),
        None => text.push_str(", none taken yet"),
    }
    text.push_str(&format!(", {} given up", calls.given_up));
    if let Some(trouble) = &calls.trouble {
        text.push_str(&format!("\n         {trouble}"));
    }
    text
}
