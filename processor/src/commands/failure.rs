//! Why a command ends badly, where the exit code depends on it.

#[cfg(feature = "local")]
use super::text_table::count;
use crate::printable::OneLine;

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

/// Returns an error and its causes in one line, without the numbers by which systems know them.
pub(super) fn in_words(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |words, part| match part.split_once(')') {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => words + rest,
        _ => words + " (os error " + part,
    })
}

/// Refuses to call it a success when there was no record at all.
pub(super) fn not_empty(records: u64, sources: &[String]) -> anyhow::Result<()> {
    if records > 0 {
        return Ok(());
    }
    let sources: Vec<_> = sources.iter().map(|source| OneLine(source).to_string()).collect();
    let holds = if sources.len() == 1 { "holds" } else { "hold" };
    Err(DataError(format!("{} {holds} no record", sources.join(", "))).into())
}

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

/// Refuses to call it a success when a part of the input was left out, each named before, or when there
/// was none.
#[cfg(feature = "local")]
pub(super) fn all_sent(
    sent: &crate::producer::input::Sent,
    sources: &[String],
) -> anyhow::Result<()> {
    let damaged = sent.problems.len();
    anyhow::ensure!(damaged == 0, "{} could not be read to the end", count(damaged, "object"));
    not_empty(sent.records + sent.earlier + sent.too_large, sources)?;
    match sent.too_large {
        0 => Ok(()),
        records => Err(DataError(format!(
            "{records} records are larger than the stream takes and were left out; the rest was sent"
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_systems_numbers_are_left_out_and_nothing_else_is() {
        let error = std::io::Error::from_raw_os_error(2);
        let error = Err::<(), _>(error).context("cannot read a (os error x)").unwrap_err();
        let words = "cannot read a (os error x): No such file or directory";
        assert_eq!(in_words(&error), words);
    }

    #[test]
    fn sources_without_any_record_are_named() {
        let sources = ["a.ndjson".to_owned(), "b".to_owned()];
        let text = |sources: &[String]| not_empty(0, sources).unwrap_err().to_string();
        assert_eq!(text(&sources), "a.ndjson, b hold no record");
        assert_eq!(text(&sources[..1]), "a.ndjson holds no record");
        assert!(not_empty(1, &sources).is_ok());
    }
}
