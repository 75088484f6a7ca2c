//! The input: every kind of JSON object that a record of the stream may hold.
//!
//! The JSON Schemas under `schemas/json/` are generated from these types. They say what producers
//! may send; the hot path has a decoder of its own that agrees with them. Fields not named here are
//! allowed and ignored. An optional field may be absent or `null`, which means "not known".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod application;
pub mod chat;
pub mod envelope;
pub mod ingest;
pub mod ivs;
pub mod player;
pub mod qos;
pub mod stage;

/// Defines a string that can have one value only, by which kinds are told apart.
macro_rules! fixed_text {
    ($(#[$doc:meta] $name:ident = $text:literal;)+) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[schemars(inline)]
        pub enum $name {
            /// The one value.
            #[default]
            #[serde(rename = $text)]
            Value,
        }
    )+};
}
pub(crate) use fixed_text;

/// An id: 1 to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Id(#[schemars(length(min = 1, max = 256))] pub String);

/// A measurement: not negative, at most 10^12.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Measure(#[schemars(range(min = 0, max = 1_000_000_000_000_u64))] pub f64);

/// A delay in milliseconds: at most 2^32, which is 49 days.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Delay(#[schemars(range(min = 0, max = 4_294_967_295_u64))] pub f64);

/// A latency in milliseconds. One below zero says that the viewer's clock is ahead: it is left out, and
/// the rest of the record counts.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Latency(
    #[schemars(range(min = -1_000_000_000_000_i64, max = 4_294_967_295_u64))] pub f64,
);

/// A time as text by RFC 3339, for example `2026-03-01T12:00:07.250Z`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    inline,
    extend(
        "format" = "date-time",
        "pattern" = r"^(20\d\d|1999|2100)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$"
    )
)]
pub struct Rfc3339(pub String);

/// Milliseconds since the Unix epoch as digits, from 2000 to 2099: what transports that turn numbers
/// into text make of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    inline,
    extend(
        "pattern" = r"^(946684[89]\d{5}|94668[5-9]\d{6}|94669\d{7}|946[7-9]\d{8}|94[7-9]\d{9}|9[5-9]\d{10}|[1-3]\d{12}|40\d{11}|410[01]\d{9}|4102[0-3]\d{8}|41024[0-3]\d{7}|410244[0-3]\d{6}|4102444[0-7]\d{5})$"
    )
)]
pub struct EpochMsText(pub String);

/// A time, as RFC 3339 text or as milliseconds since the Unix epoch (years 2000 to 2099).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Time {
    /// Milliseconds since the Unix epoch. The range makes plain seconds an error.
    EpochMs(#[schemars(range(min = 946_684_800_000_i64, max = 4_102_444_799_999_i64))] f64),
    /// The same as digits in a text.
    EpochMsText(EpochMsText),
    /// RFC 3339 text.
    Rfc3339(Rfc3339),
}

/// A value out of a list that may grow: producers may send values this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Open<T> {
    /// A listed value.
    Known(T),
    /// Any other text; it is counted, never an error.
    Other(String),
}
