//! `validate`: which records would be rejected, which stray from their schema, which are
//! suspicious, and why.

mod check;
mod warn;

use std::io::{self, BufWriter, Stdout, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::failure::not_empty;
use super::text_table::count;
use crate::archive::find::{self, Found};
use crate::archive::object::Object;
use crate::archive::records::each_stretch;
use crate::config::Config;
use crate::printable::{self, OneLine};
use check::{Checker, Verdict};

/// `validate`. Exits with 0 if every record is sound, with 1 if not.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// Files, folders, file:// and s3:// URLs, - for standard input (plain, gzip, zstd; with or
    /// without newlines). Of rejects and archive objects the records inside are checked
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Print every finding, not the first 20 only
    #[arg(long)]
    pub all: bool,
    /// Print findings and summary as JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// Findings that are printed; the rest is only counted.
const MAX_PRINTED: u64 = 20;

/// Reads every record as the worker would, with now as arrival time, and holds what it accepts
/// against the JSON Schema of its kind.
///
/// # Errors
/// When something cannot be read, or any record would be rejected or strays from its schema; with
/// `--strict` also when any is suspicious.
pub(super) async fn run(config: &Config, args: &ValidateArgs) -> anyhow::Result<()> {
    let Found { objects, left_out } = find::find(&args.sources, &config.aws).await?;
    left_out.iter().for_each(|one| eprintln!("ivs-processor: {one}"));
    let handle = Handle::current();
    let printer = Printer::new(args);
    let checking = tokio::task::spawn_blocking(move || check_all(&objects, &handle, printer));
    let Tally { sound, warned, strayed, rejected, damaged } = checking.await??;
    anyhow::ensure!(damaged == 0, "{} could not be read to the end", count(damaged, "object"));
    not_empty(sound + strayed + rejected, &args.sources)?;
    let records = if rejected == 1 { "record" } else { "records" };
    anyhow::ensure!(rejected == 0, "{rejected} {records} would be rejected");
    anyhow::ensure!(strayed == 0, "{strayed} records are outside their schema");
    anyhow::ensure!(!args.strict || warned == 0, "{warned} records have warnings");
    Ok(())
}

/// How many of each there were.
#[derive(Default)]
struct Tally {
    /// Accepted and as their schema says, those with warnings included.
    sound: u64,
    /// Of these, with warnings.
    warned: u64,
    strayed: u64,
    rejected: u64,
    damaged: usize,
}

fn check_all(objects: &[Object], handle: &Handle, mut printer: Printer) -> anyhow::Result<Tally> {
    let (mut checker, mut tally) = (Checker::default(), Tally::default());
    for object in objects {
        let mut failed = None;
        let read = each_stretch(object, handle, &Arc::default(), |line, stretch| {
            let checked = checker.check(&object.name, stretch, |verdict| {
                match &verdict {
                    Verdict::Sound(warnings) => {
                        tally.sound += 1;
                        tally.warned += u64::from(!warnings.is_empty());
                    }
                    Verdict::Strays { .. } => tally.strayed += 1,
                    Verdict::Rejected(_) => tally.rejected += 1,
                }
                printer.verdict(&object.label, line, &verdict);
            });
            match checked {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if let Err(damage) = read {
            tally.damaged += 1;
            eprintln!("ivs-processor: {damage}");
        }
    }
    printer.summary(&tally);
    Ok(tally)
}

/// A printer of findings, as long as somebody reads them.
struct Printer {
    out: BufWriter<Stdout>,
    json: bool,
    /// Findings still to be printed.
    room: u64,
    hidden: u64,
    /// Whether the reader has gone: `validate ... | head`.
    is_closed: bool,
}

impl Printer {
    fn new(args: &ValidateArgs) -> Self {
        let room = if args.all || args.json { u64::MAX } else { MAX_PRINTED };
        let out = BufWriter::new(io::stdout());
        Self { out, json: args.json, room, hidden: 0, is_closed: false }
    }

    fn verdict(&mut self, source: &str, line: u64, verdict: &Verdict) {
        match verdict {
            Verdict::Sound(warnings) => {
                for warning in warnings {
                    let text = format!("warning: {}: {}", warning.field, warning.detail);
                    let parts = json!({ "field": warning.field, "detail": warning.detail });
                    self.finding(source, line, ("warning", &text), &parts);
                }
            }
            Verdict::Strays { schema, at, why } => {
                let text = format!("{schema}.schema.json: `{at}`: {why}");
                let parts = json!({ "schema": schema, "field": at, "detail": why });
                self.finding(source, line, ("outside_schema", &text), &parts);
            }
            Verdict::Rejected(rejection) => {
                let parts = json!({
                    "reason": rejection.reason.as_str(),
                    "field": rejection.field,
                    "detail": rejection.detail,
                });
                self.finding(source, line, ("rejected", &rejection.to_string()), &parts);
            }
        }
    }

    fn finding(&mut self, source: &str, line: u64, (what, text): (&str, &str), parts: &Value) {
        if self.room == 0 {
            self.hidden += 1;
            return;
        }
        self.room -= 1;
        if self.json {
            let mut finding = json!({ "source": source, "line": line, "finding": what });
            for (name, value) in parts.as_object().into_iter().flatten() {
                finding[name] = value.clone();
            }
            self.line(&printable::json(&finding).unwrap_or_default());
        } else {
            self.line(&format!("{}:{line}: {}", OneLine(source), OneLine(text)));
        }
    }

    fn summary(&mut self, tally: &Tally) {
        let Tally { sound, warned, strayed, rejected, damaged } = tally;
        if self.json {
            let summary = json!({
                "sound": sound, "withWarnings": warned, "outsideSchema": strayed,
                "rejected": rejected, "damagedObjects": damaged,
            });
            self.line(&json!({ "summary": summary }).to_string());
        } else {
            if self.hidden > 0 {
                self.line(&format!("{} more findings are not shown; see --all", self.hidden));
            }
            let warnings = match warned {
                0 => String::new(),
                warned => format!("; {warned} of the sound ones have warnings"),
            };
            self.line(&format!(
                "{sound} sound, {strayed} accepted but outside their schema, {rejected} rejected{warnings}"
            ));
        }
        self.is_closed |= self.out.flush().is_err();
    }

    fn line(&mut self, text: &str) {
        if !self.is_closed {
            self.is_closed = writeln!(self.out, "{text}").is_err();
        }
    }
}
