//! The signs by which summary items tell who is on air.

use ivs_core::channel::SaidBy;
use ivs_core::session::Signs;
use ivs_schemas::items::sessions::{self as names, status};
use kinesis_model::EpochMs;

use super::codec::{Item, ItemError, Reader};

/// The attributes that [`signs`] reads.
pub(crate) const ATTRIBUTES: [&str; 5] =
    [names::STATUS, names::STARTED_AT, names::ENDED_AT, names::STALE_AFTER, names::CHANNEL_SAID_BY];

/// Returns the signs of a summary; `None` of a session that was never live.
///
/// # Errors
/// When an attribute is ill-typed.
pub(crate) fn signs(item: &Item) -> Result<Option<Signs>, ItemError> {
    let reader = Reader(item);
    let time = |name| reader.number_if(name).map(|seconds| seconds.map(from_seconds));
    let Some(start) = time(names::STARTED_AT)? else { return Ok(None) };
    let is_ivs = reader.said_by(names::CHANNEL_SAID_BY)? == SaidBy::Ivs;
    if reader.text(names::STATUS)? == status::LIVE {
        return Ok(Some(Signs::of_live(start, time(names::STALE_AFTER)?, is_ivs)));
    }
    Ok(Some(Signs { start, heard_until: time(names::ENDED_AT)?, is_ivs }))
}

#[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds, as items hold them")]
fn from_seconds(seconds: f64) -> EpochMs {
    EpochMs((seconds * 1_000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue::{N, S};

    use super::*;

    fn item(status: &str, times: &[(&str, &str)], said_by: &str) -> Item {
        let text = |name: &str, value: &str| (name.to_owned(), S(value.to_owned()));
        let times = times.iter().map(|(name, s)| ((*name).to_owned(), N((*s).to_owned())));
        let texts = [text(names::STATUS, status), text(names::CHANNEL_SAID_BY, said_by)];
        times.chain(texts).collect()
    }

    #[test]
    fn a_live_session_was_heard_ten_minutes_before_it_is_stale_and_an_ended_one_until_its_end() {
        let start = ("startedAt", "1772323200.25");
        let signs = |item: &Item| signs(item).unwrap();
        let heard = |heard_ms| Signs {
            start: EpochMs(1_772_323_200_250),
            heard_until: Some(EpochMs(heard_ms)),
            is_ivs: true,
        };
        let live = item("live", &[start, ("staleAfter", "1772323860")], "ivs");
        assert_eq!(signs(&live), Some(heard(1_772_323_260_000)));
        let ended = item("ended", &[start, ("endedAt", "1772323300.5")], "ivs");
        assert_eq!(signs(&ended), Some(heard(1_772_323_300_500)));
        assert!(!signs(&item("live", &[start], "backend")).unwrap().is_ivs);
        assert_eq!(signs(&item("pending", &[], "ivs")), None);
    }
}
