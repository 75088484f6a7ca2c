//! Metrics as OTLP, by HTTP and protobuf, to CloudWatch's OTLP endpoint or any OpenTelemetry
//! collector: the batches that PutMetricData would carry, each as one request.

mod encode;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::emit::DatumBatch;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use super::calls::{MetricCalls, NotTaken};
use crate::cloud::{Signer, is_aws, use_ring};
use crate::config;

/// As for the SDK's calls.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(8);
/// An answer says what was refused, in a sentence or two.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// OpenTelemetry's own variables, the closer one first.
const HEADER_VARIABLES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
/// The name by which CloudWatch's requests are signed.
const SERVICE: &str = "monitoring";

/// A receiver of OTLP. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Otlp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Client,
    url: Url,
    headers: HeaderMap,
    signer: Option<Signer>,
}

/// Why metrics cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be sent to `{url}`: {reason}")]
pub struct OtlpError {
    url: String,
    reason: String,
}

impl Otlp {
    /// Returns the configured receiver.
    ///
    /// # Errors
    /// When its URL or its headers cannot be used, or a region is missing to sign for.
    pub(super) fn new(metrics: &config::Metrics, aws: &config::Aws) -> Result<Self, OtlpError> {
        let error = |reason: String| OtlpError { url: metrics.otlp_url.clone(), reason };
        let url: Url = metrics.otlp_url.parse().map_err(|_| error("not a URL".to_owned()))?;
        use_ring();
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(|e| error(e.to_string()))?;
        let set = HEADER_VARIABLES.iter().find_map(|name| std::env::var(name).ok());
        let headers = headers(&set.unwrap_or_default()).map_err(error)?;
        let host = url.host_str().unwrap_or_default();
        let signer = if metrics.otlp_sign || is_aws(host) {
            Some(Signer::new(SERVICE, (url.as_str(), host), aws).map_err(error)?)
        } else {
            None
        };
        Ok(Self(Arc::new(Inner { http, url, headers, signer })))
    }

    /// Returns status, AWS's error code and the beginning of the body.
    async fn post(&self, body: Vec<u8>) -> Result<(StatusCode, Option<String>, Vec<u8>), String> {
        let Inner { http, url, headers, signer } = &*self.0;
        let mut request = http
            .post(url.clone())
            .headers(headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf");
        if let Some(signer) = signer {
            for (name, value) in signer.sign_post(url.as_str(), &body).await? {
                request = request.header(name, value);
            }
        }
        let mut answer = request.body(body).send().await.map_err(|error| cause(&error))?;
        let code = answer.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        let code = code.and_then(|code| code.split(':').next()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| cause(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        Ok((answer.status(), code, bytes))
    }
}

impl MetricCalls for Otlp {
    fn put<'a>(&'a self, batch: &'a DatumBatch) -> BoxFuture<'a, Result<(), NotTaken>> {
        let body = encode::request(batch).encode_to_vec();
        async move {
            let (status, code, body) = self.post(body).await.map_err(NotTaken::Away)?;
            judge(status, code.as_deref(), &body)
        }
        .boxed()
    }

    fn operation(&self) -> &'static str {
        "OTLP"
    }
}

/// Decides by an answer. As the protocol has it, 400 blames the data; where AWS gives a code, the code
/// decides, because credentials that have expired are no fault of the data.
fn judge(status: StatusCode, code: Option<&str>, body: &[u8]) -> Result<(), NotTaken> {
    if status.is_success() {
        // Not every receiver answers in protobuf, but whoever refuses a part does.
        let answer = ExportMetricsServiceResponse::decode(body).unwrap_or_default();
        let partial = answer.partial_success.unwrap_or_default();
        let points = u64::try_from(partial.rejected_data_points).unwrap_or(0);
        let reason = partial.error_message;
        return if points > 0 { Err(NotTaken::Partly { points, reason }) } else { Ok(()) };
    }
    let text: String = String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).collect();
    let text: String = text.chars().take(500).collect();
    let reason = format!("{status} {}: {text}", code.unwrap_or_default());
    let blames_data = match (status, code) {
        (StatusCode::PAYLOAD_TOO_LARGE, _)
        | (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, None) => true,
        (_, Some(code)) => aws_calls::code_blames_data(code),
        _ => false,
    };
    Err(if blames_data { NotTaken::Refused(reason) } else { NotTaken::Away(reason) })
}

/// Reads `name=value,name=value`, values percent-encoded, as OpenTelemetry's variables have them.
fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The value may be secret, so errors do not repeat it.
        let wrong = || format!("a header of {} is not name=value", HEADER_VARIABLES.join(" or "));
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8();
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let value = value.map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Returns the innermost words of an error: those of the system.
fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}
