//! Attributes of the items of `StreamingSessions`, without DynamoDB's types.

use std::sync::Arc;

use md5::{Digest, Md5};

use crate::fixed::FixedSum;
use kinesis_model::EpochMs;

/// A named attribute.
pub type Attribute = (&'static str, AttributeValue);

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// S.
    Text(Arc<str>),
    /// N, exact.
    Number(FixedSum),
    /// L.
    List(Vec<AttributeValue>),
    /// M.
    Map(Vec<Attribute>),
}

impl AttributeValue {
    /// Returns a text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// Returns a whole number.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        Self::Number(FixedSum(i128::from(value) * 1_000_000))
    }

    /// Returns a count.
    #[must_use]
    pub fn count(value: u64) -> Self {
        Self::Number(FixedSum(i128::from(value) * 1_000_000))
    }
}

/// The attributes whose value is known: what is absent in an event is absent in its item.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<Attribute>);

impl Attributes {
    pub(super) fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.0.extend(value.map(|text| (name, AttributeValue::text(text))));
    }

    pub(super) fn number(&mut self, name: &'static str, value: Option<impl Into<FixedSum>>) {
        self.0.extend(value.map(|number| (name, AttributeValue::Number(number.into()))));
    }

    pub(super) fn count(&mut self, name: &'static str, value: u64) {
        self.0.push((name, AttributeValue::count(value)));
    }

    /// Adds a time in epoch seconds, the unit of the tutorial's times.
    pub(super) fn seconds(&mut self, name: &'static str, time: Option<EpochMs>) {
        self.number(name, time.map(|time| FixedSum(i128::from(time.0) * 1_000)));
    }

    pub(super) fn list(&mut self, name: &'static str, members: Vec<AttributeValue>) {
        if !members.is_empty() {
            self.0.push((name, AttributeValue::List(members)));
        }
    }
}

/// Names a fact by its content: equal for equal content, on every machine and in every version
/// that writes the same attributes.
pub(crate) struct Fingerprint(Md5);

impl Fingerprint {
    /// Starts with the domain, so that values of different use never collide by construction.
    pub(crate) fn of(domain: &str) -> Self {
        Self(Md5::new()).text(domain)
    }

    /// Adds a text; its length goes before it, so that neighbors cannot run together.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
        self
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.update(number.to_be_bytes());
        self
    }

    /// Adds attributes, in the order given.
    pub(crate) fn attributes(mut self, attributes: &[Attribute]) -> Self {
        self.0.update((attributes.len() as u64).to_be_bytes());
        attributes.iter().fold(self, |print, (name, value)| print.text(name).value(value))
    }

    fn value(mut self, value: &AttributeValue) -> Self {
        match value {
            AttributeValue::Text(text) => {
                self.0.update(b"S");
                self.text(text)
            }
            AttributeValue::Number(number) => {
                self.0.update(b"N");
                self.0.update(number.0.to_be_bytes());
                self
            }
            AttributeValue::List(members) => {
                self.0.update(b"L");
                self.0.update((members.len() as u64).to_be_bytes());
                members.iter().fold(self, Self::value)
            }
            AttributeValue::Map(members) => {
                self.0.update(b"M");
                self.attributes(members)
            }
        }
    }

    /// Returns the whole fingerprint.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.finalize().into()
    }

    /// Returns its first 63 bits.
    pub(crate) fn short(self) -> u64 {
        let bytes = self.bytes();
        u64::from_be_bytes(std::array::from_fn(|at| bytes[at])) >> 1
    }
}
