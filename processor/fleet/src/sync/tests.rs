use super::*;

const PIN: EpochMs = EpochMs(1_000);

fn id(n: u32) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

/// Shard `n` with its parents, over a share of the key space in sixteenths.
fn shard(n: u32, parents: &[u32], sixteenths: std::ops::Range<u128>, closed: bool) -> ShardInfo {
    let unit = 1_u128 << 124;
    let end = (sixteenths.end - 1) * unit + (unit - 1);
    ShardInfo {
        id: id(n),
        parents: parents.iter().map(|n| id(*n)).collect(),
        hash_range: HashRange { start: sixteenths.start * unit, end },
        closed,
    }
}

/// 0 split into 1 and 2; 1 split into 3 and 4; 4 and 2 merged into 5.
fn family() -> Vec<ShardInfo> {
    vec![
        shard(0, &[], 0..16, true),
        shard(1, &[0], 0..8, true),
        shard(2, &[0], 8..16, true),
        shard(3, &[1], 0..4, false),
        shard(4, &[1], 4..8, true),
        shard(5, &[4, 2], 4..16, false),
    ]
}

fn lease(n: u32, parents: &[u32], checkpoint: Checkpoint) -> Lease {
    let mut lease = Lease::new(id(n), checkpoint);
    lease.parents = parents.iter().map(|n| id(*n)).collect();
    lease
}

fn read_to(n: u128) -> Checkpoint {
    Checkpoint::Sequence(kinesis_model::Position { sequence: n.into(), sub: 0 })
}

/// Ids and starts of what a comparison creates.
fn created(
    shards: &[ShardInfo],
    leases: &[Lease],
    initial: InitialPosition,
) -> Vec<(u32, Checkpoint, Option<EpochMs>)> {
    let plan = plan_sync(shards, leases, initial, PIN).unwrap();
    let number = |id: &ShardId| id.as_str().rsplit('-').next().unwrap().parse().unwrap();
    plan.create.iter().map(|l| (number(&l.key), l.checkpoint, l.initial_time)).collect()
}

#[test]
fn an_empty_table_gets_the_oldest_shards_under_trim_horizon() {
    let expected = [(0, Checkpoint::TrimHorizon, None)];
    assert_eq!(created(&family(), &[], InitialPosition::TrimHorizon), expected);
    let trimmed = &family()[1..];
    let expected = [(1, Checkpoint::TrimHorizon, None), (2, Checkpoint::TrimHorizon, None)];
    assert_eq!(created(trimmed, &[], InitialPosition::TrimHorizon), expected);
}

#[test]
fn an_empty_table_gets_the_open_shards_pinned_to_now_under_latest() {
    let expected =
        [(3, Checkpoint::AtTimestamp, Some(PIN)), (5, Checkpoint::AtTimestamp, Some(PIN))];
    assert_eq!(created(&family(), &[], InitialPosition::Latest), expected);
}

#[test]
fn a_half_made_start_is_completed_with_the_first_pin() {
    let mut first = lease(3, &[1], Checkpoint::AtTimestamp);
    first.initial_time = Some(EpochMs(400));
    let expected = [(5, Checkpoint::AtTimestamp, Some(EpochMs(400)))];
    assert_eq!(created(&family(), &[first], InitialPosition::Latest), expected);
}

#[test]
fn an_empty_table_gets_the_oldest_shards_at_the_time_given() {
    let expected = [(0, Checkpoint::AtTimestamp, Some(EpochMs(7)))];
    assert_eq!(created(&family(), &[], InitialPosition::AtTimestamp(EpochMs(7))), expected);
}

#[test]
fn nothing_is_created_below_a_lease_that_is_being_worked_on() {
    let leases = [lease(0, &[], read_to(5))];
    assert_eq!(created(&family(), &leases, InitialPosition::TrimHorizon), []);
}

#[test]
fn children_that_the_finisher_did_not_create_start_at_their_beginning() {
    let leases = [lease(0, &[], Checkpoint::ShardEnd)];
    for initial in [InitialPosition::TrimHorizon, InitialPosition::Latest] {
        let expected = [(1, Checkpoint::TrimHorizon, None), (2, Checkpoint::TrimHorizon, None)];
        assert_eq!(created(&family(), &leases, initial), expected, "{initial:?}");
    }
}

#[test]
fn a_merged_shard_waits_for_both_parents() {
    let mut leases = vec![
        lease(0, &[], Checkpoint::ShardEnd),
        lease(1, &[0], Checkpoint::ShardEnd),
        lease(2, &[0], read_to(9)),
        lease(3, &[1], read_to(9)),
        lease(4, &[1], Checkpoint::ShardEnd),
    ];
    assert_eq!(created(&family(), &leases, InitialPosition::TrimHorizon), []);
    leases[2].checkpoint = Checkpoint::ShardEnd;
    let expected = [(5, Checkpoint::TrimHorizon, None)];
    assert_eq!(created(&family(), &leases, InitialPosition::TrimHorizon), expected);
}

/// 0 split into 2 and 3; 3 merged with its cousin 1 into 4.
fn cousins() -> Vec<ShardInfo> {
    vec![
        shard(0, &[], 0..8, true),
        shard(1, &[], 8..16, true),
        shard(2, &[0], 0..4, false),
        shard(3, &[0], 4..8, true),
        shard(4, &[3, 1], 4..16, false),
    ]
}

#[test]
fn a_parent_without_a_lease_is_unfinished_while_the_stream_lists_it() {
    let leases = [lease(0, &[], read_to(5)), lease(1, &[], Checkpoint::ShardEnd)];
    let done = |parents: &[u32], shards: &[ShardInfo], leases: &[Lease], initial| {
        let parents: Vec<_> = parents.iter().map(|n| id(*n)).collect();
        parents_are_done(&parents, shards, leases, initial)
    };
    for initial in [InitialPosition::TrimHorizon, InitialPosition::Latest] {
        assert!(!done(&[3, 1], &cousins(), &leases, initial), "3 comes after 0 ({initial:?})");
        assert!(done(&[1], &cousins(), &leases, initial));
        assert!(done(&[3, 1], &cousins()[..3], &leases, initial), "3 is gone from the stream");
    }
    // The application began at the tip when 0, 1 and 3 were closed.
    let begun =
        [lease(2, &[0], Checkpoint::AtTimestamp), lease(4, &[3, 1], Checkpoint::AtTimestamp)];
    assert!(done(&[3, 1], &cousins(), &begun, InitialPosition::Latest));
    assert!(!done(&[3, 1], &cousins(), &begun, InitialPosition::TrimHorizon));
}

#[test]
fn a_deleted_lease_that_a_child_waits_for_is_created_again_and_no_other() {
    let mut leases = vec![
        lease(0, &[], Checkpoint::ShardEnd),
        lease(1, &[], Checkpoint::ShardEnd),
        lease(2, &[0], read_to(3)),
        lease(4, &[3, 1], Checkpoint::TrimHorizon),
    ];
    let awaited = |leases: &[Lease]| {
        let plan = plan_sync(&cousins(), leases, InitialPosition::TrimHorizon, PIN).unwrap();
        assert_eq!(plan.create, []);
        plan.awaited.into_iter().map(|a| (a.lease.key, a.child)).collect::<Vec<_>>()
    };
    assert_eq!(awaited(&leases), [(id(3), id(4))]);
    leases[3].checkpoint = read_to(9);
    assert_eq!(awaited(&leases), [], "4 was begun, so 3 was finished");
    leases[3].checkpoint = Checkpoint::Latest;
    assert_eq!(awaited(&leases), [], "4 starts at the tip, whatever came before");
}

#[test]
fn a_lease_without_hash_keys_gets_those_of_its_shard() {
    let leases = [lease(0, &[], read_to(5)), lease(9, &[], read_to(5))];
    let plan = plan_sync(&family(), &leases, InitialPosition::TrimHorizon, PIN).unwrap();
    assert_eq!(plan.complete, [(id(0), HashRange::ALL)]);
    let mut known = leases[0].clone();
    known.hash_range = Some(HashRange::ALL);
    let plan = plan_sync(&family(), &[known], InitialPosition::TrimHorizon, PIN).unwrap();
    assert_eq!(plan.complete, []);
}

#[test]
fn a_finished_lease_stays_while_a_child_has_no_lease_or_was_not_begun() {
    let deleted = |leases: &[Lease]| {
        plan_sync(&cousins(), leases, InitialPosition::TrimHorizon, PIN).unwrap().delete
    };
    // 4 has no lease yet: without that of 1 nobody would know that 1 was read.
    let mut leases = vec![lease(0, &[], read_to(5)), lease(1, &[], Checkpoint::ShardEnd)];
    assert_eq!(deleted(&leases), []);
    leases.push(lease(4, &[3, 1], Checkpoint::TrimHorizon));
    assert_eq!(deleted(&leases), []);
    leases[2].checkpoint = read_to(7);
    assert_eq!(deleted(&leases), [id(1)]);
    // The stream lists no child, but the row names one.
    let mut alone = lease(1, &[], Checkpoint::ShardEnd);
    alone.children = vec![id(4)];
    let plan =
        plan_sync(&[shard(7, &[], 0..16, false)], &[alone], InitialPosition::TrimHorizon, PIN);
    assert_eq!(plan.unwrap().delete, []);
}

#[test]
fn a_finished_lease_goes_when_its_children_are_under_way_and_its_parents_are_gone() {
    let mut leases = vec![
        lease(0, &[], Checkpoint::ShardEnd),
        lease(1, &[0], Checkpoint::ShardEnd),
        lease(2, &[0], Checkpoint::TrimHorizon),
    ];
    let deleted = |leases: &[Lease]| {
        plan_sync(&family(), leases, InitialPosition::TrimHorizon, PIN).unwrap().delete
    };
    assert_eq!(deleted(&leases), [], "shard 2 is not under way");
    leases[2].checkpoint = read_to(3);
    assert_eq!(deleted(&leases), [id(0)], "shard 1 has a parent lease and no children yet");
}

#[test]
fn a_deleted_ancestor_is_not_created_again() {
    let leases = [lease(3, &[1], read_to(1)), lease(5, &[4, 2], read_to(1))];
    let plan = plan_sync(&family(), &leases, InitialPosition::TrimHorizon, PIN).unwrap();
    assert_eq!((plan.create, plan.awaited, plan.delete), (vec![], vec![], vec![]));
}

#[test]
fn an_unfinished_lease_of_a_shard_that_is_gone_is_reported() {
    let leases = [lease(0, &[], read_to(1))];
    let shards = &family()[1..];
    let plan = plan_sync(shards, &leases, InitialPosition::TrimHorizon, PIN).unwrap();
    assert_eq!(plan.vanished, [id(0)]);
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    let plan = |shards: &[ShardInfo]| plan_sync(shards, &[], InitialPosition::TrimHorizon, PIN);
    let mut shards = family();
    shards[1].closed = false;
    let child = Inconsistent::ChildOfOpenShard { child: id(3), parent: id(1) };
    assert_eq!(plan(&shards), Err(child));
    let hole = plan(&[shard(0, &[], 0..4, false), shard(1, &[], 8..16, false)]).unwrap_err();
    let expected = HashRange { start: 4 << 124, end: (8 << 124) - 1 };
    assert_eq!(hole, Inconsistent::Hole(expected));
}

#[test]
fn holes_are_found_under_overlaps_and_at_both_ends() {
    let range = |start, end| HashRange { start, end };
    assert_eq!(holes([HashRange::ALL]), []);
    assert_eq!(holes([]), [HashRange::ALL]);
    let found = holes([range(10, 20), range(5, 30), range(40, u128::MAX)]);
    assert_eq!(found, [range(0, 4), range(31, 39)]);
}

#[test]
fn a_child_of_a_shard_never_read_inherits_its_start() {
    let child = ChildShard { shard: id(1), parents: vec![id(0)], hash_range: HashRange::ALL };
    let mut parent = lease(0, &[], Checkpoint::AtTimestamp);
    parent.initial_time = Some(PIN);
    let unread = child_lease(&parent, &child);
    assert_eq!((unread.checkpoint, unread.initial_time), (Checkpoint::AtTimestamp, Some(PIN)));
    parent.checkpoint = read_to(8);
    let read = child_lease(&parent, &child);
    assert_eq!((read.checkpoint, read.initial_time), (Checkpoint::TrimHorizon, None));
}

#[test]
fn deep_families_of_splits_and_merges_are_compared_quickly() {
    // Sixty generations of split and merge: two paths through each, 2^60 in all.
    let mut shards = vec![shard(0, &[], 0..16, true)];
    for generation in 0..60 {
        let top = generation * 3;
        shards.push(shard(top + 1, &[top], 0..8, true));
        shards.push(shard(top + 2, &[top], 8..16, true));
        shards.push(shard(top + 3, &[top + 1, top + 2], 0..16, generation < 59));
    }
    let leases = [lease(0, &[], read_to(1))];
    for initial in [InitialPosition::TrimHorizon, InitialPosition::Latest] {
        assert_eq!(created(&shards, &leases, initial), []);
    }
}
