//! Stage: all. Thread: whoever holds the pool's lock.
//! What can be seen of a scheduler from outside.

use super::task::{Lane, Time, WorkerRef};
use super::worker::WorkerFigures;
use super::{Config, Scheduler};

/// A stretch of work of one lane: from the first task after it was idle to the last completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Submission of its first task.
    pub started: Time,
    /// Last completion.
    pub ended: Time,
    /// Run times of all tasks together, ns.
    pub total: u64,
    /// Longest run time, ns.
    pub longest: u64,
}

impl Span {
    pub(super) fn restart(&mut self, now: Time) {
        *self = Self { started: now, ended: now, total: 0, longest: 0 };
    }

    pub(super) fn add(&mut self, run_time: u64, now: Time) {
        self.ended = self.ended.max(now);
        self.total = self.total.saturating_add(run_time);
        self.longest = self.longest.max(run_time);
    }

    /// How long it took, ns.
    pub fn makespan(&self) -> u64 {
        self.ended.since(self.started)
    }

    /// No schedule on that many workers takes less, ns.
    pub fn lower_bound(&self, workers: usize) -> u64 {
        self.longest.max(self.total / workers.max(1) as u64)
    }
}

/// Figures of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneFigures {
    /// Workers that have joined.
    pub workers: usize,
    /// Of these, those that are not parked.
    pub awake: usize,
    /// Tasks in queues.
    pub queued: usize,
    /// Of these, those that belong to no worker.
    pub free: usize,
    /// Tasks taken that are not known to have begun.
    pub ahead: usize,
    /// Tasks known to have begun.
    pub running: usize,
    /// Load of all workers, ns.
    pub load: u64,
    /// The current or last stretch of work.
    pub span: Span,
}

impl<P> Scheduler<P> {
    /// Figures of a lane.
    pub fn lane(&self, lane: Lane) -> LaneFigures {
        let state = &self.lanes[lane as usize];
        LaneFigures {
            workers: state.joined,
            awake: state.awake,
            queued: state.queued,
            free: state.injector.len(),
            ahead: state.ahead,
            running: state.running,
            load: state.load,
            span: self.spans[lane as usize],
        }
    }

    /// Figures of a worker; `None` when there is no such worker.
    pub fn worker(&self, worker: WorkerRef) -> Option<WorkerFigures> {
        let state = self.lanes[worker.lane as usize].workers.get(worker.index as usize)?;
        state.joined().then(|| WorkerFigures {
            launched: state.launched,
            ready: state.ready,
            parked: state.parked,
            queued: state.own(),
            ahead: state.ahead.len(),
            running: state.running.len(),
            load: state.load,
            completed: state.completed,
            stolen: state.stolen,
        })
    }

    /// Tasks admitted and not begun, as far as known.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.queued + lane.ahead).sum()
    }

    /// Tasks known to have begun.
    pub fn running(&self) -> usize {
        self.lanes.iter().map(|lane| lane.running).sum()
    }

    /// Tasks admitted and not finished.
    pub fn admitted(&self) -> usize {
        self.slab.len()
    }

    /// Bytes in admitted and unfinished tasks.
    pub fn admitted_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.slab.len() == 0
    }

    /// Whether nothing is admitted any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Tasks that workers took from others so far.
    pub fn steals(&self) -> u64 {
        self.steals
    }

    /// Tasks that have a deadline to come.
    pub fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    /// Places for task records, in use or free: what memory is taken for.
    pub fn places(&self) -> usize {
        self.slab.places()
    }

    /// Bytes of one place.
    pub fn place_size() -> usize {
        size_of::<super::task::Record<P>>()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
