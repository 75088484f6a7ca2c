//! Lines of NDJSON files: plain, gzip or zstd, told apart by their first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Read in pieces that stay in the L2 cache.
const BUFFER_BYTES: usize = 256 << 10;

/// Opens a file for reading line by line.
///
/// # Errors
/// When it cannot be opened, or its first bytes cannot be read.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let start = file.fill_buf()?;
    let decoded: Box<dyn Read + Send> = if start.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(file))
    } else if start.starts_with(ZSTD) {
        Box::new(zstd::Decoder::with_buffer(file)?)
    } else {
        return Ok(Box::new(file));
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoded)))
}

/// The next line without its line end; `None` at the end of the file. `\n` ends a line and is the
/// only thing that does: a line may be cut short or hold anything.
///
/// # Errors
/// When reading or decompressing fails.
pub fn next_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<()>> {
    line.clear();
    if reader.read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = open(&path).unwrap();
        let (mut all, mut line) = (vec![], vec![]);
        while next_line(&mut *reader, &mut line).unwrap().is_some() {
            all.push(line.clone());
        }
        all
    }

    #[test]
    fn plain_gzip_and_zstd_give_the_same_lines_concatenated_members_too() {
        let text = b"a\n{\"b\": 1}\n\nlast without an end";
        let want = lines(text);
        assert_eq!(want.len(), 4);
        let mut gzip = vec![];
        for half in [&text[..5], &text[5..]] {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(half).unwrap();
            gzip.extend(encoder.finish().unwrap());
        }
        assert_eq!(lines(&gzip), want);
        assert_eq!(lines(&zstd::encode_all(&text[..], 3).unwrap()), want);
    }

    #[test]
    fn an_empty_file_has_no_lines() {
        assert!(lines(b"").is_empty());
    }
}
