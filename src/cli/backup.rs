//! `pumphouse backup` and `pumphouse restore`: a proven copy of the store, and the way back.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::json;

use super::{ConfigFile, ingest::progress_bar, print_json, print_text};
use crate::{
    clock::Clock,
    store::{
        backups::{self, Sound},
        lock::owner_name,
        replacing,
        reserve::outlook,
    },
};

/// Make a backup of the store, also while the daemon runs
///
/// The copy is one consistent state, is read as a whole before it counts, and carries the time in its name. Older ones are removed,
/// all but `storage.backups_kept`; where the disk has no room for the new one, more of them, but not the newest.
/// `pumphouse-backup.timer` does this each night.
#[derive(clap::Args)]
pub struct Backup {
    #[command(flatten)]
    config: ConfigFile,
    /// Folder for it, instead of `storage.backups`; nothing is removed there
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let folder = self.to.as_ref().unwrap_or(&config.backups.folder);
        let is_new = !config.store.try_exists().unwrap_or(true)
            && config.store.parent().is_some_and(Path::exists)
            && backups::list(&config.backups.folder).is_empty();
        if is_new {
            // As on a box that is installed and has no config of its own yet: its timer has nothing to complain of.
            if self.json {
                return print_json(&json!({ "backup": null, "removed": [] }));
            }
            return print_text(&format!(
                "there is no store {} yet, so there is nothing to keep\n",
                config.store.display()
            ));
        }
        let mut removed = match &self.to {
            Some(_) => Vec::new(),
            None => backups::make_room(&config.store, folder)?,
        };
        let part = backups::part(folder);
        let bar = progress_bar(outlook(&config.store, None).map_or(0, |it| it.store_bytes));
        let done = AtomicBool::new(false);
        let made = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // Not there yet, or not any more.
                    bar.set_position(part.metadata().map_or(0, |it| it.len()));
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            let made = backups::make(&config.store, folder, Clock::Wall.now_s());
            done.store(true, Ordering::Relaxed);
            made
        });
        bar.finish_and_clear();
        let made = made?;
        if self.to.is_none() {
            removed.extend(backups::prune(folder, config.backups.kept)?);
        }
        if self.json {
            return print_json(&json!({ "backup": made, "removed": removed }));
        }
        let mut text = format!(
            "backup   {}\n         sound: {}\n",
            made.path.display(),
            told(&made)
        );
        for path in removed {
            text += &format!("removed  {}\n", path.display());
        }
        print_text(&text)
    }
}

/// Put a backup in the store's place; the daemon must not be running
///
/// The backup is read as a whole first. The store that was there stays beside it under another name, and can be put back in the same
/// way. What the exports hold since the backup is read again by itself.
#[derive(clap::Args)]
pub struct Restore {
    #[command(flatten)]
    config: ConfigFile,
    /// The backup; the newest of `storage.backups` without it
    backup: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let folder = &config.backups.folder;
        let newest = || {
            let backups = backups::list(folder);
            backups
                .into_iter()
                .next()
                .with_context(|| format!("there is no backup in {}; name one", folder.display()))
        };
        let path = self.backup.map_or_else(newest, Ok)?;
        let is_there = path.try_exists();
        if !is_there.with_context(|| format!("cannot reach {}", path.display()))? {
            let there = backups::list(folder);
            let there = there.iter().map(|path| format!("\n  {}", path.display()));
            let there: String = there.collect();
            bail!(
                "there is no backup {}; in {} there are:{}",
                path.display(),
                folder.display(),
                if there.is_empty() { " none" } else { &there }
            );
        }
        let backup = backups::verify(&path)?;
        let aside = replacing::put_back(&config.store, &backup, Clock::Wall.now_s())?;
        if self.json {
            return print_json(&json!({ "restored": backup, "set_aside": aside }));
        }
        let mut text = format!("restored {}\n         {}\n", path.display(), told(&backup));
        if let Some(aside) = aside {
            // As this was typed.
            let sudo = match std::env::var_os("SUDO_UID") {
                Some(_) => format!("sudo -u {} ", owner_name(&config.store)),
                None => String::new(),
            };
            text += &format!(
                "aside    {}\n         {sudo}pumphouse restore --config {} {} brings it back\n",
                aside.display(),
                self.config.config.display(),
                aside.display()
            );
        }
        text += "next     start the daemon: what the exports hold since then is read again\n";
        print_text(&text)
    }
}

fn told(sound: &Sound) -> String {
    let megabytes = sound.bytes as f64 / 1e6;
    let newest = sound.newest_row.as_deref().unwrap_or("none");
    format!(
        "{} rows, the newest {newest}, {megabytes:.1} MB",
        sound.rows
    )
}
