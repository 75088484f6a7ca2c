//! The embedded DynamoDB: `dynoxide` (SQLite) on a listener and a thread of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::error::StartError;
use crate::service::{AwsError, Call, Shared, json_response};

/// The file inside the state folder.
const FILE: &str = "dynamodb.sqlite";

/// The largest answer without items in it: descriptions and lists.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How often items past their time to live are deleted. AWS promises days; a minute shows that
/// it happens.
const TTL_SWEEP: Duration = Duration::from_secs(60);

/// A running store. Dropping it closes its connections and its file.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DynamoDb {
    /// Opens `dir/dynamodb.sqlite`, or a store in memory, and serves it.
    pub(crate) async fn start(dir: Option<&Path>, listen: SocketAddr) -> Result<Self, StartError> {
        let database = open(dir).map_err(|error| StartError::DynamoDb(error.to_string()))?;
        let listen_error = |reason| StartError::Listen { address: listen, reason };
        let listener = std::net::TcpListener::bind(listen).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        let url = format!("http://{}", listener.local_addr().map_err(listen_error)?);
        let (stop, stopped) = oneshot::channel();
        // The store runs one statement at a time under a lock and blocks on it. One thread of its
        // own means that nobody waits for that lock and no caller's runtime is held up.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(listen_error)?;
        let thread = std::thread::Builder::new()
            .name("local-dynamodb".to_owned())
            .spawn(move || runtime.block_on(serve(listener, database, stopped)))
            .map_err(listen_error)?;
        Ok(Self { url, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        drop(self.stop.take());
        // One statement at most is still running, so this is a matter of milliseconds.
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the embedded dynamodb had panicked");
        }
    }
}

fn open(dir: Option<&Path>) -> dynoxide::Result<dynoxide::Database> {
    let Some(dir) = dir else { return dynoxide::Database::memory() };
    let database = dynoxide::Database::new(&dir.join(FILE).to_string_lossy())?;
    // Write-ahead log without fsync: the operating system has every committed write, so the end of
    // the process loses nothing; only a power cut could.
    database.enable_bulk_loading()?;
    Ok(database)
}

/// Serves until `stopped` is sent or dropped; returning drops the runtime and all connections.
async fn serve(
    listener: std::net::TcpListener,
    database: dynoxide::Database,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the embedded dynamodb cannot serve");
            return;
        }
    };
    tokio::spawn(sweep(database.clone()));
    let server = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending());
    tokio::select! {
        result = server => {
            if let Err(error) = result {
                tracing::error!(%error, "the embedded dynamodb stopped");
            }
        }
        _ = stopped => {}
    }
}

async fn sweep(database: dynoxide::Database) {
    loop {
        tokio::time::sleep(TTL_SWEEP).await;
        if let Err(error) = database.sweep_ttl() {
            tracing::warn!(%error, "dynamodb time-to-live sweep failed");
        }
    }
}

/// As the store writes the region and account of its ARNs.
const STORE_ARN: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// Operations on items: none of their bodies holds an ARN of the store's making.
const ITEM_OPERATIONS: [&str; 11] = [
    "PutItem",
    "GetItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "BatchExecuteStatement",
    "TransactGetItems",
    "TransactWriteItems",
];

/// A forwarder of DynamoDB calls from the endpoint's own listener to the store, which gives the
/// store's ARNs the endpoint's region and account.
#[derive(Debug)]
pub(crate) struct Forwarder {
    client: Client<HttpConnector, Body>,
    url: String,
    own_arn: String,
}

impl Forwarder {
    pub(crate) fn new(url: &str, shared: &Shared) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let own_arn = shared.arn("dynamodb", "");
        Self { client, url: url.to_owned(), own_arn }
    }

    pub(crate) async fn call(&self, call: Call) -> Response {
        let answer = match call.operation.as_str() {
            "DescribeContinuousBackups" => self.continuous_backups(call).await,
            "UpdateTimeToLive" => self.time_to_live(call).await,
            operation if ITEM_OPERATIONS.contains(&operation) => self.forward(call).await,
            _ => self.translate(call).await,
        };
        match answer {
            Ok(response) => response,
            Err(error) => {
                let message = format!("the embedded dynamodb did not answer: {error}");
                AwsError { status: 500, code: "InternalServerError", message }.json_response()
            }
        }
    }

    /// With the ARNs of either side put in the place of the other's.
    async fn translate(&self, mut call: Call) -> io::Result<Response> {
        call.body = replaced(&call.body, &self.own_arn, STORE_ARN);
        let (mut head, body) = self.forward(call).await?.into_parts();
        let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.map_err(io::Error::other)?;
        let body = replaced(&body, STORE_ARN, &self.own_arn);
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        // Clients check it.
        head.headers.insert("x-amz-crc32", HeaderValue::from(crc32fast::hash(&body)));
        Ok(Response::from_parts(head, Body::from(body)))
    }

    /// Switches time to live, unless it is so already: AWS refuses that, the store takes it.
    async fn time_to_live(&self, call: Call) -> io::Result<Response> {
        let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let mut question = call.clone();
        let target = HeaderValue::from_static("DynamoDB_20120810.DescribeTimeToLive");
        question.headers.insert("x-amz-target", target);
        question.body = Bytes::from(json!({ "TableName": asked["TableName"] }).to_string());
        let described = self.forward(question).await?.into_body();
        let described = axum::body::to_bytes(described, ANSWER_BYTES_MAX).await;
        let described: Value =
            serde_json::from_slice(&described.map_err(io::Error::other)?).unwrap_or_default();
        let state = match described["TimeToLiveDescription"]["TimeToLiveStatus"].as_str() {
            Some("ENABLED") => Some((true, "enabled")),
            Some("DISABLED") => Some((false, "disabled")),
            _ => None,
        };
        let wanted = asked["TimeToLiveSpecification"]["Enabled"].as_bool();
        match state {
            Some((is_on, word)) if wanted == Some(is_on) => {
                let message = format!("TimeToLive is already {word}");
                Ok(AwsError::bad_request("ValidationException", message).json_response())
            }
            _ => self.translate(call).await,
        }
    }

    /// Of a table that exists: there are no backups and no recovery to a point in time here.
    async fn continuous_backups(&self, mut call: Call) -> io::Result<Response> {
        let target = HeaderValue::from_static("DynamoDB_20120810.DescribeTable");
        call.headers.insert("x-amz-target", target);
        let described = self.translate(call).await?;
        if described.status().is_success() {
            let body = json!({ "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "DISABLED",
                "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" },
            }});
            return Ok(json_response(body.to_string()));
        }
        let body = axum::body::to_bytes(described.into_body(), ANSWER_BYTES_MAX).await;
        let text = body.map_err(io::Error::other)?;
        let is_absent = String::from_utf8_lossy(&text).contains("ResourceNotFoundException");
        let code = if is_absent { "TableNotFoundException" } else { "ValidationException" };
        let message = serde_json::from_slice::<Value>(&text)
            .ok()
            .and_then(|answer| Some(answer.get("message")?.as_str()?.to_owned()));
        Ok(AwsError::bad_request(code, message.unwrap_or_default()).json_response())
    }

    async fn forward(&self, call: Call) -> io::Result<Response> {
        let uri = Uri::try_from(format!("{}{}", self.url, call.path)).map_err(io::Error::other)?;
        let mut request =
            Request::post(uri).body(Body::from(call.body)).map_err(io::Error::other)?;
        *request.headers_mut() = call.headers;
        // These belong to the hop the caller made; the body may have been gunzipped since.
        for hop in [
            header::HOST,
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
            header::EXPECT,
        ] {
            request.headers_mut().remove(hop);
        }
        let response = self.client.request(request).await.map_err(io::Error::other)?;
        Ok(response.map(Body::new))
    }
}

/// Replaces a text in a body; a body without it, or that is not text, stays as it is.
fn replaced(body: &Bytes, from: &str, to: &str) -> Bytes {
    match std::str::from_utf8(body) {
        Ok(text) if text.contains(from) => Bytes::from(text.replace(from, to)),
        _ => body.clone(),
    }
}
