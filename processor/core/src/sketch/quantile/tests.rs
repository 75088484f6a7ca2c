use datasketches::tdigest::TDigestMut;
use proptest::prelude::*;

use super::*;
use crate::sketch::SketchError;

fn of(values: &[u32]) -> Quantiles {
    let mut sketch = Quantiles::default();
    sketch.insert_all(&mut values.to_vec());
    sketch
}

/// Returns a fixed sequence of latencies: most log-normal about 2.7 s, one in forty a stall of 5 to
/// 30 s.
fn latencies(count: u32) -> Vec<u32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let mut latency = |_| {
        let normal: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let stall = if uniform() < 0.025 { 5_000.0 + 25_000.0 * uniform() } else { 0.0 };
        (2_700.0 * (0.2 * normal).exp() + stall) as u32
    };
    (0..count).map(&mut latency).collect()
}

/// Returns how far the value's ranks are from `p` at most, as a share of the values: 0 if it has
/// the rank.
fn rank_error(sorted: &[u32], p: f64, value: f64) -> f64 {
    let rank = (p * (sorted.len() - 1) as f64).floor();
    let below = sorted.partition_point(|&v| f64::from(v) < value) as f64;
    let upto = sorted.partition_point(|&v| f64::from(v) <= value) as f64;
    let off = (below - rank).max(rank - upto).max(0.0);
    off / sorted.len() as f64
}

const RANKS: [f64; 7] = [0.0, 0.05, 0.25, 0.5, 0.95, 0.99, 1.0];

#[test]
fn small_samples_have_exact_quantiles() {
    let mut values = latencies(500);
    let sketch = of(&values);
    values.sort_unstable();
    for p in RANKS {
        let rank = (p * 499.0) as usize;
        assert_eq!(sketch.quantile_ms(p), Some(values[rank]), "{p}");
    }
    assert_eq!((sketch.min_ms(), sketch.max_ms()), (Some(values[0]), Some(values[499])));
}

#[test]
fn no_values_have_no_quantiles() {
    let sketch = Quantiles::default();
    assert_eq!((sketch.quantile_ms(0.5), sketch.min_ms(), sketch.to_bytes()), (None, None, None));
    assert_eq!(sketch.count(), 0);
}

#[test]
fn many_equal_values_stay_exact() {
    let values: Vec<u32> = (0..100_000).map(|n| 2_000 + n % 400).collect();
    let sketch = of(&values);
    assert_eq!(sketch.quantile_ms(0.5), Some(2_199));
    assert_eq!(sketch.count(), 100_000);
}

#[test]
fn latencies_of_players_keep_their_rank_within_one_percent() {
    for count in [600, 1_000, 5_000, 50_000, 1_000_000] {
        let mut values = latencies(count);
        let sketch = of(&values);
        values.sort_unstable();
        assert_eq!(sketch.max_ms(), values.last().copied());
        for p in RANKS {
            let value = sketch.quantile_ms(p).unwrap();
            let error = rank_error(&values, p, f64::from(value));
            assert!(error < 0.01, "{p} of {count}: {value}, off by {error}");
        }
    }
}

#[test]
fn the_widest_spread_still_fits() {
    let values: Vec<u32> =
        (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761) >> (n % 32)).collect();
    let sketch = of(&values);
    assert!(sketch.bins.len() <= MAX_BINS && sketch.cut <= 27, "{}", sketch.cut);
    assert_eq!(sketch.count(), 200_000);
    assert_eq!(Quantiles::from_bytes(&sketch.to_bytes().unwrap()), Ok(sketch));
}

#[test]
fn the_library_reads_every_form_and_agrees() {
    for count in [1, 2, 3, 50, 128, 129, 500, 700, 20_000, 300_000] {
        let mut values = latencies(count);
        let bytes = of(&values).to_bytes().unwrap();
        values.sort_unstable();
        let mut read = TDigestMut::deserialize(&bytes).unwrap();
        assert_eq!(read.total_weight(), u64::from(count));
        assert_eq!(read.min_value(), values.first().copied().map(f64::from));
        assert_eq!(read.max_value(), values.last().copied().map(f64::from));
        for p in RANKS {
            let value = read.quantile(p).unwrap().unwrap();
            // It interpolates between neighbors, so one rank off is agreement.
            let allowed = 0.01 + 1.0 / f64::from(count);
            let error = rank_error(&values, p, value);
            assert!(error <= allowed, "{p} of {count}: {value}, off by {error}");
        }
    }
}

#[test]
fn the_library_keeps_what_it_read() {
    for count in [2, 129, 700, 20_000] {
        let bytes = of(&latencies(count)).to_bytes().unwrap();
        let written = TDigestMut::deserialize(&bytes).unwrap().serialize();
        let ours = Quantiles::from_bytes(&bytes).unwrap();
        let sizes = (written.len(), TDigestMut::deserialize(&written).unwrap().total_weight());
        assert_eq!(sizes, (32 + 16 * ours.bins.len(), u64::from(count)));
    }
}

#[test]
fn the_binaries_are_as_small_as_stated() {
    let distinct: Vec<u32> = (0..128).map(|n| 1_000 + n).collect();
    assert_eq!(of(&distinct[..1]).to_bytes().unwrap().len(), 16);
    assert_eq!(of(&distinct[..8]).to_bytes().unwrap().len(), 32 + 8 * 8);
    assert_eq!(of(&distinct).to_bytes().unwrap().len(), 32 + 128 * 8);
    assert!(of(&latencies(1_000_000)).to_bytes().unwrap().len() <= 32 + 512 * 16);
}

#[test]
fn damaged_bytes_are_refused() {
    for count in [1, 5, 200, 5_000] {
        let bytes = of(&latencies(count)).to_bytes().unwrap();
        for cut in [0, 7, 15, bytes.len() - 1] {
            assert_eq!(Quantiles::from_bytes(&bytes[..cut]), Err(SketchError::Truncated));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Quantiles::from_bytes(&longer), Err(SketchError::Trailing));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert_ne!(Quantiles::from_bytes(&changed), Quantiles::from_bytes(&bytes), "byte {at}");
        }
    }
    let foreign = TDigestMut::new(100).unwrap().serialize();
    assert_eq!(Quantiles::from_bytes(&foreign), Err(SketchError::Unsupported("k")));
}

#[test]
fn durations_become_whole_milliseconds() {
    let texts = ["0", "2789.4", "2789.5", "-1", "9000000000"];
    let whole = texts.map(|text| whole_ms(text.parse().unwrap()));
    assert_eq!(whole, [0, 2_789, 2_790, 0, u32::MAX]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_and_order_gives_the_same_bytes(
        values in prop_oneof![
            prop::collection::vec(0_u32..300, 0..900),
            prop::collection::vec(0_u32..6_000, 0..1_500),
            prop::collection::vec(any::<u32>(), 0..1_500),
        ],
        parts in 1_usize..7,
        batch in 1_usize..400,
    ) {
        let whole = of(&values);
        let mut merged = Quantiles::default();
        for part in 0..parts {
            let mut sketch = Quantiles::default();
            let mine: Vec<u32> = values.iter().copied().skip(part).step_by(parts).collect();
            for chunk in mine.chunks(batch) {
                sketch.insert_all(&mut chunk.to_vec());
            }
            let mut other = sketch.clone();
            other.merge(&merged);
            merged.merge(&sketch);
            prop_assert_eq!(&other, &merged);
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(merged.to_bytes(), whole.to_bytes());
        if let Some(bytes) = whole.to_bytes() {
            prop_assert!(TDigestMut::deserialize(&bytes).is_ok());
            prop_assert_eq!(Quantiles::from_bytes(&bytes), Ok(whole));
        }
    }

    #[test]
    fn few_distinct_values_are_exact(
        mut values in prop::collection::vec(0_u32..512, 1..2_000),
        p in 0.0..=1.0_f64,
    ) {
        let sketch = of(&values);
        values.sort_unstable();
        let rank = (p * (values.len() - 1) as f64) as usize;
        prop_assert_eq!(sketch.quantile_ms(p), Some(values[rank]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        flags in 0_u8..4,
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut bytes = vec![2, 1, 20, 0, 1, flags, 0, 0];
        bytes.extend(tail);
        if let Ok(sketch) = Quantiles::from_bytes(&bytes) {
            prop_assert_eq!(sketch.to_bytes(), Some(bytes));
        }
    }
}
