//! Files and objects as commands read them: found, opened, decompressed, cut into parts.

pub mod lines;
pub(crate) mod object;
pub(crate) mod parts;
pub(crate) mod segment;
pub(crate) mod split;
