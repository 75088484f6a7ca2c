//! `applied` as bytes: a row of many shards must not be mostly bookkeeping.
//!
//! Format 1: the byte 1, then an entry per shard, ascending by id. An entry is: how many bytes of
//! the id are those of the entry before, how many follow, and these; the difference of the high part
//! of the sequence number to the entry before; the low part, its length first; the user record
//! inside the aggregate. Numbers are LEB128, differences zigzag. Shards of one stream share most of
//! their ids and the beginning of their sequence numbers, so an entry takes some 24 bytes, a third
//! of what it takes as text.

use std::collections::BTreeMap;

use kinesis_model::{Position, SequenceNumber, ShardId};

/// First byte of the format.
const FORMAT: u8 = 1;
/// Longest shard id read; Kinesis allows 128 characters.
const MAX_ID_BYTES: usize = 1_024;

/// Bytes that are not an `applied`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppliedError {
    /// A format that this release does not know.
    #[error("has format {0}, which a later release writes")]
    Format(u8),
    /// Bytes are missing, left over or out of order.
    #[error("is damaged")]
    Damaged,
}

/// Returns the positions as bytes.
#[must_use]
pub fn to_bytes(applied: &BTreeMap<ShardId, Position>) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    let (mut id_before, mut high_before): (&[u8], u128) = (&[], 0);
    for (shard, to) in applied {
        let id = shard.as_str().as_bytes();
        let shared = id.iter().zip(id_before).take_while(|(a, b)| a == b).count();
        put(&mut bytes, shared as u128);
        put(&mut bytes, (id.len() - shared) as u128);
        bytes.extend(&id[shared..]);
        let (high, low) = to.sequence.limbs();
        put(&mut bytes, zigzag(high.cast_signed() - high_before.cast_signed()));
        let low = low.to_be_bytes();
        let zeros = low.iter().take_while(|byte| **byte == 0).count();
        put(&mut bytes, (low.len() - zeros) as u128);
        bytes.extend(&low[zeros..]);
        put(&mut bytes, u128::from(to.sub));
        (id_before, high_before) = (id, high);
    }
    bytes
}

/// Returns the positions of some bytes.
///
/// # Errors
/// See [`AppliedError`].
pub fn from_bytes(bytes: &[u8]) -> Result<BTreeMap<ShardId, Position>, AppliedError> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => entries(rest).ok_or(AppliedError::Damaged),
        Some((&other, _)) if other > FORMAT => Err(AppliedError::Format(other)),
        _ => Err(AppliedError::Damaged),
    }
}

fn entries(mut bytes: &[u8]) -> Option<BTreeMap<ShardId, Position>> {
    let mut applied = BTreeMap::new();
    let (mut id, mut high) = (Vec::new(), 0_i128);
    while !bytes.is_empty() {
        let shared = usize::try_from(take(&mut bytes)?).ok()?;
        let more = usize::try_from(take(&mut bytes)?).ok().filter(|more| *more <= MAX_ID_BYTES)?;
        if shared > id.len() {
            return None;
        }
        id.truncate(shared);
        id.extend(bytes.split_off(..more)?);
        high = high.checked_add(unzigzag(take(&mut bytes)?))?;
        let length = usize::try_from(take(&mut bytes)?).ok().filter(|length| *length <= 16)?;
        let low = bytes.split_off(..length)?;
        let low = low.iter().fold(0_u128, |low, byte| (low << 8) | u128::from(*byte));
        let sub = u64::try_from(take(&mut bytes)?).ok()?;
        let sequence = SequenceNumber::from_limbs(u128::try_from(high).ok()?, low)?;
        let shard = ShardId::new(std::str::from_utf8(&id).ok()?);
        if applied.last_key_value().is_some_and(|(last, _)| *last >= shard) {
            return None;
        }
        applied.insert(shard, Position { sequence, sub });
    }
    Some(applied)
}

fn zigzag(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)).cast_unsigned()
}

fn unzigzag(value: u128) -> i128 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put(bytes: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u128> {
    let mut value = 0;
    for shift in (0..126).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    // The last group of 128 bits has two.
    let byte = *bytes.split_off_first().filter(|byte| **byte < 4)?;
    Some(value | u128::from(byte) << 126)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a fleet's shards at numbers as Kinesis gives them.
    fn shards(count: u32) -> BTreeMap<ShardId, Position> {
        let first = "49590338271490256608559692538361571095921575989136588898";
        let sequence: SequenceNumber = first.parse().unwrap();
        let (high, low) = sequence.limbs();
        (0..count)
            .map(|number| {
                let step = u128::from(number);
                let low =
                    (low + step * 31_415_926_535_897_932_384_626_433_832_795) % 10_u128.pow(38);
                let sequence = SequenceNumber::from_limbs(high + step * 22_300, low).unwrap();
                (ShardId::new(&format!("shardId-{number:012}")), Position { sequence, sub: 0 })
            })
            .collect()
    }

    #[test]
    fn a_row_of_350_shards_has_some_kilobytes_of_bookkeeping() {
        let bytes = [1, 16, 350].map(|count| to_bytes(&shards(count)).len());
        assert!(bytes[0] <= 64 && bytes[1] <= 450 && bytes[2] <= 8_800, "{bytes:?}");
        println!("bytes of 1, 16, 350 shards: {bytes:?}");
    }

    #[test]
    fn an_item_has_room_for_16_000_shards_beside_the_row_itself() {
        let bytes = to_bytes(&shards(16_000)).len();
        assert!(bytes < 380 << 10, "{bytes} of the 400 KB that DynamoDB allows");
    }

    #[test]
    fn what_is_damaged_or_of_a_later_release_is_refused() {
        let bytes = to_bytes(&shards(3));
        for length in 2..bytes.len() {
            let read = from_bytes(&bytes[..length]);
            assert!(read.is_err() || read.is_ok_and(|read| read.len() < 3), "{length}");
        }
        assert_eq!(from_bytes(&[]), Err(AppliedError::Damaged));
        assert_eq!(from_bytes(&[9, 1, 2]), Err(AppliedError::Format(9)));
    }

    proptest! {
        #[test]
        fn any_positions_come_back(
            entries in prop::collection::btree_map(
                "[a-z0-9-]{0,20}",
                (0..10_u128.pow(38), 0..10_u128.pow(38), any::<u64>()),
                0..20,
            ),
        ) {
            let applied: BTreeMap<_, _> = entries
                .iter()
                .map(|(id, (high, low, sub))| {
                    let sequence = SequenceNumber::from_limbs(*high, *low).unwrap();
                    (ShardId::new(id), Position { sequence, sub: *sub })
                })
                .collect();
            prop_assert_eq!(from_bytes(&to_bytes(&applied)), Ok(applied));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = from_bytes(&bytes) {
                prop_assert_eq!(from_bytes(&to_bytes(&read)), Ok(read));
            }
        }
    }
}
