//! Made-up traffic in real time: telemetry straight into the stream, IVS events over the bus, as
//! in an account.

use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use ivs_schemas::names;
use ivs_traffic::{BusEvent, Generator, GeneratorConfig, Ledger, Produced, Route, Sample};

use super::send::{MAX_RECORDS, Outgoing, PACE, put_events, put_records};
use crate::clock::now;
use crate::cloud::Clients;
use crate::config::Config;
use clap::Args;

/// The shape of made-up traffic.
#[derive(Args, Clone, Debug)]
pub struct TrafficArgs {
    /// Seed: the same seed makes the same channels, and with the same start the same traffic
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Channels, by Zipf popularity
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub channels: u32,
    /// Viewers over all channels, about
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub viewers: u32,
    /// Without the incidents that make alarms fire within the first minutes
    #[arg(long)]
    pub calm: bool,
}

/// Windows remembered by the ledger: two hours of a few hundred sessions.
pub const LEDGER_WINDOWS: usize = 100_000;

/// Returns the generator's settings for these arguments, starting now.
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

/// How long the made-up world has been running when the first line is sent: long enough that every
/// channel has its audience.
const WARM_UP_MS: i64 = 10 * 60_000;
/// A repeat comes at most 20 s after its original.
const REPEATS_MS: i64 = 20_000;

/// Returns a world that is in full swing by `now_ms`, and the facts of what is going on in it. What
/// players and encoders said before is skipped, and so are the repeats of it.
fn warm_up(traffic: &TrafficArgs, now_ms: i64) -> (Generator, Vec<Produced>) {
    let mut settings = generator(traffic);
    settings.start_ms = now_ms - WARM_UP_MS;
    settings.incidents_from_ms = (!traffic.calm).then_some(now_ms);
    let mut generator = Generator::new(settings);
    let mut facts = Vec::new();
    let mut until_ms = now_ms - WARM_UP_MS;
    while until_ms < now_ms {
        until_ms += 1_000;
        let produced = generator.next_batch(until_ms);
        facts.extend(produced.into_iter().filter(|line| line.sample == Sample::Fact));
    }
    (generator, facts)
}

/// Sends until `stop` is cancelled, and notes what was accepted in the ledger. `observe` sees it
/// too.
///
/// # Errors
/// When Kinesis or EventBridge refuses.
pub async fn run(
    clients: &Clients,
    config: &Config,
    traffic: &TrafficArgs,
    ledger: &Mutex<Ledger>,
    stop: &tokio_util::sync::CancellationToken,
    mut observe: impl FnMut(&[Produced]),
) -> anyhow::Result<()> {
    let started_ms = now().0;
    let (mut generator, mut produced) = warm_up(traffic, started_ms);
    while !stop.is_cancelled() {
        produced.extend(
            generator
                .next_batch(now().0)
                .into_iter()
                .filter(|line| !(line.is_duplicate && line.arrival_ms < started_ms + REPEATS_MS)),
        );
        deliver(clients, &config.stream.name, &produced).await?;
        note(ledger, &produced);
        observe(&produced);
        produced.clear();
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// Notes delivered lines in the ledger.
pub fn note(ledger: &Mutex<Ledger>, produced: &[Produced]) {
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    produced.iter().for_each(|line| ledger.record(line));
}

/// Delivers lines, each on its route.
///
/// # Errors
/// When Kinesis or EventBridge refuses.
pub async fn deliver(clients: &Clients, stream: &str, produced: &[Produced]) -> anyhow::Result<()> {
    let mut records = Vec::new();
    let mut events = Vec::new();
    for line in produced {
        match &line.route {
            Route::Stream => records.push(Outgoing {
                partition_key: line.partition_key.clone(),
                explicit_hash_key: None,
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
