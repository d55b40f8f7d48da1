//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Doubly linked lists through the records themselves: adding and removing never allocates.

use super::slab::{NIL, Slab};
use super::task::Link;

/// Lists of a task's band, or of what a worker has taken: a task is in at most one of them.
pub(super) const BAND: usize = 0;
/// Lists of a queue's tasks by arrival.
pub(super) const ARRIVAL: usize = 1;

/// A list over the links of kind `K`.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<const K: usize> {
    head: u32,
    tail: u32,
    len: u32,
}

impl<const K: usize> List<K> {
    pub(super) const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// First member, or [`NIL`].
    pub(super) fn head(&self) -> u32 {
        self.head
    }

    pub(super) fn push_back<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        self.insert_before(slab, NIL, slot);
    }

    pub(super) fn push_front<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        self.insert_before(slab, self.head, slot);
    }

    /// Puts `slot` before `next`, at the end when that is [`NIL`].
    fn insert_before<P>(&mut self, slab: &mut Slab<P>, next: u32, slot: u32) {
        let prev = if next == NIL { self.tail } else { slab[next].links[K].prev };
        slab[slot].links[K] = Link { prev, next };
        if prev == NIL {
            self.head = slot;
        } else {
            slab[prev].links[K].next = slot;
        }
        if next == NIL {
            self.tail = slot;
        } else {
            slab[next].links[K].prev = slot;
        }
        self.len += 1;
    }

    /// Puts `slot` where its order of admission says, in a list kept in that order. The walk starts after `from`, a
    /// member that was admitted earlier, or at the front when that is [`NIL`].
    pub(super) fn insert_by_seq<P>(&mut self, slab: &mut Slab<P>, slot: u32, from: u32) {
        let seq = slab[slot].seq;
        if self.tail == NIL || slab[self.tail].seq < seq {
            return self.push_back(slab, slot);
        }
        let mut next = if from == NIL { self.head } else { slab[from].links[K].next };
        while slab[next].seq < seq {
            next = slab[next].links[K].next;
        }
        self.insert_before(slab, next, slot);
    }

    pub(super) fn remove<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        let Link { prev, next } = slab[slot].links[K];
        if prev == NIL {
            self.head = next;
        } else {
            slab[prev].links[K].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            slab[next].links[K].prev = prev;
        }
        self.len -= 1;
    }

    /// The member after `slot`, or [`NIL`].
    pub(super) fn next<P>(slab: &Slab<P>, slot: u32) -> u32 {
        slab[slot].links[K].next
    }

    /// Members from the front.
    pub(super) fn iter<P>(self, slab: &Slab<P>) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let slot = at;
            (slot != NIL).then(|| {
                at = Self::next(slab, slot);
                slot
            })
        })
    }
}
