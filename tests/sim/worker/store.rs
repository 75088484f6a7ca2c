//! The rejects and the archive of an epoch, and the promises that they keep.

use ivs_core::epoch::Objects;

use super::Holder;
use crate::world::World;

impl Holder {
    /// Stores the objects of a prepared epoch.
    pub(super) fn store(&mut self, objects: &Objects, world: &mut World) -> Result<(), String> {
        let epoch = (self.shard, objects.to);
        if !world.prepared.contains(&epoch) {
            return Err(format!("E2: objects of {} were stored unprepared", objects.to));
        }
        // An epoch that only counts a gap has the end of the one before.
        let is_empty = objects.from == Some(objects.to);
        // Names are deterministic: the second write of an epoch must be the same write.
        let kept = world.rejected.entry(epoch).or_insert_with(|| objects.rejected.clone());
        if !is_empty && *kept != objects.rejected {
            return Err(format!("E9: two runs of epoch {} rejected differently", objects.to));
        }
        if self.archives { self.check_segment(objects, world) } else { Ok(()) }
    }

    /// Checks that a segment has every record of the range that its name claims, those that expired
    /// included.
    fn check_segment(&self, objects: &Objects, world: &World) -> Result<(), String> {
        let log = &world.log[self.shard];
        let claims = |sequence| match objects.from {
            None => true,
            Some(from) => log.lines.iter().any(|line| {
                let position = line.position();
                // After a hole an epoch begins behind the last number that is gone, which may be that
                // of an aggregate.
                let is_gone = sequence == from.sequence && log.lost.contains(&position);
                let is_within = position > from && position <= objects.to;
                position.sequence == sequence && is_within && !is_gone
            }),
        };
        let first = if objects.from.is_none() { self.first_record } else { 0 };
        let claimed: Vec<_> = log.records[first.min(log.records.len())..]
            .iter()
            .map(|record| record.sequence)
            .filter(|sequence| *sequence <= objects.to.sequence && claims(*sequence))
            .collect();
        let held: Vec<_> = objects.segment.iter().map(|record| record.sequence).collect();
        if claimed != held {
            return Err(format!(
                "E6: the segment of {:?} to {} has {held:?} of {claimed:?}",
                objects.from, objects.to
            ));
        }
        Ok(())
    }
}
