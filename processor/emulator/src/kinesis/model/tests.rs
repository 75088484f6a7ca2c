use super::*;

/// Returns whether the open shards cover every hash key exactly once.
fn covers(meta: &Meta) -> bool {
    let mut next = Some(0);
    for index in meta.open_shards() {
        let shard = &meta.shards[&index];
        if next != Some(shard.start) || shard.end < shard.start {
            return false;
        }
        next = shard.end.checked_add(1);
    }
    next.is_none()
}

#[test]
fn new_streams_cover_the_key_space_whatever_the_count() {
    for count in [1, 2, 3, 4, 5, 7, 64, 500] {
        let meta = Meta::new("s", 1, 0, count, false);
        assert!(covers(&meta), "{count}");
        assert_eq!(meta.open_shards().len(), usize::try_from(count).unwrap());
    }
    // The halves of AWS's documentation.
    let halves = Meta::new("s", 1, 0, 2, false);
    assert_eq!(halves.shards[&0].end, u128::MAX / 2);
}

#[test]
fn scaling_up_and_down_keeps_the_cover_and_the_lineage() {
    let mut meta = Meta::new("s", 1, 0, 3, false);
    for target in [6, 5, 3, 2, 1, 2, 4] {
        meta.scale(target, 10).unwrap();
        assert!(covers(&meta), "{target}");
        assert_eq!(meta.open_shards().len(), target);
    }
    for shard in meta.shards.values() {
        for parent in &shard.parents {
            let closed = meta.shards[parent].closed.expect("a parent is closed");
            assert!(closed.last < shard.first);
        }
    }
}

#[test]
fn closed_and_distant_shards_cannot_be_changed() {
    let mut meta = Meta::new("s", 1, 0, 3, false);
    assert_eq!(meta.merge(0, 2, 1), Err(Refusal::NotAdjacent));
    assert_eq!(meta.merge(0, 0, 1), Err(Refusal::NotAdjacent));
    assert_eq!(meta.split(0, 0, 1), Err(Refusal::HashKey));
    meta.split(0, 1_000, 1).unwrap();
    assert_eq!(meta.split(0, 500, 1), Err(Refusal::HashKey));
    assert_eq!(meta.merge(0, 1, 1), Err(Refusal::NotAdjacent));
    assert!(covers(&meta));
}

#[test]
fn the_description_survives_its_file_form() {
    let mut meta = Meta::new("s", 1, 1_700_000_000_000, 2, true);
    meta.split(1, u128::MAX - 9, 1_700_000_000_001).unwrap();
    let text = serde_json::to_string(&meta).unwrap();
    let back: Meta = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    assert!(covers(&back));
}

#[test]
fn a_stream_is_creating_then_active_then_updating() {
    let mut meta = Meta::new("s", 1, 100, 1, false);
    assert_eq!(meta.status(100), Status::Creating);
    assert_eq!(meta.status(100 + SETTLE_MS), Status::Active);
    meta.touch(500);
    assert_eq!(meta.status(501), Status::Updating);
}

#[test]
fn closed_shards_are_listed_until_their_records_have_expired() {
    let mut meta = Meta::new("s", 1, 0, 1, false);
    meta.split(0, 7, 1_000).unwrap();
    let day_ms = 24 * 3_600_000;
    assert!(meta.listed(&meta.shards[&0], 1_000 + day_ms));
    assert!(!meta.listed(&meta.shards[&0], 1_001 + day_ms));
    assert!(meta.listed(&meta.shards[&1], 9 * day_ms));
}
