//! A clock of the box that a test sets, by libfaketime: the daemon believes in it, timers and files go on as they are.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use pumphouse::calendar;

/// A clock. It goes on by itself from where it was set.
pub struct BoxClock {
    file: PathBuf,
    library: PathBuf,
}

impl BoxClock {
    /// A clock that starts at a minute of UTC; it keeps a file in a folder.
    pub fn new(folder: &Path, minute: i64) -> Self {
        let found = fs::read_dir("/usr/lib")
            .expect("a folder")
            .find_map(|entry| {
                let library = entry.ok()?.path().join("faketime/libfaketime.so.1");
                library.exists().then_some(library)
            });
        let clock = Self {
            file: folder.join("clock"),
            library: found.expect("libfaketime is needed: apt-get install libfaketime"),
        };
        clock.set(minute);
        clock
    }

    /// Sets it.
    pub fn set(&self, minute: i64) {
        // Renamed into place, so that nobody reads half of it.
        let hidden = self.file.with_extension("new");
        fs::write(&hidden, format!("@{}\n", calendar::text(minute))).expect("written");
        fs::rename(hidden, &self.file).expect("renamed");
    }

    /// What a process that goes by it needs.
    pub fn environment(&self) -> [(&str, &OsStr); 6] {
        [
            ("LD_PRELOAD", self.library.as_os_str()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.as_os_str()),
            ("FAKETIME_NO_CACHE", OsStr::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", OsStr::new("1")),
            ("NO_FAKE_STAT", OsStr::new("1")),
            ("TZ", OsStr::new("UTC")),
        ]
    }
}
