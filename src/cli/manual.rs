//! `pumphouse manual`: manual pages and the shells' completions, made of the command line itself.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell, generate_to};

use super::Arguments;

/// Write the manual pages and the shells' completions
///
/// What a package has beside the program: pumphouse(1) with a page for each verb, and completions for bash, zsh and fish.
#[derive(clap::Args)]
pub struct Manual {
    /// The folder, made when missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Manual {
    pub fn run(self) -> anyhow::Result<()> {
        let (man, shells) = (self.dir.join("man"), self.dir.join("completions"));
        for folder in [&man, &shells] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let mut command = Arguments::command();
        clap_mangen::generate_to(command.clone(), &man)
            .with_context(|| format!("cannot write into {}", man.display()))?;
        let wanted = [Shell::Bash, Shell::Zsh, Shell::Fish];
        for &shell in Shell::value_variants() {
            if wanted.contains(&shell) {
                generate_to(shell, &mut command, "pumphouse", &shells)
                    .with_context(|| format!("cannot write into {}", shells.display()))?;
            }
        }
        Ok(())
    }
}
