//! Which slot a member name fills: a perfect hash, found at compile time.

/// The first sixteen bytes of a name (then zeros) as one number, and its length in bytes: with
/// these alone most names are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    head: u128,
    len: usize,
}

impl Tag {
    /// Returns the tag of a name whose first bytes are those of `head`, the rest of which is
    /// ignored.
    #[inline(always)]
    pub(super) fn new(head: [u8; HEAD], len: usize) -> Self {
        Self { head: u128::from_le_bytes(head) & MASKS[len.min(HEAD)], len }
    }

    /// Returns the tag of a name.
    pub(super) const fn of(name: &[u8]) -> Self {
        let (mut head, mut at) = (0, if name.len() < HEAD { name.len() } else { HEAD });
        while at > 0 {
            at -= 1;
            head = head << 8 | name[at] as u128;
        }
        Self { head, len: name.len() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a hash mixes both halves of the head")]
    const fn bucket(self, multiplier: u64) -> usize {
        let mixed = self.head as u64 ^ ((self.head >> 64) as u64).rotate_left(29) ^ self.len as u64;
        (mixed.wrapping_mul(multiplier) >> BUCKET_SHIFT) as usize
    }
}

/// Bytes of a name in its tag.
pub(super) const HEAD: usize = 16;
/// `MASKS[n]` keeps the first `n` bytes of a head.
const MASKS: [u128; HEAD + 1] = {
    let (mut masks, mut n) = ([u128::MAX; HEAD + 1], 0);
    while n < HEAD {
        masks[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    masks
};
/// Several times as many as the largest kind has names: a multiplier without collisions is then
/// found within some hundreds of tries.
const BUCKETS: usize = 128;
const BUCKET_SHIFT: u32 = u64::BITS - BUCKETS.ilog2();
/// An empty bucket.
const NONE: u8 = u8::MAX;

/// The names that a kind of object may have and is read for.
pub(super) struct Keys<const N: usize> {
    names: [&'static str; N],
    tags: [Tag; N],
    multiplier: u64,
    /// Indices into `names`, or [`NONE`].
    buckets: [u8; BUCKETS],
}

impl<const N: usize> Keys<N> {
    /// Names without repetition, fewer than 100. Fails, at compile time, where no hash tells them
    /// apart.
    pub(super) const fn new(names: [&'static str; N]) -> Self {
        assert!(N < 100, "too many names for the buckets");
        let (mut tags, mut at) = ([Tag { head: 0, len: 0 }; N], 0);
        while at < N {
            tags[at] = Tag::of(names[at].as_bytes());
            at += 1;
        }
        // Odd numbers along the golden ratio's multiples.
        let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
        loop {
            if let Some(buckets) = spread(&tags, multiplier) {
                return Self { names, tags, multiplier, buckets };
            }
            multiplier = multiplier.wrapping_add(0x3c6e_f372_fe94_f82a);
        }
    }

    /// Returns the index of a name among those given.
    #[inline(always)]
    pub(super) fn find(&self, tag: Tag, name: &[u8]) -> Option<usize> {
        let index = usize::from(self.buckets[tag.bucket(self.multiplier)]);
        let known = self.tags.get(index)?;
        (*known == tag && (tag.len <= HEAD || self.names[index].as_bytes() == name))
            .then_some(index)
    }
}

/// Returns the buckets if every name has its own.
const fn spread<const N: usize>(tags: &[Tag; N], multiplier: u64) -> Option<[u8; BUCKETS]> {
    let (mut buckets, mut at) = ([NONE; BUCKETS], 0);
    while at < N {
        let bucket = tags[at].bucket(multiplier);
        if buckets[bucket] != NONE {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 100 names")]
        {
            buckets[bucket] = at as u8;
        }
        at += 1;
    }
    Some(buckets)
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Keys, Tag};

    const NAMES: [&str; 5] =
        ["", "a", "sixteen_bytes_nm", "seventeen_bytes_1", "seventeen_bytes_23"];

    #[test]
    fn every_name_is_found_and_no_other() {
        const KEYS: Keys<5> = Keys::new(NAMES);
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(KEYS.find(Tag::of(name.as_bytes()), name.as_bytes()), Some(index), "{name}");
        }
        for name in ["b", "aa", "\0", "sixteen_bytes_n", "sixteen_bytes_nmx", "seventeen_bytes_2"] {
            assert_eq!(KEYS.find(Tag::of(name.as_bytes()), name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn a_tag_ignores_what_follows_the_name() {
        for name in NAMES.map(str::as_bytes) {
            let mut head = [b'x'; HEAD];
            let shared = name.len().min(HEAD);
            head[..shared].copy_from_slice(&name[..shared]);
            assert_eq!(Tag::new(head, name.len()), Tag::of(name));
        }
    }
}
