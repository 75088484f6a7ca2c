//! Attribute names of the stored items, one module per item kind.
//!
//! Numbers are DynamoDB `N`, kept exact by writing them as decimal text. A missing attribute means
//! "not known", never zero.

pub mod lease;
pub mod metrics;
pub mod sessions;

/// Version of the item layouts, stored as `schemaVersion`; raise it when a reader must know.
///
/// 1: `applied` is a map of texts. 2: it is compact, in bytes.
pub const SCHEMA_VERSION: u32 = 2;
