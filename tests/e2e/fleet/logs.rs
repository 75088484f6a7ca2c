//! What the workers' logs say happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One line of one worker's log.
#[derive(Debug)]
pub(crate) struct Line {
    /// Epoch milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) message: String,
    pub(crate) fields: Value,
}

impl Line {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    fn number(&self, field: &str) -> u64 {
        self.fields[field].as_u64().unwrap_or_default()
    }
}

/// Reads a log; a worker that was killed may have left its last line half.
pub(crate) fn read(path: &Path) -> Vec<Line> {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let mut lines = vec![];
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let at: jiff::Timestamp = value["timestamp"].as_str().unwrap().parse().unwrap();
        lines.push(Line {
            at_ms: at.as_millisecond(),
            message: value["fields"]["message"].as_str().unwrap_or_default().to_owned(),
            fields: value["fields"].clone(),
        });
    }
    lines
}

/// Read, accepted, duplicate, rejected.
pub(crate) type Account = [u64; 4];

/// The sum over all epochs, each once. An epoch that two workers wrote must have come to the same
/// for both (E9).
pub(crate) fn account(logs: &[PathBuf]) -> Account {
    let mut epochs: BTreeMap<(String, String), Account> = BTreeMap::new();
    for line in logs.iter().flat_map(|path| read(path)).filter(|line| line.message == "emitted") {
        let counts = ["read", "accepted", "duplicate", "rejected"].map(|name| line.number(name));
        let epoch = (line.text("shard").to_owned(), line.text("to").to_owned());
        let before = *epochs.entry(epoch.clone()).or_insert(counts);
        assert_eq!(before, counts, "two runs of epoch {epoch:?} came to different counts");
    }
    epochs.values().fold([0; 4], |sum, counts| std::array::from_fn(|i| sum[i] + counts[i]))
}

/// A shard that changed hands.
#[derive(Debug)]
pub(crate) struct Succession {
    pub(crate) shard: String,
    /// From the signal to the leaver's last commit.
    pub(crate) closing_ms: i64,
    /// From there to the successor's first reading.
    pub(crate) waited_ms: i64,
    /// Whom the lease was taken from, as the taker's log has it.
    pub(crate) from: String,
}

/// Who came after `leaver` on each shard that it handed over after `asked_ms`; `None` while one
/// has no successor.
pub(crate) fn successions(
    leaver: &Path,
    others: &[PathBuf],
    asked_ms: i64,
) -> Option<Vec<Succession>> {
    let lines: Vec<Line> = others.iter().flat_map(|path| read(path)).collect();
    let first = |shard: &str, message: &str| {
        let of_shard = lines.iter().filter(|l| l.message == message && l.text("shard") == shard);
        of_shard.filter(|line| line.at_ms >= asked_ms).min_by_key(|line| line.at_ms)
    };
    let ended = |line: &Line| {
        line.message == "shard task ended"
            && line.text("ended") == "HandedOver"
            && line.at_ms >= asked_ms
    };
    let succession = |line: Line| {
        let shard = line.text("shard").to_owned();
        let waited_ms = first(&shard, "shard started")?.at_ms - line.at_ms;
        let from = first(&shard, "lease taken")?.text("from").to_owned();
        Some(Succession { shard, closing_ms: line.at_ms - asked_ms, waited_ms, from })
    };
    read(leaver).into_iter().filter(ended).map(succession).collect()
}
