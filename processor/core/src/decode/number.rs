//! JSON numbers, read exactly into millionths.

use crate::fixed::Fixed;

/// Millionths in one, and the decimal digits that makes.
pub(super) const ONE: i64 = 1_000_000;
const SCALE: usize = 6;
/// Powers of ten that bring a fraction of 0 to 6 digits to millionths.
pub(super) const FRACTION_UNIT: [i64; SCALE + 1] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
/// So many digits always fit an `i64`.
const SAFE_DIGITS: usize = 18;

/// Returns a number at the start of `bytes`: what follows it, and its value unless [`Fixed`] cannot
/// hold it.
///
/// `None` where the bytes do not start with a number as RFC 8259 writes it. Digits below a
/// millionth are rounded half to even, save that a number below zero stays below it: its sign
/// decides whether it is taken.
#[inline(always)]
pub(super) fn scan(bytes: &[u8]) -> Option<(&[u8], Option<Fixed>)> {
    let (negative, mantissa) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    let (whole, whole_len, mut rest) = digits(mantissa);
    if whole_len == 0 || (mantissa[0] == b'0' && whole_len > 1) {
        return None;
    }
    let (mut fraction, mut fraction_len) = (0, 0);
    if let [b'.', digits_on @ ..] = rest {
        (fraction, fraction_len, rest) = digits(digits_on);
        if fraction_len == 0 {
            return None;
        }
    }
    if whole_len > SAFE_DIGITS || fraction_len > SCALE || matches!(rest, [b'e' | b'E', ..]) {
        return scan_long(negative, mantissa, rest);
    }
    let scaled = whole.checked_mul(ONE);
    match scaled.and_then(|w| w.checked_add(fraction * FRACTION_UNIT[fraction_len])) {
        Some(micros) => {
            Some((rest, Some(Fixed::from_micros(if negative { -micros } else { micros }))))
        }
        None => scan_long(negative, mantissa, rest),
    }
}

/// Returns a text that is one number and nothing else.
pub(super) fn whole_text(text: &str) -> Option<Option<Fixed>> {
    scan(text.as_bytes()).filter(|(rest, _)| rest.is_empty()).map(|(_, value)| value)
}

/// Returns the run of digits that starts `bytes`: its value (wrapped if it is long), its length,
/// and what follows it.
#[inline(always)]
fn digits(bytes: &[u8]) -> (i64, usize, &[u8]) {
    let (mut value, mut rest) = (0_i64, bytes);
    while let [first, after @ ..] = rest
        && first.is_ascii_digit()
    {
        value = value.wrapping_mul(10).wrapping_add(i64::from(first - b'0'));
        rest = after;
    }
    (value, bytes.len() - rest.len(), rest)
}

/// Returns a number whose whole and fractional digits stand at the start of `bytes`, up to `rest`,
/// and that may have an exponent.
#[cold]
fn scan_long<'a>(
    negative: bool,
    bytes: &[u8],
    rest: &'a [u8],
) -> Option<(&'a [u8], Option<Fixed>)> {
    let mantissa = &bytes[..bytes.len() - rest.len()];
    let [b'e' | b'E', signed @ ..] = rest else {
        return Some((rest, round(mantissa, 0, negative)));
    };
    let (below, exponent) = match signed {
        [b'-', unsigned @ ..] => (true, unsigned),
        [b'+', unsigned @ ..] => (false, unsigned),
        _ => (false, signed),
    };
    let (_, length, rest) = digits(exponent);
    // Clamped far from overflow, and far beyond what the digits of any line can make up for.
    let clamp = |sum: i64, b: &u8| (sum * 10 + i64::from(b - b'0')).min(1 << 40);
    let size = exponent[..length].iter().fold(0, clamp);
    let value = round(mantissa, if below { -size } else { size }, negative);
    (length > 0).then_some((rest, value))
}

/// `mantissa × 10^exponent` in millionths, half to even, and below zero at least one millionth of it;
/// `None` if that is not an `i64`.
///
/// `mantissa` is digits with at most one point.
fn round(mantissa: &[u8], exponent: i64, negative: bool) -> Option<Fixed> {
    /// An `i64` has at most 19 digits.
    const MAX_DIGITS: i64 = 19;
    let point = mantissa.iter().position(|b| *b == b'.');
    let fraction_len = point.map_or(0, |p| mantissa.len() - p - 1);
    let significant = || mantissa.iter().filter(|b| **b != b'.').skip_while(|b| **b == b'0');
    let count = i64::try_from(significant().count()).ok()?;
    if count == 0 {
        return Some(Fixed::default());
    }
    // How many of the significant digits stand before the millionths' point.
    let kept = count + exponent - i64::try_from(fraction_len).ok()? + 6;
    if kept > MAX_DIGITS {
        return None;
    }
    let whole = usize::try_from(kept).map_or(0, |kept| half_to_even(significant(), kept));
    // Digits are left, so that what is below zero is not zero.
    let magnitude = whole.max(i128::from(negative));
    i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Fixed::from_micros)
}

/// Returns the first `kept` digits as a number, zeros after the last, rounded by those that follow.
fn half_to_even<'a>(digits: impl Iterator<Item = &'a u8> + Clone, kept: usize) -> i128 {
    let digit = |b: &u8| i128::from(b - b'0');
    let padded = digits.clone().map(digit).chain(std::iter::repeat(0)).take(kept);
    let whole = padded.fold(0_i128, |sum, d| sum * 10 + d);
    let mut dropped = digits.skip(kept).map(digit);
    let first = dropped.next().unwrap_or(0);
    let beyond_half = dropped.any(|d| d != 0);
    let up = first > 5 || (first == 5 && (beyond_half || whole % 2 == 1));
    whole + i128::from(up)
}

#[cfg(test)]
mod tests;
