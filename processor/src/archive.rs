//! Files and objects as all commands read them: found, opened, decompressed, cut into records.

mod ahead;
mod decompress;
pub(crate) mod find;
mod format;
pub(crate) mod object;
pub(crate) mod parts;
pub(crate) mod records;
pub(crate) mod segment;
pub(crate) mod split;
mod stored;
