//! Stage: submit. Thread: any writes, the owner env reads.
//! Under which id each slot's task got into its pool, for cancelling.

use crate::scheduler::TaskId;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of the first segment; each one after it is as long as all before together.
const FIRST: usize = 1024;
/// Enough for every 32-bit slot.
const SEGMENTS: usize = 23;
/// Not an id: generations and places are never both at their ends.
const NONE: u64 = u64::MAX;

/// Ids by slot. Entries never move, so that workers write while the env reads and the table grows.
#[derive(Debug, Default)]
pub struct Ids {
    segments: [OnceLock<Box<[AtomicU64]>>; SEGMENTS],
}

impl Ids {
    fn entry(&self, slot: u32) -> &AtomicU64 {
        let slot = slot as usize;
        let segment = (slot / FIRST + 1).next_power_of_two().trailing_zeros() as usize;
        let (start, length) =
            if segment == 0 { (0, FIRST) } else { (FIRST << (segment - 1), FIRST << (segment - 1)) };
        let segment =
            self.segments[segment].get_or_init(|| (0..length).map(|_| AtomicU64::new(NONE)).collect());
        &segment[slot - start]
    }

    // Relaxed: an id says nothing of other memory, and the pool's lock orders the write before the read.

    /// Notes the id of the task in `slot`.
    pub fn set(&self, slot: u32, id: TaskId) {
        self.entry(slot).store(id.to_bits(), Ordering::Relaxed);
    }

    /// The task in `slot` is settled.
    pub fn clear(&self, slot: u32) {
        self.entry(slot).store(NONE, Ordering::Relaxed);
    }

    /// The id of the task in `slot`, unless it is settled or not in the scheduler.
    pub fn get(&self, slot: u32) -> Option<TaskId> {
        let bits = self.entry(slot).load(Ordering::Relaxed);
        (bits != NONE).then(|| TaskId::from_bits(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Ids};
    use crate::scheduler::TaskId;

    #[test]
    fn every_slot_has_its_own_entry() {
        let ids = Ids::default();
        let slots: Vec<u32> = (0..5 * FIRST as u32).chain([100_000, 1 << 20]).collect();
        for slot in slots.iter().copied() {
            assert_eq!(ids.get(slot), None);
            ids.set(slot, TaskId { index: slot, generation: 7 });
        }
        for slot in slots.iter().copied() {
            assert_eq!(ids.get(slot), Some(TaskId { index: slot, generation: 7 }));
            ids.clear(slot);
            assert_eq!(ids.get(slot), None);
        }
    }
}
