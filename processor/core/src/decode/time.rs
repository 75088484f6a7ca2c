//! RFC 3339 times, in exact civil arithmetic.

use kinesis_model::EpochMs;

const DAY_MS: i64 = 86_400_000;
/// Days from March of the year -400 to 1970.
const EPOCH_DAYS: i64 = 719_468 + 146_097;

struct Month {
    /// Days, the leap day left out.
    length: u32,
    /// Days of a year before it, counted from March.
    before: u32,
}

/// From January on.
const MONTHS: [Month; 12] = {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut months = [const { Month { length: 0, before: 0 } }; 12];
    let (mut from_march, mut before) = (0, 0);
    while from_march < 12 {
        let month = (from_march + 2) % 12;
        months[month] = Month { length: lengths[month], before };
        before += lengths[month];
        from_march += 1;
    }
    months
};

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±hh:mm)`, truncating the fraction to milliseconds.
///
/// Years 0000 to 9999 of the proleptic Gregorian calendar. `None` for any other text, for
/// a day that the month does not have, and for a leap second: no producer here sends one.
#[inline]
pub(super) fn rfc3339(text: &[u8]) -> Option<EpochMs> {
    match text.try_into() {
        Ok(text) => in_millis(text).or_else(|| any(text)),
        Err(_) => any(text),
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS.mmmZ`, eight bytes at once: the form of nearly every record.
#[inline]
fn in_millis(text: &[u8; 24]) -> Option<EpochMs> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, _) = text.as_chunks::<8>();
    let (mut is_form, mut pairs) = (true, [0; 3]);
    for (at, form) in [*b"0000-00-", *b"00T00:00", *b":00.000Z"].into_iter().enumerate() {
        let form = u64::from_le_bytes(form);
        // What differs from the form must be at most nine, and nothing where it has a sign.
        let digits = u64::from_le_bytes(words[at]) ^ form;
        let is_sign = ((form ^ (ONES * u64::from(b'0'))) + ONES * 0x7f) & (ONES * 0x80);
        let signs = (is_sign >> 7) * 0xff;
        let above_nine = (digits | digits.wrapping_add(ONES * 0x76)) & (ONES * 0x80);
        is_form &= (digits & signs) | above_nine == 0;
        // In each byte the number of two digits that begins there.
        pairs[at] = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    }
    let pair = |word: usize, at: u32| u32::from((pairs[word] >> (8 * at)).to_le_bytes()[0]);
    let (year, month) = (pair(0, 0) * 100 + pair(0, 2), pair(0, 5));
    let (day, hour, minute) = (pair(1, 0), pair(1, 3), pair(1, 6));
    let (second, millis) = (pair(2, 1), pair(2, 4) * 10 + u32::from(text[22] ^ b'0'));
    let at = local_ms([year, month, day], [hour, minute, second])?;
    is_form.then_some(EpochMs(at + i64::from(millis)))
}

/// Reads a time in any form.
fn any(text: &[u8]) -> Option<EpochMs> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let [.., b'-', _, _, b'-', _, _, b'T' | b't', _, _, b':', _, _, b':', _, _] = head else {
        return None;
    };
    // One test for all digits at the end costs less than one for each.
    let mut largest = 0;
    let mut digit = |at: usize| {
        let digit = head[at].wrapping_sub(b'0');
        largest = digit.max(largest);
        u32::from(digit)
    };
    let mut two = |at: usize| digit(at) * 10 + digit(at + 1);
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if largest > 9 {
        return None;
    }
    let (millis, zone) = fraction(tail)?;
    let local_ms = local_ms([year, month, day], [hour, minute, second])?;
    Some(EpochMs(local_ms + millis - offset_ms(zone)?))
}

/// Returns milliseconds from 1970 to a date and time of day, if there is such.
#[inline]
fn local_ms([year, month, day]: [u32; 3], [hour, minute, second]: [u32; 3]) -> Option<i64> {
    let Month { length, before } = *MONTHS.get(month.wrapping_sub(1) as usize)?;
    let is_day = day.wrapping_sub(1) < length || (month == 2 && day == 29 && is_leap(year));
    if !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Counted from March, so that the leap day ends a year, and from a year that is 0 or more.
    let year = year + 400 - u32::from(month <= 2);
    let days = year * 365 + year / 4 - year / 100 + year / 400 + before + day - 1;
    let day_ms = ((hour * 60 + minute) * 60 + second) * 1000;
    Some((i64::from(days) - EPOCH_DAYS) * DAY_MS + i64::from(day_ms))
}

/// Returns two decimal digits.
fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// Returns the milliseconds of an optional `.digits`, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = text else {
        return Some((0, text));
    };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, zone) = digits.split_at(length);
    let digit = |at: usize| digits.get(at).map_or(0, |b| i64::from(b - b'0'));
    (length > 0).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), zone))
}

/// Returns how far the zone is ahead of UTC.
fn offset_ms(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
            let offset = (hours * 60 + minutes) * 60_000;
            let signed = if *sign == b'-' { -offset } else { offset };
            (hours < 24 && minutes < 60).then_some(signed)
        }
        _ => None,
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::rfc3339;

    fn by_jiff(text: &str) -> Option<i64> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(time.as_nanosecond().div_euclid(1_000_000).try_into().unwrap())
    }

    #[test]
    fn fixed_points() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2025-06-01T12:00:00.072Z", 1_748_779_200_072),
            ("2026-03-01T12:00:07.089061676Z", 1_772_366_407_089),
            ("2024-02-29T23:59:59.9999999999z", 1_709_251_199_999),
            ("2025-06-01t21:00:00+09:00", 1_748_779_200_000),
            ("2025-06-01T06:30:00.5-05:30", 1_748_779_200_500),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(rfc3339(text.as_bytes()).map(|t| t.0), Some(expected), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "2025-06-01",
            "2025-06-01T12:00:00",
            "2025-06-01 12:00:00Z",
            "2025-06-01T12:00Z",
            "2025-06-01T12:00:00.Z",
            "2025-06-01T12:00:00,5Z",
            "2025-06-01T12:00:00ZZ",
            "2025-06-01T12:00:00+0900",
            "2025-06-01T12:00:00+24:00",
            "2025-06-01T12:00:00+09:60",
            "2025-06-01T24:00:00Z",
            "2025-06-01T12:60:00Z",
            "2016-12-31T23:59:60Z",
            "2025-02-29T12:00:00Z",
            "1900-02-29T12:00:00Z",
            "2025-13-01T12:00:00Z",
            "2025-00-01T12:00:00Z",
            "2025-06-00T12:00:00Z",
            "2025-06-31T12:00:00Z",
            "+2025-06-01T12:00:00Z",
            "2025-6-1T12:00:00Z",
            "2025-06-01T12:00:0٣Z",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(
            year in 1_i32..9999, month in 0..14, day in 0..33, hour in 0..25, minute in 0..61,
            second in 0..60, fraction in "(\\.[0-9]{1,9})?", zone in "Z|[+-][01][0-9]:[0-5][0-9]",
        ) {
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
            );
            // jiff allows hour 24 as the end of a day.
            prop_assume!(hour < 24);
            prop_assert_eq!(rfc3339(text.as_bytes()).map(|t| t.0), by_jiff(&text), "{}", text);
        }
    }
}
