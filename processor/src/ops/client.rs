//! A GET to another worker's operations server: plain HTTP, one answer, bounded.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};

use crate::cloud::use_ring;

/// Connecting, asking and reading together. ECS gives a health check five seconds.
const TIMEOUT: Duration = Duration::from_secs(4);
/// A status with 20,000 leases has some 8 MB.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {reason}")]
pub struct GetError {
    url: String,
    reason: String,
}

/// Returns the answer to `GET url`, whatever its status.
///
/// # Errors
/// When the URL is not `http://HOST[:PORT]/…`, or no whole answer comes in time.
pub async fn get(url: &str) -> Result<(StatusCode, String), GetError> {
    let error = |reason: String| GetError { url: url.to_owned(), reason };
    match tokio::time::timeout(TIMEOUT, ask(url)).await {
        Ok(answer) => answer.map_err(error),
        Err(_) => Err(error(format!("no answer within {} s", TIMEOUT.as_secs()))),
    }
}

async fn ask(url: &str) -> Result<(StatusCode, String), String> {
    let url = url.parse::<Url>().ok().filter(|url| url.scheme() == "http");
    let url = url.ok_or("expected http://HOST:PORT")?;
    use_ring();
    let client = Client::builder().no_proxy().build().map_err(|error| cause(&error))?;
    let mut answer = client.get(url).send().await.map_err(|error| cause(&error))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| cause(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BODY_BYTES {
            return Err(format!("the answer exceeds {MAX_BODY_BYTES} bytes"));
        }
    }
    let body = String::from_utf8(bytes).map_err(|_| "the answer is not UTF-8")?;
    Ok((answer.status(), body))
}

/// Returns the innermost words of an error: those of the system.
fn cause(error: &dyn Error) -> String {
    let text = error.to_string();
    let words = || text.split(" (os error").next().unwrap_or_default().to_owned();
    error.source().map_or_else(words, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Ops;

    #[tokio::test]
    async fn it_reads_what_the_server_says() {
        let ops = Ops::start("127.0.0.1:0".parse().unwrap(), 1).await.unwrap();
        let get = async |path| get(&format!("http://{}{path}", ops.address())).await.unwrap();
        assert_eq!(get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(get("/nothing").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_named() {
        for (url, part) in
            [("https://x/", "http://"), ("ftp", "http://"), ("http://127.0.0.1:1/", "refused")]
        {
            let text = get(url).await.unwrap_err().to_string();
            assert!(text.contains(url) && text.contains(part), "{text}");
        }
    }
}
