//! Rows that can never be written, kept as DynamoDB would have had them.

use bytes::Bytes;
use kinesis_model::{Position, ShardId};
use serde_json::json;

use crate::items::codec::Item;
use crate::items::json::to_json;

/// The partial that an epoch would have merged into a row.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// The row's table.
    pub table: String,
    /// Why it cannot be written.
    pub reason: String,
    /// The epoch's share, as a row of its own.
    pub share: Item,
}

/// Returns one JSON object a line: the epoch, the reason, and the item in DynamoDB's own JSON, so
/// that it can be put where it belongs once the cause is removed.
pub(super) fn body(shard: &ShardId, to: Position, rows: &[SetAside]) -> Bytes {
    // Puts run side by side; the second write of an epoch must be the same write.
    let mut lines: Vec<String> = rows.iter().map(|row| line(shard, to, row)).collect();
    lines.sort_unstable();
    lines.concat().into()
}

fn line(shard: &ShardId, to: Position, row: &SetAside) -> String {
    let line = json!({
        "shardId": shard.as_str(),
        "to": to.to_string(),
        "table": row.table,
        "reason": row.reason,
        "item": to_json(&row.share),
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;
    use aws_sdk_dynamodb::types::AttributeValue;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_row_is_kept_in_the_form_that_dynamodb_takes_back() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let share = Item::from([
            ("sessionId".to_owned(), text("st-1")),
            ("bytes".to_owned(), AttributeValue::B(Blob::new([255]))),
            ("list".to_owned(), AttributeValue::L(vec![AttributeValue::N("1".to_owned())])),
        ]);
        let row = SetAside { table: "t".to_owned(), reason: "r".to_owned(), share };
        let to = Position { sequence: 7_u128.into(), sub: 0 };
        let body = body(&ShardId::new("s"), to, &[row]);
        let line: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((line["to"].as_str(), line["table"].as_str()), (Some("7"), Some("t")));
        assert_eq!(line["item"]["sessionId"], json!({ "S": "st-1" }));
        assert_eq!(line["item"]["bytes"], json!({ "B": "/w==" }));
        assert_eq!(line["item"]["list"], json!({ "L": [{ "N": "1" }] }));
    }
}
