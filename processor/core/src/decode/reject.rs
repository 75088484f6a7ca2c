//! Why a record was refused.

use std::fmt;

use kinesis_model::kpl::{BrokenAggregate, ForeignRecord};

/// The longest excerpt of a refused value that a rejection quotes, in characters.
const MAX_EXCERPT: usize = 40;

/// The fixed list of reasons; rejects are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not UTF-8, or not JSON by RFC 8259.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// An object that is none of the kinds known here.
    NoKind,
    /// A field that the kind cannot do without is absent or null.
    MissingField,
    /// A field of another type or form than the kind asks for.
    IllTyped,
    /// An id of no characters.
    EmptyId,
    /// A number given as `NaN` or `Infinity`.
    NotFinite,
    /// A measurement below zero.
    Negative,
    /// A number beyond ±10^12, or a time outside the years 2000 to 2099.
    OutOfRange,
    /// An event time too far ahead of the arrival time.
    ClockSkew,
    /// A line, an id, a text, a list or a nesting beyond its limit.
    TooLarge,
    /// A KPL aggregate whose checksum is right and whose content is not.
    BadAggregate,
    /// A KPL aggregate with a user record that belongs to another shard.
    HashRange,
}

impl Reason {
    /// Every reason, in the order of the enum: the rows of a table of counts.
    pub const ALL: [Self; 13] = [
        Self::NotJson,
        Self::NotAnObject,
        Self::NoKind,
        Self::MissingField,
        Self::IllTyped,
        Self::EmptyId,
        Self::NotFinite,
        Self::Negative,
        Self::OutOfRange,
        Self::ClockSkew,
        Self::TooLarge,
        Self::BadAggregate,
        Self::HashRange,
    ];

    /// Returns the name used in metrics, rejects and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::NoKind => "no_kind",
            Self::MissingField => "missing_field",
            Self::IllTyped => "ill_typed",
            Self::EmptyId => "empty_id",
            Self::NotFinite => "not_finite",
            Self::Negative => "negative",
            Self::OutOfRange => "out_of_range",
            Self::ClockSkew => "clock_skew",
            Self::TooLarge => "too_large",
            Self::BadAggregate => "bad_aggregate",
            Self::HashRange => "hash_range",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused record. Displays as `reason: field: detail`, without the field where there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Rejection {
    /// The class.
    pub reason: Reason,
    /// The field at fault, as the record spells it.
    pub field: Option<&'static str>,
    /// One short sentence; it quotes at most 40 characters of the record.
    pub detail: String,
}

impl Rejection {
    /// Returns a rejection of the record as a whole.
    pub(crate) fn of_record(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, field: None, detail: detail.into() }
    }

    /// Returns a rejection of one field.
    pub(crate) fn of_field(reason: Reason, field: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, field: Some(field), detail: detail.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.reason)?;
        if let Some(field) = self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.detail)
    }
}

impl From<BrokenAggregate> for Rejection {
    fn from(broken: BrokenAggregate) -> Self {
        Self::of_record(Reason::BadAggregate, broken.to_string())
    }
}

impl From<ForeignRecord> for Rejection {
    fn from(foreign: ForeignRecord) -> Self {
        Self::of_record(Reason::HashRange, foreign.to_string())
    }
}

/// Returns the start of a text in printable ASCII, in backquotes.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown: String = text.escape_default().take(MAX_EXCERPT).collect();
    if text.escape_default().nth(MAX_EXCERPT).is_some() {
        shown.truncate(MAX_EXCERPT - 3);
        shown.push_str("...");
    }
    format!("`{shown}`")
}
