//! The PLC as a source: against the simulated PLC through a proxy full of faults, against pymodbus's simulator, and on a serial
//! line.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{OnceLock, atomic::Ordering},
    time::Duration,
};

use pumphouse::{
    calendar::Minute,
    clock::Clock,
    config::Modbus,
    modbus::{
        Kind, Place, Register, Sample, Table, WordOrder,
        poll::{Poller, start},
    },
    tags::{TAGS, is_command},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

mod common;
use common::{
    binary,
    plc::{Fault, ProxiedPlc, Running, only_reads, simulated_plc, value_of},
    ports::free_port,
    serial_plc::{CALM, LATE, NOISY, SerialLine, cable},
    trainer::environment,
    waiting::until,
};

/// Seconds a second.
const SPEED: f64 = 50.0;
/// The same on the serial line, where a silent unit takes all of every minute.
const SERIAL_SPEED: f64 = 15.0;
/// A unit answers within this, s of the fast clock: 60 ms.
const TIMEOUT_S: f64 = 3.0;
/// The day that is lived through begins here.
const FIRST_MINUTE: Minute = 29_000_160;

/// One poll in a minute: what it hands over, as one sample.
async fn polled(poller: &mut Poller, minute: Minute, speed: f64) -> Option<Sample> {
    let (out, mut samples) = mpsc::channel(64);
    poller.poll(Clock::fast(minute * 60 + 1, speed), &out).await;
    drop(out);
    let mut whole: Option<Sample> = None;
    while let Some(sample) = samples.recv().await {
        assert_eq!(sample.minute(), minute, "a sample is of its minute");
        match &mut whole {
            Some(whole) => whole.add(&sample),
            None => whole = Some(sample),
        }
    }
    whole
}

/// Checks that every value is its own register's of this minute; how many there are.
fn own_values(sample: &Sample, seed: u64) -> usize {
    let minute = sample.minute();
    let mut count = 0;
    for (slot, value) in sample.values.iter().enumerate() {
        if !value.is_nan() {
            assert_eq!(
                *value,
                value_of(slot, minute),
                "slot {slot}, minute {minute}, seed {seed}"
            );
            count += 1;
        }
    }
    count
}

/// 24 hours of minutes: calm ones, ones with up to three faults, and outages after each of which a calm minute comes.
#[tokio::test]
async fn a_day_of_faults_loses_no_minute_that_was_readable_and_sends_nothing_but_reads() {
    let seed = 7;
    let plc = ProxiedPlc::start(seed, Duration::from_secs_f64(TIMEOUT_S / SPEED)).await;
    let mut poller = Poller::new(plc.config(TIMEOUT_S));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut silent_left, mut was_silent, mut dark) = (0_u32, false, 0);
    for minute in FIRST_MINUTE..FIRST_MINUTE + 1440 {
        plc.show(minute);
        if silent_left == 0 && !was_silent && rng.random_bool(0.006) {
            silent_left = rng.random_range(1..=4);
        }
        let is_silent = silent_left > 0;
        match (is_silent, was_silent) {
            (true, _) => plc.set(0, 0.0, Some(0)),
            (false, true) => plc.set(0, 0.0, None),
            (false, false) => plc.set(rng.random_range(0..=3), 0.5, None),
        }
        let sample = polled(&mut poller, minute, SPEED).await;
        let values = sample.map_or(0, |sample| own_values(&sample, seed));
        let expected = if is_silent { 0 } else { TAGS };
        assert_eq!(
            values,
            expected,
            "minute {}, seed {seed}",
            minute - FIRST_MINUTE
        );
        (was_silent, dark) = (is_silent, dark + u32::from(is_silent));
        silent_left = silent_left.saturating_sub(1);
    }
    let happened = plc.happened();
    for fault in Fault::ALL {
        assert!(
            happened.iter().filter(|it| **it == fault).count() > 10,
            "{fault:?} happens"
        );
    }
    assert!(dark > 5, "{dark} minutes were dark");
    let recorded = plc.recorded();
    assert!(recorded.len() > 200, "{} sessions", recorded.len());
    assert!(only_reads(&recorded) > 1440 * 4);
}

/// With faults on most answers for as long as it takes, a value is its own register's or none.
#[tokio::test]
async fn no_answer_becomes_the_value_of_another_register() {
    for seed in 1..=4 {
        let plc = ProxiedPlc::start(seed, Duration::from_secs_f64(TIMEOUT_S / SPEED)).await;
        plc.set(usize::MAX, 0.7, None);
        let mut poller = Poller::new(plc.config(TIMEOUT_S));
        let mut values = 0;
        for minute in FIRST_MINUTE..FIRST_MINUTE + 12 {
            plc.show(minute);
            if let Some(sample) = polled(&mut poller, minute, SPEED).await {
                values += own_values(&sample, seed);
            }
        }
        assert!(values > TAGS, "{values} values, seed {seed}");
        only_reads(&plc.recorded());
    }
}

#[tokio::test]
async fn a_silent_unit_does_not_hold_up_another_and_nothing_of_it_is_repeated() {
    let plc = ProxiedPlc::start(1, Duration::from_secs_f64(TIMEOUT_S / SPEED)).await;
    let mut poller = Poller::new(plc.config(TIMEOUT_S));
    for minute in FIRST_MINUTE..FIRST_MINUTE + 4 {
        plc.show(minute);
        let is_dark = (1..3).contains(&(minute - FIRST_MINUTE));
        plc.set(0, 0.0, is_dark.then_some(2));
        let (out, mut samples) = mpsc::channel(64);
        let began = tokio::time::Instant::now();
        let polling = poller.poll(Clock::fast(minute * 60 + 1, SPEED), &out);
        let first = async { (samples.recv().await, began.elapsed()) };
        let ((), (first, took)) = tokio::join!(polling, first);
        let first = first.expect("a sample");
        // Two attempts with a wait between them, of a minute that is 1.2 s here.
        assert!(took < Duration::from_millis(600), "{took:?}");
        drop(out);
        let mut last = first.clone();
        while let Some(later) = samples.recv().await {
            last = later;
        }
        for sample in [&first, &last] {
            own_values(sample, 1);
            let of_unit_1 = (0..TAGS).filter(|slot| !is_command(*slot));
            assert!(
                of_unit_1
                    .into_iter()
                    .all(|slot| !sample.values[slot].is_nan())
            );
        }
        // What a unit says that had turned out to be silent comes in a sample of its own.
        assert_eq!(own_values(&last, 1), if is_dark { TAGS - 6 } else { TAGS });
    }
}

fn words(unit: u8, slots: std::ops::Range<usize>) -> impl Iterator<Item = Register> {
    slots.enumerate().map(move |(at, slot)| Register {
        slot,
        unit,
        table: if at % 2 == 0 {
            Table::Holding
        } else {
            Table::Input
        },
        address: 10 + at as u16 / 2,
        base: 0,
        kind: Kind::U16,
        order: WordOrder::Abcd,
        scale: 1.0,
        offset: 0.0,
    })
}

fn serial_config(device: &Path, registers: Vec<Register>) -> Modbus {
    Modbus {
        place: Place::Rtu {
            device: device.to_path_buf(),
            baud: 115_200,
            parity: pumphouse::modbus::Parity::None,
            stop_bits: 1,
        },
        poll_interval_s: 60,
        takeover_after_min: 10,
        timeout: Duration::from_secs_f64(TIMEOUT_S / 3.0),
        retry_s_max: 30,
        registers_max: 125,
        stale_after_s: 90.0,
        registers,
    }
}

/// Units 1 and 2 answer, unit 9 does not, all on one serial line whose answers are turned or come late.
#[tokio::test]
async fn a_serial_line_with_noise_late_answers_and_a_silent_unit() {
    let line = SerialLine::start(Duration::from_secs_f64(
        TIMEOUT_S / 3.0 / SERIAL_SPEED * 1.5,
    ));
    let registers: Vec<_> = words(1, 9..15)
        .chain(words(2, 15..21))
        .chain(words(9, 0..1))
        .collect();
    let mut poller = Poller::new(serial_config(&line.device, registers.clone()));
    let own: BTreeMap<usize, f64> = registers
        .iter()
        .map(|it| (it.slot, f64::from(u16::from(it.unit) * 1000 + it.address)))
        .collect();
    let mut minute = FIRST_MINUTE;
    for (weather, minutes) in [(CALM, 1), (NOISY, 3), (LATE, 3), (CALM, 1)] {
        line.weather.store(weather, Ordering::SeqCst);
        for _ in 0..minutes {
            minute += 1;
            let sample = polled(&mut poller, minute, SERIAL_SPEED)
                .await
                .expect("a sample");
            let mut count = 0;
            for (slot, value) in sample
                .values
                .iter()
                .enumerate()
                .filter(|(_, value)| !value.is_nan())
            {
                assert_eq!(*value, own[&slot], "slot {slot}, weather {weather}");
                count += 1;
            }
            assert_eq!(count, 12, "weather {weather}");
        }
    }
}

/// pymodbus's simulator at a port or a serial device.
fn pymodbus(place: &str) -> Running {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common");
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let python =
        PYTHON.get_or_init(|| environment("pymodbus", &folder.join("pymodbus-requirements.txt")));
    let child = Command::new(python)
        .arg(folder.join("pymodbus_station.py"))
        .arg(place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(child.expect("it starts"))
}

/// What the simulator has where, and the value of each.
fn pymodbus_registers() -> (Vec<Register>, Vec<f64>) {
    let (mut registers, mut values, mut at) = (Vec::new(), Vec::new(), 100);
    let mut add = |table, address, kind, order, value| {
        registers.push(Register {
            // Not a command's, which can be 0 or 1 alone.
            slot: if values.len() < 3 {
                values.len()
            } else {
                values.len() + 6
            },
            unit: 3,
            table,
            address,
            base: 0,
            kind,
            order,
            scale: 1.0,
            offset: 0.0,
        });
        values.push(value);
    };
    for (_, order) in WordOrder::NAMES.into_iter().take(3) {
        for (kind, value) in [
            (Kind::F32, f64::from(123.456_f32)),
            (Kind::F64, -98_765.432_1),
            (Kind::U32, 4e9),
            (Kind::I32, -70_000.0),
        ] {
            add(Table::Holding, at, kind, order, value);
            at += kind.places();
        }
    }
    add(
        Table::Holding,
        130,
        Kind::F32,
        WordOrder::Dcba,
        f64::from(123.456_f32),
    );
    add(Table::Holding, 141, Kind::Bit(3), WordOrder::Abcd, 1.0);
    add(Table::Holding, 140, Kind::U16, WordOrder::Abcd, 65_535.0);
    add(Table::Input, 8, Kind::I16, WordOrder::Abcd, -2.0);
    add(Table::Input, 7, Kind::U16, WordOrder::Badc, 256.0);
    add(Table::Coil, 20, Kind::Bool, WordOrder::Abcd, 1.0);
    add(Table::Coil, 21, Kind::Bool, WordOrder::Abcd, 0.0);
    add(Table::Discrete, 31, Kind::Bool, WordOrder::Abcd, 1.0);
    (registers, values)
}

/// Polls until the simulator is up, and checks what it says.
async fn check_pymodbus(mut config: Modbus, values: &[f64]) {
    config.timeout = Duration::from_secs(10);
    let slots: Vec<usize> = config.registers.iter().map(|it| it.slot).collect();
    let mut poller = Poller::new(config);
    let mut sample = None;
    for minute in FIRST_MINUTE..FIRST_MINUTE + 60 {
        sample = polled(&mut poller, minute, SPEED).await;
        if sample.is_some() {
            break;
        }
    }
    let sample = sample.expect("the simulator answers");
    let read: Vec<f64> = slots.iter().map(|slot| sample.values[*slot]).collect();
    assert_eq!(read, values);
}

#[tokio::test]
async fn pymodbus_over_tcp_holds_every_kind_in_every_order() {
    let port = free_port();
    let _simulator = pymodbus(&port.to_string());
    let (registers, values) = pymodbus_registers();
    let mut config = serial_config(Path::new(""), registers);
    config.place = Place::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    check_pymodbus(config, &values).await;
}

#[tokio::test]
async fn pymodbus_on_a_serial_line_holds_every_kind_in_every_order() {
    let [near, far] = cable();
    let _simulator = pymodbus(far.to_str().expect("plain"));
    let (registers, values) = pymodbus_registers();
    check_pymodbus(serial_config(&near, registers), &values).await;
}

#[test]
fn probe_shows_the_simulated_plc_beside_the_historian_and_marks_what_agrees() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plc, section) = simulated_plc();
    let config = format!("{}\n{section}", pumphouse::cli::simulated_config());
    std::fs::write(folder.path().join("pumphouse.toml"), config).expect("written");
    let probe = |arguments: &[&str]| {
        let all = [
            &["modbus", "probe", "--config", "pumphouse.toml"],
            arguments,
        ]
        .concat();
        let output = binary::run(folder.path(), &all);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        (output.status.success(), out, err)
    };
    let (went_well, text, _) = probe(&[]);
    assert!(
        went_well && text.contains("without the historian's values"),
        "{text}"
    );
    // The historian says what the PLC does, but for the level.
    let (_, report, _) = probe(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let registers = report["registers"].as_array().expect("a list");
    assert_eq!(registers.len(), TAGS);
    let mut lines = String::from("Timestamp,Marker,TagIndex,Value\n");
    for (slot, register) in registers.iter().enumerate() {
        let readings = register["readings"].as_array().expect("a list");
        let own = readings
            .iter()
            .find(|it| it["configured"] == true)
            .expect("the configured way");
        let value = own["value"].as_f64().expect("a number") + if slot == 2 { 50.0 } else { 0.0 };
        lines += &format!("2025-03-03 06:00:00,B,{slot},{value}\n");
    }
    let export = folder.path().join("exports.csv");
    std::fs::write(&export, lines).expect("written");
    binary::ingest(folder.path(), &[export]);
    let (_, text, _) = probe(&["--tolerance-pct", "0.1"]);
    assert!(
        text.contains("26 of 27 registers agree as configured"),
        "{text}"
    );
    let level = text
        .split("[PLC]HLT101.OUTPUT")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next());
    let level = level.expect("the level's lines");
    for part in [
        "unit 1, holding 104, f32",
        "base 0",
        "base 1",
        "ABCD",
        "CDAB",
        "BADC",
        "DCBA",
        "*",
    ] {
        assert!(level.contains(part), "{part}: {level}");
    }
    drop(plc);
    let (went_well, out, err) = probe(&[]);
    assert!(!went_well && out.is_empty(), "{out}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("connect to tcp://127.0.0.1:"), "{err}");
}

#[test]
fn the_simulated_plc_refuses_to_be_written() {
    use std::io::{Read, Write};
    let (_plc, section) = simulated_plc();
    let url = section.split('"').nth(1).expect("the address");
    let mut stream = until("it listens", || TcpStream::connect(&url[6..]).ok());
    for (function, body) in [(5, [0, 0, 0xFF, 0]), (6, [0, 100, 0, 1])] {
        let head = [0, 1, 0, 0, 0, 6, 1, function];
        stream
            .write_all(&[head.as_slice(), &body].concat())
            .expect("sent");
        let mut answer = [0; 9];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[7..], [function | 0x80, 1], "illegal function");
    }
}

/// The library that could write is named where it is used to read, and nowhere else but in tests and in the simulated PLC.
#[test]
fn only_one_file_names_the_librarys_client_and_it_names_no_write() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut naming) = (vec![source.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                if code.contains("tokio_modbus") {
                    let name = path
                        .strip_prefix(&source)
                        .expect("below it")
                        .display()
                        .to_string();
                    naming.push((name, code.to_owned()));
                }
            }
        }
    }
    naming.sort();
    let names: Vec<_> = naming.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["modbus/client.rs", "simulate/modbus.rs"]);
    let client = &naming[0].1;
    for word in [
        "Writer",
        "write_",
        "Write",
        "Reader}",
        "prelude::*",
        "Custom",
        "pub fn context",
        "pub context",
    ] {
        assert!(!client.contains(word), "{word}");
    }
}

/// The daemon's loop: a sample a minute until it is told to stop, and none while the PLC is away.
#[tokio::test]
async fn runs_until_it_is_told_to_stop() {
    let plc = ProxiedPlc::start(3, Duration::from_millis(50)).await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let clock = Clock::fast(FIRST_MINUTE * 60 + 30, SPEED);
    let (running, mut samples) = start(plc.config(TIMEOUT_S), clock, stopping);
    let mut minutes = std::collections::BTreeSet::new();
    while minutes.len() < 3 {
        minutes.insert(samples.recv().await.expect("a sample").minute());
    }
    let (first, last) = (minutes.first().expect("one"), minutes.last().expect("one"));
    assert_eq!(last - first, 2, "one after the other");
    plc.set(0, 0.0, Some(0));
    let second = 1.0 / SPEED;
    while tokio::time::timeout(Duration::from_secs_f64(150.0 * second), samples.recv())
        .await
        .is_ok()
    {}
    plc.set(0, 0.0, None);
    assert!(samples.recv().await.expect("it is back").minute() > *last);
    stop.send_replace(true);
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await;
    ended.expect("in time").expect("no panic");
}
