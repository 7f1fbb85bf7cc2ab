//! A damaged store: how it is known, the backup in its place, and what was lost with it. What the backup lacks of the exports is read
//! again by itself, since positions and rows lie in the same file.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use rusqlite::{Connection, ErrorCode, ffi};
use serde::Serialize;

use super::{
    Store,
    backups::{Sound, check, list, verify},
    lock::lock,
    open_read_only,
    replacing::{DAMAGED, Room, STOP_FIRST, bring_beside, clear_left, left, replace, take_back},
};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// What is wrong with a store that could be new, and had a backup.
const GONE: &str = "it is gone";
const EMPTY: &str = "it is empty";

/// What a damaged store had beyond the backup in its place. `None`: it cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// What operators did to alarms, in order.
    pub actions: Option<Vec<Action>>,
    /// Minutes of exports, which come back as far as the exports are still there.
    pub exported: Option<Exported>,
    /// Minutes polled from the PLC.
    pub polled_rows: Option<i64>,
    /// Forecasts made.
    pub forecasts: Option<i64>,
    /// Schedules advised.
    pub plans: Option<i64>,
}

/// Minutes of exports that a store had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Behind this time, UTC seconds.
    pub after_s: i64,
    /// Up to this one.
    pub upto_s: i64,
    /// How many.
    pub rows: i64,
}

impl Exported {
    /// Those that a store has behind a time.
    fn behind(connection: &Connection, after_s: i64) -> rusqlite::Result<Self> {
        let upto_s: Option<i64> =
            connection.query_row("SELECT max(ts) FROM readings_wide", [], |row| row.get(0))?;
        let all = Self {
            after_s,
            upto_s: upto_s.unwrap_or(after_s),
            rows: 0,
        };
        Ok(Self {
            rows: all.rows_in(connection)?,
            ..all
        })
    }

    /// How many minutes of this time a store has.
    fn rows_in(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let sql =
            "SELECT count(*) FROM readings_wide WHERE ts > ? AND ts <= ? AND source = 'historian'";
        connection.query_row(sql, [self.after_s, self.upto_s], |row| row.get(0))
    }
}

impl Store {
    /// How many of these minutes are not here.
    pub fn lacks_of(&mut self, exported: &Exported) -> anyhow::Result<i64> {
        Ok(exported.rows - exported.rows_in(&self.connection)?)
    }
}

/// What an operator did to an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// The minute it is about, on the plant's wall clock.
    pub timestamp: String,
    /// Who.
    pub operator: String,
    /// What: `acknowledged`, `shelved` and so on.
    pub action: String,
    /// The occurrence.
    pub alert: String,
}

/// A store that was damaged and is usable again.
#[derive(Clone, Debug)]
pub struct Healed {
    /// What was wrong.
    pub damage: String,
    /// Where the damaged store is now; `None` where there was none.
    pub aside: Option<PathBuf>,
    /// The backup in its place; without one the store begins anew.
    pub backup: Option<Sound>,
    /// What is gone.
    pub lost: Lost,
}

/// Looks at a store as a whole before it is used; a damaged one is replaced by the newest sound backup, and so is one that is gone or
/// empty though there are backups of it. `None` when it is sound, or new.
pub fn heal(
    store: &Path,
    backups: &Path,
    room: Room,
    now_s: i64,
) -> anyhow::Result<Option<Healed>> {
    let is_there = is_there(store)?;
    if !is_there && left(store).is_none() && list(backups).is_empty() {
        return Ok(None);
    }
    let lock = lock(store, STOP_FIRST)?;
    let damage = if is_there {
        take_back(store)?;
        damage_of(store, backups)?
    } else {
        Some(GONE.into())
    };
    let Some(damage) = damage else {
        clear_left(store, backups, now_s)?;
        return Ok(None);
    };
    let left = left(store);
    let backup = list(backups).iter().find_map(|path| match verify(path) {
        Ok(sound) => Some(sound),
        Err(error) => {
            log::warn!(backup = path.display().to_string(), cause = format!("{error:#}"); "a backup cannot be used");
            None
        }
    });
    // After a power cut in the midst of this, the newest backup may lie where it was going.
    let is_left = |left: &Sound| {
        backup
            .as_ref()
            .is_none_or(|it| left.newest_row >= it.newest_row)
    };
    let left = left.filter(is_left);
    if let (false, Some(left)) = (is_there, &left) {
        // On a disk without links the power cut can come when the store has been set aside.
        fs::rename(&left.path, store)?;
        let newest = left.newest_row.clone().unwrap_or_default();
        log::warn!(newest; "the replacement of a store that was interrupted is finished");
        return Ok(None);
    }
    let backup = left.or(backup);
    let by = backup.as_ref().map(|backup| backup.path.as_path());
    // Before it is replaced, so that a power cut between that and the word of it is next to impossible.
    let lost = lost(store, by);
    let next = by.map(|by| bring_beside(store, by, room)).transpose()?;
    let aside = replace(store, next.as_deref(), DAMAGED, now_s)?;
    drop(lock);
    Ok(Some(Healed {
        damage,
        aside,
        backup,
        lost,
    }))
}

/// Refuses to begin a new store where there are backups of one: it is gone, or empty, and the daemon puts the newest in its place.
pub fn refuse_anew(store: &Path, backups: &Path) -> anyhow::Result<()> {
    let what = if !is_there(store)? {
        GONE
    } else if open_read_only(store).is_ok_and(|connection| is_empty(&connection).unwrap_or(false)) {
        EMPTY
    } else {
        return Ok(());
    };
    ensure!(
        list(backups).is_empty(),
        "there are backups of the store {} in {}, and {what}: start the daemon, which puts the newest in its place, or see \
         'pumphouse restore'; to begin anew, move them away",
        store.display(),
        backups.display()
    );
    Ok(())
}

/// Whether there is a store. A link that leads nowhere is an error: the disk that it leads to may come.
fn is_there(store: &Path) -> anyhow::Result<bool> {
    let link = match fs::symlink_metadata(store) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        link => link.with_context(|| format!("cannot look at the store {}", store.display()))?,
    };
    ensure!(
        !link.is_symlink() || store.exists(),
        "{} leads to a file that is not there: is its disk mounted?",
        store.display()
    );
    Ok(true)
}

/// What is wrong with a store's file, if anything is. Where it had a backup it cannot be new; a sound store's start does not look at
/// their disk, which may hang.
fn damage_of(store: &Path, backups: &Path) -> anyhow::Result<Option<String>> {
    // The check goes through the file in the order of its trees; read once from front to back, it is at hand.
    let mut file = std::io::BufReader::with_capacity(READ_BYTES, File::open(store)?);
    if let Err(error) = std::io::copy(&mut file, &mut std::io::sink()) {
        return Ok(Some(format!("it cannot be read: {error}")));
    }
    let looked = Connection::open(store)
        .map_err(anyhow::Error::from)
        .and_then(|connection| {
            if is_empty(&connection)? && !list(backups).is_empty() {
                return Ok(Some(EMPTY.into()));
            }
            check(&connection)
        });
    match looked {
        Err(error) if is_damage(&error) => Ok(Some(format!("{error:#}"))),
        looked => looked.with_context(|| format!("cannot check the store {}", store.display())),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) = 0 FROM sqlite_schema";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Whether an error says that the store's file is damaged, or that its disk cannot read it any more.
pub fn is_damage(error: &anyhow::Error) -> bool {
    const UNREADABLE: [i32; 3] = [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_DATA,
        ffi::SQLITE_IOERR_CORRUPTFS,
    ];
    error.chain().any(|cause| {
        let failure = cause
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error);
        failure.is_some_and(|it| {
            UNREADABLE.contains(&it.extended_code)
                || matches!(
                    it.code,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
                )
        })
    })
}

/// The same damage, to be told of a second time.
pub(crate) fn damage(error: &anyhow::Error) -> anyhow::Error {
    let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(format!("{error:#}"))).into()
}

/// What a damaged store shows beyond a backup.
fn lost(store: &Path, backup: Option<&Path>) -> Lost {
    let damaged = open_read_only(store).ok();
    // Rows are only ever added to these, in the order of time. What lies before is not looked at: the damage may be there.
    let newest = |table: &str, key: &str| -> Option<i64> {
        let Some(backup) = backup else {
            return Some(0);
        };
        let sql = format!("SELECT coalesce(max({key}), 0) FROM {table}");
        let connection = open_read_only(backup).ok()?;
        connection.query_row(&sql, [], |row| row.get(0)).ok()
    };
    let beyond = |table: &str, which: &str| -> Option<i64> {
        let sql = format!("SELECT count(*) FROM {table} WHERE ts > ? AND {which}");
        let connection = damaged.as_ref()?;
        connection
            .query_row(&sql, [newest(table, "ts")?], |row| row.get(0))
            .ok()
    };
    let actions = || -> Option<Vec<Action>> {
        let mut statement = damaged
            .as_ref()?
            .prepare(
                "SELECT timestamp, operator, action, alert FROM alert_journal \
                 WHERE id > ? AND operator IS NOT NULL ORDER BY id",
            )
            .ok()?;
        let actions = statement.query_map([newest("alert_journal", "id")?], |row| {
            Ok(Action {
                timestamp: row.get(0)?,
                operator: row.get(1)?,
                action: row.get(2)?,
                alert: row.get(3)?,
            })
        });
        actions.ok()?.collect::<rusqlite::Result<_>>().ok()
    };
    let exported = || Exported::behind(damaged.as_ref()?, newest("readings_wide", "ts")?).ok();
    Lost {
        actions: actions(),
        exported: exported(),
        polled_rows: beyond("readings_wide", "source <> 'historian'"),
        forecasts: beyond("predictions", "1"),
        plans: beyond("optimization_runs", "1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk is no damage, and neither is one that cannot be written to; what cannot be read any more is.
    #[test]
    fn what_the_disk_cannot_read_is_damage() {
        let is_damage = |code| {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            is_damage(&anyhow::Error::from(failure).context("cannot store what was read"))
        };
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_CORRUPTFS,
        ] {
            assert!(is_damage(code), "{code}");
        }
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
        ] {
            assert!(!is_damage(code), "{code}");
        }
    }
}
