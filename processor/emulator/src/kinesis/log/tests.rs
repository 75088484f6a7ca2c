use std::fs;

use super::*;

const CAP: usize = 1 << 30;

fn record(counter: u64, data: &[u8]) -> Stored<'_> {
    Stored { counter, arrival_ms: 1_000 + counter, key: "k", data }
}

fn fill(log: &mut ShardLog, counters: std::ops::Range<u64>, size: usize) {
    let data = vec![b'x'; size];
    for counter in counters {
        log.stage(&record(counter, &data));
        log.commit().unwrap();
    }
}

/// Returns all counters from the cursor on, as a reader sees them.
fn read(log: &ShardLog, mut from: Cursor) -> Vec<u64> {
    let mut counters = Vec::new();
    while let Some(piece) = log.find(from) {
        let frames = piece.fetch().unwrap();
        for record in frame::records(&frames) {
            if record.counter >= from.counter && record.arrival_ms >= from.from_ms {
                counters.push(record.counter);
            }
        }
        from.counter = counters.last().unwrap() + 1;
    }
    counters
}

fn from(counter: u64) -> Cursor {
    Cursor { counter, from_ms: 0 }
}

#[test]
fn records_are_found_by_counter_and_time_in_memory_and_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), "shard");
    for files in [None, Some(files)] {
        let mut log = ShardLog::new(files, Memory::new(CAP));
        fill(&mut log, 1..1_001, 1_000);
        assert!(log.sealed.len() > 5);
        while log.spill() {}
        assert_eq!(read(&log, from(0)), (1..1_001).collect::<Vec<_>>());
        assert_eq!(read(&log, from(990)), (990..1_001).collect::<Vec<_>>());
        assert_eq!(
            read(&log, Cursor { counter: 0, from_ms: 1_995 }),
            [995, 996, 997, 998, 999, 1_000]
        );
        assert!(read(&log, from(1_001)).is_empty());
    }
}

#[test]
fn memory_is_given_back_by_spilling_and_by_dropping() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(CAP);
    let mut log = ShardLog::new(Some(Files::new(folder.path(), "shard")), Arc::clone(&memory));
    fill(&mut log, 1..1_001, 1_000);
    assert!(memory.used.load(Ordering::Relaxed) > 1_000_000);
    while log.spill() {}
    assert_eq!(memory.used.load(Ordering::Relaxed), log.committed);
    drop(log);
    assert_eq!(memory.used.load(Ordering::Relaxed), 0);
}

#[test]
fn a_reopened_log_has_every_committed_record_and_goes_on_in_a_new_segment() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), "shard");
    let mut log = ShardLog::new(Some(files.clone()), Memory::new(CAP));
    fill(&mut log, 1..400, 1_000);
    drop(log);
    let mut log = ShardLog::recover(files, Memory::new(CAP)).unwrap();
    assert_eq!(log.newest(), (399, 1_399));
    fill(&mut log, 400..410, 10);
    assert_eq!(read(&log, from(0)), (1..410).collect::<Vec<_>>());
}

#[test]
fn a_torn_tail_is_cut_at_any_byte_and_damage_before_the_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), "shard");
    let mut log = ShardLog::new(Some(files.clone()), Memory::new(CAP));
    fill(&mut log, 1..4, 20);
    drop(log);
    let path = files.path(0);
    let whole = fs::read(&path).unwrap();
    let frame_length = whole.len() / 3;
    for cut in 2 * frame_length + 1..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let log = ShardLog::recover(files.clone(), Memory::new(CAP)).unwrap();
        assert_eq!(read(&log, from(0)), [1, 2], "cut at {cut}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 2 * frame_length as u64);
    }
    fs::write(files.path(1), &whole).unwrap();
    fs::write(&path, &whole[..frame_length + 3]).unwrap();
    let error = ShardLog::recover(files, Memory::new(CAP)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn expired_chunks_go_with_their_segments_and_younger_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), "shard");
    let mut log = ShardLog::new(Some(files.clone()), Memory::new(CAP));
    let batch = 1 << 20;
    fill(&mut log, 1..41, batch);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    log.expire(1_020);
    assert_eq!(read(&log, from(0)), (20..41).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    log.expire(9_999);
    assert!(read(&log, from(0)).is_empty());
    fill(&mut log, 41..43, 10);
    assert_eq!(read(&log, from(0)), [41, 42]);
    log.expire(9_999);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fill(&mut log, 43..44, 10);
    drop(log);
    let log = ShardLog::recover(files, Memory::new(CAP)).unwrap();
    assert_eq!(read(&log, from(0)), [43]);
}
