//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Deadlines in a binary heap whose entries the records point back to, so that a finished task leaves nothing behind.

use super::slab::{NIL, Slab};
use super::task::Time;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Time,
    seq: u64,
    slot: u32,
}

impl Entry {
    fn key(&self) -> (Time, u64) {
        (self.at, self.seq)
    }
}

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: Vec<Entry>,
}

impl Deadlines {
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.first().map(|entry| entry.at)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Sets the deadline of a task, or moves it to the earlier of the two.
    pub(super) fn set<P>(&mut self, slab: &mut Slab<P>, slot: u32, at: Time) {
        let place = slab[slot].timer;
        if place == NIL {
            self.heap.push(Entry { at, seq: slab[slot].seq, slot });
            self.up(slab, self.heap.len() - 1);
        } else if at < self.heap[place as usize].at {
            self.heap[place as usize].at = at;
            self.up(slab, place as usize);
        }
    }

    /// Forgets the deadline of a task, if it has one.
    pub(super) fn remove<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        let place = slab[slot].timer;
        if place == NIL {
            return;
        }
        slab[slot].timer = NIL;
        let place = place as usize;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.down(slab, place);
            self.up(slab, place);
        }
    }

    /// Takes out the first task whose deadline has passed.
    pub(super) fn pop<P>(&mut self, slab: &mut Slab<P>, now: Time) -> Option<u32> {
        let first = *self.heap.first()?;
        (first.at <= now).then(|| {
            self.remove(slab, first.slot);
            first.slot
        })
    }

    fn place<P>(&self, slab: &mut Slab<P>, at: usize) {
        slab[self.heap[at].slot].timer = at as u32;
    }

    fn up<P>(&mut self, slab: &mut Slab<P>, mut at: usize) {
        while at > 0 && self.heap[at].key() < self.heap[(at - 1) / 2].key() {
            self.heap.swap(at, (at - 1) / 2);
            self.place(slab, at);
            at = (at - 1) / 2;
        }
        self.place(slab, at);
    }

    fn down<P>(&mut self, slab: &mut Slab<P>, mut at: usize) {
        loop {
            let children = 2 * at + 1..(2 * at + 3).min(self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child].key()) else { break };
            if self.heap[at].key() <= self.heap[least].key() {
                break;
            }
            self.heap.swap(at, least);
            self.place(slab, at);
            at = least;
        }
        self.place(slab, at);
    }
}
