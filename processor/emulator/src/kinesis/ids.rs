//! Sequence numbers, shard ids, iterators and page tokens, as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How long an iterator or a page token is good for.
pub(super) const TOKEN_LIFE_MS: u64 = 300_000;

/// Returns the text Kinesis gives for a place in a shard: 56 digits.
///
/// `49`, then 54 digits of `counter * 2^32 + shard`. The counter grows with every record and
/// resharding of the stream, so numbers grow in a shard, across restarts too, and a number tells
/// its shard, which lets a wrong one be refused as AWS refuses it.
pub(super) fn sequence(counter: u64, shard: u32) -> String {
    let place = (u128::from(counter) << 32) | u128::from(shard);
    format!("49{place:054}")
}

/// Reads [`sequence`]'s text back: counter and shard.
pub(super) fn parse_sequence(text: &str) -> Option<(u64, u32)> {
    let digits = text.strip_prefix("49").filter(|digits| digits.len() == 54)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let place: u128 = digits.parse().ok()?;
    let shard = u32::try_from(place & u128::from(u32::MAX)).ok()?;
    Some((u64::try_from(place >> 32).ok()?, shard))
}

/// Names a shard, as `shardId-000000000007`.
pub(super) fn shard_id(index: u32) -> String {
    format!("shardId-{index:012}")
}

/// Reads [`shard_id`]'s text back, or a shorter form of it such as `shardId-7`, which AWS takes
/// too.
pub(super) fn parse_shard_id(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("shardId-").filter(|digits| (1..=12).contains(&digits.len()))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A place to read from: the first record at or after both bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The lowest counter wanted.
    pub(super) counter: u64,
    /// The earliest arrival wanted.
    pub(super) from_ms: u64,
}

/// The content of a shard iterator, in base64 of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Iterator {
    pub(super) stream: String,
    /// Tells a stream from an earlier one of the same name.
    pub(super) stream_id: u64,
    pub(super) shard: u32,
    pub(super) cursor: Cursor,
    pub(super) issued_ms: u64,
}

/// Writes a token.
pub(super) fn token<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_vec(value).expect("tokens are plain data");
    BASE64.encode(json)
}

/// Reads a token that [`token`] wrote.
pub(super) fn parse_token<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_have_56_digits_and_come_back() {
        for (counter, shard) in [(0, 0), (1, 3), (u64::MAX, u32::MAX), (1_700_000_000_000 << 20, 7)]
        {
            let text = sequence(counter, shard);
            assert_eq!(text.len(), 56);
            assert_eq!(parse_sequence(&text), Some((counter, shard)));
        }
        assert!(sequence(5, u32::MAX) < sequence(6, 0));
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("49{}", "9".repeat(54));
        for text in
            ["", "0", "49", "+1", long.as_str(), "4900000000000000000000000000000000000000+1"]
        {
            assert_eq!(parse_sequence(text), None, "{text}");
        }
        for text in ["", "1", "shardId-", "shardId-00000000000x", "shardId-+00000000001"] {
            assert_eq!(parse_shard_id(text), None, "{text}");
        }
        assert_eq!(parse_shard_id("shardId-0000000000001"), None);
        assert_eq!(parse_shard_id("shardId-1"), parse_shard_id("shardId-000000000001"));
        assert_eq!(parse_shard_id("shardId-999999999999"), None);
    }
}
