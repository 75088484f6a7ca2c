//! Stored items, in DynamoDB's own JSON.

use ivs_processor::items::codec::{Item, ItemError};
use ivs_processor::items::{json, metric, summary};

/// Checks that an item is a row or refused by an attribute, and that a row that was read and
/// written stays as it is.
pub(crate) fn rows(data: &[u8]) {
    let Some(item) = item(data) else { return };
    stable(&item, |item| {
        let (key, row) = metric::decode(item)?;
        Ok(metric::encode(&key, &row, None))
    });
    stable(&item, |item| {
        let (session_id, row) = summary::decode(item)?;
        Ok(summary::encode(&session_id, &row, None))
    });
}

/// Returns the item of a text, if it is one.
pub(crate) fn item(data: &[u8]) -> Option<Item> {
    json::from_json(&serde_json::from_slice(data).ok()?)
}

/// Figures that follow from others are written as they follow from what was read, and what counts
/// for nothing is not written: the second writing is the one that stays.
fn stable(item: &Item, rewritten: impl Fn(&Item) -> Result<Item, ItemError>) {
    match rewritten(item) {
        Ok(first) => {
            let ours = "it was written by us";
            let second = rewritten(&first).expect(ours);
            let third = rewritten(&second).expect(ours);
            assert_eq!(json::to_json(&third), json::to_json(&second));
        }
        Err(error) => assert!(!error.attribute.is_empty() && !error.reason.is_empty(), "{error}"),
    }
}
