//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Records of admitted tasks, in chunks, so that growth never copies, and with a free list, so that places are reused.
//!
//! S5. The number of places is bounded by the most tasks ever admitted at once since the table was last empty.

use super::task::{Record, State, TaskId};
use std::ops::{Index, IndexMut};

/// No record.
pub(super) const NIL: u32 = u32::MAX;

/// Few enough that a pool with few tasks is small: there may be a thousand pools.
const CHUNK_BITS: u32 = 8;
const CHUNK: usize = 1 << CHUNK_BITS;
/// Chunks kept when the table becomes empty; the rest goes back to the allocator.
const KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct Slab<P> {
    /// Arrays of a fixed size, so that the second index needs no check.
    chunks: Vec<Box<[Record<P>; CHUNK]>>,
    /// Free places, the one freed last on top. Not chained through the records: those were last written by another
    /// core, and a chain would wait for each of them in turn.
    free: Vec<u32>,
    /// Places ever used; the others are vacant and on no list.
    used: u32,
    live: usize,
}

impl<P> Slab<P> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), used: 0, live: 0 }
    }

    /// Number of tasks.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Number of places.
    pub(super) fn places(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// A place for a task, which is put there by [`Record::admit`].
    #[inline]
    pub(super) fn occupy(&mut self) -> u32 {
        self.live += 1;
        self.free.pop().unwrap_or_else(|| self.occupy_new())
    }

    fn occupy_new(&mut self) -> u32 {
        let slot = self.used;
        assert!(slot != NIL, "more than 2^32 - 1 tasks");
        if slot as usize == self.places() {
            let chunk: Vec<Record<P>> = (0..CHUNK).map(|_| Record::vacant()).collect();
            let chunk = chunk.into_boxed_slice().try_into();
            self.chunks.push(chunk.unwrap_or_else(|_| unreachable!("it was made with that length")));
        }
        self.used += 1;
        slot
    }

    /// Frees a place; the payload, if still there, is dropped.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        let record = &mut self[slot];
        debug_assert!(record.state != State::Vacant);
        record.vacate();
        self.free.push(slot);
        self.live -= 1;
        if self.live == 0 && self.chunks.len() > KEPT {
            self.chunks.truncate(KEPT);
            self.free = Vec::new();
            self.used = 0;
        }
    }

    /// The place of a task that is still admitted. Generations come from the order of admission, so they stay unique
    /// when places are given back.
    #[inline]
    pub(super) fn find(&self, id: TaskId) -> Option<u32> {
        let record = &self.chunks.get(id.index as usize >> CHUNK_BITS)?[id.index as usize % CHUNK];
        (record.state != State::Vacant && record.seq as u32 == id.generation).then_some(id.index)
    }

    /// Places with a task in them, in no particular order.
    pub(super) fn occupied(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.used).filter(|slot| self[*slot].state != State::Vacant)
    }
}

impl<P> Index<u32> for Slab<P> {
    type Output = Record<P>;

    #[inline]
    fn index(&self, slot: u32) -> &Record<P> {
        &self.chunks[slot as usize >> CHUNK_BITS][slot as usize % CHUNK]
    }
}

impl<P> IndexMut<u32> for Slab<P> {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Record<P> {
        &mut self.chunks[slot as usize >> CHUNK_BITS][slot as usize % CHUNK]
    }
}
