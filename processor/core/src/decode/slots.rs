//! Tables of the members a kind reads.

/// Declares a struct of [`Value`](super::json::Value) slots and its `read`.
///
/// `read(text)` walks one JSON object: a known member fills its slot (the last one wins), others
/// are skipped, absent ones stay `Null`. The whole text is checked as JSON.
macro_rules! slots {
    ($(#[$meta:meta])* $name:ident { $($slot:ident: $($key:literal)|+),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct $name<'a> {
            $(pub(super) $slot: $crate::decode::json::Value<'a>,)+
        }

        impl<'a> $name<'a> {
            #[inline(always)]
            pub(super) fn read(text: &'a str) -> Result<Self, $crate::decode::json::Fault> {
                let mut slots = Self::default();
                $crate::decode::json::object(text, |tag, name, value| {
                    $($(
                        if tag == const { $crate::decode::json::tag_of($key.as_bytes()) }
                            && name == $key
                        {
                            slots.$slot = value;
                            return;
                        }
                    )+)+
                })?;
                Ok(slots)
            }
        }
    };
}

pub(super) use slots;
