//! How far a record is taken apart, and who is given what was in it.

use crate::decode::{Event, Rejection};

/// An event, or why there is none.
pub type Decoded<'d, 'a> = Result<&'d Event<'a>, &'d Rejection>;

/// Is given every event and every refusal, with its bytes.
pub(super) type Each<'e, E> = &'e mut dyn FnMut(&[u8], Decoded<'_, '_>) -> Result<(), E>;

/// The levels that may still be taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    /// How often compressed data may be expanded. Twice at first: CloudWatch Logs compresses what
    /// it hands to Firehose, which may compress it again.
    pub(super) expansions: u8,
    /// Whether objects are opened that hold records.
    pub(super) containers: bool,
}

impl Depth {
    /// A record.
    pub(super) const RECORD: Self = Self { expansions: 2, containers: true };
    /// The limits inside a record.
    pub(super) const INNER: Self = Self { expansions: 0, containers: false };
}
