//! `pumphouse manual`: manual pages and the shells' completions, made of the command line itself.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell, generate_to};

use super::Arguments;

/// Where a package has the guides.
const SEE_ALSO: &str =
    ".SH \"SEE ALSO\"\nINSTALL.md, OPERATOR.md and RECOVERY.md in /usr/share/doc/pumphouse/docs\n";

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
        let first = man.join("pumphouse.1");
        fs::write(&first, with_examples(&fs::read_to_string(&first)?))?;
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

/// The first steps line by line, as they are to be typed, and where there is more.
fn with_examples(page: &str) -> String {
    let (before, steps) = page.split_once(".SH EXTRA\n").unwrap_or((page, ""));
    let (steps, after) = steps.split_at(steps.find(".SH ").unwrap_or(steps.len()));
    format!("{before}.SH EXAMPLES\n.nf\n{steps}.fi\n{SEE_ALSO}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_are_lines_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_path_buf();
        Manual { dir }.run().expect("written");
        let page = fs::read_to_string(folder.path().join("man/pumphouse.1")).expect("a page");
        let steps = page.split_once(".SH EXAMPLES\n.nf\n").expect("the steps").1;
        let steps = steps.split_once(".fi\n").expect("their end").0;
        assert!(steps.lines().any(|it| it.contains("init")), "{page}");
        assert_eq!(page.matches(".SH \"SEE ALSO\"").count(), 1);
        assert!(!steps.contains(".SH"), "{page}");
    }
}
