//! Made-up traffic in real time: telemetry straight into the stream, IVS events over the bus, as
//! in an account.

use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use ivs_local::generate::{BusEvent, Generator, GeneratorConfig, Ledger, Produced, Route};
use ivs_schemas::names;

use super::send::{MAX_RECORDS, Outgoing, PACE, put_events, put_records};
use crate::aws::Clients;
use crate::cli::TrafficArgs;
use crate::clock::now;
use crate::config::Config;

/// Windows remembered by the ledger: two hours of a few hundred sessions.
pub const LEDGER_WINDOWS: usize = 100_000;

/// The generator's settings for these arguments, starting now.
#[must_use]
pub fn generator(traffic: &TrafficArgs) -> GeneratorConfig {
    GeneratorConfig {
        seed: traffic.seed,
        channels: traffic.channels,
        viewers: traffic.viewers,
        start_ms: now().0,
        ..GeneratorConfig::default()
    }
}

/// Sends until it is dropped, and notes what was accepted in the ledger. Dropped in the middle of
/// a call, the ledger does not know what became of it; `sending` tells.
///
/// # Errors
/// When Kinesis or EventBridge refuses.
pub async fn run(
    clients: &Clients,
    config: &Config,
    traffic: &TrafficArgs,
    ledger: &Mutex<Ledger>,
    stop: &tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    let mut generator = Generator::new(generator(traffic));
    while !stop.is_cancelled() {
        let produced = generator.next_batch(now().0);
        deliver(clients, &config.stream.name, &produced).await?;
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        produced.iter().for_each(|line| ledger.record(line));
        drop(ledger);
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// Delivers lines, each on its route.
///
/// # Errors
/// When Kinesis or EventBridge refuses.
pub async fn deliver(
    clients: &Clients,
    stream: &str,
    produced: &[Produced],
) -> anyhow::Result<()> {
    let mut records = Vec::new();
    let mut events = Vec::new();
    for line in produced {
        match &line.route {
            Route::Stream => records.push(Outgoing {
                partition_key: line.partition_key.clone(),
                data: line.line.clone(),
            }),
            Route::EventBus(event) => events.push(entry(event)),
        }
    }
    for records in records.chunks(MAX_RECORDS) {
        put_records(&clients.kinesis, stream, records).await.context("sending telemetry")?;
    }
    put_events(&clients.eventbridge, events).await.context("sending IVS events")
}

fn entry(event: &BusEvent) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .event_bus_name(names::SERVICE_BUS)
        .source(&event.source)
        .detail_type(event.detail_type)
        .set_resources(Some(event.resources.clone()))
        .detail(&event.detail)
        .time(DateTime::from_millis(event.time_ms))
        .build()
}
