//! Whether the world that the workers have left is the one that the log demands.

use std::collections::{BTreeMap, BTreeSet};

use futures::{FutureExt as _, TryStreamExt as _};
use ivs_core::session::{TimelineItem, attribute_names};
use ivs_processor::commands::check_trace::judge::judge;
use ivs_processor::items::codec::Reader;
use ivs_processor::items::json::to_json;
use ivs_processor::items::{metric, summary, timeline};
use ivs_schemas::catalogue::metrics::CURRENT_VIEWERS;
use ivs_schemas::items::sessions;
use kinesis_model::ShardId;
use object_store::memory::InMemory;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::state::Shell;
use super::trace::{Line as Told, Trace};
use super::{METRICS, SESSIONS};
use crate::check;
use crate::log::{Line, Meaning, ShardLog};
use crate::oracle::{self, Class};
use crate::world::EpochId;

/// Facts well within the two weeks that CloudWatch takes.
const TIMELY_MS: i64 = 13 * 24 * 3_600_000;

/// E1, at any moment.
pub(crate) fn rows(shell: &mut Shell) -> Result<(), String> {
    read_rows(shell)?;
    check::every_row(&shell.world)
}

/// Takes the stored items into the world of the checks.
fn read_rows(shell: &mut Shell) -> Result<(), String> {
    let wrong = |error: ivs_processor::items::codec::ItemError| format!("E1: {error}");
    shell.world.metrics.clear();
    shell.world.summaries.clear();
    for ((table, _, sort), item) in &shell.rows {
        if table == METRICS {
            let (key, row) = metric::decode(item).map_err(wrong)?;
            shell.world.metrics.insert(key, row);
        } else if sort == "0" {
            let (id, row) = summary::decode(item).map_err(wrong)?;
            shell.world.summaries.insert(id, row);
        }
    }
    Ok(())
}

/// Everything that must hold once nothing is left to be done.
pub(crate) fn at_rest(shell: &mut Shell, objects: &InMemory, trace: &Trace) -> Result<(), String> {
    rows(shell)?;
    let lines = trace.lines();
    let counts = counts(&lines)?;
    let mut have = [0; 5];
    for epoch in &shell.committed {
        let Some(counts) = counts.get(epoch) else {
            return Err(format!("E3: {epoch:?} was committed, and nobody emitted it"));
        };
        have.iter_mut().zip(counts).for_each(|(have, count)| *have += count);
    }
    check::counts_agree(&shell.world, have, kept(shell, objects)?)?;
    let expected = check::same_tables(&shell.world)?;
    same_timeline(shell, &expected)?;
    if let Some(finding) = judge(&trace.steps()).first() {
        return Err(format!("check-trace: {finding}"));
    }
    let mut started = BTreeSet::new();
    for line in lines.iter().filter(|line| line["message"] == "started") {
        if !started.insert((line["shard"].as_str(), line["holder"].as_u64())) {
            shell.world.mark("a shard was opened anew by the rules of its new owner");
        }
    }
    every_viewer_sample(shell)
}

/// Returns each epoch's counts; two runs of one must have come to the same (E9).
fn counts(lines: &[Told]) -> Result<BTreeMap<EpochId, [u64; 5]>, String> {
    let mut counts = BTreeMap::new();
    for line in lines.iter().filter(|line| line["message"] == "emitted") {
        let epoch = epoch_of(line);
        let names = ["read", "accepted", "duplicate", "rejected", "late"];
        let these = names.map(|name| line[name].as_u64().expect("a count"));
        if *counts.entry(epoch).or_insert(these) != these {
            return Err(format!("E9: two runs of {epoch:?} came to different counts"));
        }
    }
    Ok(counts)
}

fn epoch_of(line: &Told) -> EpochId {
    let text = |name: &str| line[name].as_str().expect("a text");
    let to = text("to").parse().expect("a position");
    (Shell::number(&ShardId::new(text("shard"))), to)
}

/// Returns the rejected lines that are kept of committed epochs.
fn kept(shell: &Shell, objects: &InMemory) -> Result<u64, String> {
    let all = objects.list(None).try_collect::<Vec<_>>().now_or_never();
    let mut kept = 0;
    for meta in all.expect("in memory").map_err(|error| error.to_string())? {
        let path = meta.location.to_string();
        let Some(name) = path.strip_suffix(".rejects.ndjson") else { continue };
        let mut parts = name.split('/');
        let (shard, last) = (parts.nth(1).unwrap_or_default(), parts.next_back());
        let (_, to) = last.and_then(|last| last.split_once('-')).unwrap_or_default();
        let to = to.replace('.', "/").parse().map_err(|_| format!("{path}: {to}"))?;
        if !shell.committed.contains(&(Shell::number(&ShardId::new(shard)), to)) {
            continue;
        }
        let body = async { objects.get(&meta.location).await?.bytes().await };
        let body = body.now_or_never().expect("in memory").map_err(|error| error.to_string())?;
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: serde_json::Value =
                serde_json::from_slice(line).map_err(|e| e.to_string())?;
            let refused = line["refused"].as_object().into_iter().flat_map(|all| all.values());
            kept += refused.filter_map(serde_json::Value::as_u64).sum::<u64>();
        }
    }
    Ok(kept)
}

/// Every fact of the log is stored as it would be if it were the only one to be written.
fn same_timeline(shell: &Shell, expected: &[TimelineItem]) -> Result<(), String> {
    for fact in expected {
        let want = timeline::encode(fact, "", None);
        let number = |name: &str| want[name].as_n().cloned().unwrap_or_default();
        let key = (SESSIONS.to_owned(), fact.session_id.to_string(), number(sessions::TIMESTAMP));
        let stored =
            shell.rows.get(&key).ok_or_else(|| format!("E4: the fact {key:?} is missing"))?;
        let print = Reader(stored).number::<u64>(attribute_names::FINGERPRINT);
        if print.as_ref() != Ok(&fact.fingerprint) {
            return Err(format!("E4: the fact {key:?} is another: {print:?}"));
        }
    }
    let facts = shell.rows.keys().filter(|(table, _, sort)| table == SESSIONS && sort != "0");
    if facts.count() < expected.len() {
        return Err("E4: facts are missing".to_owned());
    }
    Ok(())
}

/// E7: CloudWatch has every accepted gauge, or has it more than once.
fn every_viewer_sample(shell: &Shell) -> Result<(), String> {
    let mut expected: BTreeMap<(String, i64), f64> = BTreeMap::new();
    for judged in shell.world.log.iter().flat_map(oracle::judge) {
        let Meaning::Gauge { session, time_ms, .. } = judged.line.meaning else { continue };
        let is_timely = judged.line.arrival_ms - time_ms < TIMELY_MS;
        if judged.class == Class::Accepted && is_timely {
            let minute_ms = time_ms.div_euclid(60_000) * 60_000;
            *expected.entry((format!("c{session}"), minute_ms)).or_default() += 1.0;
        }
    }
    for ((channel, minute_ms), want) in expected {
        let key = (CURRENT_VIEWERS.name, channel, minute_ms);
        let have = shell.samples.get(&key).copied().unwrap_or_default();
        if have < want {
            return Err(format!("E7: CloudWatch has {have} of {want} samples of {key:?}"));
        }
    }
    Ok(())
}

/// Returns whether nothing is left to be done: every shard that was split or merged is finished, all
/// others are committed to their tip, every letter is sent.
pub(crate) fn is_at_rest(shell: &Shell, objects: &InMemory) -> bool {
    let world = &shell.world;
    let is_done = |(shard, log): (usize, &ShardLog)| {
        let has_children = world.log.iter().any(|other| other.parents.contains(&shard));
        let tip = log.lines.last().map(Line::position);
        let lease = &world.leases[shard];
        if has_children { lease.done } else { lease.checkpoint >= tip }
    };
    world.log.iter().enumerate().all(is_done) && letters(objects) == 0
}

fn letters(objects: &InMemory) -> usize {
    let outbox = objects.list(Some(&"outbox".into())).try_collect::<Vec<_>>().now_or_never();
    outbox.and_then(Result::ok).expect("in memory").len()
}

/// Returns what is left to be done, for the one who has to find out why.
pub(crate) fn left_over(shell: &Shell, objects: &InMemory, trace: &Trace) -> String {
    let leases: Vec<_> = shell.world.leases.iter().zip(&shell.world.log).collect();
    let leases: Vec<String> = leases
        .iter()
        .map(|(lease, log)| {
            let tip = log.lines.last().map(|line| line.position().to_string());
            format!("{} of {tip:?}: {lease:?}, parents {:?}", log.id, log.parents)
        })
        .collect();
    let rows: Vec<_> =
        shell.lease_rows.iter().map(|(key, row)| (key, row.get("leaseOwner"))).collect();
    let lines = trace.lines();
    let last: Vec<_> = lines.iter().rev().take(5).collect();
    format!("{} letters, {leases:#?}, owners {rows:?}, last {last:#?}", letters(objects))
}

/// Returns everything that a run has come to, to compare it with another.
pub(crate) fn digest(shell: &Shell, trace: &Trace) -> String {
    let rows: Vec<String> =
        shell.rows.iter().map(|(key, item)| format!("{key:?} {}", to_json(item))).collect();
    format!("{rows:?} {:?} {:?} {:?}", shell.samples, shell.events, trace.lines())
}
