//! The machine alone; the simulator has the protocol.

use std::sync::Arc;

use super::*;

fn record(sequence: u128, arrival_ms: i64, id: &str) -> Record {
    let time_ms = 1_750_000_000_000 + arrival_ms;
    let line = format!(
        r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"{id}","sessionId":"s","channelId":"c","playerId":"p","timestamp":{time_ms},"state":"PLAYING"}}"#
    );
    Record {
        sequence: sequence.into(),
        partition_key: Arc::from("k"),
        arrival: EpochMs(time_ms),
        data: line.into(),
    }
}

fn at(sequence: u128) -> Position {
    Position { sequence: sequence.into(), sub: 0 }
}

fn shard(resume: Resume) -> Shard {
    let config = ShardConfig { interval_ms: 1_000, archive: true, ..ShardConfig::default() };
    Shard::resume(ShardId::new("shard"), HashRange::ALL, resume, &config).unwrap()
}

fn tick(ms: u64) -> Input {
    Input::Tick(ElapsedMs(ms))
}

fn step(shard: &mut Shard, input: Input) -> Vec<Effect> {
    let mut effects = vec![];
    shard.step(input, &mut effects);
    effects
}

/// Returns what an effect asks for, and its answer.
fn answer(effect: Effect) -> (String, Option<Input>) {
    match effect {
        Effect::Prepare(step) => (format!("prepare {}", step.to), Some(step.done())),
        Effect::PutRows(step) => {
            let records = step.rows.metrics.iter().map(|row| row.1.records).sum::<u64>();
            let asked = format!("put {records} to {}", step.to);
            (asked, Some(step.done(StoredRows::default())))
        }
        Effect::Store(step) => {
            let objects = &step.objects;
            let lost = if objects.end_is_lost { ", the end is lost" } else { "" };
            let (rejected, segment) = (objects.rejected.len(), objects.segment.len());
            let asked = format!("store {rejected} and {segment}{lost}");
            (asked, Some(step.done()))
        }
        Effect::Emit(step) => (format!("emit {}", step.emission.counts.read), Some(step.done())),
        Effect::Commit(step) => {
            let asked = format!("commit {} gaps {}", step.to, step.counts.retention_gaps);
            (asked, Some(step.done()))
        }
        Effect::Finish(ending) => (format!("finish {ending:?}"), None),
    }
}

/// Answers every effect until the machine asks for nothing more; returns what it asked for.
fn run(shard: &mut Shard, input: Input) -> Vec<String> {
    let mut waiting = step(shard, input);
    let mut asked = vec![];
    loop {
        if !waiting.is_empty() {
            let (what, answer) = answer(waiting.remove(0));
            asked.push(what);
            let Some(answer) = answer else { return asked };
            waiting.extend(step(shard, answer));
        } else if shard.has_backlog() {
            waiting.extend(step(shard, Input::Turn));
        } else {
            return asked;
        }
    }
}

#[test]
fn an_epoch_goes_through_its_steps_in_order_when_its_interval_is_over() {
    let mut shard = shard(Resume::default());
    assert!(run(&mut shard, tick(5_000)).is_empty());
    assert!(run(&mut shard, Input::Records(vec![record(1, 0, "a"), record(2, 1, "b")])).is_empty());
    assert!(run(&mut shard, tick(5_999)).is_empty());
    assert_eq!(
        run(&mut shard, tick(6_000)),
        ["prepare 2", "put 2 to 2", "store 0 and 2", "emit 2", "commit 2 gaps 0"]
    );
    assert!(shard.is_idle());
}

#[test]
fn the_next_epoch_is_read_while_one_is_in_flight_and_waits_for_its_commit() {
    let mut shard = shard(Resume::default());
    step(&mut shard, Input::Records(vec![record(1, 0, "a")]));
    let mut flight = step(&mut shard, tick(1_000));
    assert!(matches!(&flight[..], [Effect::Prepare(_)]), "{flight:?}");
    assert!(step(&mut shard, Input::Records(vec![record(2, 0, "b")])).is_empty());
    assert!(step(&mut shard, tick(9_000)).is_empty(), "its prepare waits");
    for _ in 0..5 {
        let done = answer(flight.remove(0)).1.unwrap();
        flight = step(&mut shard, done);
    }
    assert!(matches!(&flight[..], [Effect::Prepare(step)] if step.to == at(2)), "{flight:?}");
}

#[test]
fn a_prepared_epoch_is_closed_at_exactly_its_end_whatever_the_limits() {
    let resume = Resume { pending: Some(at(3)), ..Resume::default() };
    let mut shard = shard(resume);
    shard.config.max_records = 1;
    let records = (1..=4).map(|i| record(i, 0, &format!("{i}"))).collect();
    let asked = run(&mut shard, Input::Records(records));
    assert_eq!(asked[..2], ["prepare 3", "put 3 to 3"]);
    assert_eq!(asked[5..7], ["prepare 4", "put 1 to 4"]);
}

#[test]
fn a_prepared_epoch_whose_end_was_trimmed_is_closed_there_and_counted() {
    let resume = Resume { pending: Some(at(3)), ..Resume::default() };
    let mut shard = shard(resume);
    let asked = run(&mut shard, Input::Records(vec![record(7, 0, "a")]));
    assert_eq!(asked, ["prepare 3", "put 0 to 3", "store 0 and 0", "emit 0", "commit 3 gaps 1"]);
    assert_eq!(run(&mut shard, Input::ShardEnd)[0], "prepare 7");
}

#[test]
fn a_hand_over_in_the_middle_of_a_recovery_closes_nothing() {
    let resume = Resume { pending: Some(at(3)), ..Resume::default() };
    let mut shard = shard(resume);
    step(&mut shard, Input::Records(vec![record(1, 0, "a")]));
    assert_eq!(run(&mut shard, Input::HandOver), ["finish HandOver"]);
}

#[test]
fn shard_end_commits_what_is_open_and_then_finishes() {
    let mut shard = shard(Resume::default());
    step(&mut shard, Input::Records(vec![record(1, 0, "a")]));
    let asked = run(&mut shard, Input::ShardEnd);
    assert_eq!(asked[0], "prepare 1");
    assert_eq!(asked.last().unwrap(), "finish ShardEnd");
    assert!(!shard.wants_records());
}

#[test]
fn a_new_owner_warms_up_and_knows_the_duplicates_the_old_one_knew() {
    let resume = Resume {
        checkpoint: Some(at(2)),
        checkpoint_arrival: Some(EpochMs(1_750_000_000_010)),
        ..Resume::default()
    };
    let mut shard = shard(resume);
    assert_eq!(shard.read_from(), ReadFrom::Arrival(EpochMs(1_749_999_940_010)));
    let records = vec![record(1, 0, "a"), record(2, 10, "b"), record(3, 20, "a")];
    step(&mut shard, Input::Records(records));
    let asked = run(&mut shard, Input::HandOver);
    assert_eq!(asked[..4], ["prepare 3", "put 0 to 3", "store 0 and 1", "emit 1"]);
}

#[test]
fn reading_pauses_while_a_full_epoch_waits_for_the_one_in_flight() {
    let mut shard = shard(Resume::default());
    shard.config.max_records = 1;
    assert_eq!(step(&mut shard, Input::Records(vec![record(1, 0, "a")])).len(), 1);
    assert!(shard.wants_records());
    step(&mut shard, Input::Records(vec![record(2, 0, "b")]));
    assert!(!shard.wants_records());
}

#[test]
fn an_aggregate_is_one_place_with_many_records() {
    let parts = ["a", "b", "c"].map(|id| record(1, 0, id).data);
    let parts: Vec<(&str, Option<u128>, &[u8])> =
        parts.iter().map(|data| ("k", None, data.as_ref())).collect();
    let mut aggregate = record(1, 0, "a");
    aggregate.data = kinesis_model::kpl::aggregate(&parts).into();
    let mut shard = shard(Resume::default());
    step(&mut shard, Input::Records(vec![aggregate]));
    assert_eq!(
        run(&mut shard, Input::HandOver)[..3],
        ["prepare 1/2", "put 3 to 1/2", "store 0 and 1"]
    );
}

#[test]
fn an_aggregate_without_user_records_is_rejected_and_passed() {
    let mut shard = shard(Resume::default());
    let data = kinesis_model::kpl::aggregate(&[]).into();
    let empty = Record { data, ..record(7, 0, "a") };
    step(&mut shard, Input::Records(vec![empty]));
    assert_eq!(
        run(&mut shard, Input::Tick(ElapsedMs(1_000))),
        ["prepare 7", "put 0 to 7", "store 1 and 1", "emit 1", "commit 7 gaps 0"]
    );
}

#[test]
fn a_user_record_outside_the_shards_keys_is_rejected_and_kept() {
    let data = record(1, 0, "a").data;
    let mut aggregate = record(1, 0, "a");
    aggregate.data = kinesis_model::kpl::aggregate(&[("k", Some(5), &data)]).into();
    let range = HashRange { start: 6, end: u128::MAX };
    let mut shard =
        Shard::resume(ShardId::new("s"), range, Resume::default(), &ShardConfig::default())
            .unwrap();
    step(&mut shard, Input::Records(vec![aggregate]));
    assert_eq!(run(&mut shard, Input::HandOver)[2], "store 1 and 0");
}

mod closing;
mod gaps;
mod rules;
