//! The services of one run, and what every case finds there.

use std::time::Duration;

use aws_sdk_kinesis::types::StreamStatus;
use ivs_processor::cloud::Clients;

use super::answers::{Failed, Wanted as _};
use super::{dynamodb, eventbridge};

/// How often a stream is looked at until it is active, and how long between two looks.
const LOOKS: u32 = 400;
const LOOK: Duration = Duration::from_millis(50);
/// `kinesis-local` needs seconds for megabytes, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the time, which the services look up as well.
#[expect(clippy::disallowed_methods, reason = "no logic of the program depends on it")]
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The services that a suite asks.
pub(crate) struct World {
    pub(super) kinesis: aws_sdk_kinesis::Client,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(super) eventbridge: aws_sdk_eventbridge::Client,
}

impl World {
    /// Creates the table and the bus that the cases share; each makes the streams that it needs.
    ///
    /// # Panics
    /// When they cannot be created.
    pub(crate) async fn new(clients: Clients) -> Self {
        let Clients { kinesis, dynamodb, cloudwatch, eventbridge, .. } = clients;
        let patient = kinesis.config().to_builder().timeout_config(aws_calls::bounded(PATIENCE));
        let kinesis = aws_sdk_kinesis::Client::from_conf(patient.build());
        let world = Self { kinesis, dynamodb, cloudwatch, eventbridge };
        dynamodb::create_table(&world, dynamodb::TABLE).await.expect("a table");
        eventbridge::create_bus(&world).await.expect("a bus");
        world
    }

    /// Creates a stream and waits until it is active.
    pub(super) async fn create_stream(&self, name: &str, shards: i32) -> Result<(), Failed> {
        self.kinesis.create_stream().stream_name(name).shard_count(shards).send().await?;
        self.wait_until_active(name).await
    }

    /// Waits until a stream is active.
    pub(super) async fn wait_until_active(&self, name: &str) -> Result<(), Failed> {
        for _ in 0..LOOKS {
            let described = self.kinesis.describe_stream_summary().stream_name(name).send().await?;
            let summary = described.stream_description_summary.wanted("summary")?;
            if summary.stream_status == StreamStatus::Active {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        None.wanted("stream that is active at last")
    }
}
