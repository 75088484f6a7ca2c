//! Reading and writing attributes, with errors that name them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::channel::SaidBy;
use ivs_core::row::{Row, applied};
use kinesis_model::{Position, ShardId};

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// The attributes that most rows have at most.
const ROW_ATTRIBUTES: usize = 56;

/// An item that this program did not write, or that was altered by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute `{attribute}` {reason}")]
pub struct ItemError {
    /// The attribute.
    pub attribute: String,
    /// The problem with it.
    pub reason: String,
}

/// An item under construction.
#[derive(Debug)]
pub struct Writer(Item);

impl Default for Writer {
    /// Has room for a row at once: growing step by step took a tenth of what making a row takes.
    fn default() -> Self {
        Self(Item::with_capacity(ROW_ATTRIBUTES))
    }
}

impl Writer {
    /// Writes an N.
    pub fn number(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.put(name, AttributeValue::N(value.to_string()))
    }

    /// Writes an N, or nothing.
    pub fn number_if(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// Writes an S; an empty text is left out, because key attributes of an index may not be empty.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            return self;
        }
        self.put(name, AttributeValue::S(value.to_owned()))
    }

    /// Writes an M of B with what is there; nothing if there is nothing.
    pub fn blobs(&mut self, name: &str, blobs: &[(&str, Option<Vec<u8>>)]) -> &mut Self {
        let map: HashMap<_, _> = blobs
            .iter()
            .filter_map(|(key, bytes)| {
                let bytes = bytes.clone()?;
                Some(((*key).to_owned(), AttributeValue::B(Blob::new(bytes))))
            })
            .collect();
        if map.is_empty() {
            return self;
        }
        self.put(name, AttributeValue::M(map))
    }

    /// Writes any value.
    pub fn put(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Writes the bookkeeping of a merged row.
    pub fn row<A>(&mut self, row: &Row<A>) -> &mut Self {
        use ivs_schemas::items::metrics::{APPLIED, SCHEMA_VERSION, VERSION};
        self.put(APPLIED, AttributeValue::B(Blob::new(applied::to_bytes(&row.applied))));
        self.number(VERSION, row.version);
        self.number(SCHEMA_VERSION, ivs_schemas::items::SCHEMA_VERSION)
    }

    /// Returns the item.
    #[must_use]
    pub fn finish(self) -> Item {
        self.0
    }
}

/// An item that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a Item);

impl<'a> Reader<'a> {
    /// Reads an N, if it is there.
    ///
    /// # Errors
    /// When the attribute is not an N, or no `T`.
    pub fn number_if<T: FromStr>(&self, name: &str) -> Result<Option<T>, ItemError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(text)) => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(error(name, format!("is {text}, not the number expected"))),
            },
            Some(_) => Err(error(name, "is not a number")),
        }
    }

    /// Reads an N.
    ///
    /// # Errors
    /// When the attribute is missing, no N, or no `T`.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<T, ItemError> {
        self.number_if(name)?.ok_or_else(|| error(name, "is missing"))
    }

    /// Reads an N, or the default of `T` where it is missing.
    ///
    /// # Errors
    /// When the attribute is not an N, or no `T`.
    pub fn number_or_default<T: FromStr + Default>(&self, name: &str) -> Result<T, ItemError> {
        Ok(self.number_if(name)?.unwrap_or_default())
    }

    /// Reads an S, empty where it is missing.
    ///
    /// # Errors
    /// When the attribute is not an S.
    pub fn text(&self, name: &str) -> Result<&'a str, ItemError> {
        match self.0.get(name) {
            None => Ok(""),
            Some(AttributeValue::S(text)) => Ok(text),
            Some(_) => Err(error(name, "is not a text")),
        }
    }

    /// Reads who says so; of rows from before it was written, a player: the least that outweighs a
    /// guess.
    ///
    /// # Errors
    /// When the attribute is not an S, or no word for it.
    pub fn said_by(&self, name: &str) -> Result<SaidBy, ItemError> {
        match self.text(name)? {
            "" => Ok(SaidBy::Player),
            word => SaidBy::of_word(word).ok_or_else(|| error(name, "names nobody known here")),
        }
    }

    /// Returns a B inside an M.
    ///
    /// # Errors
    /// When the attribute is not an M, or its entry no B.
    pub fn blob(&self, name: &str, key: &str) -> Result<Option<&'a [u8]>, ItemError> {
        let Some(map) = self.0.get(name) else { return Ok(None) };
        let map = map.as_m().map_err(|_| error(name, "is not a map"))?;
        match map.get(key) {
            None => Ok(None),
            Some(AttributeValue::B(blob)) => Ok(Some(blob.as_ref())),
            Some(_) => Err(error(&format!("{name}.{key}"), "is not binary")),
        }
    }

    /// Returns a merged row around its aggregate, in this layout or an earlier one.
    ///
    /// # Errors
    /// When the bookkeeping is missing or ill-typed, or a later release wrote the row: what it put
    /// there must not be lost in a merge by this one.
    pub fn row<A>(&self, agg: A) -> Result<Row<A>, ItemError> {
        use ivs_schemas::items::metrics::{SCHEMA_VERSION, VERSION};
        let layout: u32 = self.number_or_default(SCHEMA_VERSION)?;
        let known = ivs_schemas::items::SCHEMA_VERSION;
        if layout > known {
            let reason = format!(
                "is {layout}, written by a later release; this one merges layouts up to {known}: \
                 update it"
            );
            return Err(error(SCHEMA_VERSION, reason));
        }
        Ok(Row { agg, applied: self.applied()?, version: self.number(VERSION)? })
    }

    /// Reads for each shard the position up to which its records are in the item. Layout 1 had it
    /// as a map of texts.
    ///
    /// # Errors
    /// When it is missing, ill-typed or damaged.
    pub fn applied(&self) -> Result<BTreeMap<ShardId, Position>, ItemError> {
        use ivs_schemas::items::metrics::APPLIED;
        let texts = match self.0.get(APPLIED) {
            Some(AttributeValue::B(bytes)) => {
                return applied::from_bytes(bytes.as_ref())
                    .map_err(|e| error(APPLIED, e.to_string()));
            }
            Some(AttributeValue::M(texts)) => texts,
            _ => return Err(error(APPLIED, "is missing or ill-typed")),
        };
        let entry = |(shard, at): (&String, &AttributeValue)| {
            let at: Option<Position> = at.as_s().ok().and_then(|text| text.parse().ok());
            let bad = || error(&format!("{APPLIED}.{shard}"), "is not a position");
            Ok((ShardId::new(shard), at.ok_or_else(bad)?))
        };
        texts.iter().map(entry).collect()
    }
}

/// Returns the size of an item as DynamoDB counts it: names, texts and bytes as they are, numbers
/// at about two digits a byte, and a few bytes around lists and maps.
#[must_use]
pub fn size_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(members) => {
            3 + members.iter().map(|member| 1 + value_bytes(member)).sum::<usize>()
        }
        AttributeValue::M(members) => 3 + members.len() + size_bytes(members),
        // Boolean, null; no item of ours has sets.
        _ => 1,
    }
}

/// Returns the write units that a put of so many bytes takes: one for each kilobyte begun.
#[must_use]
pub fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(1_024).max(1) as u64
}

/// Returns an error about one attribute.
pub fn error(attribute: &str, reason: impl Into<String>) -> ItemError {
    ItemError { attribute: attribute.to_owned(), reason: reason.into() }
}
