//! Which channel a session or one of its minutes belongs to, where records disagree.
//!
//! Who says it counts first, then the name: the smallest of those that are said by the same. That is
//! the largest element of an order, so it is the same for every split and order of the records. One
//! player that is set up wrongly cannot move a session that IVS or a backend speaks of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who says that something belongs to a channel; a later one outweighs all before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum SaidBy {
    /// Nobody: a chat room stands in for the channel.
    #[default]
    Guess,
    /// A player.
    Player,
    /// The application's backend, or whoever forwards a chat log and names a channel.
    Backend,
    /// Amazon IVS.
    Ivs,
}

impl SaidBy {
    /// Every one, in order.
    pub const ALL: [Self; 4] = [Self::Guess, Self::Player, Self::Backend, Self::Ivs];

    /// Returns the word for it in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guess => "guess",
            Self::Player => "player",
            Self::Backend => "backend",
            Self::Ivs => "ivs",
        }
    }

    /// Returns the one with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Returns whether `channel_id`, said by `by`, outweighs `held`, said by `self`. An empty name
    /// says nothing.
    #[inline]
    #[must_use]
    pub fn yields_to(self, held: &str, channel_id: &str, by: Self) -> bool {
        !channel_id.is_empty()
            && (held.is_empty() || by > self || (by == self && channel_id < held))
    }

    /// Takes note of a statement about the channel: `held`, said by `self`, is replaced by what
    /// outweighs it.
    pub fn note(&mut self, held: &mut Arc<str>, channel_id: &Arc<str>, by: Self) {
        if self.yields_to(held, channel_id, by) {
            (*held, *self) = (Arc::clone(channel_id), by);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_says_it_counts_before_the_name() {
        let mut held = (Arc::<str>::default(), SaidBy::default());
        let mut after = |channel: &str, by| {
            held.1.note(&mut held.0, &Arc::from(channel), by);
            held.0.to_string()
        };
        assert_eq!(after("room", SaidBy::Guess), "room");
        assert_eq!(after("wrong", SaidBy::Player), "wrong", "a player rather than nobody");
        assert_eq!(after("a-player", SaidBy::Player), "a-player", "the smallest of two players");
        assert_eq!(after("", SaidBy::Ivs), "a-player", "no name is none");
        assert_eq!(after("z-backend", SaidBy::Backend), "z-backend");
        assert_eq!(after("z-ivs", SaidBy::Ivs), "z-ivs");
        assert_eq!(after("a", SaidBy::Backend), "z-ivs");
    }

    #[test]
    fn words_come_back() {
        for one in SaidBy::ALL {
            assert_eq!(SaidBy::of_word(one.as_str()), Some(one));
        }
        assert_eq!(SaidBy::of_word("nobody"), None);
    }

    proptest! {
        #[test]
        fn any_split_and_order_has_one_outcome(
            statements in prop::collection::vec(("[a-c]{0,2}", 0_usize..4), 0..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let of = |statements: &[(String, usize)]| {
                let mut held = (Arc::<str>::default(), SaidBy::default());
                for (channel, by) in statements {
                    held.1.note(&mut held.0, &Arc::from(channel.as_str()), SaidBy::ALL[*by]);
                }
                held
            };
            let whole = of(&statements);
            let (left, right) = statements.split_at(cut.index(statements.len() + 1));
            for (mut one, other) in [(of(left), of(right)), (of(right), of(left))] {
                one.1.note(&mut one.0, &other.0, other.1);
                prop_assert_eq!(&one, &whole);
            }
        }
    }
}
