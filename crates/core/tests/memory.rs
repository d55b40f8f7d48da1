//! What queued tasks and their deadlines take of the memory. Alone in their process, so that every allocation is theirs.

#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use threadmill_core::completion::{CompletionSink, Event};
use threadmill_core::pool::{ENTRY, NO_EXPORT, Parting, Payload, PlainJob, Pool, PoolOptions, Sizing, clock};
use threadmill_core::scheduler::{Lane, Schedule, TaskId};

/// Bytes that are allocated.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all of it is left to the system's allocator; the counts touch no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's duties are those of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size, Ordering::Relaxed);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Deaf;

impl CompletionSink for Deaf {
    fn deliver(&self, _: Event) {}

    fn admitted(&self, _: u32, _: TaskId) {}
}

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const TASKS: usize = 1_000_000;
/// Tasks posted at a time.
const BATCH: usize = 64;
/// The most that a queued number may take, bytes.
const LIMIT: usize = 200;
/// Deadlines that pass while a later one is to come, and the most that all of them together may leave, bytes.
const DEADLINES: usize = if cfg!(miri) { 200 } else { 20_000 };
const LEFT: usize = 32_000;

/// A pool, and the number of what listens to it.
fn pool() -> (Arc<Pool>, u16) {
    let pool = Pool::new(PoolOptions {
        name: "memory".to_owned(),
        sizing: Sizing::new(Some(1)),
        capacity: usize::MAX,
        schedule: Schedule::Fifo,
        pin: None,
        nice: None,
        trims: false,
        worker_concurrency: 1,
        eager: true,
        recycle_tasks: 0,
    });
    let sink: Arc<dyn CompletionSink> = Arc::new(Deaf);
    let number = pool.attach(&sink);
    (pool, number)
}

#[test]
fn a_queued_number_takes_at_most_200_bytes_and_gives_them_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (pool, sink) = pool();
    let job = |ticket: usize| PlainJob {
        ticket: ticket as u32,
        kernel: ENTRY,
        sink,
        input: Payload::Number(ticket as f64),
        submitted: 1,
        export: NO_EXPORT,
        ..PlainJob::default()
    };
    let before = LIVE.load(Ordering::Relaxed);
    let bytes = || (LIVE.load(Ordering::Relaxed) - before).div_ceil(TASKS);

    // Nobody has joined the JS lane, so all of them wait.
    for first in (0..TASKS).step_by(BATCH) {
        assert!(pool.post(Lane::Js, (first..first + BATCH).map(job)));
    }
    let posted = bytes();
    pool.ingest();
    let queued = bytes();
    assert_eq!(pool.js_unfinished(), TASKS);
    assert!(posted <= LIMIT, "{posted} in the inbox");
    assert!(queued <= LIMIT, "{queued} in the queue");

    pool.js_reject_waiting(Parting::Closed, "enough");
    assert_eq!(pool.js_unfinished(), 0);
    let left = bytes();
    assert!(left <= 4, "{left} bytes for each task are left");
}

#[test]
fn a_deadline_that_has_passed_takes_nothing_while_a_later_one_is_to_come() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (pool, sink) = pool();
    let post = |deadline: u64| {
        let job = PlainJob {
            kernel: ENTRY,
            sink,
            input: Payload::Number(0.0),
            submitted: 1,
            export: NO_EXPORT,
            deadline,
            ..PlainJob::default()
        };
        assert!(pool.post(Lane::Js, [job].into_iter()));
    };
    // Nobody has joined the JS lane, so a task goes when its deadline does.
    let pass = || {
        post(clock::now() + 1);
        while pool.js_unfinished() > 1 {
            std::thread::yield_now();
        }
    };
    post(clock::now() + 3_600_000_000_000);
    (0..DEADLINES / 20).for_each(|_| pass());
    let before = LIVE.load(Ordering::Relaxed);
    (0..DEADLINES).for_each(|_| pass());
    let grown = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    assert!(grown < LEFT, "{grown} bytes after {DEADLINES} deadlines");

    pool.js_reject_waiting(Parting::Closed, "enough");
}
