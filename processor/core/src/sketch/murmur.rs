//! MurmurHash3 x64 128, as DataSketches hashes what its sketches are updated with.
//!
//! Written from the public-domain reference, `smhasher` `MurmurHash3.cpp`.

/// `ThetaUtil.DEFAULT_UPDATE_SEED` of DataSketches: sketches unite only under one seed.
const SEED: u64 = 9001;
const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// Returns the two halves of the hash of `bytes`.
#[inline]
pub(super) fn hash128(bytes: &[u8]) -> (u64, u64) {
    let (mut h1, mut h2) = (SEED, SEED);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = halves(block);
        h1 ^= mix1(k1);
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(k2);
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // Absent tail bytes count as zero, and zero mixes to zero.
    let (k1, k2) = match tail.split_first_chunk() {
        Some((low, rest)) => (u64::from_le_bytes(*low), short(rest)),
        None => (short(tail), 0),
    };
    h1 ^= mix1(k1);
    h2 ^= mix2(k2);

    let length = bytes.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = avalanche(h1);
    h2 = avalanche(h2);
    h1 = h1.wrapping_add(h2);
    (h1, h2.wrapping_add(h1))
}

/// Returns the little-endian number that fewer than eight bytes spell. Words that overlap are read:
/// copied to a buffer of zeros first, the bytes would have to be waited for.
fn short(bytes: &[u8]) -> u64 {
    let bits = |count: usize| 8 * count;
    match (bytes.first_chunk(), bytes.last_chunk(), bytes) {
        (Some(low), Some(high), _) => {
            let high = u64::from(u32::from_le_bytes(*high));
            u64::from(u32::from_le_bytes(*low)) | high << bits(bytes.len() - 4)
        }
        (_, _, [first, .., last]) => {
            let middle = bytes.len() / 2;
            let rest = u64::from(bytes[middle]) << bits(middle);
            u64::from(*first) | rest | u64::from(*last) << bits(bytes.len() - 1)
        }
        (_, _, [only]) => u64::from(*only),
        _ => 0,
    }
}

/// Little-endian words of a block.
fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    #[expect(clippy::cast_possible_truncation, reason = "the low and the high half are wanted")]
    (both as u64, (both >> 64) as u64)
}

fn mix1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn avalanche(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}
