//! DynamoDB items: one file per kind, attribute names from `ivs-schemas`, and back again exactly.

pub mod codec;
pub(crate) mod experience;
pub mod expiry;
pub(crate) mod foreign;
pub mod json;
pub mod metric;
pub(crate) mod on_air;
pub(crate) mod own_names;
pub(crate) mod pages;
pub(crate) mod projection;
pub mod summary;
pub mod timeline;

#[cfg(test)]
mod earlier;
#[cfg(test)]
mod tests;
