//! Stage: all. Thread: whichever sees it happen.
//! What is recorded, and how it lies in four words:
//!
//! | word | bits | meaning |
//! |---|---|---|
//! | 0 | | time, ns on the clock of the pool |
//! | 1 | | the task; for the depth of the queues: native lane (32 bits), JS lane (32 bits) |
//! | 2 | 0 to 7 | kind |
//! |   | 8 to 15 | how: of an end, [`How`]; of a cancellation, [`Why`] |
//! |   | 16 to 31 | number of the kernel |
//! |   | 32 to 63 | worker, see [`track`]; for a submission: the sink |
//! | 3 | | submission: when it came into the queue; start: number of its name; end: when it started; depth: of the owner's thread |

use super::ring::{Record, Ring};
use crate::completion::Outcome;
use crate::pool::clock;
use crate::scheduler::{Lane, TaskId, WorkerRef};
use std::sync::Arc;

#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    /// A task was submitted, and waits in the queue from the time in word 3 on.
    Submit,
    Start,
    End,
    Steal,
    Park,
    Wake,
    Cancel,
    Crash,
    Depth,
}

/// How a run of a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum How {
    /// With an output.
    Ok,
    /// With an error.
    Failed,
    /// It had been given up.
    GivenUp,
    /// A kernel panicked, or the worker ended.
    Crashed,
    /// It runs again elsewhere, for the sake of another task.
    PutBack,
    /// It was taken and never begun.
    Unbegun,
}

/// Why a task was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Why {
    Cancelled,
    Expired,
    /// The pool ends, or nobody can run the task.
    Refused,
}

/// Stands for no worker.
const NOWHERE: u32 = u32::MAX;

/// Numbers of workers in records: native ones from 0, JS workers from 2^28, the thread that owns the pool 2^29.
fn track(worker: WorkerRef) -> u32 {
    match worker.lane {
        Lane::Native => worker.index,
        Lane::Js => (1 << 28) + worker.index,
        Lane::Main => 1 << 29,
    }
}

fn about(kind: Kind, how: u8, kernel: u16, place: u32) -> u64 {
    u64::from(kind as u8) | u64::from(how) << 8 | u64::from(kernel) << 16 | u64::from(place) << 32
}

/// Writes what happens on this thread; nothing while nobody records.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Of the recording; 0 for none.
    pub(super) session: u32,
    pub(super) ring: Option<Arc<Ring>>,
}

impl Recorder {
    /// Whether somebody records.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.ring.is_some()
    }

    #[inline]
    fn write(&self, record: impl FnOnce() -> Record) {
        if let Some(ring) = &self.ring {
            ring.push(record());
        }
    }

    /// A task was submitted by the env of that sink, and waits in the queue since `admitted`.
    #[inline]
    pub(crate) fn submit(&self, id: TaskId, (kernel, sink): (u16, u16), submitted: u64, admitted: u64) {
        self.write(|| {
            [
                submitted,
                id.to_bits(),
                about(Kind::Submit, 0, kernel, u32::from(sink)),
                admitted.max(submitted),
            ]
        });
    }

    /// A worker begins a task. `name`: see [`super::Trace::name`].
    #[inline]
    pub(crate) fn start(&self, id: u64, kernel: u16, worker: WorkerRef, now: u64, name: u64) {
        self.write(|| [now, id, about(Kind::Start, 0, kernel, track(worker)), name]);
    }

    /// It has ended it, before anybody is told.
    #[inline]
    pub(crate) fn end(&self, id: u64, kernel: u16, worker: WorkerRef, (started, now): (u64, u64), how: How) {
        self.write(|| [now, id, about(Kind::End, how as u8, kernel, track(worker)), started]);
    }

    /// A worker takes a task that was another's.
    pub(crate) fn steal(&self, id: TaskId, worker: WorkerRef, now: u64) {
        self.write(|| [now, id.to_bits(), about(Kind::Steal, 0, 0, track(worker)), 0]);
    }

    /// A worker has nothing to do.
    pub(crate) fn park(&self, worker: WorkerRef) {
        self.write(|| [clock::now(), 0, about(Kind::Park, 0, 0, track(worker)), 0]);
    }

    /// It was woken.
    pub(crate) fn wake(&self, worker: WorkerRef) {
        self.write(|| [clock::now(), 0, about(Kind::Wake, 0, 0, track(worker)), 0]);
    }

    /// A task is given up: one that `worker` runs, or that waits.
    pub(crate) fn cancel(&self, id: TaskId, kernel: u16, worker: Option<WorkerRef>, outcome: &Outcome) {
        let why = match outcome {
            Outcome::Cancelled => Why::Cancelled,
            Outcome::Expired => Why::Expired,
            _ => Why::Refused,
        };
        let place = worker.map_or(NOWHERE, track);
        self.write(|| [clock::now(), id.to_bits(), about(Kind::Cancel, why as u8, kernel, place), 0]);
    }

    /// A JS worker has ended without being asked.
    pub(crate) fn crash(&self, worker: WorkerRef) {
        self.write(|| [clock::now(), 0, about(Kind::Crash, 0, 0, track(worker)), 0]);
    }

    /// How many tasks wait: for native workers, for JS workers, for the owner's thread.
    pub(crate) fn depth(&self, queued: [u64; 3], now: u64) {
        self.write(|| {
            let [native, js, main] = queued;
            [now, native | js << 32, about(Kind::Depth, 0, 0, NOWHERE), main]
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_tell_what_why_and_where() {
        let ring = Arc::new(Ring::new(16));
        let recorder = Recorder { session: 1, ring: Some(ring.clone()) };
        let id = TaskId { index: 2, generation: 1 };
        let worker = |lane| WorkerRef { lane, index: if lane == Lane::Main { 0 } else { 3 } };
        recorder.submit(id, (4, 5), 100, 90);
        recorder.submit(id, (4, 5), 100, 110);
        let given_up = [Outcome::Cancelled, Outcome::Expired, Outcome::Panicked(String::new())];
        for (lane, outcome) in Lane::ALL.into_iter().zip(&given_up) {
            recorder.cancel(id, 4, Some(worker(lane)), outcome);
        }
        recorder.cancel(id, 4, None, &Outcome::Cancelled);
        let records = ring.read().records;
        assert_eq!(
            records[0],
            [100, 1 << 32 | 2, 4 << 16 | 5 << 32, 100],
            "in the queue once it was submitted"
        );
        assert_eq!(records[1][3], 110);
        let told =
            records[2..].iter().map(|record| (record[2] as u8, (record[2] >> 8) as u8, record[2] >> 32));
        let expected = [(6, 0, 3), (6, 1, (1 << 28) + 3), (6, 2, 1 << 29), (6, 0, u64::from(u32::MAX))];
        assert!(told.eq(expected));
    }
}
