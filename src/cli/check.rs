//! `pumphouse check`: what is wrong with a config.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use serde_json::json;

use super::{ConfigFile, print_json, print_text};
use crate::{
    config::Config,
    forecast::models::{Change, Models},
    modbus::Place,
    web::look_at_files,
};

/// Check a config file: every fault at once, nothing touched
#[derive(clap::Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load();
        let path = self.config.config.display().to_string();
        let config = match loaded {
            Ok(config) => config,
            Err(faults) => {
                if self.json {
                    let list: Vec<_> = faults
                        .faults
                        .iter()
                        .map(|fault| json!({ "line": fault.line, "key": fault.place, "what": fault.what }))
                        .collect();
                    print_json(&json!({ "config": path, "faults": list }))?;
                }
                return Err(faults.into());
            }
        };
        let mut notes = look(&config)?;
        notes.extend(config.notes.iter().cloned());
        if self.json {
            return print_json(&json!({ "config": path, "faults": [], "notes": notes }));
        }
        let mut text = format!(
            "{path}: fine, site {} ({})\n",
            config.site_id, config.site_name
        );
        notes
            .iter()
            .for_each(|note| text.push_str(&format!("  note: {note}\n")));
        print_text(&text)
    }
}

/// The files that servers and hooks need, each with its section of the config.
fn files(config: &Config) -> Vec<(&'static str, &PathBuf)> {
    let broker = config.mqtt.as_ref();
    let broker = broker.map(|it| ("mqtt", &it.password_file, &it.ca_file, &it.client_auth));
    let office = config.central.as_ref();
    let office = office.map(|it| ("central", &it.password_file, &it.ca_file, &it.client_auth));
    let mut files = Vec::new();
    for (section, password, authorities, client) in broker.into_iter().chain(office) {
        let client = client
            .iter()
            .flat_map(|(certificate, key)| [certificate, key]);
        let named = password.iter().chain(authorities).chain(client);
        files.extend(named.map(|file| (section, file)));
    }
    if let Some(it) = &config.assistant {
        let named = it.key_file.iter().chain(&it.ca_file);
        files.extend(named.map(|file| ("assistant", file)));
    }
    if let Some(it) = &config.notify {
        let named = it.webhook_token_file.iter().chain(&it.webhook_ca_file);
        files.extend(named.map(|file| ("notify", file)));
    }
    files
}

/// Looks at the files, folders and models that a config names: an error for what is missing, a word for what is worth one.
pub(super) fn look(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    for place in &config.historian.watch {
        if !place.exists() {
            notes.push(format!(
                "{} does not exist yet; it is watched until it does",
                place.display()
            ));
        }
    }
    let folder = config.store.parent().filter(|folder| !folder.exists());
    ensure!(
        folder.is_none(),
        "the folder of storage.path, {}, does not exist",
        folder.unwrap_or(&config.store).display()
    );
    for (section, file) in files(config) {
        ensure!(
            file.exists(),
            "a file that [{section}] names, {}, does not exist",
            file.display()
        );
    }
    if let Some(web) = &config.web {
        look_at_files(web)?;
    }
    if let Some(notify) = &config.notify {
        notes.extend(notify.command.first().and_then(|program| note_on(program)));
    }
    if let Some(Place::Rtu { device, .. }) = config.modbus.as_ref().map(|it| &it.place)
        && !device.exists()
    {
        notes.push(format!(
            "modbus.url: {} is not there; it is tried again and again",
            device.display()
        ));
    }
    let mut models = Models::new(config.models.clone());
    for change in models.look() {
        match change {
            Change::Refused { model, reason, .. } => {
                notes.push(format!("the model {model} is refused: {reason}"));
            }
            Change::Unreadable(cause) => notes.push(cause),
            Change::Loaded { .. } => {}
        }
    }
    Ok(notes)
}

/// What stands in the way of starting a program; it may still be installed.
fn note_on(program: &str) -> Option<String> {
    let is_executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = if program.contains('/') {
        is_executable(Path::new(program))
    } else {
        std::env::split_paths(&search).any(|folder| is_executable(&folder.join(program)))
    };
    (!found).then(|| {
        format!("notify.command: {program} is not there or not executable; calls wait until it is")
    })
}
