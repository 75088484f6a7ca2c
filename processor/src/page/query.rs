//! The channels that CloudWatch knows, and their rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_calls::{Pages, explain};
use aws_sdk_cloudwatch::types::{DimensionFilter, RecentlyActive};
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use ivs_schemas::catalogue::{CHANNEL_ID, metrics};
use ivs_schemas::names::CHANNEL_INDEX;

use super::minute::ATTRIBUTES;
use super::room::{Room, WHILE_THEY_LOOK};
use crate::items::codec::Item;

/// Channels that are read: the busiest, if there are more.
pub(super) const MAX_CHANNELS: usize = 200;

/// Returns the channels that sent metrics within three hours, by CloudWatch.
///
/// # Errors
/// In the user's words, when CloudWatch does not answer.
pub(super) async fn channels(room: &Room) -> Result<Vec<Arc<str>>, String> {
    let mut found = BTreeSet::new();
    for metric in [metrics::CURRENT_VIEWERS, metrics::ACTIVE_PLAYERS] {
        let request = room
            .clients
            .cloudwatch
            .list_metrics()
            .namespace(metric.namespace.as_str())
            .metric_name(metric.name)
            .dimensions(DimensionFilter::builder().name(CHANNEL_ID).build())
            .recently_active(RecentlyActive::Pt3H);
        let mut pages = Pages::new(WHILE_THEY_LOOK, |token| {
            let page = request.clone().set_next_token(token).send();
            async { page.await.map(|page| (page.metrics, page.next_token)) }
        });
        while found.len() < MAX_CHANNELS {
            let page = pages.next().await;
            let page = page.map_err(|error| {
                format!("CloudWatch does not list channels: {}", explain(&error))
            })?;
            let Some(metrics) = page else { break };
            for metric in metrics.into_iter().flatten() {
                let dimensions = metric.dimensions.unwrap_or_default();
                found.extend(dimensions.into_iter().filter_map(|d| d.value).map(Arc::from));
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns the rows of a channel from a minute on.
///
/// # Errors
/// In the user's words, when the table does not answer.
pub(super) async fn rows(room: &Room, channel: &str, from_s: i64) -> Result<Vec<Item>, String> {
    let table = &room.config.tables.metrics;
    let names = ATTRIBUTES.iter().enumerate().map(|(at, name)| (format!("#p{at}"), *name));
    let projection: Vec<_> = names.clone().map(|(placeholder, _)| placeholder).collect();
    let mut query = room
        .clients
        .dynamodb
        .query()
        .table_name(table)
        .index_name(CHANNEL_INDEX)
        .key_condition_expression("#p2 = :channel AND #p1 >= :from")
        .projection_expression(projection.join(", "))
        .expression_attribute_values(":channel", S(channel.to_owned()))
        .expression_attribute_values(":from", N(from_s.to_string()))
        .scan_index_forward(false);
    for (placeholder, name) in names {
        query = query.expression_attribute_names(placeholder, name);
    }
    // The latest page is enough: a megabyte holds more than the trend of a channel.
    let page = query.send().await;
    let page = page.map_err(|error| format!("cannot read {table}: {}", explain(&error)))?;
    Ok(page.items.unwrap_or_default())
}
