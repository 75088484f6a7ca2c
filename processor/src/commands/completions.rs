//! `completions` and `man`: files that a package installs beside the program.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use super::examples;

/// `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// `man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write a page for each command into this folder, instead of the first to standard output
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Writes the script that completes lines of `command`.
///
/// # Errors
/// When standard output cannot be written to.
pub(super) fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    stdout().lock().write_all(&script).context("standard output")
}

/// Writes the manual pages of `command`.
///
/// # Errors
/// When a page cannot be written.
pub(super) fn man(args: &ManArgs, command: Command) -> anyhow::Result<()> {
    let command = examples::add_to(command);
    let Some(folder) = &args.out else {
        let page = page(command)?;
        return stdout().lock().write_all(&page).context("standard output");
    };
    let context = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(context)?;
    clap_mangen::generate_to(command, folder).with_context(context)
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::cli::Cli;

    #[test]
    fn each_command_has_a_page_with_its_example() {
        let dir = tempfile::tempdir().unwrap();
        man(&ManArgs { out: Some(dir.path().to_owned()) }, Cli::command()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(read("ivs-processor.1").contains("replay"));
        let daily = read("ivs-processor-report-daily.1");
        assert!(daily.contains("channel") && daily.contains("Examples"), "{daily}");
    }
}
