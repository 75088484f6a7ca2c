//! The invariants, checked against the oracle.

use std::collections::BTreeMap;

use ivs_core::epoch::{Counts, Rejected};
use ivs_core::fixed::Fixed;
use ivs_core::session::{SessionFold, TimelineItem};
use ivs_core::window::WindowFold;
use kinesis_model::Position;

use crate::oracle::{self, Class, Key};
use crate::world::World;

/// E1: every row equals the fold of all its accepted records up to each shard's checkpoint, or up
/// to what the row says it holds of an epoch that is still being written.
pub(crate) fn every_row(world: &World) -> Result<(), String> {
    let judged: Vec<_> = world.log.iter().map(oracle::judge).collect();
    let stored: BTreeMap<Key, _> = world
        .metrics
        .iter()
        .map(|(key, row)| ((session_number(&key.session_id), key.minute.start_s()), row))
        .collect();
    let expected = oracle::rows(&judged, |key, shard| {
        let applied =
            stored.get(&key).and_then(|row| row.applied.get(&world.log[shard].id)).copied();
        applied.max(world.leases[shard].checkpoint)
    });
    for key in stored.keys() {
        if !expected.contains_key(key) {
            return Err(format!("E1: row {key:?} should not exist"));
        }
    }
    for (key, want) in &expected {
        match stored.get(key) {
            None => return Err(format!("E1: row {key:?} is missing: {want:?}")),
            Some(row) if !want.agrees(&row.agg) => {
                return Err(format!("E1: row {key:?} differs: want {want:?}, have {row:?}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn session_number(session_id: &str) -> u64 {
    session_id.trim_start_matches("st-").parse().expect("the world's own session names")
}

/// Checks what must hold once everything has been read and committed.
pub(crate) fn at_rest(world: &World) -> Result<(), String> {
    every_row(world)?;
    every_record_counted(world)?;
    same_as_one_pass(world)?;
    let twice: u32 = world.emitted.values().map(|&times| times - 1).sum();
    if twice > world.dropped_after_emit {
        return Err(format!(
            "E7: {twice} emissions were repeated, {} drops allow it",
            world.dropped_after_emit
        ));
    }
    Ok(())
}

/// E6: the committed counts add up to the log, and every rejected line is kept.
fn every_record_counted(world: &World) -> Result<(), String> {
    let mut have = Counts::default();
    world.committed.values().for_each(|counts| have.add(counts));
    let kept = world.committed.keys().flat_map(|epoch| world.rejected.get(epoch));
    let kept: u64 = kept.flatten().map(Rejected::lines).sum();
    let all = [have.read, have.accepted, have.duplicate, have.rejected_total(), have.late];
    counts_agree(world, all, kept)
}

/// E6: these counts (read, accepted, duplicate, rejected, late) are those of the log, and as many
/// rejected lines are kept.
pub(crate) fn counts_agree(world: &World, have: [u64; 5], kept: u64) -> Result<(), String> {
    let judged: Vec<_> = world.log.iter().flat_map(oracle::judge).collect();
    let count = |class| judged.iter().filter(|j| j.class == class).count() as u64;
    let late = judged.iter().filter(|j| j.late).count() as u64;
    let want = [
        judged.len() as u64,
        count(Class::Accepted),
        count(Class::Duplicate),
        count(Class::Rejected),
        late,
    ];
    if have != want || kept != want[3] {
        return Err(format!(
            "E6: read, accepted, duplicate, rejected, late: want {want:?}, have {have:?}, kept {kept}"
        ));
    }
    Ok(())
}

/// E4: folding every accepted record once, in one go, gives the same rows to the last byte.
fn same_as_one_pass(world: &World) -> Result<(), String> {
    let timeline: Vec<_> = world.timeline.values().cloned().collect();
    if same_tables(world)? != timeline {
        return Err("E4: the timeline differs from a fold in one pass".to_owned());
    }
    Ok(())
}

/// E4 for both kinds of merged rows; returns the timeline of one pass.
pub(crate) fn same_tables(world: &World) -> Result<Vec<TimelineItem>, String> {
    use ivs_core::decode::{Context, DecodeLimits, Decoder, Event};
    use kinesis_model::kpl::{Aggregate, deaggregate};

    let mut windows = WindowFold::default();
    let mut sessions = SessionFold::default();
    let mut decoder = Decoder::new(DecodeLimits::default());
    for shard in &world.log {
        let mut judged = oracle::judge(shard).into_iter();
        for record in &shard.records {
            let payloads = match deaggregate(&record.data) {
                Aggregate::Records(users) => users.into_iter().map(|u| u.data).collect(),
                _ => vec![record.data.clone()],
            };
            for (sub, payload) in (0..).zip(payloads) {
                if shard.lost.contains(&Position { sequence: record.sequence, sub }) {
                    continue;
                }
                let class = judged.next().expect("a line for every payload").class;
                if class != Class::Accepted {
                    continue;
                }
                let context = Context::from(record.arrival);
                decoder.read(&payload, &context, |_, decoded| {
                    match decoded
                        .map_err(|e| format!("E6: the oracle accepts what decode refuses: {e}"))?
                    {
                        Event::Gauge(gauge) => windows.add_gauge(gauge),
                        Event::Player(sample) => windows.add_player(sample),
                        Event::Chat(message) => windows.add_chat(message),
                        Event::Fact(fact) => sessions.add_fact(fact),
                    }
                    Ok::<(), String>(())
                })?;
            }
        }
    }
    let rows = windows.drain();
    rows.iter().for_each(|(key, agg)| sessions.absorb_window(key, agg));
    let sessions = sessions.drain();
    let one_pass: BTreeMap<_, _> = rows.into_iter().collect();
    let stored: BTreeMap<_, _> =
        world.metrics.iter().map(|(key, row)| (key.clone(), row.agg.clone())).collect();
    if one_pass != stored {
        return Err("E4: the metric rows differ from a fold in one pass".to_owned());
    }
    let summaries: BTreeMap<_, _> = sessions.summaries.into_iter().collect();
    let stored: BTreeMap<_, _> =
        world.summaries.iter().map(|(key, row)| (key.clone(), row.agg.clone())).collect();
    if summaries != stored {
        return Err(format!("E4: the summaries differ: {summaries:?}, have {stored:?}"));
    }
    same_encoders(world)?;
    Ok(sessions.timeline)
}

/// E4: the summaries say of encoders what the log said latest.
fn same_encoders(world: &World) -> Result<(), String> {
    let want = oracle::encoders(world.log.iter().flat_map(oracle::judge));
    let stored = world.summaries.iter().filter_map(|(id, row)| {
        let (time, told) = row.agg.ingest.0.as_ref()?;
        let height = told.video.height.map_or(0, Fixed::round);
        Some((session_number(id), (time.0, height)))
    });
    let have: BTreeMap<_, _> = stored.collect();
    if want != have {
        return Err(format!("E4: encoders: want {want:?}, have {have:?}"));
    }
    Ok(())
}
