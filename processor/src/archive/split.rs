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
    /// Inside a line of which the beginning was handed out as no record.
    skipping: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        let buffer = vec![0; READ_BYTES];
        Self { buffer, at: 0, filled: 0, scanned: 0, offset: 0, ended: false, skipping: false }
    }
}

impl Splitter {
    /// The next stretch without its last line's end, and where it begins in the text; `None` at the end.
    ///
    /// # Errors
    /// When reading or decompressing fails; what came before was handed out, whole lines only.
    pub(crate) fn next(&mut self, source: &mut impl Read) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let start = self.at;
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.filled]) {
                let line_end = self.scanned + found;
                if std::mem::take(&mut self.skipping) {
                    self.turn_to(line_end + 1);
                    continue;
                }
                let (text, line) = (&self.buffer[start..self.filled], line_end - start);
                let is_all = self.ended || text.len() >= MAX_STRETCH_BYTES;
                if let Some(bytes) = record_end(text, line, is_all) {
                    self.turn_to((start + bytes + 1).min(self.filled));
                    return Ok(Some(self.piece(start, start + bytes)));
                }
                self.scanned = line_end;
                self.fill(source)?;
                continue;
            }
            self.scanned = self.filled;
            if self.ended {
                self.turn_to(self.filled);
                let rest = start < self.filled && !std::mem::take(&mut self.skipping);
                return Ok(rest.then(|| self.piece(start, self.filled)));
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
            self.fill(source)?;
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

/// The end of the last whole object of a run of objects; `None` if not even the first is whole.
fn objects_end(text: &[u8]) -> Option<usize> {
    let mut end = None;
    loop {
        let from = end.unwrap_or(0);
        let blank = text[from..].len() - text[from..].trim_ascii_start().len();
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

    #[test]
    fn a_printed_text_is_one_stretch_and_a_cut_line_is_not_continued() {
        let text = concat!(
            "\u{feff}{\n  \"a\": [1,\r\n 2]\n}{ \"b\":\n{} }\n\n{\"cut\":\n{\"c\":1}\n",
            "{\"d\": \"\u{e9}\\u00e9\"\n}\n[\n]\n  {\n \"e\":true\n}  \nlast"
        );
        let want = [
            "\u{feff}{\n  \"a\": [1,\r\n 2]\n}{ \"b\":\n{} }",
            "",
            "{\"cut\":",
            "{\"c\":1}",
            "{\"d\": \"\u{e9}\\u00e9\"\n}",
            "[\n]",
            "  {\n \"e\":true\n}  ",
            "last",
        ];
        for step in [1, 2, 3, 5, 100] {
            let found = lines(text.as_bytes(), step);
            let texts: Vec<_> =
                found.iter().map(|(_, one)| std::str::from_utf8(one).unwrap()).collect();
            assert_eq!(texts, want, "{step} bytes at a time");
            for (at, one) in &found {
                assert!(text.as_bytes()[*at as usize..].starts_with(one));
            }
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
