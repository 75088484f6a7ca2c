//! Gaps in the stream, and bounds.

use super::*;

/// After `checkpoint`, as a worker of ours committed it.
fn resumed_after(checkpoint: Position) -> Shard {
    shard(Resume { checkpoint: Some(checkpoint), ..Resume::default() })
}

/// Closes what is open; returns the gaps and where the archive segment begins.
fn close(shard: &mut Shard, input: Input) -> Vec<(Vec<Gap>, Option<Position>)> {
    let mut waiting = step(shard, input);
    let (mut closed, mut from) = (vec![], None);
    while !waiting.is_empty() {
        let effect = waiting.remove(0);
        match &effect {
            Effect::Store(step) => from = step.objects.from,
            Effect::Commit(step) => closed.push((step.gaps.clone(), from)),
            _ => {}
        }
        let Some(done) = answer(effect).1 else { break };
        waiting.extend(step(shard, done));
    }
    closed
}

fn gap(after: u128, before: u128) -> Gap {
    Gap { after: Some(at(after)), first_seen: Some(before.into()) }
}

#[test]
fn a_reader_that_meets_the_checkpoint_has_missed_nothing() {
    let mut shard = resumed_after(at(5));
    step(&mut shard, Input::Records((4..=8).map(|i| record(i, 0, &i.to_string())).collect()));
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![], Some(at(5)))]);
}

#[test]
fn a_checkpoint_whose_record_is_gone_is_a_gap_and_a_hole_in_the_archive() {
    let mut shard = resumed_after(at(5));
    step(&mut shard, Input::Records(vec![record(8, 0, "a"), record(9, 0, "b")]));
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![gap(5, 8)], Some(at(7)))]);
    let text = gap(5, 8).to_string();
    assert_eq!(text, "after 5 up to 8");
}

/// Found by the simulator (seed 47262): a segment claimed records of an aggregate that the one before it had.
#[test]
fn behind_an_aggregate_with_the_number_before_no_segment_begins_before_the_checkpoint() {
    let inside = Position { sub: 1, ..at(7) };
    let mut shard = resumed_after(inside);
    step(&mut shard, Input::Records(vec![record(8, 0, "a")]));
    let [(gaps, from)] = &close(&mut shard, Input::HandOver)[..] else { panic!("one epoch") };
    assert_eq!((gaps.len(), *from), (1, Some(inside)));
    let resume = Resume { pending: Some(inside), checkpoint: Some(at(2)), ..Resume::default() };
    let mut shard = super::shard(resume);
    close(&mut shard, Input::Records(vec![record(8, 0, "a")]));
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![], Some(inside))]);
}

#[test]
fn a_checkpoint_known_to_be_followed_by_all_that_the_stream_holds_has_no_gap() {
    let resume = Resume { checkpoint: Some(at(5)), is_complete: true, ..Resume::default() };
    let mut shard = shard(resume);
    step(&mut shard, Input::Records(vec![record(8, 0, "a")]));
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![], Some(at(5)))]);
}

#[test]
fn a_shard_that_never_had_a_checkpoint_has_no_gap() {
    let mut shard = shard(Resume::default());
    step(&mut shard, Input::Records(vec![record(8, 0, "a")]));
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![], None)]);
}

#[test]
fn behind_a_prepared_epoch_that_is_gone_the_archive_has_a_hole_too() {
    let resume = Resume { checkpoint: Some(at(2)), pending: Some(at(3)), ..Resume::default() };
    let mut shard = shard(resume);
    let first = close(&mut shard, Input::Records(vec![record(8, 0, "a")]));
    assert_eq!(first, [(vec![gap(2, 8)], Some(at(2)))], "counted once");
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![], Some(at(7)))]);
}

#[test]
fn a_hole_while_reading_ends_the_epoch_before_it() {
    let mut shard = shard(Resume::default());
    step(&mut shard, Input::Records(vec![record(1, 0, "a")]));
    step(&mut shard, Input::Hole);
    let before = close(&mut shard, Input::Records(vec![record(9, 0, "b")]));
    assert_eq!(before, [(vec![], None)]);
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![gap(1, 9)], Some(at(8)))]);
}

#[test]
fn a_hole_waits_for_the_epoch_in_flight() {
    let mut shard = shard(Resume::default());
    step(&mut shard, Input::Records(vec![record(1, 0, "a")]));
    let flight = step(&mut shard, tick(5_000));
    step(&mut shard, Input::Records(vec![record(2, 0, "b")]));
    step(&mut shard, Input::Hole);
    assert!(step(&mut shard, Input::Records(vec![record(9, 0, "c")])).is_empty());
    assert!(!shard.has_backlog() && !shard.wants_records() && shard.waiting() == 2);
    let mut effects = flight;
    for _ in 0..5 {
        let done = answer(effects.remove(0)).1.unwrap();
        effects = step(&mut shard, done);
    }
    assert!(effects.is_empty(), "the second epoch waits for its time: {effects:?}");
    assert_eq!(run(&mut shard, Input::Turn)[0], "prepare 2");
    assert_eq!(close(&mut shard, Input::HandOver), [(vec![gap(2, 9)], Some(at(8)))]);
}

#[test]
fn a_shard_that_is_gone_ends_with_a_gap_that_is_committed_first() {
    let gone = |mut shard: Shard| run(&mut shard, Input::Gone);
    let never_read = gone(shard(Resume::default()));
    assert_eq!(never_read[4..], ["commit 0 gaps 1", "finish ShardEnd"]);
    let idle = gone(resumed_after(at(5)));
    assert_eq!(idle[4..], ["commit 5 gaps 1", "finish ShardEnd"]);
    let prepared = gone(shard(Resume { pending: Some(at(3)), ..Resume::default() }));
    assert_eq!(prepared[4..], ["commit 3 gaps 1", "finish ShardEnd"]);
    let mut reading = shard(Resume::default());
    step(&mut reading, Input::Records(vec![record(7, 0, "a")]));
    let reading = gone(reading);
    assert_eq!(reading[4..], ["commit 7 gaps 1", "finish ShardEnd"]);
    // No later segment could show the hole, so the archive is told of it.
    let stores = [&never_read, &idle, &prepared, &reading].map(|asked| asked[2].as_str());
    let lost = "store 0 and 0, the end is lost";
    assert_eq!(stores, [lost, lost, lost, "store 0 and 1, the end is lost"]);
}

#[test]
fn a_closed_shard_whose_checkpoint_is_gone_ends_with_a_gap() {
    let mut unmet = resumed_after(at(5));
    assert_eq!(run(&mut unmet, Input::ShardEnd)[4..], ["commit 5 gaps 1", "finish ShardEnd"]);
    let mut met = resumed_after(at(5));
    step(&mut met, Input::Records(vec![record(5, 0, "a")]));
    assert_eq!(run(&mut met, Input::ShardEnd), ["finish ShardEnd"]);
}

#[test]
fn a_record_inside_which_the_checkpoint_lies_is_met_and_its_rest_is_folded() {
    let parts = ["a", "b", "c"].map(|id| record(1, 0, id).data);
    let parts: Vec<(&str, Option<u128>, &[u8])> =
        parts.iter().map(|data| ("k", None, data.as_ref())).collect();
    let mut aggregate = record(1, 0, "a");
    aggregate.data = kinesis_model::kpl::aggregate(&parts).into();
    let inside = Position { sequence: 1.into(), sub: 0 };
    let mut shard = resumed_after(inside);
    step(&mut shard, Input::Records(vec![aggregate]));
    let asked = run(&mut shard, Input::HandOver);
    assert_eq!(asked[..2], ["prepare 1/2", "put 2 to 1/2"]);
    assert_eq!(asked[4], "commit 1/2 gaps 0");
}

/// `lines` objects that are none of ours, each a refusal of its own.
fn junk(sequence: u128, lines: usize) -> Record {
    let mut record = record(sequence, 0, "");
    record.data = b"{}\n".repeat(lines).into();
    record
}

#[test]
fn the_rejected_lines_of_a_record_are_kept_once_and_counted() {
    let mut shard = shard(Resume::default());
    let mut mixed = record(2, 0, "good");
    mixed.data = [&mixed.data[..], b"\n[]\n{}\n[]"].concat().into();
    step(&mut shard, Input::Records(vec![junk(1, 1_000), mixed.clone()]));
    let mut effects = step(&mut shard, Input::HandOver);
    for _ in 0..2 {
        let done = answer(effects.remove(0)).1.unwrap();
        effects = step(&mut shard, done);
    }
    let Effect::Store(store) = effects.remove(0) else { panic!("objects are stored third") };
    let [first, second] = &store.objects.rejected[..] else { panic!("one a record") };
    assert_eq!((first.lines(), first.line, first.data.len()), (1_000, 0, 3_000));
    assert_eq!((second.lines(), second.line, &second.data), (3, 1, &mixed.data));
    assert_eq!(second.refused.len(), 2, "{:?}", second.refused);
    let emit = answer(Effect::Store(store)).1.unwrap();
    let mut effects = step(&mut shard, emit);
    let Effect::Emit(emit) = effects.remove(0) else { panic!("emitted fourth") };
    let counts = &emit.emission.counts;
    assert_eq!((counts.read, counts.accepted, counts.rejected_total()), (1_004, 1, 1_003));
}

#[test]
fn a_latency_below_zero_is_left_out_and_counted() {
    let mut shard = shard(Resume::default());
    let mut ahead = record(1, 0, "a");
    let text = String::from_utf8(ahead.data.to_vec()).unwrap();
    ahead.data = text.replace('}', ",\"latencyMs\":-5}").into();
    step(&mut shard, Input::Records(vec![ahead, record(2, 0, "b")]));
    let mut effects = step(&mut shard, Input::HandOver);
    for _ in 0..3 {
        let done = answer(effects.remove(0)).1.unwrap();
        effects = step(&mut shard, done);
    }
    let Effect::Emit(emit) = effects.remove(0) else { panic!("emitted fourth") };
    let counts = &emit.emission.counts;
    assert_eq!((counts.accepted, counts.negative_latency), (2, 1));
    assert!(emit.emission.partials.metrics.iter().all(|(_, row)| row.latency.is_empty()));
}

#[test]
fn a_batch_is_folded_record_by_record_up_to_the_limits_also_beside_an_epoch_in_flight() {
    let mut shard = shard(Resume::default());
    shard.config.max_records = 1_000;
    let batch = (1..=10).map(|sequence| junk(sequence, 1_000)).collect();
    let effects = step(&mut shard, Input::Records(batch));
    assert!(matches!(&effects[..], [Effect::Prepare(step)] if step.to == at(1)), "{effects:?}");
    assert_eq!(shard.waiting(), 8, "one is in flight, one is full");
    assert!(!shard.wants_records() && !shard.has_backlog());
    let mut asked = vec![];
    for effect in effects {
        let (_, done) = answer(effect);
        asked = run(&mut shard, done.unwrap());
    }
    let commits = asked.iter().filter(|asked| asked.starts_with("commit")).count();
    assert_eq!((commits, shard.is_idle()), (10, true));
}

#[test]
fn a_large_batch_is_folded_in_slices() {
    let mut shard = shard(Resume::default());
    let batch = (1..=10).map(|sequence| junk(sequence, 50_000)).collect();
    step(&mut shard, Input::Records(batch));
    assert!(shard.has_backlog() && !shard.wants_records(), "{}", shard.waiting());
    let mut turns = 0;
    while shard.has_backlog() {
        assert!(step(&mut shard, Input::Turn).len() <= 1);
        turns += 1;
    }
    assert!(turns >= 3, "{turns}");
}

#[test]
fn a_hand_over_leaves_what_is_not_folded_to_the_next_owner() {
    let mut shard = shard(Resume::default());
    let batch = (1..=10).map(|sequence| junk(sequence, 50_000)).collect();
    step(&mut shard, Input::Records(batch));
    let asked = run(&mut shard, Input::HandOver);
    assert_eq!(asked.last().unwrap(), "finish HandOver");
    assert_ne!(asked[0], "prepare 10");
}

#[test]
fn the_end_of_a_shard_comes_after_all_that_was_given() {
    let mut shard = shard(Resume::default());
    let batch = (1..=10).map(|sequence| junk(sequence, 50_000)).collect();
    step(&mut shard, Input::Records(batch));
    let asked = run(&mut shard, Input::ShardEnd);
    assert!(asked.contains(&"prepare 10".to_owned()), "{asked:?}");
    assert_eq!(asked.last().unwrap(), "finish ShardEnd");
}
