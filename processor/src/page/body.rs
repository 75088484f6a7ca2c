//! Streams of snapshots as server-sent events, and how many look at them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use crate::ops::Body;

/// Browsers that are sent snapshots at once; more are told to come again.
const MAX_WATCHERS: usize = 24;
/// Between two signs of life where nothing else is said.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How many look; reading begins with the first and ends with the last.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    count: Arc<AtomicUsize>,
    came: Notify,
}

/// One who looks, until it is dropped.
#[derive(Debug)]
pub(super) struct Watcher(Arc<AtomicUsize>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watchers {
    /// Counts one more; `None` if there are too many.
    pub(super) fn join(&self) -> Option<Watcher> {
        let room = |count: usize| (count < MAX_WATCHERS).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        self.came.notify_one();
        Some(Watcher(Arc::clone(&self.count)))
    }

    /// Returns once somebody looks.
    pub(super) async fn some(&self) {
        while self.count.load(Ordering::Relaxed) == 0 {
            self.came.notified().await;
        }
    }
}

/// Sends every snapshot from now on, the newest first known one at once, for `lasting` at most: a
/// browser then connects again by itself. A slow reader misses snapshots and gets the newest.
pub(super) fn events(
    mut snapshots: watch::Receiver<Arc<str>>,
    watcher: Watcher,
    lasting: Duration,
) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _watcher = watcher;
        let send = async {
            let mut next = Bytes::from_static(b"retry: 500\n\n");
            while sender.send(next).await.is_ok() {
                next = match tokio::time::timeout(KEEP_ALIVE, snapshots.changed()).await {
                    Ok(Ok(())) => event(&snapshots.borrow_and_update()),
                    Ok(Err(_)) => return,
                    Err(_) => Bytes::from_static(b": still here\n\n"),
                };
            }
        };
        tokio::select! {
            () = send => {}
            () = sender.closed() => {}
            () = tokio::time::sleep(lasting) => {}
        }
    });
    Body::Events(receiver)
}

/// A snapshot is JSON, so it has no newline.
fn event(snapshot: &str) -> Bytes {
    Bytes::from(format!("data: {snapshot}\n\n"))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;

    use hyper::body::Body as _;

    use super::*;

    async fn next(body: &mut Body) -> Option<String> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        let bytes = frame.unwrap().into_data().unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_reader_gets_each_snapshot_and_then_an_end() {
        let (sender, watchers) = (watch::Sender::new(Arc::from("")), Watchers::default());
        let watcher = watchers.join().unwrap();
        let mut body = events(sender.subscribe(), watcher, Duration::from_millis(300));
        assert_eq!(next(&mut body).await.unwrap(), "retry: 500\n\n");
        sender.send_replace(Arc::from("{\"a\":1}"));
        assert_eq!(next(&mut body).await.unwrap(), "data: {\"a\":1}\n\n");
        assert_eq!(next(&mut body).await, None, "it ends in time");
    }

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_leaves() {
        let watchers = Watchers::default();
        let mut all: Vec<_> = (0..MAX_WATCHERS).map(|_| watchers.join().unwrap()).collect();
        assert!(watchers.join().is_none());
        all.pop();
        assert!(watchers.join().is_some());
    }
}
