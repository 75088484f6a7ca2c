//! How many distinct values: exact while few, HyperLogLog when many.
//!
//! The state is a function of the set of values: its *coupons* (32-bit hashes) sorted while there
//! are at most [`MAX_COUPONS`], else the HyperLogLog registers. Adding and merging in any order
//! therefore give equal states and equal bytes.
//!
//! Error: up to 3,072 values the count misses only values that share a 26-bit slot and a rank
//! (0.02 expected at 3,072). Above, the standard error is 1.04/√32768 = 0.57 %, so that 3 %
//! is more than five standard errors away.

use super::{Sketch, murmur};
use crate::merge::Merge;

/// Base-2 logarithm of the number of registers; see the error above for the choice.
pub(super) const LG_REGISTERS: u8 = 15;
/// Registers of a large sketch, one byte each in memory and half a byte when written.
pub(super) const REGISTERS: usize = 1 << LG_REGISTERS;
/// Most coupons kept as such: DataSketches turns a set into registers beyond three quarters of
/// 2^(lgK - 3) slots, and its readers accept no larger set. At 4 bytes each they also stay below
/// the 16 KB of the registers.
pub const MAX_COUPONS: usize = (REGISTERS / 8) * 3 / 4;
/// Bits of a coupon that name the slot; the other six hold the value.
const SLOT_BITS: u32 = 26;
/// Largest register value: coupons cap the leading zeros at 62.
pub(super) const MAX_VALUE: u8 = 63;

/// The hash of a value as HyperLogLog needs it: 26 bits of slot, 6 bits of rank (1 to 63).
///
/// Equal to what `update(string)` of DataSketches computes, so that sketches unite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coupon(pub(super) u32);

impl Coupon {
    /// Hashes the UTF-8 bytes of `text`.
    #[must_use]
    #[inline]
    pub fn of(text: &str) -> Self {
        let (slot, rank) = murmur::hash128(text.as_bytes());
        let value = rank.leading_zeros().min(u32::from(MAX_VALUE) - 1) + 1;
        #[expect(clippy::cast_possible_truncation, reason = "the low 26 bits are wanted")]
        let slot = slot as u32 & ((1 << SLOT_BITS) - 1);
        Self(value << SLOT_BITS | slot)
    }

    /// Returns a coupon for a register, as DataSketches writes exceptional registers.
    pub(super) fn of_register(slot: u32, value: u8) -> Self {
        Self(u32::from(value) << SLOT_BITS | slot)
    }

    /// Returns the register it falls into.
    pub(super) fn register(self) -> usize {
        self.0 as usize % REGISTERS
    }

    /// Returns its rank, 1 to 63.
    pub(super) fn value(self) -> u8 {
        (self.0 >> SLOT_BITS).to_le_bytes()[0]
    }
}

/// A set of values whose size can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distinct(pub(super) State);

/// See the module: the variant is a function of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// At most [`MAX_COUPONS`], strictly ascending.
    Coupons(Vec<Coupon>),
    /// The largest value seen in each of [`REGISTERS`] registers.
    Registers(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self(State::Coupons(Vec::new()))
    }
}

impl Distinct {
    fn add(&mut self, new: &[Coupon]) {
        match &mut self.0 {
            State::Registers(registers) => raise(registers, new),
            State::Coupons(coupons) => {
                coupons.extend_from_slice(new);
                // The stable sort merges runs that are sorted already, as ours and a merged one's.
                coupons.sort();
                coupons.dedup();
                if coupons.len() > MAX_COUPONS {
                    let mut registers = vec![0; REGISTERS];
                    raise(&mut registers, coupons);
                    self.0 = State::Registers(registers);
                }
            }
        }
    }

    /// Returns whether no value was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, State::Coupons(coupons) if coupons.is_empty())
    }

    /// Returns how many distinct values were added; see the module for the error.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        match &self.0 {
            State::Coupons(coupons) => coupons.len() as u64,
            State::Registers(registers) => estimate(registers),
        }
    }
}

impl Sketch for Distinct {
    type Value = Coupon;

    fn insert_all(&mut self, batch: &mut Vec<Coupon>) {
        self.add(batch);
        batch.clear();
    }

    fn heap_bytes(&self) -> usize {
        match &self.0 {
            State::Coupons(coupons) => coupons.capacity() * size_of::<Coupon>(),
            State::Registers(registers) => registers.capacity(),
        }
    }
}

impl Merge for Distinct {
    fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, State::Coupons(theirs)) => self.add(theirs),
            (State::Coupons(mine), State::Registers(theirs)) => {
                let mut registers = theirs.clone();
                raise(&mut registers, mine);
                self.0 = State::Registers(registers);
            }
            (State::Registers(mine), State::Registers(theirs)) => {
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    *mine = (*mine).max(*theirs);
                }
            }
        }
    }
}

fn raise(registers: &mut [u8], coupons: &[Coupon]) {
    for coupon in coupons {
        let register = &mut registers[coupon.register()];
        *register = coupon.value().max(*register);
    }
}

/// Returns the improved raw estimator of O. Ertl, "New cardinality estimation algorithms for
/// HyperLogLog sketches" (2017), algorithm 6: unbiased over the whole range without tables of
/// corrections.
fn estimate(registers: &[u8]) -> u64 {
    let mut histogram = [0_u32; MAX_VALUE as usize + 1];
    for &value in registers {
        histogram[usize::from(value)] += 1;
    }
    let m = REGISTERS as f64;
    let share = |value: u8| f64::from(histogram[usize::from(value)]) / m;
    let mut z = m * tau(1.0 - share(MAX_VALUE));
    for value in (1..MAX_VALUE).rev() {
        z = 0.5 * (z + share(value) * m);
    }
    z += m * sigma(share(0));
    let count = m * m / (2.0 * std::f64::consts::LN_2 * z);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and saturation is what an overfull sketch should report"
    )]
    let count = count.round() as u64;
    count
}

/// `x + Σ x^(2^k) 2^(k-1)`: the share of registers still empty. Diverges only at 1, and converges
/// in at most some sixty rounds below.
fn sigma(mut x: f64) -> f64 {
    let (mut sum, mut weight) = (x, 1.0);
    loop {
        x *= x;
        let next = sum + x * weight;
        if next == sum || !next.is_finite() {
            return next;
        }
        sum = next;
        weight += weight;
    }
}

/// `(1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3`: the share of registers at their cap.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut weight) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        weight *= 0.5;
        let next = sum - (1.0 - x) * (1.0 - x) * weight;
        if next == sum {
            return sum / 3.0;
        }
        sum = next;
    }
}

#[cfg(test)]
mod tests;
