//! The results of a job of a replay: partial rows, counts and errors.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivs_core::decode::Rejection;
use ivs_core::epoch::{Counts, Rows};
use ivs_core::session::{SummaryAgg, TimelineItem};
use ivs_core::window::{WindowAgg, WindowKey};
use serde_json::{Value, json};

use super::entry::{FactPart, MetricPart, Stamp, SummaryPart};
use super::sorter::Sorter;
use crate::archive::object::Damage;
use crate::config;
use crate::items::json::to_json;
use crate::items::{expiry, timeline};

/// The wanted output of a replay.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The tables as configured, where sessions are recomputed too; `None` for metric rows alone.
    pub(crate) tables: Option<Arc<config::Tables>>,
    /// Whether rejected records are kept.
    pub(crate) rejects: bool,
    /// Memory for rows of one job.
    pub(crate) memory_bytes: usize,
}

/// Partial rows of one job.
pub(crate) struct Output {
    tables: Option<Arc<config::Tables>>,
    /// Metric rows.
    pub(crate) metrics: Sorter<MetricPart>,
    /// Summaries.
    pub(crate) summaries: Sorter<SummaryPart>,
    /// Timeline items.
    pub(crate) facts: Sorter<FactPart>,
    /// The outcome of the records.
    pub(crate) counts: Counts,
    /// Objects that could not be read to their ends.
    pub(crate) damages: Vec<Damage>,
    rejects: Option<BufWriter<File>>,
}

impl Output {
    /// Returns the output of nothing yet.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn new(wanted: &Wanted) -> io::Result<Self> {
        let rejects = match wanted.rejects {
            true => Some(BufWriter::new(tempfile::tempfile()?)),
            false => None,
        };
        Ok(Self {
            tables: wanted.tables.clone(),
            metrics: Sorter::new(wanted.memory_bytes),
            summaries: Sorter::new(wanted.memory_bytes / 4),
            facts: Sorter::new(wanted.memory_bytes / 4),
            counts: Counts::default(),
            damages: Vec::new(),
            rejects,
        })
    }

    /// Returns whether rows of sessions are wanted too.
    pub(crate) fn wants_sessions(&self) -> bool {
        self.tables.is_some()
    }

    /// Takes the partial rows of one part of the source.
    ///
    /// # Errors
    /// When they must be spilled and cannot.
    pub(crate) fn add(&mut self, rows: Rows, stamp: Stamp) -> io::Result<()> {
        let Rows { metrics, summaries, timeline, account_facts: _ } = rows;
        self.add_metrics(metrics, stamp)?;
        if self.tables.is_none() {
            return Ok(());
        }
        self.add_sessions(summaries, timeline, stamp)
    }

    /// Takes partial metric rows.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn add_metrics(
        &mut self,
        metrics: Vec<(WindowKey, WindowAgg)>,
        stamp: Stamp,
    ) -> io::Result<()> {
        for (key, agg) in metrics {
            let stamps = if self.tables.is_some() { vec![stamp] } else { Vec::new() };
            self.metrics.push(MetricPart { key, agg, stamps })?;
        }
        Ok(())
    }

    /// Takes partial rows of sessions.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn add_sessions(
        &mut self,
        summaries: Vec<(Arc<str>, SummaryAgg)>,
        facts: Vec<TimelineItem>,
        stamp: Stamp,
    ) -> io::Result<()> {
        let Some(tables) = &self.tables else { return Ok(()) };
        for (session_id, agg) in summaries {
            self.summaries.push(SummaryPart { session_id, agg, stamps: vec![stamp] })?;
        }
        for fact in facts {
            let item: Value = to_json(&timeline::encode(&fact, "", expiry::of_fact(&fact, tables)));
            let (key, item) = ((fact.session_id, fact.sort_key_ms), item.to_string());
            self.facts.push(FactPart { key, fingerprint: fact.fingerprint, stamp, item })?;
        }
        Ok(())
    }

    /// Keeps a rejected record, if that is wanted. `place` says where it stands.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn reject(
        &mut self,
        mut place: Value,
        rejection: &Rejection,
        data: &[u8],
    ) -> io::Result<()> {
        let Some(out) = &mut self.rejects else { return Ok(()) };
        place["reason"] = rejection.reason.as_str().into();
        place["error"] = rejection.to_string().into();
        match std::str::from_utf8(data) {
            Ok(text) => place["data"] = text.into(),
            Err(_) => place["dataBase64"] = STANDARD.encode(data).into(),
        }
        writeln!(out, "{place}")
    }

    /// Appends the rejected records to a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn append_rejects(&mut self, to: &mut impl io::Write) -> io::Result<()> {
        let Some(kept) = self.rejects.take() else { return Ok(()) };
        let mut file = kept.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        io::copy(&mut file, to).map(drop)
    }
}

/// Returns where a rejected record of an object stands.
pub(crate) fn place(object: &str, offset: u64) -> Value {
    json!({ "object": object, "offset": offset })
}
