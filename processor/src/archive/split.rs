//! Text into stretches that are read as records are: lines, or the lines over which a JSON text is
//! printed. JSON objects one after the other without newlines, as Firehose writes them, are one line.
//!
//! A line that was cut never takes the next with it.

use std::io::{self, Read};

use ivs_core::decode::frame::record_end;

/// The longest stretch that is held: a record of the largest size and what follows it.
const MAX_STRETCH_BYTES: usize = 12 << 20;
/// Read at once.
const READ_BYTES: usize = 256 << 10;

/// Cuts a text into stretches, or where those are too long into runs of whole objects.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: Vec<u8>,
    /// The text not handed out yet.
    at: usize,
    filled: usize,
    /// Up to here there is no newline.
    scanned: usize,
    /// Where the buffer begins in the text.
    offset: u64,
    ended: bool,
    /// Newlines before the text not handed out yet.
    newlines: u64,
    /// The line of the last piece, counted from 1.
    line: u64,
    /// Why reading ended too early.
    failed: Option<io::Error>,
    /// Inside a line of which the beginning was handed out as no record.
    skipping: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        let buffer = vec![0; READ_BYTES];
        Self {
            buffer,
            at: 0,
            filled: 0,
            scanned: 0,
            offset: 0,
            ended: false,
            newlines: 0,
            line: 0,
            failed: None,
            skipping: false,
        }
    }
}

impl Splitter {
    /// Returns the next stretch without its last line's end, and where it begins in the text;
    /// `None` at the end.
    ///
    /// # Errors
    /// When reading or decompressing fails. What came before was handed out: whole lines and texts,
    /// and the whole objects of the last one.
    pub(crate) fn next(&mut self, source: &mut impl Read) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let start = self.at;
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.filled]) {
                let line_end = self.scanned + found;
                if std::mem::take(&mut self.skipping) {
                    self.turn_to(line_end + 1);
                    self.newlines += 1;
                } else if let Some(end) = self.stretch_end(start, line_end) {
                    self.turn_to((end + 1).min(self.filled));
                    self.line = self.newlines + 1;
                    self.newlines += match end == line_end {
                        true => 1,
                        false => {
                            memchr::memchr_iter(b'\n', &self.buffer[start..self.at]).count() as u64
                        }
                    };
                    return Ok(Some(self.piece(start, end)));
                } else if self.ended {
                    // The text broke off inside what is printed here.
                    self.turn_to(self.filled);
                } else {
                    self.scanned = line_end;
                    self.fill(source);
                }
                continue;
            }
            self.scanned = self.filled;
            self.line = self.newlines + 1;
            if self.ended {
                let end = self.end(start);
                self.turn_to(self.filled);
                if start < end {
                    return Ok(Some(self.piece(start, end)));
                }
                return self.failed.take().map_or(Ok(None), Err);
            }
            if self.filled - start >= MAX_STRETCH_BYTES {
                let whole = objects_end(&self.buffer[start..self.filled]);
                let skipped = std::mem::replace(&mut self.skipping, whole.is_none());
                let end = whole.map_or(self.filled, |bytes| start + bytes);
                self.turn_to(end);
                if !skipped {
                    return Ok(Some(self.piece(start, end)));
                }
                continue;
            }
            self.fill(source);
        }
    }

    /// Returns where the stretch ends whose first line ends at `line_end`; `None` if it goes on
    /// behind what was read.
    fn stretch_end(&self, start: usize, line_end: usize) -> Option<usize> {
        let (text, line) = (&self.buffer[start..self.filled], line_end - start);
        let is_all = self.ended && self.failed.is_none() || text.len() >= MAX_STRETCH_BYTES;
        let whole = |bytes: &usize| *bytes > line;
        let bytes = record_end(text, line, is_all);
        // A text that is whole is handed out even if reading failed right behind it.
        let at_end = || record_end(text, line, true).filter(whole).filter(|_| self.ended);
        bytes.or_else(at_end).map(|bytes| start + bytes)
    }

    /// Returns text that is to be handed out next, if it begins with a line: not all of what will
    /// follow.
    pub(crate) fn ahead(&self) -> &[u8] {
        let from = if self.skipping { self.filled } else { self.at };
        &self.buffer[from..self.filled]
    }

    /// Passes over whole lines of [`Self::ahead`].
    pub(crate) fn pass(&mut self, bytes: usize, lines: u64) {
        self.turn_to(self.at + bytes);
        self.newlines += lines;
    }

    /// Returns where in the text [`Self::ahead`] begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// Returns the line on which the last piece begins, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Returns where the last piece ends, at the end of the text: it has no newline.
    fn end(&mut self, start: usize) -> usize {
        if std::mem::take(&mut self.skipping) {
            start
        } else if self.failed.is_some() {
            start + objects_end(&self.buffer[start..self.filled]).unwrap_or(0)
        } else {
            self.filled
        }
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
        self.scanned = self.scanned.max(at);
    }

    fn piece(&self, start: usize, end: usize) -> (u64, &[u8]) {
        (self.offset + start as u64, &self.buffer[start..end])
    }

    /// Reads on, or notes why that is not possible.
    fn fill(&mut self, source: &mut impl Read) {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.offset += self.at as u64;
            self.filled -= self.at;
            self.scanned -= self.at;
            self.at = 0;
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = loop {
            match source.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    break 0;
                }
                Ok(read) => break read,
            }
        };
        self.filled += read;
        self.ended = read == 0;
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the end of the last whole object of a run of objects; `None` if not even the first is
/// whole.
fn objects_end(text: &[u8]) -> Option<usize> {
    let mut end = None;
    loop {
        let from = end.unwrap_or(0);
        let is_blank = |byte: &&u8| is_space(**byte);
        let blank = text[from..].iter().take_while(is_blank).count();
        match object_end(&text[from + blank..]) {
            Some(bytes) => end = Some(from + blank + bytes),
            None => return end,
        }
    }
}

/// Returns where the object ends that the text begins with, braces in strings left out.
fn object_end(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let (mut depth, mut in_string, mut at) = (0_usize, false, 0);
    while at < text.len() {
        match text[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let bytes = self.1.min(self.0.len()).min(out.len());
            out[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0 = &self.0[bytes..];
            Ok(bytes)
        }
    }

    fn lines(text: &[u8], step: usize) -> Vec<(u64, Vec<u8>)> {
        let (mut splitter, mut drip, mut found) = (Splitter::default(), Drip(text, step), vec![]);
        while let Some((offset, line)) = splitter.next(&mut drip).unwrap() {
            found.push((offset, line.to_vec()));
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_the_text_arrives() {
        let text = b"a\n{\"b\":1}\n\n\xff\nlast";
        let want = [(0, &b"a"[..]), (2, b"{\"b\":1}"), (10, b""), (11, b"\xff"), (13, b"last")]
            .map(|(at, line)| (at, line.to_vec()));
        for step in [1, 2, 3, 100] {
            assert_eq!(lines(text, step), want, "{step} bytes at a time");
        }
        assert!(lines(b"", 1).is_empty());
        assert_eq!(lines(b"x\n", 1), [(0, b"x".to_vec())]);
    }

    /// As Firehose writes objects, and as its newline option does.
    #[test]
    fn a_text_that_breaks_off_gives_every_whole_object_before_that() {
        struct Broken<'a>(Drip<'a>);
        impl Read for Broken<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                match self.0.read(out)? {
                    0 => Err(io::Error::other("broken off")),
                    bytes => Ok(bytes),
                }
            }
        }
        for (text, want) in [
            (&br#"{"a":1}{"a":2}{"a":"#[..], &[&br#"{"a":1}{"a":2}"#[..]][..]),
            (b"{\"a\":1}\n{\"a\":2}\n{\"a\":", &[b"{\"a\":1}", b"{\"a\":2}"]),
            (b"{\"a\":1}\n{\"a\":2}", &[b"{\"a\":1}", b"{\"a\":2}"]),
            (b"{\"a\":1}\nnot an ob", &[b"{\"a\":1}"]),
            (b"{\n\"a\":1\n}\n{\n\"a\":", &[b"{\n\"a\":1\n}"]),
            (b"{\n\"a\":1\n}", &[b"{\n\"a\":1\n}"]),
        ] {
            let mut broken = Broken(Drip(text, 5));
            let (mut splitter, mut found) = (Splitter::default(), vec![]);
            let error = loop {
                match splitter.next(&mut broken) {
                    Ok(piece) => found.push(piece.expect("an error comes first").1.to_vec()),
                    Err(error) => break error,
                }
            };
            assert_eq!(found, want);
            assert_eq!(error.to_string(), "broken off");
        }
    }

    #[test]
    fn a_printed_text_is_one_stretch_and_a_cut_line_is_not_continued() {
        let text = concat!(
            "\u{feff}{\n  \"a\": [1,\r\n 2]\n}{ \"b\":\n{} }\n\n{\"cut\":\n{\"c\":1}\n",
            "{\"d\": \"\u{e9}\\u00e9\"\n}\n[\n]\n  {\n \"e\":true\n}  \nlast"
        );
        let want = [
            (1, "\u{feff}{\n  \"a\": [1,\r\n 2]\n}{ \"b\":\n{} }"),
            (6, ""),
            (7, "{\"cut\":"),
            (8, "{\"c\":1}"),
            (9, "{\"d\": \"\u{e9}\\u00e9\"\n}"),
            (11, "[\n]"),
            (13, "  {\n \"e\":true\n}  "),
            (16, "last"),
        ];
        for step in [1, 2, 3, 5, 100] {
            let mut splitter = Splitter::default();
            let (mut drip, mut found) = (Drip(text.as_bytes(), step), vec![]);
            while let Some((at, one)) = splitter.next(&mut drip).unwrap() {
                let one = String::from_utf8(one.to_vec()).unwrap();
                assert!(text[usize::try_from(at).unwrap()..].starts_with(&one));
                found.push((splitter.line(), one));
            }
            let found: Vec<_> = found.iter().map(|(line, one)| (*line, one.as_str())).collect();
            assert_eq!(found, want, "{step} bytes at a time");
        }
    }

    #[test]
    fn an_endless_run_of_objects_is_cut_between_objects() {
        let object = format!("{{\"a\":\"{}}}{{\"}}", "x".repeat(1_000));
        let text = object.repeat(3 * MAX_STRETCH_BYTES / object.len());
        let pieces = lines(text.as_bytes(), READ_BYTES);
        assert!(pieces.len() > 1);
        for (_, piece) in &pieces {
            assert_eq!(piece.len() % object.len(), 0);
            assert!(piece.starts_with(object.as_bytes()));
        }
        assert_eq!(pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>(), text.len());
    }

    #[test]
    fn a_monstrous_line_is_one_piece_and_does_not_swallow_the_next() {
        let mut text = vec![b'x'; 3 * MAX_STRETCH_BYTES];
        text.extend(b"\nnext\n");
        let pieces = lines(&text, READ_BYTES);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[1], (text.len() as u64 - 5, b"next".to_vec()));
    }
}
