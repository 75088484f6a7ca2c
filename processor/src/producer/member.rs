//! A member more in a JSON object, in the place of a producer that left it out.

use serde_json::Value;

/// Returns an object with one more member in front; `None` where no object begins. Whether the
/// result is what was wanted, its reader must look.
pub(crate) fn with_member(line: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let brace = line.iter().position(|byte| *byte == b'{')?;
    let member = format!("{}:{},", Value::from(name), Value::from(value));
    Some([&line[..=brace], member.as_bytes(), &line[brace + 1..]].concat())
}
