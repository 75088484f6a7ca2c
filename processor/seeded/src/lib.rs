//! Chance that can be told again: numbers that follow from a seed, the same on every machine.
//!
//! For generated traffic, faults on purpose and tests. Nothing here is a secret, and what a worker
//! decides never depends on it.
//!
//! ```
//! use seeded::Rng;
//!
//! let (mut once, mut again) = (Rng::new(7), Rng::new(7));
//! assert_eq!(once.next_u64(), again.next_u64());
//! assert!(once.below(6) < 6);
//! ```

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough. Integers only, apart from
/// [`Rng::unit`], so that no mathematics library decides over bytes.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Returns the numbers of one seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number in `0..n`, and 0 if `n` is 0: the high half of a 128-bit product, so that
    /// each is as likely as the others.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64().carrying_mul(n, 0).1
    }

    /// Returns an index into something of `len` elements, which is not empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index fits")
    }

    /// Returns a number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high.abs_diff(low) + 1).cast_signed()
    }

    /// Returns a number in 0..1.
    pub fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).expect("a shift by 32 leaves 32 bits");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns `true` in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns `true` in `ppm` of a million cases.
    pub fn chance_ppm(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// Returns one of `choices`, which are not empty.
    ///
    /// ```
    /// let color = seeded::Rng::new(1).pick(&["red", "green"]);
    /// assert!(["red", "green"].contains(&color));
    /// ```
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

/// Spreads the bits of a number: the last step of SplitMix64, and a hash of small numbers.
#[must_use]
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn numbers_are_those_of_the_paper() {
        // The first three of seed 1234567, as the reference program prints them.
        let mut rng = Rng::new(1_234_567);
        let numbers = [(); 3].map(|()| rng.next_u64());
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, expected);
    }

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
