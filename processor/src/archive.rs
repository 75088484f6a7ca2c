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

use std::borrow::Cow;
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

/// Returns a text without control characters, which a terminal would obey: names of files and what
/// stands in them come from anybody.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |one: char| match one.is_control() {
        true => one.escape_default().to_string(),
        false => one.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}
