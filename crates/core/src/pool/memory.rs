//! Stage: run. Thread: native workers; `threadmill-trim`, for as long as it takes.
//! Memory that tasks have freed goes back to the system when all native workers rest. The allocator of glibc keeps what lies
//! between blocks in use, and at the end of the heap of each thread twice the largest block that was ever freed, up to 64 MiB
//! (`M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` in mallopt(3)): of a burst of large tasks some hundred MiB stay for good.
//! `malloc_trim` gives it back, and holds up each thread that allocates while it looks at that thread's heap; so there must have been much,
//! and nothing more for a while, and it is called on a thread of its own.

#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "a function of the C library")
)]

use super::Pool;
use crate::scheduler::Lane;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// How long workers rest before.
pub(super) const REST: Duration = Duration::from_secs(1);
/// Bytes of inputs and outputs for which it is worth while.
const MUCH: u64 = 32 << 20;
/// Values below that many bytes are not counted: the allocator uses such blocks again soon.
const LARGE: usize = 4096;

/// What the tasks of one pool have used.
#[derive(Debug)]
pub(super) struct Memory {
    /// Whether anything is given back.
    trims: bool,
    /// Bytes of large inputs and outputs since then.
    used: AtomicU64,
    #[cfg(test)]
    pub(super) times: AtomicU64,
}

impl Memory {
    pub(super) fn new(trims: bool) -> Self {
        Self {
            trims,
            used: AtomicU64::new(0),
            #[cfg(test)]
            times: AtomicU64::new(0),
        }
    }

    /// A task has brought or made so much.
    pub(super) fn note(&self, bytes: usize) {
        if bytes >= LARGE {
            self.used.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Whether memory is to be given back when the workers have rested.
    pub(super) fn is_due(&self) -> bool {
        self.trims && self.used.load(Ordering::Relaxed) >= MUCH
    }

    /// They have.
    pub(super) fn give_back(&self) {
        // Each of them comes by.
        if self.used.swap(0, Ordering::Relaxed) < MUCH {
            return;
        }
        #[cfg(test)]
        self.times.fetch_add(1, Ordering::Relaxed);
        give_back();
    }
}

impl Pool {
    /// A native worker has rested; the last one of them gives the memory back.
    pub(super) fn rested(&self) {
        if self.idle[Lane::Native as usize].load(Ordering::Relaxed) >= self.active.load(Ordering::Relaxed) {
            self.memory.give_back();
        }
    }
}

/// Gives freed memory of the process back to the system, soon, on a thread of its own; where the C library can.
pub fn give_back() {
    // Without a thread, there is no need either.
    let _ = std::thread::Builder::new().name("threadmill-trim".to_owned()).spawn(trim);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    // SAFETY: may be called at any time, on any thread.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
