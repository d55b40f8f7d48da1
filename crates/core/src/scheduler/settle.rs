//! Stage: run and complete. Thread: whoever holds the pool's lock.
//! How tasks begin, wait for others, and leave.

use super::task::{Cancelled, Completed, Expired, Lane, State, Status, TaskId, Time, WorkerRef};
use super::{Claims, Scheduler};

impl<P> Scheduler<P> {
    /// Notes that a taken task has begun. Needed for tasks whose deadline counts from there, see
    /// [`Taken::report_begin`](super::Taken::report_begin). `false` when nobody has taken the task.
    pub fn began(&mut self, id: TaskId, now: Time) -> bool {
        let Some(slot) =
            self.slab.find(id).filter(|slot| matches!(self.slab[*slot].state, State::Ahead | State::Running))
        else {
            return false;
        };
        if self.slab[slot].state == State::Ahead {
            self.begun(slot, now);
        }
        let from_start = self.slab[slot].start_limit();
        if from_start != u64::MAX {
            self.slab[slot].set_start_limit(u64::MAX);
            self.deadlines.set(&mut self.slab, slot, now.after(from_start));
        }
        true
    }

    /// A begun task waits for tasks that it submitted: it no longer counts against its worker's concurrency. An awake
    /// worker comes by afterwards, to take or to park.
    pub fn block(&mut self, id: TaskId, now: Time, wakes: &mut Vec<WorkerRef>) -> bool {
        self.began(id, now);
        self.set_blocked(id, true, wakes)
    }

    /// The wait is over. The worker may now be above its concurrency; it takes nothing until it is below again.
    pub fn unblock(&mut self, id: TaskId, wakes: &mut Vec<WorkerRef>) -> bool {
        self.set_blocked(id, false, wakes)
    }

    fn set_blocked(&mut self, id: TaskId, blocked: bool, wakes: &mut Vec<WorkerRef>) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        let record = &mut self.slab[slot];
        if record.state != State::Running || record.blocked == blocked {
            return false;
        }
        record.blocked = blocked;
        let (name, holder) = (record.lane as usize, record.holder);
        let lane = &mut self.lanes[name];
        let count = &mut lane.at(holder).blocked;
        *count = if blocked { *count + 1 } else { *count - 1 };
        lane.refresh_and_call(holder, wakes);
        lane.balance(wakes);
        true
    }

    /// A worker has finished a task: the record goes, and the run time is learned if it succeeded. The worker takes or
    /// parks next. `None` when the task is not with that worker.
    ///
    /// # Complexity
    ///
    /// O(1); O(log deadlines) with a deadline, O(log workers) while others may steal from this worker.
    pub fn complete(
        &mut self,
        worker: WorkerRef,
        id: TaskId,
        run_time: u64,
        succeeded: bool,
        now: Time,
    ) -> Option<Completed> {
        let slot = self.slab.find(id)?;
        let record = &self.slab[slot];
        if !matches!(record.state, State::Ahead | State::Running) || self.holder(slot) != worker {
            return None;
        }
        let cost_key = record.cost;
        if succeeded {
            self.costs.learn(cost_key, run_time);
        }
        self.spans[worker.lane as usize].add(run_time, now);
        let lane = &mut self.lanes[worker.lane as usize];
        lane.unhand(&mut self.slab, slot);
        if lane.at(worker.index).parked {
            lane.rouse(worker.index);
        }
        let state = lane.at(worker.index);
        state.completed += 1;
        state.searching = true;
        lane.refresh_later(worker.index);
        self.forget(slot);
        Some(Completed { cost_key })
    }

    /// Gives a task up. One that has not begun is gone; one that has stays on the books until it completes.
    pub fn cancel(&mut self, id: TaskId, now: Time, claims: &mut dyn Claims<P>) -> Cancelled<P> {
        let Some(slot) = self.slab.find(id) else { return Cancelled::Unknown };
        match self.withdraw_unbegun(slot, now, claims) {
            Some(payload) => Cancelled::Waiting(payload),
            None => Cancelled::Running(self.holder(slot)),
        }
    }

    /// Takes a task out for good, unless it has begun.
    fn withdraw_unbegun(&mut self, slot: u32, now: Time, claims: &mut dyn Claims<P>) -> Option<P> {
        match self.slab[slot].state {
            State::Queued => Some(self.withdraw(slot)),
            State::Ahead => {
                let payload = self.revoke(slot, now, claims)?;
                self.forget(slot);
                Some(payload)
            }
            State::Aside => {
                let payload = self.slab[slot].payload.take();
                self.forget(slot);
                payload
            }
            State::Running | State::Vacant => None,
        }
    }

    /// Adds the tasks whose deadlines have passed to `out`, by deadline.
    pub fn expire(&mut self, now: Time, claims: &mut dyn Claims<P>, out: &mut Vec<Expired<P>>) {
        while let Some(slot) = self.deadlines.pop(&mut self.slab, now) {
            let id = self.slab[slot].id(slot);
            if let Some(payload) = self.withdraw_unbegun(slot, now, claims) {
                out.push(Expired::Waiting(id, payload));
            } else {
                // Told once: no deadline counts for it any more.
                self.deadlines.remove(&mut self.slab, slot);
                self.slab[slot].set_start_limit(u64::MAX);
                out.push(Expired::Running(id, self.holder(slot)));
            }
        }
    }

    /// When the next deadline passes.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Takes out what has not begun and is `wanted`, in order of admission. `wanted` is asked with the lane of each task and
    /// with its payload, unless a worker has taken it.
    pub fn reject_waiting(
        &mut self,
        wanted: &dyn Fn(Lane, Option<&P>) -> bool,
        now: Time,
        claims: &mut dyn Claims<P>,
        out: &mut Vec<(TaskId, P)>,
    ) {
        let occupied = self.slab.occupied().filter(|slot| {
            let record = &self.slab[*slot];
            wanted(record.lane, record.payload.as_ref())
        });
        let mut slots: Vec<u32> = occupied.collect();
        slots.sort_unstable_by_key(|slot| self.slab[*slot].seq);
        for slot in slots {
            let id = self.slab[slot].id(slot);
            if let Some(payload) = self.withdraw_unbegun(slot, now, claims) {
                out.push((id, payload));
            }
        }
    }

    /// Where a task is; `None` when it is not admitted (any more).
    pub fn status(&self, id: TaskId) -> Option<Status> {
        let slot = self.slab.find(id)?;
        match self.slab[slot].state {
            State::Queued | State::Aside => Some(Status::Queued),
            State::Ahead => Some(Status::Ahead(self.holder(slot))),
            State::Running => Some(Status::Running(self.holder(slot))),
            State::Vacant => None,
        }
    }
}
