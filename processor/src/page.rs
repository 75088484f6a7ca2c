//! The control room: one page that shows what is live, the alarms, the fleet and the rejected
//! records, from the tables, CloudWatch and the worker in this process. Read only.
//!
//! It asks AWS only while somebody looks. Everything a browser can make it hold is bounded: the
//! connections, the streams of snapshots, the rows read for a session and the channels watched.

mod alarms;
mod answer;
mod body;
mod minute;
mod query;
mod room;
mod runbook;
mod server;
mod session;
mod snapshot;
mod streams;
mod summary;
mod widgets;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

pub use room::Headline;
pub use server::{Server, ServerError, port_or_next};

use crate::cloud::Clients;
use crate::config::Config;
use crate::ops::Phase;
use room::Room;

/// Reports made at once: each reads the rows of a day.
const REPORTS_AT_ONCE: usize = 2;

/// The page's figures and who looks at them. Dropping it ends the reading.
#[derive(Debug)]
pub struct Page {
    room: Arc<Room>,
    reading: JoinHandle<()>,
}

impl Page {
    /// Returns a page over the configured tables, stream and alarms. Call it inside a Tokio
    /// runtime.
    #[must_use]
    pub fn new(config: &Config, clients: &Clients) -> Arc<Self> {
        let room = Arc::new(Room {
            clients: clients.clone(),
            config: config.clone(),
            endpoint: crate::cloud::endpoint(&config.aws),
            worker: Mutex::new((Phase::Starting, None)),
            snapshots: watch::Sender::new(Arc::from("")),
            headlines: watch::Sender::new(Headline::default()),
            watchers: body::Watchers::default(),
            widgets: tokio::sync::Mutex::default(),
            lost: Mutex::default(),
            reports: Semaphore::new(REPORTS_AT_ONCE),
        });
        let reading = tokio::spawn(snapshot::read_while_watched(Arc::clone(&room)));
        Arc::new(Self { room, reading })
    }

    /// Begins to look on, as a browser does; `None` if too many do.
    #[must_use]
    pub fn headlines(&self) -> Option<Headlines> {
        let watcher = self.room.watchers.join()?;
        Some(Headlines { _watcher: watcher, latest: self.room.headlines.subscribe() })
    }

    /// Serves the page by itself, at an address of its own.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn serve(self: &Arc<Self>, address: SocketAddr) -> Result<Server, ServerError> {
        Server::start(address, Arc::clone(self)).await
    }
}

/// The headline, kept up to date until this is dropped.
#[derive(Debug)]
pub struct Headlines {
    _watcher: body::Watcher,
    latest: watch::Receiver<Headline>,
}

impl Headlines {
    /// Returns the latest one.
    #[must_use]
    pub fn latest(&self) -> Headline {
        self.latest.borrow().clone()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
