//! When epochs close apart from their own limits.

use super::*;
use crate::session::SummaryAgg;
use crate::window::{WindowAgg, WindowKey};

#[test]
fn epochs_of_one_worker_are_due_together() {
    let due = |phase_ms, opened| {
        let config = ShardConfig { interval_ms: 1_000, phase_ms, ..ShardConfig::default() };
        config.due(ElapsedMs(opened)).0
    };
    for (opened, at) in [(0, 300), (299, 300), (300, 1_300), (1_299, 1_300), (5_000, 5_300)] {
        assert_eq!(due(Some(300), opened), at, "opened at {opened}");
        assert_eq!(due(Some(7_300), opened), at, "a phase is one of the interval");
    }
    assert_eq!(due(None, 250), 1_250, "by its own age");
}

#[test]
fn an_epoch_closes_when_memory_is_short_and_the_next_one_by_its_own_time() {
    let mut shard = shard(Resume::default());
    step(&mut shard, tick(1));
    assert!(run(&mut shard, Input::Records(vec![record(1, 0, "a")])).is_empty());
    let footprint = shard.footprint();
    assert!(footprint.open_bytes > 0 && footprint.flight_bytes == 0);
    assert_eq!(run(&mut shard, Input::Close).first().map(String::as_str), Some("prepare 1"));
    assert_eq!(shard.footprint().open_bytes, 0);
    assert!(run(&mut shard, Input::Records(vec![record(2, 0, "b")])).is_empty());
}

#[test]
fn the_players_of_a_row_count_in_its_memory() {
    let open_bytes = |players: u128| {
        let config = ShardConfig { interval_ms: 1_000, ..ShardConfig::default() };
        let (id, range) = (ShardId::new("shard"), HashRange::ALL);
        let mut shard = Shard::resume(id, range, Resume::default(), &config).unwrap();
        let of = |player| {
            let mut record = record(player + 1, 0, &format!("e{player}"));
            let line = String::from_utf8(record.data.to_vec()).unwrap();
            let named = line.replace(r#""playerId":"p""#, &format!(r#""playerId":"p{player}""#));
            record.data = named.into();
            record
        };
        run(&mut shard, Input::Records((0..players).map(of).collect()));
        shard.footprint().open_bytes
    };
    let (one, many) = (open_bytes(1), open_bytes(1_000));
    assert!(many >= one + 1_000 * 4, "{one} bytes with one player, {many} with a thousand");
}

#[test]
fn a_session_counts_as_its_row_and_its_summary_take_memory_while_they_are_written() {
    let config = ShardConfig { interval_ms: 1_000, ..ShardConfig::default() };
    let (id, range) = (ShardId::new("shard"), HashRange::ALL);
    let mut shard = Shard::resume(id, range, Resume::default(), &config).unwrap();
    let of = |session: u128| {
        let mut record = record(session + 1, 0, &format!("e{session}"));
        let line = String::from_utf8(record.data.to_vec()).unwrap();
        let named = line.replace(r#""sessionId":"s""#, &format!(r#""sessionId":"s{session}""#));
        assert_ne!(named, line);
        record.data = named.into();
        record
    };
    run(&mut shard, Input::Records((0..100).map(of).collect()));
    let rows = size_of::<(WindowKey, WindowAgg)>() + size_of::<SummaryAgg>();
    let open_bytes = shard.footprint().open_bytes;
    assert!(open_bytes >= 2 * 100 * rows as u64, "{open_bytes} bytes, {rows} of each session");
}

#[test]
fn an_epoch_that_has_all_it_may_hold_closes_with_that_record() {
    type Limit = fn(&mut ShardConfig, u64);
    let limits: [(&str, Limit); 2] = [
        ("rows", |config, most| config.max_rows = usize::try_from(most).unwrap()),
        ("records", |config, most| config.max_records = most),
    ];
    // Each record is of a minute, so a row, of its own.
    let minute = |n: u64| record(n.into(), i64::try_from(n).unwrap() * 60_000, &format!("e{n}"));
    for (limit, set) in limits {
        let mut shard = shard(Resume::default());
        set(&mut shard.config, 2);
        assert!(run(&mut shard, Input::Records(vec![minute(1)])).is_empty(), "{limit}");
        let asked = run(&mut shard, Input::Records(vec![minute(2)]));
        assert_eq!(asked.first().map(String::as_str), Some("prepare 2"), "{limit}");
    }
}

/// Returns a shard whose epoch is full after two records, and has company.
fn full_in_company() -> Shard {
    let mut shard = shard(Resume::default());
    shard.config.max_records = 2;
    step(&mut shard, tick(1));
    assert!(run(&mut shard, Input::Company(true)).is_empty());
    let records = [1, 2, 3].map(|n| record(n, 0, &format!("e{n}")));
    assert!(run(&mut shard, Input::Records(records.into())).is_empty(), "it waits");
    assert!(!shard.wants_records() && !shard.has_backlog(), "and folds no more meanwhile");
    shard
}

#[test]
fn a_full_epoch_waits_for_those_of_other_shards_and_not_for_long() {
    let closes = |shard: &mut Shard, input| {
        assert_eq!(run(shard, input).first().map(String::as_str), Some("prepare 2"));
    };
    closes(&mut full_in_company(), Input::Company(false));
    closes(&mut full_in_company(), Input::Close);
    closes(&mut full_in_company(), Input::HandOver);
    let mut shard = full_in_company();
    shard.config.interval_ms = 60_000;
    let company_ms = shard.config.company_ms;
    assert!(run(&mut shard, tick(company_ms)).is_empty());
    closes(&mut shard, tick(company_ms + 1));
    let mut shard = full_in_company();
    closes(&mut shard, tick(1_001));
}

#[test]
fn the_end_of_a_shard_is_not_held_up_by_company() {
    let mut shard = full_in_company();
    assert!(step(&mut shard, Input::ShardEnd).is_empty() && shard.has_backlog());
    let asked = run(&mut shard, Input::Turn);
    assert_eq!(
        (asked[0].as_str(), asked.last().unwrap().as_str()),
        ("prepare 3", "finish ShardEnd")
    );
}

#[test]
fn an_epoch_to_be_recovered_is_read_to_its_end_in_whatever_company() {
    let pending = Some(Position { sequence: 3_u128.into(), sub: 0 });
    let mut shard = shard(Resume { pending, ..Resume::default() });
    shard.config.max_records = 2;
    assert!(run(&mut shard, Input::Company(true)).is_empty());
    let records = [1, 2, 3].map(|n| record(n, 0, &format!("e{n}")));
    let asked = run(&mut shard, Input::Records(records.into()));
    assert_eq!(asked.first().map(String::as_str), Some("prepare 3"));
}

#[test]
fn an_epoch_that_has_its_part_of_the_memory_is_full() {
    let mut shard = shard(Resume::default());
    assert!(run(&mut shard, Input::Enough).is_empty(), "nothing is open");
    assert!(run(&mut shard, Input::Company(true)).is_empty());
    assert!(run(&mut shard, Input::Records(vec![record(1, 0, "a")])).is_empty());
    assert!(run(&mut shard, Input::Enough).is_empty() && shard.is_half_full());
    assert!(!shard.wants_records());
    assert_eq!(
        run(&mut shard, Input::Company(false)).first().map(String::as_str),
        Some("prepare 1")
    );
    assert!(shard.wants_records() && !shard.is_half_full());
}
