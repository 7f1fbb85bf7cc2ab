//! The sync cursor against a plain map, under random operations: whatever is written, sent, lost, wiped and restored, the
//! central office ends with the rows of the tables.
//!
//! The central office is an in-memory stand-in that takes batches as the real one does (rows of ranges as they stand, what is
//! gone from them dropped, the mark moved with them); the real one is tried by `tests/central.rs`. What decides where to go on
//! is the real code on a real store: change log, batches and [`meet`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::PathBuf,
};

use proptest::prelude::*;
use rusqlite::params;
use tempfile::TempDir;

use super::{
    Store,
    changes::Synced,
    outgoing::{Batch, Cell, Snapshot},
    session_id,
};
use crate::sync::meet::{Mark, Meeting, meet};

/// Keys of each table; far enough apart that entries of the change log are several.
const KEYS: i64 = 12;
/// Rows of a batch.
const BATCH_ROWS_MAX: usize = 4;
/// Later than the change log keeps anything, s.
const LONG_AFTER_S: i64 = 400 * 86_400;
/// A table of each kind: keyed by minutes and never losing rows, by minutes, by days, and by ids.
const TABLES: [Synced; 4] = [
    Synced::Readings,
    Synced::Sessions,
    Synced::Suppressed,
    Synced::Rejects,
];

/// A row is written, or is gone where the table loses rows.
#[derive(Clone, Debug)]
struct Edit {
    table: Synced,
    key: i64,
    value: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The centre commits, and the box notes it.
    Done,
    /// The connection ends before the centre commits.
    LostBefore,
    /// It ends behind the commit: the box does not hear of it.
    LostBehind,
}

#[derive(Clone, Debug)]
enum Operation {
    /// Rows change in one transaction, which is committed or taken back.
    Change(Vec<Edit>, bool),
    /// A batch is sent while the next one is read, and rows change before that and before the batch is delivered.
    Send(Fate, [Vec<Edit>; 2]),
    /// The box is killed and started again.
    Crash,
    /// The newest acknowledgement is so old that the change log is cut.
    Prune,
    /// A copy of the centre is put aside.
    BackUpCentre,
    /// The centre becomes that copy.
    RestoreCentre,
    /// The centre forgets the site.
    WipeCentre,
    /// A copy of the box is put aside.
    BackUpBox,
    /// The box becomes that copy, and its exports bring again what has changed since. A person lets it take the site over when
    /// it is refused.
    RestoreBox,
}

fn edit() -> impl Strategy<Value = Edit> {
    (
        0..TABLES.len(),
        0..KEYS,
        prop::option::weighted(0.7, 0..1000i64),
    )
        .prop_map(|(table, key, value)| {
            let table = TABLES[table];
            // A row that never goes is written anew instead.
            let value = value.or_else(|| (!table.loses_rows()).then_some(key));
            Edit { table, key, value }
        })
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let edits = |most| prop::collection::vec(edit(), 0..most);
    let fate = prop_oneof![
        4 => Just(Fate::Done),
        1 => Just(Fate::LostBefore),
        1 => Just(Fate::LostBehind)
    ];
    prop_oneof![
        8 => (edits(6), prop::bool::weighted(0.85)).prop_map(|(edits, kept)| Change(edits, kept)),
        10 => (fate, [edits(2), edits(2)]).prop_map(|(fate, edits)| Send(fate, edits)),
        1 => Just(Crash),
        1 => Just(Prune),
        1 => Just(BackUpCentre),
        1 => Just(RestoreCentre),
        1 => Just(WipeCentre),
        1 => Just(BackUpBox),
        1 => Just(RestoreBox),
    ]
}

/// The stand-in: rows by table and change log key, and the mark.
#[derive(Clone, Debug, Default)]
struct Centre {
    rows: Rows,
    mark: Option<Mark>,
}

/// A meeting: where reading goes on, what was read, and the mark that the centre had of the site.
struct Session {
    from: i64,
    read: VecDeque<Read>,
    mark: Option<Mark>,
}

/// A batch, and its rows as they were when it was read.
struct Read {
    batch: Batch,
    rows: Rows,
    /// Keys of rows that go ahead of their entry, because they are the newest.
    ahead: BTreeSet<(Synced, i64)>,
}

/// Values by table and change log key.
type Rows = BTreeMap<(Synced, i64), i64>;

struct Model {
    folder: TempDir,
    store: Option<Store>,
    session: Option<Session>,
    centre: Centre,
    centre_copy: Option<Centre>,
    has_copy: bool,
    /// What has changed on the box since its copy was put aside.
    since_copy: Vec<Vec<Edit>>,
    /// Whether the box was ever made its copy: only then may it be refused.
    was_set_back: bool,
    /// Rows that the centre has had ahead of their entry.
    sent_ahead: BTreeSet<(Synced, i64)>,
    /// Those of them that were sent before the box was set back. No mark speaks of them, so the centre may keep what the box no longer has.
    maybe_lost: BTreeSet<(Synced, i64)>,
    /// Whether everything was ever sent anew: the centre may keep what is older than all that the box holds.
    sent_anew: bool,
}

/// A key as the change log has it.
fn log_key(table: Synced, key: i64) -> i64 {
    match table {
        Synced::Readings | Synced::Sessions => (20_000_000 + key * 7) * 60,
        Synced::Suppressed => 20_000 + key * 3,
        _ => 1 + key * 2,
    }
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            folder: TempDir::new().expect("a folder"),
            store: None,
            session: None,
            centre: Centre::default(),
            centre_copy: None,
            has_copy: false,
            since_copy: Vec::new(),
            was_set_back: false,
            sent_ahead: BTreeSet::new(),
            maybe_lost: BTreeSet::new(),
            sent_anew: false,
        };
        model.open();
        model
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.db")
    }

    fn open(&mut self) {
        let store = Store::open(&self.path(), None).expect("the store opens");
        // Durability is not what is tried here, and costs most of the time.
        let relaxed = store.connection.pragma_update(None, "synchronous", "OFF");
        relaxed.expect("a pragma");
        self.store = Some(store);
    }

    fn close(&mut self) {
        self.session = None;
        self.store = None;
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("the process runs")
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Change(edits, kept) => self.change(edits, kept),
            Operation::Send(fate, edits) => {
                self.send(fate, edits);
            }
            Operation::Crash => {
                self.close();
                self.open();
            }
            Operation::Prune => self.prune(),
            Operation::BackUpCentre => self.centre_copy = Some(self.centre.clone()),
            Operation::RestoreCentre => {
                if let Some(copy) = &self.centre_copy {
                    self.centre = copy.clone();
                }
            }
            Operation::WipeCentre => self.centre = Centre::default(),
            Operation::BackUpBox => {
                // The last connection takes the log into the file.
                self.close();
                fs::copy(self.path(), self.copy()).expect("copied");
                self.open();
                self.has_copy = true;
                self.since_copy.clear();
            }
            Operation::RestoreBox => {
                self.was_set_back |= self.has_copy;
                self.restore_box();
            }
        }
    }

    fn change(&mut self, edits: Vec<Edit>, kept: bool) {
        let store = self.store();
        store.begin().expect("begun");
        for edit in &edits {
            store.edit(edit);
        }
        if kept {
            store.commit().expect("committed");
            self.since_copy.push(edits);
        } else {
            store.roll_back();
        }
    }

    fn restore_box(&mut self) {
        if !self.has_copy {
            return;
        }
        self.maybe_lost.append(&mut self.sent_ahead);
        self.close();
        for suffix in ["-wal", "-shm"] {
            // The last connection has taken them away.
            let _ = fs::remove_file(format!("{}{suffix}", self.path().display()));
        }
        fs::copy(self.copy(), self.path()).expect("copied");
        self.open();
        // As they are read at once, a row that came and went does not show.
        let mut ends = BTreeMap::new();
        for edit in self.since_copy.drain(..).flatten() {
            ends.insert((edit.table, edit.key), edit.value);
        }
        let there = self.tables();
        let edits = ends
            .into_iter()
            .filter(|&((table, key), value)| {
                value.is_some() || there.contains_key(&(table, log_key(table, key)))
            })
            .map(|((table, key), value)| Edit { table, key, value });
        self.change(edits.collect(), true);
    }

    fn prune(&mut self) {
        let path = self.path();
        let standing = Snapshot::open(&path)
            .and_then(|snapshot| snapshot.standing())
            .expect("read");
        self.note(standing.acked, LONG_AFTER_S);
    }

    fn note(&mut self, seq: i64, later_s: i64) {
        let now_s = crate::clock::Clock::Wall.now_s() + later_s;
        let store = self.store();
        store.begin().expect("begun");
        store.note_acked(seq, now_s).expect("noted");
        store.commit().expect("committed");
    }

    /// A connection, as the daemon makes it.
    fn connect(&mut self) {
        let snapshot = Snapshot::open(&self.path()).expect("opened");
        let standing = snapshot.standing().expect("read");
        let own = self.centre.mark.as_ref().and_then(|mark| {
            let nonce = snapshot.nonce(mark.last_rev);
            nonce.expect("read")
        });
        drop(snapshot);
        let mut met = meet(&standing, self.centre.mark.as_ref(), own);
        if let Meeting::Refuse(why) = &met {
            assert!(self.was_set_back, "a box that was never set back: {why}");
            let mark = self.centre.mark.as_mut().expect("it is what is refused");
            mark.epoch.clear();
            met = meet(&standing, Some(mark), own);
        }
        let mark = self.centre.mark.clone();
        let from = match met {
            Meeting::GoOn(from) => {
                if from < standing.acked {
                    let store = self.store();
                    store.begin().expect("begun");
                    store.note_set_back(from).expect("noted");
                    store.commit().expect("committed");
                }
                from
            }
            Meeting::SendAll { after, .. } => {
                self.sent_anew = true;
                let store = self.store();
                store.begin().expect("begun");
                store.change_everything(after).expect("noted");
                store.commit().expect("committed");
                standing.newest
            }
            Meeting::Refuse(why) => panic!("{why}"),
        };
        self.session = Some(Session {
            from,
            read: VecDeque::new(),
            mark,
        });
    }

    /// Reads the next batch, if there is one.
    fn read(&mut self) {
        let store = self.store();
        store.begin().expect("begun");
        let newest = store.freeze_changes().expect("frozen");
        store.commit().expect("committed");
        let snapshot = Snapshot::open(&self.path()).expect("opened");
        let session = self.session.as_mut().expect("connected");
        let batch = snapshot.batch((session.from, newest), BATCH_ROWS_MAX);
        let Some(mut batch) = batch.expect("read") else {
            return;
        };
        session.from = batch.upto;
        let rows_of_ranges = |batch: &Batch| -> Rows {
            let ranges = batch.ranges.iter();
            ranges
                .filter(|(table, _)| TABLES.contains(table))
                .flat_map(|(&table, ranges)| ranges.iter().map(move |range| (table, range)))
                .flat_map(|(table, range)| rows_of(&snapshot, table, range))
                .collect()
        };
        let in_turn = rows_of_ranges(&batch);
        snapshot.add_newest(&mut batch, 0).expect("read");
        let rows = rows_of_ranges(&batch);
        let keys = rows.keys().copied();
        let ahead = keys.filter(|key| !in_turn.contains_key(key)).collect();
        session.read.push_back(Read { batch, rows, ahead });
    }

    /// Sends a batch and reads the one behind it; whether there was one.
    fn send(&mut self, fate: Fate, [before, between]: [Vec<Edit>; 2]) -> bool {
        if self.session.is_none() {
            self.connect();
        }
        if self.session().read.is_empty() {
            self.read();
        }
        self.change(before, true);
        self.read();
        self.change(between, true);
        if self.session.as_ref().expect("connected").mark != self.centre.mark {
            // Noticed when the site's place is taken, or after a while.
            self.session = None;
            return true;
        }
        let Some(read) = self.session().read.pop_front() else {
            return false;
        };
        if fate == Fate::LostBefore {
            self.session = None;
            return true;
        }
        self.take(&read);
        if fate == Fate::LostBehind {
            self.session = None;
            return true;
        }
        self.note(read.batch.upto, 0);
        let mark = self.centre.mark.clone();
        self.session().mark = mark;
        true
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("connected")
    }

    /// The centre's transaction.
    fn take(&mut self, Read { batch, rows, ahead }: &Read) {
        self.sent_ahead.extend(ahead);
        for (&table, ranges) in &batch.ranges {
            if table.loses_rows() || batch.whole.contains(&table) {
                for (first, last) in ranges.iter() {
                    self.centre.rows.retain(|&(of, key), _| {
                        of != table || key < first || key > last || rows.contains_key(&(of, key))
                    });
                }
            }
        }
        self.centre.rows.extend(rows);
        let snapshot = Snapshot::open(&self.path()).expect("read");
        let standing = snapshot.standing().expect("read");
        self.centre.mark = Some(Mark {
            epoch: standing.epoch,
            last_rev: batch.upto,
            nonce: snapshot
                .nonce(batch.upto)
                .expect("read")
                .expect("frozen entries stay"),
        });
    }

    /// The rows of the centre, without those that it may keep.
    fn at_the_centre(&self) -> Rows {
        let here = self.tables();
        let first = |table: Synced| {
            here.keys()
                .find(|(of, _)| *of == table)
                .map(|&(_, key)| key)
        };
        let mut there = self.centre.rows.clone();
        there.retain(|row, _| here.contains_key(row) || !self.maybe_lost.contains(row));
        if self.sent_anew {
            there.retain(|&(table, key), _| first(table).is_some_and(|first| key >= first));
        }
        there
    }

    fn tables(&self) -> Rows {
        let snapshot = Snapshot::open(&self.path()).expect("read");
        TABLES
            .into_iter()
            .flat_map(|table| rows_of(&snapshot, table, (0, i64::MAX / 1_000_000)))
            .collect()
    }
}

/// The rows of a range, by key.
fn rows_of(snapshot: &Snapshot, table: Synced, (first, last): (i64, i64)) -> Rows {
    let columns = match table {
        Synced::Readings => ["ts", "hour"],
        Synced::Sessions => ["start_ts", "duration_min"],
        Synced::Suppressed => ["unixepoch(date) / 86400", "minutes"],
        _ => ["id", "count"],
    };
    let last = match table {
        // No later than a date can be.
        Synced::Suppressed => last.min(60_000),
        _ => last,
    };
    let mut rows = BTreeMap::new();
    let reading = snapshot.rows(table, &columns.map(str::to_owned), (first, last), |cells| {
        if let (Cell::Integer(key), Cell::Integer(value)) = (cells.cell(0)?, cells.cell(1)?) {
            rows.insert((table, key), value);
        }
        Ok(())
    });
    reading.expect("read");
    rows
}

impl Store {
    /// Changes a row as the modules do that own its table.
    fn edit(&mut self, Edit { table, key, value }: &Edit) {
        let key = log_key(*table, *key);
        let date = crate::calendar::date_text(key);
        let done = match (table, value) {
            (Synced::Readings, value) => self.connection.execute(
                "INSERT OR REPLACE INTO readings_wide (ts, timestamp, marker, date, hour, day_of_week, is_weekend) \
                 VALUES (?, '', '', '', ?, 0, 0)",
                params![key, value],
            ),
            (Synced::Sessions, Some(value)) => self.connection.execute(
                "INSERT OR REPLACE INTO pump_sessions (id, pump, start_ts, start_time, status, duration_min) \
                 VALUES (?1, 'P1', ?2, '', 'completed', ?3)",
                params![session_id(key / 60, 0), key, value],
            ),
            (Synced::Sessions, None) => self
                .connection
                .execute("DELETE FROM pump_sessions WHERE start_ts = ?", [key]),
            (Synced::Suppressed, Some(value)) => self.connection.execute(
                "INSERT OR REPLACE INTO alerts_suppressed (date, rule, minutes) VALUES (?, 'A-04', ?)",
                params![date, value],
            ),
            (Synced::Suppressed, None) => self
                .connection
                .execute("DELETE FROM alerts_suppressed WHERE date = ?", [date]),
            (_, Some(value)) => self.connection.execute(
                "INSERT OR REPLACE INTO ingest_rejects (id, file, line, raw, reason, count) VALUES (?1, '', ?1, '', '', ?2)",
                params![key, value],
            ),
            (_, None) => self
                .connection
                .execute("DELETE FROM ingest_rejects WHERE id = ?", [key]),
        };
        done.expect("edited");
        self.changes.note(*table, key);
    }
}

proptest! {
    #![proptest_config(super::model_config())]

    #[test]
    fn the_central_office_ends_with_the_rows_of_the_tables(
        operations in prop::collection::vec(operation(), 1..80)
    ) {
        let mut model = Model::new();
        for operation in operations {
            model.run(operation);
        }
        // Nothing fails any more: it is done when nothing waits and the mark is where it was left.
        let mut rounds = 0;
        while model.send(Fate::Done, Default::default()) {
            rounds += 1;
            assert!(rounds < 2000, "it comes to an end");
        }
        assert_eq!(model.at_the_centre(), model.tables());
    }
}
