//! Stage: complete. Thread: any thread posts; one thread collects.
//! A queue with a doorbell that rings once per batch.
//!
//! B1. After a post either the bell rings, or a ring is still unanswered and its `collect` sees the post.
//! B2. Between two `collect`s the bell rings at most once.

use crate::sync::Mutex;
use std::collections::VecDeque;

/// Items for one collector. The bell itself belongs to the user of this type.
#[derive(Debug)]
pub struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    /// Whether the bell has rung since the last `collect`.
    rung: bool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { items: VecDeque::new(), rung: false }) }
    }
}

impl<T> Mailbox<T> {
    /// Adds an item. `true`: the caller must ring the bell.
    #[must_use]
    pub fn post(&self, item: T) -> bool {
        let mut inner = self.inner.lock();
        inner.items.push_back(item);
        !std::mem::replace(&mut inner.rung, true)
    }

    /// Takes all items, in the order of posting, in exchange for the empty queue `into`.
    ///
    /// # Panics
    ///
    /// In debug builds, when `into` is not empty.
    pub fn collect(&self, into: &mut VecDeque<T>) {
        debug_assert!(into.is_empty());
        let mut inner = self.inner.lock();
        std::mem::swap(&mut inner.items, into);
        inner.rung = false;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Mailbox, VecDeque};

    #[test]
    fn b2_the_bell_rings_once_per_batch() {
        let mailbox = Mailbox::default();
        assert!(mailbox.post(1));
        assert!(!mailbox.post(2));
        let mut items = VecDeque::new();
        mailbox.collect(&mut items);
        assert_eq!(items, [1, 2]);
        items.clear();
        assert!(mailbox.post(3));
        mailbox.collect(&mut items);
        assert_eq!(items, [3]);
    }
}
