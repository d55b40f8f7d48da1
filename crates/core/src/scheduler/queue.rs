//! Stage: schedule. Thread: whoever holds the pool's lock.
//! A queue of waiting tasks: one FIFO band per priority (and, for longest-first, per expected cost).
//!
//! Q1. A band is in order of admission, also after a task came back.
//! Q2. `top` is the best band; with a single priority in use nothing else is touched and nothing allocated.
//! Q3. Every member is in `arrivals` or in `returned`, so the oldest is found at once.

use super::list::{ARRIVAL, BAND, List};
use super::slab::{NIL, Slab};
use super::task::{Record, Time};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// Bands that are compared for one choice, once somebody has waited long. Each task may have a priority of its own, and
/// choosing one must not take the longer the more wait.
const MOST_BANDS: usize = 256;

/// Orders bands, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BandKey {
    /// The priority, mapped so that a higher one is a smaller number.
    priority: u64,
    rank: u64,
}

impl BandKey {
    fn of<P>(record: &Record<P>) -> Self {
        // IEEE order: flip all bits of negatives and the sign of the others. `+ 0.0` makes -0 the same as 0.
        let bits = (record.priority + 0.0).to_bits();
        let ascending = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        Self { priority: !ascending, rank: record.rank() }
    }
}

/// The task that a queue would give next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) slot: u32,
    pub(super) effective: f64,
    pub(super) rank: u64,
    pub(super) seq: u64,
}

impl Candidate {
    fn of<P>(slab: &Slab<P>, slot: u32, now: Time, ageing: u64) -> Self {
        let record = &slab[slot];
        Self { slot, effective: record.effective(now, ageing), rank: record.rank(), seq: record.seq }
    }

    /// Whether it goes before another one of the same queue.
    fn is_before(&self, other: &Self) -> bool {
        if self.effective == other.effective {
            (self.rank, self.seq) < (other.rank, other.seq)
        } else {
            self.effective > other.effective
        }
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    top: Option<(BandKey, List<BAND>)>,
    rest: BTreeMap<BandKey, List<BAND>>,
    /// In order of admission.
    arrivals: List<ARRIVAL>,
    /// Tasks that came back to somewhere inside the order of admission, where a list would have to be walked.
    returned: BTreeMap<u64, u32>,
    len: usize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { top: None, rest: BTreeMap::new(), arrivals: List::EMPTY, returned: BTreeMap::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The band for `key`, made if need be.
    fn band(&mut self, key: BandKey) -> &mut List<BAND> {
        match self.top {
            Some((top, _)) if top < key => return self.rest.entry(key).or_insert(List::EMPTY),
            Some((top, band)) if top > key => {
                self.rest.insert(top, band);
                self.top = Some((key, List::EMPTY));
            }
            Some(_) => {}
            None => self.top = Some((key, List::EMPTY)),
        }
        let (_, band) = self.top.as_mut().expect("just made");
        band
    }

    /// Adds a task that was admitted after all others here.
    ///
    /// # Complexity
    ///
    /// O(1) in the best band, else O(log bands).
    pub(super) fn push<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        self.band(BandKey::of(&slab[slot])).push_back(slab, slot);
        self.arrivals.push_back(slab, slot);
        self.len += 1;
    }

    /// Puts a task back to its old place.
    ///
    /// # Complexity
    ///
    /// O(log n), and a walk over the members of its band that were admitted before it. Tasks leave from the front of
    /// their band, so these can only be others that came back too.
    pub(super) fn put_back<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        self.band(BandKey::of(&slab[slot])).insert_by_seq(slab, slot, NIL);
        let first = self.arrivals.head();
        if first == NIL || slab[slot].seq < slab[first].seq {
            self.arrivals.push_front(slab, slot);
        } else {
            slab[slot].returned = true;
            self.returned.insert(slab[slot].seq, slot);
        }
        self.len += 1;
    }

    /// Adds tasks, given in order of admission, each at the place that order says.
    ///
    /// # Complexity
    ///
    /// Linear in the tasks added and those here.
    pub(super) fn merge<P>(&mut self, slab: &mut Slab<P>, slots: &[u32]) {
        let mut last_arrival = NIL;
        let mut last_of: BTreeMap<BandKey, u32> = BTreeMap::new();
        for slot in slots.iter().copied() {
            let key = BandKey::of(&slab[slot]);
            let last = last_of.insert(key, slot).unwrap_or(NIL);
            self.band(key).insert_by_seq(slab, slot, last);
            self.arrivals.insert_by_seq(slab, slot, last_arrival);
            last_arrival = slot;
            self.len += 1;
        }
    }

    /// Takes a member out.
    ///
    /// # Complexity
    ///
    /// O(1) in the best band, else O(log bands).
    pub(super) fn remove<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        match &mut self.top {
            Some((top, band)) if band.head() == slot || *top == BandKey::of(&slab[slot]) => {
                band.remove(slab, slot);
                if band.len() == 0 {
                    self.top = self.rest.pop_first();
                }
            }
            _ => {
                let key = BandKey::of(&slab[slot]);
                let band = self.rest.get_mut(&key).expect("a queued task is in the band of its key");
                band.remove(slab, slot);
                if band.len() == 0 {
                    self.rest.remove(&key);
                }
            }
        }
        if slab[slot].returned {
            slab[slot].returned = false;
            self.returned.remove(&slab[slot].seq);
        } else {
            self.arrivals.remove(slab, slot);
        }
        self.len -= 1;
    }

    /// The task admitted first, or [`NIL`].
    fn oldest<P>(&self, slab: &Slab<P>) -> u32 {
        let first = self.arrivals.head();
        match self.returned.first_key_value() {
            Some((seq, slot)) if first == NIL || *seq < slab[first].seq => *slot,
            _ => first,
        }
    }

    /// The next task: the head of the best band, unless that of another one has gained enough by waiting to go before it.
    ///
    /// # Complexity
    ///
    /// O(1), O(log n) while tasks that came back are waiting. When one has waited for `ageing`, O(1) for each band that the oldest
    /// could have risen above, up to [`MOST_BANDS`].
    #[inline]
    pub(super) fn next<P>(&self, slab: &Slab<P>, now: Time, ageing: u64) -> Option<u32> {
        let (_, band) = self.top.as_ref()?;
        let head = band.head();
        if ageing == 0 || self.rest.is_empty() {
            return Some(head);
        }
        // Nobody has gained more than the one that waits longest.
        let most = slab[self.oldest(slab)].gained(now, ageing);
        Some(if most == 0.0 { head } else { self.next_aged(slab, head, most, (now, ageing)) })
    }

    /// The task that goes first of the heads of the best bands and the oldest task. None has gained more than `most`.
    fn next_aged<P>(&self, slab: &Slab<P>, head: u32, most: f64, (now, ageing): (Time, u64)) -> u32 {
        let mut best = Candidate::of(slab, head, now, ageing);
        let mut best_priority = slab[head].priority;
        let mut bands = self.rest.range(..);
        for _ in 0..MOST_BANDS {
            let Some((key, band)) = bands.next() else { return best.slot };
            let priority = slab[band.head()].priority;
            if priority + most < best.effective {
                // As have all that come after it.
                return best.slot;
            }
            if priority == best_priority && priority + most == best.effective {
                // Of one priority the first of equals is best.
                bands = self.rest.range((Excluded(BandKey { rank: u64::MAX, ..*key }), Unbounded));
                continue;
            }
            let candidate = Candidate::of(slab, band.head(), now, ageing);
            if candidate.is_before(&best) {
                (best, best_priority) = (candidate, priority);
            }
        }
        let oldest = Candidate::of(slab, self.oldest(slab), now, ageing);
        if oldest.is_before(&best) { oldest.slot } else { best.slot }
    }

    /// As [`Queue::next`], to be compared with those of other queues.
    pub(super) fn best<P>(&self, slab: &Slab<P>, now: Time, ageing: u64) -> Option<Candidate> {
        let slot = self.next(slab, now, ageing)?;
        Some(Candidate::of(slab, slot, now, ageing))
    }

    /// Members, in no particular order.
    pub(super) fn members<P>(&self, slab: &Slab<P>) -> Vec<u32> {
        self.arrivals.iter(slab).chain(self.returned.values().copied()).collect()
    }
}
