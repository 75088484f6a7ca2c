//! Two sorted tables side by side.

use std::collections::BTreeMap;
use std::io;
use std::iter::Peekable;

use ivs_core::row::Coverage;
use ivs_core::session::attribute_names::FINGERPRINT;
use ivs_schemas::items::{metrics, sessions};
use kinesis_model::{Position, ShardId};
use serde_json::{Value, json};

use super::args::AuditArgs;
use super::stored::ItemEntry;
use crate::clock::now;
use crate::items::codec::Reader;
use crate::items::foreign;
use crate::items::json::{Difference, differences, from_json, in_this_layout};
use crate::printable::{self, OneLine};

/// Longest value that is printed, in characters: sketches are long.
const MAX_SHOWN: usize = 80;
/// The attributes in which two items may differ: how often a row was written, and who wrote a fact
/// first.
const FREE: [&str; 3] = [metrics::VERSION, metrics::EXPIRES_AT, sessions::ORIGIN];

/// The outcome of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// They say what they should.
    pub(super) right: u64,
    /// They say something else.
    pub(super) differing: u64,
    /// They are not there.
    pub(super) missing: u64,
    /// They should not be there.
    pub(super) extra: u64,
    /// They hold more than the archive.
    pub(super) ahead: u64,
    /// They have attributes that are none of ours too, which are not compared.
    pub(super) annotated: u64,
}

impl Verdict {
    /// Rows that are not as they should be.
    pub(super) fn wrong(&self) -> u64 {
        self.differing + self.missing + self.extra
    }

    /// Returns whether there is none.
    pub(super) fn is_right(&self) -> bool {
        self.wrong() == 0
    }
}

/// The judge of tables, who prints what is wrong.
pub(super) struct Judge<'a> {
    coverage: Coverage,
    args: &'a AuditArgs,
    verdict: Verdict,
    now_s: i64,
}

/// How far a stored item can be judged.
enum Reach {
    /// Everything in it is in the archive.
    Within,
    /// It holds more.
    Ahead,
    /// It is not one of our items.
    Unknown,
}

impl<'a> Judge<'a> {
    /// Returns a judge who knows what the archive covers.
    pub(super) fn new(coverage: Coverage, args: &'a AuditArgs) -> Self {
        Self { coverage, args, verdict: Verdict::default(), now_s: now().0 / 1_000 }
    }

    /// Returns what it came to.
    pub(super) fn finish(self) -> Verdict {
        self.verdict
    }

    /// Compares a table, both sides sorted by key.
    ///
    /// # Errors
    /// When a side cannot be read back.
    pub(super) fn table(
        &mut self,
        table: &str,
        expected: impl Iterator<Item = io::Result<ItemEntry>>,
        stored: impl Iterator<Item = io::Result<ItemEntry>>,
    ) -> io::Result<()> {
        let (mut expected, mut stored) = (expected.peekable(), stored.peekable());
        loop {
            let order = match (head(&mut expected)?, head(&mut stored)?) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(expected), Some(stored)) => expected.key.cmp(&stored.key),
            };
            let expected = if order.is_le() { expected.next().transpose()? } else { None };
            let stored = if order.is_ge() { stored.next().transpose()? } else { None };
            self.judge(table, expected.as_ref(), stored.as_ref())?;
        }
    }

    fn judge(
        &mut self,
        table: &str,
        expected: Option<&ItemEntry>,
        stored: Option<&ItemEntry>,
    ) -> io::Result<()> {
        let read = |entry: &ItemEntry| serde_json::from_str::<Value>(&entry.item);
        let wanted = expected.map(read).transpose()?;
        let found = stored.map(read).transpose()?.map(in_this_layout);
        match (expected, wanted, stored, found) {
            (Some(entry), Some(wanted), None, _)
                if entry.is_required && !self.has_expired(&wanted) =>
            {
                self.verdict.missing += 1;
                self.print(table, entry, "missing", &[]);
            }
            (None, _, Some(entry), Some(found)) => match self.reach(&found) {
                Reach::Ahead => self.verdict.ahead += 1,
                Reach::Within | Reach::Unknown => {
                    self.verdict.extra += 1;
                    self.print(table, entry, "extra", &[]);
                }
            },
            (Some(_), Some(wanted), Some(entry), Some(found)) => {
                self.compare(table, entry, &wanted, &found);
            }
            _ => {}
        }
        Ok(())
    }

    fn compare(&mut self, table: &str, entry: &ItemEntry, wanted: &Value, found: &Value) {
        let mut differing = differences(wanted, found, &FREE);
        self.leave_out_foreign(&mut differing, found);
        if differing.is_empty() {
            self.verdict.right += 1;
            return;
        }
        let gave_way = print(found) < print(wanted);
        match self.reach(found) {
            Reach::Ahead if wanted.get(metrics::APPLIED).is_some() || gave_way => {
                self.verdict.ahead += 1;
            }
            _ => {
                self.verdict.differing += 1;
                self.print(table, entry, "differs", &differing);
            }
        }
    }

    /// Takes out attributes that are none of ours: no repair would take them off the row.
    fn leave_out_foreign(&mut self, differing: &mut Vec<Difference>, found: &Value) {
        if differing.iter().all(|one| one.expected.is_some()) {
            return;
        }
        let foreign = from_json(found).map(|item| foreign::names(&item)).unwrap_or_default();
        let all = differing.len();
        differing.retain(|one| one.expected.is_some() || !foreign.contains(&one.attribute));
        self.verdict.annotated += u64::from(differing.len() < all);
    }

    /// Returns whether a row's time to live is over: DynamoDB removes it within days.
    fn has_expired(&self, wanted: &Value) -> bool {
        let expires_s = wanted[metrics::EXPIRES_AT]["N"].as_str();
        expires_s.and_then(|text| text.parse::<i64>().ok()).is_some_and(|at| at < self.now_s)
    }

    /// By `applied` for a row that is merged, by `origin` for a fact.
    fn reach(&self, found: &Value) -> Reach {
        let held = match found.get(metrics::APPLIED) {
            Some(applied) => held(applied),
            None => found[sessions::ORIGIN]["S"].as_str().and_then(|origin| {
                let (shard, to) = origin.rsplit_once(':')?;
                Some(BTreeMap::from([(ShardId::new(shard), to.parse().ok()?)]))
            }),
        };
        match held {
            None => Reach::Unknown,
            Some(held) if self.coverage.contains(&held) => Reach::Within,
            Some(_) => Reach::Ahead,
        }
    }

    fn print(&self, table: &str, entry: &ItemEntry, problem: &str, differing: &[Difference]) {
        // The row in question is counted already.
        if self.verdict.wrong() > self.args.limit {
            return;
        }
        let (session_id, at_ms) = (&entry.key.0, entry.key.1);
        if self.args.how.json {
            let attributes: Vec<Value> = differing
                .iter()
                .map(|one| {
                    json!({
                        "attribute": one.attribute,
                        "expected": one.expected,
                        "found": one.found,
                    })
                })
                .collect();
            let line = json!({
                "table": table,
                "sessionId": &**session_id,
                "sortKeyMs": at_ms,
                "problem": problem,
                "attributes": attributes,
            });
            println!("{}", printable::json(&line).unwrap_or_default());
            return;
        }
        println!("{table} {} {} {problem}", OneLine(session_id), at(at_ms));
        for one in differing {
            println!(
                "  {}: {}, expected {}",
                one.attribute,
                OneLine(shown(one.found.as_ref())),
                OneLine(shown(one.expected.as_ref()))
            );
        }
    }
}

fn head<I: Iterator<Item = io::Result<ItemEntry>>>(
    entries: &mut Peekable<I>,
) -> io::Result<Option<&ItemEntry>> {
    match entries.next_if(Result::is_err) {
        Some(error) => error.map(|_| None),
        None => Ok(entries.peek().and_then(|entry| entry.as_ref().ok())),
    }
}

fn held(applied: &Value) -> Option<BTreeMap<ShardId, Position>> {
    let item = from_json(&json!({ metrics::APPLIED: applied }))?;
    Reader(&item).applied().ok()
}

fn print(item: &Value) -> Option<u64> {
    item[FINGERPRINT]["N"].as_str()?.parse().ok()
}

/// Returns the time of a sort key; small ones are the summary and the milestones.
fn at(sort_key_ms: i64) -> String {
    match sort_key_ms {
        0 => "summary".to_owned(),
        1..1_000 => format!("milestone {sort_key_ms}"),
        _ => jiff::Timestamp::from_millisecond(sort_key_ms)
            .map_or_else(|_| sort_key_ms.to_string(), |at| at.to_string()),
    }
}

/// Returns a value without DynamoDB's notation where it is a plain one, cut if it is long.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let plain = value.as_object().and_then(|kinds| kinds.values().next()?.as_str());
    let text = plain.map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN - 1).chain(['…']).collect()
}
