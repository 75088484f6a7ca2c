//! Values that merge idempotently: seeing a fact again changes nothing.
//!
//! Lifecycle events are delivered at least once, out of order, and replayed; a summary made of
//! these values is the same for every order, repetition and split of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::merge::Merge;
use kinesis_model::EpochMs;

/// The earliest statement of something; of several at that time, the smallest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct First<T>(pub Option<(EpochMs, T)>);

/// The latest statement of something; of several at that time, the largest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest<T>(pub Option<(EpochMs, T)>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Ord> First<T> {
    /// Takes note of a statement.
    pub fn note(&mut self, time: EpochMs, value: T) {
        let new = (time, value);
        if self.0.as_ref().is_none_or(|seen| new < *seen) {
            self.0 = Some(new);
        }
    }
}

impl<T: Ord> Latest<T> {
    /// Takes note of a statement.
    pub fn note(&mut self, time: EpochMs, value: T) {
        let new = (time, value);
        if self.0.as_ref().is_none_or(|seen| new > *seen) {
            self.0 = Some(new);
        }
    }
}

impl<T> First<T> {
    /// Returns when it was stated.
    #[must_use]
    pub fn time(&self) -> Option<EpochMs> {
        self.0.as_ref().map(|(time, _)| *time)
    }

    /// Returns what was stated.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, value)| value)
    }
}

impl<T> Latest<T> {
    /// Returns when it was stated.
    #[must_use]
    pub fn time(&self) -> Option<EpochMs> {
        self.0.as_ref().map(|(time, _)| *time)
    }

    /// Returns what was stated.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, value)| value)
    }
}

impl<T: Ord + Clone> Merge for First<T> {
    fn merge(&mut self, other: &Self) {
        if let Some((time, value)) = &other.0 {
            self.note(*time, value.clone());
        }
    }
}

impl<T: Ord + Clone> Merge for Latest<T> {
    fn merge(&mut self, other: &Self) {
        if let Some((time, value)) = &other.0 {
            self.note(*time, value.clone());
        }
    }
}

/// A set that keeps its `N` smallest members, and whether there were more.
///
/// Members begin with their time, so what goes beyond the bound is the latest. Which members stay
/// is a function of all members ever added: order, repetition and split do not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored<T>", bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct Bounded<T, const N: usize> {
    members: BTreeSet<T>,
    truncated: bool,
}

/// A set as it was stored, perhaps under another bound.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Ord + Deserialize<'de>"))]
struct Stored<T> {
    members: BTreeSet<T>,
    truncated: bool,
}

impl<T: Ord, const N: usize> From<Stored<T>> for Bounded<T, N> {
    fn from(stored: Stored<T>) -> Self {
        Self::restore(stored.members, stored.truncated)
    }
}

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self { members: BTreeSet::new(), truncated: false }
    }
}

impl<T: Ord, const N: usize> Bounded<T, N> {
    /// Reads a stored set; members beyond the bound are dropped and noted.
    #[must_use]
    pub fn restore(members: impl IntoIterator<Item = T>, truncated: bool) -> Self {
        let mut set = Self { members: BTreeSet::new(), truncated };
        for member in members {
            set.insert(member);
        }
        set
    }

    /// Adds a member, unless it lies beyond the bound.
    pub fn insert(&mut self, member: T) {
        self.members.insert(member);
        if self.members.len() > N {
            self.members.pop_last();
            self.truncated = true;
        }
    }
}

impl<T, const N: usize> Bounded<T, N> {
    /// Returns the members, smallest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.members.iter()
    }

    /// Returns how many members are kept, at most `N`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether nothing was ever added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns whether there were more than `N` members: every figure derived from the set is a
    /// lower bound then.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

impl<T: Ord + Clone, const N: usize> Merge for Bounded<T, N> {
    fn merge(&mut self, other: &Self) {
        for member in &other.members {
            self.insert(member.clone());
        }
        self.truncated |= other.truncated;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Few = Bounded<i64, 4>;

    fn set(members: &[i64]) -> Few {
        Few::restore(members.iter().copied(), false)
    }

    #[test]
    fn ties_have_one_outcome() {
        let (mut first, mut latest) = (First::default(), Latest::default());
        for value in ["b", "a", "c"] {
            first.note(EpochMs(5), value);
            latest.note(EpochMs(5), value);
        }
        first.note(EpochMs(6), "0");
        latest.note(EpochMs(4), "z");
        assert_eq!((first.value(), latest.value()), (Some(&"a"), Some(&"c")));
    }

    #[test]
    fn a_full_set_that_meets_a_member_again_is_not_truncated() {
        let mut full = set(&[1, 2, 3, 4]);
        full.insert(4);
        assert!(!full.is_truncated());
        full.insert(5);
        assert!(full.is_truncated());
        assert_eq!(full, Few::restore([1, 2, 3, 4], true));
    }

    proptest! {
        #[test]
        fn bounded_sets_are_a_function_of_all_their_members(
            members in prop::collection::vec(0_i64..9, 0..12),
            again in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let (left, right) = members.split_at(cut.index(members.len() + 1));
            let repeated: Vec<i64> = again.iter().filter(|_| !members.is_empty())
                .map(|index| *index.get(&members)).chain(right.iter().copied()).collect();
            let (mut ab, mut ba) = (set(left), set(&repeated));
            ab.merge(&set(&repeated));
            ba.merge(&set(left));
            prop_assert_eq!(&ab, &set(&members));
            prop_assert_eq!(&ba, &ab);
            let distinct: BTreeSet<i64> = members.iter().copied().collect();
            prop_assert_eq!(ab.is_truncated(), distinct.len() > 4);
        }
    }
}
