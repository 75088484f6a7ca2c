//! Why a command ends badly, where the exit code depends on it.

/// Arguments that do not go together, or that no command could follow.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Input of which nothing, or little, could be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DataError(pub(crate) String);

/// Somebody who had to be asked and did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAnswer(pub(crate) String);

/// Refuses to call it a success when nine of ten records or more were rejected: it was hardly meant
/// so.
pub(super) fn usable(
    read: u64,
    rejected: u64,
    most: &str,
    allow_rejects: bool,
) -> anyhow::Result<()> {
    let others = read.saturating_sub(rejected);
    if allow_rejects || rejected == 0 || others.saturating_mul(10) > read {
        return Ok(());
    }
    let all = if rejected == read { "all".to_owned() } else { format!("{rejected} of") };
    Err(DataError(format!(
        "{all} {read} records were rejected, most as {most}: is this the right source? Look at what was \
         kept of them, or say --allow-rejects"
    ))
    .into())
}

/// Refuses to call it a success when a part of the input was left out; each was named before.
#[cfg(feature = "local")]
pub(super) fn all_sent(sent: &crate::producer::input::Sent) -> anyhow::Result<()> {
    let damaged = sent.problems.len();
    anyhow::ensure!(damaged == 0, "{damaged} objects could not be read to their ends");
    match sent.too_large {
        0 => Ok(()),
        records => Err(DataError(format!(
            "{records} records are larger than the stream takes and were left out; the rest was sent"
        ))
        .into()),
    }
}
