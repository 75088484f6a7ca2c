use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use proptest::prelude::*;

use super::*;
use crate::sketch::SketchError;

/// Base-2 logarithm of the number of registers of a sketch of players.
const LG_REGISTERS: u8 = 15;

fn player(n: u64) -> String {
    format!("p-{n:010x}")
}

fn of(players: impl Iterator<Item = u64>) -> Distinct {
    let mut sketch = Distinct::default();
    let mut batch: Vec<_> = players.map(|n| Coupon::of(&player(n))).collect();
    sketch.insert_all(&mut batch);
    sketch
}

/// Returns the library's sketch of the same values.
fn library(players: impl Iterator<Item = u64>) -> HllSketch {
    let mut sketch = HllSketch::new(LG_REGISTERS, HllType::Hll4).unwrap();
    for n in players {
        sketch.update(raw_bytes::from_string(player(n)));
    }
    sketch
}

fn relative_error(estimate: f64, truth: u64) -> f64 {
    (estimate - truth as f64).abs() / truth as f64
}

#[test]
fn the_hash_is_that_of_the_library_for_every_length() {
    for length in 1..70 {
        let text = "Grüße, p-0123456789abcdef".repeat(3);
        let text: String = text.chars().take(length).collect();
        let mut theirs = HllSketch::new(LG_REGISTERS, HllType::Hll4).unwrap();
        theirs.update(raw_bytes::from_str(&text));
        let mut ours = Distinct::default();
        ours.insert_all(&mut vec![Coupon::of(&text)]);
        assert_eq!(ours.to_bytes(), Some(theirs.serialize()), "{length}");
    }
}

#[test]
fn the_library_reads_small_sets_and_agrees() {
    for count in [1, 2, 7, 8, 24, 25, 100, 1_000, 3_000, Distinct::MAX_COUPONS as u64] {
        let ours = of(0..count);
        assert_eq!(ours.estimate(), count);
        let read = HllSketch::deserialize(&ours.to_bytes().unwrap()).unwrap();
        let direct = library(0..count);
        assert_eq!(read.estimate(), direct.estimate(), "{count}");
        assert!((read.estimate() - count as f64).abs() < 0.5, "{count}");
        // The library compares sets of coupons, whatever their order.
        assert_eq!(read, HllSketch::deserialize(&direct.serialize()).unwrap(), "{count}");
    }
}

#[test]
fn the_library_reads_registers_and_agrees() {
    for count in [3_073, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000] {
        let ours = of(0..count);
        let read = HllSketch::deserialize(&ours.to_bytes().unwrap()).unwrap();
        // Two estimators over the same registers.
        let between = relative_error(read.estimate(), ours.estimate());
        assert!(between < 0.004, "{count}: {} or {}", ours.estimate(), read.estimate());
        assert_eq!(read.composite_estimate(), library(0..count).composite_estimate(), "{count}");
    }
}

#[test]
fn the_library_unites_ours_with_its_own() {
    let ours = of(0..6_000);
    let mut union = HllUnion::new(LG_REGISTERS).unwrap();
    union.update(&HllSketch::deserialize(&ours.to_bytes().unwrap()).unwrap());
    union.update(&library(3_000..20_000));
    let all = union.to_sketch(HllType::Hll8).composite_estimate();
    assert_eq!(all, library(0..20_000).composite_estimate());
}

#[test]
fn counts_stay_within_three_percent_or_one() {
    // Twenty different sets of each size: the worst of them counts.
    for count in [1_u64, 10, 300, 3_072, 3_073, 4_000, 8_000, 20_000, 60_000] {
        for set in 0..20 {
            let estimate = of(set * 1_000_000..set * 1_000_000 + count).estimate();
            let off = estimate.abs_diff(count);
            assert!(off <= 1 || off * 100 <= count * 3, "{count} in set {set}: {estimate}");
        }
    }
}

#[test]
fn an_empty_set_has_no_bytes() {
    assert_eq!(Distinct::default().to_bytes(), None);
    assert_eq!(Distinct::default().estimate(), 0);
}

#[test]
fn the_binaries_are_as_small_as_stated() {
    let sizes = [1, 7, 8, 3_072].map(|n| of(0..n).to_bytes().unwrap().len());
    assert_eq!(sizes, [12, 36, 44, 12_300]);
    let large = of(0..100_000).to_bytes().unwrap().len();
    assert!((40 + 16_384..40 + 16_384 + 400).contains(&large), "{large}");
}

#[test]
fn damaged_bytes_are_refused() {
    for count in [1, 30, 40_000] {
        let bytes = of(0..count).to_bytes().unwrap();
        for cut in [0, 7, 11, bytes.len() - 1] {
            assert_eq!(Distinct::from_bytes(&bytes[..cut]), Err(SketchError::Truncated));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Distinct::from_bytes(&longer), Err(SketchError::Trailing));
        for at in 0..12.min(bytes.len()) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert_ne!(Distinct::from_bytes(&changed), Distinct::from_bytes(&bytes), "byte {at}");
        }
    }
    let unordered = library(0..1_000).serialize();
    assert_eq!(Distinct::from_bytes(&unordered), Err(SketchError::Invalid("coupon order")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_and_order_gives_the_same_bytes(
        size in prop_oneof![0_u64..50, 2_900_u64..3_300, 3_000_u64..9_000],
        parts in 1_u64..6,
        batch in 1_usize..700,
    ) {
        let whole = of(0..size);
        let mut merged = Distinct::default();
        for part in (0..parts).rev() {
            // Parts overlap by a third.
            let from = size * part / parts;
            let to = (size * (part + 1) / parts + size / 3).min(size);
            let mut sketch = Distinct::default();
            let players: Vec<u64> = (from..to).rev().collect();
            for chunk in players.chunks(batch) {
                sketch.insert_all(&mut chunk.iter().map(|&n| Coupon::of(&player(n))).collect());
            }
            let mut other = sketch.clone();
            other.merge(&merged);
            merged.merge(&sketch);
            prop_assert_eq!(&other, &merged);
        }
        prop_assert_eq!(merged.to_bytes(), whole.to_bytes());
        if let Some(bytes) = whole.to_bytes() {
            prop_assert_eq!(Distinct::from_bytes(&bytes), Ok(whole));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        head in prop::collection::vec(any::<u8>(), 0..80),
        mode in 0_u8..4,
    ) {
        let mut bytes = vec![2 + mode, 1, 7, LG_REGISTERS, 3, 8, 2, mode];
        bytes.extend(head);
        if let Ok(sketch) = Distinct::from_bytes(&bytes) {
            prop_assert_eq!(sketch.to_bytes(), Some(bytes));
        }
    }
}

#[test]
fn a_sketch_of_views_is_exact_while_small_and_read_by_the_library_too() {
    let views = |count: u64| {
        let mut sketch = ViewSketch::default();
        sketch.insert_all(&mut (0..count).map(|n| Coupon::of(&player(n))).collect());
        sketch
    };
    for count in [1, 7, 8, 100, 384, 385, 2_000, 50_000] {
        let ours = views(count);
        let bytes = ours.to_bytes().unwrap();
        assert_eq!(ViewSketch::from_bytes(&bytes), Ok(ours.clone()));
        assert!(bytes.len() <= 40 + 2_048 + 200, "{count}: {}", bytes.len());
        let read = HllSketch::deserialize(&bytes).unwrap();
        assert!(relative_error(read.estimate(), count) < 0.06, "{count}: {}", read.estimate());
        if count <= 384 {
            assert_eq!(ours.estimate(), count);
        }
        assert!(relative_error(ours.estimate() as f64, count) < 0.06, "{count}");
    }
    let other = of(0..5).to_bytes().unwrap();
    assert_eq!(ViewSketch::from_bytes(&other), Err(SketchError::Unsupported("lgK")));
}
