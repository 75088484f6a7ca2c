//! Tables of the members a kind reads.

/// Declares a table of [`Value`](super::json::Value) slots, with a method for each.
///
/// `fill(text)` walks one JSON object: a known member fills its slot (the last one wins), others
/// are skipped, absent ones stay `Null`. The whole text is checked as JSON; `fill_first` stops at
/// the end of the object and returns where that is. It fills in place,
/// since a table is large and one is made for every record.
macro_rules! slots {
    ($(#[$meta:meta])* $name:ident { $($slot:ident: $($key:literal)|+),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(super) struct $name<'a>(
            [$crate::decode::json::Value<'a>; [$(stringify!($slot)),+].len()],
        );

        const _: () = {
            use $crate::decode::json::{Fault, Value, first_object, object};
            use $crate::decode::keys::{Keys, Tag};

            #[allow(non_camel_case_types, reason = "named as the slots are")]
            #[derive(Clone, Copy)]
            enum Slot { $($slot),+ }
            const NAMES: [&str; [$($($key),+),+].len()] = [$($($key),+),+];
            static KEYS: Keys<{ NAMES.len() }> = Keys::new(NAMES);
            /// The slot of each name.
            const SLOTS: [Slot; NAMES.len()] = [$($({ let _ = $key; Slot::$slot }),+),+];

            impl<'a> $name<'a> {
                pub(super) const EMPTY: Self = Self([Value::Null; [$(stringify!($slot)),+].len()]);

                pub(super) fn fill(&mut self, text: &'a str) -> Result<(), Fault> {
                    object(text, |tag, name, value| {
                        if let Some(slot) = Self::slot(tag, name) {
                            self.set(slot, value);
                        }
                    })
                }

                #[allow(dead_code, reason = "most kinds are read when their end is known")]
                pub(super) fn fill_first(&mut self, text: &'a str) -> Result<usize, Fault> {
                    first_object(text, |tag, name, value| {
                        if let Some(slot) = Self::slot(tag, name) {
                            self.set(slot, value);
                        }
                    })
                }

                /// Returns the slot of a name.
                #[inline(always)]
                pub(super) fn slot(tag: Tag, name: &[u8]) -> Option<u8> {
                    KEYS.find(tag, name).map(|index| SLOTS[index] as u8)
                }

                #[inline(always)]
                pub(super) fn set(&mut self, slot: u8, value: Value<'a>) {
                    if let Some(held) = self.0.get_mut(usize::from(slot)) {
                        *held = value;
                    }
                }

                $(
                    #[inline(always)]
                    pub(super) fn $slot(&self) -> Value<'a> {
                        self.0[Slot::$slot as usize]
                    }
                )+
            }
        };
    };
}

pub(super) use slots;
