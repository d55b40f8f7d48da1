//! Stage: complete. Thread: whoever ended the run.
//! Tasks that run again: after a run that failed, when their submitter asked for it, or because the worker had to go for
//! another task's sake.
//!
//! G1. A task that runs again keeps its id, its place among waiting tasks and its deadline; it is not settled in between.
//! G2. A run that nobody waits for any more is not repeated.
//! G3. What is told of runs is bounded: a task whose submitter is behind with that waits before it runs again.

use super::job::Job;
use super::{Lane, Pool, State, Time, WorkerRef};
use crate::completion::{Event, Notice, Outcome};
use crate::error::ErrorCode;

/// How long a task waits whose submitter is behind, ns.
const CATCH_UP: u64 = 10_000_000;

impl Pool {
    /// Puts a task whose run has failed back, and tells its submitter. Under the lock. `Err` gives the outcome back when
    /// the task is not with that worker any more.
    pub(super) fn repeat(
        &self,
        state: &mut State,
        (worker, index): (WorkerRef, u32),
        id: crate::scheduler::TaskId,
        mut copy: Job,
        (outcome, run_time): (Outcome, u64),
        (now, wakes): (u64, &mut Vec<WorkerRef>),
    ) -> Result<(), Outcome> {
        let (ticket, sink) = (copy.ticket, copy.sink);
        let Some(policy) = &mut copy.policy else { return Err(outcome) };
        if state.rejects || !self.is_there(sink) {
            return Err(outcome);
        }
        let delay = policy.next_run();
        let (count, from_start) = (policy.retried, policy.start_limit());
        // That time was no waiting.
        copy.submitted = copy.submitted.saturating_add(run_time);
        let sink = self.sink(sink);
        let pause = if sink.is_behind() { delay.max(CATCH_UP) } else { delay };
        let resume = (pause > 0).then(|| Time(now).after(pause));
        if state.scheduler.give_back(worker, id, copy, resume, from_start, wakes).is_err() {
            return Err(outcome);
        }
        sink.deliver(Event::Retried { ticket, outcome, worker: index, count, delay, run_time });
        Ok(())
    }

    /// Lets tasks wait for a worker again whose time has come. Under the lock.
    pub(super) fn resume(&self, state: &mut State, now: u64, wakes: &mut Vec<WorkerRef>) {
        let mut orphaned = Vec::new();
        let resumed = state.scheduler.resume(Time(now), &mut orphaned, wakes);
        for (_, job) in orphaned {
            let reason = "the worker that the task was bound to is gone";
            self.settle(state, &job.label(), Outcome::refused(ErrorCode::OutOfRange, reason));
        }
        if resumed > 0 && state.scheduler.queued(Lane::Js) > 0 {
            self.tell_owner(Notice::Resumed);
        }
    }

    /// Tells the env that owns the pool, the first one attached.
    pub(super) fn tell_owner(&self, notice: Notice) {
        self.deliver_to_owner(Event::Worker { pool: self.id, notice });
    }

    pub(super) fn deliver_to_owner(&self, event: Event) {
        let owner = self.sinks.lock().first().cloned();
        if let Some(owner) = owner {
            owner.deliver(event);
        }
    }
}

impl Job {
    /// Whether it may be run again; `moves`: also for the sake of other tasks, which may run beside it even where one runs
    /// at a time, since any task may wait for some that it submits.
    pub(super) fn may_be_repeated(&self, moves: bool) -> bool {
        (moves || self.policy.as_deref().is_some_and(|policy| policy.retries > 0)) && self.lasts()
    }
}
