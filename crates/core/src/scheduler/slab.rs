//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Records of admitted tasks, in chunks, so that growth never copies, and with a free list, so that places are reused.
//!
//! S5. The number of places is bounded by the most tasks ever admitted at once since the table was last empty.

use super::task::{Record, State, TaskId};
use std::ops::{Index, IndexMut};

/// No record.
pub(super) const NIL: u32 = u32::MAX;

const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;
/// Chunks kept when the table becomes empty; the rest goes back to the allocator.
const KEPT: usize = 16;

#[derive(Debug)]
pub(super) struct Slab<P> {
    chunks: Vec<Vec<Record<P>>>,
    /// First free place, chained through `links[0].next`.
    free: u32,
    /// Places ever used; those from here on are not initialised.
    used: u32,
    live: usize,
}

impl<P> Slab<P> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: NIL, used: 0, live: 0 }
    }

    /// Number of tasks.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Number of places.
    pub(super) fn places(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    pub(super) fn insert(&mut self, record: Record<P>) -> u32 {
        self.live += 1;
        if self.free != NIL {
            let slot = self.free;
            self.free = self[slot].links[0].next;
            self[slot] = record;
            return slot;
        }
        let slot = self.used;
        assert!(slot != NIL, "more than 2^32 - 1 tasks");
        let chunk = slot as usize >> CHUNK_BITS;
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[chunk].push(record);
        self.used += 1;
        slot
    }

    /// Frees a place; the payload, if still there, is dropped.
    pub(super) fn remove(&mut self, slot: u32) {
        let free = self.free;
        let record = &mut self[slot];
        debug_assert!(record.state != State::Vacant);
        record.state = State::Vacant;
        record.payload = None;
        record.worker_costs = None;
        record.links[0].next = free;
        self.free = slot;
        self.live -= 1;
        if self.live == 0 && self.chunks.len() > KEPT {
            self.chunks.truncate(KEPT);
            self.chunks.iter_mut().for_each(Vec::clear);
            self.free = NIL;
            self.used = 0;
        }
    }

    /// The place of a task that is still admitted. Generations come from the order of admission, so they stay unique
    /// when places are given back.
    pub(super) fn find(&self, id: TaskId) -> Option<u32> {
        let record = self.chunks.get(id.index as usize >> CHUNK_BITS)?.get(id.index as usize % CHUNK)?;
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
