//! `pumphouse check`: what is wrong with a config.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;

use super::{ConfigFile, print_json, print_text};
use crate::{
    config::Config,
    forecast::models::{Change, Models},
    logging::causes,
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
        let notes = look(&self.config.config, &config)?;
        let mut notes: Vec<String> = notes.into_iter().map(|note| note.what).collect();
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

/// A file that a section of the config names.
struct Named<'a> {
    section: &'static str,
    path: &'a PathBuf,
    /// Whether it is to hold certificates of authorities.
    of_authorities: bool,
}

impl Named<'_> {
    fn fault(&self) -> Option<String> {
        let (section, path) = (self.section, self.path.display());
        if !self.path.exists() {
            return Some(format!(
                "a file that [{section}] names, {path}, does not exist"
            ));
        }
        let read = self.of_authorities.then(|| {
            CertificateDer::pem_file_iter(self.path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        });
        match read? {
            Err(error) => Some(format!("the authorities of [{section}], {path}: {error}")),
            Ok(all) if all.is_empty() => Some(format!(
                "the authorities of [{section}], {path}: it holds no certificate"
            )),
            Ok(_) => None,
        }
    }
}

/// The files that servers and hooks need.
fn files(config: &Config) -> Vec<Named<'_>> {
    let broker = config.mqtt.as_ref();
    let broker = broker.map(|it| ("mqtt", &it.password_file, &it.ca_file, &it.client_auth));
    let office = config.central.as_ref();
    let office = office.map(|it| ("central", &it.password_file, &it.ca_file, &it.client_auth));
    let hook = config.notify.as_ref();
    let hook = hook.map(|it| ("notify", &it.webhook_token_file, &it.webhook_ca_file, &None));
    let model = config.assistant.as_ref();
    let model = model.map(|it| ("assistant", &it.key_file, &it.ca_file, &None));
    let mut files = Vec::new();
    for (section, secret, authorities, client) in
        [broker, office, hook, model].into_iter().flatten()
    {
        let client = client
            .iter()
            .flat_map(|(certificate, key)| [certificate, key]);
        let of = |path, of_authorities| Named {
            section,
            path,
            of_authorities,
        };
        files.extend(secret.iter().chain(client).map(|path| of(path, false)));
        files.extend(authorities.iter().map(|path| of(path, true)));
    }
    files
}

/// What a config may be used with, and somebody should see to.
pub(super) struct Note {
    pub what: String,
    /// What to do; `None` for what `doctor` looks at by itself.
    pub remedy: Option<&'static str>,
}

/// Looks at the files, folders and models that a config names: an error for what is missing, a word for what is worth one.
pub(super) fn look(path: &Path, config: &Config) -> anyhow::Result<Vec<Note>> {
    let mut notes = Vec::new();
    let mut note = |what: String, remedy| notes.push(Note { what, remedy });
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let guesses = text.lines().filter(|line| line.contains("GUESS")).count();
    if guesses > 0 {
        note(
            format!(
                "{guesses} lines still say GUESS: put them right from the plant's papers, and take the word out"
            ),
            Some("edit the config, and reload (systemctl reload pumphouse)"),
        );
    }
    for place in &config.historian.watch {
        if !place.exists() {
            let place = place.display();
            note(
                format!("{place} does not exist yet; it is watched until it does"),
                None,
            );
        }
    }
    let folder = config.store.parent().filter(|folder| !folder.exists());
    ensure!(
        folder.is_none(),
        "the folder of storage.path, {}, does not exist",
        folder.unwrap_or(&config.store).display()
    );
    let mut faults: Vec<String> = files(config)
        .into_iter()
        .filter_map(|file| file.fault())
        .collect();
    let of_web = config.web.as_ref().map_or(Ok(()), look_at_files);
    faults.extend(of_web.err().map(|error| causes(&error)));
    ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    if let Some(office) = &config.central
        && !office.url.contains(&format!("//{}@", config.site_id))
    {
        note(
            format!(
                "central.url does not name the site's writer, {:?}: whoever it names may see and change more than this site's rows",
                config.site_id
            ),
            Some("name the user that pumphouse central init made for the site, with its password"),
        );
    }
    let hook = config.notify.as_ref().and_then(|it| it.command.first());
    if let Some(what) = hook.and_then(|program| note_on(program)) {
        note(
            what,
            Some("install it, or put notify.command right; pumphouse notify test calls it"),
        );
    }
    if let Some(Place::Rtu { device, .. }) = config.modbus.as_ref().map(|it| &it.place)
        && !device.exists()
    {
        let device = device.display();
        note(
            format!("modbus.url: {device} is not there; it is tried again and again"),
            None,
        );
    }
    let mut models = Models::new(config.models.clone());
    for change in models.look() {
        let what = match change {
            Change::Refused { model, reason, .. } => {
                format!("the model {model} is refused: {reason}")
            }
            Change::Unreadable(cause) => cause,
            Change::Loaded { .. } => continue,
        };
        note(
            what,
            Some(
                "pumphouse models list shows what there is; models rollback goes back to the one before",
            ),
        );
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
