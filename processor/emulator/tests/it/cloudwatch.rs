//! The contract of the embedded CloudWatch, told through the real SDK.

mod alarms;
mod bad_input;
mod metrics;
mod wires;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use ivs_emulator::{Clock, Config, Endpoint};

use crate::clients;

/// Where the tests' clock begins: 2026-03-01T12:00:00Z.
const START_S: i64 = 1_772_366_400;
const NAMESPACE: &str = "LiveStreaming/Metrics";

/// An endpoint whose time stands still unless a test moves it, and a client of it.
struct Local {
    endpoint: Endpoint,
    client: Client,
    clock: Clock,
}

impl Local {
    async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    async fn start_with(config: Config) -> Self {
        let clock = Clock::manual(u64::try_from(START_S * 1_000).unwrap());
        let endpoint = Endpoint::start(Config { clock: clock.clone(), ..config }).await.unwrap();
        let client = clients::cloudwatch(endpoint.url());
        Self { endpoint, client, clock }
    }

    async fn put(&self, data: Vec<MetricDatum>) {
        let request = self.client.put_metric_data().namespace(NAMESPACE);
        request.set_metric_data(Some(data)).send().await.unwrap();
    }

    /// Puts one value at a minute after the start.
    async fn put_at(&self, name: &str, minute: i64, value: f64) {
        self.put(vec![datum(name).value(value).timestamp(at(minute)).build()]).await;
    }

    /// Lets a minute pass and the alarms be evaluated.
    fn minute(&self) {
        self.clock.advance(60_000);
        self.tick();
    }

    fn tick(&self) {
        let (status, _) = clients::http(self.endpoint.url(), "POST /_local/tick HTTP/1.1", b"");
        assert_eq!(status, 200);
    }

    fn messages(&self) -> Vec<serde_json::Value> {
        let (_, body) = clients::http(self.endpoint.url(), "GET /_local/sns HTTP/1.1", b"");
        let report: serde_json::Value = serde_json::from_slice(&body).unwrap();
        report["topics"][0]["messages"].as_array().unwrap().clone()
    }
}

/// Returns a minute after the start.
fn at(minute: i64) -> DateTime {
    DateTime::from_secs(START_S + minute * 60)
}

fn datum(name: &str) -> aws_sdk_cloudwatch::types::builders::MetricDatumBuilder {
    MetricDatum::builder().metric_name(name).timestamp(at(0))
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}
