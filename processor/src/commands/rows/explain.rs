//! The rows of a session and whose records they hold: the bookkeeping that is bytes in the table.

use std::fmt::Write as _;

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use ivs_schemas::items::{metrics, sessions};

use crate::config::Tables;
use crate::items::codec::{Item, Reader, size_bytes, write_units};
use crate::items::pages;

/// Describes every merged row of a session: size, layout, version, and up to where each shard's
/// records are in it.
///
/// # Errors
/// When a table cannot be read, or there is no such session.
pub(super) async fn session(
    dynamodb: &aws_sdk_dynamodb::Client,
    tables: &Tables,
    session_id: &str,
) -> anyhow::Result<String> {
    let mut text = String::new();
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
            describe(&mut text, table, key, item).with_context(|| format!("at {key}"))
        })
        .await?;
    }
    anyhow::ensure!(
        !text.is_empty(),
        "no row of session `{session_id}` in {} or {}",
        tables.sessions,
        tables.metrics
    );
    Ok(text)
}

fn describe(text: &mut String, table: &str, key: &str, item: &Item) -> anyhow::Result<()> {
    let reader = Reader(item);
    let (layout, version): (Option<u32>, Option<u64>) =
        (reader.number_if(metrics::SCHEMA_VERSION)?, reader.number_if(metrics::VERSION)?);
    let bytes = size_bytes(item);
    let known = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    writeln!(
        text,
        "{table} {key}  layout {}, written {} times, {bytes} bytes, {} write units",
        known(layout.map(u64::from)),
        known(version),
        write_units(bytes)
    )?;
    for (shard, to) in reader.applied()? {
        writeln!(text, "  {shard}  up to {to}")?;
    }
    Ok(())
}
