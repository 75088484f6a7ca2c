//! Something else that is served beside the probes: the page.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use tokio::sync::mpsc;

use crate::worker::Watch;

/// A site with paths of its own that shows the worker.
pub trait Site: fmt::Debug + Send + Sync {
    /// Returns whether a path is the site's own.
    fn has(&self, path: &str) -> bool;

    /// Answers a request to one of its paths, made at `here`. Events end after `lasting`.
    fn answer<'a>(
        &'a self,
        request: &'a Request<Incoming>,
        here: SocketAddr,
        lasting: Duration,
    ) -> BoxFuture<'a, Response<Body>>;

    /// Shows a worker of this process.
    fn running(&self, worker: Watch);

    /// Shows that the worker is about to leave.
    fn draining(&self);
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    /// Events as they come.
    Events(mpsc::Receiver<Bytes>),
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(whole: T) -> Self {
        Self::Whole(Some(whole.into()))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => {
                events.poll_recv(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => {
                SizeHint::with_exact(whole.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
