//! Stage: schedule. Thread: whoever holds the pool's lock.
//! The scheduler: a state machine without threads, clock, locks or chance. What surrounds it passes the time in, keeps
//! it under one lock, and wakes the workers that it names.
//!
//! S1. Every admitted task leaves exactly once: it completes, or comes back from `cancel`, `expire` or
//!     `reject_waiting` before it began, or is in the report of a leaving worker.
//! S2. A forced task runs on its worker only.
//! S3. No worker is parked while a task that it may run waits and nobody awake is coming for it.
//! S4. With equal priority and no other rule, tasks are handed out in the order in which they were admitted.
//! S5. Memory is bounded by the tasks admitted at once; nothing is deleted lazily.
//! S6. A higher priority goes first, and waiting raises priority, so that every task has its turn.
//! S7. A strong task moves only away from a worker whose load is more than twice the average.
//!
//! The protocol between this and the workers, and the reasons, are in `docs/design/scheduler.md`.

mod affinity;
mod aside;
mod config;
mod costs;
mod deadlines;
mod figures;
mod help;
mod index_set;
mod lane;
mod list;
mod membership;
mod queue;
mod settle;
mod slab;
mod submit;
mod take;
mod task;
mod worker;

pub use config::{Config, Schedule};
pub use costs::{CostKey, CostTable, LearnedCost};
pub use figures::{LaneFigures, Span};
pub use membership::LeaveReport;
pub use take::{TINY, batch_limit};
pub use task::{
    Affinity, Cancelled, Completed, Expired, Lane, Rejected, Status, Strength, Taken, TaskId, TaskSpec, Time,
    WorkerRef,
};
pub use worker::WorkerFigures;

use deadlines::Deadlines;
use slab::{NIL, Slab};
use task::{Hold, State};

/// How the scheduler asks for a task back that a worker has taken and may have begun in the meantime.
pub trait Claims<P> {
    /// The payload when the task had not begun: then it never will, there. `None` when it has.
    fn revoke(&mut self, worker: WorkerRef, id: TaskId) -> Option<P>;
}

/// All tasks, queues and workers of a pool. `P` is what a task carries; it is never looked at.
///
/// A worker that was named in `wakes`, whose last `take` came back empty, or which has completed a task, owes a
/// [`Scheduler::take`] or a [`Scheduler::park`]: until then it counts as coming for work, and nobody is woken in its
/// place.
#[derive(Debug)]
pub struct Scheduler<P> {
    slab: Slab<P>,
    lanes: [lane::Lane; Lane::COUNT],
    deadlines: Deadlines,
    aside: aside::Aside,
    /// Learned run times.
    pub costs: CostTable,
    config: Config,
    closed: bool,
    next_seq: u64,
    bytes: usize,
    steals: u64,
    spans: [Span; Lane::COUNT],
}

impl<P> Scheduler<P> {
    /// A scheduler without workers and tasks.
    pub fn new(config: Config) -> Self {
        let lane = |name: Lane| {
            lane::Lane::new(
                name,
                config.concurrency[name as usize],
                config.eager[name as usize],
                config.ageing,
            )
        };
        Self {
            slab: Slab::new(),
            lanes: Lane::ALL.map(lane),
            deadlines: Deadlines::default(),
            aside: aside::Aside::default(),
            costs: CostTable::new(config.cost_keys),
            config,
            closed: false,
            next_seq: 0,
            bytes: 0,
            steals: 0,
            spans: [Span::default(); Lane::COUNT],
        }
    }

    /// The generation of the next task that is admitted.
    pub fn next_generation(&self) -> u32 {
        self.next_seq as u32
    }

    /// Admits nothing from now on; what was admitted goes on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Wakes workers that have become able to steal without anything being submitted or taken: a strong task may
    /// become movable when the load of *other* workers drops. To be called after `complete`, `cancel` and `expire` when
    /// no `take` follows; nothing is lost but time if it is not.
    pub fn rebalance(&mut self, wakes: &mut Vec<WorkerRef>) {
        self.lanes.iter_mut().for_each(|lane| lane.balance(wakes));
    }

    /// Forgets a task that is in no list any more.
    fn forget(&mut self, slot: u32) {
        self.deadlines.remove(&mut self.slab, slot);
        self.aside.remove(&self.slab, slot);
        self.bytes -= self.slab[slot].bytes as usize;
        self.slab.remove(slot);
    }

    /// Who has taken the task.
    fn holder(&self, slot: u32) -> WorkerRef {
        let record = &self.slab[slot];
        WorkerRef { lane: record.lane, index: record.holder }
    }

    /// Notes that a task ahead has begun. A deadline that counts from there is at the latest set from now; the worker's
    /// own report may move it forward.
    fn begun(&mut self, slot: u32, now: Time) {
        let record = &self.slab[slot];
        let (lane, holder, from_start) = (record.lane, record.holder, record.start_limit());
        self.lanes[lane as usize].mark_running(&mut self.slab, slot);
        self.lanes[lane as usize].refresh(holder);
        if from_start != u64::MAX {
            self.deadlines.set(&mut self.slab, slot, now.after(from_start));
        }
    }

    /// Tries to get a task ahead back. If it has begun it is running from now on; else it is in no list, and its payload
    /// is returned.
    fn revoke(&mut self, slot: u32, now: Time, claims: &mut dyn Claims<P>) -> Option<P> {
        let holder = self.holder(slot);
        if let Some(payload) = claims.revoke(holder, self.slab[slot].id(slot)) {
            let lane = &mut self.lanes[holder.lane as usize];
            lane.unhand(&mut self.slab, slot);
            lane.came_back(holder.index);
            return Some(payload);
        }
        self.begun(slot, now);
        None
    }

    /// Finds a new place for a queued or revoked task whose worker is gone: a key falls to another worker, the rest is
    /// free. `false` when it is forced and there is no such place.
    fn rehome(&mut self, slot: u32) -> bool {
        let record = &self.slab[slot];
        let (lane, hold) = (&mut self.lanes[record.lane as usize], record.hold);
        let heir = record.keyed.then(|| lane.heir(record.key_hash)).flatten();
        let record = &mut self.slab[slot];
        match heir {
            Some(index) if hold == Hold::Forced || lane.is_joined(index) => record.home = index,
            _ if hold == Hold::Forced => return false,
            _ => (record.hold, record.home) = (Hold::Free, NIL),
        }
        true
    }

    /// Puts a revoked task back to its old place.
    fn requeue(&mut self, slot: u32, payload: P, wakes: &mut Vec<WorkerRef>) {
        let record = &mut self.slab[slot];
        record.payload = Some(payload);
        let (lane, home) = (record.lane as usize, record.home);
        if home != NIL && !self.lanes[lane].is_joined(home) {
            let placed = self.rehome(slot);
            debug_assert!(placed, "a forced task is taken by its own worker only");
        }
        self.lanes[lane].attach(&mut self.slab, slot, false);
        let home = self.slab[slot].home;
        if home != NIL {
            self.lanes[lane].refresh_and_call(home, wakes);
        }
    }

    /// Takes a queued task out for good.
    fn withdraw(&mut self, slot: u32) -> P {
        let record = &mut self.slab[slot];
        debug_assert!(record.state == State::Queued);
        let payload = record.payload.take().expect("a queued task has its payload");
        let (lane, home) = (record.lane as usize, record.home);
        self.lanes[lane].detach(&mut self.slab, slot);
        if home != NIL {
            self.lanes[lane].refresh(home);
        }
        self.forget(slot);
        payload
    }
}
