//! The listener: a handful of small answers over HTTP/1.1, one request a connection. Everything a
//! client can make it hold is bounded.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::openmetrics::Format;
use super::probe::{self, Signs};
use super::site::Body;
use super::state::OpsState;
use super::{metrics, status};

/// A probe, a scraper and a few people, and room for those who connect and say nothing. At the
/// limit the oldest connection goes: who asks is answered within milliseconds.
const MAX_CONNECTIONS: usize = 128;
/// hyper's smallest buffer; longer request heads are refused with 431.
const MAX_HEAD_BYTES: usize = 8_192;
/// Headers of one request.
const MAX_HEADERS: usize = 64;
/// How long connections last.
const LIMITS: Limits =
    Limits { connection: Duration::from_secs(10), stream: Duration::from_secs(600) };
/// For the request's head alone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

const PATHS: &str = "/healthz\n/readyz\n/metrics\n/status\n";
const WRONG_HOST: &str = "this name is not known here; use an address, or add it to ops.hosts\n";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// How long connections last at most.
#[derive(Clone, Copy)]
struct Limits {
    /// From accepting one to its end: slower clients are cut.
    connection: Duration,
    /// One that is sent events lasts this much longer, and is asked for again by the browser. The page
    /// bounds how many there are.
    stream: Duration,
}

/// Accepts connections for ever. Dropping the future cuts them.
pub(super) async fn accept(listener: TcpListener, state: Arc<OpsState>) {
    let mut connections = JoinSet::new();
    // In the order of their coming; those that are over are dropped at the limit.
    let mut order: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    if order.len() >= MAX_CONNECTIONS {
                        order.retain(|connection| !connection.is_finished());
                    }
                    if order.len() >= MAX_CONNECTIONS
                        && let Some(oldest) = order.pop_front()
                    {
                        oldest.abort();
                    }
                    order.push_back(connections.spawn(serve(socket, Arc::clone(&state), LIMITS)));
                }
                Err(error) => {
                    // Out of file handles, most likely: wait for connections to close.
                    tracing::warn!(%error, "the operations server cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

async fn serve(socket: TcpStream, state: Arc<OpsState>, limits: Limits) {
    let here = socket.local_addr().ok();
    let is_stream = &AtomicBool::new(false);
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let answer = if is_host_allowed(&request, &state.hosts) {
                respond(&request, here, &state, limits.stream).await
            } else {
                let refused = WRONG_HOST.to_owned();
                reply(StatusCode::MISDIRECTED_REQUEST, TEXT, refused).map(Body::from)
            };
            is_stream.store(matches!(answer.body(), Body::Events(_)), Relaxed);
            Ok::<_, io::Error>(answer)
        }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    let mut ended = tokio::time::timeout(limits.connection, &mut connection).await;
    if ended.is_err() && is_stream.load(Relaxed) {
        ended = tokio::time::timeout(limits.stream, connection).await;
    }
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operations connection ended"),
        Err(_) => tracing::debug!("an operations connection took too long and was cut"),
    }
}

/// Returns whether a request names this server by an address, as this machine, or by a name that
/// the configuration allows. A page of another site, whose name was made to lead here, names that
/// site.
fn is_host_allowed<B>(request: &Request<B>, names: &[String]) -> bool {
    let Some(host) = request.headers().get(header::HOST) else {
        // Only HTTP/1.0 may leave it out, and no browser speaks that.
        return request.version() == Version::HTTP_10;
    };
    let uri = host.to_str().ok().and_then(|host| host.parse::<Uri>().ok());
    let Some(name) = uri.as_ref().and_then(Uri::host) else { return false };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

/// The page's paths are the page's, where it is served.
async fn respond(
    request: &Request<Incoming>,
    here: Option<SocketAddr>,
    state: &OpsState,
    lasting: Duration,
) -> Response<Body> {
    let path = request.uri().path();
    match (state.page.get(), here) {
        (Some(page), Some(here)) if page.has(path) => page.answer(request, here, lasting).await,
        _ => {
            let accept = request.headers().get(header::ACCEPT);
            let accept = accept.and_then(|value| value.to_str().ok());
            answer(request.method(), path, accept, state).map(Body::from)
        }
    }
}

fn answer(method: &Method, path: &str, accept: Option<&str>, state: &OpsState) -> Response<String> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused =
            reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let (phase, worker) = state.worker().clone();
    match path {
        "/" => reply(StatusCode::OK, TEXT, PATHS.to_owned()),
        "/healthz" => judged(&probe::stalled(&Signs::of(phase, worker.as_ref()))),
        "/readyz" => judged(&probe::unready(&Signs::of(phase, worker.as_ref()))),
        "/metrics" => {
            let format = Format::accepted(accept);
            let channels = worker
                .as_ref()
                .map(|watch| {
                    watch.stats().channels.busiest(state.channels, crate::clock::instant())
                })
                .unwrap_or_default();
            let status = status::of(state.started, phase, worker.as_ref());
            let text = metrics::render(&status, &channels, format);
            reply(StatusCode::OK, format.content_type(), text)
        }
        "/status" => {
            let status = status::of(state.started, phase, worker.as_ref());
            match serde_json::to_string(&status) {
                Ok(json) => reply(StatusCode::OK, JSON, json),
                Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
            }
        }
        _ => reply(StatusCode::NOT_FOUND, TEXT, format!("there is only\n{PATHS}")),
    }
}

/// 200 if nothing is wrong, else 503 and what it is, a line each.
fn judged(problems: &[String]) -> Response<String> {
    match problems {
        [] => reply(StatusCode::OK, TEXT, "ok\n".to_owned()),
        problems => {
            let lines = problems.iter().map(|problem| format!("{problem}\n")).collect();
            reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines)
        }
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::*;
    use crate::ops::{Ops, Site};
    use crate::worker::Watch;

    #[tokio::test]
    async fn a_head_without_end_is_refused_and_the_next_client_served() {
        let ops = Ops::start("127.0.0.1:0".parse().unwrap(), 1).await.unwrap();
        let ask = async |head: String| {
            let mut socket = TcpStream::connect(ops.address()).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).await.unwrap();
            String::from_utf8(answer.to_vec()).unwrap()
        };
        // Not a byte more than is read: the answer to more could be lost in a reset.
        let endless = format!("{:y<MAX_HEAD_BYTES$}", "GET / HTTP/1.1\r\nx: ");
        assert_eq!(ask(endless).await, "HTTP/1.1 431");
        let host = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert_eq!(ask(host.to_owned()).await, "HTTP/1.1 200");
        let foreign = "GET /status HTTP/1.1\r\nhost: evil.example\r\n\r\n";
        assert_eq!(ask(foreign.to_owned()).await, "HTTP/1.1 421");
    }

    #[tokio::test]
    async fn clients_that_say_nothing_keep_nobody_waiting() {
        let ops = Ops::start("127.0.0.1:0".parse().unwrap(), 1).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..2 * MAX_CONNECTIONS {
            silent.push(TcpStream::connect(ops.address()).await.unwrap());
        }
        let url = format!("http://{}/healthz", ops.address());
        let (status, body) = crate::ops::client::get(&url).await.unwrap();
        assert_eq!((status.as_u16(), body.as_str()), (200, "ok\n"));
        // The first of them was cut to make room.
        let mut byte = [0; 1];
        assert_eq!(silent[0].read(&mut byte).await.unwrap_or(0), 0);
    }

    /// A page that sends an event every few milliseconds.
    #[derive(Debug)]
    struct Ticking;

    impl Site for Ticking {
        fn has(&self, path: &str) -> bool {
            path == "/events"
        }

        fn answer<'a>(
            &'a self,
            _: &'a Request<Incoming>,
            _: SocketAddr,
            _: Duration,
        ) -> BoxFuture<'a, Response<Body>> {
            let (sender, events) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                while sender.send("data: 1\n\n".into()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            std::future::ready(Response::new(Body::Events(events))).boxed()
        }

        fn running(&self, _: Watch) {}

        fn draining(&self) {}
    }

    #[tokio::test]
    async fn a_stream_of_events_outlasts_the_limit_of_a_request() {
        let state = Arc::new(OpsState::new(1, &[]));
        state.page.set(Arc::new(Ticking)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits =
            Limits { connection: Duration::from_millis(100), stream: Duration::from_secs(60) };
        let mut client = TcpStream::connect(address).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(socket, state, limits));
        client.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let (mut text, mut bytes) = (String::new(), [0; 1_024]);
        // More of them than the limit of a request leaves time for.
        while text.matches("data: 1").count() < 20 {
            let length = client.read(&mut bytes).await.unwrap();
            assert_ne!(length, 0, "the stream was cut: {text}");
            text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
    }

    #[test]
    fn only_hosts_that_mean_this_server_are_answered() {
        let names = ["worker.internal".to_owned()];
        let ask = |host: Option<&str>| {
            let mut request = Request::get("/status");
            if let Some(host) = host {
                request = request.header(header::HOST, host);
            }
            is_host_allowed(&request.body(()).unwrap(), &names)
        };
        for host in
            ["127.0.0.1:9464", "10.0.3.7", "[::1]:9464", "LocalHost:9464", "worker.internal"]
        {
            assert!(ask(Some(host)), "{host}");
        }
        for host in ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "", "a b"] {
            assert!(!ask(Some(host)), "{host}");
        }
        assert!(!ask(None), "HTTP/1.1 demands one");
    }

    #[test]
    fn before_the_worker_has_joined_it_is_alive_and_not_ready() {
        let state = OpsState::new(1, &[]);
        let get = |path| answer(&Method::GET, path, None, &state);
        assert_eq!(get("/healthz").status(), 200);
        let ready = get("/readyz");
        assert_eq!((ready.status().as_u16(), ready.body().as_str()), (503, "starting\n"));
        assert!(get("/status").body().contains(r#""phase":"starting""#));
        assert!(get("/metrics").body().contains("ivs_processor_ready 0\n"));
    }

    #[test]
    fn metrics_come_as_the_client_asks_for_them() {
        let state = OpsState::new(1, &[]);
        let get = |accept| answer(&Method::GET, "/metrics", accept, &state);
        let kind = |reply: &Response<String>| {
            reply.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned()
        };
        for accept in [None, Some("*/*"), Some("text/plain")] {
            let reply = get(accept);
            assert_eq!(kind(&reply), "text/plain; version=0.0.4; charset=utf-8", "{accept:?}");
            assert!(!reply.body().contains("# EOF"), "{accept:?}");
        }
        let reply = get(Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
        assert!(kind(&reply).starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(reply.body().ends_with("# EOF\n"));
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        let state = OpsState::new(1, &[]);
        assert_eq!(answer(&Method::GET, "/etc/passwd", None, &state).status(), 404);
        let refused = answer(&Method::POST, "/status", None, &state);
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
    }
}
