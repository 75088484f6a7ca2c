//! An example or two for the help of every command, and what its exit codes mean.

use clap::Command;

/// Commands, with spaces between those of a command, and lines that show their use.
const EXAMPLES: &[(&str, &[&str])] = &[
    #[cfg(feature = "local")]
    ("local", &["ivs-processor local --for 5m", "ivs-processor local --input events.ndjson.gz"]),
    ("worker", &["ivs-processor worker --config production.toml"]),
    #[cfg(feature = "local")]
    ("generate", &["ivs-processor generate --for 10m --viewers 5000"]),
    (
        "rows",
        &[
            "ivs-processor rows --channel AbCdEf123456 --from 2026-03-01 --to 2026-03-02",
            "ivs-processor rows --session st-1AbCdEf --out rows.parquet",
            "ivs-processor rows --explain st-1AbCdEf --json",
        ],
    ),
    ("sessions list", &["ivs-processor sessions list --channel AbCdEf123456 --live"]),
    ("sessions show", &["ivs-processor sessions show st-1AbCdEf --json"]),
    ("channels list", &["ivs-processor channels list"]),
    (
        "replay",
        &[
            "ivs-processor replay s3://archive/ivs --rows-out rows.parquet",
            "ivs-processor replay archive/ --apply",
            "ivs-processor replay archive/ --config rules.toml --events-out events.ndjson",
        ],
    ),
    ("audit", &["ivs-processor audit s3://archive/ivs"]),
    (
        "report daily",
        &[
            "ivs-processor report daily --channel AbCdEf123456 --tz Asia/Tokyo --format html --out file:reports",
        ],
    ),
    ("report weekly", &["ivs-processor report weekly --channel AbCdEf123456 --date 2026-03-01"]),
    ("report monthly", &["ivs-processor report monthly --all-channels --out s3://reports"]),
    ("report lambda", &["ivs-processor report lambda --out s3://reports --tz Asia/Tokyo"]),
    ("record", &["ivs-processor record"]),
    ("validate", &["ivs-processor validate events.ndjson"]),
    ("status", &["ivs-processor status --json"]),
    ("leases list", &["ivs-processor leases list"]),
    ("leases seek", &["ivs-processor leases seek --all --to TRIM_HORIZON"]),
    ("leases release", &["ivs-processor leases release shardId-000000000000"]),
    ("leases finish", &["ivs-processor leases finish shardId-000000000000 --gone"]),
    ("leases verify", &["ivs-processor leases verify"]),
    ("check-trace", &["ivs-processor check-trace worker-1.log worker-2.log"]),
    ("health", &["ivs-processor health"]),
    ("config check", &["ivs-processor config check --config production.toml"]),
    ("completions", &["ivs-processor completions bash"]),
    ("man", &["ivs-processor man --out man"]),
];

/// The codes that a script may go by.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 64 wrong command line, configuration or \
                          credentials, 65 wrong or no data, 66 no input, 69 not reachable, 75 try \
                          again later.";

/// Adds examples to a command and those below it.
pub(super) fn add_to(command: Command) -> Command {
    let command = command.after_help(EXIT_CODES);
    EXAMPLES.iter().fold(command, |command, (path, lines)| {
        let path: Vec<_> = path.split(' ').collect();
        add(command, &path, &format!("Examples:\n  {}", lines.join("\n  ")))
    })
}

fn add(command: Command, path: &[&str], text: &str) -> Command {
    match path {
        [] => command.after_help(text.to_owned()),
        // A build without a feature lacks its commands.
        [name, ..] if command.find_subcommand(name).is_none() => command,
        [name, below @ ..] => command.mut_subcommand(name, |command| add(command, below, text)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::cli::Cli;
    use super::*;

    /// Collects the paths of all commands that do something.
    fn leaves(command: &Command, before: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let path = format!("{before}{}", below.get_name());
            match below.has_subcommands() {
                true => leaves(below, &format!("{path} "), found),
                false => found.push(path),
            }
        }
    }

    #[test]
    fn every_command_has_an_example_that_it_takes() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        for path in found {
            let example = EXAMPLES.iter().find(|(of, _)| *of == path);
            let (_, lines) = example.unwrap_or_else(|| panic!("`{path}` has no example"));
            for line in *lines {
                assert!(line.starts_with(&format!("ivs-processor {path}")), "{path}: {line}");
                let parsed = Cli::command().try_get_matches_from(line.split(' '));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }
}
