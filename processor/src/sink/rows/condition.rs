//! The conditions of puts.

use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::session::attribute_names;
use ivs_schemas::items::metrics;

/// When a put may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The row is at the version that was seen; `None`: there is no row.
    Version(Option<u64>),
    /// There is no such fact, or one that has to give way to one with this fingerprint.
    Fact(u64),
    /// The fact has this fingerprint.
    SameFact(u64),
}

impl Condition {
    /// Returns the condition in DynamoDB's language.
    pub(super) const fn expression(self) -> &'static str {
        match self {
            Self::Version(None) => "attribute_not_exists(#key)",
            Self::Version(Some(_)) => "#version = :seen",
            Self::Fact(_) => "attribute_not_exists(#key) OR #print > :print",
            Self::SameFact(_) => "#print = :print",
        }
    }

    /// Returns the attributes behind the names in it.
    pub(super) fn names(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let key = ("#key", metrics::SESSION_ID);
        let print = ("#print", attribute_names::FINGERPRINT);
        let names = match self {
            Self::Version(None) => [Some(key), None],
            Self::Version(Some(_)) => [Some(("#version", metrics::VERSION)), None],
            Self::Fact(_) => [Some(key), Some(print)],
            Self::SameFact(_) => [Some(print), None],
        };
        names.into_iter().flatten()
    }

    /// Returns the value in it, by its name.
    pub(super) fn value(self) -> Option<(&'static str, AttributeValue)> {
        match self {
            Self::Version(None) => None,
            Self::Version(Some(version)) => Some((":seen", number(version))),
            Self::Fact(print) | Self::SameFact(print) => Some((":print", number(print))),
        }
    }
}

pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
