//! SDK clients: one HTTP client, one region, endpoints from the configuration or the environment.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::time::Duration;

use crate::config;

/// The clients of the program. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The stream.
    pub kinesis: aws_sdk_kinesis::Client,
    /// Rows and leases.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Metrics.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// Domain events.
    pub eventbridge: aws_sdk_eventbridge::Client,
}

/// A request that takes longer is given up and tried again; KCL's DynamoDB timeout is 60 s, far
/// beyond any lease we could still hold.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Key and secret where nothing checks them.
pub(crate) const LOCAL_KEY: &str = "local";

/// Builds the clients. Credentials come from the SDK's chain (environment, profile, container,
/// instance); a loopback endpoint without any gets fixed ones, because nothing checks them there.
pub async fn clients(aws: &config::Aws) -> Clients {
    build(aws, http_client(aws)).await
}

/// As [`clients`], with the faults of the configuration between them and the endpoint. For tests:
/// without a rate there is nothing between, and [`config::Config::problems`] refuses rates without
/// an endpoint.
pub async fn clients_with_faults(aws: &config::Aws, chaos: &config::Chaos) -> Clients {
    let http = http_client(aws);
    #[cfg(feature = "chaos")]
    if chaos.is_on() && !aws.endpoint_url.is_empty() {
        tracing::warn!(?chaos, "calls fail on purpose");
        let faulty = super::chaos::FaultyClient::new(http, chaos);
        return build(aws, SharedHttpClient::new(faulty)).await;
    }
    #[cfg(not(feature = "chaos"))]
    debug_assert!(!chaos.is_on(), "Config::problems refuses rates in a build without faults");
    build(aws, http).await
}

pub(crate) async fn build(aws: &config::Aws, http: SharedHttpClient) -> Clients {
    let sdk = sdk_config(aws, http).await;
    let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(&sdk);
    if !aws.dynamodb_endpoint_url.is_empty() {
        dynamodb = dynamodb.endpoint_url(&aws.dynamodb_endpoint_url);
    }
    let mut kinesis = aws_sdk_kinesis::config::Builder::from(&sdk);
    if !aws.kinesis_endpoint_url.is_empty() {
        kinesis = kinesis.endpoint_url(&aws.kinesis_endpoint_url);
    }
    Clients {
        kinesis: aws_sdk_kinesis::Client::from_conf(kinesis.build()),
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        cloudwatch: aws_sdk_cloudwatch::Client::new(&sdk),
        eventbridge: aws_sdk_eventbridge::Client::new(&sdk),
    }
}

fn http_client(aws: &config::Aws) -> SharedHttpClient {
    if is_plain(&aws.endpoint_url) {
        return Builder::new().build_http();
    }
    https_client()
}

/// Returns a client for AWS itself.
pub(super) fn https_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

async fn sdk_config(aws: &config::Aws, http: SharedHttpClient) -> SdkConfig {
    // Retries are ours (bounded, counted, jittered); the SDK's would multiply them.
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        );
    loader = loader.http_client(http);
    if !aws.region.is_empty() {
        loader = loader.region(Region::new(aws.region.clone()));
    }
    if !aws.endpoint_url.is_empty() {
        loader = loader.endpoint_url(&aws.endpoint_url);
    }
    if is_plain(&aws.endpoint_url) && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        loader = loader.credentials_provider(aws_credential_types::Credentials::new(
            LOCAL_KEY, LOCAL_KEY, None, None, LOCAL_KEY,
        ));
        if aws.region.is_empty() && std::env::var_os("AWS_REGION").is_none() {
            loader = loader.region(Region::new(ivs_schemas::names::LOCAL_REGION));
        }
    }
    loader.load().await
}

/// Plain HTTP goes to endpoints that were named so; AWS itself is always TLS.
pub(crate) fn is_plain(endpoint_url: &str) -> bool {
    endpoint_url.starts_with("http://")
}
