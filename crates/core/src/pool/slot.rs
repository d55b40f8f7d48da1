//! Stage: run. Thread: a native worker writes its own; any thread reads.
//! What belongs to one native worker, and how the scheduler takes tasks back out of it.

use super::TAKE_AHEAD;
use super::cell::Cell;
use super::cpu::CpuClock;
use super::job::Job;
use super::js::JsWorker;
use super::stats::Counters;
use crate::scheduler::{Claims, Lane, TaskId, WorkerRef};
use crate::sleep::Parker;
use once_cell::sync::OnceCell;

/// What belongs to one native worker and is read by others.
pub(super) struct Slot {
    pub(super) parker: Parker,
    /// Made with the thread.
    pub(super) cells: OnceCell<Box<[Cell<Job>]>>,
    /// Written by the thread when it starts.
    pub(super) cpu: OnceCell<CpuClock>,
    pub(super) counters: Counters,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            parker: Parker::new(),
            cells: OnceCell::new(),
            cpu: OnceCell::new(),
            counters: Counters::default(),
        }
    }

    pub(super) fn cells(&self) -> &[Cell<Job>] {
        self.cells.get_or_init(|| (0..TAKE_AHEAD).map(|_| Cell::new()).collect())
    }

    pub(super) fn started(&self) -> bool {
        self.cells.get().is_some()
    }

    /// The cell that holds this task. Under the lock.
    pub(super) fn find(&self, id: u64) -> Option<&Cell<Job>> {
        self.cells.get()?.iter().find(|cell| cell.id() == id)
    }

    /// Whether the worker is about to tell the scheduler of tasks that it has settled.
    pub(super) fn is_behind(&self) -> bool {
        self.counters.owes() && !self.cells.get().is_some_and(|cells| cells.iter().any(Cell::is_running))
    }

    pub(super) fn record(&self, succeeded: bool, run_time: u64, wait_time: u64) {
        self.counters.record(succeeded, run_time, wait_time);
    }

    pub(super) fn settle(&self) {
        self.counters.settle();
    }

    pub(super) fn helped(&self, chunks: u64, nanos: u64) {
        self.counters.helped(chunks, nanos);
    }

    pub(super) fn stole(&self, tasks: u64) {
        self.counters.stole(tasks);
    }
}

/// The native worker with this number.
pub(super) fn native(index: u32) -> WorkerRef {
    WorkerRef { lane: Lane::Native, index }
}

/// Lets the scheduler take tasks back that workers have not begun. Only used under the lock.
pub(super) struct PoolClaims<'a> {
    pub(super) slots: &'a [Slot],
    pub(super) js: &'a mut [JsWorker],
}

impl Claims<Job> for PoolClaims<'_> {
    fn revoke(&mut self, worker: WorkerRef, id: TaskId) -> Option<Job> {
        let index = worker.index as usize;
        match worker.lane {
            Lane::Native => self.slots.get(index)?.find(id.to_bits())?.revoke(id.to_bits()),
            Lane::Js => self.js.get_mut(index)?.revoke(id),
            // It takes nothing ahead.
            Lane::Main => None,
        }
    }
}
