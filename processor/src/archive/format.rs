//! How a file's content is packed, told by its first bytes and never by its name.

/// So many bytes tell every format: a tar archive names itself at byte 257.
pub(super) const START_BYTES: usize = 262;

/// How content is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Text, or something that nobody knows.
    Plain,
    /// Members of gzip.
    Gzip,
    /// Zlib, with one of the first bytes that no text has.
    Zlib,
    /// Frames of Zstandard.
    Zstd,
    /// Something that is read by another program first.
    Foreign(Foreign),
}

/// A format that is not read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// Its name, with its article.
    pub(super) name: &'static str,
    /// The advice for whoever has such a file.
    pub(super) advice: &'static str,
}

const UNPACK: &str = "unpack it and name what it holds";
const DECOMPRESS: &str = "decompress it, or keep it as gzip or zstd";
const EXPORT: &str = "export its records as JSON lines";
const CONVERT: &str = "convert it to UTF-8";

/// First bytes of formats, and what to do about them.
const FOREIGN: [(&[u8], &str, &str); 21] = [
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", UNPACK),
    (b"PK\x07\x08", "a split ZIP archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"BZh", "a bzip2 file", DECOMPRESS),
    (b"\xfd7zXZ\x00", "an xz file", DECOMPRESS),
    (b"\x04\x22\x4d\x18", "an LZ4 file", DECOMPRESS),
    (b"\xff\x06\x00\x00sNaPpY", "a Snappy file", DECOMPRESS),
    (b"\x82SNAPPY\x00", "a Snappy file", DECOMPRESS),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"ORC\x00", "an ORC file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", EXPORT),
    (b"\x1f\x9d", "a file of compress", DECOMPRESS),
    (b"\xff\xfe\0\0", "UTF-32 text", CONVERT),
    (b"\0\0\xfe\xff", "UTF-32 text", CONVERT),
    (b"\xff\xfe", "UTF-16 text", CONVERT),
    (b"\xfe\xff", "UTF-16 text", CONVERT),
    // An object in UTF-16 without a mark at its beginning.
    (b"{\0", "UTF-16 text", CONVERT),
    (b"\0{", "UTF-16 text", CONVERT),
];
const TAR: (usize, &[u8]) = (257, b"ustar");
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How zlib data begin at the compression levels 1 to 9; `x^`, another one, may be text.
const ZLIB: [&[u8]; 3] = [b"x\x01", b"x\x9c", b"x\xda"];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The rest of a frame that a Zstandard decoder passes over, after a byte from 0x50 to 0x5f.
const SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// Returns the format of content that begins so; give it [`START_BYTES`] where there are as many.
pub(super) fn of(start: &[u8]) -> Format {
    let is_skippable = |start: &[u8]| {
        start.split_first().is_some_and(|(first, rest)| {
            (0x50..=0x5f).contains(first) && rest.starts_with(SKIPPABLE)
        })
    };
    if start.starts_with(GZIP) {
        return Format::Gzip;
    }
    if ZLIB.iter().any(|zlib| start.starts_with(zlib)) {
        return Format::Zlib;
    }
    if start.starts_with(ZSTD) || is_skippable(start) {
        return Format::Zstd;
    }
    if start.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        return Format::Foreign(Foreign { name: "a tar archive", advice: UNPACK });
    }
    let known = FOREIGN.iter().find(|(magic, ..)| start.starts_with(magic));
    known.map_or(Format::Plain, |&(_, name, advice)| Format::Foreign(Foreign { name, advice }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(start: &[u8]) -> &'static str {
        match of(start) {
            Format::Foreign(foreign) => foreign.name,
            Format::Plain => "plain",
            Format::Gzip => "gzip",
            Format::Zlib => "zlib",
            Format::Zstd => "zstd",
        }
    }

    #[test]
    fn content_tells_how_it_is_packed() {
        let mut tar = vec![b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (start, expected) in [
            (&b"{\"a\":1}"[..], "plain"),
            (b"", "plain"),
            (b"PRAGMA", "plain"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"\x5e\x2a\x4d\x18", "zstd"),
            (b"PK\x03\x04...", "a ZIP archive"),
            (b"PAR1\x15", "a Parquet file"),
            (b"BZh91AY", "a bzip2 file"),
            (b"\xff\xfe{\0", "UTF-16 text"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32 text"),
            (b"{\0\"\0", "UTF-16 text"),
            (b"\0{\0\"", "UTF-16 text"),
            (&tar, "a tar archive"),
        ] {
            assert_eq!(name(start), expected, "{start:?}");
        }
    }
}
