//! Scores at and beyond their caps.

use super::super::score::{engagement, quality, total};
use super::*;

#[test]
fn each_part_is_capped_at_its_weight() {
    // The tutorial's code gives 68 of 40 for 8.5 Mbit/s, and 60 of 30 for 60 frames/s.
    for (bitrate, frame_rate) in [(5e6, 30.0), (8.5e6, 60.0), (1e12, 1e6)] {
        let parts = quality(Some(bitrate), Some(frame_rate), (Some(1.0), Some(1.0)));
        let found = (parts.bitrate, parts.frame_rate, parts.stability);
        assert_eq!(found, (Some(40.0), Some(30.0), Some(30.0)));
        assert_eq!(total(&parts), Some(100.0));
    }
    let parts = quality(Some(4_999_999.0), Some(29.97), (Some(1.0), Some(0.5)));
    assert_eq!(parts.bitrate, Some(39.999_992), "40 × 0.9999998");
    assert_eq!((parts.frame_rate, parts.stability), (Some(29.97), Some(22.5)));
}

#[test]
fn bitrates_are_bits_per_second() {
    // 5,000 bits/s is a thousandth of what the tutorial's kbit/s constant takes it for.
    let parts = quality(Some(5_000.0), None, (None, None));
    assert_eq!((parts.bitrate, total(&parts)), (Some(0.04), None));
}

#[test]
fn engagement_steps_are_the_tutorials() {
    let steps = [
        (0.0, 0),
        (0.01, 1),
        (0.99, 1),
        (1.0, 2),
        (4.99, 2),
        (5.0, 4),
        (10.0, 6),
        (19.99, 6),
        (20.0, 8),
        (49.99, 8),
        (50.0, 10),
        (1e9, 10),
    ];
    for (rate, score) in steps {
        assert_eq!(engagement(rate), score, "{rate}");
    }
}

#[test]
fn a_bitrate_that_swings_by_more_than_its_mean_has_stability_zero() {
    let mut fold = fold_at(24 * HOUR_S);
    // Mean 2, sample deviation 4: 1 - 4 / 2 is below 0.
    let swings = [8.0, 0.0, 0.0, 0.0];
    let rows: Vec<_> = (0..4).zip(swings).map(|(m, b)| (m * 60, row(1, b, 30.0, 0))).collect();
    add(&mut fold, "a", &rows, summary(0, Some(240)));
    let quality = fold.finish().quality_metrics;
    assert_eq!(quality.bitrate_stability, Some(0.0));
    assert_eq!(quality.quality_score, Some(61.0), "40 × 2/5 + 30 + 15 × (0 + 1)");
}

#[test]
fn a_bitrate_of_nothing_but_zeros_has_no_stability() {
    let mut fold = fold_at(24 * HOUR_S);
    let rows = [(0, row(1, 0.0, 30.0, 0)), (60, row(1, 0.0, 30.0, 0))];
    add(&mut fold, "a", &rows, summary(0, Some(120)));
    let quality = fold.finish().quality_metrics;
    assert_eq!((quality.avg_bitrate, quality.bitrate_stability), (Some(0.0), None));
    assert_eq!(quality.quality_score, None);
}

#[test]
fn minutes_with_many_samples_weigh_as_much_as_minutes_with_one() {
    let mut fold = fold_at(24 * HOUR_S);
    let mut busy = row(100, 4.0, 30.0, 0);
    for _ in 0..9 {
        busy.bitrate.add(fixed(4e6));
        busy.viewers.add_some(EpochMs(1), Fixed::from_int(100));
    }
    add(&mut fold, "a", &[(0, busy), (60, row(0, 6.0, 30.0, 0))], summary(0, Some(120)));
    let report = fold.finish();
    assert_eq!(report.summary.avg_viewers, Some(50.0));
    assert_eq!(report.quality_metrics.avg_bitrate, Some(5e6));
}
