//! Text into records: one a line, or JSON objects one after the other without newlines, as
//! Firehose writes them.
//!
//! A newline always ends a record, so a line that was cut never takes the next with it.

use std::io::{self, Read};

/// The longest stretch without a newline that is held: a record and what follows it.
const MAX_STRETCH_BYTES: usize = 4 << 20;
/// Read at once.
const READ_BYTES: usize = 256 << 10;

/// Cuts a text into lines, or where those are too long into runs of whole objects.
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
    /// The next line without its end, and where it begins in the text; `None` at the end.
    ///
    /// # Errors
    /// When reading or decompressing fails. What came before was handed out: whole lines, and the
    /// whole objects of the last one.
    pub(crate) fn next(&mut self, text: &mut impl Read) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let start = self.at;
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.filled]) {
                let end = self.scanned + found;
                self.turn_to(end + 1);
                self.newlines += 1;
                self.line = self.newlines;
                if !std::mem::take(&mut self.skipping) {
                    return Ok(Some(self.piece(start, end)));
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
            if let Err(error) = self.fill(text) {
                (self.ended, self.failed) = (true, Some(error));
            }
        }
    }

    /// The line on which the last piece begins, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Where the last piece ends, at the end of the text: it has no newline.
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

    fn fill(&mut self, text: &mut impl Read) -> io::Result<()> {
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
            match text.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.filled += read;
        self.ended = read == 0;
        Ok(())
    }
}

/// The objects of a line that holds several, and after them what is left; `None` if it does not:
/// an object must be followed directly by the start of another.
pub(crate) fn concatenated(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut pieces = Vec::new();
    let mut rest = trimmed(line);
    while let Some(bytes) = object_end(rest) {
        let (object, after) = rest.split_at(bytes);
        pieces.push(object);
        rest = trimmed(after);
        if pieces.len() == 1 && rest.first() != Some(&b'{') {
            return None;
        }
    }
    if pieces.is_empty() {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    Some(pieces)
}

/// Whether there is nothing but what JSON takes for white space, so that there is no record.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| is_space(*byte))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Without the white space at its ends.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..]
    | [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text
    {
        text = rest;
    }
    text
}

/// The end of the last whole object of a run of objects; `None` if not even the first is whole.
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

/// Where the object ends that the text begins with, braces in strings left out.
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
    fn an_endless_run_of_objects_is_cut_between_objects() {
        let object = format!("{{\"a\":\"{}}}{{\"}}", "x".repeat(1_000));
        let text = object.repeat(3 * MAX_STRETCH_BYTES / object.len());
        let pieces = lines(text.as_bytes(), READ_BYTES);
        assert!(pieces.len() > 1);
        let objects: usize =
            pieces.iter().map(|(_, piece)| concatenated(piece).unwrap().len()).sum();
        assert_eq!(objects, text.len() / object.len());
        for (_, piece) in &pieces {
            assert!(concatenated(piece).unwrap().iter().all(|one| *one == object.as_bytes()));
        }
    }

    #[test]
    fn a_monstrous_line_is_one_piece_and_does_not_swallow_the_next() {
        let mut text = vec![b'x'; 3 * MAX_STRETCH_BYTES];
        text.extend(b"\nnext\n");
        let pieces = lines(&text, READ_BYTES);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[1], (text.len() as u64 - 5, b"next".to_vec()));
    }

    #[test]
    fn objects_side_by_side_are_told_from_an_object_with_something_behind_it() {
        let split = |text: &'static str| {
            concatenated(text.as_bytes()).map(|pieces| {
                pieces.into_iter().map(|one| std::str::from_utf8(one).unwrap()).collect::<Vec<_>>()
            })
        };
        assert_eq!(split(r#"{"a":"}{"} {"b":{}}"#).unwrap(), [r#"{"a":"}{"}"#, r#"{"b":{}}"#]);
        assert_eq!(split(r#"{"a":1}{"b":"\"}"#).unwrap(), [r#"{"a":1}"#, r#"{"b":"\"}"#]);
        assert_eq!(split(r#"{"a":1}{}garbage"#).unwrap(), [r#"{"a":1}"#, "{}", "garbage"]);
        for whole in [r#"{"a":1},"#, r#"{"a":1} tail"#, "[1]{}", "", r#"{"a":1"#, r#"{"a":1}"#] {
            assert_eq!(split(whole), None, "{whole}");
        }
    }
}
