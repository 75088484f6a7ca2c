//! The records of an object, as every command that reads one by one counts them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::runtime::Handle;

use super::object::{Damage, Object};
use super::split::{Splitter, concatenated, is_blank};

/// Hands out every record of an object: where its line is, counted from 1, and its bytes. A line
/// holds one record or objects side by side; a blank one none.
///
/// # Errors
/// Where the object is damaged; all whole records before that were handed out.
pub(crate) fn each_record(
    object: &Object,
    handle: &Handle,
    total: &Arc<AtomicU64>,
    mut each: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), Damage> {
    let mut text = object.open(handle, total)?;
    let mut lines = Splitter::default();
    loop {
        let line = match lines.next(&mut text) {
            Ok(None) => return Ok(()),
            Ok(Some((_, line))) => line.to_vec(),
            Err(error) => return Err(text.damage(error.to_string())),
        };
        if is_blank(&line) {
            continue;
        }
        let pieces = concatenated(&line).unwrap_or_else(|| vec![&line]);
        for piece in pieces {
            if each(lines.line(), piece).is_break() {
                return Ok(());
            }
        }
    }
}
