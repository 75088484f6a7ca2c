//! The promises E1 to E10 as far as the steps of epochs tell of them. Pure.
//!
//! A step that is stored and whose reply is lost has no line, so a line that is missing proves
//! nothing, and the judgment rests on those that are there.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kinesis_model::Position;
use serde_json::Value;

/// Clocks of machines may differ by so much.
const CLOCKS_DIFFER_MS: i64 = 1_000;

/// One step of an epoch, or of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, by the worker's wall clock, epoch milliseconds.
    pub at_ms: i64,
    /// The shard.
    pub shard: String,
    /// The lease's counter when the worker got the shard: it grows with every owner.
    pub holder: u64,
    /// The step itself.
    pub what: What,
}

/// The step itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The owner begins behind this position; `None`: at the beginning.
    Started(Option<Position>),
    /// The end of an epoch is on the lease.
    Prepared(Position),
    /// Its rows are written.
    Written(Position),
    /// Its objects are stored; what it follows on, and its end.
    Stored(Option<Position>, Position),
    /// It is told to the outside: read, accepted, duplicate, rejected.
    Emitted(Position, [u64; 4]),
    /// The checkpoint is there; gaps in front of its records.
    Committed(Position, u64),
    /// The shard is done; its children.
    Finished(Vec<String>),
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which, as `docs/semantics.md` names it.
    pub invariant: &'static str,
    /// The evidence.
    pub says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.says)
    }
}

impl Step {
    /// Reads a line of a JSON log; `None` if it is not about a step.
    #[must_use]
    pub fn of_line(line: &Value) -> Option<Self> {
        let fields = line.get("fields")?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let number = |name: &str| fields.get(name).and_then(Value::as_u64);
        let at = |name: &str| text(name)?.parse::<Position>().ok();
        let to = || at("to");
        let what = match text("message")? {
            "started" => What::Started(at("checkpoint")),
            "prepared" => What::Prepared(to()?),
            "written" => What::Written(to()?),
            "stored" => What::Stored(at("from"), to()?),
            "emitted" => {
                let counts = ["read", "accepted", "duplicate", "rejected"].map(number);
                let [Some(read), Some(accepted), Some(duplicate), Some(rejected)] = counts else {
                    return None;
                };
                What::Emitted(to()?, [read, accepted, duplicate, rejected])
            }
            "committed" => What::Committed(to()?, number("gaps")?),
            "finished" if fields.get("is_done") == Some(&Value::Bool(true)) => {
                let children = text("children")?.split_whitespace().map(ToOwned::to_owned);
                What::Finished(children.collect())
            }
            _ => return None,
        };
        let time: jiff::Timestamp = line.get("timestamp")?.as_str()?.parse().ok()?;
        let shard = text("shard")?.to_owned();
        Some(Self { at_ms: time.as_millisecond(), shard, holder: number("holder")?, what })
    }
}

fn place(at: Option<Position>) -> String {
    at.map_or_else(|| "the beginning".to_owned(), |at| at.to_string())
}

/// Judges the steps of all workers of a fleet, each worker's in their order.
#[must_use]
pub fn judge(steps: &[Step]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut holds: BTreeMap<(&str, u64), Vec<&Step>> = BTreeMap::new();
    for step in steps {
        holds.entry((&step.shard, step.holder)).or_default().push(step);
    }
    for ((shard, holder), steps) in &holds {
        let mut hold = Hold { name: format!("{shard} held by {holder}"), ..Hold::default() };
        steps.iter().for_each(|step| hold.take(&step.what, &mut findings));
    }
    same_epochs(steps, &mut findings);
    one_after_the_other(&holds, &mut findings);
    children_after_parents(steps, &mut findings);
    findings
}

/// The steps of one owner of one shard.
#[derive(Default)]
struct Hold {
    name: String,
    /// Where its next epoch has to begin, once that is known.
    stands: Option<Option<Position>>,
    prepared: Option<Position>,
    written: Option<Position>,
    stored: Option<Position>,
    follows: Option<Position>,
    emitted: BTreeSet<Position>,
}

impl Hold {
    fn take(&mut self, what: &What, findings: &mut Vec<Finding>) {
        let name = &self.name;
        let mut find = |is_right: bool, invariant, says: &dyn Fn() -> String| {
            if !is_right {
                findings.push(Finding { invariant, says: format!("{name}: {}", says()) });
            }
        };
        match what {
            What::Started(checkpoint) => self.stands = Some(*checkpoint),
            What::Prepared(to) => self.prepared = Some(*to),
            What::Written(to) => {
                find(self.prepared == Some(*to), "E2", &|| format!("{to} was written unprepared"));
                self.written = Some(*to);
            }
            What::Stored(from, to) => {
                find(self.prepared == Some(*to), "E2", &|| format!("{to} was stored unprepared"));
                (self.follows, self.stored) = (*from, Some(*to));
            }
            What::Emitted(to, [read, accepted, duplicate, rejected]) => {
                find(self.written == Some(*to), "E2", &|| {
                    format!("{to} was emitted before its rows were written")
                });
                find(*read == accepted + duplicate + rejected, "E6", &|| {
                    format!("{to}: {read} read, and {accepted} + {duplicate} + {rejected}")
                });
                // The epoch behind a gap at the end of a shard may end where the one before did.
                let is_first = self.emitted.insert(*to) || *read == 0;
                find(is_first, "E7", &|| format!("{to} was emitted twice"));
            }
            What::Committed(to, gaps) => {
                let is_whole = self.stored == Some(*to) && self.emitted.contains(to);
                find(is_whole, "E3", &|| format!("{to} was committed before its effects"));
                if let Some(stands) = self.stands.filter(|_| *gaps == 0) {
                    find(self.follows == stands, "E1", &|| {
                        let (follows, stands) = (place(self.follows), place(stands));
                        format!("{to} follows on {follows}, the checkpoint was {stands}")
                    });
                }
                self.stands = Some(Some(*to));
            }
            What::Finished(_) => {}
        }
    }
}

/// E9: an epoch that two owners made came to the same for both.
fn same_epochs(steps: &[Step], findings: &mut Vec<Finding>) {
    let mut counts: BTreeMap<(&str, Position), [u64; 4]> = BTreeMap::new();
    for step in steps {
        let What::Emitted(to, these) = step.what else { continue };
        let first = *counts.entry((&step.shard, to)).or_insert(these);
        // Of an epoch that only counts a gap the other half was told before.
        if first != these && these[0] > 0 && first[0] > 0 {
            let says = format!("{} to {to} came to {first:?} and to {these:?}", step.shard);
            findings.push(Finding { invariant: "E9", says });
        }
    }
}

/// E3 and E1: checkpoints only go forward from owner to owner, and each begins at one that was
/// reached.
fn one_after_the_other(holds: &BTreeMap<(&str, u64), Vec<&Step>>, findings: &mut Vec<Finding>) {
    let mut last: BTreeMap<&str, Position> = BTreeMap::new();
    for ((shard, holder), steps) in holds {
        for step in steps {
            let reached = last.get(shard).copied();
            match step.what {
                What::Committed(to, gaps) => {
                    if reached.is_some_and(|reached| to < reached || to == reached && gaps == 0) {
                        let says = format!("{shard} held by {holder} went back to {to}");
                        findings.push(Finding { invariant: "E3", says });
                    }
                    last.insert(shard, to);
                }
                What::Started(checkpoint) if checkpoint < reached => {
                    let (began, reached) = (place(checkpoint), place(reached));
                    let says =
                        format!("{shard} held by {holder} began at {began}, {reached} was reached");
                    findings.push(Finding { invariant: "E1", says });
                }
                _ => {}
            }
        }
    }
}

/// E5: a child begins when all parents that tell of it are finished.
fn children_after_parents(steps: &[Step], findings: &mut Vec<Finding>) {
    let mut begun: BTreeMap<&str, i64> = BTreeMap::new();
    for step in steps.iter().filter(|step| matches!(step.what, What::Started(_))) {
        let first = begun.entry(&step.shard).or_insert(step.at_ms);
        *first = step.at_ms.min(*first);
    }
    for step in steps {
        let What::Finished(children) = &step.what else { continue };
        for child in children {
            let Some(begun) = begun.get(child.as_str()) else { continue };
            if *begun < step.at_ms - CLOCKS_DIFFER_MS {
                let says = format!("{child} was begun before {} was finished", step.shard);
                findings.push(Finding { invariant: "E5", says });
            }
        }
    }
}
