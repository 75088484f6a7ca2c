//! The events of closed windows into a file, as workers put them on the bus.

use std::io::Write as _;
use std::path::Path;

use ivs_core::emit::RowJudge;
use ivs_core::quality::Rule;
use serde_json::json;

use super::rows_out::write_whole;
use crate::printable;
use crate::replay::context::Computed;
use crate::replay::entry::SummaryPart;

/// Writes the events, by session and window, one `{"detail-type", "detail"}` a line; returns how many.
///
/// # Errors
/// When the rows cannot be read back, or the file cannot be written.
pub(super) fn write(computed: &mut Computed, rules: &[Rule], path: &Path) -> anyhow::Result<u64> {
    let Computed { metrics, summaries, .. } = computed;
    let mut judge = RowJudge::new(rules);
    let mut at: Option<SummaryPart> = None;
    let mut count = 0;
    write_whole(path, |out| {
        for row in metrics {
            let row = row?;
            let session_id = row.key.session_id.clone();
            // Both come sorted by session.
            while at.as_ref().is_none_or(|summary| summary.session_id < session_id) {
                let Some(next) = summaries.next().transpose()? else { break };
                at = Some(next);
            }
            let own = at.as_ref().filter(|summary| summary.session_id == session_id);
            for event in judge.add(row.key, row.agg, own.map(|summary| &summary.agg)) {
                let line = json!({ "detail-type": event.detail_type(), "detail": event });
                writeln!(out, "{}", printable::json(&line)?)?;
                count += 1;
            }
        }
        Ok(())
    })?;
    Ok(count)
}
