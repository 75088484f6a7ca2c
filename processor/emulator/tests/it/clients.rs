//! Real SDK clients for an endpoint, and a bare HTTP client for what no SDK would send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Defines clients that never retry, so that every error is seen. The SDK's crates have no common
/// builder.
macro_rules! clients {
    ($($name:ident: $sdk:ident;)+) => {$(
        pub(crate) fn $name(url: &str) -> $sdk::Client {
            use $sdk::config::retry::RetryConfig;
            use $sdk::config::{BehaviorVersion, Credentials, Region};
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .endpoint_url(url)
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .retry_config(RetryConfig::disabled())
                .build();
            $sdk::Client::from_conf(config)
        }
    )+};
}

clients! {
    kinesis: aws_sdk_kinesis;
    dynamodb: aws_sdk_dynamodb;
    cloudwatch: aws_sdk_cloudwatch;
    eventbridge: aws_sdk_eventbridge;
    ivs: aws_sdk_ivs;
}

/// Returns the code of the error that a call must have ended with.
pub(crate) fn code<T, E>(result: Result<T, E>) -> String
where
    T: std::fmt::Debug,
    E: aws_sdk_kinesis::error::ProvideErrorMetadata,
{
    result.expect_err("the call must be refused").code().unwrap_or("none").to_owned()
}

/// Returns one request over a connection of its own; returns status and body. Blocks.
pub(crate) fn http(url: &str, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let host = url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head =
        format!("{head}\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let start = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    (status, answer[start..].to_vec())
}
