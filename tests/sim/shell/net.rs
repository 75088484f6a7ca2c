//! The network between workers and services: calls take time, get lost on either way, come late, and
//! outlive the worker that made them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::state::Shell;

/// A service that calls go to, each with its own bad times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Stream,
    Leases,
    Rows,
    Objects,
    Metrics,
    Events,
}

impl Service {
    pub(crate) const ALL: [Self; 6] =
        [Self::Stream, Self::Leases, Self::Rows, Self::Objects, Self::Metrics, Self::Events];
}

/// One life of a worker's process, as the network sees it.
#[derive(Debug, Default)]
pub(crate) struct Life {
    dead: AtomicBool,
    /// Until then it neither sends nor hears anything.
    cut_off_until_ms: AtomicU64,
}

impl Life {
    pub(crate) fn end(&self) {
        self.dead.store(true, Relaxed);
    }

    pub(crate) fn cut_off(&self, until_ms: u64) {
        self.cut_off_until_ms.store(until_ms, Relaxed);
    }
}

/// The way of one worker to all services. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) shell: Arc<Mutex<Shell>>,
    pub(crate) life: Arc<Life>,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

/// The fate of one call.
pub(crate) struct Fate {
    /// The service refuses it, and does nothing.
    pub(crate) is_throttled: bool,
    /// It is carried out, and nobody hears of it.
    pub(crate) is_lost: bool,
    pub(crate) there_ms: u64,
    pub(crate) back_ms: u64,
}

/// No call takes longer to arrive.
pub(crate) const LONGEST_CALL_MS: u64 = 6_500;

/// How long a caller waits for an answer that never comes.
const NO_ANSWER: Duration = Duration::from_millis(700);

impl Net {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shell> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call, whose `effect` happens at one moment or never. An error says why there is no
    /// answer; the effect may have happened, or may still happen.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        service: Service,
        effect: impl FnOnce(&mut Shell) -> T + Send + 'static,
    ) -> Result<T, String> {
        self.gate().await;
        let fate = self.lock().fate(service);
        if fate.is_throttled {
            sleep_ms(fate.there_ms + fate.back_ms).await;
            self.gate().await;
            return Err(format!("ThrottlingException: {service:?} is busy"));
        }
        if fate.there_ms == 0 && !fate.is_lost {
            // The caller cannot be stopped in between.
            let answer = effect(&mut self.lock());
            sleep_ms(fate.back_ms).await;
            self.gate().await;
            return Ok(answer);
        }
        let (answers, answer) = oneshot::channel();
        let shell = Arc::clone(&self.shell);
        tokio::spawn(async move {
            sleep_ms(fate.there_ms).await;
            let answer = effect(&mut shell.lock().unwrap_or_else(PoisonError::into_inner));
            if !fate.is_lost {
                sleep_ms(fate.back_ms).await;
                drop(answers.send(answer));
            }
        });
        let answer = match answer.await {
            Ok(answer) => Ok(answer),
            Err(_) => {
                tokio::time::sleep(NO_ANSWER).await;
                Err(format!("{service:?} did not answer"))
            }
        };
        self.gate().await;
        answer
    }

    /// Lets nothing pass from or to a process that is dead, and later what is cut off.
    async fn gate(&self) {
        if self.life.dead.load(Relaxed) {
            std::future::pending::<()>().await;
        }
        loop {
            let now_ms = self.lock().now_ms();
            let until_ms = self.life.cut_off_until_ms.load(Relaxed);
            if now_ms >= until_ms {
                return;
            }
            sleep_ms(until_ms - now_ms).await;
        }
    }
}

pub(crate) async fn sleep_ms(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
