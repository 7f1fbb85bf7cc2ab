//! The config file: as written (TOML) → as believed (checked types), every fault at once.

mod delivery;
mod historian;
mod modbus;
mod schedule;
mod section;
mod tariff;
mod web;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::tz::TimeZone;
use toml::de::DeTable;

pub(crate) use delivery::CENTRAL_SILENCE_S_MAX;
pub use delivery::{Central, Mqtt, MqttVersion, Notify, read_secret};
pub use historian::Historian;
pub use modbus::Modbus;
pub use schedule::{Drives, Schedule};
pub use section::Fault;
use section::{Report, Section};
pub use web::{Assistant, Dialect, Web};

use crate::{
    plant::Plant,
    rules::{CATALOGUE, RuleBook, Severity},
    store::retention::Budget,
    tags::PUMPS,
    tariff::Tariff,
};

/// Room kept on the disk where the config says nothing, MB: some three months of rows.
const RESERVE_MB: i64 = 64;
/// How full the store's disk may be before the oldest raw minutes go, %.
const DISK_USED_MAX_PCT: f64 = 95.0;
/// Backups kept, unless the config says otherwise: a week of nights.
const BACKUPS_KEPT: i64 = 7;
/// The tank's volume where the config says nothing, m³.
const VOLUME_M3: f64 = 1200.0;
/// Longest delay a rule can have, min.
const DELAY_MIN_MAX: i64 = 7 * 1440;

/// A config that can be believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The site's id: first topic level and central key.
    pub site_id: String,
    /// The site's name, for people.
    pub site_name: String,
    /// What the core knows of the station.
    pub plant: Arc<Plant>,
    /// The SQLite file.
    pub store: PathBuf,
    /// Room that is kept beside it, bytes; 0 for none.
    pub reserve_bytes: u64,
    /// How much of the disk the store may take.
    pub budget: Budget,
    /// Where backups of the store are kept.
    pub backups: Backups,
    /// Where the exports lie and how they are written.
    pub historian: Historian,
    /// The PLC, for when the exports stay away; `None` polls nothing.
    pub modbus: Option<Modbus>,
    /// The broker; `None` publishes nothing.
    pub mqtt: Option<Mqtt>,
    /// The central office; `None` sends nothing there.
    pub central: Option<Central>,
    /// Who is called about alerts; `None` calls nobody.
    pub notify: Option<Notify>,
    /// The dashboard; `None` serves none.
    pub web: Option<Web>,
    /// The language model behind the assistant; `None` leaves it to the built-in questions.
    pub assistant: Option<Assistant>,
    /// The folder with the models for forecasts.
    pub models: PathBuf,
    /// What energy costs when.
    pub tariff: Arc<Tariff>,
    /// How pumping is planned.
    pub schedule: Schedule,
    /// Longest time for which an alarm can be shelved, min.
    pub shelve_max_min: i64,
    /// Every key as it is written, for telling what a reload changed.
    pub written: BTreeMap<String, String>,
    /// What is allowed, and worth a second look: a setting without effect, a weakness.
    pub notes: Vec<String>,
}

/// Backups of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backups {
    /// Their folder.
    pub folder: PathBuf,
    /// How many are kept there.
    pub kept: usize,
}

/// All faults of a config file.
#[derive(Debug)]
pub struct Faults {
    /// The file.
    pub path: PathBuf,
    /// In the order of the file.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(
            f,
            "{}: {count} fault{}",
            self.path.display(),
            if count == 1 { "" } else { "s" }
        )?;
        self.faults
            .iter()
            .try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

impl Config {
    /// Reads and checks a config file.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let whole = |what: String| {
            vec![Fault {
                line: 0,
                place: String::new(),
                what,
            }]
        };
        let read = std::fs::read_to_string(path)
            .map_err(|error| whole(format!("cannot be read: {error}")));
        let folder = path
            .parent()
            .filter(|folder| *folder != Path::new(""))
            .unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        read.and_then(|text| Self::parse(&text, &folder))
            .map_err(|faults| Faults {
                path: path.to_path_buf(),
                faults,
            })
    }

    /// Checks a config's text; relative paths count from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Fault>> {
        let report = Report::new(text);
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                report.fault(error.span(), "", error.message().to_owned());
                return Err(report.into_faults());
            }
        };
        let root = Section::root(&report, table.get_ref());
        let config = believe(&root, folder, text);
        root.finish();
        let faults = report.into_faults();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }
}

/// What a site's id must be.
pub const SITE_ID: &str = "must be 1 to 32 of a–z, 0–9 and -";

/// Whether a text can be a site's id.
pub fn is_site_id(text: &str) -> bool {
    let is_id_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&text.len()) && text.chars().all(is_id_char)
}

fn believe(root: &Section<'_>, folder: &Path, text: &str) -> Config {
    let site = root.section("site");
    if !site.is_present() {
        root.fault("site", "the section is missing");
    }
    let site_id = site.text("id").unwrap_or_default();
    if site.is_present() && !is_site_id(&site_id) {
        site.fault("id", SITE_ID);
    }
    let site_name = site.text("name").unwrap_or_else(|| site_id.clone());
    let mut notes = Vec::new();
    let tariff = tariff::tariff(root);
    let (plant, shelve_max_min) = plant(root, &site, &tariff, &mut notes);
    let schedule = schedule::schedule(root);
    site.finish();

    let storage = root.section("storage");
    let store = folder.join(
        storage
            .text("path")
            .unwrap_or_else(|| "pumphouse.db".into()),
    );
    let beside = store.with_file_name("backups");
    let backups = Backups {
        folder: storage
            .text("backups")
            .map_or(beside, |name| folder.join(name)),
        kept: storage.whole_in("backups_kept", BACKUPS_KEPT, 1..=1000) as usize,
    };
    let reserve_mb = storage.whole_in("reserve_mb", RESERVE_MB, 0..=1_000_000) as u64;
    let budget = Budget {
        store_bytes: storage
            .number("budget_gb")
            .map(|_| (storage.number_in("budget_gb", 0.01, 0.01..=1e6) * 1e9) as u64),
        disk_used_max_pct: storage.number_in("disk_used_max_pct", DISK_USED_MAX_PCT, 50.0..=100.0),
    };
    storage.finish();

    let historian = historian::historian(root, folder, &mut notes);
    let mqtt = delivery::mqtt(root, folder, &mut notes);
    let central = delivery::central(root, folder, &mut notes);
    let notify = delivery::notify(root, folder, &mut notes);
    let forecast = root.section("forecast");
    let models = folder.join(forecast.text("models").unwrap_or_else(|| "models".into()));
    forecast.finish();
    let web = web::web(root, folder, &mut notes);
    let assistant = web::assistant(root, folder);
    let modbus = modbus::modbus(root, historian.delivery_delay_min, &mut notes);
    Config {
        site_id,
        site_name,
        plant: Arc::new(plant),
        store,
        reserve_bytes: reserve_mb << 20,
        budget,
        backups,
        historian,
        modbus,
        mqtt,
        central,
        notify,
        web,
        assistant,
        models,
        tariff: Arc::new(tariff),
        schedule,
        shelve_max_min,
        written: flatten(text),
        notes,
    }
}

/// The plant, and the longest time for which an alarm can be shelved, min.
fn plant(
    root: &Section<'_>,
    site: &Section<'_>,
    tariff: &Tariff,
    notes: &mut Vec<String>,
) -> (Plant, i64) {
    let zone_name = site.text("timezone").unwrap_or_else(|| "UTC".into());
    let zone = TimeZone::get(&zone_name).unwrap_or_else(|_| {
        site.fault(
            "timezone",
            format!("{zone_name:?} is no zone of the IANA database, like \"Europe/Berlin\""),
        );
        TimeZone::UTC
    });
    let rated = site.numbers("rated_kw");
    if site.is_present() && rated.is_none() {
        site.fault("rated_kw", "is missing: the motor ratings of P1 … P6, kW");
    }
    let rated_kw = rated.map_or([1.0; PUMPS], |rated| {
        <[f64; PUMPS]>::try_from(rated)
            .ok()
            .filter(|rated| rated.iter().all(|&kw| kw > 0.0))
            .unwrap_or_else(|| {
                site.fault("rated_kw", "must be six ratings above 0, kW");
                [1.0; PUMPS]
            })
    });
    let positive = |key: &str, what: &str| {
        if site.is_present() && site.number(key).is_none() {
            site.fault(key, format!("is missing: {what}"));
        }
        site.number_in(key, 1.0, 1e-6..=1e12)
    };
    let level_physical_max = positive(
        "hlt_physical_max",
        "the tank level at physical capacity, raw units",
    );
    let flow_physical_max = positive("fit101_physical_max", "the range of the flow meter, m³/h");
    let level_historical_max =
        site.number_in("hlt_historical_max", level_physical_max, 1e-6..=1e12);
    let volume_m3 = site.number_in("hlt_volume_m3", VOLUME_M3, 1e-6..=1e12);

    let alerts = root.section("alerts");
    let plant = Plant {
        zone,
        rated_kw,
        level_physical_max,
        level_historical_max,
        volume_m3,
        flow_physical_max,
        daily_energy_budget_kwh: site.number_in(
            "daily_energy_budget_kwh",
            f64::MAX,
            0.0..=f64::MAX,
        ),
        zero_kw: site.number_in("zero_kw", 0.1, 0.0..=1e6),
        zero_flow: site.number_in("zero_flow", 0.1, 0.0..=1e6),
        peak: tariff.peak.clone(),
        switching_mask_min: alerts.whole_in("switching_mask_min", 5, 0..=DELAY_MIN_MAX),
        normal_stop_pct: alerts.number_in("normal_stop_pct", 80.0, 0.0..=100.0),
        rules: rule_book(&alerts, notes),
    };
    let shelve_max_h = alerts.number_in("shelve_max_h", 24.0, 0.1..=720.0);
    alerts.finish();
    (plant, (shelve_max_h * 60.0) as i64)
}

fn rule_book(alerts: &Section<'_>, notes: &mut Vec<String>) -> RuleBook {
    let rules = alerts.section("rules");
    let mut book = RuleBook::default();
    for (rule, settings) in CATALOGUE.iter().zip(&mut book.settings) {
        let section = rules.section(rule.code);
        settings.enabled = section.flag("enabled", true);
        if let Some(name) = section.text("severity") {
            match Severity::parse(&name) {
                Some(severity) => settings.severity = severity,
                None => section.fault("severity", "must be INFO, WARNING, HIGH or CRITICAL"),
            }
        }
        if rule.is_held() {
            settings.for_min = section.whole_in("for_min", settings.for_min, 0..=DELAY_MIN_MAX);
        }
        settings.on_delay_min = section.whole_in("on_delay_min", 0, 0..=DELAY_MIN_MAX);
        settings.off_delay_min =
            section.whole_in("off_delay_min", settings.off_delay_min, 0..=DELAY_MIN_MAX);
        for (key, delay_min, counts) in [
            ("on_delay_min", settings.on_delay_min, rule.has_on_delay()),
            (
                "off_delay_min",
                settings.off_delay_min,
                rule.has_off_delay(),
            ),
        ] {
            if delay_min != 0 && !counts {
                notes.push(format!(
                    "alerts.rules.{}.{key} has no effect: the rule is an event, or is resolved by the next row, hour or midnight",
                    rule.code
                ));
            }
        }
        settings.deadband = section.number_in("deadband", 0.0, 0.0..=1e9);
        if settings.deadband > 0.0 && rule.deadband_limit().is_none() {
            notes.push(format!(
                "alerts.rules.{}.deadband has no effect: no limit of the rule is one that a value hovers about",
                rule.code
            ));
        }
        for (limit, value) in rule.limits.iter().zip(&mut settings.limits) {
            *value = section.number(limit.key).unwrap_or(limit.default);
        }
        section.finish();
    }
    rules.finish();
    book
}

/// Every key of a TOML text with its value as text.
fn flatten(text: &str) -> BTreeMap<String, String> {
    fn walk(place: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    walk(
                        &if place.is_empty() {
                            key.clone()
                        } else {
                            format!("{place}.{key}")
                        },
                        value,
                        into,
                    );
                }
            }
            value => {
                into.insert(place.to_owned(), value.to_string());
            }
        }
    }
    let mut flat = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        walk("", &toml::Value::Table(table), &mut flat);
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../config/pumphouse.toml");

    fn faults(text: &str) -> Vec<String> {
        let faults = Config::parse(text, Path::new("/plant")).expect_err("faults");
        faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn the_sample_is_the_default() {
        let sample = Config::parse(SAMPLE, Path::new("/plant")).expect("the sample loads");
        assert_eq!(sample.plant.rules, RuleBook::default());
        let again = Config::parse(SAMPLE, Path::new("/plant"));
        assert_eq!(
            again.ok().as_ref(),
            Some(&sample),
            "a reload of the same changes nothing"
        );
        assert_eq!(sample.store, Path::new("/plant/pumphouse.db"));
        let least: String = SAMPLE
            .lines()
            .filter(|line| {
                let key = line.split('=').next().unwrap_or("").trim();
                [
                    "id",
                    "rated_kw",
                    "hlt_physical_max",
                    "fit101_physical_max",
                    "daily_energy_budget_kwh",
                ]
                .contains(&key)
                    || line.starts_with("[site]")
                    || line.starts_with("[historian]")
                    || line.starts_with("[historian.tags]")
                    || key.parse::<u64>().is_ok()
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let least = Config::parse(&least, Path::new("/plant")).expect("the least loads");
        assert_eq!(least.plant.peak, sample.plant.peak);
        assert_eq!(least.plant.rules, sample.plant.rules);
        assert_eq!(
            (least.plant.zero_kw, least.plant.zero_flow),
            (sample.plant.zero_kw, sample.plant.zero_flow)
        );
        assert_eq!(least.historian.watch, sample.historian.watch);
        assert_eq!(least.reserve_bytes, sample.reserve_bytes);
        assert_eq!(least.backups, sample.backups);
        assert_eq!(least.models, sample.models);
        assert_eq!(least.plant.volume_m3, sample.plant.volume_m3);
        assert_eq!(least.historian.format, sample.historian.format);
        assert_eq!(
            least.historian.delivery_delay_min,
            sample.historian.delivery_delay_min
        );
        assert_eq!(
            least.historian.scan_interval_s,
            sample.historian.scan_interval_s
        );
    }

    /// The sample and, after it, a section that is commented out in it.
    fn sample_with(section: &str) -> String {
        let at = SAMPLE.find(&format!("# [{section}]")).expect("it is there");
        let lines = SAMPLE[at..].lines().take_while(|line| !line.is_empty());
        let lines: Vec<_> = lines.map(|line| &line[2..]).collect();
        format!("{SAMPLE}{}\n", lines.join("\n"))
    }

    #[test]
    fn the_sample_of_the_calls_is_their_default() {
        let sample = sample_with("notify");
        let sample = Config::parse(&sample, Path::new("/plant")).expect("it loads");
        let least = format!("{SAMPLE}[notify]\ncommand = [\"hooks/call\"]\n");
        let least = Config::parse(&least, Path::new("/plant")).expect("it loads");
        let escalation = |config: &Config| {
            let notify = config.notify.as_ref().expect("calls");
            (notify.critical_escalate_s, notify.high_escalate_s)
        };
        assert_eq!(escalation(&sample), (300, 1800));
        assert_eq!(escalation(&least), (300, 1800));
        assert_eq!(
            least.notify.map(|notify| notify.command),
            Some(vec!["/plant/hooks/call".into()]),
            "a path counts from the config's folder"
        );
        assert!(sample.notes.is_empty(), "{:?}", sample.notes);
    }

    #[test]
    fn the_sample_of_the_drives_loads_and_half_of_it_is_refused() {
        let sample = sample_with("schedule.variable_speed");
        let sample = Config::parse(&sample, Path::new("/plant")).expect("it loads");
        let drives = sample.schedule.drives.expect("drives");
        assert_eq!(drives.set(), 0b100_000);
        assert_eq!((drives.static_head_m, drives.speed_min_pct), (44.0, 70));
        for (lines, what) in [
            ("static_head_m = 44", "shut_off_head_m: is missing"),
            ("shut_off_head_m = { P6 = 80 }", "static_head_m: is missing"),
            (
                "shut_off_head_m = { P6 = 40 }\nstatic_head_m = 44",
                "must be more than static_head_m",
            ),
            (
                "shut_off_head_m = { P7 = 80 }\nstatic_head_m = 44",
                "unknown key; did you mean",
            ),
        ] {
            let faults = faults(&format!("{SAMPLE}[schedule.variable_speed]\n{lines}\n"));
            assert!(
                faults.iter().any(|fault| fault.contains(what)),
                "{lines}: {faults:?}"
            );
        }
    }

    #[test]
    fn refuses_calls_that_cannot_be_and_notes_those_that_others_can_read() {
        for (lines, what) in [
            ("", "at least one of them"),
            ("webhook_url = \"alarms.example\"", "must begin with"),
            ("webhook_url = \"https://\"", "is no address"),
            (
                "webhook_url = \"https://a:b@alarms.example/\"",
                "has a login",
            ),
            ("command = [\"\"]", "names no program"),
            ("command = [\"x\"]\nhigh_escalate_min = 0", "between 0.01"),
        ] {
            let faults = faults(&format!("{SAMPLE}[notify]\n{lines}\n"));
            assert!(
                faults.iter().any(|fault| fault.contains(what)),
                "{lines}: {faults:?}"
            );
        }
        for (url, notes) in [
            ("http://alarms.example/", 1),
            ("http://127.0.0.1:80/", 0),
            ("http://[::1]/", 0),
            ("https://alarms.example/", 0),
        ] {
            let text = format!("{SAMPLE}[notify]\nwebhook_url = \"{url}\"\n");
            let config = Config::parse(&text, Path::new("/plant")).expect("it loads");
            assert_eq!(config.notes.len(), notes, "{url}");
        }
    }

    #[test]
    fn tells_every_fault_at_once_with_its_line_and_the_nearest_key() {
        let text = SAMPLE
            .replace("timezone = \"UTC\"", "timzone = \"UTC\"")
            .replace("factor = 1.3", "factr = 1.3")
            .replace("delivery_delay_min = 3", "delivery_delay_min = \"3\"");
        let faults = faults(&text);
        assert_eq!(faults.len(), 3, "{faults:#?}");
        assert!(
            faults
                .iter()
                .any(|f| f.contains("site.timzone") && f.contains("did you mean \"timezone\"?"))
        );
        assert!(
            faults
                .iter()
                .any(|f| f.contains("alerts.rules.B-04.factr") && f.contains("\"factor\""))
        );
        assert!(faults.iter().all(|fault| fault.starts_with("line ")));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_one_fault() {
        for (right, wrong, expected) in [
            ("id = ", "id = 1 #", "site.id: must be a text in quotes"),
            (
                "rated_kw = ",
                "rated_kw = \"90\" #",
                "site.rated_kw: must be a list of numbers: [1.0, 2.0]",
            ),
            (
                "hlt_physical_max = ",
                "hlt_physical_max = true #",
                "site.hlt_physical_max: must be a number",
            ),
            (
                "[tariff]",
                "[tariff]\nrates = [1]",
                "tariff.rates: is a list of sections: write [[tariff.rates]]",
            ),
        ] {
            let faults = faults(&SAMPLE.replacen(&format!("\n{right}"), &format!("\n{wrong}"), 1));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].ends_with(expected), "{faults:?}");
        }
    }

    #[test]
    fn no_fault_repeats_an_address_that_may_have_a_password_in_it() {
        let mqtt = |url: &str| SAMPLE.replace("mqtt://127.0.0.1:1883", url);
        let with = |section: &str| format!("{SAMPLE}\n{section}\n");
        for text in [
            mqtt("mqtt://case:hunter@broker:1883"),
            mqtt("mqqt://case:hunter@broker"),
            with("[central]\nurl = \"postgre://case:hunter@db/plant\""),
            with("[central]\nurl = \"postgres://case:hunter@db/plant\""),
            with("[notify]\nwebhook_url = \"https://case:hunter@host/\""),
            with("[notify]\nwebhook_url = \"ftp://case:hunter@host/\""),
            with(
                "[assistant]\nprovider = \"openai\"\nmodel = \"m\"\nurl = \"ftp://case:hunter@host\"",
            ),
        ] {
            let faults = faults(&text);
            assert!(
                !faults.iter().any(|fault| fault.contains("hunter")),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        for (from, to, what) in [
            ("timezone = \"UTC\"", "timezone = \"Mars/Base\"", "no zone"),
            (
                "[alerts.rules.B-04]",
                "[alerts.rules.B-44]",
                "unknown key; did you mean \"B-04\"",
            ),
            ("\"06:00-10:00\"", "\"6 to 10\"", "no window"),
            (
                "1 = \"[PLC]FIT101_HR.PER_HR\"",
                "1 = \"[PLC]FIT102_HR.PER_HR\"",
                "none of the station's 27 tags",
            ),
            ("id = \"stp-01\"", "id = \"STP 01\"", "must be 1 to 32"),
            (
                "mqtt://127.0.0.1:1883",
                "http://127.0.0.1",
                "no broker's address",
            ),
        ] {
            let changed = SAMPLE.replace(from, to);
            assert_ne!(changed, SAMPLE, "{from}");
            let faults = faults(&changed);
            assert!(
                faults.iter().any(|fault| fault.contains(what)),
                "{faults:?}"
            );
        }
        assert!(faults("[site").iter().all(|fault| fault.contains("line 1")));
    }
}
