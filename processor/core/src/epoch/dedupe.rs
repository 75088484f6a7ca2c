//! Which records repeat an earlier one of their shard.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

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
///
/// A worker with many shards remembers millions of ids, so an id stands in `order` alone, and the index
/// has its number there: about 30 bytes an id.
#[derive(Debug)]
pub struct Dedupe {
    horizon_ms: i64,
    max_ids: usize,
    latest: EpochMs,
    /// Keyed anew for each filter, since ids come from outside; no answer depends on it.
    hasher: DefaultHashBuilder,
    /// Ids by arrival. One that came at several times stands there as often, and the last counts.
    order: VecDeque<EventId>,
    /// The number of the first of `order`. Numbers wrap around.
    first: u32,
    /// For each id the number of its last arrival.
    last: HashTable<u32>,
    /// Times of arrival, each with how many of `order` have it.
    arrivals: VecDeque<(EpochMs, usize)>,
}

/// Fewer ids than these are not worth giving memory back for.
const FEW_IDS: usize = 1_024;

impl Dedupe {
    /// Returns a filter over `horizon_ms` (0 turns it off) that holds at most `max_ids` ids; beyond
    /// that the oldest are forgotten, which again depends on the records alone.
    #[must_use]
    pub fn new(horizon_ms: i64, max_ids: usize) -> Self {
        Self {
            horizon_ms,
            max_ids: max_ids.min(u32::MAX as usize),
            latest: EpochMs(i64::MIN),
            hasher: DefaultHashBuilder::default(),
            order: VecDeque::new(),
            first: 0,
            last: HashTable::new(),
            arrivals: VecDeque::new(),
        }
    }

    /// Notes a record's arrival; to be called for every record, with or without an id.
    pub fn arrive(&mut self, arrival: EpochMs) {
        if arrival <= self.latest {
            return;
        }
        self.latest = arrival;
        let oldest = EpochMs(arrival.0.saturating_sub(self.horizon_ms));
        while self.arrivals.front().is_some_and(|&(at, _)| at < oldest) {
            self.forget_oldest();
        }
        self.give_back();
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
        let Self { order, last, arrivals, hasher, .. } = self;
        let (first, hash) = (self.first, hasher.hash_one(id));
        // Ids before this one did not arrive just now.
        let now_from = match arrivals.back() {
            Some((at, count)) if *at == self.latest => order.len() - count,
            _ => order.len(),
        };
        let next = number(first, order.len());
        let found = last.find_mut(hash, |number| order[index(first, *number)] == id);
        let is_repeat = found.is_some();
        match found {
            Some(number) if index(first, *number) >= now_from => return true,
            Some(number) => *number = next,
            None => {
                let rehash = |number: &u32| hasher.hash_one(order[index(first, *number)]);
                last.insert_unique(hash, next, rehash);
            }
        }
        self.push(id);
        if self.order.len() > self.max_ids {
            self.forget_oldest();
        }
        is_repeat
    }

    /// Returns the latest arrival so far, from which a successor computes where to start warming
    /// up.
    #[must_use]
    pub fn latest_arrival(&self) -> Option<EpochMs> {
        (self.latest.0 != i64::MIN).then_some(self.latest)
    }

    /// Returns about what it takes in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        let arrivals = self.arrivals.capacity() * size_of::<(EpochMs, usize)>();
        let order = self.order.capacity() * size_of::<EventId>();
        (order + arrivals + self.last.allocation_size()) as u64
    }

    fn push(&mut self, id: EventId) {
        if self.order.len() == self.order.capacity() {
            // By a quarter: doubling would leave half of it unused on the average shard.
            self.order.reserve_exact((self.order.len() / 4).max(16));
        }
        self.order.push_back(id);
        match self.arrivals.back_mut() {
            Some((at, count)) if *at == self.latest => *count += 1,
            _ => self.arrivals.push_back((self.latest, 1)),
        }
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.order.front().copied() else { return };
        let hash = self.hasher.hash_one(id);
        // A later arrival of the same id keeps it alive.
        if let Ok(entry) = self.last.find_entry(hash, |number| *number == self.first) {
            entry.remove();
        }
        self.order.pop_front();
        self.first = self.first.wrapping_add(1);
        if let Some((_, count)) = self.arrivals.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.arrivals.pop_front();
            }
        }
    }

    /// Gives memory back after a burst.
    fn give_back(&mut self) {
        let wanted = (self.order.len() * 2).max(FEW_IDS);
        if self.order.capacity() <= wanted * 2 {
            return;
        }
        self.order.shrink_to(wanted);
        self.arrivals.shrink_to(wanted);
        let Self { order, first, last, hasher, .. } = self;
        last.shrink_to(wanted, |number| hasher.hash_one(order[index(*first, *number)]));
    }
}

/// Returns where in the order a number stands.
fn index(first: u32, number: u32) -> usize {
    number.wrapping_sub(first) as usize
}

/// Returns the number of an index.
fn number(first: u32, index: usize) -> u32 {
    first.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

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
    fn an_id_takes_some_thirty_bytes_and_a_burst_is_given_back() {
        let mut filter = Dedupe::new(60, 1_000_000);
        for n in 0..9_000 {
            assert!(!arrive(&mut filter, 0, &n.to_string()));
        }
        let each = filter.memory_bytes() / 9_000;
        assert!(each <= 36, "{each} bytes an id");
        assert!(!arrive(&mut filter, 61, "a"));
        assert!(filter.memory_bytes() < 9_000 * 5, "{} bytes are left", filter.memory_bytes());
        assert!(arrive(&mut filter, 62, "a"));
    }

    /// The rule in the plainest words: all arrivals of the last ids, looked through from the latest.
    fn plainly(horizon_ms: i64, max_ids: usize, records: &[(i64, u8)]) -> Vec<bool> {
        let (mut latest, mut seen) = (i64::MIN, Vec::<(i64, u8)>::new());
        let repeats = |&(arrival, id): &(i64, u8)| {
            latest = latest.max(arrival);
            seen.retain(|(at, _)| *at >= latest - horizon_ms);
            let last: HashMap<u8, i64> = seen.iter().map(|(at, id)| (*id, *at)).collect();
            if last.get(&id) != Some(&latest) {
                seen.push((latest, id));
                if seen.len() > max_ids {
                    seen.remove(0);
                }
            }
            last.contains_key(&id)
        };
        records.iter().map(repeats).collect()
    }

    proptest! {
        #[test]
        fn it_answers_as_the_rule_says(
            max_ids in 1_usize..12,
            near_the_end in any::<bool>(),
            records in prop::collection::vec((0_i64..40, 0_u8..10), 0..200),
        ) {
            let mut filter = Dedupe::new(15, max_ids);
            // Numbers wrap around.
            filter.first = if near_the_end { u32::MAX - 20 } else { 0 };
            let mut at = 0;
            let records: Vec<(i64, u8)> =
                records.iter().map(|(ms, id)| { at += ms - 15; (at, *id) }).collect();
            let found: Vec<bool> = records
                .iter()
                .map(|(arrival, id)| arrive(&mut filter, *arrival, &id.to_string()))
                .collect();
            prop_assert_eq!(found, plainly(15, max_ids, &records));
        }
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
                let hash = filter.hasher.hash_one(id(&of(n)));
                slots[usize::try_from(hash & 0x3_ffff).unwrap()] += 1;
            }
            slots.into_iter().max().unwrap()
        };
        let low = slots(&|n| format!("243f6a88-85a3-08d3-{:04x}-{n:012x}", n >> 8));
        let high = slots(&|n| format!("{n:08x}-0000-4000-8000-000000000000"));
        // Of 160,000 balls in 262,144 bins none holds more than a dozen.
        assert!(low <= 16 && high <= 16, "{low}, {high}");
        let other = Dedupe::new(60, 1);
        let hashes = |of: &Dedupe| of.hasher.hash_one(id("a"));
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
