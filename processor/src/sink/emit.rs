//! What an epoch says to the outside, after its rows are stored and before its commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use ivs_core::emit::{
    ClosedWindow, Datum, OLDEST_MS, account_datums, account_events, closed_window_datums,
    closed_window_events, minutes_needed, session_datums, session_events, stored_datums,
    window_datums, windows_to_judge,
};
use ivs_core::epoch::Emission;
use ivs_core::session::SummaryAgg;
use kinesis_model::EpochMs;

use super::{SinkError, Sinks};

/// The closed windows that a shard has judged already. Forgotten with its task, and then judged
/// again: a repeated maximum changes nothing, and its events have the same ids.
#[derive(Debug, Default)]
pub struct Judged(BTreeSet<(EpochMs, Arc<str>)>);

/// Windows remembered per shard. The oldest give way; a late record may then judge one again.
const MAX_JUDGED: usize = 20_000;

impl Judged {
    fn is_new(&mut self, session_id: &Arc<str>, start: EpochMs) -> bool {
        let new = self.0.insert((start, Arc::clone(session_id)));
        if self.0.len() > MAX_JUDGED {
            self.0.pop_first();
        }
        new
    }
}

impl Sinks {
    /// Sends an epoch's metrics, `figures` about the processor among them, and its domain events.
    ///
    /// # Errors
    /// When AWS does not acknowledge all of it.
    pub async fn emit(
        &self,
        emission: &Emission,
        figures: Vec<Datum>,
        judged: &mut Judged,
    ) -> Result<(), SinkError> {
        let summaries: HashMap<&str, &SummaryAgg> =
            emission.stored.summaries.iter().map(|(id, row)| (&**id, &row.agg)).collect();
        let summary_of = |id: &str| summaries.get(id).copied();
        let stored = &emission.stored;
        let mut datums = figures;
        datums.extend(window_datums(&emission.partials.metrics));
        datums.extend(stored_datums(stored.metrics.iter().map(|(key, row)| (key, &row.agg))));
        datums.extend(session_datums(&stored.inserted, summary_of));
        datums.extend(account_datums(&emission.partials.account_facts));
        let mut events = session_events(&stored.inserted, summary_of);
        events.extend(account_events(&emission.partials.account_facts));

        let keys = emission.partials.metrics.iter().map(|(key, _)| key);
        for (session_id, start) in windows_to_judge(keys) {
            // CloudWatch would refuse the figure, and nobody wants to be told two weeks later.
            let old = start.0 < emission.arrival.0 - OLDEST_MS;
            let Some(summary) = summary_of(&session_id) else { continue };
            if old || !judged.is_new(&session_id, start) {
                continue;
            }
            let rows = self.rows.minutes(&session_id, minutes_needed(start)).await?;
            let rows = rows.iter().map(|(key, row)| (key, &row.agg));
            let (previous, current) = ClosedWindow::pair(&session_id, start, rows);
            datums.extend(closed_window_datums(&previous, &current, summary));
            events.extend(closed_window_events(&previous, &current, summary));
        }
        self.stats.channels.note(&datums, Instant::now());
        // Metrics have a rate limit and may take minutes after a backlog; events do not wait for it.
        futures::try_join!(self.metrics.send(datums, emission.arrival), self.events.send(&events))?;
        Ok(())
    }
}
