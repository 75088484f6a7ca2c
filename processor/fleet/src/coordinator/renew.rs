//! Heartbeats.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::MissedTickBehavior;

use super::Shared;
use super::held::{Held, Phase};

/// Heartbeats under way at once, as KCL's renewal threads.
const AT_ONCE: usize = 20;

/// Renews every held lease, each third of the failover time, until all is stopped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(shared.config.renew_interval_ms()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stopped.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let all = futures::stream::iter(shared.all_held());
        // A heartbeat that hangs must not keep the others waiting for their next one. If it was
        // stored after all, the next write to its row finds that out.
        let limit = ticks.period();
        let bounded = |held: Arc<Held>| {
            let renewal = renew(&shared, Arc::clone(&held));
            async move {
                tokio::time::timeout(limit, renewal).await.unwrap_or_else(|_| {
                    tracing::warn!(shard = %held.shard, "heartbeat took too long");
                    Some(format!("no answer in time for `{}`", held.shard))
                })
            }
        };
        let failures = all.map(bounded).buffer_unordered(AT_ONCE);
        let failed = failures
            .fold(None, |first: Option<String>, failed| std::future::ready(first.or(failed)))
            .await;
        shared.pulses.renew.beat(shared.config.clock.mono(), failed);
    }
}

/// Returns one heartbeat; returns what went wrong.
async fn renew(shared: &Shared, held: Arc<Held>) -> Option<String> {
    if held.lost.is_cancelled() {
        // In the hands of the application it stays known until the application lets go, so that
        // it is not taken anew meanwhile.
        if held.phase() != Phase::Running {
            shared.forget(&held);
        }
        return None;
    }
    // Another write is under way: it raises the counter just as well.
    let mut row = held.row_if_idle()?;
    let heartbeat = held.heartbeat(&row);
    match held.write(shared, &mut row, &heartbeat).await {
        Ok(_) => {
            shared.counters.count_renewal();
            None
        }
        Err(error) => {
            tracing::warn!(shard = %held.shard, %error, "heartbeat failed");
            Some(error.to_string())
        }
    }
}
