//! `pumphouse doctor`: looks at everything a station depends on, and says what to do about what is not as it should be.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    path::Path,
    str::FromStr,
    time::Duration,
};

use rustix::{
    fs::{Access, access},
    io::Errno,
};
use serde::Serialize;
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

use super::{ConfigFile, MENDS, check, print_json, print_text};
use crate::{
    clock::Clock,
    config::Config,
    modbus::Place,
    store::{
        backups, healing,
        lock::is_in_use,
        troubles::{Part, Trouble},
        view::View,
    },
};

/// A newest row may be this much older than exports usually are, min.
const SILENT_MIN: i64 = 5;
/// A backup may be this old: one is made each night.
const BACKUP_AGE_MAX_H: i64 = 36;
/// Days of room below which somebody should act.
const ROOM_DAYS_MIN: u64 = 30;
/// What waits may wait so long, min.
const WAITING_MIN: i64 = 15;
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// What to do about a broker that takes nothing.
const BROKER_REMEDY: &str = "put right what the reason says, in [mqtt] or at the broker (sudo journalctl -u pumphouse has more); a new credential counts from a restart on; nothing is lost meanwhile";
/// What to do about a server that does not answer.
const NETWORK_REMEDY: &str = "see that it runs, that the network and its firewall let this box through, and that the address is right";
/// What to do about a dashboard that does not answer.
const DAEMON_REMEDY: &str = "see that the daemon runs (systemctl status pumphouse) and what its log says (sudo journalctl -u pumphouse)";
/// What to do where a person may not look.
const WITH_SUDO: &str = "run this with sudo";
/// What to do about a store that the daemon has to make or to bring up to date.
const START: &str =
    "start the daemon (sudo systemctl start pumphouse), or load the exports with pumphouse ingest";
/// What to do about a file that the service may not read.
const FILE_REMEDY: &str = "let the service read it (sudo chgrp pumphouse FILE; sudo chmod 640 FILE); a file for root alone reaches it by \
                           LoadCredential= in a drop-in, from the next restart on";
/// What to do about a port that somebody else has.
const PORT_REMEDY: &str = "ss -ltnp says who has it; end that, or give [web] another listen";
/// Files told that are not read on.
const FILES_MAX: usize = 3;
/// As many are looked at, to find them.
const FILES_LOOKED_AT_MAX: usize = 300;

/// Look at everything the station depends on, and say what to do
///
/// Config, folders, the age of the data, the clock, the store as a whole, backups, disk, models, and whether the broker, the PLC and the
/// central office can be reached. Nothing is changed. It ends with 1 when something needs a person.
#[derive(clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    of: &'static str,
    /// Whether it is as it should be.
    is_fine: bool,
    /// What was found.
    found: String,
    /// What to do about it.
    remedy: Option<String>,
}

fn fine(of: &'static str, found: impl Into<String>) -> Finding {
    Finding {
        of,
        is_fine: true,
        found: found.into(),
        remedy: None,
    }
}

fn wrong(of: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        is_fine: false,
        remedy: Some(remedy.into()),
        ..fine(of, found)
    }
}

impl Doctor {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let mut found = files(&self.config.config, &config);
        if let Some(is_running) = is_in_use(&config.store) {
            found.push(match is_running {
                true => fine("daemon", "at work"),
                false => wrong(
                    "daemon",
                    "it does not run: nothing is read, and nobody is told",
                    "sudo systemctl start pumphouse; where it does not start, systemctl status pumphouse says why; where it runs, it has another \
                     store: sudo systemctl restart pumphouse, for a changed storage.path",
                ),
            });
        }
        found.extend(folders(&config));
        match View::open(&config.store).and_then(|view| store(&config, &view)) {
            Ok(of_store) => found.extend(of_store),
            Err(error) => {
                let remedy = match access(&config.store, Access::READ_OK) {
                    Err(Errno::ACCESS) => WITH_SUDO,
                    _ if healing::is_damage(&error) => MENDS,
                    _ => START,
                };
                found.push(wrong("store", format!("{error:#}"), remedy));
            }
        }
        found.push(newest_backup(&config));
        found.extend(servers(&config));
        let wrong = found.iter().filter(|finding| !finding.is_fine).count();
        if self.json {
            print_json(&json!({ "site": config.site_id, "wrong": wrong, "findings": found }))?;
        } else {
            print_text(&told(&found))?;
        }
        anyhow::ensure!(
            wrong == 0,
            "{wrong} of {} things need a person",
            found.len()
        );
        Ok(())
    }
}

fn told(found: &[Finding]) -> String {
    let lines = found.iter().map(|finding| {
        let sign = if finding.is_fine { "ok" } else { "!!" };
        let remedy = finding.remedy.as_ref();
        let remedy = remedy.map_or(String::new(), |remedy| {
            format!("                 → {remedy}\n")
        });
        format!("{sign}  {:<11}  {}\n{remedy}", finding.of, finding.found)
    });
    lines.collect()
}

/// What the config names.
fn files(path: &Path, config: &Config) -> Vec<Finding> {
    match check::look(path, config) {
        Ok(notes) => {
            let notes = notes
                .into_iter()
                .filter_map(|note| Some(wrong("config", note.what, note.remedy?)));
            let found: Vec<_> = notes.collect();
            if found.is_empty() {
                vec![fine("config", "it can be used as it is")]
            } else {
                found
            }
        }
        Err(error) => vec![wrong(
            "config",
            format!("{error:#}"),
            "put the file there, or change the config; pumphouse check tells when it is right",
        )],
    }
}

/// The folders of the exports.
fn folders(config: &Config) -> Vec<Finding> {
    let places = config.historian.watch.iter();
    let looked = places.map(|place| match fs::read_dir(place).map(Iterator::count) {
        Ok(0) => wrong(
            "exports",
            format!("{}: nothing lies there", place.display()),
            "see that the share is mounted (findmnt -T) and that the historian exports to it; the daemon goes on by itself",
        ),
        Ok(entries) => fine("exports", format!("{}: {entries} entries", place.display())),
        Err(_) if place.is_file() => fine("exports", place.display().to_string()),
        Err(error) => wrong(
            "exports",
            format!("{}: {error}", place.display()),
            "see that the share is mounted and that the user pumphouse may read it (id pumphouse; ls -l); the daemon goes on by itself",
        ),
    });
    looked.collect()
}

/// The store and what it knows of the rest.
fn store(config: &Config, view: &View) -> anyhow::Result<Vec<Finding>> {
    let mut found = vec![match backups::verify(&config.store) {
        Ok(sound) => fine("store", format!("sound, {} rows", sound.rows)),
        Err(error) => wrong("store", format!("{error:#}"), MENDS),
    }];
    found.push(age(config, view)?);
    // What is gone cannot be read on, unless only its folder is away.
    let is_gone = |file: &Path| {
        let watch = &config.historian.watch;
        let may_come_back = || {
            watch.iter().any(|place| file.starts_with(place))
                && !file.parent().is_some_and(Path::exists)
        };
        !file.try_exists().unwrap_or(true) && !may_come_back()
    };
    let held = view.files_held(FILES_LOOKED_AT_MAX)?.into_iter();
    let held = held.filter(|(file, _)| !is_gone(Path::new(file)));
    found.extend(held.take(FILES_MAX).map(|(file, reason)| {
        wrong(
            "exports",
            format!("{file}: {reason}"),
            "set what the reason asks for in [historian], and reload (systemctl reload pumphouse)",
        )
    }));
    let disk = view.outlook(&config.store)?;
    let room = format!(
        "{:.1} GB free, room for {} days",
        disk.free_bytes as f64 / 1e9,
        disk.days_left
    );
    found.push(if disk.lacks_reserve(config.reserve_bytes) {
        wrong(
            "disk",
            format!("{room}; the reserve is used up"),
            "make room on this disk: old logs, old backups (storage.backups_kept), or a larger disk",
        )
    } else if disk.is_beyond(&config.budget) {
        wrong(
            "disk",
            format!("{room}; {:.0} % in use, which is beyond the budget of [storage]", disk.used.pct()),
            "make room on this disk, or allow the store more (storage.budget_gb, disk_used_max_pct): the oldest minutes go as long as that helps",
        )
    } else if disk.days_left < ROOM_DAYS_MIN {
        wrong("disk", room, "plan for a larger disk")
    } else {
        fine("disk", room)
    });
    found.extend(deliveries(config, view)?);
    Ok(found)
}

fn age(config: &Config, view: &View) -> anyhow::Result<Finding> {
    let Some((newest, local)) = view.newest_row()? else {
        return Ok(wrong(
            "data",
            "no row yet",
            "see that exports lie in the watched folders, and what pumphouse status says of them",
        ));
    };
    let age_min = Clock::Wall.minute() - newest;
    Ok(if age_min < 0 {
        wrong(
            "clock",
            format!(
                "this machine's clock is {} min behind the newest row",
                -age_min
            ),
            "set the clock, and have it kept (timedatectl set-ntp true); until then nothing that depends on it happens",
        )
    } else if age_min > config.historian.delivery_delay_min + SILENT_MIN {
        wrong(
            "data",
            format!("the newest row, {local}, is {age_min} min old"),
            "see whether the historian logs and its export reaches the watched folder; or give the daemon the PLC as a fallback ([modbus])",
        )
    } else {
        fine(
            "data",
            format!("the newest row, {local}, is {age_min} min old"),
        )
    })
}

/// A part's trouble, with what to do about it as far as its cause says.
fn troubled(of: &'static str, trouble: &Trouble, now_s: i64, otherwise: &str) -> Finding {
    let remedy = if trouble.cause.contains("Permission denied") {
        FILE_REMEDY
    } else if trouble.cause.contains("Address already in use") {
        PORT_REMEDY
    } else {
        otherwise
    };
    wrong(of, trouble.told(now_s), remedy)
}

/// What waits, what is refused, and what the daemon says keeps it from its work.
fn deliveries(config: &Config, view: &View) -> anyhow::Result<Vec<Finding>> {
    let now_s = Clock::Wall.now_s();
    let mut found = Vec::new();
    if let Some(mqtt) = &config.mqtt {
        let waits_min = view.oldest_message()?.map_or(0, |ts| (now_s - ts) / 60);
        found.push(match view.trouble(Part::Broker)? {
            Some(trouble) => troubled("broker", &trouble, now_s, BROKER_REMEDY),
            None if waits_min > WAITING_MIN => wrong(
                "broker",
                format!("messages have been waiting for {waits_min} min"),
                BROKER_REMEDY,
            ),
            None => fine("broker", "nothing waits for long"),
        });
        if let Some(trouble) = view.trouble(Part::Sparkplug)?
            && mqtt.sparkplug_group.is_some()
        {
            found.push(troubled("sparkplug", &trouble, now_s, BROKER_REMEDY));
        }
    }
    if let Some(web) = &config.web {
        found.push(match view.trouble(Part::Dashboard)? {
            Some(trouble) => troubled(
                "dashboard",
                &trouble,
                now_s,
                "put right what the reason says",
            ),
            None => reach(
                "dashboard",
                &near(web.listen),
                web.listen.port(),
                DAEMON_REMEDY,
            ),
        });
    }
    if config.central.is_some() {
        let central = view.central(&config.store, now_s)?;
        let rows = format!("{} rows wait", central.rows_waiting);
        found.push(match central.trouble {
            Some(trouble) => wrong(
                "central",
                format!("{rows}; {}", trouble.told(now_s)),
                "put right what the reason says, here or at the central office; rows are kept until it takes them",
            ),
            None => fine("central", rows),
        });
        if central.refused > 0 {
            found.push(wrong(
                "central",
                format!("{} rows are refused for good", central.refused),
                "table central_refused has each with the server's reason; pumphouse resync sends them again",
            ));
        }
    }
    if config.notify.is_some() {
        let calls = view.calls(now_s)?;
        found.push(match calls.trouble {
            Some(trouble) => wrong(
                "calls",
                trouble,
                "pumphouse notify test shows what the hook answers",
            ),
            None => fine("calls", format!("{} given up so far", calls.given_up)),
        });
    }
    Ok(found)
}

/// Where this machine itself finds what listens at an address.
fn near(listen: SocketAddr) -> String {
    match listen.ip() {
        IpAddr::V4(it) if it.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        IpAddr::V6(it) if it.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        it => it.to_string(),
    }
}

fn newest_backup(config: &Config) -> Finding {
    const CLOCK_REMEDY: &str = "see that the clock is right (timedatectl); the next backup is the newest again: sudo systemctl start pumphouse-backup";
    const REMEDY: &str = "see that its disk is mounted, if it is another one (findmnt); sudo systemctl enable --now pumphouse-backup.timer; sudo systemctl start pumphouse-backup makes one now, and \
                          sudo journalctl -u pumphouse-backup says why it could not";
    let folder = &config.backups.folder;
    if let Err(error) = fs::read_dir(folder)
        && error.kind() == ErrorKind::PermissionDenied
    {
        return wrong(
            "backup",
            format!("{}: {error}", folder.display()),
            WITH_SUDO,
        );
    }
    let Some(newest) = backups::list(folder).into_iter().next() else {
        return wrong(
            "backup",
            format!("there is none in {}", folder.display()),
            REMEDY,
        );
    };
    let age_h = backups::age(&newest).map_or(0, |age| age.as_hours());
    if age_h < 0 {
        let text = format!("{} is {} h ahead of this clock", newest.display(), -age_h);
        return wrong("backup", text, CLOCK_REMEDY);
    }
    let text = format!("{}, {age_h} h old", newest.display());
    if age_h > BACKUP_AGE_MAX_H {
        wrong("backup", text, REMEDY)
    } else {
        fine("backup", text)
    }
}

/// Whether the servers of the config answer at all.
fn servers(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(mqtt) = &config.mqtt {
        found.push(reach("broker", &mqtt.host, mqtt.port, NETWORK_REMEDY));
    }
    let office = config.central.as_ref();
    if let Some(office) = office.and_then(|it| PgConnectOptions::from_str(&it.url).ok())
        && office.get_socket().is_none()
    {
        let host = office.get_host().trim_matches(['[', ']']);
        found.push(reach("central", host, office.get_port(), NETWORK_REMEDY));
    }
    if let Some(modbus) = &config.modbus {
        match &modbus.place {
            Place::Tcp { host, port } => found.push(reach("PLC", host, *port, NETWORK_REMEDY)),
            Place::Rtu { device, .. } => found.push(match device.exists() {
                true => fine("PLC", format!("{} is there", device.display())),
                false => wrong(
                    "PLC",
                    format!("{} is not there", device.display()),
                    "plug the serial adapter in, and give the unit its device in a drop-in (DeviceAllow, group dialout)",
                ),
            }),
        }
    }
    found
}

fn reach(of: &'static str, host: &str, port: u16, remedy: &str) -> Finding {
    let found = (host, port).to_socket_addrs().and_then(|addresses| {
        let none = Err(io::Error::other("the name has no address"));
        addresses.fold(none, |found, address| {
            found.or_else(|_| TcpStream::connect_timeout(&address, ANSWER))
        })
    });
    match found {
        Ok(_) => fine(of, format!("{host}:{port} answers")),
        Err(error) => wrong(of, format!("{host}:{port}: {error}"), remedy),
    }
}
