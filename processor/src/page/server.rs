//! The page at an address of its own, for a program that somebody sits before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::Page;
use super::body::Body;

/// A few browsers with six connections each; more wait in the system's backlog.
const MAX_CONNECTIONS: usize = 64;
/// hyper's smallest buffer; longer request heads are refused.
const MAX_HEAD_BYTES: usize = 8_192;
/// For the head of a request, and between two on one connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A stream of snapshots ends after this and is asked for again.
const STREAM_LASTS: Duration = Duration::from_secs(600);
/// Ports tried after one that is taken.
const PORTS_TRIED: u16 = 20;

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
#[error(
    "the page cannot be served on {address}: {}; choose another port with --page-port, 0 for any \
     free one",
    .reason.kind()
)]
pub struct ServerError {
    address: SocketAddr,
    reason: io::Error,
}

impl ServerError {
    fn is_taken(&self) -> bool {
        self.reason.kind() == io::ErrorKind::AddrInUse
    }
}

/// A running server of the page. Dropping it ends it and cuts its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Binds and serves.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub(super) async fn start(address: SocketAddr, page: Arc<Page>) -> Result<Self, ServerError> {
        let refused = |reason| ServerError { address, reason };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let accepting = tokio::spawn(accept(listener, address, page));
        Ok(Self { address, accepting })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves at an address or, if its port is taken, at the next free one of the twenty after it, or at
/// any.
///
/// # Errors
/// When it cannot listen for another reason than a port that is taken.
pub async fn port_or_next(page: &Arc<Page>, address: SocketAddr) -> Result<Server, ServerError> {
    let first = address.port();
    for port in (first..u16::MAX).take(usize::from(PORTS_TRIED)) {
        match page.serve(SocketAddr::new(address.ip(), port)).await {
            Err(error) if error.is_taken() => {}
            decided => return decided,
        }
    }
    page.serve(SocketAddr::new(address.ip(), 0)).await
}

/// Accepts connections for ever. Dropping the future cuts them.
async fn accept(listener: TcpListener, address: SocketAddr, page: Arc<Page>) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((socket, _)) => drop(connections.spawn(serve(socket, address, Arc::clone(&page)))),
                Err(error) => {
                    // Out of file handles, most likely: wait for connections to close.
                    tracing::warn!(%error, "the page cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

async fn serve(socket: TcpStream, address: SocketAddr, page: Arc<Page>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let page = Arc::clone(&page);
        async move {
            let answer: Response<Body> = page.answer(&request, address, STREAM_LASTS).await;
            Ok::<_, io::Error>(answer)
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the page ended");
    }
}
