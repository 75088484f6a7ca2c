//! The tables as the archive says they should be.

use std::io;
use std::sync::Arc;

use ivs_core::row::Row;
use ivs_core::session::{Milestone, SummaryAgg, milestones};
use ivs_core::window::WindowKey;
use ivs_schemas::items::sessions;
use serde_json::{Value, json};

use super::stored::{ItemEntry, sorted};
use crate::config::Tables;
use crate::items::json::to_json;
use crate::items::{expiry, metric, summary, timeline};
use crate::replay::context::Unit;
use crate::replay::entry::{FactPart, MetricPart, SummaryPart};
use crate::replay::sorter::Merged;
use crate::replay::units::{applied, origin};

/// Returns the rows of the metrics table, by key.
pub(super) fn metrics<'a>(
    parts: Merged<MetricPart>,
    units: &'a [Unit],
    tables: &'a Tables,
) -> impl Iterator<Item = io::Result<ItemEntry>> + 'a {
    parts.map(|part| {
        let MetricPart { key, agg, stamps } = part?;
        let row = Row { agg, applied: applied(units, &stamps), version: 0 };
        let WindowKey { session_id, minute } = &key;
        let expires_at_s = expiry::of_row(minute.start_s(), tables);
        let item = to_json(&metric::encode(&key, &row, expires_at_s));
        Ok(ItemEntry::new(session_id, minute.start_s() * 1_000, &item))
    })
}

/// Returns the items of the sessions table, by key: summaries, milestones and timelines.
///
/// # Errors
/// When there is no room to sort them.
pub(super) fn sessions(
    summaries: Merged<SummaryPart>,
    facts: Merged<FactPart>,
    units: &[Unit],
    tables: &Tables,
) -> io::Result<Merged<ItemEntry>> {
    let of_sessions = summaries.flat_map(|part| match part {
        Ok(part) => of_session(&part, units, tables).into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    let of_facts = facts.map(|part| {
        let part = part?;
        let mut item: Value = serde_json::from_str(&part.item)?;
        item[sessions::ORIGIN] = json!({ "S": origin(units, part.stamp) });
        Ok(ItemEntry::new(&part.key.0, part.key.1, &item))
    });
    sorted(of_sessions.chain(of_facts))
}

fn of_session(part: &SummaryPart, units: &[Unit], tables: &Tables) -> Vec<ItemEntry> {
    let row = Row { agg: part.agg.clone(), applied: applied(units, &part.stamps), version: 0 };
    let id = &part.session_id;
    let mut entries = vec![ItemEntry::new(
        id,
        0,
        &to_json(&summary::encode(id, &row, expiry::of_summary(&part.agg, tables))),
    )];
    let is_required = required(id, &part.agg);
    // Of a session with facts any milestone may have been reached on the way.
    if !part.agg.lifecycle.is_empty() {
        for step in [Milestone::Started, Milestone::Ended, Milestone::Failed] {
            let item = to_json(&timeline::encode(
                &step.item(id),
                "",
                expiry::of_milestone(&part.agg, tables),
            ));
            let mut entry = ItemEntry::new(id, step.sort_key_ms(), &item);
            entry.is_required = is_required.contains(&step);
            entries.push(entry);
        }
    }
    entries
}

/// Returns the milestones that must have been reached when the last fact came. Telemetry can turn a
/// failed session into one that ended, so only those count that the facts alone tell.
fn required(session_id: &Arc<str>, agg: &SummaryAgg) -> Vec<Milestone> {
    let facts = SummaryAgg { telemetry: Default::default(), ..agg.clone() };
    let reached = milestones(session_id, agg, agg);
    let steps = reached.iter().filter_map(Milestone::of);
    steps.filter(|step| step.is_reached(&facts)).collect()
}
