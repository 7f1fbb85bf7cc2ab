//! The number of a session, `bdSeq`: one more with each connect, 0 after 255.
//!
//! It is kept in a small file beside the store, written before the connect, so that no session has the number of the one before
//! it, whatever happens to the daemon. Without a readable file the count begins at the clock's seconds: it then repeats
//! the last number once in 256 times.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Gives the sessions their numbers.
pub struct Births {
    path: PathBuf,
    last: u8,
    /// Whether the last number is free: no broker has heard of it.
    free: bool,
    warned: bool,
}

impl Births {
    /// Goes on where the file beside the store says; `seed` is where the count begins without one.
    pub fn beside(store: &Path, seed: i64) -> Self {
        let mut path = store.as_os_str().to_owned();
        path.push(".sparkplug");
        let path = PathBuf::from(path);
        let last = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        Self {
            path,
            last: last.unwrap_or(seed.rem_euclid(256) as u8),
            free: false,
            warned: false,
        }
    }

    /// The number of the next session.
    pub fn next(&mut self) -> u8 {
        if !std::mem::replace(&mut self.free, false) {
            self.last = self.last.wrapping_add(1);
            if let Err(error) = self.save()
                && !std::mem::replace(&mut self.warned, true)
            {
                // The state of the station matters more than the number.
                log::warn!(path = self.path.display().to_string(), cause = error.to_string(); "the number of the sparkplug session cannot be kept");
            }
        }
        self.last
    }

    /// Takes the last number back: no broker has heard of it.
    pub fn give_back(&mut self) {
        self.free = true;
    }

    fn save(&self) -> std::io::Result<()> {
        let mut new = self.path.as_os_str().to_owned();
        new.push(".new");
        let mut file = File::create(&new)?;
        writeln!(file, "{}", self.last)?;
        file.sync_all()?;
        fs::rename(new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_on_over_restarts_and_begins_again_after_255() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("out.db");
        let mut births = Births::beside(&store, 1000);
        assert_eq!(births.next(), (1000 % 256 + 1) as u8);
        births.give_back();
        assert_eq!(
            births.next(),
            (1000 % 256 + 1) as u8,
            "nobody has heard of it"
        );
        fs::write(folder.path().join("out.db.sparkplug"), "254\n").expect("written");
        let mut births = Births::beside(&store, 7);
        assert_eq!(births.next(), 255);
        // A crash.
        assert_eq!(Births::beside(&store, 7).next(), 0);
        assert_eq!(Births::beside(&store, 7).next(), 1);
        fs::write(folder.path().join("out.db.sparkplug"), "garbage").expect("written");
        assert_eq!(Births::beside(&store, 7).next(), 8);
    }
}
