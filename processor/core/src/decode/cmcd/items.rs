//! The items of a report: a dictionary of RFC 8941, as far as players write it.

use crate::decode::number;
use crate::fixed::Fixed;

/// Sum and count of a list of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) sum: Fixed,
    pub(super) count: i64,
}

/// The items that are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Items<'l> {
    pub(super) sid: Option<&'l str>,
    pub(super) cid: Option<&'l str>,
    pub(super) session: Option<&'l str>,
    pub(super) event: Option<&'l str>,
    pub(super) state: Option<&'l str>,
    pub(super) cdn: Option<&'l str>,
    pub(super) sn: Option<Fixed>,
    pub(super) ts: Option<Fixed>,
    pub(super) ltc: Option<Fixed>,
    pub(super) msd: Option<Fixed>,
    /// `br`, kilobits a second.
    pub(super) loaded: Option<Numbers>,
    /// `pb`, kilobits a second.
    pub(super) shown: Option<Numbers>,
    /// `bsd`, milliseconds.
    pub(super) stalls: Option<Numbers>,
    /// `bs`.
    pub(super) starved: bool,
    /// `ec`: the first code, and how many.
    pub(super) errors: Option<(&'l str, i64)>,
}

impl<'l> Items<'l> {
    /// Reads a line; `None` if it is not a dictionary, or names no view.
    pub(super) fn read(line: &'l str) -> Option<Self> {
        let (mut items, mut rest) = (Self::default(), line);
        loop {
            let key_end = rest.find(|c: char| !is_key(c)).unwrap_or(rest.len());
            let (key, after) = rest.split_at(key_end);
            if key.is_empty() {
                return None;
            }
            let (value, after) = match after.strip_prefix('=') {
                None => ("?1", after),
                Some(after) => after.split_at(value_end(after)?),
            };
            items.set(key, value);
            match after.strip_prefix(',') {
                Some(next) => rest = next.trim_start_matches(' '),
                None if after.is_empty() => break,
                None => return None,
            }
        }
        items.sid.is_some().then_some(items)
    }

    fn set(&mut self, key: &str, value: &'l str) {
        match key {
            "sid" => self.sid = quoted(value),
            "cid" => self.cid = quoted(value),
            "e" => self.event = Some(value),
            "sta" => self.state = Some(value),
            "cdn" => self.cdn = quoted(value),
            "sn" => self.sn = number(value),
            "ts" => self.ts = number(value),
            "ltc" => self.ltc = number(value),
            "msd" => self.msd = number(value),
            "br" => self.loaded = numbers(value),
            "pb" => self.shown = numbers(value),
            "bsd" => self.stalls = numbers(value),
            "bs" => self.starved = value == "?1",
            "ec" => self.errors = texts(value),
            _ if key.ends_with("-session") => self.session = quoted(value),
            _ => {}
        }
    }
}

fn is_key(character: char) -> bool {
    matches!(character, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '*')
}

/// Returns where a value ends: at the comma behind it that stands in no string and no list. `None` if
/// one of those does not end.
fn value_end(text: &str) -> Option<usize> {
    let (mut in_string, mut in_list, mut is_escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'(' if !in_list => in_list = true,
            b')' if in_list => in_list = false,
            b',' if !in_list => return Some(at),
            0x21..0x7f => {}
            b' ' if in_list => {}
            _ => return None,
        }
    }
    (!in_string && !in_list).then_some(text.len())
}

/// Returns a string without its quotes; one with escapes is kept as it is written.
fn quoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// Returns a number, without parameters.
pub(super) fn number(value: &str) -> Option<Fixed> {
    let plain = value.split(';').next()?;
    if plain.contains(['e', 'E']) {
        return None;
    }
    number::whole_text(plain).flatten()
}

/// Returns the members of a list, or a single value as one.
fn members(value: &str) -> impl Iterator<Item = &str> {
    let inner = value.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(value);
    inner.split(' ').filter(|member| !member.is_empty())
}

fn numbers(value: &str) -> Option<Numbers> {
    let (mut sum, mut count) = (0_i64, 0);
    for member in members(value) {
        sum = sum.checked_add(number(member)?.micros())?;
        count += 1;
    }
    (count > 0).then(|| Numbers { sum: Fixed::from_micros(sum), count })
}

fn texts(value: &str) -> Option<(&str, i64)> {
    let mut members = members(value);
    let first = members.next()?;
    let first = quoted(first).unwrap_or(first);
    let more = i64::try_from(members.count()).ok()?;
    (!first.is_empty()).then_some((first, more + 1))
}

/// Returns a query string's value, decoded; CDNs encode what was encoded once more, so what is still
/// encoded then is decoded again. `None` if it is no text.
pub(super) fn percent_decoded(value: &str) -> Option<String> {
    let once = decoded(value)?;
    if once.contains("%22") || once.contains("%3D") || once.contains("%2C") {
        decoded(&once)
    } else {
        Some(once)
    }
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let byte = digit(high)? * 16 + digit(low)?;
                bytes.push(u8::try_from(byte).ok()?);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
