//! `pumphouse central init`: sets up the central office's database.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Subcommand;
use serde_json::json;

use super::{block_on, print_json, print_text};
use crate::{
    config::{Central, SITE_ID, is_site_id, read_secret},
    sync::{connect, setup},
};

/// Set up the central office's PostgreSQL
#[derive(clap::Args)]
pub struct CentralOffice {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(Init),
}

/// Create or update schema, roles and views
///
/// Needs a role that may create schemas and roles. It can be run again: only what is missing is done. A site's writer is a login
/// with the site's id as its name; row-level security lets it see and write its own site only. Readers see all sites and write
/// nothing. Scripts for TimescaleDB and Citus are in migrations/postgres/optional.
#[derive(clap::Args)]
struct Init {
    /// The database, as a role that owns it: postgres://postgres@central.example:5432/pumphouse
    #[arg(long, value_name = "URL")]
    url: String,
    /// File with that role's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Make the writer of this site, or give it a new password
    #[arg(long, value_name = "SITE", requires = "site_password_file")]
    site: Option<String>,
    /// File with the writer's password
    #[arg(long, value_name = "FILE")]
    site_password_file: Option<PathBuf>,
    /// Make a login that reads all sites, or give it a new password
    #[arg(long, value_name = "NAME", requires = "reader_password_file")]
    reader: Option<String>,
    /// File with the reader's password
    #[arg(long, value_name = "FILE")]
    reader_password_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl CentralOffice {
    pub fn run(self) -> anyhow::Result<()> {
        let Verb::Init(init) = self.verb;
        block_on(init.run())
    }
}

impl Init {
    async fn run(self) -> anyhow::Result<()> {
        if let Some(site) = &self.site {
            ensure!(
                is_site_id(site),
                "a site's id {SITE_ID}, and {site:?} is not"
            );
        }
        let central = Central::at(self.url, self.password_file, self.ca_file);
        let mut connection = connect(&central).await?;
        let done = setup::init(&mut connection).await?;
        let mut logins = Vec::new();
        if let (Some(site), Some(file)) = (&self.site, &self.site_password_file) {
            setup::add_writer(&mut connection, site, &read_secret(file)?).await?;
            logins.push(format!("writer {site}"));
        }
        if let (Some(name), Some(file)) = (&self.reader, &self.reader_password_file) {
            setup::add_reader(&mut connection, name, &read_secret(file)?).await?;
            logins.push(format!("reader {name}"));
        }
        if self.json {
            return print_json(
                &json!({ "applied": done.applied, "migrations": done.all, "logins": logins }),
            );
        }
        let mut text = match done.applied {
            0 => format!("the schema is up to date ({} migrations)\n", done.all),
            applied => format!("{applied} migrations applied, {} in all\n", done.all),
        };
        for login in logins {
            text.push_str(&format!("{login} is set up\n"));
        }
        print_text(&text)
    }
}
