//! Slices under construction: by slot, so that a record costs no text.

use super::{Breakdown, Dimension, Dimensions, Slice};
use crate::decode::{PlayerSample, ViewEvent};

/// The slots in which a record is counted.
pub(crate) type Slots = [Option<u16>; Dimension::COUNT];

/// The slices of a window that is being folded, ascending by slot.
#[derive(Debug, Default)]
pub(crate) struct SliceSlots(Vec<(u16, Slice)>);

impl SliceSlots {
    /// Returns where a record is to be counted.
    #[inline]
    pub(crate) fn of(dimensions: &Dimensions, event: &PlayerSample<'_>) -> Slots {
        let mut slots = [None; Dimension::COUNT];
        for (dimension, slot) in Dimension::ALL.into_iter().zip(&mut slots) {
            if let Some(value) = &event.labels[dimension as usize] {
                *slot = dimensions.slot(dimension, value);
            }
        }
        slots
    }

    /// Counts a record; returns by how many bytes it grew.
    pub(crate) fn add(&mut self, slots: &Slots, event: &PlayerSample<'_>) -> usize {
        if slots.iter().all(Option::is_none) {
            return 0;
        }
        let before = self.0.capacity();
        let added = slice(event);
        for slot in slots.iter().flatten() {
            let at = match self.0.binary_search_by_key(slot, |(slot, _)| *slot) {
                Ok(at) => at,
                Err(at) => {
                    self.0.insert(at, (*slot, Slice::default()));
                    at
                }
            };
            crate::merge::Merge::merge(&mut self.0[at].1, &added);
        }
        (self.0.capacity() - before) * size_of::<(u16, Slice)>()
    }

    /// Returns the slices by name.
    pub(crate) fn named(&self, dimensions: &Dimensions) -> Breakdown {
        let named = |(slot, slice): &(u16, Slice)| Some((dimensions.value(*slot)?.clone(), *slice));
        self.0.iter().filter_map(named).collect()
    }
}

/// Returns what one record adds.
fn slice(event: &PlayerSample<'_>) -> Slice {
    let mut slice = Slice { records: 1, ..Slice::default() };
    if let Some(event) = event.view_event {
        slice.attempts = u64::from(event == ViewEvent::Attempt);
        slice.starts = u64::from(event == ViewEvent::Start);
        let fails = [ViewEvent::StartFailureTechnical, ViewEvent::PlaybackFailure];
        slice.failures = u64::from(fails.contains(&event));
    }
    if event.playing_ms.is_some() {
        Slice::add_some(&mut slice.playing_ms, event.playing_ms);
        Slice::add_some(&mut slice.stalled_ms, event.buffering_ms);
    }
    Slice::add_some(&mut slice.stalls, event.rebuffer_count);
    slice
}
