//! The listener: decodes calls, applies faults, dispatches to the services.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::calls::{Actions, Calls};
use crate::cloudwatch::CloudWatch;
use crate::dynamodb::Forwarder;
use crate::error::StartError;
use crate::eventbridge::EventBridge;
use crate::faults;
use crate::faults::{FaultKind, FaultRule, Faults};
use crate::hosts::Hosts;
use crate::ivs::Ivs;
use crate::kinesis::{Kinesis, Settings};
use crate::notices::{self, Mailbox, Notices};
use crate::protocol::Protocol;
use crate::service::{AwsError, Call, ServiceName, Shared};
use crate::sns::Sns;
use crate::sts::Sts;
use crate::telemetry::{self, Telemetry};

/// The largest body of any service here is DynamoDB's 16 MiB.
const MAX_BODY_BYTES: usize = 16 << 20;

/// More connections than this wait in the system's backlog.
const MAX_CONNECTIONS: usize = 4_096;

/// How long requests in flight may take to finish at shutdown: subscriptions never would.
const GRACE: Duration = Duration::from_secs(1);

/// Where the paths of this endpoint itself begin.
const LOCAL: &str = "/_local/";

/// All services of one endpoint.
#[derive(Debug)]
pub(crate) struct App {
    shared: Arc<Shared>,
    hosts: Hosts,
    calls: Calls,
    faults: Faults,
    dynamodb: Forwarder,
    kinesis: Arc<Kinesis>,
    cloudwatch: Arc<CloudWatch>,
    eventbridge: Arc<EventBridge>,
    sns: Arc<Sns>,
    sts: Sts,
    ivs: Ivs,
    telemetry: Option<Telemetry>,
    mailbox: Mailbox,
}

/// A refusal of a request that no service saw, in the protocol it was written in.
type Refusal = (Protocol, AwsError);

impl App {
    pub(crate) fn new(
        shared: Arc<Shared>,
        hosts: Hosts,
        faults: Faults,
        kinesis: Settings,
        admit_aws_sources: bool,
        dynamodb_url: &str,
        telemetry: Option<Telemetry>,
    ) -> Result<Arc<Self>, StartError> {
        let kinesis = Kinesis::open(&shared, kinesis)?;
        let sns = Sns::open(Arc::clone(&shared))?;
        let cloudwatch = CloudWatch::open(Arc::clone(&shared), Arc::clone(&sns))?;
        let eventbridge = EventBridge::open(
            Arc::clone(&shared),
            Arc::clone(&kinesis),
            Arc::clone(&sns),
            admit_aws_sources,
        )?;
        let sts = Sts::new(Arc::clone(&shared));
        let dynamodb = Forwarder::new(dynamodb_url, &shared);
        let mailbox = Mailbox::default();
        Ok(Arc::new(Self {
            shared,
            hosts,
            calls: Calls::default(),
            faults,
            dynamodb,
            kinesis,
            cloudwatch,
            eventbridge,
            sns,
            sts,
            ivs: Ivs::default(),
            telemetry,
            mailbox,
        }))
    }

    /// Creates a topic and subscribes this endpoint, at `url`, to it. Subscriptions that earlier
    /// runs made at other ports end.
    pub(crate) fn watch_topic(
        &self,
        url: &str,
        name: &str,
        display_name: &str,
    ) -> Result<(String, Notices), AwsError> {
        let arn = self.sns.watch(name, display_name, url, &format!("/_local/{}", notices::PATH))?;
        Ok((arn, self.mailbox.open()))
    }

    /// Does what [`crate::Endpoint::play_metric`] says.
    pub(crate) fn play_metric(
        &self,
        metric: (&str, &str),
        dimensions: &[(&str, &str)],
        unit: &str,
        value: f64,
    ) -> Result<(), AwsError> {
        self.cloudwatch.play(metric, dimensions, unit, value)
    }

    /// Does what [`crate::Endpoint::play_streams`] says.
    pub(crate) fn play_streams(&self, told: &[u8]) -> Result<(), AwsError> {
        self.ivs.tell(told)
    }

    /// Does what [`crate::Endpoint::calls`] says.
    pub(crate) fn calls(&self, access_key: &str) -> Actions {
        self.calls.of(access_key)
    }

    /// Ends the services' background tasks.
    pub(crate) fn abort(&self) {
        self.shared.abort_tasks();
    }

    /// Answers one request. An error closes the connection without an answer.
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response> {
        if request.uri().path().starts_with(LOCAL) {
            return self.take_administration(request).await;
        }
        if is_visit(&request) {
            return Ok(welcome(&self.shared));
        }
        if let (Some(api), Some(route)) =
            (&self.telemetry, telemetry::Route::of(request.uri().path()))
        {
            return self.take_telemetry(api, route, request).await;
        }
        match decode(request).await {
            Ok(call) => {
                self.calls.note(&call);
                self.strike_and_dispatch(call).await
            }
            Err((protocol, error)) => Ok(protocol.refuse(&error)),
        }
    }

    /// Answers a request to this endpoint itself, if a program makes it.
    async fn take_administration(&self, request: Request<Incoming>) -> io::Result<Response> {
        let (head, body) = request.into_parts();
        if let Some(refusal) = self.hosts.refusal(&head.headers, &head.uri) {
            return Ok(refusal);
        }
        let body = axum::body::to_bytes(Body::new(body), MAX_BODY_BYTES).await;
        let path = head.uri.path().strip_prefix(LOCAL).unwrap_or_default();
        let asked = (path, head.uri.query().unwrap_or_default());
        Ok(self.administer(&head.method, asked, &body.map_err(io::Error::other)?))
    }

    /// Returns a batch of telemetry, as API Gateway hands it to Kinesis.
    async fn take_telemetry(
        &self,
        api: &Telemetry,
        route: telemetry::Route,
        request: Request<Incoming>,
    ) -> io::Result<Response> {
        let (head, body) = request.into_parts();
        // One byte more than is taken tells that there is more.
        let body = axum::body::to_bytes(Body::new(body), telemetry::BODY_BYTES_MAX + 1).await;
        let body = body.unwrap_or_else(|_| Bytes::from(vec![0; telemetry::BODY_BYTES_MAX + 1]));
        let call = match api.read(route, &head.method, &head.headers, &body) {
            Ok(call) => call,
            Err(response) => return Ok(*response),
        };
        let response = self.strike_and_dispatch(call).await?;
        let status = response.status();
        let answer = axum::body::to_bytes(response.into_body(), MAX_BODY_BYTES).await;
        Ok(telemetry::reply(status, &answer.map_err(io::Error::other)?))
    }

    async fn strike_and_dispatch(&self, call: Call) -> io::Result<Response> {
        let fault = self.faults.strike(&call);
        match fault {
            Some(FaultKind::Throttle) => return Ok(faults::throttled(&call)),
            Some(FaultKind::Error500) => return Ok(faults::internal_error(&call)),
            Some(FaultKind::Reset) => return Err(io::Error::other("a requested reset")),
            Some(FaultKind::DelayMs(wait_ms)) => self.shared.clock.sleep(wait_ms).await,
            Some(FaultKind::DropReply) | None => {}
        }
        let response = self.dispatch(call).await;
        if fault == Some(FaultKind::DropReply) {
            return Err(io::Error::other("a requested loss of the reply"));
        }
        Ok(response)
    }

    async fn dispatch(&self, call: Call) -> Response {
        match call.service {
            ServiceName::Kinesis => self.kinesis.call(call).await,
            ServiceName::DynamoDb => self.dynamodb.call(call).await,
            ServiceName::Monitoring => self.cloudwatch.call(call).await,
            ServiceName::Events => self.eventbridge.call(call).await,
            ServiceName::Sns => self.sns.call(call).await,
            ServiceName::Sts => self.sts.call(call).await,
            ServiceName::Ivs => self.ivs.call(call).await,
        }
    }

    /// `GET health`; `PUT ivs` says which streams IVS has, `GET ivs` how often it was asked; `POST
    /// faults` adds a rule, `DELETE faults` removes all; `GET sns` shows the latest messages, `GET
    /// events` the deliveries under way, `GET calls?key=ID` what an access key was used for; `POST
    /// tick` does at once what else is done every few seconds: evaluate alarms, repeat deliveries,
    /// advance replays.
    fn administer(&self, method: &Method, (path, query): (&str, &str), body: &[u8]) -> Response {
        let refused = |status, message: String| {
            AwsError { status, code: "InvalidRequest", message }.json_response()
        };
        match (path, method) {
            ("health", &Method::GET) => plain_json(r#"{"status":"ok"}"#),
            ("sns", &Method::GET) => plain_json(self.sns.report()),
            ("events", &Method::GET) => plain_json(self.eventbridge.report()),
            ("calls", &Method::GET) => match query.strip_prefix("key=") {
                Some(key) => plain_json(self.calls.report(key)),
                None => refused(400, "say whose calls: /_local/calls?key=<access key>".to_owned()),
            },
            ("ivs", &Method::GET) => plain_json(self.ivs.report()),
            ("ivs", &Method::PUT) => match self.ivs.tell(body) {
                Ok(()) => plain_json("{}"),
                Err(error) => error.json_response(),
            },
            (notices::PATH, &Method::POST) => match self.mailbox.deliver(body) {
                Ok(()) => plain_json("{}"),
                Err(error) => error.json_response(),
            },
            ("tick", &Method::POST) => {
                self.cloudwatch.tick();
                while self.eventbridge.tick() {}
                plain_json("{}")
            }
            ("faults", &Method::DELETE) => {
                self.faults.clear();
                plain_json("{}")
            }
            ("faults", &Method::POST) => match serde_json::from_slice::<FaultRule>(body) {
                Err(error) => refused(400, error.to_string()),
                Ok(rule) => match self.faults.add(rule) {
                    Err(message) => refused(400, message),
                    Ok(()) => plain_json("{}"),
                },
            },
            _ => refused(404, format!("there is no {method} /_local/{path}")),
        }
    }
}

fn plain_json(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Accepts connections until `stopped`. Dropping the future aborts all connections at once.
pub(crate) async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    mut stopped: oneshot::Receiver<()>,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            _ = &mut stopped => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((socket, peer)) => {
                    let (app, watcher) = (Arc::clone(&app), graceful.watcher());
                    connections.spawn(serve(socket, peer, app, watcher));
                }
                Err(error) => {
                    // Out of file handles, most likely: wait for connections to close.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("connections still open at shutdown are cut");
    }
}

async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    app: Arc<App>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let service = hyper::service::service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { app.handle(request).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Returns whether a browser, or somebody with `curl`, looks at `/`: no AWS call is a GET without a
/// signature.
fn is_visit(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    request.uri().path() == "/"
        && request.uri().query().is_none()
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key("x-amz-target")
}

/// Returns what this is, for people.
fn welcome(shared: &Shared) -> Response {
    let (region, account) = (&shared.region, &shared.account);
    let text = format!(
        "This is an embedded AWS, for programs: Kinesis, DynamoDB, CloudWatch, EventBridge, SNS, \
         STS\nand a little of IVS, of region {region}, account {account}. Nothing here leaves this machine, and \
         credentials are not checked.\n\n  \
         export AWS_ENDPOINT_URL=http://<this address>\n  \
         export AWS_REGION={region} AWS_DEFAULT_REGION={region}\n  \
         export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n  \
         aws dynamodb list-tables\n\n\
         GET  /_local/health   whether it is up\n\
         GET  /_local/sns      the latest messages of every topic\n\
         GET  /_local/events   EventBridge deliveries under way\n\
         GET  /_local/calls    what an access key was used for, as IAM names it: ?key=local\n\
         PUT  /_local/ivs      which streams IVS has: {{\"sessions\":[{{\"channelArn\":…,\"streamId\":…}}]}}\n\
         POST /_local/faults   makes calls fail: {{\"kind\":\"throttle\",\"service\":\"kinesis\"}}; DELETE ends it\n\
         POST /telemetry       player telemetry, /streams for that of the QoS sample, /cmcd for CMCD, where the endpoint was started with it\n"
    );
    let mut response = Response::new(Body::from(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Reads the body and finds out which service and operation is meant.
async fn decode(request: Request<Incoming>) -> Result<Call, Refusal> {
    let (head, body) = request.into_parts();
    let scope = scope_of(&head.headers);
    let protocol = Protocol::of(&head.headers, scope);
    let body = axum::body::to_bytes(Body::new(body), MAX_BODY_BYTES).await.map_err(|_| {
        let message = format!("the body could not be read or exceeds {MAX_BODY_BYTES} bytes");
        let status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
        (protocol, AwsError { status, code: "RequestEntityTooLargeException", message })
    })?;
    let body = decompress(&head.headers, body).map_err(|error| (protocol, error))?;
    let path = head.uri.path().to_owned();
    let service = service_of(&head.headers, &path)
        .ok_or_else(|| (protocol, unknown_service(protocol, scope)))?;
    let operation = operation_of(&head.headers, &path, &body);
    Ok(Call { service, operation, headers: head.headers, path, body })
}

/// In each protocol the code by which AWS itself says that it does not know what is asked.
fn unknown_service(protocol: Protocol, scope: Option<&str>) -> AwsError {
    let message = match scope {
        Some(scope) => format!(
            "this endpoint has no service `{scope}`; it has kinesis, dynamodb, monitoring \
             (CloudWatch), events (EventBridge), sns, sts and ivs"
        ),
        None => "neither the credential scope nor the target names a service of this endpoint"
            .to_owned(),
    };
    let code = match protocol {
        Protocol::Json | Protocol::Cbor => "UnknownOperationException",
        Protocol::Query | Protocol::Ec2 => "InvalidAction",
        Protocol::RestXml => return AwsError { status: 501, code: "NotImplemented", message },
    };
    AwsError::bad_request(code, message)
}

fn decompress(headers: &HeaderMap, body: Bytes) -> Result<Bytes, AwsError> {
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let limit = u64::try_from(MAX_BODY_BYTES).expect("16 MiB fits") + 1;
    match flate2::read::GzDecoder::new(&*body).take(limit).read_to_end(&mut plain) {
        Ok(length) if length <= MAX_BODY_BYTES => Ok(plain.into()),
        Ok(_) => Err(AwsError::bad_request(
            "SerializationException",
            format!("the body exceeds {MAX_BODY_BYTES} bytes when decompressed"),
        )),
        Err(error) => Err(AwsError::bad_request(
            "SerializationException",
            format!("the body is not gzip: {error}"),
        )),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the service of the SigV4 scope
/// `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn scope_of(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = text(headers, "authorization")?.split_once("Credential=")?;
    let mut from_end = credential.split(',').next()?.rsplit('/');
    from_end.next().filter(|end| *end == "aws4_request")?;
    from_end.next()
}

/// Returns the service of the scope or, unsigned, of the target's prefix or the path.
fn service_of(headers: &HeaderMap, path: &str) -> Option<ServiceName> {
    if let Some(service) = scope_of(headers).and_then(ServiceName::parse) {
        return Some(service);
    }
    let target = text(headers, "x-amz-target").unwrap_or(path);
    [
        ("Kinesis_", ServiceName::Kinesis),
        ("DynamoDB", ServiceName::DynamoDb),
        ("AWSEvents", ServiceName::Events),
        ("/service/GraniteServiceVersion", ServiceName::Monitoring),
    ]
    .into_iter()
    .find_map(|(prefix, service)| target.starts_with(prefix).then_some(service))
}

fn operation_of(headers: &HeaderMap, path: &str, body: &[u8]) -> String {
    if let Some((_, operation)) =
        text(headers, "x-amz-target").and_then(|target| target.rsplit_once('.'))
    {
        return operation.to_owned();
    }
    if let Some((_, operation)) = path.split_once("/operation/") {
        return operation.to_owned();
    }
    body.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"Action=")).map_or_else(
        || path.trim_start_matches('/').to_owned(),
        |name| String::from_utf8_lossy(name).into_owned(),
    )
}

#[cfg(test)]
mod tests;
