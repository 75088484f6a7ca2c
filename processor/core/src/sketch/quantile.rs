//! Quantiles of whole milliseconds: exact while few distinct values, then in bins.
//!
//! The state is a function of the multiset of values. Values are kept whole while at most
//! [`MAX_BINS`] are distinct; beyond that each value keeps only its leading significant bits, as
//! many as leave at most [`MAX_BINS`] distinct. Cutting bits off nests (a value cut to 9 bits and
//! then to 8 is the value cut to 8), so adding and merging in any order end in the same bins.
//!
//! Error: none while exact. Beyond, a quantile is the middle of the bin that holds it, so its rank
//! is off by at most that bin's share of the values; with 512 bins where the values are, below
//! 1 % for latencies as players report them (a test holds it to that).

use super::Sketch;
use crate::fixed::Fixed;
use crate::merge::Merge;

mod tdigest;

/// Most bins: they keep the rank error well below 2 %, and a t-digest with k = 256, which readers
/// allocate 522 centroids for, holds them as they are.
pub const MAX_BINS: usize = 512;
/// Significant bits of a value while nothing is cut.
const VALUE_BITS: u8 = 32;

/// A multiset of milliseconds that can be asked for quantiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Strictly ascending by `start`, at most [`MAX_BINS`], no count is 0.
    bins: Vec<Bin>,
    /// Every value keeps its leading `32 - cut` significant bits.
    cut: u8,
    /// Smallest and largest value, exact; 0 if there is none.
    min_ms: u32,
    max_ms: u32,
}

/// Values that agree in their leading significant bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bin {
    /// The smallest value that belongs here.
    start: u32,
    /// How many do.
    count: u64,
}

/// The largest value, 49 days. Decode refuses what is beyond it.
pub const MAX_MS: u32 = u32::MAX;

/// Returns a duration as the sketch keeps it: whole milliseconds, halves up. Negative ones count as
/// 0 and those above [`MAX_MS`] as that.
#[must_use]
#[inline]
pub fn whole_ms(value: Fixed) -> u32 {
    let ms = value.round().max(0);
    u32::try_from(ms).unwrap_or(MAX_MS)
}

/// Returns how many trailing bits a value loses to `cut`.
fn lost_bits(value: u32, cut: u8) -> u32 {
    let significant = u32::BITS - value.leading_zeros();
    significant.saturating_sub(u32::from(VALUE_BITS - cut))
}

/// Returns the start of the bin of `value`.
fn bin_start(value: u32, cut: u8) -> u32 {
    let lost = lost_bits(value, cut);
    value >> lost << lost
}

impl Quantiles {
    fn widen(&mut self, min_ms: u32, max_ms: u32) {
        let empty = self.is_empty();
        self.min_ms = if empty { min_ms } else { self.min_ms.min(min_ms) };
        self.max_ms = self.max_ms.max(max_ms);
    }

    /// Adds bins of this cut or finer, then cuts as far as needed.
    fn add(&mut self, bins: impl Iterator<Item = Bin>) {
        let cut = self.cut;
        self.bins.extend(bins.map(|bin| Bin { start: bin_start(bin.start, cut), ..bin }));
        // The stable sort merges runs that are sorted already, as ours and the added ones.
        self.bins.sort_by_key(|bin| bin.start);
        self.unite_equal();
        if self.bins.len() > MAX_BINS {
            // Nothing changes before the cut reaches the bits of the largest value.
            let idle = self.max_ms.leading_zeros().to_le_bytes()[0];
            self.cut = self.cut.max(idle);
        }
        // Ends by a cut of 27: five significant bits make at most 464 bins.
        while self.bins.len() > MAX_BINS {
            self.cut_to(self.cut + 1);
        }
    }

    fn cut_to(&mut self, cut: u8) {
        self.cut = cut;
        for bin in &mut self.bins {
            bin.start = bin_start(bin.start, cut);
        }
        self.unite_equal();
    }

    fn unite_equal(&mut self) {
        self.bins.dedup_by(|next, kept| {
            let equal = next.start == kept.start;
            if equal {
                kept.count = kept.count.saturating_add(next.count);
            }
            equal
        });
    }

    /// Returns whether no value was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// Returns how many values were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(0, |sum, bin| sum.saturating_add(bin.count))
    }

    /// Returns the smallest value in milliseconds, exact.
    #[must_use]
    pub fn min_ms(&self) -> Option<u32> {
        (!self.is_empty()).then_some(self.min_ms)
    }

    /// Returns the largest value in milliseconds, exact.
    #[must_use]
    pub fn max_ms(&self) -> Option<u32> {
        (!self.is_empty()).then_some(self.max_ms)
    }

    /// Returns the value at rank `floor(p × (n - 1))` of the `n` sorted values; `None` of none.
    ///
    /// `p` from 0 to 1; what is outside counts as the nearer end.
    #[must_use]
    pub fn quantile_ms(&self, p: f64) -> Option<u32> {
        let last = self.count().checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "floor of a number between 0 and `last`"
        )]
        let rank = (p.clamp(0.0, 1.0) * last as f64) as u64;
        let mut below = 0_u64;
        for bin in &self.bins {
            below = below.saturating_add(bin.count);
            if below > rank {
                return Some(self.middle(bin));
            }
        }
        self.max_ms()
    }

    /// Returns what stands for the values of each bin, ascending, and how many there are.
    pub fn values(&self) -> impl Iterator<Item = (u32, u64)> {
        self.bins.iter().map(|bin| (self.middle(bin), bin.count))
    }

    /// Returns what stands for a bin's values: its middle, within the exact ends.
    fn middle(&self, bin: &Bin) -> u32 {
        let half_width = (1 << lost_bits(bin.start, self.cut)) >> 1;
        (bin.start + half_width).clamp(self.min_ms, self.max_ms)
    }
}

impl Sketch for Quantiles {
    /// Milliseconds.
    type Value = u32;

    fn insert_all(&mut self, batch: &mut Vec<u32>) {
        batch.sort_unstable();
        if let (Some(&min), Some(&max)) = (batch.first(), batch.last()) {
            self.widen(min, max);
            self.add(batch.drain(..).map(|start| Bin { start, count: 1 }));
        }
    }

    fn heap_bytes(&self) -> usize {
        self.bins.capacity() * size_of::<Bin>()
    }
}

impl Merge for Quantiles {
    fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.widen(other.min_ms, other.max_ms);
        if other.cut > self.cut {
            self.cut_to(other.cut);
        }
        self.add(other.bins.iter().copied());
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are floors of small positive numbers"
)]
mod tests;
