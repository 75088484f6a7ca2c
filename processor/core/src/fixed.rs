//! Exact decimals: numbers of records in millionths, and their sums.
//!
//! Floating-point sums depend on the order of the terms, so rows built from the same records by
//! different splits would differ (E4). Integers do not. Millionths hold every unit a record
//! carries (frame rates and percentages come with two or three decimals) with room to spare.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Millionths in one.
const ONE: u64 = 1_000_000;
/// Decimal digits of a millionth.
const SCALE: i32 = 6;

/// A decimal number in millionths, exact: from -9,223,372,036,854.775808 to …807.
///
/// `Display` writes the shortest decimal (`5755375`, `59.99`); `FromStr` reads any decimal with an
/// optional exponent and refuses what is not a whole number of millionths.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Fixed(i64);

/// A sum of [`Fixed`], in millionths; it holds 2^64 of the largest terms.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct FixedSum(pub i128);

/// A text that is not an exact decimal in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixedError {
    /// Not `[-]digits[.digits][e[±]digits]`.
    #[error("not a decimal number")]
    Syntax,
    /// Larger than the type holds.
    #[error("decimal number out of range")]
    OutOfRange,
    /// Has digits below a millionth, where an exact value is asked for.
    #[error("decimal number has digits below a millionth")]
    Inexact,
}

impl Fixed {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Returns a whole number, unless it exceeds about ±9.2e12.
    #[must_use]
    #[inline]
    pub const fn from_int(value: i64) -> Option<Self> {
        match value.checked_mul(1_000_000) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// Returns the value in millionths.
    #[must_use]
    #[inline]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns a number of millionths.
    #[must_use]
    #[inline]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the nearest floating-point number.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        FixedSum::from(self).to_f64()
    }

    /// Returns the whole part, rounded to the nearest integer, halves away from zero.
    #[must_use]
    #[inline]
    pub const fn round(self) -> i64 {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest >= 500_000 {
            whole + 1
        } else if rest <= -500_000 {
            whole - 1
        } else {
            whole
        }
    }
}

impl FixedSum {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Returns whether the sum is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the nearest floating-point number.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Up to here both sides of the division are exact, so that it rounds once.
        const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;
        if self.0.unsigned_abs() <= EXACT {
            return self.0 as f64 / ONE as f64;
        }
        self.to_string().parse().expect("a decimal number is a number")
    }

    /// Returns the mean of `count` terms; `None` of none.
    #[must_use]
    pub fn mean(self, count: u64) -> Option<f64> {
        (count > 0).then(|| self.to_f64() / count as f64)
    }

    /// Returns the mean of `count` terms rounded half away from zero to a millionth; `None` of
    /// none.
    ///
    /// Computed in integers, so it is the same text on every machine.
    #[must_use]
    pub fn mean_fixed(self, count: u64) -> Option<FixedSum> {
        if count == 0 {
            return None;
        }
        let (count, sign) = (u128::from(count), self.0.signum());
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / count, magnitude % count);
        let rounded = whole + u128::from(rest * 2 >= count);
        // Only a sum of i128::MIN over one term exceeds i128::MAX, and it saturates.
        Some(Self(i128::try_from(rounded).unwrap_or(i128::MAX) * sign))
    }
}

impl From<Fixed> for FixedSum {
    fn from(value: Fixed) -> Self {
        Self(i128::from(value.0))
    }
}

impl AddAssign for FixedSum {
    /// Saturates; reaching the bound takes 2^64 terms, so sums stay exact in any order.
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl AddAssign<Fixed> for FixedSum {
    #[inline]
    fn add_assign(&mut self, term: Fixed) {
        self.0 = self.0.saturating_add(i128::from(term.0));
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FixedSum::from(*self).fmt(f)
    }
}

impl fmt::Display for FixedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / u128::from(ONE), magnitude % u128::from(ONE));
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if rest == 0 {
            return Ok(());
        }
        let digits = format!("{rest:06}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Fixed {
    type Err = FixedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sum: FixedSum = text.parse()?;
        i64::try_from(sum.0).map(Self).map_err(|_| FixedError::OutOfRange)
    }
}

impl FromStr for FixedSum {
    type Err = FixedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.as_bytes()).map(Self)
    }
}

/// Serialised as text: a JSON number would lose digits beyond 2^53 in many readers.
impl From<Fixed> for String {
    fn from(value: Fixed) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Fixed {
    type Error = FixedError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FixedSum> for String {
    fn from(value: FixedSum) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for FixedSum {
    type Error = FixedError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The digits of a decimal text, before scaling: `mantissa × 10^exponent`.
#[derive(Default)]
struct Digits {
    mantissa: u128,
    exponent: i32,
    /// Whether non-zero digits beyond the 37th were cut off.
    cut: bool,
}

impl Digits {
    /// Takes a run of digits off the front; returns how many there were and what follows.
    fn take<'a>(&mut self, text: &'a [u8], after_point: bool) -> (usize, &'a [u8]) {
        let mut read = 0;
        for digit in text.iter().map(|b| b.wrapping_sub(b'0')).take_while(|d| *d < 10) {
            read += 1;
            if self.mantissa < u128::MAX / 100 {
                self.mantissa = self.mantissa * 10 + u128::from(digit);
                self.exponent -= i32::from(after_point);
            } else {
                self.cut |= digit != 0;
                self.exponent = self.exponent.saturating_add(i32::from(!after_point));
            }
        }
        (read, &text[read..])
    }

    /// Returns the number in millionths.
    fn scale(self) -> Result<i128, FixedError> {
        if self.mantissa == 0 {
            return Ok(0);
        }
        let shift = self.exponent.saturating_add(SCALE);
        let power = 10_u128.checked_pow(shift.unsigned_abs());
        let magnitude = if shift >= 0 {
            let scaled = power.and_then(|power| self.mantissa.checked_mul(power));
            scaled.ok_or(FixedError::OutOfRange)?
        } else {
            // A power beyond `u128` exceeds every mantissa, so it does not divide one either.
            let power = power.ok_or(FixedError::Inexact)?;
            if !self.mantissa.is_multiple_of(power) {
                return Err(FixedError::Inexact);
            }
            self.mantissa / power
        };
        if self.cut {
            return Err(FixedError::Inexact);
        }
        i128::try_from(magnitude).map_err(|_| FixedError::OutOfRange)
    }
}

/// Reads `[-]digits[.digits][e[±]digits]` into millionths.
fn parse(text: &[u8]) -> Result<i128, FixedError> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut digits = Digits::default();
    let (whole, mut rest) = digits.take(rest, false);
    let mut ok = whole > 0;
    if let [b'.', fraction @ ..] = rest {
        let (read, after) = digits.take(fraction, true);
        ok &= read > 0;
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = parse_exponent(exponent)?;
        digits.exponent = digits.exponent.saturating_add(exponent);
        rest = &[];
    }
    if !ok || !rest.is_empty() {
        return Err(FixedError::Syntax);
    }
    let micros = digits.scale()?;
    Ok(if negative { -micros } else { micros })
}

/// Reads `[±]digits`; beyond a million it saturates, which is out of range or inexact all the same.
fn parse_exponent(text: &[u8]) -> Result<i32, FixedError> {
    const FAR: i32 = 1_000_000;
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] | rest => (1, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FixedError::Syntax);
    }
    let add = |sum: i32, b: &u8| (sum * 10 + i32::from(b - b'0')).min(FAR);
    Ok(sign * digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests;
