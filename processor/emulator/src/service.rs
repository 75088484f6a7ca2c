//! The request that the listener hands to a service: one call, decoded as far as the wire protocols
//! agree.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use tokio::task::JoinSet;

pub use crate::aws_error::AwsError;
pub(crate) use crate::aws_error::json_response;
use crate::clock::Clock;
use crate::error::StartError;
use crate::protocol::Protocol;
use crate::tags::Tags;

/// The services of the endpoint, by the name in the SigV4 credential scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceName {
    /// `kinesis`, JSON 1.1.
    Kinesis,
    /// `dynamodb`, JSON 1.0, forwarded to the embedded DynamoDB.
    DynamoDb,
    /// `monitoring`: CloudWatch, rpc-v2-cbor (older clients: form-encoded).
    Monitoring,
    /// `events`: EventBridge, JSON 1.1.
    Events,
    /// `sns`, form-encoded in, XML out.
    Sns,
    /// `sts`, form-encoded in, XML out.
    Sts,
    /// `ivs`, JSON whose path names the operation.
    Ivs,
}

impl ServiceName {
    /// Reads the signing name of a service.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "kinesis" => Self::Kinesis,
            "dynamodb" => Self::DynamoDb,
            "monitoring" => Self::Monitoring,
            "events" => Self::Events,
            "sns" => Self::Sns,
            "sts" => Self::Sts,
            "ivs" => Self::Ivs,
            _ => return None,
        })
    }

    /// Returns the signing name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesis",
            Self::DynamoDb => "dynamodb",
            Self::Monitoring => "monitoring",
            Self::Events => "events",
            Self::Sns => "sns",
            Self::Sts => "sts",
            Self::Ivs => "ivs",
        }
    }
}

/// One request to a service.
#[derive(Clone, Debug)]
pub struct Call {
    /// From the SigV4 credential scope in `authorization`; unsigned calls are known by their
    /// target.
    pub service: ServiceName,
    /// From `x-amz-target` after the dot, or from the path `/service/X/operation/Y` (rpc-v2-cbor),
    /// or from `Action=` of a form body, or the path itself. Empty if none names one.
    pub operation: String,
    /// All request headers.
    pub headers: HeaderMap,
    /// The request path, without the query.
    pub path: String,
    /// At most 16 MiB, already gunzipped if `content-encoding: gzip`.
    pub body: Bytes,
}

impl AwsError {
    /// Returns the error of an operation that the service does not have.
    #[must_use]
    pub fn unknown_operation(call: &Call) -> Self {
        let (service, operation) = (call.service.as_str(), &call.operation);
        let code = match Protocol::of(&call.headers, Some(service)) {
            Protocol::Query => "InvalidAction",
            _ => "UnknownOperationException",
        };
        Self::bad_request(code, format!("{service} has no operation `{operation}` here"))
    }
}

/// The state that all services of one endpoint share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) region: String,
    pub(crate) account: String,
    /// Where services may keep files of their own; `None` keeps everything in memory.
    pub(crate) state_dir: Option<PathBuf>,
    /// Held locked for as long as any service lives.
    _lock: Option<File>,
    pub(crate) tags: Tags,
    tasks: Mutex<JoinSet<()>>,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        region: String,
        account: String,
        state_dir: Option<PathBuf>,
        lock: Option<File>,
    ) -> Result<Arc<Self>, StartError> {
        let tags = Tags::open(state_dir.as_deref())?;
        let tasks = Mutex::new(JoinSet::new());
        Ok(Arc::new(Self { clock, region, account, state_dir, _lock: lock, tags, tasks }))
    }

    /// Returns `arn:aws:<service>:<region>:<account>:<resource>`.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    /// Runs a background task that ends with the endpoint: it is aborted at shutdown.
    /// The task must hold services only by `Weak`, or it would keep them alive for ever.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends all background tasks.
    pub(crate) fn abort_tasks(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
