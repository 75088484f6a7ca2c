//! The rows of a session and whose records they hold: the bookkeeping that is bytes in the table.

use std::collections::BTreeMap;

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use ivs_schemas::items::{metrics, sessions};
use serde::Serialize;

use crate::commands::DataError;
use crate::config::Tables;
use crate::items::codec::{Item, Reader, size_bytes, write_units};
use crate::items::pages;
use crate::printable::OneLine;

/// A merged row: how it lies in its table, and whose records it holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explained {
    table: String,
    sort_key: String,
    layout: Option<u32>,
    version: Option<u64>,
    bytes: usize,
    write_units: u64,
    /// Up to where the records of each shard are in it.
    shards: BTreeMap<String, String>,
}

/// Returns every merged row of a session.
///
/// # Errors
/// When a table cannot be read, or there is no such session.
pub(super) async fn session(
    dynamodb: &aws_sdk_dynamodb::Client,
    tables: &Tables,
    session_id: &str,
) -> anyhow::Result<Vec<Explained>> {
    let mut found = Vec::new();
    for (table, sort_key) in
        [(&tables.sessions, sessions::TIMESTAMP), (&tables.metrics, metrics::METRIC_TIMESTAMP)]
    {
        let rows = dynamodb
            .query()
            .table_name(table)
            .key_condition_expression("#id = :id")
            .expression_attribute_names("#id", metrics::SESSION_ID)
            .expression_attribute_values(":id", AttributeValue::S(session_id.to_owned()));
        pages::query(rows, |item| {
            if !item.contains_key(metrics::APPLIED) {
                return Ok(());
            }
            let key = item.get(sort_key).and_then(|key| key.as_n().ok());
            let key = key.map_or("?", String::as_str);
            found.push(explained(table, key, item).with_context(|| format!("at {key}"))?);
            Ok(())
        })
        .await?;
    }
    if found.is_empty() {
        return Err(DataError(format!(
            "no row of session `{}` in {} or {}; `sessions list` shows those there are",
            OneLine(session_id),
            tables.sessions,
            tables.metrics
        ))
        .into());
    }
    Ok(found)
}

fn explained(table: &str, key: &str, item: &Item) -> anyhow::Result<Explained> {
    let reader = Reader(item);
    let bytes = size_bytes(item);
    let shards = reader.applied()?;
    Ok(Explained {
        table: table.to_owned(),
        sort_key: key.to_owned(),
        layout: reader.number_if(metrics::SCHEMA_VERSION)?,
        version: reader.number_if(metrics::VERSION)?,
        bytes,
        write_units: write_units(bytes),
        shards: shards.iter().map(|(shard, to)| (shard.to_string(), to.to_string())).collect(),
    })
}

/// Writes the rows as people read them.
pub(super) fn text(rows: &[Explained]) -> String {
    let known = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let mut text = String::new();
    for row in rows {
        text += &format!(
            "{} {}  layout {}, written {} times, {} bytes, {} write units\n",
            row.table,
            row.sort_key,
            known(row.layout.map(u64::from)),
            known(row.version),
            row.bytes,
            row.write_units
        );
        for (shard, to) in &row.shards {
            text += &format!("  {shard}  up to {to}\n");
        }
    }
    text
}
