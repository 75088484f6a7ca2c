//! The messages of an epoch to the outside, after its rows are stored and before its commit.

use std::collections::HashMap;

use futures::StreamExt as _;
use ivs_core::emit::{
    ClosedRun, ComparedSpan, Datum, OLDEST_MS, account_datums, account_events, closed_runs,
    closed_window_datums, closed_window_events, minutes_needed, rule_events, session_datums,
    session_events, stored_datums, window_datums, windows_to_judge,
};
use ivs_core::epoch::Emission;
use ivs_core::session::SummaryAgg;
use ivs_schemas::domain::DomainEvent;
use kinesis_model::ShardId;

use super::outbox::Kind;
use super::patience::Patience;
use super::{SinkError, Sinks};

impl Sinks {
    /// Sends an epoch's metrics, `figures` about the processor among them, and its domain events.
    /// Entries that a service does not acknowledge in time go into the outbox.
    ///
    /// # Errors
    /// When rows that have to be judged cannot be read; nothing was sent then.
    pub async fn emit(
        &self,
        shard: &ShardId,
        emission: &Emission,
        figures: Vec<Datum>,
    ) -> Result<(), SinkError> {
        let of = (shard, emission.to);
        if self.outbox.has_epoch(shard, emission.to) {
            tracing::info!(%shard, to = %emission.to, "the epoch is in the outbox already");
            return Ok(());
        }
        let (datums, events) = self.build(shard, emission, figures).await?;
        let mut calls = self.metrics.calls(datums, emission.arrival);
        let mut entries = self.events.entries(&events);
        loop {
            // Metrics have a rate limit and may take minutes after a backlog; events do not wait
            // for it.
            let [for_metrics, for_events] = Kind::ALL.map(|kind| self.patience_for(shard, kind));
            let (metrics, events) = tokio::join!(
                self.metrics.try_send(calls, &for_metrics),
                self.events.try_send(entries, &for_events),
            );
            let refused = [metrics.refused, events.refused].concat();
            if !refused.is_empty() {
                let epoch = emission.to.to_string().replace('/', ".");
                self.objects.store_refused(shard, &epoch, emission.arrival, &refused).await?;
            }
            (calls, entries) = (metrics.waiting, events.waiting);
            if calls.is_empty() && entries.is_empty() {
                break;
            }
            for error in [metrics.error, events.error].into_iter().flatten() {
                tracing::warn!(%shard, %error, "not acknowledged, into the outbox");
                self.stats.note_error(format!("{error}, into the outbox"));
            }
            // What was acknowledged is not sent again: the epoch stays here until the rest is safe.
            match self.outbox.spill(of, calls.clone(), entries.clone()).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%shard, %error, "the outbox cannot be written, trying on");
                    self.stats.note_error(format!("the outbox cannot be written: {error}"));
                }
            }
        }
        self.judged.stand(shard, emission.to);
        Ok(())
    }

    /// None with a service that is away, or behind with this shard: what is older goes first.
    fn patience_for(&self, shard: &ShardId, kind: Kind) -> Patience {
        if self.outbox.is_behind(shard, kind) {
            Patience::none()
        } else {
            Patience::of(self.patience)
        }
    }

    async fn build(
        &self,
        shard: &ShardId,
        emission: &Emission,
        figures: Vec<Datum>,
    ) -> Result<(Vec<Datum>, Vec<DomainEvent>), SinkError> {
        let stored = &emission.stored;
        let summaries: HashMap<&str, &SummaryAgg> =
            stored.summaries.iter().map(|(id, agg)| (&**id, &**agg)).collect();
        let summary_of = |id: &str| summaries.get(id).copied();
        let mut datums = figures;
        datums.extend(window_datums(&emission.partials.metrics, &self.by_dimension));
        datums.extend(stored_datums(stored.metrics.iter().map(|(key, agg)| (key, &**agg))));
        datums.extend(session_datums(&stored.inserted, summary_of));
        datums.extend(account_datums(&emission.partials.account_facts));
        let mut events = session_events(&stored.inserted, summary_of);
        events.extend(account_events(&emission.partials.account_facts));

        let keys = emission.partials.metrics.iter().map(|(key, _)| key);
        let mut closed = Vec::new();
        for (session_id, start) in windows_to_judge(keys) {
            // CloudWatch would refuse the figure, and nobody wants to be told two weeks later.
            let old = start.0 < emission.arrival.0 - OLDEST_MS;
            let is_known = summary_of(&session_id).is_some();
            if is_known && !old && self.judged.claim(&session_id, start, (shard, emission.to)) {
                closed.push((session_id, start));
            }
        }
        let runs = closed_runs(closed, &self.rules);
        let mut found = std::pin::pin!(self.rows.runs(&runs).enumerate());
        while let Some((i, held)) = found.next().await {
            let (held, ClosedRun { session_id, starts, .. }) = (held?, &runs[i]);
            let Some(summary) = summary_of(session_id) else { continue };
            for start in starts.iter().copied() {
                let needed = minutes_needed(start, &self.rules);
                let of_window = held.rows.iter().filter(|(key, _)| needed.contains(&key.minute));
                let rows = || of_window.clone().map(|(key, row)| (key, row));
                let (previous, current) = ComparedSpan::pair(session_id, start, rows());
                datums.extend(closed_window_datums(&previous, &current, summary));
                events.extend(closed_window_events(&previous, &current, summary));
                events.extend(rule_events(&self.rules, session_id, start, rows(), summary));
            }
        }
        self.stats.channels.note(&datums, crate::clock::instant());
        Ok((datums, events))
    }
}
