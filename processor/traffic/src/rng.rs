//! splitmix64: small, fast, and the same on every machine.

/// A seeded source of numbers. Integers only, so that no `libm` decides over bytes.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x1F5_C0DE))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in `0..n`, and 0 if `n` is 0: the high half of a 128-bit product.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next().carrying_mul(n, 0).1
    }

    /// Uniform in `low..=high`, milliseconds.
    pub(super) fn between_ms(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high.abs_diff(low) + 1).cast_signed()
    }

    /// Returns `true` for `ppm` of a million calls.
    pub(super) fn chance_ppm(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// Returns `true` for `percent` of a hundred calls.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of `choices`, which may not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = self.below(choices.len() as u64);
        choices[usize::try_from(at).expect("an index of a slice fits usize")]
    }

    /// `len` random characters of an IVS id.
    pub(super) fn id(&mut self, len: usize) -> String {
        const ALPHABET: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..len).map(|_| char::from(self.pick(ALPHABET))).collect()
    }
}

/// Returns the output function of splitmix64; also a hash of small numbers.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn below_covers_its_range_evenly() {
        let mut rng = Rng::new(7);
        let mut hits = [0_u32; 10];
        for _ in 0..100_000 {
            hits[usize::try_from(rng.below(10)).unwrap()] += 1;
        }
        assert!(hits.iter().all(|n| (9_500..10_500).contains(n)), "{hits:?}");
        assert_eq!(rng.below(0), 0);
    }
}
