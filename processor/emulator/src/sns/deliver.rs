//! Delivers messages to `http` subscriptions on loopback.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::topics::{Message, Subscription};
use crate::clock::Clock;
use crate::service::Shared;

/// Deliveries that may wait; more are dropped with a warning.
const QUEUE_MAX: usize = 1_000;

/// AWS's default policy retries for about an hour; a machine's own listener is there or is not.
const ATTEMPTS_MAX: u32 = 4;
const RETRY_MS: u64 = 500;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The bearer of messages to their subscribers, one after the other.
#[derive(Debug)]
pub(super) struct Courier {
    queue: mpsc::Sender<Delivery>,
}

#[derive(Debug)]
struct Delivery {
    url: Uri,
    topic_arn: String,
    message_id: String,
    envelope: String,
}

impl Courier {
    /// Starts the deliveries, which end with the endpoint.
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Delivery>(QUEUE_MAX);
        let clock = shared.clock.clone();
        shared.spawn(async move {
            let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
            while let Some(delivery) = waiting.recv().await {
                deliver(&client, &clock, &delivery).await;
            }
        });
        Self { queue }
    }

    /// Queues a message for one subscription if that can be delivered to.
    pub(super) fn send(&self, subscription: &Subscription, message: &Message) {
        if subscription.protocol != "http" {
            return;
        }
        let Some(url) = loopback(&subscription.endpoint) else {
            tracing::debug!(endpoint = subscription.endpoint, "not on loopback, not delivered");
            return;
        };
        let envelope = serde_json::json!({
            "Type": "Notification",
            "MessageId": message.id,
            "TopicArn": message.topic_arn,
            "Subject": message.subject,
            "Message": message.body,
            "Timestamp": format!("{:.3}", Timestamp::from_millisecond(message.at_ms).unwrap_or_default()),
            "SignatureVersion": "1",
            "Signature": "",
            "SigningCertURL": "",
            "UnsubscribeURL": "",
        });
        let delivery = Delivery {
            url,
            topic_arn: message.topic_arn.clone(),
            message_id: message.id.clone(),
            envelope: envelope.to_string(),
        };
        if self.queue.try_send(delivery).is_err() {
            tracing::warn!(endpoint = subscription.endpoint, "the queue is full, not delivered");
        }
    }
}

/// Returns the address, if it is this machine's own.
fn loopback(endpoint: &str) -> Option<Uri> {
    let url: Uri = endpoint.parse().ok()?;
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
    let own = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    own.then_some(url)
}

async fn deliver(client: &Client<HttpConnector, Body>, clock: &Clock, delivery: &Delivery) {
    for attempt in 1..=ATTEMPTS_MAX {
        match attempt_once(client, delivery).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(url = %delivery.url, attempt, error, "not delivered yet"),
        }
        clock.sleep(RETRY_MS * u64::from(attempt)).await;
    }
    tracing::warn!(url = %delivery.url, message = delivery.message_id, "given up on a delivery");
}

async fn attempt_once(
    client: &Client<HttpConnector, Body>,
    delivery: &Delivery,
) -> Result<(), String> {
    let request = Request::post(delivery.url.clone())
        .header("content-type", "text/plain; charset=UTF-8")
        .header("user-agent", "Amazon Simple Notification Service Agent")
        .header("x-amz-sns-message-type", "Notification")
        .header("x-amz-sns-message-id", &delivery.message_id)
        .header("x-amz-sns-topic-arn", &delivery.topic_arn)
        .body(Body::from(delivery.envelope.clone()))
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(TIMEOUT, client.request(request)).await {
        Err(_) => Err("no answer in time".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(response)) if response.status().is_success() => Ok(()),
        Ok(Ok(response)) => Err(format!("answered {}", response.status())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_delivered_to() {
        assert!(loopback("http://127.0.0.1:9000/x").is_some());
        assert!(loopback("http://[::1]:9000/x").is_some());
        assert!(loopback("http://localhost/").is_some());
        for foreign in ["http://10.0.0.1/", "http://example.com/", "http:///", "/x", "::"] {
            assert!(loopback(foreign).is_none(), "{foreign}");
        }
    }
}
