//! Which records repeat an earlier one of their shard.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::stream::EpochMs;

/// A record's event id as 128 bits: a UUID's own bits, any other text's MD5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(u128);

impl EventId {
    /// Condenses an event id. Two texts that spell the same UUID in another case are one id.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(uuid_bits(text.as_bytes()).unwrap_or_else(|| digest(text)))
    }
}

/// The bits of `8-4-4-4-12` hexadecimal text. The nil UUID is left to the digest.
fn uuid_bits(text: &[u8]) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut bits = 0u128;
    for (i, &byte) in text.iter().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let nibble = HEX_VALUE[usize::from(byte)];
        if nibble > 15 {
            return None;
        }
        bits = bits << 4 | u128::from(nibble);
    }
    Some(bits)
}

/// The value of each hexadecimal digit; 16 for every other byte.
const HEX_VALUE: [u8; 256] = {
    let mut table = [16; 256];
    let mut byte = 0u8;
    while byte < u8::MAX {
        table[byte as usize] = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => 16,
        };
        byte += 1;
    }
    table
};

fn digest(text: &str) -> u128 {
    use md5::{Digest, Md5};
    u128::from_be_bytes(Md5::digest(text.as_bytes()).into())
}

/// The ids that arrived at most `horizon_ms` ago, by the shard's own arrival times.
///
/// Arrival counts as the running maximum over the shard, because Kinesis does not promise that its
/// arrival times increase. With that rule the answer depends only on the records from the first
/// one that arrived at or after `now - horizon` on, so a new owner that reads again from there
/// answers exactly as the old one would have (E9).
#[derive(Debug)]
pub struct Dedupe {
    horizon_ms: i64,
    max_ids: usize,
    latest: EpochMs,
    seen: HashMap<EventId, EpochMs, FxBuildHasher>,
    order: VecDeque<(EpochMs, EventId)>,
}

impl Dedupe {
    /// A filter over `horizon_ms` (0 turns it off) that holds at most `max_ids` ids; beyond that
    /// the oldest are forgotten, which again depends on the records alone.
    #[must_use]
    pub fn new(horizon_ms: i64, max_ids: usize) -> Self {
        Self {
            horizon_ms,
            max_ids,
            latest: EpochMs(i64::MIN),
            seen: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    /// Notes a record's arrival; to be called for every record, with or without an id.
    pub fn arrive(&mut self, arrival: EpochMs) {
        if arrival <= self.latest {
            return;
        }
        self.latest = arrival;
        let oldest = EpochMs(arrival.0.saturating_sub(self.horizon_ms));
        while self.order.front().is_some_and(|&(at, _)| at < oldest) {
            self.forget_oldest();
        }
    }

    /// Whether an earlier record with this id arrived within the horizon; notes this one.
    pub fn repeats(&mut self, id: EventId) -> bool {
        if self.horizon_ms == 0 {
            return false;
        }
        let earlier = self.seen.insert(id, self.latest);
        if earlier == Some(self.latest) {
            return true;
        }
        self.order.push_back((self.latest, id));
        if self.order.len() > self.max_ids {
            self.forget_oldest();
        }
        earlier.is_some()
    }

    /// The latest arrival so far, from which a successor computes where to start warming up.
    #[must_use]
    pub fn latest_arrival(&self) -> Option<EpochMs> {
        (self.latest.0 != i64::MIN).then_some(self.latest)
    }

    fn forget_oldest(&mut self) {
        let Some((at, id)) = self.order.pop_front() else { return };
        // A later arrival of the same id keeps it alive.
        if self.seen.get(&id) == Some(&at) {
            self.seen.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EventId {
        EventId::of(text)
    }

    fn arrive(filter: &mut Dedupe, ms: i64, text: &str) -> bool {
        filter.arrive(EpochMs(ms));
        filter.repeats(id(text))
    }

    #[test]
    fn a_repeat_within_the_horizon_is_a_duplicate_and_one_beyond_is_not() {
        let mut filter = Dedupe::new(60, 100);
        assert!(!arrive(&mut filter, 0, "a"));
        assert!(arrive(&mut filter, 60, "a"));
        // The second copy is an earlier record too.
        assert!(arrive(&mut filter, 120, "a"));
        assert!(!arrive(&mut filter, 181, "a"));
    }

    #[test]
    fn an_arrival_time_that_falls_back_counts_as_the_latest() {
        let mut filter = Dedupe::new(60, 100);
        assert!(!arrive(&mut filter, 100, "x"));
        assert!(!arrive(&mut filter, 10, "a"));
        assert!(arrive(&mut filter, 160, "a"), "a arrived, in effect, at 100");
    }

    #[test]
    fn memory_is_bounded_by_forgetting_the_oldest() {
        let mut filter = Dedupe::new(1_000, 2);
        for text in ["a", "b", "c"] {
            assert!(!arrive(&mut filter, 0, text));
        }
        assert!(arrive(&mut filter, 0, "b"));
        assert!(!arrive(&mut filter, 0, "a"), "forgotten");
    }

    #[test]
    fn a_horizon_of_zero_finds_nothing() {
        let mut filter = Dedupe::new(0, 2);
        assert!(!arrive(&mut filter, 0, "a"));
        assert!(!arrive(&mut filter, 0, "a"));
    }

    #[test]
    fn uuids_are_their_bits_and_other_texts_are_not_confused_with_them() {
        let lower = "65745e0d-6be2-4200-af31-28f1a217b73c";
        assert_eq!(id(lower), id(&lower.to_uppercase()));
        assert_ne!(id(lower), id("65745e0d-6be2-4200-af31-28f1a217b73d"));
        assert_ne!(id(lower), id("65745e0d6be24200af3128f1a217b73c"));
        assert_ne!(id("g5745e0d-6be2-4200-af31-28f1a217b73c"), id(lower));
    }
}
