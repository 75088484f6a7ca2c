use proptest::prelude::*;

use super::*;

fn fixed(text: &str) -> Fixed {
    text.parse().unwrap()
}

#[test]
fn shortest_decimals_are_written() {
    let cases = [
        (5_755_375_000_000, "5755375"),
        (59_990_000, "59.99"),
        (1, "0.000001"),
        (-500_000, "-0.5"),
        (0, "0"),
        (i64::MIN, "-9223372036854.775808"),
    ];
    for (micros, text) in cases {
        assert_eq!(Fixed::from_micros(micros).to_string(), text);
        assert_eq!(fixed(text).micros(), micros);
    }
}

#[test]
fn exponents_and_trailing_zeros_are_the_same_number() {
    for text in ["1500", "1500.000000000", "1.5e3", "1.5E+3", "15000000e-4", "1500e0"] {
        assert_eq!(fixed(text).micros(), 1_500_000_000, "{text}");
    }
    assert_eq!(fixed("0e999999999999"), Fixed::ZERO);
    assert_eq!(fixed("-0"), Fixed::ZERO);
}

#[test]
fn what_is_no_decimal_is_refused() {
    for text in ["", "-", "+1", ".5", "5.", "1e", "1e+", "1 ", "1.2.3", "NaN", "inf", "0x1", "1e5x"]
    {
        assert_eq!(text.parse::<Fixed>(), Err(FixedError::Syntax), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_refused_not_wrapped() {
    for text in ["9223372036854.775808", "1e300", "1e99999999999", &"9".repeat(500)] {
        assert_eq!(text.parse::<Fixed>(), Err(FixedError::OutOfRange), "{text}");
    }
    assert_eq!(Fixed::from_int(i64::MAX), None);
}

#[test]
fn digits_below_a_millionth_are_refused() {
    let long = format!("1.{}1", "0".repeat(60));
    for text in ["29.97002997002997", "0.0000005", "1e-400", "-1e-99999999999", long.as_str()] {
        assert_eq!(text.parse::<Fixed>(), Err(FixedError::Inexact), "{text}");
    }
    let padded = format!("{}7.25{}", "0".repeat(60), "0".repeat(60));
    assert_eq!(fixed(&padded).micros(), 7_250_000);
}

#[test]
fn rounding_to_an_integer_takes_halves_away_from_zero() {
    let rounded = ["1.5", "1.499999", "-1.5", "-1.499999", "0"].map(|t| fixed(t).round());
    assert_eq!(rounded, [2, 1, -2, -1, 0]);
}

#[test]
fn means_are_of_nothing_or_exact() {
    let mut sum = FixedSum::ZERO;
    assert_eq!((sum.mean(0), sum.mean_fixed(0)), (None, None));
    for text in ["1", "1", "2.000001"] {
        sum += fixed(text);
    }
    assert_eq!(sum.mean_fixed(3).unwrap().to_string(), "1.333334");
    assert_eq!(FixedSum(-5).mean_fixed(2), Some(FixedSum(-3)));
    assert_eq!(FixedSum(6_000_000).mean(4), Some(1.5));
    assert_eq!(FixedSum(i128::MIN).mean_fixed(1), Some(FixedSum(-i128::MAX)));
}

proptest! {
    #[test]
    fn texts_round_trip(micros: i64, sum in -(10_i128.pow(37))..10_i128.pow(37)) {
        let value = Fixed::from_micros(micros);
        prop_assert_eq!(value.to_string().parse::<Fixed>(), Ok(value));
        prop_assert_eq!(FixedSum(sum).to_string().parse::<FixedSum>(), Ok(FixedSum(sum)));
    }

    #[test]
    fn any_digits_parse_or_fail_but_never_panic(text in "[-+.eE0-9x]{0,60}") {
        if let Ok(value) = text.parse::<Fixed>() {
            let float: f64 = text.parse().unwrap();
            let tolerance = float.abs() * 1e-15;
            prop_assert!((value.to_f64() - float).abs() <= tolerance, "{text} {value}");
        }
    }
}

#[test]
fn a_large_sum_becomes_the_nearest_number() {
    for micros in [(1 << 53) + 1, 10_000_000_000_300_001, 98_765_432_109_876_543, -(1 << 60) - 1] {
        let sum = FixedSum(micros);
        let nearest: f64 = sum.to_string().parse().unwrap();
        assert_eq!(sum.to_f64().to_bits(), nearest.to_bits(), "{sum}");
    }
}
