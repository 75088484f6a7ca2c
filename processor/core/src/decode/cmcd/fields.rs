//! The syntax of CMCD: a dictionary of structured fields (RFC 8941), to the extent that players
//! write it.

use super::{Text, Value};
use crate::decode::number;

/// The most members of a report and items of a list that are read; CTA-5004-B has 60 keys.
const MEMBERS_MAX: usize = 128;

/// An item of a list, and the first of its parameters: the type of object that it is about.
pub(super) type Item<'a> = (Value<'a>, Option<&'a str>);

/// The members of a report, by their keys.
pub(super) struct Report<'a> {
    members: Vec<(&'a str, Vec<Item<'a>>)>,
}

impl<'a> Report<'a> {
    /// Reads a report; `None` if `text` is not a dictionary, or has no `sid`.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (mut members, mut rest) = (Vec::new(), text.trim());
        loop {
            let (key, after) = key(rest)?;
            let (items, after) = match after.strip_prefix('=') {
                Some(value) => member(value)?,
                None => (vec![(Value::Bool(true), None)], parameters(after)?.1),
            };
            members.retain(|(known, _)| *known != key);
            members.push((key, items));
            if after.is_empty() {
                break;
            }
            rest = after.trim_start().strip_prefix(',')?.trim_start();
            if members.len() > MEMBERS_MAX {
                return None;
            }
        }
        let report = Self { members };
        (report.item("sid") != Value::Null).then_some(report)
    }

    /// Returns the items of a member; none if it is absent.
    pub(super) fn list(&self, key: &str) -> &[Item<'a>] {
        let found = self.members.iter().find(|(known, _)| *known == key);
        found.map_or(&[], |(_, items)| items)
    }

    /// Returns the first item of a member, `null` if it is absent.
    pub(super) fn item(&self, key: &str) -> Value<'a> {
        self.list(key).first().map_or(Value::Null, |(value, _)| *value)
    }

    /// Returns whether it is a report of the second version, which says so.
    pub(super) fn is_version_2(&self) -> bool {
        matches!(self.item("v"), Value::Number(Some(version)) if version.round() >= 2)
    }
}

/// Returns a key and what follows it.
fn key(text: &str) -> Option<(&str, &str)> {
    let is_key =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte);
    let length = text.bytes().take_while(is_key).count();
    let starts = text.bytes().next()?.is_ascii_lowercase();
    starts.then(|| text.split_at(length))
}

/// Returns the items of a member, one if it is not a list, and what follows them.
fn member(text: &str) -> Option<(Vec<Item<'_>>, &str)> {
    let Some(mut rest) = text.strip_prefix('(') else {
        let (item, rest) = item(text)?;
        return Some((vec![item], rest));
    };
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return Some((items, parameters(after)?.1));
        }
        let (next, after) = item(rest)?;
        items.push(next);
        rest = after;
        if items.len() > MEMBERS_MAX {
            return None;
        }
    }
}

fn item(text: &str) -> Option<(Item<'_>, &str)> {
    let (value, rest) = value(text)?;
    let (parameter, rest) = parameters(rest)?;
    Some(((value, parameter), rest))
}

/// Returns the first of the parameters that `text` begins with, and what follows them all.
fn parameters(text: &str) -> Option<(Option<&str>, &str)> {
    let (mut first, mut rest) = (None, text);
    while let Some(after) = rest.strip_prefix(';') {
        let (name, after) = key(after.trim_start())?;
        first = first.or(Some(name));
        rest = match after.strip_prefix('=') {
            Some(given) => value(given)?.1,
            None => after,
        };
    }
    Some((first, rest))
}

/// Returns a string, a boolean, a number or a token, and what follows it.
fn value(text: &str) -> Option<(Value<'_>, &str)> {
    match text.bytes().next()? {
        b'"' => string(&text[1..]),
        b'?' => match text.get(1..2)? {
            "0" => Some((Value::Bool(false), &text[2..])),
            "1" => Some((Value::Bool(true), &text[2..])),
            _ => None,
        },
        b'-' | b'0'..=b'9' => {
            let (rest, number) = number::scan(text.as_bytes())?;
            Some((Value::Number(number), &text[text.len() - rest.len()..]))
        }
        first if first.is_ascii_alphabetic() || first == b'*' => {
            let length = text.find([',', ';', ')', ' ', '"']).unwrap_or(text.len());
            Some((Value::Text(Text::of_plain(&text[..length])), &text[length..]))
        }
        _ => None,
    }
}

/// Returns a string whose opening quote was read. Its two escapes, `\"` and `\\`, are JSON's too.
fn string(text: &str) -> Option<(Value<'_>, &str)> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((Value::Text(Text::of_raw(&text[..at])), &text[at + 1..])),
            b'\\' => {
                let (_, escaped) = bytes.next()?;
                if !matches!(escaped, b'"' | b'\\') {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns a text of a query without its escapes; `None` if that is not UTF-8, or an escape is not
/// one.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let (&[high, low], after) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        decoded.push(digit(high)? << 4 | digit(low)?);
        rest = after;
    }
    String::from_utf8(decoded).ok()
}
