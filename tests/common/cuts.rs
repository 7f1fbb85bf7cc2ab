//! Power cuts: the daemon's store lies on a file system of its own, which is shut down at random moments so that everything
//! not synced is gone. Afterwards everything that anybody had seen acknowledged must be there, and in the end the tables must be
//! those of an undisturbed run.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use jiff::civil::date;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::{
    mosquitto::Mosquitto,
    mounting::{do_privileged, own, privileged},
    panel::Panel,
    station::Daemon,
    tables::journal,
    tables::{Tables, assert_same},
    tape,
    waiting::{DEADLINE, until, within},
};

/// Days of exports; they come in pieces while the power is cut.
const DAYS: u32 = 5;
/// Lines of exports at once: some minutes.
const LINES_A_PIECE: usize = 27 * 4;
/// Longest time between a start and the cut, ms.
const LIFE_MS_MAX: u64 = 1200;

/// Which file system.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Ext4,
    Xfs,
}

impl Kind {
    /// Its program and its least size, MB.
    fn making(self) -> (&'static str, u64) {
        match self {
            Self::Ext4 => ("mkfs.ext4", 64),
            Self::Xfs => ("mkfs.xfs", 320),
        }
    }

    /// Whether its program is installed.
    pub fn can_be_made(self) -> bool {
        let program = self.making().0;
        ["/usr/sbin", "/sbin", "/usr/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists())
    }
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub cuts: u32,
    pub kind: Kind,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Account {
    pub cuts: u32,
    /// Rows that were seen committed before each cut, and rows there after it.
    pub rows: Vec<(i64, i64)>,
    pub events: usize,
}

/// A file system in a file, mounted. Dropped, it goes.
struct Image {
    kind: Kind,
    folder: TempDir,
}

impl Image {
    fn new(kind: Kind) -> Result<Self, String> {
        let (program, megabytes) = kind.making();
        let image = Self {
            kind,
            folder: TempDir::with_prefix("pumphouse-power-").expect("a folder"),
        };
        let file = fs::File::create(image.file()).expect("an image");
        file.set_len(megabytes << 20).expect("a sparse file");
        fs::create_dir(image.place()).expect("a folder");
        do_privileged(program, &["-q", &image.file().to_string_lossy()])?;
        image.mount()?;
        own(&image.place())?;
        Ok(image)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn mount(&self) -> Result<(), String> {
        let (file, place) = (self.file(), self.place());
        let arguments = [
            "-o",
            "loop",
            &file.to_string_lossy(),
            &place.to_string_lossy(),
        ];
        do_privileged("mount", &arguments)
    }

    fn unmount(&self) -> Result<(), String> {
        do_privileged("umount", &[&self.place().to_string_lossy()])
    }

    /// A process that cuts the power as soon as it is told.
    fn cutter(&self) -> Cutter {
        // FS_IOC_SHUTDOWN with "no flush of the log": what is not synced is gone.
        let script = "open(my $place, '<', $ARGV[0]) or die $!; $| = 1; print \"ready\\n\"; <STDIN>; \
                      my $how = pack('L', 2); ioctl($place, 0x8004587d, $how) or die $!;";
        let mut command = privileged("perl").expect("mounting was possible");
        let mut process = command
            .args(["-e", script])
            .arg(self.place())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("perl starts");
        let mut ready = String::new();
        let said = process.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut ready)
            .expect("perl says so");
        assert_eq!(ready, "ready\n");
        Cutter(process)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Where nothing is mounted there is nothing to do.
        let _ = do_privileged("umount", &["-l", &self.place().to_string_lossy()]);
    }
}

struct Cutter(Child);

impl Cutter {
    fn cut(mut self) {
        let mut told = self.0.stdin.take().expect("piped");
        told.write_all(b"now\n").expect("told");
        drop(told);
        let output = self.0.wait_with_output().expect("perl ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }
}

/// Exports that have not come yet.
struct Exports {
    folder: PathBuf,
    files: Vec<(String, Vec<u8>)>,
}

impl Exports {
    /// Writes the next piece; whether there was one.
    fn step(&mut self) -> bool {
        let Some((name, rest)) = self.files.first_mut() else {
            return false;
        };
        let end = rest
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(LINES_A_PIECE)
            .map_or(rest.len(), |(end, _)| end + 1);
        let piece: Vec<u8> = rest.drain(..end).collect();
        let path = self.folder.join(&*name);
        if rest.is_empty() {
            self.files.remove(0);
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("opened");
        file.write_all(&piece).expect("written");
        true
    }
}

/// What somebody has seen committed: rows, bytes of exports behind them, lines of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    rows: i64,
    bytes: i64,
    journal: i64,
}

/// A look at the store; `None` while it is not there.
fn look(store: &Connection) -> Option<Seen> {
    let sql = "SELECT (SELECT count(*) FROM readings_wide), (SELECT coalesce(sum(position), 0) FROM ingest_files), \
               (SELECT count(*) FROM alert_journal)";
    let seen = store.query_row(sql, [], |row| {
        Ok(Seen {
            rows: row.get(0)?,
            bytes: row.get(1)?,
            journal: row.get(2)?,
        })
    });
    seen.ok()
}

fn open(store: &Path) -> Option<Connection> {
    Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()
}

struct World {
    rng: ChaCha8Rng,
    folder: TempDir,
    image: Image,
    exports: Exports,
    broker: Mosquitto,
    panel: Panel,
    account: Account,
}

/// Runs a plan; why it cannot be run here.
///
/// # Panics
/// Where anything acknowledged is lost.
pub fn run(plan: Plan) -> Result<Account, String> {
    let image = Image::new(plan.kind)?;
    let kind = image.kind;
    let mut world = World::new(&plan, image);
    for _ in 0..plan.cuts {
        world.live_and_cut();
    }
    world.settle();
    assert!(
        world.account.rows.iter().any(|&(seen, _)| seen > 0),
        "{kind:?}: the cuts came before anything was there"
    );
    Ok(world.account)
}

impl World {
    fn new(plan: &Plan, image: Image) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let folder = TempDir::with_prefix("pumphouse-cuts-").expect("a folder");
        let exports = folder.path().join("exports");
        fs::create_dir(&exports).expect("a folder");
        let broker = Mosquitto::start();
        let world = Self {
            exports: Exports {
                folder: exports,
                files: tape::faulty_tape(rng.random(), date(2025, 3, 3), DAYS),
            },
            panel: Panel::connect(broker.port),
            account: Account::default(),
            rng,
            folder,
            image,
            broker,
        };
        world.configure(&world.store());
        world
    }

    fn store(&self) -> PathBuf {
        self.image.place().join("out.db")
    }

    fn configure(&self, store: &Path) {
        let text = tape::config_text("UTC")
            .replace("path = \"out.db\"", &format!("path = {store:?}"))
            .replace("watch = [", "scan_interval_s = 0.1\nwatch = [");
        // The gap alerts of the wall clock depend on when the test runs.
        let text = format!(
            "{text}\n[alerts.rules.F-01]\nenabled = false\n[alerts.rules.F-02]\nenabled = false\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nretry_s_max = 1\n",
            self.broker.port
        );
        fs::write(self.folder.path().join("pumphouse.toml"), text).expect("written");
    }

    fn start(&self) -> Daemon {
        let folder = self.folder.path();
        Daemon::start(&folder.join("pumphouse.toml"), &folder.join("log"), &[])
    }

    /// What the panel has heard of, by id.
    fn heard(&self) -> Vec<String> {
        let messages = self.panel.messages();
        let events = messages
            .iter()
            .filter(|message| message.topic.ends_with("/events"));
        events
            .filter_map(|message| Some(message.json()["event_id"].as_str()?.to_owned()))
            .collect()
    }

    /// The daemon lives for a while, then the power is cut; what was seen before must be there after.
    fn live_and_cut(&mut self) {
        let cutter = self.image.cutter();
        let mut daemon = self.start();
        let life = Duration::from_millis(self.rng.random_range(20..LIFE_MS_MAX));
        let end = Instant::now() + life;
        let (mut seen, mut store) = (Seen::default(), None);
        let mut fed = Instant::now();
        while Instant::now() < end {
            if fed <= Instant::now() {
                self.exports.step();
                fed = Instant::now() + Duration::from_millis(self.rng.random_range(5..60));
            }
            if store.is_none() {
                store = open(&self.store());
            }
            seen = store.as_ref().and_then(look).unwrap_or(seen);
        }
        let heard = self.heard();
        cutter.cut();
        daemon.kill();
        drop(store);
        until("it is unmounted", || self.image.unmount().ok());
        self.image.mount().expect("mounted again");
        self.account.cuts += 1;
        self.check(seen, &heard);
    }

    fn check(&mut self, seen: Seen, heard: &[String]) {
        let path = self.store();
        if seen == Seen::default() && !path.exists() {
            self.account.rows.push((0, 0));
            return;
        }
        // For writing: what the log holds is taken over as the daemon does.
        let store = Connection::open(&path).expect("the store opens");
        let sound: String = store
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("checked");
        assert_eq!(sound, "ok");
        let found = look(&store).unwrap_or_default();
        let told = format!("{seen:?} was seen before the cut, {found:?} is there");
        assert!(found.rows >= seen.rows, "{told}");
        assert!(found.bytes >= seen.bytes, "{told}");
        assert!(found.journal >= seen.journal, "{told}");
        for id in heard {
            let known: bool = store
                .query_row(
                    "SELECT EXISTS (SELECT 1 FROM alert_journal WHERE event_id = ?)",
                    [id],
                    |row| row.get(0),
                )
                .expect("asked");
            assert!(known, "{id} was published and is not in the journal");
        }
        self.account.rows.push((seen.rows, found.rows));
    }

    /// With no more cuts, everything arrives, and the tables are those of an undisturbed run.
    fn settle(&mut self) {
        while self.exports.step() {}
        let bytes: u64 = fs::read_dir(&self.exports.folder)
            .expect("the exports")
            .map(|entry| entry.expect("a file").metadata().expect("its size").len())
            .sum();
        let mut daemon = self.start();
        let read = within(DEADLINE, || {
            let seen = look(&open(&self.store())?)?;
            (seen.bytes == bytes as i64).then_some(())
        });
        assert!(read.is_some(), "{}", daemon.log());
        let store = open(&self.store()).expect("the store");
        let journal: BTreeSet<_> = journal(&store).into_iter().collect();
        let told = until("the panel hears every line of the journal", || {
            let heard: HashSet<_> = self.heard().into_iter().collect();
            journal
                .iter()
                .all(|id| heard.contains(id))
                .then_some(journal.len())
        });
        self.account.events = told;
        daemon.terminate();
        // An undisturbed daemon: as here, the wall clock goes on behind the last row.
        let plain = self.folder.path().join("plain.db");
        self.configure(&plain);
        let mut daemon = self.start();
        let read = within(DEADLINE, || {
            let seen = look(&open(&plain)?)?;
            (seen.bytes == bytes as i64).then_some(())
        });
        assert!(read.is_some(), "{}", daemon.log());
        daemon.terminate();
        assert_same(
            "after the cuts",
            &Tables::of(&self.store()),
            &Tables::of(&plain),
        );
    }
}
