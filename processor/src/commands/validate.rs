//! `validate`: which lines of a file would be rejected, which stray from their schema, and why.

use std::collections::HashMap;

use anyhow::Context as _;
use ivs_core::decode::{DecodeLimits, decode};
use ivs_schemas::contract::contract_of;
use jsonschema::Validator;

use crate::archive::lines;
use crate::clock::now;
use clap::Args;
use std::path::PathBuf;

/// `validate`.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// NDJSON files (plain, .gz, .zst)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Lines with a finding that are printed; the rest is only counted.
const MAX_PRINTED: u64 = 20;

/// Decodes every line as the worker would, with now as arrival time, and holds what it accepts
/// against the JSON Schema of its kind.
///
/// # Errors
/// When a file cannot be read, or any line would be rejected or strays from its schema.
pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let (mut sound, mut rejected, mut strayed) = (0u64, 0u64, 0u64);
    for path in &args.files {
        let context = || format!("cannot read {}", path.display());
        let mut reader = lines::open(path).with_context(context)?;
        let mut line = Vec::new();
        let mut number = 0u64;
        while lines::next_line(&mut *reader, &mut line).with_context(context)?.is_some() {
            number += 1;
            let finding = match checker.check(&line)? {
                Finding::Sound => {
                    sound += 1;
                    continue;
                }
                Finding::Rejected(why) => {
                    rejected += 1;
                    why
                }
                Finding::Strays(why) => {
                    strayed += 1;
                    why
                }
            };
            if rejected + strayed <= MAX_PRINTED {
                println!("{}:{number}: {finding}", path.display());
            }
        }
    }
    println!("{sound} sound, {strayed} accepted but outside their schema, {rejected} rejected");
    anyhow::ensure!(rejected == 0, "{rejected} lines would be rejected");
    anyhow::ensure!(strayed == 0, "{strayed} lines are outside their schema");
    Ok(())
}

/// What a line is found to be.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// Accepted, and as its schema says.
    Sound,
    /// The worker would keep it as a reject.
    Rejected(String),
    /// The worker accepts it, since it reads only what it needs; its schema does not.
    Strays(String),
}

/// The decoder, and the schemas met so far, compiled.
#[derive(Default)]
struct Checker {
    limits: DecodeLimits,
    validators: HashMap<&'static str, Validator>,
}

impl Checker {
    /// Fails only where a schema of ours is no JSON Schema.
    fn check(&mut self, line: &[u8]) -> anyhow::Result<Finding> {
        if let Err(rejection) = decode(line, now(), &self.limits) {
            return Ok(Finding::Rejected(rejection.to_string()));
        }
        let record = serde_json::from_slice(line)?;
        let Some(contract) = contract_of(&record) else { return Ok(Finding::Sound) };
        let validator = match self.validators.entry(contract.name) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(jsonschema::validator_for(&contract.schema())?)
            }
        };
        Ok(match validator.validate(&record) {
            Ok(()) => Finding::Sound,
            Err(error) => {
                let (name, place) = (contract.name, error.instance_path());
                Finding::Strays(format!("{name}.schema.json: `{place}`: {error}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Finding {
        Checker::default().check(line.as_bytes()).unwrap()
    }

    #[test]
    fn the_decoder_rejects_and_the_schema_is_stricter() {
        let with = |fields: &str| {
            check(&format!(
                r#"{{"eventType":"metrics_update","sessionId":"s","channelId":"c",{fields}}}"#
            ))
        };
        assert_eq!(with(r#""timestamp":"2026-03-01T12:00:00Z","bitrate":5"#), Finding::Sound);
        let Finding::Rejected(why) = with(r#""timestamp":"2026-03-01T12:00:00Z","bitrate":"x""#)
        else {
            panic!("not rejected")
        };
        assert!(why.contains("bitrate") && why.contains("ill_typed"), "{why}");
    }

    #[test]
    fn an_accepted_line_may_stray_from_its_schema() {
        let line = r#"{"type":"player_telemetry","schemaVersion":"one","eventId":"e",
            "sessionId":"s","channelId":"c","playerId":"p","timestamp":1772366407089,
            "state":"PLAYING"}"#;
        let Finding::Strays(why) = check(&line.replace('\n', "")) else { panic!("not found") };
        assert!(why.contains("player-telemetry.schema.json: `/schemaVersion`"), "{why}");
    }
}
