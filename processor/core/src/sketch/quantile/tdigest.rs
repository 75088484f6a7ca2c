//! The DataSketches t-digest binary, double precision.
//!
//! Fields and flags are those of `TDigestDouble` in Apache DataSketches, serial version 1; a test
//! reads every image with that library's Rust port. Little-endian. Each bin is a centroid at its
//! middle; k tells how many bits are cut, which the format has no field for.

use super::{Bin, MAX_BINS, Quantiles, bin_start};
use crate::sketch::SketchError;
use crate::sketch::wire::Reader;

const SERIAL_VERSION: u8 = 1;
const FAMILY_TDIGEST: u8 = 20;
const SINGLE_VALUE: u8 = 2;
/// 64-bit words before the values.
const SINGLE_WORDS: u8 = 1;
const MULTIPLE_WORDS: u8 = 2;
/// k of an exact sketch, the smallest power of two whose 2k + 10 centroids hold [`MAX_BINS`];
/// a sketch with `cut` bits has k = 256 + cut. Readers take k as a size only.
const K_EXACT: u16 = 256;
/// Largest cut that [`MAX_BINS`] can ask for.
const MAX_CUT: u8 = 27;
/// Up to half of k values, no reader unites two centroids, so values seen once may be written as
/// *buffered* values of 8 bytes instead of centroids of 16.
const MAX_BUFFERED: u64 = K_EXACT as u64 / 2;

impl Quantiles {
    /// Returns the DataSketches t-digest binary (doubles, milliseconds); `None` if empty.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        (!self.is_empty()).then(|| encode(self))
    }

    /// Reads what [`Self::to_bytes`] wrote, without loss.
    ///
    /// # Errors
    /// If the bytes are anything else, including t-digests of other writers: their centroids are
    /// means, from which no multiset can be told.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let sketch = decode(bytes)?;
        if encode(&sketch) == bytes {
            Ok(sketch)
        } else {
            Err(SketchError::Invalid("canonical form"))
        }
    }
}

fn encode(sketch: &Quantiles) -> Vec<u8> {
    let total = sketch.count();
    let k = (K_EXACT + u16::from(sketch.cut)).to_le_bytes();
    let (words, flags) = match total {
        1 => (SINGLE_WORDS, SINGLE_VALUE),
        _ => (MULTIPLE_WORDS, 0),
    };
    let mut bytes = Vec::with_capacity(32 + 16 * sketch.bins.len());
    bytes.extend([words, SERIAL_VERSION, FAMILY_TDIGEST, k[0], k[1], flags, 0, 0]);
    if total == 1 {
        bytes.extend(f64::from(sketch.min_ms).to_le_bytes());
        return bytes;
    }
    let buffer = |bin: &&Bin| total <= MAX_BUFFERED && bin.count == 1;
    let buffered = sketch.bins.iter().filter(buffer).count();
    for count in [sketch.bins.len() - buffered, buffered] {
        let count = u32::try_from(count).expect("at most 512 bins");
        bytes.extend(count.to_le_bytes());
    }
    for end in [sketch.min_ms, sketch.max_ms] {
        bytes.extend(f64::from(end).to_le_bytes());
    }
    for bin in sketch.bins.iter().filter(|bin| !buffer(bin)) {
        bytes.extend(f64::from(sketch.middle(bin)).to_le_bytes());
        bytes.extend(bin.count.to_le_bytes());
    }
    for bin in sketch.bins.iter().filter(buffer) {
        bytes.extend(f64::from(sketch.middle(bin)).to_le_bytes());
    }
    bytes
}

/// Reads an image. The caller checks canonical form by encoding again; here only what could make
/// that fail or allocate without bound is checked.
fn decode(bytes: &[u8]) -> Result<Quantiles, SketchError> {
    let mut reader = Reader::new(bytes);
    let [_, version, family, k0, k1, flags, _, _] = reader.take()?;
    if version != SERIAL_VERSION {
        return Err(SketchError::Unsupported("serial version"));
    }
    if family != FAMILY_TDIGEST {
        return Err(SketchError::Unsupported("family"));
    }
    let cut = u16::from_le_bytes([k0, k1]).checked_sub(K_EXACT).map(u8::try_from);
    let Some(Ok(cut @ 0..=MAX_CUT)) = cut else {
        return Err(SketchError::Unsupported("k"));
    };
    let sketch = if flags == SINGLE_VALUE {
        let value = whole(&mut reader)?;
        let bins = vec![Bin { start: bin_start(value, cut), count: 1 }];
        Quantiles { bins, cut, min_ms: value, max_ms: value }
    } else {
        multiple(&mut reader, cut)?
    };
    reader.end()?;
    Ok(sketch)
}

fn multiple(reader: &mut Reader<'_>, cut: u8) -> Result<Quantiles, SketchError> {
    let (centroids, buffered) = (reader.count()?, reader.count()?);
    if !(1..=MAX_BINS).contains(&centroids.saturating_add(buffered)) {
        return Err(SketchError::Invalid("number of centroids"));
    }
    let (min_ms, max_ms) = (whole(reader)?, whole(reader)?);
    let mut bins = Vec::with_capacity(centroids + buffered);
    for index in 0..centroids + buffered {
        let start = bin_start(whole(reader)?, cut);
        let count = if index < centroids { reader.u64()? } else { 1 };
        bins.push(Bin { start, count });
    }
    bins.sort_by_key(|bin| bin.start);
    if !bins.is_sorted_by(|a, b| a.start < b.start) || bins.iter().any(|bin| bin.count == 0) {
        return Err(SketchError::Invalid("centroids"));
    }
    let ends = [bins[0].start, bins[bins.len() - 1].start];
    if min_ms > max_ms || [min_ms, max_ms].map(|end| bin_start(end, cut)) != ends {
        return Err(SketchError::Invalid("ends"));
    }
    Ok(Quantiles { bins, cut, min_ms, max_ms })
}

/// Returns a double that is a whole number of milliseconds.
fn whole(reader: &mut Reader<'_>) -> Result<u32, SketchError> {
    let value = reader.take().map(f64::from_le_bytes)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and what it changed is refused"
    )]
    let whole = value as u32;
    if f64::from(whole) == value { Ok(whole) } else { Err(SketchError::Invalid("milliseconds")) }
}
