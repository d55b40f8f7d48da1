//! What queued tasks take of the memory. Alone in its process, so that every allocation is theirs.

#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use threadmill_core::completion::{CompletionSink, Event};
use threadmill_core::pool::{ENTRY, NO_EXPORT, Parting, Payload, PlainJob, Pool, PoolOptions, Sizing};
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

const TASKS: usize = 1_000_000;
/// Tasks posted at a time.
const BATCH: usize = 64;
/// The most that a queued number may take, bytes.
const LIMIT: usize = 200;

#[test]
fn a_queued_number_takes_at_most_200_bytes_and_gives_them_back() {
    let pool = Pool::new(PoolOptions {
        name: "memory".to_owned(),
        sizing: Sizing::new(Some(1)),
        capacity: usize::MAX,
        schedule: Schedule::Fifo,
        pin: None,
        nice: None,
        worker_concurrency: 1,
        eager: true,
        recycle_tasks: 0,
    });
    let sink: Arc<dyn CompletionSink> = Arc::new(Deaf);
    let sink = pool.attach(&sink);
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
