//! `pumphouse modbus probe`: what the PLC's registers hold, beside what the historian says.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{ConfigFile, block_on, print_json, print_text};
use crate::{
    config::Modbus,
    modbus::probe::{Finding, Way, agree, probe},
    store::question::{Guard, Limits},
    tags::{COLUMNS, TAG_NAMES},
};

/// Rows looked through for a tag's newest value.
const ROWS: usize = 60;
/// Columns of a value in the text.
const VALUE_WIDTH: usize = 15;

/// Read the PLC over Modbus
#[derive(clap::Args)]
pub struct ModbusVerb {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Probe(Probe),
}

/// Show what each register of the config holds, read in every way
///
/// Each register is read with its address counted from 0 and from 1, and shown in every order of its words, beside the tag's
/// newest value from the historian. What agrees is marked with =, the way that the config has with *; a register is right where
/// both stand at one value. The PLC is only read.
#[derive(clap::Args)]
struct Probe {
    #[command(flatten)]
    config: ConfigFile,
    /// How far values that agree may lie apart, % of the greater one
    #[arg(long, value_name = "PCT", default_value_t = 2.0)]
    tolerance_pct: f64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// A tag's newest value from the historian and its local time.
type Newest = BTreeMap<usize, (f64, String)>;

impl ModbusVerb {
    pub fn run(self) -> anyhow::Result<()> {
        let Verb::Probe(verb) = self.verb;
        let config = verb.config.load()?;
        let modbus = config
            .modbus
            .as_ref()
            .context("the config has no [modbus]")?;
        let newest = newest_values(&config.store);
        let probing = probe(&modbus.place, modbus.timeout, &modbus.registers);
        let findings = block_on(async { Ok(probing.await?) })?;
        let tolerance = verb.tolerance_pct / 100.0;
        match verb.json {
            true => print_json(&as_json(modbus, &findings, &newest, tolerance)),
            false => print_text(&as_text(modbus, &findings, &newest, tolerance)?),
        }
    }
}

/// The newest value of each tag among the newest rows; an error says why there is none at all.
fn newest_values(store: &Path) -> anyhow::Result<Newest> {
    let sql = format!(
        "SELECT timestamp, {} FROM readings_wide WHERE source = 'historian' ORDER BY ts DESC LIMIT {ROWS}",
        COLUMNS.join(", ")
    );
    let found = Guard::open(store, Limits::default())?.query(&sql)?;
    let mut newest = Newest::new();
    for row in &found.rows {
        let Some((Value::String(time), values)) = row.split_first() else {
            continue;
        };
        for (slot, value) in values.iter().enumerate() {
            if let Some(value) = value.as_f64() {
                newest.entry(slot).or_insert_with(|| (value, time.clone()));
            }
        }
    }
    Ok(newest)
}

fn agrees(finding: &Finding, way: &Way, newest: &anyhow::Result<Newest>, tolerance: f64) -> bool {
    let slot = finding.register.slot;
    let historian = newest.as_ref().ok().and_then(|newest| newest.get(&slot));
    historian.is_some_and(|(historian, _)| agree(slot, way.value, *historian, tolerance))
}

fn as_json(
    modbus: &Modbus,
    findings: &[Finding],
    newest: &anyhow::Result<Newest>,
    tolerance: f64,
) -> Value {
    let register = |finding: &Finding| {
        let register = &finding.register;
        let historian = newest
            .as_ref()
            .ok()
            .and_then(|newest| newest.get(&register.slot));
        let way = |way: &Way| {
            json!({
                "base": way.base,
                "order": way.order.name(),
                "value": (!way.value.is_nan()).then_some(way.value),
                "agrees": agrees(finding, way, newest, tolerance),
                "configured": way.is_configured,
            })
        };
        let trouble = |(base, trouble): &(u8, crate::modbus::client::Trouble)| json!({ "base": base, "what": trouble.to_string() });
        json!({
            "tag": TAG_NAMES[register.slot],
            "unit": register.unit,
            "table": register.table.name(),
            "address": u32::from(register.address) + u32::from(register.base),
            "type": register.kind.name(),
            "historian": historian.map(|(value, _)| value),
            "historian_at": historian.map(|(_, time)| time),
            "readings": finding.ways.iter().map(way).collect::<Vec<_>>(),
            "troubles": finding.troubles.iter().map(trouble).collect::<Vec<_>>(),
        })
    };
    json!({
        "plc": modbus.place.to_string(),
        "no_historian": newest.as_ref().err().map(|error| format!("{error:#}")),
        "registers": findings.iter().map(register).collect::<Vec<_>>(),
    })
}

fn as_text(
    modbus: &Modbus,
    findings: &[Finding],
    newest: &anyhow::Result<Newest>,
    tolerance: f64,
) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "{}: = agrees with the historian, * as configured\n",
        modbus.place
    );
    if let Err(error) = newest {
        writeln!(text, "without the historian's values: {error:#}")?;
    }
    let mut right = 0;
    for finding in findings {
        let register = &finding.register;
        let historian = newest
            .as_ref()
            .ok()
            .and_then(|newest| newest.get(&register.slot));
        let historian = historian.map_or("none".into(), |(value, time)| {
            format!("{} at {time}", short(*value))
        });
        let address = u32::from(register.address) + u32::from(register.base);
        writeln!(
            text,
            "\n{}  unit {}, {} {address}, {}; historian {historian}",
            TAG_NAMES[register.slot],
            register.unit,
            register.table.name(),
            register.kind.name()
        )?;
        for ways in finding.ways.chunk_by(|a, b| a.base == b.base) {
            let mut line = format!("  base {}", ways[0].base);
            for way in ways {
                let agrees = agrees(finding, way, newest, tolerance);
                right += usize::from(agrees && way.is_configured);
                let marks = format!(
                    "{}{}",
                    if agrees { "=" } else { "" },
                    if way.is_configured { "*" } else { "" }
                );
                let order = if ways.len() > 1 { way.order.name() } else { "" };
                write!(
                    line,
                    "  {order:>4} {:<VALUE_WIDTH$}",
                    format!("{}{marks}", short(way.value))
                )?;
            }
            writeln!(text, "{}", line.trim_end())?;
        }
        for (base, trouble) in &finding.troubles {
            writeln!(text, "  base {base}  {trouble}")?;
        }
    }
    writeln!(
        text,
        "\n{right} of {} registers agree as configured",
        findings.len()
    )?;
    Ok(text)
}

/// A value in a few digits.
fn short(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "no value".into(),
        size if size == 0.0 || (1e-3..1e9).contains(&size) => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.3e}"),
    }
}
