//! The DynamoDB tables as data: one truth for CDK, local mode and tests.

use serde::Serialize;

use crate::items::{lease, metrics, sessions};
use crate::names;

/// Type of a key attribute, with DynamoDB's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum KeyType {
    /// String.
    S,
    /// Number.
    N,
}

/// A key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Attribute name.
    pub name: &'static str,
    /// Attribute type.
    #[serde(rename = "type")]
    pub kind: KeyType,
}

/// The attributes that an index copies from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Projection {
    /// Every attribute.
    All,
    /// Only the keys of table and index.
    KeysOnly,
}

/// A global secondary index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Index name.
    pub name: &'static str,
    /// Partition key.
    pub partition_key: Key,
    /// Sort key.
    pub sort_key: Key,
    /// Copied attributes.
    pub projection: Projection,
}

/// A table, billed on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Table name.
    pub name: &'static str,
    /// Partition key.
    pub partition_key: Key,
    /// Sort key, if there is one.
    pub sort_key: Option<Key>,
    /// Global secondary indexes.
    pub indexes: &'static [Index],
    /// Attribute with the expiry in epoch seconds, if rows may expire.
    pub ttl_attribute: Option<&'static str>,
}

const fn string(name: &'static str) -> Key {
    Key { name, kind: KeyType::S }
}

const fn number(name: &'static str) -> Key {
    Key { name, kind: KeyType::N }
}

/// One timeline and one summary per session.
pub const SESSIONS: Table = Table {
    name: names::SESSIONS_TABLE,
    partition_key: string(sessions::SESSION_ID),
    sort_key: Some(number(sessions::TIMESTAMP)),
    indexes: &[Index {
        name: names::CHANNEL_INDEX,
        partition_key: string(sessions::CHANNEL_ID),
        sort_key: number(sessions::TIMESTAMP),
        projection: Projection::All,
    }],
    ttl_attribute: Some(sessions::EXPIRES_AT),
};

/// One row per session and minute.
pub const METRICS: Table = Table {
    name: names::METRICS_TABLE,
    partition_key: string(metrics::SESSION_ID),
    sort_key: Some(number(metrics::METRIC_TIMESTAMP)),
    indexes: &[Index {
        name: names::CHANNEL_INDEX,
        partition_key: string(metrics::CHANNEL_ID),
        sort_key: number(metrics::METRIC_TIMESTAMP),
        projection: Projection::All,
    }],
    ttl_attribute: Some(metrics::EXPIRES_AT),
};

/// One row per shard. KCL 3.x adds [`names::LEASE_OWNER_INDEX`] itself when it joins the fleet;
/// KCL 2.x and this processor do without.
pub const LEASES: Table = Table {
    name: names::LEASE_TABLE,
    partition_key: string(lease::LEASE_KEY),
    sort_key: None,
    indexes: &[],
    ttl_attribute: None,
};

/// Every table.
pub const TABLES: &[Table] = &[SESSIONS, METRICS, LEASES];
