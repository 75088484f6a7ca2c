//! A GET to another worker's operations server: plain HTTP, one answer, bounded.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

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
    let text = |error: &dyn std::error::Error| error.to_string();
    let uri: Uri = url.parse().map_err(|e| text(&e))?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.ok_or("expected http://HOST:PORT")?;
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(80);
    let socket = TcpStream::connect((host, port)).await.map_err(|e| text(&e))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(socket)).await.map_err(|e| text(&e))?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, authority.as_str()).body(String::new());
    let answer = sender.send_request(request.map_err(|e| text(&e))?).await.map_err(|e| text(&e))?;
    let status = answer.status();
    let body = read(answer.into_body()).await;
    driver.abort();
    Ok((status, body?))
}

async fn read(mut body: Incoming) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if bytes.len() > MAX_BODY_BYTES {
            return Err(format!("the answer exceeds {MAX_BODY_BYTES} bytes"));
        }
    }
    String::from_utf8(bytes).map_err(|_| "the answer is not UTF-8".to_owned())
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
