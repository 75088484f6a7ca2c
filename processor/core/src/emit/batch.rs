//! Datums into PutMetricData calls.

use ivs_schemas::catalogue::Namespace;

use super::datum::{Datum, DatumValue};

/// Datums of one call unless configured otherwise: a call that CloudWatch refuses is small then.
pub const DEFAULT_BATCH_DATUMS: usize = 20;
/// Most datums CloudWatch takes in one call.
pub const MAX_BATCH_DATUMS: usize = 1_000;
/// Largest call built. CloudWatch takes 1 MB; the rest is room for the parts not estimated.
pub const MAX_BATCH_BYTES: usize = 900_000;

/// Bytes of a datum apart from names and samples, as a form-encoded query writes them: four
/// parameters `&MetricData.member.1000.<field>=` and two for a dimension, a timestamp, a unit.
const DATUM_BYTES: usize = 360;
/// `&MetricData.member.1000.Dimensions.member.2.Name=` and the same for its value: of each dimension but
/// the first.
const DIMENSION_BYTES: usize = 104;
/// `&MetricData.member.1000.StatisticValues.SampleCount=` and a number of up to 24 characters.
const NUMBER_BYTES: usize = 76;
/// Worst case of one character, percent-encoded.
const CHAR_BYTES: usize = 3;

/// One PutMetricData call: a call has one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct DatumBatch {
    /// The namespace of every datum.
    pub namespace: Namespace,
    /// The datums; never empty.
    pub datums: Vec<Datum>,
}

/// The next try after CloudWatch has refused a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Bisected {
    /// Send each half by itself.
    Halves(DatumBatch, DatumBatch),
    /// The refusal was about this datum: count it and drop it.
    Culprit(Box<Datum>),
}

impl DatumBatch {
    /// Splits a refused batch. About log2(n) levels of calls single out one bad datum of n, and
    /// every other datum is sent exactly once.
    #[must_use]
    pub fn bisect(mut self) -> Bisected {
        let half = self.datums.len() / 2;
        if half == 0 {
            let datum = self.datums.pop().expect("a batch is never empty");
            return Bisected::Culprit(Box::new(datum));
        }
        let rest = self.datums.split_off(half);
        let namespace = self.namespace;
        Bisected::Halves(self, Self { namespace, datums: rest })
    }
}

/// Returns an upper bound of what a datum adds to a call, in bytes.
#[must_use]
pub fn estimated_bytes(datum: &Datum) -> usize {
    let dimensions = datum.series.dimensions().count();
    let texts: usize =
        datum.series.dimensions().map(|(name, value)| name.len() + value.len()).sum();
    let numbers = match &datum.value {
        DatumValue::Single(_) => 1,
        DatumValue::Distribution(values) => 2 * values.len(),
        DatumValue::Statistics { .. } => 4,
    };
    DATUM_BYTES
        + DIMENSION_BYTES * dimensions.saturating_sub(1)
        + CHAR_BYTES * (datum.metric.name.len() + texts)
        + NUMBER_BYTES * numbers
}

/// Packs datums into calls, by namespace, in the order given within each.
///
/// A call has at most `max_datums` datums (taken as 1 to [`MAX_BATCH_DATUMS`]) and an estimated
/// size of at most `max_bytes` (see [`MAX_BATCH_BYTES`]); a datum that is larger than that by
/// itself gets a call of its own.
#[must_use]
pub fn batches(mut datums: Vec<Datum>, max_datums: usize, max_bytes: usize) -> Vec<DatumBatch> {
    let max_datums = max_datums.clamp(1, MAX_BATCH_DATUMS);
    datums.sort_by_key(|datum| datum.metric.namespace);
    let mut batches: Vec<DatumBatch> = Vec::new();
    let mut bytes = 0;
    for datum in datums {
        let namespace = datum.metric.namespace;
        let added = estimated_bytes(&datum);
        match batches.last_mut() {
            Some(batch)
                if batch.namespace == namespace
                    && batch.datums.len() < max_datums
                    && bytes + added <= max_bytes =>
            {
                bytes += added;
                batch.datums.push(datum);
            }
            _ => {
                bytes = added;
                batches.push(DatumBatch { namespace, datums: vec![datum] });
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use ivs_schemas::catalogue::metrics::{CURRENT_VIEWERS, LIVE_LATENCY, STREAMS_STARTED};
    use proptest::prelude::*;

    use super::*;
    use crate::emit::Series;
    use kinesis_model::EpochMs;

    fn datum(kind: u8, values: u8, time: i64) -> Datum {
        let values = (0..=values).map(|v| (f64::from(v), 1.0)).collect();
        let (metric, value) = match kind {
            0 => (&STREAMS_STARTED, DatumValue::Single(1.0)),
            1 => (&LIVE_LATENCY, DatumValue::Distribution(values)),
            _ => {
                let value = DatumValue::Statistics { count: 1.0, sum: 1.0, min: 1.0, max: 1.0 };
                (&CURRENT_VIEWERS, value)
            }
        };
        Datum { metric, series: Series::Channel("c".into()), time: EpochMs(time), value }
    }

    /// Sends `batch` to a CloudWatch that refuses calls with the datum of time `bad`.
    fn send(batch: DatumBatch, bad: i64, calls: &mut u32, sent: &mut Vec<i64>) {
        *calls += 1;
        if batch.datums.iter().all(|datum| datum.time.0 != bad) {
            sent.extend(batch.datums.iter().map(|datum| datum.time.0));
            return;
        }
        match batch.bisect() {
            Bisected::Culprit(datum) => assert_eq!(datum.time.0, bad),
            Bisected::Halves(left, right) => {
                send(left, bad, calls, sent);
                send(right, bad, calls, sent);
            }
        }
    }

    #[test]
    fn a_bad_datum_costs_only_itself() {
        for length in 1..=33_u32 {
            for bad in 0..i64::from(length) {
                let datums = (0..i64::from(length)).map(|time| datum(2, 0, time)).collect();
                let batch = DatumBatch { namespace: CURRENT_VIEWERS.namespace, datums };
                let (mut calls, mut sent) = (0, Vec::new());
                send(batch, bad, &mut calls, &mut sent);
                let expected: Vec<i64> = (0..i64::from(length)).filter(|t| *t != bad).collect();
                assert_eq!(sent, expected);
                let levels = length.next_power_of_two().trailing_zeros();
                assert!(calls <= 2 * levels + 1, "{calls} calls for {length} datums");
            }
        }
    }

    #[test]
    fn an_oversized_datum_travels_alone() {
        let datums = vec![datum(2, 0, 0), datum(1, 149, 1), datum(2, 0, 2)];
        let lengths: Vec<usize> =
            batches(datums, 20, 2_000).iter().map(|b| b.datums.len()).collect();
        assert_eq!(lengths, [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn batches_keep_every_datum_in_order_and_within_limits(
            kinds in prop::collection::vec((0_u8..3, 0_u8..150), 0..200),
            max_datums in 0_usize..50,
            max_bytes in 25_000_usize..100_000,
        ) {
            let datums: Vec<Datum> =
                (0..).zip(&kinds).map(|(time, (kind, values))| datum(*kind, *values, time)).collect();
            let packed = batches(datums.clone(), max_datums, max_bytes);
            for batch in &packed {
                prop_assert!((1..=max_datums.max(1)).contains(&batch.datums.len()));
                prop_assert!(batch.datums.iter().map(estimated_bytes).sum::<usize>() <= max_bytes);
                prop_assert!(batch.datums.iter().all(|d| d.metric.namespace == batch.namespace));
            }
            let unpacked: Vec<Datum> = packed.into_iter().flat_map(|batch| batch.datums).collect();
            for namespace in [STREAMS_STARTED.namespace, CURRENT_VIEWERS.namespace] {
                let of = |datums: &[Datum]| -> Vec<Datum> {
                    datums.iter().filter(|d| d.metric.namespace == namespace).cloned().collect()
                };
                prop_assert_eq!(of(&unpacked), of(&datums));
            }
            prop_assert_eq!(unpacked.len(), datums.len());
        }
    }
}
