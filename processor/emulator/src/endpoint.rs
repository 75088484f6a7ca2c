//! Starting and stopping the endpoint.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::dynamodb::DynamoDb;
use crate::error::StartError;
use crate::faults::{FaultRule, Faults};
use crate::folder;
use crate::hosts::Hosts;
use crate::kinesis::Settings;
use crate::notices::Notices;
use crate::server::{self, App};
use crate::service::{AwsError, Shared};
use crate::telemetry::Telemetry;

/// Where the services keep their state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In a folder, created if absent; every acknowledged write survives the end of the process.
    Dir(PathBuf),
    /// In memory, gone with the endpoint.
    Memory,
}

/// The settings of an endpoint. `Config::default()` is an endpoint in memory on a free port.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the embedded DynamoDB listens. Its calls arrive at `listen` too, at the cost of a hop.
    pub dynamodb_listen: SocketAddr,
    /// Allows addresses other than loopback. Nothing here checks credentials.
    pub allow_remote: bool,
    /// Where state is kept.
    pub state: State,
    /// Whether a state folder is emptied, once its lock and the port are ours. A folder with
    /// anything in it must carry the mark of an earlier endpoint.
    pub fresh: bool,
    /// Whether Kinesis throttles as AWS does (per shard: 1,000 records/s and 1 MiB/s in, 5 reads/s
    /// and 2 MiB/s out).
    pub limits: bool,
    /// Faults to begin with; more can be added over `POST /_local/faults`.
    pub faults: Vec<FaultRule>,
    /// The time of all services but DynamoDB, which keeps the system's.
    pub clock: Clock,
    /// The AWS region in ARNs.
    pub region: String,
    /// The AWS account in ARNs, 12 digits.
    pub account: String,
    /// Whether EventBridge's `PutEvents` takes sources that begin with `aws.`, which AWS keeps for
    /// its own services: a traffic generator that plays such a service needs it.
    pub admit_aws_sources: bool,
    /// How many bytes of Kinesis records stay in memory. With [`State::Dir`] older records are
    /// read from their file; in memory a stream at the cap refuses writes until retention trims.
    pub kinesis_memory_bytes: usize,
    /// The telemetry API at `/telemetry`; none is served without it.
    pub telemetry: Option<Telemetry>,
}

impl Default for Config {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any_port,
            dynamodb_listen: any_port,
            allow_remote: false,
            state: State::Memory,
            fresh: false,
            limits: false,
            faults: Vec::new(),
            clock: Clock::system(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            admit_aws_sources: true,
            kinesis_memory_bytes: 1 << 30,
            telemetry: None,
        }
    }
}

/// A running endpoint. Dropping it ends it at once, as a killed process would.
#[derive(Debug)]
pub struct Endpoint {
    url: String,
    app: Arc<App>,
    dynamodb: DynamoDb,
    stop: Option<oneshot::Sender<()>>,
    accepting: JoinHandle<()>,
}

impl Endpoint {
    /// Binds both listeners, opens the state and serves. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        for address in [config.listen, config.dynamodb_listen] {
            if !config.allow_remote && !address.ip().is_loopback() {
                return Err(StartError::NotLoopback(address));
            }
        }
        let faults = Faults::new(config.faults.clone()).map_err(StartError::Fault)?;
        let state_dir = match &config.state {
            State::Memory => None,
            State::Dir(dir) => Some(dir.clone()),
        };
        let lock = match &state_dir {
            None => None,
            Some(dir) => Some(folder::lock(dir, config.fresh).await?),
        };
        let listen_error = |reason| StartError::Listen { address: config.listen, reason };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let listens_at = listener.local_addr().map_err(listen_error)?;
        let url = format!("http://{listens_at}");
        if let Some(dir) = state_dir.as_deref().filter(|_| config.fresh) {
            folder::empty(dir)?;
        }
        let dynamodb = DynamoDb::start(state_dir.as_deref(), config.dynamodb_listen).await?;
        let shared = Shared::new(config.clock, config.region, config.account, state_dir, lock)?;
        let kinesis = Settings { limits: config.limits, memory_bytes: config.kinesis_memory_bytes };
        let admits = config.admit_aws_sources;
        let (hosts, telemetry) = (Hosts::of(listens_at), config.telemetry);
        let app = App::new(shared, hosts, faults, kinesis, admits, dynamodb.url(), telemetry)?;
        let (stop, stopped) = oneshot::channel();
        let accepting = tokio::spawn(server::accept(listener, Arc::clone(&app), stopped));
        Ok(Self { url, app, dynamodb, stop: Some(stop), accepting })
    }

    /// Returns the value for `AWS_ENDPOINT_URL`: serves all services, DynamoDB with one hop more.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the value for `AWS_ENDPOINT_URL_DYNAMODB`: the embedded DynamoDB without the hop.
    #[must_use]
    pub fn dynamodb_url(&self) -> &str {
        self.dynamodb.url()
    }

    /// Creates a topic and subscribes the caller to it, by a delivery over HTTP as any other
    /// subscriber gets. Returns the topic's ARN and its messages from now on.
    ///
    /// # Errors
    /// When SNS refuses the name.
    pub fn watch_topic(
        &self,
        name: &str,
        display_name: &str,
    ) -> Result<(String, Notices), AwsError> {
        self.app.watch_topic(&self.url, name, display_name)
    }

    /// Plays a service of AWS that sends its own metrics, such as IVS in `AWS/IVS`: one value of
    /// this minute, of the metric by namespace and name.
    ///
    /// # Errors
    /// When the state cannot be stored.
    pub fn play_metric(
        &self,
        metric: (&str, &str),
        dimensions: &[(&str, &str)],
        unit: &str,
        value: f64,
    ) -> Result<(), AwsError> {
        self.app.play_metric(metric, dimensions, unit, value)
    }

    /// Says which stream sessions IVS has from now on, as the body of `PUT /_local/ivs` does:
    /// `{"sessions": […]}`, each with `channelArn`, and the members of `GetStreamSession`'s answer.
    ///
    /// # Errors
    /// When that is something else.
    pub fn play_streams(&self, told: &[u8]) -> Result<(), AwsError> {
        self.app.play_streams(told)
    }

    /// Returns how often each action was called with an access key, as IAM names them: what its
    /// holder has to be allowed. With DynamoDB's goes the table, such as `dynamodb:GetItem <table>`.
    /// Calls at [`Self::dynamodb_url`] and unsigned ones are not seen, and the first 64 keys alone.
    #[must_use]
    pub fn calls(&self, access_key: &str) -> BTreeMap<String, u64> {
        self.app.calls(access_key)
    }

    /// Lets requests in flight finish (for a second at most) and stops.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            // A receiver that is gone has already stopped.
            let _already_stopped = stop.send(()).is_err();
        }
        if let Err(error) = (&mut self.accepting).await {
            tracing::warn!(%error, "the embedded endpoint's listener had failed");
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
        self.app.abort();
    }
}
