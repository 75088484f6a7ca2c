//! The engine of `replay` and `audit`: rows again, from an archive or from what a stream still holds.
//!
//! Sources are read in parallel ([`job`]): the worker's own segments shard by shard through the
//! worker's state machine ([`epochs`]), objects of others in contiguous ranges ([`ranges`]). Partial
//! rows are sorted and merged in bounded memory ([`sorter`]); the commands decide where they go.

mod bytes;
mod chain;
pub(crate) mod context;
pub(crate) mod entry;
pub(crate) mod epochs;
mod ids;
pub(crate) mod job;
pub(crate) mod output;
pub(crate) mod progress;
mod ranges;
mod read_args;
pub(crate) mod sorter;
pub(crate) mod units;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::archive::find::{self, LeftOut};
use crate::archive::{object::Object, segment};
use crate::config::{Config, Tables, shard_config};
use context::{Computed, Context};
use output::{Output, Wanted};
use progress::Progress;
pub(crate) use read_args::ReadArgs;

/// Memory for partial rows, over all threads, once in windows and once in the sorter; beyond it
/// they wait in files.
const MEMORY_BYTES: usize = 32 << 20;
/// Marks a stream among the sources.
const KINESIS: &str = "kinesis:";

/// The use that is made of the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// Metric rows alone, into a file.
    Rows,
    /// Metric rows, and the sessions that they are judged with.
    Events(&'a Tables),
    /// Rows of these tables, sessions included.
    Tables(&'a Tables),
}

impl<'a> Purpose<'a> {
    const fn tables(self) -> Option<&'a Tables> {
        match self {
            Self::Rows => None,
            Self::Events(tables) | Self::Tables(tables) => Some(tables),
        }
    }
}

/// Sources that are being read.
pub(crate) struct Reading {
    cx: Arc<Context>,
    streams: Vec<String>,
    threads: usize,
    left_out: Vec<LeftOut>,
}

impl Reading {
    /// Finds the objects of all sources.
    ///
    /// # Errors
    /// When a source cannot be listed, or is none from which rows of tables can be made.
    pub(crate) async fn of(
        config: &Config,
        sources: &[String],
        how: &ReadArgs,
        purpose: Purpose<'_>,
        rejects: bool,
    ) -> anyhow::Result<Self> {
        let (streams, sources): (Vec<_>, Vec<_>) =
            sources.iter().cloned().partition(|source| source.starts_with(KINESIS));
        let streams: Vec<String> =
            streams.iter().map(|stream| stream[KINESIS.len()..].to_owned()).collect();
        let found = find::find(&sources, &config.aws).await?;
        let (chains, objects) = segment::chains(found.objects);
        if matches!(purpose, Purpose::Tables(_)) {
            anyhow::ensure!(
                streams.is_empty(),
                "a stretch of a stream begins and ends inside epochs, so it cannot be told which of \
                 its records a row holds already: write it to a file, or apply the stream's archive"
            );
            anyhow::ensure!(
                !objects.iter().any(Object::is_stream),
                "what comes over a pipe has no name by which rows could tell that they hold it: write it \
                 to a file first"
            );
            let mut names: Vec<&String> = chains.iter().map(|chain| &chain.stream).collect();
            names.dedup();
            anyhow::ensure!(
                names.len() <= 1,
                "the archive holds several streams ({names:?}), the tables rows of one: name its folder"
            );
        }
        let progress = Arc::new(Progress::default());
        let segments = chains.iter().flat_map(|chain| &chain.segments).map(|one| &one.object);
        let total = segments.chain(&objects).map(|object| object.size_bytes).sum();
        progress.total_bytes.store(total, Relaxed);
        let threads = match how.threads {
            // What comes over a pipe can be read once, by one.
            _ if objects.iter().any(Object::is_stream) => 1,
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let wanted = Wanted {
            tables: purpose.tables().cloned().map(Arc::new),
            rejects,
            memory_bytes: MEMORY_BYTES / threads,
        };
        let cx = Context::new(shard_config(config), wanted, chains, objects, progress);
        Ok(Self { cx: Arc::new(cx), streams, threads, left_out: found.left_out })
    }

    /// Returns what lies in the sources and is not read.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Returns how far it is.
    pub(crate) fn progress(&self) -> &Progress {
        &self.cx.progress
    }

    /// Returns the state that all threads share.
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.cx
    }

    /// Returns the streams among the sources.
    pub(crate) fn streams(&self) -> &[String] {
        &self.streams
    }

    /// Recomputes what the sources say; `streamed` was read already, rejected records go to
    /// `rejects`.
    ///
    /// # Errors
    /// When temporary files or the rejects cannot be written.
    pub(crate) async fn recompute(
        &self,
        streamed: Option<Output>,
        mut rejects: Option<Box<dyn io::Write + Send>>,
    ) -> anyhow::Result<Computed> {
        let (cx, threads) = (Arc::clone(&self.cx), self.threads);
        let run = tokio::task::spawn_blocking(move || {
            job::run(&cx, threads, streamed, rejects.as_mut().map(|out| out as _))
        });
        Ok(run.await??)
    }
}
