//! The protobuf wire format, as far as an aggregate uses it.

use bytes::Bytes;

/// A field's value.
pub(super) enum Value {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2: bytes, a string or a message.
    Bytes(Bytes),
    /// Wire types 1 and 5, which no field of an aggregate has.
    Fixed,
}

/// A message being read; it holds what is left of it.
pub(super) struct Wire(Bytes);

impl Wire {
    pub(super) fn new(message: Bytes) -> Self {
        Self(message)
    }

    /// Returns the next field's number and value; `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value)>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err("the message has a wire type that proto2 records do not use"),
        };
        match tag >> 3 {
            0 => Err("the message has a field number 0"),
            field => Ok(Some((field, value))),
        }
    }

    fn take(&mut self, length: u64) -> Result<Bytes, &'static str> {
        match usize::try_from(length) {
            Ok(length) if length <= self.0.len() => Ok(self.0.split_to(length)),
            _ => Err("the message ends inside a field"),
        }
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for (at, byte) in self.0.iter().enumerate() {
            let bits = u64::from(byte & 0x7F);
            // Nine groups of seven bits leave one bit for the tenth.
            if at == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * at);
            if byte & 0x80 == 0 {
                let _read = self.0.split_to(at + 1);
                return Ok(value);
            }
            if at == 9 {
                break;
            }
        }
        Err("the message has a malformed varint")
    }
}
