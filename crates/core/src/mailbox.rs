//! Stage: complete. Thread: any thread posts; one thread collects.
//! Queues with one doorbell that rings once per batch. Posters that use different shards do not meet.
//!
//! B1. After a post either the bell rings, or a ring is still unanswered and its `collect` sees the post.
//! B2. Between two `collect`s the bell rings at most once.
//! B3. What is posted to one shard is collected in that order.
//! B4. What is posted with [`Mailbox::post_last`] is collected after everything that was posted before it, whatever
//!     the shard.
//! B5. What is posted with [`Mailbox::post_first`] is collected before everything that is posted after it, whatever the
//!     shard.

use crate::sync::{AtomicBool, Mutex, Ordering};
use crossbeam_utils::CachePadded;
use std::collections::VecDeque;

/// Enough that workers rarely share one; collecting looks at each.
const SHARDS: usize = if cfg!(loom) { 2 } else { 8 };

/// Items for one collector. The bell itself belongs to the user of this type.
#[derive(Debug)]
pub struct Mailbox<T> {
    shards: [CachePadded<Mutex<VecDeque<T>>>; SHARDS],
    first: Mutex<VecDeque<T>>,
    last: Mutex<VecDeque<T>>,
    /// Whether the bell has rung since the last `collect`.
    rung: CachePadded<AtomicBool>,
}

/// What one `collect` took.
#[derive(Debug)]
pub struct Batch<T> {
    /// What comes first, by shard, what comes last. Those before `at` are empty.
    queues: [VecDeque<T>; SHARDS + 2],
    at: usize,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| CachePadded::new(Mutex::new(VecDeque::new()))),
            first: Mutex::new(VecDeque::new()),
            last: Mutex::new(VecDeque::new()),
            rung: CachePadded::new(AtomicBool::new(false)),
        }
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { queues: std::array::from_fn(|_| VecDeque::new()), at: 0 }
    }
}

impl<T> Batch<T> {
    /// The next item.
    pub fn pop(&mut self) -> Option<T> {
        while let Some(queue) = self.queues.get_mut(self.at) {
            let item = queue.pop_front();
            if item.is_some() {
                return item;
            }
            self.at += 1;
        }
        None
    }

    /// The next item, where it lies.
    pub fn front(&mut self) -> Option<&T> {
        while self.queues.get(self.at)?.is_empty() {
            self.at += 1;
        }
        self.queues[self.at].front()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.queues[self.at.min(SHARDS + 1)..].iter().all(VecDeque::is_empty)
    }
}

impl<T> Mailbox<T> {
    /// Adds an item to the shard that `poster`, any number, belongs to. `true`: the caller must ring the bell.
    #[expect(clippy::inline_always, reason = "so that the item is made where it is to lie")]
    #[inline(always)]
    #[must_use]
    pub fn post(&self, poster: u32, item: T) -> bool {
        self.shards[poster as usize % SHARDS].lock().push_back(item);
        self.ring()
    }

    /// Adds an item that comes after everything posted so far (B4). `true`: the caller must ring the bell.
    #[must_use]
    pub fn post_last(&self, item: T) -> bool {
        self.last.lock().push_back(item);
        self.ring()
    }

    /// Adds an item that comes before everything posted from now on (B5). `true`: the caller must ring the bell.
    #[must_use]
    pub fn post_first(&self, item: T) -> bool {
        self.first.lock().push_back(item);
        self.ring()
    }

    /// How many items that come first wait.
    pub fn waiting_first(&self) -> usize {
        self.first.lock().len()
    }

    /// An item that a collector missed was put in under a lock that the collector had held after it cleared the flag, so
    /// its poster sees the flag cleared, or set again by somebody who rings (B1).
    fn ring(&self) -> bool {
        !self.rung.load(Ordering::Relaxed) && !self.rung.swap(true, Ordering::AcqRel)
    }

    /// Whether something was posted since the last `collect`.
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// Takes all items in exchange for the empty queues of `into`.
    ///
    /// # Panics
    ///
    /// In debug builds, when `into` is not empty.
    pub fn collect(&self, into: &mut Batch<T>) {
        debug_assert!(into.is_empty());
        self.rung.swap(false, Ordering::AcqRel);
        // First, so that whatever was posted before it is found in the shards (B4).
        std::mem::swap(&mut *self.last.lock(), &mut into.queues[SHARDS + 1]);
        for (shard, queue) in self.shards.iter().zip(&mut into.queues[1..]) {
            std::mem::swap(&mut *shard.lock(), queue);
        }
        // Last, so that it has what was posted before anything that the shards had (B5).
        std::mem::swap(&mut *self.first.lock(), &mut into.queues[0]);
        into.at = 0;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Batch, Mailbox};

    fn collect(mailbox: &Mailbox<u32>) -> Vec<u32> {
        let mut batch = Batch::default();
        mailbox.collect(&mut batch);
        let items = std::iter::from_fn(|| batch.pop()).collect();
        assert!(batch.is_empty());
        items
    }

    #[test]
    fn b2_the_bell_rings_once_per_batch() {
        let mailbox = Mailbox::default();
        assert!(mailbox.post(0, 1));
        assert!(!mailbox.post(0, 2));
        assert!(!mailbox.post(1, 3));
        assert_eq!(collect(&mailbox), [1, 2, 3]);
        assert!(mailbox.post(7, 4));
        assert_eq!(collect(&mailbox), [4]);
        assert!(mailbox.post_last(5));
    }

    #[test]
    fn b5_the_first_come_first() {
        let mailbox = Mailbox::default();
        assert!(mailbox.post(5, 1));
        assert!(!mailbox.post_first(8));
        assert!(!mailbox.post(0, 2));
        assert!(!mailbox.post_last(9));
        assert_eq!(collect(&mailbox), [8, 2, 1, 9]);
    }

    #[test]
    fn b4_the_last_come_last() {
        let mailbox = Mailbox::default();
        assert!(mailbox.post(5, 1));
        assert!(!mailbox.post_last(9));
        assert!(!mailbox.post(0, 2));
        assert_eq!(collect(&mailbox), [2, 1, 9]);
    }
}
