//! The records of an object, as every command that reads one by one counts them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivs_core::decode::frame::{is_blank, pieces};
use kinesis_model::EpochMs;
use serde_json::Value;
use tokio::runtime::Handle;

use super::object::{Damage, Object};
use super::split::Splitter;

/// Hands out every record of an object: where its first line is, counted from 1, and its bytes.
/// A line holds one record or objects side by side, a JSON text may be printed over several; a blank
/// line holds none.
///
/// # Errors
/// Where the object is damaged; all whole records before that were handed out.
pub(crate) fn each_record(
    object: &Object,
    handle: &Handle,
    total: &Arc<AtomicU64>,
    mut each: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), Damage> {
    each_stretch(object, handle, total, |line, stretch| {
        pieces(stretch).try_for_each(|piece| each(line, piece))
    })
}

/// Hands out every stretch of an object, to be read as a record is: where its first line is,
/// counted from 1, and its bytes.
///
/// # Errors
/// As [`each_record`].
pub(crate) fn each_stretch(
    object: &Object,
    handle: &Handle,
    total: &Arc<AtomicU64>,
    mut each: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), Damage> {
    let mut text = object.open(handle, total)?;
    let mut stretches = Splitter::default();
    loop {
        let stretch = match stretches.next(&mut text) {
            Ok(None) => return Ok(()),
            Ok(Some((_, stretch))) if is_blank(stretch) => continue,
            Ok(Some((_, stretch))) => stretch.to_vec(),
            Err(error) => return Err(text.damage(error.to_string())),
        };
        if each(stretches.line(), &stretch).is_break() {
            return Ok(());
        }
    }
}

/// Returns the record inside a line of a rejects or archive object, and when it arrived.
pub(crate) fn unwrapped(line: &[u8]) -> Option<(Vec<u8>, EpochMs)> {
    // Cheap to rule out: nearly no line is one.
    memchr::memmem::find(line, b"\"sequenceNumber\"")?;
    let object: Value = serde_json::from_slice(line).ok()?;
    let arrival = EpochMs(object.get("arrivalMs")?.as_i64()?);
    let data = match (object.get("data"), object.get("dataBase64")) {
        (Some(Value::String(text)), None) => text.clone().into_bytes(),
        (None, Some(Value::String(text))) => STANDARD.decode(text).ok()?,
        _ => return None,
    };
    Some((data, arrival))
}
