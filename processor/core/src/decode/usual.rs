//! The usual object: flat, ASCII, without escapes, at most one space after a colon or comma.
//!
//! Nearly every line is one, and a producer writes the members of a kind in one order. So the next
//! name is guessed from the one before, and a right guess takes one comparison for the comma, the
//! name, its quotes and its colon. A wrong guess costs a search and teaches the next; no result
//! depends on guesses. Every byte is looked at. Whatever is not usual, malformed lines included,
//! is left to the scanner in [`super::json`].

use fearless_simd::prelude::*;
use fearless_simd::{u8x32, u8x64};

use super::json::{Text, Value};
use super::number;
use crate::fixed::Fixed;

/// The longest usual line, in bytes; those of players and backends have some hundreds.
const MAX_LINE: usize = 2_048;
/// Bytes looked at together, and so perhaps beyond a line's end.
const BLOCK: usize = 64;
/// The longest usual name, with what stands around it.
const MAX_NAME: usize = 32;
/// Names remembered: several times as many as a kind has. With one more, all are learned anew, so
/// that a producer of ever new names spoils the guesses of the others only for a while.
const MAX_NAMES: usize = 128;
/// Stands for the beginning of a line among the names.
const START: u8 = 0;
/// The slot of names that are not read; the largest number, so that no table has it.
const NO_SLOT: u8 = u8::MAX;

type Line = [u8; MAX_LINE + BLOCK];

/// The names that follow each name, as seen so far, and room for a line.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    /// A line that ends too near to the end of its text to be read where it lies. What stands behind
    /// it has no meaning.
    padded: Box<Line>,
    known: Names,
}

/// The names that were seen.
#[derive(Clone, Debug)]
struct Names {
    names: Box<[Name; MAX_NAMES]>,
    count: usize,
}

/// A member name that was seen.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Name {
    /// `,"name":` with the brace or comma before it, and the spaces that its producer writes.
    pattern: [u8; MAX_NAME],
    /// A bit for each byte of the pattern.
    bits: u32,
    /// Their number.
    length: u8,
    /// The slot of its values.
    slot: u8,
    /// Names that came next.
    next: [u8; 2],
}

impl Name {
    /// Matches nothing: a pattern of 32 bytes, the first of which begins no name.
    const NONE: Self =
        Self { pattern: [0; MAX_NAME], bits: u32::MAX, length: 0, slot: NO_SLOT, next: [START; 2] };
}

impl Habits {
    pub(super) fn new() -> Self {
        Self { padded: Box::new([0; MAX_LINE + BLOCK]), known: Names::new() }
    }

    /// Walks the object that `text` begins with: `set` is given the slots and values of its members,
    /// the slot as `slot` knows it, or else one that no table has. Where the object ends, which is on
    /// its first line; `None`, after some members and perhaps some that are none, if it is not the
    /// usual one.
    #[inline(always)]
    pub(super) fn walk<'a, S: Simd>(
        &mut self,
        simd: S,
        text: &'a str,
        slot: impl Fn(&[u8]) -> Option<u8>,
        mut set: impl FnMut(u8, Value<'a>),
    ) -> Option<usize> {
        let Self { padded, known } = self;
        let (line, length): (&Line, usize) = match text.as_bytes().first_chunk() {
            Some(line) => (line, MAX_LINE),
            None => {
                let length = text.len().min(MAX_LINE);
                padded[..length].copy_from_slice(&text.as_bytes()[..length]);
                (&**padded, length)
            }
        };
        let (mut at, mut before) = (0, START);
        loop {
            let index = match known.guess(simd, line, at, before) {
                Some(index) => index,
                None => known.learn(at, text, before, &slot)?,
            };
            let name = &known.names[usize::from(index) % MAX_NAMES];
            at += usize::from(name.length);
            if byte(line, at) == b'"' {
                let end = string_end(simd, line, at + 1)?;
                set(name.slot, Value::Text(Text::of_plain(text.get(at + 1..end)?)));
                at = end + 1;
            } else if let Some((number, end)) = short_number(line, at) {
                set(name.slot, Value::Number(Some(number)));
                at = end;
            } else {
                let (value, end) = other(text, at)?;
                set(name.slot, value);
                at = end;
            }
            before = index;
            if byte(line, at) == b'}' {
                // Beyond what was copied stands another line.
                return (at < length).then_some(at + 1);
            }
        }
    }
}

impl Names {
    fn new() -> Self {
        Self { names: Box::new([Name::NONE; MAX_NAMES]), count: 1 }
    }

    /// Returns the name at `at`, if it is one that came after `before`.
    #[inline(always)]
    fn guess<S: Simd>(&self, simd: S, line: &Line, at: usize, before: u8) -> Option<u8> {
        let bytes = u8x32::from_slice(simd, line.get(at..at + MAX_NAME)?);
        let is_at = |index: u8| {
            let name = &self.names[usize::from(index) % MAX_NAMES];
            let equal = bytes.simd_eq(u8x32::from_slice(simd, &name.pattern)).to_bitmask();
            !equal & u64::from(name.bits) == 0
        };
        let [first, second] = self.names[usize::from(before) % MAX_NAMES].next;
        if is_at(first) {
            Some(first)
        } else if is_at(second) {
            Some(second)
        } else {
            None
        }
    }

    /// Reads a name that was not guessed; it is the guess after `before` from now on.
    #[cold]
    fn learn(
        &mut self,
        at: usize,
        text: &str,
        before: u8,
        slot: impl Fn(&[u8]) -> Option<u8>,
    ) -> Option<u8> {
        let rest = text.as_bytes().get(at..)?;
        let begin = match (before, rest) {
            (START, [b'{', b'"', ..]) | (1.., [b',', b'"', ..]) => 2,
            (START, [b'{', b' ', b'"', ..]) | (1.., [b',', b' ', b'"', ..]) => 3,
            _ => return None,
        };
        let end = begin + rest[begin..].iter().position(|byte| !is_plain(*byte))?;
        let length = end + 2 + usize::from(*rest.get(end + 2)? == b' ');
        if rest[end] != b'"' || rest[end + 1] != b':' || length > MAX_NAME {
            return None;
        }
        let is_known = |known: &Name| {
            usize::from(known.length) == length && known.pattern[..length] == rest[..length]
        };
        let index = match self.names[..self.count].iter().position(is_known) {
            Some(index) => index,
            None if self.count < MAX_NAMES => {
                let mut name = Name {
                    bits: u32::MAX >> (MAX_NAME - length),
                    length: u8::try_from(length).ok()?,
                    slot: slot(&rest[begin..end]).unwrap_or(NO_SLOT),
                    ..Name::NONE
                };
                name.pattern[..length].copy_from_slice(&rest[..length]);
                self.names[self.count] = name;
                self.count += 1;
                self.count - 1
            }
            None => {
                *self = Self::new();
                return None;
            }
        };
        let index = u8::try_from(index).ok()?;
        let next = &mut self.names[usize::from(before)].next;
        *next = [index, next[0]];
        Some(index)
    }
}

/// Returns the byte at `at`; 0 beyond what a line and its padding have.
#[inline(always)]
fn byte(line: &Line, at: usize) -> u8 {
    line.get(at).copied().unwrap_or(0)
}

/// Returns the closing quote of the string whose text begins at `begin`.
#[inline(always)]
fn string_end<S: Simd>(simd: S, line: &Line, begin: usize) -> Option<usize> {
    let mut end = begin;
    loop {
        let bytes = u8x64::from_slice(simd, line.get(end..end + BLOCK)?);
        // One comparison for both ends: what is below a space wraps to the top.
        let plain = (bytes - 0x20).simd_lt(0x60);
        let stops = (bytes.simd_eq(b'"') | bytes.simd_eq(b'\\') | !plain).to_bitmask();
        if stops != 0 {
            end += stops.trailing_zeros() as usize;
            return (byte(line, end) == b'"').then_some(end);
        }
        end += BLOCK;
    }
}

/// Returns what stands in a usual string or name, its quotes not included.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\')
}

/// Returns the number at `at`, and where it ends, if it has at most eight digits before a point and
/// six behind it, and neither sign nor exponent. (Of a longer one it is the beginning, which
/// nothing follows that may stand behind a value.)
#[inline(always)]
fn short_number(line: &Line, at: usize) -> Option<(Fixed, usize)> {
    let (whole, length) = digits(line, at)?;
    // One branch that is never taken instead of one that many a 0 takes.
    if (length > 1) & (byte(line, at) == b'0') {
        return None;
    }
    let (micros, end) = (whole * number::ONE, at + length);
    if byte(line, end) != b'.' {
        return Some((Fixed::from_micros(micros), end));
    }
    let (fraction, length) = digits(line, end + 1)?;
    let unit = number::FRACTION_UNIT.get(length)?;
    Some((Fixed::from_micros(micros + fraction * unit), end + 1 + length))
}

/// Returns the value of the one to eight digits at `at`, all read at once, and their number.
#[inline(always)]
fn digits(line: &Line, at: usize) -> Option<(i64, usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*line.get(at..)?.first_chunk()?) ^ (ONES * u64::from(b'0'));
    // A byte above 9 shows in its highest bit; it may carry into later bytes, which do not count.
    let others = (word | word.wrapping_add(ONES * 0x76)) & (ONES * 0x80);
    let length = others.trailing_zeros() / 8;
    if length == 0 {
        return None;
    }
    // The digits move up to the highest bytes, the last digit's place; zeros follow below.
    let digits = word << (64 - 8 * length);
    // Neighbours are joined to numbers of two, of four, of eight digits.
    let pairs = (digits * 10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let all = (fours * 10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    #[expect(clippy::cast_possible_wrap, reason = "at most eight digits")]
    Some((all as i64, length as usize))
}

/// Returns a value that is neither a string nor a short number: a word, or any other number.
#[cold]
fn other(text: &str, at: usize) -> Option<(Value<'_>, usize)> {
    let rest = text.as_bytes().get(at..)?;
    for (word, value) in [("true", Value::Bool), ("false", Value::Bool), ("null", Value::Null)] {
        if rest.starts_with(word.as_bytes()) {
            return Some((value, at + word.len()));
        }
    }
    let (after, number) = number::scan(rest)?;
    Some((Value::Number(number), text.len() - after.len()))
}
