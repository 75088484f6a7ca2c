//! How long a line may be, and how early.

/// The limits of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest JSON text, in bytes. Default 10 MiB: the largest record that Kinesis takes.
    pub max_line_bytes: usize,
    /// The most that a compressed record may expand to, in bytes. Default 32 MiB.
    pub max_expanded_bytes: usize,
    /// How far an event time may be ahead of the arrival time, in milliseconds. Default 5 minutes:
    /// beyond it the sender's clock is wrong, not slow to be synchronized.
    pub max_ahead_ms: i64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_line_bytes: 10 << 20, max_expanded_bytes: 32 << 20, max_ahead_ms: 300_000 }
    }
}
