//! `validate`: which records would be rejected, which stray from their schema, and why.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use clap::Args;
use ivs_core::decode::{DecodeLimits, decode};
use ivs_schemas::contract::contract_of;
use jsonschema::Validator;
use tokio::runtime::Handle;

use crate::archive::find::{self, Found};
use crate::archive::object::Object;
use crate::archive::printable;
use crate::archive::records::each_record;
use crate::clock::now;
use crate::config::Config;

/// `validate`.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// Files, folders, file:// and s3:// URLs, - for standard input (plain, gzip, zstd; with or
    /// without newlines)
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
}

/// Records with a finding that are printed; the rest is only counted.
const MAX_PRINTED: u64 = 20;

/// Decodes every record as the worker would, with now as arrival time, and holds what it accepts
/// against the JSON Schema of its kind.
///
/// # Errors
/// When something cannot be read, or any record would be rejected or strays from its schema.
pub(super) async fn run(config: &Config, args: &ValidateArgs) -> anyhow::Result<()> {
    let Found { objects, left_out } = find::find(&args.sources, &config.aws).await?;
    left_out.iter().for_each(|one| eprintln!("ivs-processor: {one}"));
    let handle = Handle::current();
    let checking = tokio::task::spawn_blocking(move || check_all(&objects, &handle));
    let Tally { sound, rejected, strayed, damaged } = checking.await??;
    println!("{sound} sound, {strayed} accepted but outside their schema, {rejected} rejected");
    anyhow::ensure!(damaged == 0, "{damaged} objects could not be read to their ends");
    anyhow::ensure!(rejected == 0, "{rejected} records would be rejected");
    anyhow::ensure!(strayed == 0, "{strayed} records are outside their schema");
    Ok(())
}

/// How many of each there were.
#[derive(Default)]
struct Tally {
    sound: u64,
    rejected: u64,
    strayed: u64,
    damaged: u64,
}

fn check_all(objects: &[Object], handle: &Handle) -> anyhow::Result<Tally> {
    let (mut checker, mut tally) = (Checker::default(), Tally::default());
    for object in objects {
        let mut failed = None;
        let read = each_record(object, handle, &Arc::default(), |line, record| {
            let why = match checker.check(record) {
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
                Ok(Finding::Sound) => {
                    tally.sound += 1;
                    return ControlFlow::Continue(());
                }
                Ok(Finding::Rejected(why)) => {
                    tally.rejected += 1;
                    why
                }
                Ok(Finding::Strays(why)) => {
                    tally.strayed += 1;
                    why
                }
            };
            if tally.rejected + tally.strayed <= MAX_PRINTED {
                println!("{}:{line}: {}", printable(&object.label), printable(&why));
            }
            ControlFlow::Continue(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if let Err(damage) = read {
            tally.damaged += 1;
            eprintln!("ivs-processor: {damage}");
        }
    }
    Ok(tally)
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
        // What the worker accepts is sound where this parser gives up: numbers beyond its range, texts
        // with half of a pair of surrogates.
        let Ok(record) = serde_json::from_slice(line) else { return Ok(Finding::Sound) };
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
