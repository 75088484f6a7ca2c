//! From events to deliveries: some are late, some are sent twice, some are damaged.

use std::collections::{BTreeMap, VecDeque};

use seeded::Rng;

use super::{Produced, Sample};

/// How late a line may be.
const MAX_DELAY_MS: i64 = 90_000;
/// How long after a line its repetition may come: a producer's retry.
const MAX_REPEAT_MS: i64 = 20_000;

/// Share of a broken producer's reports that are damaged, in millionths.
const BROKEN_PPM: u32 = 600_000;

/// Shares in millionths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub(super) duplicate: u32,
    pub(super) late: u32,
    pub(super) malformed: u32,
}

/// The lines that are ready, and those that wait for their time of arrival.
#[derive(Debug)]
pub(super) struct Outbox {
    shares: Shares,
    ready: VecDeque<Produced>,
    waiting: BTreeMap<(i64, u64), Produced>,
    sequence: u64,
}

impl Outbox {
    pub(super) fn new(shares: Shares) -> Self {
        Self { shares, ready: VecDeque::new(), waiting: BTreeMap::new(), sequence: 0 }
    }

    /// Takes an event that has just happened: `arrival_ms` is now.
    pub(super) fn send(&mut self, rng: &mut Rng, produced: Produced) {
        self.send_by(rng, produced, self.shares.malformed);
    }

    /// As [`Outbox::send`], of a producer most of whose reports are broken.
    pub(super) fn send_broken(&mut self, rng: &mut Rng, produced: Produced) {
        self.send_by(rng, produced, BROKEN_PPM);
    }

    fn send_by(&mut self, rng: &mut Rng, mut produced: Produced, malformed: u32) {
        let is_report = produced.sample != Sample::Fact;
        let is_late = rng.chance_ppm(self.shares.late);
        if is_late {
            produced.arrival_ms += rng.between(1, MAX_DELAY_MS);
        }
        if is_report && rng.chance_ppm(malformed) {
            damage(rng, &mut produced.line);
            produced.is_malformed = true;
        } else if is_report && rng.chance_ppm(self.shares.duplicate) {
            let mut repetition = Produced { is_duplicate: true, ..produced.clone() };
            repetition.arrival_ms += rng.between(50, MAX_REPEAT_MS);
            self.wait(repetition);
        }
        if is_late {
            self.wait(produced);
        } else {
            self.ready.push_back(produced);
        }
    }

    fn wait(&mut self, produced: Produced) {
        self.sequence += 1;
        self.waiting.insert((produced.arrival_ms, self.sequence), produced);
    }

    /// Returns the next line that is ready now.
    pub(super) fn pop_ready(&mut self) -> Option<Produced> {
        self.ready.pop_front()
    }

    /// Returns the next waiting line that arrives up to and including `until_ms`.
    pub(super) fn pop_waiting(&mut self, until_ms: i64) -> Option<Produced> {
        let entry = self.waiting.first_entry()?;
        (entry.key().0 <= until_ms).then(|| entry.remove())
    }
}

/// Turns a good line into one that is not JSON.
fn damage(rng: &mut Rng, line: &mut Vec<u8>) {
    match rng.below(10) {
        0..=5 => {
            // Cut short, as by a lost connection.
            let keep = 1 + rng.below(line.len() as u64 - 2);
            line.truncate(usize::try_from(keep).expect("shorter than the line"));
        }
        6 | 7 => {
            line.clear();
            line.extend_from_slice(b"### producer restarted, flushing buffer ###");
        }
        8 => {
            // A comma lost.
            let comma = line.windows(2).position(|pair| pair == b",\"");
            line.remove(comma.expect("every report has several members"));
        }
        _ => {
            // A comma too many.
            line.pop();
            line.extend_from_slice(b",}");
        }
    }
}
