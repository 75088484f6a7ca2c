//! The form of a record, decided before its content: the one place that decides it, for every
//! command.
//!
//! A record's data is, in this order:
//! 1. gzip or zlib (`expand`): what it expands to, bounded;
//! 2. JSON texts, however each is printed, with or without newlines between them. Two kinds of
//!    object hold other records (`container`): a batch of a CloudWatch Logs subscription and the
//!    body that the QoS sample's players post;
//! 3. else lines, of which those of CMCD are events (`decode::cmcd`).
//!
//! (KPL aggregates are taken apart before: [`kinesis_model::kpl`]. A file is cut by `cut` into
//! stretches that are read as records are.)
//!
//! Bytes that cannot be read are refused whole and once: lines side by side that hold no JSON text
//! are one refusal, up to the line where a whole object begins. A line that was cut short takes
//! nothing of the next with it. Texts that share a line are read one by one as long as the first is
//! followed by another; behind the last, garbage is refused by itself. A byte order mark at the
//! beginning is passed over.
//!
//! A record of one object, or of one on each line, is read as fast as if nothing else existed: one
//! look at its first byte, one at what stands behind each object.

mod container;
mod cut;
mod depth;
mod expand;
#[cfg(test)]
mod tests;

pub use container::room_of;
pub use cut::{is_blank, pieces, record_end};
pub use depth::Decoded;

use super::flat::Flat;
use super::json::{self, Fault};
use super::reject::{Reason, Rejection};
use super::{Context, Decoder, Event, cmcd, event, too_large};
use depth::{Depth, Each};

/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Decoder {
    /// Reads all events of a record (or of a user record of an aggregate, or of a stretch of
    /// a file): `each` is given every event and every refusal with its bytes, which are a part of
    /// `data` unless they had to be expanded or taken out of a text.
    ///
    /// # Errors
    /// The first of `each`.
    #[inline(always)]
    pub fn read<E>(
        &mut self,
        data: &[u8],
        context: &Context<'_>,
        mut each: impl FnMut(&[u8], Decoded<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if data.first() == Some(&b'{') {
            self.texts(data, context, Depth::RECORD, &mut each)
        } else {
            self.other(data, context, Depth::RECORD, &mut each)
        }
    }

    /// Reads JSON texts and lines.
    #[inline(always)]
    fn texts<E, F>(
        &mut self,
        data: &[u8],
        context: &Context<'_>,
        depth: Depth,
        each: &mut F,
    ) -> Result<(), E>
    where
        F: FnMut(&[u8], Decoded<'_, '_>) -> Result<(), E> + ?Sized,
    {
        let (mut at, mut valid) = (0, Valid::default());
        let text = std::str::from_utf8(data).unwrap_or_default();
        while at < data.len() {
            let mut flat = Flat::EMPTY;
            let rest = text.get(at..).unwrap_or_default();
            if let Some((object, length)) = self.usual_object(rest, &mut flat) {
                self.tell(&flat, object, context, depth, each)?;
                at += length + 1;
                continue;
            }
            let rest = &data[at..];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let mut flat = Flat::EMPTY;
            if let Some(object) = self.only_object(&rest[..length], &mut flat) {
                self.tell(&flat, object, context, depth, each)?;
                at += length + 1;
            } else {
                let mut each = |bytes: &[u8], decoded: Decoded<'_, '_>| each(bytes, decoded);
                at = self.uneven(data, at, &mut valid, context, depth, &mut each)?;
            }
        }
        Ok(())
    }

    /// Returns the object of the usual form that `text` begins with, if nothing follows it on its
    /// line, and the length of the line.
    #[inline(always)]
    fn usual_object<'a>(&mut self, text: &'a str, flat: &mut Flat<'a>) -> Option<(&'a str, usize)> {
        let end = flat.read_usual(text, &mut self.habits, self.level)?;
        let length = end + blanks(text.as_bytes().get(end..)?);
        let is_alone = matches!(text.as_bytes().get(length), None | Some(b'\n'));
        is_alone.then_some((text.get(..end)?, length))
    }

    /// Returns the object that a line holds, and nothing else.
    #[cold]
    fn only_object<'a>(&mut self, line: &'a [u8], flat: &mut Flat<'a>) -> Option<&'a str> {
        let line = std::str::from_utf8(line).ok()?;
        let end = flat.read(line, &mut self.habits, self.level).ok()?;
        json::blank(line, end).ok()?;
        line.get(..end)
    }

    /// Reads usual objects, each alone on a line that ends within `text`, and hands out what each
    /// says and where it begins; returns where the first line begins that is not so, and is to be read
    /// as any data are.
    ///
    /// # Errors
    /// The first of `each`.
    #[inline(always)]
    pub fn read_usual_lines<E>(
        &mut self,
        text: &str,
        context: &Context<'_>,
        mut each: impl FnMut(usize, &[u8], Decoded<'_, '_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut at = 0;
        loop {
            let mut flat = Flat::EMPTY;
            let Some(end) = flat.read_usual(&text[at..], &mut self.habits, self.level) else {
                return Ok(at);
            };
            let object = &text[at..at + end];
            let is_whole = text.as_bytes().get(at + end) == Some(&b'\n')
                && object.len() <= self.limits.max_line_bytes;
            let Some(kind) = flat.kind().ok().filter(|_| is_whole) else { return Ok(at) };
            let decoded = event(kind, &flat, object, context, &self.limits);
            each(at, object.as_bytes(), decoded.as_ref())?;
            at += end + 1;
        }
    }

    /// Hands out what an object says whose members are in `flat`.
    #[inline(always)]
    fn tell<E, F>(
        &mut self,
        flat: &Flat<'_>,
        text: &str,
        context: &Context<'_>,
        depth: Depth,
        each: &mut F,
    ) -> Result<(), E>
    where
        F: FnMut(&[u8], Decoded<'_, '_>) -> Result<(), E> + ?Sized,
    {
        match flat.kind() {
            Ok(kind) if text.len() <= self.limits.max_line_bytes => {
                // Borrowed where it stands: an event is large.
                let decoded = event(kind, flat, text, context, &self.limits);
                each(text.as_bytes(), decoded.as_ref())
            }
            kind => {
                let kind = kind.map(|_| ());
                let mut each = |bytes: &[u8], decoded: Decoded<'_, '_>| each(bytes, decoded);
                self.unusual(kind, text, context, depth, &mut each)
            }
        }
    }

    /// Hands out what is in an object that is too large, holds records, or is none of ours.
    #[cold]
    fn unusual<E>(
        &mut self,
        kind: Result<(), Rejection>,
        object: &str,
        context: &Context<'_>,
        depth: Depth,
        each: Each<'_, E>,
    ) -> Result<(), E> {
        let rejection = too_large(object.len(), &self.limits).or(kind.err());
        let Some(rejection) = rejection else { return Ok(()) };
        let is_none_of_ours = rejection.reason == Reason::NoKind && rejection.field.is_none();
        if depth.containers && is_none_of_ours {
            container::read(self, object, &rejection, context, each)
        } else {
            each(object.as_bytes(), Err(&rejection))
        }
    }

    /// Reads data that does not begin with an object.
    #[cold]
    fn other<E>(
        &mut self,
        data: &[u8],
        context: &Context<'_>,
        depth: Depth,
        each: Each<'_, E>,
    ) -> Result<(), E> {
        let data = data.strip_prefix(MARK).unwrap_or(data);
        if space(data) == data.len() {
            let rejection = self.why(data, context);
            return each(data, Err(&rejection));
        }
        if depth.expansions == 0 {
            return self.texts(data, context, depth, each);
        }
        match expand::expand(data, self.limits.max_expanded_bytes) {
            None => self.texts(data, context, depth, each),
            Some(Err(rejection)) => each(data, Err(&rejection)),
            Some(Ok(expanded)) => {
                let depth = Depth { expansions: depth.expansions - 1, ..depth };
                self.other(&expanded, context, depth, each)
            }
        }
    }

    /// Reads from a line on that is not one object: blank, or the first of a text of several lines,
    /// or one of several texts, or none at all. Where the next line begins.
    #[cold]
    #[inline(never)]
    fn uneven<'a, E>(
        &mut self,
        data: &'a [u8],
        start: usize,
        valid: &mut Valid<'a>,
        context: &Context<'_>,
        depth: Depth,
        each: Each<'_, E>,
    ) -> Result<usize, E> {
        let mut at = start + space(&data[start..]);
        let mut is_first = true;
        while at < data.len() {
            let text = valid.at(data, at);
            let found = value(text, &data[at..]);
            if found.is_err()
                && is_first
                && let Some((line, report)) = self.cmcd(data, at, context)
            {
                each(line, report.as_ref())?;
                return Ok(at + line.len() + 1);
            }
            match found {
                Ok((length, behind)) if !is_first || behind != Behind::Garbage => {
                    self.value(&text[..length], context, depth, each)?;
                    at += length + blanks(&data[at + length..]);
                    if behind == Behind::End {
                        return Ok(at + 1);
                    }
                    is_first = false;
                }
                _ => {
                    let end = refused_end(data, at, valid, found.ok());
                    let is_all = start == 0 && is_first && space(&data[end..]) == data.len() - end;
                    let rejection = self.why_refused(&data[at..end], found, context);
                    each(if is_all { data } else { &data[at..end] }, Err(&rejection))?;
                    return Ok(end + 1);
                }
            }
        }
        Ok(at)
    }

    /// Returns the line of CMCD that begins at `at`, and what it says.
    fn cmcd<'a>(
        &self,
        data: &'a [u8],
        at: usize,
        context: &Context<'_>,
    ) -> Option<(&'a [u8], Result<Event<'static>, Rejection>)> {
        let line = &data[at..line_end(data, at)];
        Some((line, cmcd::read(line, context, &self.limits)?))
    }

    /// Hands out what a whole value says.
    fn value<E>(
        &mut self,
        text: &str,
        context: &Context<'_>,
        depth: Depth,
        each: Each<'_, E>,
    ) -> Result<(), E> {
        let mut flat = Flat::EMPTY;
        match flat.fill(text) {
            Ok(()) => self.tell(&flat, text, context, depth, each),
            Err(fault) => each(text.as_bytes(), Err(&fault.into())),
        }
    }

    /// Returns why a stretch is refused: by what is wrong with its first line, unless what is wrong
    /// lies behind that.
    fn why_refused(
        &mut self,
        stretch: &[u8],
        found: Result<(usize, Behind), Fault>,
        context: &Context<'_>,
    ) -> Rejection {
        let line = line_end(stretch, 0);
        let mut rejection = match found {
            Err(fault) if fault.at > line => fault.into(),
            Ok((length, _)) if length > line => {
                Fault { reason: Reason::NotJson, what: "text after the value", at: length }.into()
            }
            _ => self.why(&stretch[..line], context),
        };
        let lines = memchr::memchr_iter(b'\n', stretch).count() + 1;
        if lines > 1 {
            rejection.detail = format!("{}, {lines} lines in all", rejection.detail);
        }
        rejection
    }

    /// Returns why a line is not an event.
    fn why(&mut self, line: &[u8], context: &Context<'_>) -> Rejection {
        match self.decode_in(line, context) {
            Err(rejection) => rejection,
            Ok(_) => Rejection::of_record(Reason::NotJson, "no JSON text of its own"),
        }
    }
}

/// The stretch of a record's data that is known to be text, so that it is checked once.
#[derive(Default)]
struct Valid<'a> {
    text: &'a str,
    start: usize,
}

impl<'a> Valid<'a> {
    /// Returns the text from `at` on, up to the first byte that is none.
    fn at(&mut self, data: &'a [u8], at: usize) -> &'a str {
        let known = at.checked_sub(self.start).and_then(|passed| self.text.get(passed..));
        if let Some(known) = known.filter(|known| !known.is_empty()) {
            return known;
        }
        let valid = data[at..].utf8_chunks().next().map_or("", |chunk| chunk.valid());
        *self = Self { text: valid, start: at };
        valid
    }
}

/// The bytes behind a value, on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// Nothing.
    End,
    /// Another value.
    Another,
    /// Bytes that begin no value.
    Garbage,
}

/// Returns the length of the object or array that `data` begins with, and what stands behind it; `text`
/// is as much of it as is text.
fn value(text: &str, data: &[u8]) -> Result<(usize, Behind), Fault> {
    if !text.starts_with(['{', '[']) {
        return Err(Fault { reason: Reason::NotJson, what: "no JSON value", at: 0 });
    }
    let length = json::extent(text)?;
    let after = &data[length..];
    let behind = match after.get(blanks(after)) {
        None | Some(b'\n') => Behind::End,
        Some(b'{' | b'[') => Behind::Another,
        Some(_) => Behind::Garbage,
    };
    Ok((length, behind))
}

/// Returns where a stretch ends that is refused: at the end of a line, with no whole value on the
/// next.
fn refused_end<'a>(
    data: &'a [u8],
    at: usize,
    valid: &mut Valid<'a>,
    found: Option<(usize, Behind)>,
) -> usize {
    let mut end = line_end(data, at + found.map_or(0, |(length, _)| length));
    while end < data.len() {
        let next = end + space(&data[end..]);
        if next == data.len() {
            break;
        }
        if cmcd::is_report(&data[next..line_end(data, next)]) {
            break;
        }
        let begins = matches!(data.get(next), Some(b'{' | b'['));
        let is_whole = |behind| behind != Behind::Garbage;
        let mut found = || value(valid.at(data, next), &data[next..]);
        if begins && found().is_ok_and(|(_, behind)| is_whole(behind)) {
            break;
        }
        end = line_end(data, next);
    }
    end
}

/// Returns where the line ends that holds `at`: its newline or the end of the data.
fn line_end(data: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |length| at + length)
}

/// Returns the length of the white space, newlines among it, that `data` begins with.
fn space(data: &[u8]) -> usize {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    data.iter().position(|byte| !is_space(byte)).unwrap_or(data.len())
}

/// Returns the length of the white space, without newlines, that `data` begins with.
fn blanks(data: &[u8]) -> usize {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    data.iter().position(|byte| !is_blank(byte)).unwrap_or(data.len())
}
