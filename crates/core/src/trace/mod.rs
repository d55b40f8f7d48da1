//! Stage: all. Thread: any.
//! The record of what happens in a pool, kept while somebody asks for it: by each thread in a ring of its own.
//!
//! T1. While it is off, a place that would record costs one relaxed load and a branch, and nothing is allocated.
//! T2. Nobody who records waits for another one, but for the first time on a thread.
//! T3. There are never more rings than threads that recorded at the same time: one that ends leaves its ring to the next.

mod record;
pub(crate) mod ring;

pub(crate) use record::{How, Recorder};

use crate::pool::clock;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering};
use ring::Ring;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Most names of tasks that are kept; tasks with others have none.
const MOST_NAMES: usize = 4096;

/// The record of a pool.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Number of the recording that is under way, 0 for none. No two recordings of a process have the same.
    session: AtomicU32,
    kept: Mutex<Kept>,
    /// What the depth of the queues was when it was last recorded, and when that was. Under the pool's lock.
    depth: AtomicU64,
    depth_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    session: u32,
    capacity: usize,
    rings: Vec<Arc<Ring>>,
    names: HashMap<String, u64>,
    /// Sinks that belong to JS workers, with the number of the worker. Known from the beginning.
    seats: Vec<(u16, u32)>,
}

/// What was recorded, for whoever shows it.
#[derive(Debug, Default)]
pub struct Recording {
    /// Four words for each record, as `trace/record.rs` tells, each as two numbers, the lower half first; one ring after the
    /// other.
    pub words: Vec<u32>,
    /// Of each ring: how many records of it there are, and how many were lost.
    pub rings: Vec<(u64, u64)>,
    /// Names by number.
    pub names: Vec<String>,
    /// Sinks that belong to JS workers, with the number of the worker.
    pub seats: Vec<(u16, u32)>,
    /// When this was read.
    pub now: u64,
}

/// What a thread writes to, by recording.
struct Lease(u32, Weak<Ring>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(ring) = self.1.upgrade() {
            ring.leave();
        }
    }
}

thread_local! {
    static LEASES: RefCell<Vec<Lease>> = const { RefCell::new(Vec::new()) };
}

impl Trace {
    /// Whether somebody records.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.session.load(Ordering::Relaxed) != 0
    }

    /// For what happens on this thread.
    #[inline]
    pub(crate) fn recorder(&self) -> Recorder {
        // Relaxed: whoever begins late or ends late records a little less or more.
        match self.session.load(Ordering::Relaxed) {
            0 => Recorder { session: 0, ring: None },
            session => Recorder { session, ring: self.ring(session) },
        }
    }

    /// The same, for who has held `recorder` for a while.
    #[inline]
    pub(crate) fn renew(&self, recorder: &mut Recorder) {
        if self.session.load(Ordering::Relaxed) != recorder.session {
            *recorder = self.recorder();
        }
    }

    #[inline(never)]
    fn ring(&self, session: u32) -> Option<Arc<Ring>> {
        let find = |leases: &RefCell<Vec<Lease>>| {
            let mut leases = leases.borrow_mut();
            if let Some(lease) = leases.iter().find(|lease| lease.0 == session) {
                return lease.1.upgrade();
            }
            let ring = self.new_ring(session)?;
            // Those of recordings that are over are good for nothing.
            leases.retain(|lease| lease.1.strong_count() > 0);
            leases.push(Lease(session, Arc::downgrade(&ring)));
            Some(ring)
        };
        // A thread that is ending has none.
        LEASES.try_with(find).ok().flatten()
    }

    fn new_ring(&self, session: u32) -> Option<Arc<Ring>> {
        let mut kept = self.kept.lock();
        if kept.session != session {
            return None;
        }
        if let Some(ring) = kept.rings.iter().find(|ring| ring.take_over()) {
            return Some(ring.clone());
        }
        let ring = Arc::new(Ring::new(kept.capacity));
        kept.rings.push(ring.clone());
        Some(ring)
    }

    /// Begins to record, `capacity` records a thread, a power of two. What was recorded before is gone.
    pub(crate) fn start(&self, capacity: usize) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let session = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut kept = self.kept.lock();
        (kept.session, kept.capacity) = (session, capacity);
        kept.rings.clear();
        kept.names.clear();
        self.depth.store(u64::MAX, Ordering::Relaxed);
        self.session.store(session, Ordering::Relaxed);
    }

    /// Ends it and lets go of what was recorded.
    pub(crate) fn stop(&self) {
        self.session.store(0, Ordering::Relaxed);
        let mut kept = self.kept.lock();
        kept.session = 0;
        (kept.rings, kept.names) = (Vec::new(), HashMap::new());
    }

    /// What has been recorded until now.
    pub(crate) fn read(&self) -> Recording {
        let kept = self.kept.lock();
        let mut recording = Recording { seats: kept.seats.clone(), ..Recording::default() };
        for ring in &kept.rings {
            let contents = ring.read();
            recording.rings.push((contents.records.len() as u64, contents.lost));
            let words = contents.records.iter().flatten();
            recording.words.extend(words.flat_map(|word| [*word as u32, (*word >> 32) as u32]));
        }
        let mut names: Vec<_> = kept.names.iter().collect();
        names.sort_unstable_by_key(|(_, number)| **number);
        recording.names = names.into_iter().map(|(name, _)| name.clone()).collect();
        recording.now = clock::now();
        recording
    }

    /// A number for the name of a task, from 1; 0 when there are too many.
    pub(crate) fn name(&self, name: &str) -> u64 {
        let names = &mut self.kept.lock().names;
        if let Some(number) = names.get(name) {
            return *number;
        }
        if names.len() == MOST_NAMES {
            return 0;
        }
        let number = names.len() as u64 + 1;
        names.insert(name.to_owned(), number);
        number
    }

    /// What comes by way of that sink is submitted by a JS worker.
    pub(crate) fn seated(&self, sink: u16, worker: u32) {
        let seats = &mut self.kept.lock().seats;
        match seats.iter_mut().find(|seat| seat.0 == sink) {
            Some(seat) => seat.1 = worker,
            None => seats.push((sink, worker)),
        }
    }

    /// Whether that depth is another than the one before. Under the pool's lock.
    pub(crate) fn is_new_depth(&self, depth: u64) -> bool {
        let before = self.depth.load(Ordering::Relaxed);
        self.depth.store(depth, Ordering::Relaxed);
        before != depth
    }

    /// A time for the depth that is not before that of the one before: the clock may have been read before the lock was
    /// had. Under the pool's lock.
    pub(crate) fn in_order(&self, now: u64) -> u64 {
        let at = now.max(self.depth_at.load(Ordering::Relaxed));
        self.depth_at.store(at, Ordering::Relaxed);
        at
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::scheduler::WorkerRef;

    const ME: WorkerRef = WorkerRef { lane: crate::scheduler::Lane::Native, index: 3 };

    #[test]
    fn t1_nothing_is_kept_while_it_is_off() {
        let trace = Trace::default();
        assert!(!trace.recorder().is_on());
        trace.recorder().park(ME);
        trace.start(16);
        trace.recorder().park(ME);
        trace.stop();
        trace.recorder().park(ME);
        assert!(trace.kept.lock().rings.is_empty());
        assert!(trace.read().words.is_empty());
    }

    #[test]
    fn a_recorder_of_a_recording_that_is_over_writes_nowhere() {
        let trace = Trace::default();
        trace.start(16);
        let late = trace.recorder();
        trace.start(16);
        late.park(ME);
        assert_eq!(trace.read().rings, []);
        let mut late = late;
        trace.renew(&mut late);
        late.wake(ME);
        assert_eq!(trace.read().rings, [(1, 0)]);
        assert_eq!(trace.read().words[4], 5, "a wake, of worker");
        assert_eq!(trace.read().words[5], 3);
    }

    #[test]
    fn t3_a_thread_that_ends_leaves_its_ring_to_the_next() {
        let trace = Arc::new(Trace::default());
        trace.start(16);
        for _ in 0..20 {
            let trace = trace.clone();
            std::thread::spawn(move || trace.recorder().park(ME)).join().unwrap();
        }
        assert_eq!(trace.read().rings, [(15, 5)]);
    }

    #[test]
    fn threads_that_record_at_the_same_time_have_rings_of_their_own() {
        let trace = Arc::new(Trace::default());
        trace.start(16);
        let both = Arc::new(std::sync::Barrier::new(2));
        let threads = [0, 1].map(|_| {
            let (trace, both) = (trace.clone(), both.clone());
            std::thread::spawn(move || {
                trace.recorder().park(ME);
                both.wait();
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(trace.read().rings, [(1, 0), (1, 0)]);
    }

    #[test]
    fn names_have_numbers_up_to_a_limit() {
        let trace = Trace::default();
        trace.start(16);
        assert_eq!((trace.name("a"), trace.name("b"), trace.name("a")), (1, 2, 1));
        assert_eq!(trace.read().names, ["a", "b"]);
        (0..MOST_NAMES).for_each(|name| {
            trace.name(&name.to_string());
        });
        assert_eq!(trace.name("one too many"), 0);
        assert_eq!(trace.read().names.len(), MOST_NAMES);
    }

    #[test]
    fn a_recording_begins_with_no_names_and_its_first_depth() {
        let trace = Trace::default();
        trace.start(16);
        assert_eq!(trace.name("a"), 1);
        assert!(trace.is_new_depth(0), "the first one");
        assert!(!trace.is_new_depth(0));
        trace.start(16);
        assert!(trace.is_new_depth(0), "of the next recording");
        assert_eq!(trace.name("b"), 1);
        assert_eq!(trace.read().names, ["b"]);
    }

    #[test]
    fn depths_never_go_back_in_time() {
        let trace = Trace::default();
        assert_eq!([5, 3, 7].map(|now| trace.in_order(now)), [5, 5, 7]);
    }

    #[test]
    fn a_sink_belongs_to_the_worker_that_had_it_last() {
        let trace = Trace::default();
        for (sink, worker) in [(1, 0), (2, 1), (1, 4)] {
            trace.seated(sink, worker);
        }
        assert_eq!(trace.read().seats, [(1, 4), (2, 1)]);
    }
}
