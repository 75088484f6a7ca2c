//! The lines that workers log of their epochs, which `check-trace` reads, taken as they are made.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use ivs_processor::clock::elapsed;
use ivs_processor::commands::check_trace::judge::Step;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

const TARGET: &str = "ivs_processor::worker::shard_task::trace";

/// One line, by field.
pub(crate) type Line = Map<String, Value>;

/// Takes the lines of this thread's workers.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<(u64, Line)>>>);

impl Trace {
    /// Returns the lines so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Returns the steps as `check-trace` reads them, on a clock that does not jump.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(at_ms, line): &(u64, Line)| {
            let second = at_ms / 1_000;
            let time = format!(
                "1970-01-01T{:02}:{:02}:{:02}.{:03}Z",
                second / 3_600,
                second / 60 % 60,
                second % 60,
                at_ms % 1_000
            );
            Step::of_line(&json!({ "timestamp": time, "fields": line }))
        };
        lines.iter().filter_map(read).collect()
    }
}

impl Subscriber for Trace {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((elapsed().0, fields.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(Line);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
