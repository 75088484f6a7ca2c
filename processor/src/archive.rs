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

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Returns a path as text, bytes that are not UTF-8 as `%XX`, so that two paths are never one text.
fn display(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "%{byte:02X}").expect("a text takes everything");
        }
    }
    text
}
