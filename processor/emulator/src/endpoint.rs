//! Starting and stopping the endpoint.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::dynamodb::DynamoDb;
use crate::faults::{FaultRule, Faults};
use crate::kinesis::Settings;
use crate::server;
use crate::server::App;
use crate::service::Shared;

/// How often and how long a start waits for the state folder's last owner to let go of it: an
/// endpoint dropped a moment ago in the same process needs a few milliseconds.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// Where the services keep their state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In a folder, created if absent; every acknowledged write survives the end of the process.
    Dir(PathBuf),
    /// In memory, gone with the endpoint.
    Memory,
}

/// What an endpoint is started with. `Config::default()` is an endpoint in memory on a free port.
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
        }
    }
}

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Only loopback is served unless [`Config::allow_remote`] is set.
    #[error("`{0}` is not a loopback address and remote addresses are not allowed")]
    NotLoopback(SocketAddr),
    /// The port is taken or the address is not this machine's.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Another endpoint has the folder open.
    #[error("the state folder `{0}` is in use by another process")]
    InUse(PathBuf),
    /// It was to be emptied, and nothing says that it may be.
    #[error(
        "`{0}` is left alone: it holds something, and no file `{MARK_FILE}` that says that this \
         program made it; delete it yourself or choose another folder"
    )]
    NotOurs(PathBuf),
    /// The folder or a file in it cannot be made, read or written.
    #[error("cannot use the state folder `{path}`: {source}")]
    State {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The embedded DynamoDB refused its file.
    #[error("the embedded dynamodb did not start: {0}")]
    DynamoDb(String),
    /// A fault rule makes no sense.
    #[error("bad fault rule: {0}")]
    Fault(String),
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
            Some(dir) => Some(lock_dir(dir, config.fresh).await?),
        };
        let listen_error = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let url = format!("http://{}", listener.local_addr().map_err(listen_error)?);
        if let Some(dir) = state_dir.as_deref().filter(|_| config.fresh) {
            empty_dir(dir)?;
        }
        let dynamodb = DynamoDb::start(state_dir.as_deref(), config.dynamodb_listen).await?;
        let shared = Shared::new(config.clock, config.region, config.account, state_dir, lock);
        let kinesis = Settings { limits: config.limits, memory_bytes: config.kinesis_memory_bytes };
        let app = App::new(shared, faults, kinesis, config.admit_aws_sources, dynamodb.url())?;
        let (stop, stopped) = oneshot::channel();
        let accepting = tokio::spawn(server::accept(listener, Arc::clone(&app), stopped));
        Ok(Self { url, app, dynamodb, stop: Some(stop), accepting })
    }

    /// The value for `AWS_ENDPOINT_URL`: serves all services, DynamoDB with one hop more.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The value for `AWS_ENDPOINT_URL_DYNAMODB`: the embedded DynamoDB without the hop.
    #[must_use]
    pub fn dynamodb_url(&self) -> &str {
        self.dynamodb.url()
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

/// The lock's file.
const LOCK_FILE: &str = "lock";
/// The file that says that a folder is ours, and what it says.
const MARK_FILE: &str = "state-of-ivs-processor.txt";
const MARK: &str = "This folder holds the state of `ivs-processor local`, which made it and may \
                    empty it (--fresh). Keep nothing else here.\n";

fn state_error(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    |source| StartError::State { path, source }
}

/// Makes the folder and takes its lock, which the returned handle holds until it is dropped. A new
/// or empty folder is marked as ours; one that is to be emptied must be.
async fn lock_dir(dir: &Path, fresh: bool) -> Result<File, StartError> {
    std::fs::create_dir_all(dir).map_err(state_error(dir))?;
    let is_empty = dir.read_dir().map_err(state_error(dir))?.next().is_none();
    let mark = dir.join(MARK_FILE);
    // Before anything is put there.
    if fresh && !is_empty && std::fs::read_to_string(&mark).map_or(true, |text| text != MARK) {
        return Err(StartError::NotOurs(dir.to_owned()));
    }
    if is_empty {
        std::fs::write(&mark, MARK).map_err(state_error(&mark))?;
    }
    let path = dir.join(LOCK_FILE);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(state_error(&path))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_WAIT).await,
            Err(TryLockError::Error(source)) => return Err(state_error(&path)(source)),
        }
    }
    Err(StartError::InUse(dir.to_owned()))
}

/// Removes everything but lock and mark.
fn empty_dir(dir: &Path) -> Result<(), StartError> {
    for entry in dir.read_dir().map_err(state_error(dir))? {
        let entry = entry.map_err(state_error(dir))?;
        let path = entry.path();
        if entry.file_name() == LOCK_FILE || entry.file_name() == MARK_FILE {
            continue;
        }
        let kind = entry.file_type().map_err(state_error(&path))?;
        let removed = if kind.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(state_error(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path, fresh: bool) -> Config {
        Config { state: State::Dir(dir.to_owned()), fresh, ..Config::default() }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = dir.read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_folder_is_emptied_only_by_who_has_its_lock_and_port_and_made_it() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let running = Endpoint::start(config(&dir, false)).await.unwrap();
        std::fs::write(dir.join("kept"), "x").unwrap();
        let error = Endpoint::start(config(&dir, true)).await.unwrap_err();
        assert!(matches!(error, StartError::InUse(_)), "{error}");
        assert!(dir.join("kept").exists(), "another process uses it");
        running.shutdown().await;
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let error = Endpoint::start(Config { listen, ..config(&dir, true) }).await.unwrap_err();
        assert!(matches!(error, StartError::Listen { .. }), "{error}");
        assert!(dir.join("kept").exists(), "the port was taken");
        Endpoint::start(config(&dir, true)).await.unwrap().shutdown().await;
        assert!(!dir.join("kept").exists());
        assert!(dir.join(MARK_FILE).exists(), "it can be emptied again");
    }

    #[tokio::test]
    async fn a_folder_of_somebody_else_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        for name in [LOCK_FILE, "thesis.txt"] {
            std::fs::write(dir.path().join(name), "mine").unwrap();
        }
        for _ in 0..2 {
            let error = Endpoint::start(config(dir.path(), true)).await.unwrap_err();
            assert!(matches!(error, StartError::NotOurs(_)), "{error}");
            assert_eq!(names(dir.path()), [LOCK_FILE, "thesis.txt"]);
            assert_eq!(std::fs::read_to_string(dir.path().join(LOCK_FILE)).unwrap(), "mine");
        }
        // One that was used all the same is not ours by that.
        Endpoint::start(config(dir.path(), false)).await.unwrap().shutdown().await;
        let error = Endpoint::start(config(dir.path(), true)).await.unwrap_err();
        assert!(matches!(error, StartError::NotOurs(_)), "{error}");
        assert!(dir.path().join("thesis.txt").exists());
    }
}
