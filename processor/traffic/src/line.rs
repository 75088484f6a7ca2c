//! Writes JSON lines. All texts are the generator's own and need no escapes.

use seeded::Rng;

/// A JSON object being written.
#[derive(Debug)]
pub(super) struct Line(Vec<u8>);

impl Line {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(420);
        bytes.push(b'{');
        Self(bytes)
    }

    /// `"key":` with the comma before it, if one is due.
    fn key(&mut self, key: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    pub(super) fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
        self
    }

    pub(super) fn number(mut self, key: &str, value: u64) -> Self {
        self.key(key);
        push_number(&mut self.0, value);
        self
    }

    /// Adds a number given in hundredths, in its shortest form.
    pub(super) fn hundredths(mut self, key: &str, value: u64) -> Self {
        self.key(key);
        push_number(&mut self.0, value / 100);
        let fraction = value % 100;
        if fraction != 0 {
            self.0.extend_from_slice(&[b'.', digit(fraction / 10)]);
            if !fraction.is_multiple_of(10) {
                self.0.push(digit(fraction));
            }
        }
        self
    }

    /// Adds a time as RFC 3339 text with milliseconds.
    pub(super) fn time(mut self, key: &str, at_ms: i64) -> Self {
        self.key(key);
        self.0.push(b'"');
        push_time(&mut self.0, at_ms);
        self.0.push(b'.');
        push_padded(&mut self.0, at_ms.rem_euclid(1000).unsigned_abs(), 3);
        self.0.extend_from_slice(b"Z\"");
        self
    }

    /// Adds a time as RFC 3339 text in whole seconds.
    pub(super) fn second(mut self, key: &str, at_ms: i64) -> Self {
        self.key(key);
        self.0.push(b'"');
        push_time(&mut self.0, at_ms);
        self.0.extend_from_slice(b"Z\"");
        self
    }

    /// Adds a random id in the form of a UUID, version 4.
    pub(super) fn uuid(mut self, key: &str, rng: &mut Rng) -> Self {
        self.key(key);
        self.0.push(b'"');
        let high = rng.next_u64() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000;
        let low = rng.next_u64() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000;
        push_hex(&mut self.0, high >> 32, 8);
        self.0.push(b'-');
        push_hex(&mut self.0, high >> 16, 4);
        self.0.push(b'-');
        push_hex(&mut self.0, high, 4);
        self.0.push(b'-');
        push_hex(&mut self.0, low >> 48, 4);
        self.0.push(b'-');
        push_hex(&mut self.0, low, 12);
        self.0.push(b'"');
        self
    }

    /// Adds a list of texts.
    pub(super) fn list(mut self, key: &str, values: &[String]) -> Self {
        self.key(key);
        self.0.push(b'[');
        for (at, value) in values.iter().enumerate() {
            self.0.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
            self.0.extend_from_slice(value.as_bytes());
            self.0.push(b'"');
        }
        self.0.push(b']');
        self
    }

    /// Adds a finished JSON value.
    pub(super) fn raw(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    pub(super) fn finish_text(self) -> String {
        String::from_utf8(self.finish()).expect("only text was written")
    }
}

/// Makes an id: `p-` and ten hexadecimal digits.
pub(super) fn player_id(player: u64) -> String {
    let mut id = b"p-".to_vec();
    push_hex(&mut id, player, 10);
    String::from_utf8(id).expect("only text was written")
}

/// Returns the last decimal digit.
fn digit(value: u64) -> u8 {
    b"0123456789"[usize::try_from(value % 10).expect("below ten")]
}

/// In decimal, without leading zeros.
fn push_number(out: &mut Vec<u8>, value: u64) {
    push_padded(out, value, 1);
}

/// In decimal, with leading zeros up to `width`.
fn push_padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    /// Digits of the largest `u64`.
    const DIGITS: usize = 20;
    let mut digits = [b'0'; DIGITS];
    let mut at = DIGITS;
    while value > 0 {
        at -= 1;
        digits[at] = digit(value);
        value /= 10;
    }
    out.extend_from_slice(&digits[at.min(DIGITS - width)..]);
}

/// The last `width` hexadecimal digits, at most 16.
fn push_hex(out: &mut Vec<u8>, value: u64, width: usize) {
    const DIGITS: usize = 16;
    let mut digits = [0; DIGITS];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = usize::try_from(value >> (4 * place) & 15).expect("below sixteen");
        *digit = b"0123456789abcdef"[nibble];
    }
    out.extend_from_slice(&digits[DIGITS - width..]);
}

/// `YYYY-MM-DDTHH:MM:SS` of a time in the years 0 to 9999.
fn push_time(out: &mut Vec<u8>, at_ms: i64) {
    let seconds = at_ms.div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400).unsigned_abs();
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
    ];
    for (value, width, separator) in parts {
        push_padded(out, value, width);
        out.push(separator);
    }
    push_padded(out, second % 60, 2);
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March inside, so
/// that the leap day is the last of its year; 146,097 days are 400 years.
fn civil(day: i64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year.unsigned_abs(), month.unsigned_abs(), day_of_month.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::{Line, Rng};

    #[test]
    fn times_agree_with_jiff() {
        let mut rng = Rng::new(3);
        for _ in 0..2_000 {
            let at_ms = rng.between(0, 4_102_444_799_999);
            let text = Line::new().time("t", at_ms).finish_text();
            let time: jiff::Timestamp = text[6..text.len() - 2].parse().unwrap();
            assert_eq!(time.as_millisecond(), at_ms, "{text}");
        }
    }

    #[test]
    fn members_are_json_in_their_shortest_form() {
        let line = Line::new()
            .text("a", "b")
            .number("n", 0)
            .number("m", 1_203)
            .hundredths("h", 2_997)
            .hundredths("i", 3_050)
            .hundredths("j", 3_000)
            .hundredths("k", 5)
            .list("l", &["x".to_owned(), "y".to_owned()])
            .list("o", &[])
            .second("s", 1_709_210_096_789)
            .raw("r", "{}");
        assert_eq!(
            line.finish_text(),
            r#"{"a":"b","n":0,"m":1203,"h":29.97,"i":30.5,"j":30,"k":0.05,"l":["x","y"],"o":[],"s":"2024-02-29T12:34:56Z","r":{}}"#
        );
    }

    #[test]
    fn ids_have_the_form_of_a_uuid() {
        let text = Line::new().uuid("u", &mut Rng::new(1)).finish_text();
        let id = &text[6..text.len() - 2];
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(id.split('-').nth(2).is_some_and(|part| part.starts_with('4')), "{id}");
    }
}
