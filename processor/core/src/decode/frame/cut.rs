//! Where a record of a file ends: at the end of its line, unless a JSON text goes on behind that.

use super::{Behind, MARK, Valid, blanks, refused_end, space, value};

/// The longest text of several lines that is looked for, in bytes: no longer one is a record.
const MAX_TEXT_BYTES: usize = 10 << 20;
/// A fault so near to the end of what was read may be no more than that end: inside an escape of
/// twelve bytes, a word, a character.
const NEAR_END_BYTES: usize = 12;

/// Returns how many bytes of `text`, which begins where a line begins, are one record: its first
/// line of `line` bytes, or the lines over which its JSON texts extend. `None` if that hangs on
/// what comes behind `text`, which is never so if `text` `is_all` there is.
///
/// The first line is told by its ends alone where it has one object from end to end and the next
/// begins with one.
#[inline]
#[must_use]
pub fn record_end(text: &[u8], line: usize, is_all: bool) -> Option<usize> {
    let is_open = |byte: Option<&u8>| matches!(byte, Some(b'{' | b'['));
    let begin = text.first();
    if !is_open(begin) && !matches!(begin, Some(b' ' | b'\t' | 0xef)) {
        return Some(line);
    }
    let last = text.get(..line).and_then(|line| line.trim_ascii_end().last());
    if is_open(begin) && matches!(last, Some(b'}' | b']')) && is_open(text.get(line + 1)) {
        return Some(line);
    }
    printed_end(text, line, is_all)
}

#[cold]
fn printed_end(text: &[u8], line: usize, is_all: bool) -> Option<usize> {
    let known = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_all = is_all || text.len() >= MAX_TEXT_BYTES;
    // The end of the line that holds `at`, if it is known.
    let line_end = |at: usize| match memchr::memchr(b'\n', &text[at..]) {
        Some(length) => Some(at + length),
        None => is_all.then_some(text.len()),
    };
    let mut at = if text.starts_with(MARK) { MARK.len() } else { 0 };
    at += blanks(&text[at..]);
    let mut is_first = true;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match value(known.get(at..).unwrap_or_default(), rest) {
            Ok((length, Behind::Another)) => at += length + blanks(&text[at + length..]),
            Ok((length, _)) => return line_end(at + length),
            Err(fault) => {
                let is_cut = !is_all && at + fault.at + NEAR_END_BYTES >= known.len();
                let goes_on = is_cut && known.len() + NEAR_END_BYTES > text.len();
                let end = if is_first { Some(line) } else { line_end(at) };
                return if goes_on { None } else { end };
            }
        }
        is_first = false;
    }
}

/// Returns whether there is nothing but what JSON takes for white space, behind a byte order mark
/// perhaps, so that a file has no record here.
#[inline]
#[must_use]
pub fn is_blank(text: &[u8]) -> bool {
    match text.first() {
        None => true,
        Some(&0xef) => text.strip_prefix(MARK).is_some_and(|text| space(text) == text.len()),
        Some(first) => *first <= b' ' && space(text) == text.len(),
    }
}

/// Returns the JSON texts of a stretch that was cut out of a file, and what is refused beside them,
/// each as its own bytes; what [`Decoder::read`](crate::decode::Decoder::read) tells of each is
/// what it tells of the stretch.
pub fn pieces(stretch: &[u8]) -> impl Iterator<Item = &[u8]> {
    let data = stretch.strip_prefix(MARK).unwrap_or(stretch);
    let (mut at, mut valid, mut is_first) = (0, Valid::default(), true);
    std::iter::from_fn(move || {
        at += space(&data[at..]);
        if at >= data.len() {
            return None;
        }
        let (begin, found) = (at, value(valid.at(data, at), &data[at..]));
        match found {
            Ok((length, behind)) if !is_first || behind != Behind::Garbage => {
                at += length;
                is_first = behind == Behind::End;
            }
            _ => {
                at = refused_end(data, at, &mut valid, found.ok());
                is_first = true;
            }
        }
        Some(&data[begin..at])
    })
}
