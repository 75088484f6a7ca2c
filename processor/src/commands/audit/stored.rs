//! A table as it stands, sorted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ivs_schemas::items::{metrics, sessions};
use serde_json::Value;

use crate::items::codec::Item;
use crate::items::json::to_json;
use crate::items::pages;
use crate::replay::progress::Progress;
use crate::replay::sorter::{Merged, SortEntry, Sorter};

/// Items that are held in memory while a table is sorted.
pub(super) const MEMORY_BYTES: usize = 16 << 20;

/// An item by its key.
#[derive(Debug)]
pub(crate) struct ItemEntry {
    /// Session, and sort key × 1,000.
    pub(super) key: (Arc<str>, i64),
    /// Whether it must be there, if this is how a table should be.
    pub(super) is_required: bool,
    /// The item as JSON.
    pub(super) item: String,
}

impl ItemEntry {
    /// Returns an item that was read or computed.
    pub(super) fn new(session_id: &str, sort_key_ms: i64, item: &Value) -> Self {
        let key = (Arc::from(session_id), sort_key_ms);
        Self { key, is_required: true, item: item.to_string() }
    }
}

impl SortEntry for ItemEntry {
    type Key = (Arc<str>, i64);

    fn key(&self) -> &(Arc<str>, i64) {
        &self.key
    }

    /// A table has each key once.
    fn absorb(&mut self, _: Self) {}

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_required));
        out.extend(self.key.1.to_le_bytes());
        out.extend((self.key.0.len() as u64).to_le_bytes());
        out.extend(self.key.0.bytes());
        out.extend(self.item.bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (is_required, bytes) = bytes.split_first()?;
        let (sort_key_ms, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (session_id, item) = bytes.split_at_checked(length)?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(Self {
            key: (Arc::from(text(session_id)?), i64::from_le_bytes(*sort_key_ms)),
            is_required: *is_required != 0,
            item: text(item)?.to_owned(),
        })
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.key.0.len() + self.item.len()
    }
}

/// Reads a whole table.
///
/// # Errors
/// When it does not answer in all tries, or there is no room to sort it.
pub(super) async fn scan(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    progress: &Progress,
) -> anyhow::Result<Merged<ItemEntry>> {
    let mut sorter = Sorter::new(MEMORY_BYTES);
    let all = dynamodb.scan().table_name(table).consistent_read(true);
    pages::scan(all, |item| {
        let (session_id, sort_key_ms) = key(item);
        sorter.push(ItemEntry::new(session_id, sort_key_ms, &to_json(item)))?;
        progress.rows.fetch_add(1, Relaxed);
        Ok(())
    })
    .await?;
    Ok(Sorter::merge([sorter])?)
}

/// Returns the key of an item of either table; what is not a key of ours is empty and 0.
fn key(item: &Item) -> (&str, i64) {
    let session_id = item.get(metrics::SESSION_ID).and_then(|id| id.as_s().ok());
    let at = item.get(metrics::METRIC_TIMESTAMP).or_else(|| item.get(sessions::TIMESTAMP));
    let at_ms = at.and_then(|at| at.as_n().ok()).and_then(|text| thousandths(text));
    (session_id.map_or("", String::as_str), at_ms.unwrap_or_default())
}

/// Returns a decimal × 1,000, exactly.
fn thousandths(number: &str) -> Option<i64> {
    let sum: ivs_core::fixed::FixedSum = number.parse().ok()?;
    i64::try_from(sum.0 / 1_000).ok()
}

/// Puts entries in order.
///
/// # Errors
/// When there is no room for them.
pub(super) fn sorted(
    entries: impl Iterator<Item = io::Result<ItemEntry>>,
) -> io::Result<Merged<ItemEntry>> {
    let mut sorter = Sorter::new(MEMORY_BYTES);
    for entry in entries {
        sorter.push(entry?)?;
    }
    Sorter::merge([sorter])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back() {
        let entry = ItemEntry::new("s", -5, &serde_json::json!({ "a": { "N": "1" } }));
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        let back = ItemEntry::read(&bytes).unwrap();
        assert_eq!((back.key, back.is_required, back.item), (entry.key, true, entry.item));
        assert!(ItemEntry::read(&bytes[..12]).is_none());
    }

    #[test]
    fn sort_keys_keep_their_rank() {
        assert_eq!(thousandths("1750000000.02"), Some(1_750_000_000_020));
        assert_eq!(thousandths("0"), Some(0));
        assert_eq!(thousandths("x"), None);
    }
}
