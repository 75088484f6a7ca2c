//! Attributes of a merged row that are none of ours: a later release's or an operator's.

use ivs_schemas::items::metrics;

use super::codec::Item;
use super::{metric, summary};

/// Returns the names of a merged row's attributes that its fold would not give it: the worker and
/// `replay` keep them as they are. None of a fact, which is never merged, nor of what cannot be
/// read.
pub(crate) fn names(item: &Item) -> Vec<String> {
    let ours = if item.contains_key(metrics::METRIC_TIMESTAMP) {
        metric::decode(item).map(|(key, row)| metric::encode(&key, &row, Some(0)))
    } else {
        summary::decode(item).map(|(id, row)| summary::encode(&id, &row, Some(0)))
    };
    let Ok(ours) = ours else { return Vec::new() };
    item.keys().filter(|name| !ours.contains_key(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_dynamodb::types::AttributeValue::{N, S};
    use ivs_core::minute::Minute;
    use ivs_core::row::Row;
    use ivs_core::session::SummaryAgg;
    use ivs_core::window::{WindowAgg, WindowKey};
    use ivs_schemas::items::metrics as own;
    use kinesis_model::EpochMs;

    use super::*;

    fn row() -> Item {
        let minute = Minute::of(EpochMs(1_750_000_020_000));
        let key = WindowKey { session_id: Arc::from("s"), minute };
        let agg = WindowAgg { records: 1, ..WindowAgg::default() };
        metric::encode(&key, &Row { agg, applied: [].into(), version: 1 }, None)
    }

    #[test]
    fn only_what_no_fold_writes_is_foreign() {
        let summary = Row { agg: SummaryAgg::default(), applied: [].into(), version: 1 };
        for mut item in [row(), summary::encode(&Arc::from("s"), &summary, None)] {
            item.insert(own::EXPIRES_AT.to_owned(), N("1800000000".into()));
            assert!(names(&item).is_empty(), "{item:?}");
            item.insert("reviewedBy".to_owned(), S("an operator".into()));
            assert_eq!(names(&item), ["reviewedBy"]);
        }
    }

    #[test]
    fn a_sum_is_not_foreign_to_a_row_that_should_have_none() {
        let mut item = row();
        item.insert(own::VIEWERS_SUM.to_owned(), N("7".into()));
        item.insert(own::VIEWERS_COUNT.to_owned(), N("1".into()));
        assert!(names(&item).is_empty(), "{:?}", names(&item));
    }

    #[test]
    fn of_what_cannot_be_read_nothing_is_foreign() {
        let mut item = row();
        item.insert(own::VERSION.to_owned(), S("x".into()));
        item.insert("reviewedBy".to_owned(), S("an operator".into()));
        assert!(names(&item).is_empty());
    }
}
