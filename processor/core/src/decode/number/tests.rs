use proptest::prelude::*;

use super::{scan, whole_text};
use crate::fixed::Fixed;

fn micros(text: &str) -> Option<i64> {
    whole_text(text).expect("a number").map(Fixed::micros)
}

/// Returns the same by long division: `digits × 10^exponent` in millionths, half to even, and below
/// zero at least one millionth of it.
fn reference(negative: bool, digits: &str, exponent: i32) -> Option<i64> {
    let shift = exponent + 6;
    let mut kept = digits.to_owned();
    let mut dropped = String::new();
    if shift >= 0 {
        kept.extend(std::iter::repeat_n('0', usize::try_from(shift).unwrap()));
    } else {
        let cut = usize::try_from(-shift).unwrap();
        let padded = format!("{}{digits}", "0".repeat(cut));
        let (front, back) = padded.split_at(padded.len() - cut);
        (kept, dropped) = (front.to_owned(), back.to_owned());
    }
    let kept = kept.trim_start_matches('0');
    if kept.len() > 30 {
        return None;
    }
    let whole: i128 = if kept.is_empty() { 0 } else { kept.parse().unwrap() };
    let half = format!("5{}", "0".repeat(dropped.len().saturating_sub(1)));
    let up = !dropped.is_empty() && (dropped > half || (dropped == half && whole % 2 == 1));
    let magnitude = whole + i128::from(up);
    if negative && magnitude == 0 && digits.bytes().any(|digit| digit != b'0') {
        return Some(-1);
    }
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[test]
fn fixed_points() {
    for (text, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("-0.0", Some(0)),
        ("-0.0e-5", Some(0)),
        ("-0.0000000000", Some(0)),
        ("-0.000001", Some(-1)),
        ("-0.0000001", Some(-1)),
        ("-0.0000005", Some(-1)),
        ("-0.0000025", Some(-2)),
        ("-1e-9", Some(-1)),
        ("-1e-300", Some(-1)),
        ("-1e-99999999999999999999", Some(-1)),
        ("1e-9", Some(0)),
        ("59.99", Some(59_990_000)),
        ("5755375", Some(5_755_375_000_000)),
        ("-1.000001", Some(-1_000_001)),
        ("0.0000005", Some(0)),
        ("0.0000015", Some(2)),
        ("0.0000025", Some(2)),
        ("0.00000250000000000000000000000000000000001", Some(3)),
        ("2.5e-6", Some(2)),
        ("3.5E-6", Some(4)),
        ("1e3", Some(1_000_000_000)),
        ("1E+3", Some(1_000_000_000)),
        ("1e0000000000000000000000000003", Some(1_000_000_000)),
        ("0e99999999999999999999", Some(0)),
        ("1e-99999999999999999999", Some(0)),
        ("1e99999999999999999999", None),
        ("1e400", None),
        ("1748779200072", Some(1_748_779_200_072_000_000)),
        ("9223372036854.775807", Some(i64::MAX)),
        ("9223372036854.775808", None),
        ("-9223372036854.775808", Some(i64::MIN)),
        ("123456789012345678901234567890", None),
        ("12345678901234567890e-10", Some(1_234_567_890_123_457)),
    ] {
        assert_eq!(micros(text), expected, "{text}");
    }
}

#[test]
fn refused() {
    for text in [
        "",
        "-",
        "+1",
        "01",
        "-01",
        "00",
        ".5",
        "1.",
        "-.5",
        "1.e3",
        "1e",
        "1e+",
        "1e-",
        "1e1.5",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        " 1",
        "1 ",
        "1,5",
        "1_000",
        "--1",
        "١",
    ] {
        assert_eq!(whole_text(text), None, "{text}");
    }
}

#[test]
fn scanning_stops_after_the_number() {
    assert_eq!(scan(b"12,13").unwrap(), (&b",13"[..], Fixed::from_int(12)));
    assert_eq!(scan(b"1.5e2}").unwrap(), (&b"}"[..], Fixed::from_int(150)));
}

proptest! {
    #[test]
    fn agrees_with_long_division(
        negative: bool, whole in "0|[1-9][0-9]{0,25}", fraction in "([0-9]{1,25})?",
        exponent in prop::option::of(-40_i32..40), plus: bool,
    ) {
        let point = if fraction.is_empty() { "" } else { "." };
        let sign = if negative { "-" } else { "" };
        let plus = if plus && exponent.is_some_and(|e| e >= 0) { "+" } else { "" };
        let tail = exponent.map_or(String::new(), |e| format!("e{plus}{e}"));
        let text = format!("{sign}{whole}{point}{fraction}{tail}");
        let scale = exponent.unwrap_or(0) - i32::try_from(fraction.len()).unwrap();
        let expected = reference(negative, &format!("{whole}{fraction}"), scale);
        prop_assert_eq!(micros(&text), expected, "{}", text);
    }

    #[test]
    fn the_grammar_is_that_of_serde_json(text in "[-+0-9.eE]{1,12}") {
        // Passed over, not read: reading a number too large for a double fails before its end.
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(whole_text(&text).is_some(), valid, "{}", text);
    }
}
