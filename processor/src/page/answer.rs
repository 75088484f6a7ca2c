//! Which path is answered by what.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use ivs_schemas::report::ReportType;
use jiff::tz::TimeZone;

use super::body;
use super::room::Room;
use super::{Page, runbook, session, widgets};
use crate::clock::now;
use crate::ops::{Body, Phase, Site};
use crate::report::{self, ReportReader, html};
use crate::worker::Watch;

/// The files of the page: path, type, text.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("ui/page.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("ui/page.css")),
    ("/page.js", SCRIPT, include_str!("ui/page.js")),
    ("/base.js", SCRIPT, include_str!("ui/base.js")),
    ("/chart.js", SCRIPT, include_str!("ui/chart.js")),
    ("/session.js", SCRIPT, include_str!("ui/session.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// Nothing but what this server serves is loaded or run, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
/// A report has its style in itself and runs nothing.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                             form-action 'none'; frame-ancestors 'none'";
/// How long `/state.json` waits for a first snapshot.
const FIRST_SNAPSHOT: Duration = Duration::from_secs(10);

/// Returns whether a path is the page's own.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|(own, ..)| *own == path)
        || matches!(path, "/events" | "/state.json" | "/widgets.json" | "/session.json" | "/report")
        || path.starts_with("/runbook/")
}

impl Site for Page {
    fn has(&self, path: &str) -> bool {
        has(path)
    }

    fn answer<'a>(
        &'a self,
        request: &'a Request<Incoming>,
        here: SocketAddr,
        lasting: Duration,
    ) -> BoxFuture<'a, Response<Body>> {
        self.respond(request, here, lasting).boxed()
    }

    fn running(&self, worker: Watch) {
        *self.room.worker.lock().unwrap_or_else(PoisonError::into_inner) =
            (Phase::Running, Some(worker));
    }

    fn draining(&self) {
        self.room.worker.lock().unwrap_or_else(PoisonError::into_inner).0 = Phase::Draining;
    }
}

impl Page {
    /// Answers a request to one of the page's paths. A stream of snapshots ends after `lasting`.
    /// `listen` is where the server listens, by which the request's host is judged.
    pub(super) async fn respond<B>(
        &self,
        request: &Request<B>,
        listen: SocketAddr,
        lasting: Duration,
    ) -> Response<Body> {
        if let Some(refused) = refused(request, listen) {
            return refused;
        }
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if let Some((_, kind, text)) = FILES.iter().find(|(own, ..)| *own == path) {
            return reply(StatusCode::OK, kind, *text);
        }
        if let Some(name) = path.strip_prefix("/runbook/") {
            return match runbook::page(name) {
                Some(html) => reply(StatusCode::OK, HTML, html),
                None => reply(StatusCode::NOT_FOUND, TEXT, "there is no such article\n"),
            };
        }
        let asked = |name: &str| parameter(query, name);
        match path {
            "/events" => self.events(lasting),
            "/state.json" => self.state().await,
            "/widgets.json" => match asked("channel") {
                Some(channel) => outcome(widgets::draw(&self.room, &channel).await),
                None => missing("channel"),
            },
            "/session.json" => match asked("id") {
                Some(id) => outcome(session::look(&self.room, &id).await),
                None => missing("id"),
            },
            "/report" => match asked("channel") {
                Some(channel) => report_page(&self.room, &channel).await,
                None => missing("channel"),
            },
            _ => reply(StatusCode::NOT_FOUND, TEXT, "there is no such page\n"),
        }
    }

    fn events(&self, lasting: Duration) -> Response<Body> {
        let Some(watcher) = self.room.watchers.join() else { return crowded() };
        let events = body::events(self.room.snapshots.subscribe(), watcher, lasting);
        reply(StatusCode::OK, "text/event-stream", events)
    }

    async fn state(&self) -> Response<Body> {
        let Some(_watcher) = self.room.watchers.join() else { return crowded() };
        let mut snapshots = self.room.snapshots.subscribe();
        match tokio::time::timeout(FIRST_SNAPSHOT, snapshots.changed()).await {
            Ok(Ok(())) => {
                let snapshot = Arc::clone(&snapshots.borrow());
                reply(StatusCode::OK, JSON, snapshot.to_string())
            }
            _ => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "AWS does not answer yet\n"),
        }
    }
}

/// Returns what is wrong with a request, if anything. A name that is not this machine's own means
/// that a foreign page had its name pointed here to read what it may not.
fn refused<B>(request: &Request<B>, listen: SocketAddr) -> Option<Response<Body>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(refused);
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    (!host.is_some_and(|host| is_own(host, listen))).then(|| {
        let text = "this page answers to the address it listens on, or to localhost\n";
        reply(StatusCode::MISDIRECTED_REQUEST, TEXT, text)
    })
}

/// Returns whether a `Host` names this server: an address literal or `localhost`, with its port or,
/// behind something that forwards to it, another.
fn is_own(host: &str, listen: SocketAddr) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_allowed =
        |address: std::net::IpAddr| address.is_loopback() || !listen.ip().is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_allowed)
}

/// Returns a parameter of a query, decoded; none if it is empty or longer than any id.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    (!value.is_empty() && value.len() <= 2_048).then(|| value.into_owned())
}

fn missing(name: &str) -> Response<Body> {
    reply(StatusCode::BAD_REQUEST, TEXT, format!("the parameter {name} is missing\n"))
}

fn crowded() -> Response<Body> {
    let text = "too many browsers look at this page; close one\n";
    reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
}

fn outcome(outcome: anyhow::Result<Option<String>>) -> Response<Body> {
    match outcome {
        Ok(Some(json)) => reply(StatusCode::OK, JSON, json),
        Ok(None) => reply(StatusCode::NOT_FOUND, TEXT, "nothing is known of it\n"),
        Err(error) => reply(StatusCode::BAD_GATEWAY, TEXT, format!("{error:#}\n")),
    }
}

/// Today's report of a channel, in UTC as everything that is stored.
async fn report_page(room: &Room, channel: &str) -> Response<Body> {
    let Ok(_turn) = room.reports.try_acquire() else {
        return reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "other reports are being made\n");
    };
    let time = jiff::Timestamp::from_millisecond(now().0).unwrap_or_default();
    let today = time.to_zoned(TimeZone::UTC).date();
    let source = ReportReader::new(&room.clients.dynamodb, &room.config.tables);
    let channel = report::channel_id(channel).to_owned();
    let runtime = tokio::runtime::Handle::current();
    // A report folds the rows of a day, which is not work for a thread that serves others.
    let made = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let period = report::period(ReportType::Daily, Some(today), "UTC", now())?;
            source.report(&channel, &period, now()).await
        })
    });
    let made = made.await.unwrap_or_else(|error| Err(error.into()));
    match made {
        Err(error) => reply(StatusCode::BAD_GATEWAY, TEXT, format!("{error:#}\n")),
        Ok(report) => {
            let mut page = reply(StatusCode::OK, HTML, html::page(&report, html::Lang::En));
            let policy = HeaderValue::from_static(REPORT_POLICY);
            page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            page
        }
    }
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_answered_to() {
        let loopback: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let everywhere: SocketAddr = "0.0.0.0:9464".parse().unwrap();
        for own in ["127.0.0.1:8080", "localhost", "LOCALHOST:9000", "[::1]:8080"] {
            assert!(is_own(own, loopback) && is_own(own, everywhere), "{own}");
        }
        for foreign in ["evil.example", "127.0.0.1.evil.example:8080", "", "[evil]", "10.0.0.7:80"]
        {
            assert!(!is_own(foreign, loopback), "{foreign}");
        }
        assert!(is_own("10.0.0.7:9464", everywhere));
        assert!(!is_own("evil.example:9464", everywhere));
    }

    #[test]
    fn what_could_change_something_is_refused() {
        let listen: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let ask = |method: &str, host: &str| {
            let request = Request::builder().method(method).header("host", host).body(()).unwrap();
            refused(&request, listen).map(|response| response.status().as_u16())
        };
        assert_eq!(ask("POST", "localhost:8080"), Some(405));
        assert_eq!(ask("GET", "rebound.example"), Some(421));
        assert_eq!(ask("HEAD", "localhost:8080"), None);
    }

    #[test]
    fn no_answer_lets_a_browser_run_load_or_frame_what_is_not_of_this_server() {
        let post = Request::builder().method("POST").body(()).unwrap();
        let refused = refused(&post, "127.0.0.1:8080".parse().unwrap()).unwrap();
        for answer in [reply(StatusCode::OK, HTML, "<p>"), missing("id"), crowded(), refused] {
            let header = |name| answer.headers()[name].to_str().unwrap();
            let policy = header(header::CONTENT_SECURITY_POLICY);
            let said = |directive: &str| {
                let mut all = policy.split("; ").filter_map(|one| one.split_once(' '));
                all.find(|(name, _)| *name == directive).map(|(_, sources)| sources)
            };
            assert_eq!(said("default-src"), Some("'none'"), "{policy}");
            for directive in ["script-src", "style-src", "connect-src"] {
                assert_eq!(said(directive), Some("'self'"), "{policy}");
            }
            for directive in ["base-uri", "form-action", "frame-ancestors"] {
                assert_eq!(said(directive), Some("'none'"), "{policy}");
            }
            assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        }
        assert!(REPORT_POLICY.starts_with("default-src 'none';"));
        assert!(
            !REPORT_POLICY.contains("script-src")
                && REPORT_POLICY.contains("frame-ancestors 'none'")
        );
    }

    #[test]
    fn the_page_asks_for_nothing_that_is_elsewhere() {
        for (path, _, text) in FILES {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http:") && !text.contains("https:"), "{path}");
            assert!(!text.contains("style=\"") && !text.contains("innerHTML"), "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_and_bounded() {
        assert_eq!(parameter("a=1&id=st-%C3%A9%2F+x", "id").unwrap(), "st-é/ x");
        assert_eq!(parameter("id=", "id"), None);
        assert_eq!(parameter(&format!("id={}", "x".repeat(3_000)), "id"), None);
    }
}
