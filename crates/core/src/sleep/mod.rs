//! Stage: schedule. Thread: the parker's owner parks; any thread unparks.
//! How a worker with nothing to do stops using the CPU. Read `README.md` beside this file first: it has the protocol
//! and why no wake-up is lost.
//!
//! P1. An `unpark` before or during `park` makes that `park` return; it is never lost.
//! P2. Several `unpark`s before one `park` count as one.

use crate::sync::{Condvar, Mutex};

/// Blocks one thread until another one unparks it.
#[derive(Debug)]
pub(crate) struct Parker {
    token: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { token: Mutex::new(false), changed: Condvar::new() }
    }

    /// Blocks until [`Parker::unpark`] was called since the last return. Only the owner calls it.
    pub(crate) fn park(&self) {
        let mut token = self.token.lock();
        while !*token {
            self.changed.wait(&mut token);
        }
        *token = false;
    }

    /// As [`Parker::park`], for that time at most; whether it was let go on.
    #[cfg(not(loom))]
    pub(crate) fn park_for(&self, time: std::time::Duration) -> bool {
        let end = std::time::Instant::now() + time;
        let mut token = self.token.lock();
        while !*token {
            if self.changed.wait_until(&mut token, end).timed_out() && !*token {
                return false;
            }
        }
        *token = false;
        true
    }

    /// Without time.
    #[cfg(loom)]
    pub(crate) fn park_for(&self, _time: std::time::Duration) -> bool {
        self.park();
        true
    }

    /// Lets the owner go on, now or at its next [`Parker::park`].
    pub(crate) fn unpark(&self) {
        let mut token = self.token.lock();
        if !*token {
            *token = true;
            drop(token);
            self.changed.notify_one();
        }
    }
}
