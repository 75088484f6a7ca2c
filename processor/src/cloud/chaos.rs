//! Faults on purpose, between the SDK's clients and the endpoint. For tests.
//!
//! [`FaultyClient`] wraps the HTTP client that the SDK uses. Each call is numbered, and the seed
//! and its number alone decide what becomes of it, so that a run can be told again as far as its
//! calls come in the same order.

mod reply;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use seeded::Rng;

use crate::config::Chaos;
use reply::{Operation, Refusal};

/// The longest delay: well above a heartbeat's patience, below that of an effect.
const DELAY_MAX_MS: u64 = 2_000;

/// The fate of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It goes through.
    Spared,
    /// It never reaches the endpoint, and no answer comes.
    LostRequest,
    /// It is carried out, and no answer comes.
    LostReply,
    /// It goes through, this much later.
    Delayed(Duration),
    /// The endpoint's error, without the endpoint.
    Refused(Refusal),
    /// The connection is reset before it is sent.
    Reset,
}

/// The judge of fates.
#[derive(Debug)]
struct Plan {
    chaos: Chaos,
    calls: AtomicU64,
}

impl Plan {
    fn next(&self, operation: &Operation) -> Fate {
        self.fate(self.calls.fetch_add(1, Relaxed), operation)
    }

    fn fate(&self, call: u64, operation: &Operation) -> Fate {
        let mut chance = Rng::new(self.chaos.seed ^ seeded::mix(call));
        let mut left = chance.below(100);
        let delay = Duration::from_millis(chance.below(DELAY_MAX_MS));
        let kinds = [
            Fate::LostRequest,
            Fate::LostReply,
            Fate::Delayed(delay),
            Fate::Refused(Refusal::Throttled),
            Fate::Refused(Refusal::Internal),
            Fate::Reset,
        ];
        for (kind, percent) in kinds.into_iter().zip(self.chaos.rates()) {
            match left.checked_sub(u64::from(percent)) {
                None => return kind,
                Some(rest) => left = rest,
            }
        }
        let expires = chance.chance(u64::from(self.chaos.expired_iterators_percent));
        if expires && operation.is_get_records() {
            return Fate::Refused(Refusal::ExpiredIterator);
        }
        Fate::Spared
    }
}

/// An HTTP client some of whose calls fail. Its connectors share one count of calls.
#[derive(Clone, Debug)]
pub struct FaultyClient {
    inner: SharedHttpClient,
    plan: Arc<Plan>,
}

impl FaultyClient {
    /// Puts the faults of `chaos` in front of `inner`.
    #[must_use]
    pub fn new(inner: SharedHttpClient, chaos: &Chaos) -> Self {
        let plan = Arc::new(Plan { chaos: chaos.clone(), calls: AtomicU64::new(0) });
        Self { inner, plan }
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { inner, plan: Arc::clone(&self.plan) })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }
}

#[derive(Debug)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    plan: Arc<Plan>,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = Operation::of(&request);
        let fate = self.plan.next(&operation);
        if fate != Fate::Spared {
            tracing::debug!(?operation, ?fate, "a call meets its fate");
        }
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            match fate {
                Fate::Spared => inner.call(request).await,
                Fate::LostRequest => Err(no_answer()),
                Fate::LostReply => {
                    // Headers come after the effect: the endpoint has done what it was asked to.
                    drop(inner.call(request).await?);
                    Err(no_answer())
                }
                Fate::Delayed(delay) => {
                    tokio::time::sleep(delay).await;
                    inner.call(request).await
                }
                Fate::Refused(refusal) => Ok(operation.answer(refusal)),
                Fate::Reset => {
                    Err(ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into()))
                }
            }
        })
    }
}

/// Returns what the HTTP client says when its patience ends; waiting for that would only cost time.
fn no_answer() -> ConnectorError {
    ConnectorError::timeout("no answer, on purpose".into())
}
