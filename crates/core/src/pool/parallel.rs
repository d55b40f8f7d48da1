//! Stage: run. Thread: the caller's worker and any helpers.
//! One `parallel_for`: chunks are handed out by a counter, the caller works too, and it leaves only when nobody is
//! inside any more.
//!
//! F1. Every chunk index is given to exactly one thread.
//! F2. The body is not touched after the caller has returned: helpers enter under the pool's lock while the section is
//!     listed there; the caller takes it off that list under the same lock and then waits for those inside.
//! F3. No deadlock: the caller never waits for a chunk that has not begun, and a helper inside one does not wait for
//!     the caller. Nested sections follow by induction on the depth: the innermost body waits for nobody.

#![expect(unsafe_code, reason = "a borrowed body is lent to other threads for the length of the call")]

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, Ordering};
use crate::unwind::guarded;

/// A section that is being worked on.
pub(crate) struct Section {
    body: *const (dyn Fn(usize) + Sync),
    chunks: usize,
    next: AtomicUsize,
    stopped: AtomicBool,
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Default)]
struct Inside {
    helpers: usize,
    panic: Option<String>,
}

// SAFETY: the body is `Sync`, and F2 keeps it alive for everyone who calls it.
unsafe impl Send for Section {}
// SAFETY: as above.
unsafe impl Sync for Section {}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Section")
            .field("chunks", &self.chunks)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Section {
    /// # Safety
    ///
    /// The caller keeps `body` alive until [`Section::leave`] has returned, and lists the section nowhere after that.
    pub(crate) unsafe fn new(chunks: usize, body: &(dyn Fn(usize) + Sync)) -> Self {
        type Body<'a> = dyn Fn(usize) + Sync + 'a;
        // SAFETY: only the lifetime in the type changes; F2 and the contract above keep its use inside the real one.
        let body: &'static Body<'static> =
            unsafe { std::mem::transmute::<&Body<'_>, &'static Body<'static>>(body) };
        Self {
            body,
            chunks,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            inside: Mutex::new(Inside::default()),
            left: Condvar::new(),
        }
    }

    /// Whether there are chunks that nobody has taken.
    pub(crate) fn wants_help(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed) && self.next.load(Ordering::Relaxed) < self.chunks
    }

    /// A helper comes in. Under the pool's lock, while the section is listed (F2).
    pub(crate) fn enter(&self) {
        self.inside.lock().helpers += 1;
    }

    /// Runs chunks until there are none left or `stop` says so (asked between chunks). Returns how many.
    pub(crate) fn work(&self, stop: impl Fn() -> bool) -> usize {
        let mut done = 0;
        while !self.stopped.load(Ordering::Relaxed) && !stop() {
            // F1: a counter hands every index out once. Relaxed: the chunks' effects are published by the locks in
            // `exit` and `leave`.
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.chunks {
                break;
            }
            // SAFETY: this thread is the caller, or a helper between `enter` and `exit` (F2).
            let body = unsafe { &*self.body };
            done += 1;
            if let Err(message) = guarded(|| body(index)) {
                self.stopped.store(true, Ordering::Relaxed);
                self.inside.lock().panic.get_or_insert(message);
            }
        }
        done
    }

    /// No further chunks are begun.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A helper goes out.
    pub(crate) fn exit(&self) {
        let mut inside = self.inside.lock();
        inside.helpers -= 1;
        if inside.helpers == 0 {
            // Notified under the lock: once it is free the caller may return and the section may be gone.
            self.left.notify_all();
        }
    }

    /// The caller waits until no helper is inside. The section is off the list already. Returns the first panic.
    pub(crate) fn leave(&self) -> Option<String> {
        let mut inside = self.inside.lock();
        while inside.helpers > 0 {
            self.left.wait(&mut inside);
        }
        inside.panic.take()
    }
}
