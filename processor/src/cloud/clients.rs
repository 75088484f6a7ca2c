//! SDK clients: one HTTP client, one region, endpoints from the configuration or the environment.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
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
    /// IVS, which tells of its streams.
    pub ivs: aws_sdk_ivs::Client,
}

/// A request that takes longer is given up and tried again; KCL's DynamoDB timeout is 60 s, far
/// beyond any lease we could still hold.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an instance's own service may take to answer.
const PATIENCE: Duration = Duration::from_millis(450);
/// How long a source of credentials may take that is configured, such as a program or a sign-in.
const PATIENCE_WITH_SOURCES: Duration = Duration::from_secs(20);
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Any of these says where credentials come from.
const CREDENTIAL_VARIABLES: [&str; 8] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
];
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
        ivs: aws_sdk_ivs::Client::new(&sdk),
    }
}

fn http_client(aws: &config::Aws) -> SharedHttpClient {
    if is_plain(&endpoint(aws)) {
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
    let endpoint = endpoint(aws);
    let is_local = is_plain(&endpoint);
    if !aws.region.is_empty() {
        loader = loader.region(Region::new(aws.region.clone()));
    } else if is_local && !is_set(&REGION_VARIABLES) {
        loader = loader.region(Region::new(ivs_schemas::names::LOCAL_REGION));
    }
    if !endpoint.is_empty() {
        loader = loader.endpoint_url(endpoint);
    }
    if is_local && !is_set(&["AWS_ACCESS_KEY_ID"]) {
        loader = loader.credentials_provider(aws_credential_types::Credentials::new(
            LOCAL_KEY, LOCAL_KEY, None, None, LOCAL_KEY,
        ));
    }
    loader.load().await
}

/// Returns the endpoint of all services: the configured one, else what `AWS_ENDPOINT_URL` says;
/// empty is AWS.
pub(crate) fn endpoint(aws: &config::Aws) -> String {
    if aws.endpoint_url.is_empty() {
        std::env::var("AWS_ENDPOINT_URL").unwrap_or_default()
    } else {
        aws.endpoint_url.clone()
    }
}

/// Returns the region that the environment names.
pub(super) fn region_variable() -> Option<String> {
    let set = |name: &&str| std::env::var(name).ok().filter(|region| !region.is_empty());
    REGION_VARIABLES.iter().find_map(set)
}

fn is_set(variables: &[&str]) -> bool {
    variables.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Why AWS cannot be asked anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSetUp {
    /// No source of credentials is there, or it gives none.
    #[error(
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for the \
         embedded AWS say --endpoint-url http://127.0.0.1:4566"
    )]
    Credentials,
    /// No region is there.
    #[error("no AWS region: set AWS_REGION, or aws.region in the configuration")]
    Region,
}

/// Finds out whether there are credentials and a region, before anything waits for an answer that
/// cannot come. Where nothing but an instance's own service could give them, it has a second.
///
/// # Errors
/// Names what is missing, and the variables that give it.
pub(crate) async fn are_set_up(aws: &config::Aws) -> Result<(), NotSetUp> {
    let patience = if is_configured() { PATIENCE_WITH_SOURCES } else { PATIENCE };
    let has_region = !aws.region.is_empty() || is_set(&REGION_VARIABLES);
    let loaded = tokio::time::timeout(patience, sdk_config(aws, http_client(aws))).await;
    let Ok(sdk) = loaded else {
        return Err(if has_region { NotSetUp::Credentials } else { NotSetUp::Region });
    };
    if sdk.region().is_none() {
        return Err(NotSetUp::Region);
    }
    let Some(provider) = sdk.credentials_provider() else { return Err(NotSetUp::Credentials) };
    match tokio::time::timeout(patience, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(NotSetUp::Credentials),
    }
}

/// Returns whether something says where credentials come from.
fn is_configured() -> bool {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let has_profiles = home.is_some_and(|home| {
        ["credentials", "config"].iter().any(|name| home.join(".aws").join(name).exists())
    });
    has_profiles || is_set(&CREDENTIAL_VARIABLES)
}

/// Returns whether an endpoint is plain HTTP, as only those are that were named so; AWS itself is
/// always TLS.
pub(crate) fn is_plain(endpoint_url: &str) -> bool {
    endpoint_url.starts_with("http://")
}
