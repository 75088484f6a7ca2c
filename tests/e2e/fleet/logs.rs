//! The course of events by the workers' logs.

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

/// Returns the sum over all epochs, each once. An epoch that two workers wrote must have come to
/// the same for both (E9).
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

/// A shard that a worker had to leave, and who read it next.
#[derive(Debug)]
pub(crate) struct Succession {
    pub(crate) shard: String,
    /// From the signal until the leaver gave the shard back; `None` if it did not, or lost it.
    pub(crate) given_back_ms: Option<i64>,
    /// From the signal to the answer to the successor's first GetRecords; `None` while there is
    /// none.
    pub(crate) read_ms: Option<i64>,
    /// Whom the lease was taken from, as the taker's log has it.
    pub(crate) from: String,
}

/// Who came after `leaver` on each shard that it was reading at `asked_ms` and has not finished.
pub(crate) fn successions(leaver: &Path, others: &[PathBuf], asked_ms: i64) -> Vec<Succession> {
    let own = read(leaver);
    let others: Vec<Line> = others.iter().flat_map(|path| read(path)).collect();
    let is_end = |line: &&Line| line.message.starts_with("shard task ");
    let mut last: BTreeMap<&str, &Line> = BTreeMap::new();
    for line in own.iter().filter(|line| line.at_ms < asked_ms) {
        if line.message == "first read" || is_end(&line) {
            last.insert(line.text("shard"), line);
        }
    }
    let succession = |(shard, begun): (&str, &Line)| {
        let ends = own.iter().filter(|line| line.at_ms >= asked_ms).filter(is_end);
        let end = ends.filter(|line| line.text("shard") == shard).min_by_key(|line| line.at_ms);
        let how = end.map_or("", |line| line.text("ended"));
        let given_back = end.filter(|_| matches!(how, "HandedOver" | "LeftOpen"));
        // Not after the signal: the shard may have been on its way to another worker by then.
        let after = |message: &str| {
            let those = others.iter().filter(|l| l.message == message && l.text("shard") == shard);
            those.filter(|line| line.at_ms > begun.at_ms).min_by_key(|line| line.at_ms)
        };
        (how != "ShardEnd").then(|| Succession {
            shard: shard.to_owned(),
            given_back_ms: given_back.map(|line| line.at_ms - asked_ms),
            read_ms: after("first read").map(|line| line.at_ms - asked_ms),
            from: after("lease taken").map(|l| l.text("from").to_owned()).unwrap_or_default(),
        })
    };
    let reading = last.into_iter().filter(|(_, line)| line.message == "first read");
    reading.filter_map(succession).collect()
}
