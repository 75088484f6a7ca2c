//! Reading little-endian fields with a bound.

use super::SketchError;

/// Bytes not read yet.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], SketchError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(SketchError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8], SketchError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(SketchError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn u32(&mut self) -> Result<u32, SketchError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, SketchError> {
        self.take().map(u64::from_le_bytes)
    }

    /// Returns a count of entries of `entry_bytes` each that really follow, so that it may be
    /// allocated.
    pub(super) fn count(&mut self) -> Result<usize, SketchError> {
        usize::try_from(self.u32()?).map_err(|_| SketchError::Truncated)
    }

    pub(super) fn end(&self) -> Result<(), SketchError> {
        if self.0.is_empty() { Ok(()) } else { Err(SketchError::Trailing) }
    }
}
