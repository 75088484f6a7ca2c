//! Which records repeat an earlier one of their shard.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use hashbrown::HashMap;

use kinesis_model::EpochMs;

/// A record's event id as 128 bits: a UUID's own bits, any other text's MD5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId([u64; 2]);

impl Hash for EventId {
    /// Hashes both halves as numbers: as an array they would be hashed as text is.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
        state.write_u64(self.0[1]);
    }
}

impl EventId {
    /// Condenses an event id. Two texts that spell the same UUID in another case are one id.
    #[must_use]
    #[inline]
    pub fn of(text: &str) -> Self {
        Self(uuid_bits(text.as_bytes()).unwrap_or_else(|| digest(text)))
    }
}

/// Returns the bits of `8-4-4-4-12` hexadecimal text.
fn uuid_bits(text: &[u8]) -> Option<[u64; 2]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|&dash| text[dash] != b'-') {
        return None;
    }
    let eight = |high: usize, low: usize| {
        let mut digits = [0; 8];
        digits[..4].copy_from_slice(&text[high..high + 4]);
        digits[4..].copy_from_slice(&text[low..low + 4]);
        hex_value(u64::from_be_bytes(digits))
    };
    Some([(eight(0, 4)? << 32) | eight(9, 14)?, (eight(19, 24)? << 32) | eight(28, 32)?])
}

/// Returns the 32 bits that eight hexadecimal digits spell, all eight at once; the first digit is
/// the highest byte.
fn hex_value(digits: u64) -> Option<u64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES * 0x80;
    if digits & HIGHS != 0 {
        return None;
    }
    // No byte exceeds 0x7f here, so adding up to 0x80 to each never carries into the next.
    let above = |bytes: u64, most: u64| bytes + ONES * (0x7f - most);
    let decimal = !above(digits ^ (ONES * 0x30), 9) & HIGHS;
    let letters = (digits | (ONES * 0x20)) ^ (ONES * 0x60);
    let letter = !above(letters, 6) & above(letters, 0) & HIGHS;
    if decimal | letter != HIGHS {
        return None;
    }
    let nibbles = (digits & (ONES * 0x0f)) + (letter >> 7) * 9;
    let bytes = (nibbles | (nibbles >> 4)) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | (bytes >> 8)) & 0x0000_ffff_0000_ffff;
    Some((pairs | (pairs >> 16)) & 0xffff_ffff)
}

fn digest(text: &str) -> [u64; 2] {
    use md5::{Digest, Md5};
    let bytes: [u8; 16] = Md5::digest(text.as_bytes()).into();
    let (halves, _) = bytes.as_chunks();
    [u64::from_be_bytes(halves[0]), u64::from_be_bytes(halves[1])]
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
    /// Keyed anew for each filter, since ids come from outside; no answer depends on it.
    seen: HashMap<EventId, EpochMs>,
    order: VecDeque<(EpochMs, EventId)>,
}

impl Dedupe {
    /// Returns a filter over `horizon_ms` (0 turns it off) that holds at most `max_ids` ids; beyond
    /// that the oldest are forgotten, which again depends on the records alone.
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

    /// Returns whether it looks for repeats at all.
    #[must_use]
    #[inline]
    pub fn is_on(&self) -> bool {
        self.horizon_ms > 0
    }

    /// Returns whether an earlier record with this id arrived within the horizon; notes this one.
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

    /// Returns the latest arrival so far, from which a successor computes where to start warming
    /// up.
    #[must_use]
    pub fn latest_arrival(&self) -> Option<EpochMs> {
        (self.latest.0 != i64::MIN).then_some(self.latest)
    }

    /// Returns about what it takes in memory: an id stands in the map and in the order.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.seen.capacity() * 25 + self.order.capacity() * 24) as u64
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
    use std::hash::BuildHasher as _;

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

    /// Ids of which one half is always the same, as `243f6a88-85a3-08d3-…`: those that hash alike
    /// under an unkeyed hash can be looked up in no time by whoever wants to stop a shard.
    #[test]
    fn ids_chosen_to_collide_are_spread_like_any_others() {
        const IDS: u64 = 160_000;
        let filter = Dedupe::new(60, 1);
        let slots = |of: &dyn Fn(u64) -> String| {
            let mut slots = vec![0_u32; 1 << 18];
            for n in 0..IDS {
                let hash = filter.seen.hasher().hash_one(id(&of(n)));
                slots[usize::try_from(hash & 0x3_ffff).unwrap()] += 1;
            }
            slots.into_iter().max().unwrap()
        };
        let low = slots(&|n| format!("243f6a88-85a3-08d3-{:04x}-{n:012x}", n >> 8));
        let high = slots(&|n| format!("{n:08x}-0000-4000-8000-000000000000"));
        // Of 160,000 balls in 262,144 bins none holds more than a dozen.
        assert!(low <= 16 && high <= 16, "{low}, {high}");
        let other = Dedupe::new(60, 1);
        let hashes = |of: &Dedupe| of.seen.hasher().hash_one(id("a"));
        assert_ne!(hashes(&filter), hashes(&other), "two filters have two keys");
    }

    #[test]
    fn hexadecimal_digits_are_read_as_the_standard_library_does() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut digits = *b"0a9F5cB3";
                digits[at] = byte;
                let expected = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|text| !text.starts_with('+'))
                    .and_then(|text| u64::from_str_radix(text, 16).ok());
                assert_eq!(hex_value(u64::from_be_bytes(digits)), expected, "{digits:?}");
            }
        }
    }
}
