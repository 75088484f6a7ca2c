//! A strict JSON scanner (RFC 8259) for one text: no tree, no allocation.
//!
//! It walks an object member by member and hands out slices of the text. Nested values are checked
//! in full and handed out unread. An escape of half a surrogate pair, which the grammar allows and
//! no text holds, stands for U+FFFD: programs that cut a string in the middle of an emoji write it.

use std::borrow::Cow;

use super::keys::Tag;
use super::number;
use super::reject::{Reason, Rejection};
use crate::fixed::Fixed;

/// Objects and arrays may nest so deep, the outermost included. IVS and players need four.
pub(super) const MAX_DEPTH: usize = 64;

/// Bytes of a string that are looked at together.
const WORD: usize = 8;

/// A value of an object's member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// `null`; in a table of slots also a member that is absent.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; `None` if it is beyond what [`Fixed`] holds.
    Number(Option<Fixed>),
    /// A string.
    Text(Text<'a>),
    /// An array, as the line has it.
    Array(&'a str),
    /// An object, as the line has it.
    Object(&'a str),
}

/// A string as the line has it, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl Value<'_> {
    /// Returns whether it is a string without escapes that says `word`.
    #[inline(always)]
    pub(super) fn is_text(self, word: &str) -> bool {
        matches!(self, Self::Text(text) if !text.escaped && text.raw == word)
    }
}

impl<'a> Text<'a> {
    /// Returns a string without escapes.
    #[inline(always)]
    pub(super) fn of_plain(raw: &'a str) -> Self {
        Self { raw, escaped: false }
    }

    /// Returns a string that may have escapes.
    #[inline(always)]
    pub(super) fn of_raw(raw: &'a str) -> Self {
        Self { raw, escaped: raw.contains('\\') }
    }

    /// Returns the text if it has no escapes.
    #[inline(always)]
    pub(super) fn plain(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// Returns the text; borrowed unless it has escapes.
    pub(super) fn get(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

/// Where and why scanning stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// `NotJson`, `NotAnObject` or `TooLarge` (nesting).
    pub(super) reason: Reason,
    /// The problem.
    pub(super) what: &'static str,
    /// The byte it is wrong at.
    pub(super) at: usize,
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        let Fault { reason, what, at } = fault;
        Self::of_record(reason, format!("{what} at byte {at}"))
    }
}

/// Walks the one object that `text` holds: `each` is given the tag of a name, the name and the
/// value. The whole text is checked, whatever `each` makes of it; after a fault, what `each` has
/// seen is void.
#[inline(always)]
pub(super) fn object<'a>(
    text: &'a str,
    each: impl FnMut(Tag, &[u8], Value<'a>),
) -> Result<(), Fault> {
    let end = first_object(text, each)?;
    blank(text, end)
}

/// Walks the object that `text` begins with, as [`object`] does; where it ends. Of another value
/// the whole text is checked.
#[inline(always)]
pub(super) fn first_object<'a>(
    text: &'a str,
    mut each: impl FnMut(Tag, &[u8], Value<'a>),
) -> Result<usize, Fault> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    if scanner.rest.first() != Some(&b'{') {
        scanner.value(0)?;
        scanner.end()?;
        return Err(Fault {
            reason: Reason::NotAnObject,
            what: "a value that is not an object",
            at: 0,
        });
    }
    scanner.members(1, |name, value| {
        if let Some(text) = name.text.plain() {
            each(name.tag, text.as_bytes(), value);
        } else {
            let text = name.text.get();
            each(Tag::of(text.as_bytes()), text.as_bytes(), value);
        }
    })?;
    Ok(scanner.at())
}

/// Checks that nothing but white space follows on the value that ends at `end`.
#[inline(always)]
pub(super) fn blank(text: &str, end: usize) -> Result<(), Fault> {
    let mut scanner = Scanner { text, rest: text.as_bytes().get(end..).unwrap_or_default() };
    scanner.end()
}

/// Returns where the value ends that `text` begins with, without space before it.
pub(super) fn extent(text: &str) -> Result<usize, Fault> {
    let mut scanner = Scanner::new(text);
    scanner.value(0)?;
    Ok(scanner.at())
}

/// Walks the array that `text`, a [`Value::Array`], holds.
pub(super) fn array<'a>(text: &'a str, each: impl FnMut(Value<'a>)) -> Result<(), Fault> {
    Scanner::new(text).elements(1, each)
}

/// A line being read.
struct Scanner<'a> {
    text: &'a str,
    /// The rest of the text.
    rest: &'a [u8],
}

/// A string that may name a member.
struct Name<'a> {
    text: Text<'a>,
    /// Its tag, unless it has escapes.
    tag: Tag,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes() }
    }

    /// Returns the position of the rest in the text.
    fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    #[inline(always)]
    fn space(&mut self) {
        if self.rest.first().is_some_and(|first| *first <= b' ') {
            self.more_space();
        }
    }

    #[cold]
    fn more_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[cold]
    fn fault(&self, what: &'static str) -> Fault {
        Fault { reason: Reason::NotJson, what, at: self.at() }
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.rest.is_empty() { Ok(()) } else { Err(self.fault("text after the value")) }
    }

    #[inline(always)]
    fn value(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        match self.rest.first() {
            Some(b'"') => Ok(Value::Text(self.string()?.text)),
            Some(b'-' | b'0'..=b'9') => {
                let Some((rest, value)) = number::scan(self.rest) else {
                    return Err(self.fault("a malformed number"));
                };
                self.rest = rest;
                Ok(Value::Number(value))
            }
            _ => self.other(depth),
        }
    }

    /// Returns a value that is not a string and no number; objects and arrays are checked and
    /// skipped.
    #[inline(never)]
    fn other(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        let start = self.at();
        match self.rest {
            [b'{', ..] => {
                self.members(depth + 1, |_, _| ())?;
                Ok(Value::Object(&self.text[start..self.at()]))
            }
            [b'[', ..] => {
                self.elements(depth + 1, |_| ())?;
                Ok(Value::Array(&self.text[start..self.at()]))
            }
            [b't', b'r', b'u', b'e', rest @ ..] => {
                self.rest = rest;
                Ok(Value::Bool(true))
            }
            [b'f', b'a', b'l', b's', b'e', rest @ ..] => {
                self.rest = rest;
                Ok(Value::Bool(false))
            }
            [b'n', b'u', b'l', b'l', rest @ ..] => {
                self.rest = rest;
                Ok(Value::Null)
            }
            [] => Err(self.fault("the text ends where a value is due")),
            _ => Err(self.fault("no JSON value")),
        }
    }

    /// Opens an object or array, at its bracket: whether it has any content.
    fn open(&mut self, depth: usize, close: u8) -> Result<bool, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault { reason: Reason::TooLarge, ..self.fault("nesting deeper than 64") });
        }
        self.rest = self.rest.get(1..).unwrap_or_default();
        self.space();
        Ok(!self.take(close))
    }

    /// After a member or element: whether another follows.
    #[inline(always)]
    fn follows(&mut self, close: u8, what: &'static str) -> Result<bool, Fault> {
        self.space();
        if self.take(b',') {
            self.space();
            Ok(true)
        } else if self.take(close) {
            Ok(false)
        } else {
            Err(self.fault(what))
        }
    }

    #[inline(always)]
    fn members(
        &mut self,
        depth: usize,
        mut each: impl FnMut(Name<'a>, Value<'a>),
    ) -> Result<(), Fault> {
        let mut more = self.open(depth, b'}')?;
        while more {
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.fault("no `:` after a member name"));
            }
            self.space();
            let value = self.value(depth)?;
            each(name, value);
            more = self.follows(b'}', "neither `,` nor `}` after a member")?;
        }
        Ok(())
    }

    fn elements(&mut self, depth: usize, mut each: impl FnMut(Value<'a>)) -> Result<(), Fault> {
        let mut more = self.open(depth, b']')?;
        while more {
            let value = self.value(depth)?;
            each(value);
            more = self.follows(b']', "neither `,` nor `]` after an element")?;
        }
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Name<'a>, Fault> {
        if !self.take(b'"') {
            return Err(self.fault("no string where one is due"));
        }
        let start = self.at();
        let head = self.rest.first_chunk().copied();
        self.plain_run();
        let escaped = self.rest.first() == Some(&b'\\');
        if escaped {
            self.escapes()?;
        }
        let raw = &self.text[start..self.at()];
        let tag = match head {
            Some(head) => Tag::new(head, raw.len()),
            None => Tag::of(raw.as_bytes()),
        };
        if self.take(b'"') {
            Ok(Name { text: Text { raw, escaped }, tag })
        } else if self.rest.is_empty() {
            Err(self.fault("a string without its closing quote"))
        } else {
            Err(self.fault("a control character in a string"))
        }
    }

    /// Passes bytes that are neither `"`, `\` nor control characters, eight at a time.
    #[inline(always)]
    fn plain_run(&mut self) {
        while let Some((chunk, rest)) = self.rest.split_first_chunk() {
            if let Some(stop) = first_stop(*chunk) {
                self.rest = &self.rest[stop..];
                return;
            }
            self.rest = rest;
        }
        while let [first, rest @ ..] = self.rest
            && !is_stop(*first)
        {
            self.rest = rest;
        }
    }

    /// Passes over the rest of a string, from its first escape on.
    #[cold]
    fn escapes(&mut self) -> Result<(), Fault> {
        while self.rest.first() == Some(&b'\\') {
            let Some((_, length)) = unescape_one(self.rest) else {
                return Err(self.fault("a malformed escape"));
            };
            self.rest = &self.rest[length..];
            self.plain_run();
        }
        Ok(())
    }
}

/// Returns whether a plain run ends at `byte`.
fn is_stop(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// Returns the place of the first byte of `chunk` that ends a plain run.
///
/// Eight bytes a word: a byte's high bit is set where the byte is zero after the subtraction's
/// borrow. A borrow may set bits of higher bytes only, so the lowest set bit is always right.
#[inline(always)]
fn first_stop(chunk: [u8; WORD]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let bytes = u64::from_le_bytes(chunk);
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let equals = |byte: u8| below(bytes ^ (ONES * u64::from(byte)), 1);
    let stops = (below(bytes, 0x20) | equals(b'"') | equals(b'\\')) & HIGH;
    (stops != 0).then(|| stops.trailing_zeros() as usize / 8)
}

/// Returns the character of the escape that starts `bytes`, and its length in bytes.
fn unescape_one(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.get(1)? {
        b'u' => return unescape_unicode(bytes),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        same @ (b'"' | b'\\' | b'/') => char::from(*same),
        _ => return None,
    };
    Some((simple, 2))
}

/// `\u` and four hexadecimal digits, or the pair of them that makes a character beyond U+FFFF; half
/// of a pair is U+FFFD.
fn unescape_unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let first = hex4(bytes.get(2..6)?)?;
    let low = match bytes.get(6..12) {
        Some([b'\\', b'u', second @ ..]) if (0xD800..0xDC00).contains(&first) => {
            hex4(second).and_then(|low| low.checked_sub(0xDC00)).filter(|low| *low < 0x400)
        }
        _ => None,
    };
    match low {
        Some(low) => char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + low).map(|c| (c, 12)),
        None => Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)),
    }
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, b| Some(sum * 16 + char::from(*b).to_digit(16)?))
}

/// Resolves the escapes of a string that the scanner has passed.
#[cold]
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (character, length) =
            unescape_one(&rest.as_bytes()[at..]).expect("the scanner checked every escape");
        text.push(character);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests;
