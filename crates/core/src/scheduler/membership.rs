//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Workers that come and go.

use super::index_set::IndexSet;
use super::slab::NIL;
use super::task::{Hold, Lane, TaskId, Time, WorkerRef};
use super::worker::{Presence, Worker};
use super::{Claims, Schedule, Scheduler};
use std::collections::BTreeMap;

/// Tasks that a leaving worker took out of the scheduler.
#[derive(Debug, PartialEq, Eq)]
pub struct LeaveReport<P> {
    /// Those it had begun, in order of admission.
    pub running: Vec<TaskId>,
    /// Those forced to it, not begun, when no replacement comes; in order of admission.
    pub orphaned: Vec<(TaskId, P)>,
}

impl<P> Default for LeaveReport<P> {
    fn default() -> Self {
        Self { running: Vec::new(), orphaned: Vec::new() }
    }
}

impl<P> Scheduler<P> {
    /// Adds a worker. One that is not `launched` counts as parked: its thread is to be started when it is first named
    /// in `wakes`. A launched one takes or parks next. `false` when it is there already.
    pub fn join(&mut self, worker: WorkerRef, launched: bool, wakes: &mut Vec<WorkerRef>) -> bool {
        let lane = &mut self.lanes[worker.lane as usize];
        let index = worker.index as usize;
        if index >= lane.workers.len() {
            lane.workers.resize_with(index + 1, Worker::absent);
        }
        let state = &mut lane.workers[index];
        if state.joined() {
            return false;
        }
        state.presence = Presence::Joined;
        (state.launched, state.parked, state.searching) = (launched, !launched, launched);
        lane.joined += 1;
        lane.load += state.load;
        lane.awake += usize::from(launched);
        lane.refresh_and_call(worker.index, wakes);
        lane.balance(wakes);
        true
    }

    /// Each worker that is there gets one of the next tasks without affinity, with strong affinity: whoever makes a pool of
    /// n workers finds all of them in use with the n-th task, however little a task takes. Not where the longest go first.
    pub fn serve_each(&mut self, lane: Lane) {
        if self.config.schedule != Schedule::Fifo {
            return;
        }
        let lane = &mut self.lanes[lane as usize];
        let mut unserved = Box::<IndexSet>::default();
        for index in (0..lane.workers.len() as u32).filter(|index| lane.is_joined(*index)) {
            unserved.insert(index);
        }
        lane.unserved = Some(unserved);
    }

    /// The thread of a worker has been started. It comes by, also if it was never woken.
    pub fn set_launched(&mut self, worker: WorkerRef) {
        let lane = &mut self.lanes[worker.lane as usize];
        if lane.joined_worker(worker.index).is_some_and(|state| state.parked && !state.launched) {
            lane.rouse(worker.index);
        }
    }

    /// Removes a worker. What it has begun leaves with it. What it has taken and not begun goes back to its old place.
    /// What waits for it becomes free, or falls to another worker if it was there for its key; what is forced to it
    /// waits for the replacement with the same number (`replaced`), or leaves too.
    ///
    /// # Complexity
    ///
    /// Linear in the tasks moved and in those of the queues they move to, times the log of their bands.
    pub fn leave(
        &mut self,
        worker: WorkerRef,
        replaced: bool,
        claims: &mut dyn Claims<P>,
        now: Time,
        out: &mut LeaveReport<P>,
        wakes: &mut Vec<WorkerRef>,
    ) {
        let name = worker.lane as usize;
        let is_joined = self.lanes[name].is_joined(worker.index);
        // One that has retired leaves what it still runs, and nothing else.
        let Some(state) = self.lanes[name].workers.get(worker.index as usize) else { return };
        if !is_joined && state.running.len() == 0 {
            return;
        }
        let homeless = if is_joined { self.revoke_ahead(worker, claims, now) } else { Vec::new() };
        let mut running: Vec<u32> =
            self.lanes[name].workers[worker.index as usize].running.iter(&self.slab).collect();
        running.sort_unstable_by_key(|slot| self.slab[*slot].seq);
        for slot in running {
            out.running.push(self.slab[slot].id(slot));
            self.lanes[name].unhand(&mut self.slab, slot);
            self.forget(slot);
        }
        if is_joined {
            self.evacuate(worker, replaced, homeless, out, wakes);
        }
    }

    /// Ends a worker's membership while it still runs tasks: it takes nothing more. What it has taken and not begun, and
    /// what waits for it, goes elsewhere as with [`leave`](Scheduler::leave), which follows when its thread is gone; tasks
    /// forced to it wait for the replacement (`replaced`), or leave too. Its running tasks complete as ever.
    pub fn retire(
        &mut self,
        worker: WorkerRef,
        replaced: bool,
        claims: &mut dyn Claims<P>,
        now: Time,
        out: &mut LeaveReport<P>,
        wakes: &mut Vec<WorkerRef>,
    ) {
        if !self.lanes[worker.lane as usize].is_joined(worker.index) {
            return;
        }
        let homeless = self.revoke_ahead(worker, claims, now);
        self.evacuate(worker, replaced, homeless, out, wakes);
    }

    /// Whether tasks that the worker runs wait for others.
    pub fn is_waiting(&self, worker: WorkerRef) -> bool {
        let workers = &self.lanes[worker.lane as usize].workers;
        workers.get(worker.index as usize).is_some_and(|state| state.blocked > 0)
    }

    /// Whether there is such a worker.
    pub fn is_joined(&self, worker: WorkerRef) -> bool {
        self.lanes[worker.lane as usize].is_joined(worker.index)
    }

    /// Nobody comes after a worker that has left: no task may be forced to its number any more. To be called when none is.
    pub fn vacate(&mut self, worker: WorkerRef) {
        let lane = &mut self.lanes[worker.lane as usize];
        if lane.presence(worker.index) == Presence::Vacant {
            let state = lane.at(worker.index);
            debug_assert!(state.own() == 0, "tasks wait for it");
            state.presence = Presence::Absent;
        }
    }

    /// The same for all workers of a lane that have left and run nothing.
    pub fn vacate_all(&mut self, lane: Lane) {
        for index in 0..self.lanes[lane as usize].workers.len() as u32 {
            if self.lanes[lane as usize].at(index).held() == 0 {
                self.vacate(WorkerRef { lane, index });
            }
        }
    }

    /// Lets tasks be forced to numbers below `workers` although nobody is there: they wait for somebody to join. 0 at first.
    pub fn set_limit(&mut self, lane: Lane, workers: u32) {
        self.lanes[lane as usize].limit = workers;
    }

    /// Numbers that nobody has, and which tasks wait for.
    pub fn missing(&self, lane: Lane) -> Vec<u32> {
        let workers = (0..).zip(&self.lanes[lane as usize].workers);
        let missing = workers.filter(|(_, worker)| worker.presence == Presence::Vacant && worker.own() > 0);
        missing.map(|(index, _)| index).collect()
    }

    /// Takes back what a worker has not begun.
    fn revoke_ahead(&mut self, worker: WorkerRef, claims: &mut dyn Claims<P>, now: Time) -> Vec<u32> {
        let mut revoked = Vec::new();
        for slot in self.lanes[worker.lane as usize].ahead_of(&self.slab, worker.index) {
            if let Some(payload) = self.revoke(slot, now, claims) {
                self.slab[slot].payload = Some(payload);
                revoked.push(slot);
            }
        }
        revoked
    }

    /// Ends a membership and finds places for what waits for the worker, and for `homeless`.
    fn evacuate(
        &mut self,
        worker: WorkerRef,
        replaced: bool,
        mut homeless: Vec<u32>,
        out: &mut LeaveReport<P>,
        wakes: &mut Vec<WorkerRef>,
    ) {
        let name = worker.lane as usize;
        self.dismiss(worker, replaced);
        let state = &self.lanes[name].workers[worker.index as usize];
        let mut queued = state.light.members(&self.slab);
        queued.extend(state.strong.members(&self.slab));
        if !replaced {
            queued.extend(state.forced.members(&self.slab));
        }
        for slot in queued {
            self.lanes[name].detach(&mut self.slab, slot);
            homeless.push(slot);
        }
        homeless.sort_unstable_by_key(|slot| self.slab[*slot].seq);
        self.settle_homeless(worker, &homeless, out, wakes);
        self.lanes[name].balance(wakes);
    }

    /// Ends a worker's membership; its queues stay as they are.
    fn dismiss(&mut self, worker: WorkerRef, replaced: bool) {
        let lane = &mut self.lanes[worker.lane as usize];
        let state = lane.at(worker.index);
        state.presence = if replaced { Presence::Vacant } else { Presence::Absent };
        let (parked, load) = (state.parked, state.load);
        lane.joined -= 1;
        lane.load -= load;
        lane.awake -= usize::from(!parked);
        lane.refresh(worker.index);
        let state = lane.at(worker.index);
        (state.launched, state.ready, state.parked, state.searching) = (false, false, false, false);
    }

    /// Finds places for tasks in no queue, given in order of admission.
    fn settle_homeless(
        &mut self,
        left: WorkerRef,
        slots: &[u32],
        out: &mut LeaveReport<P>,
        wakes: &mut Vec<WorkerRef>,
    ) {
        let name = left.lane as usize;
        let mut places: BTreeMap<(u32, u8), (Hold, Vec<u32>)> = BTreeMap::new();
        for slot in slots.iter().copied() {
            let home = self.slab[slot].home;
            let waits = home == left.index
                && self.slab[slot].hold == Hold::Forced
                && self.lanes[name].presence(home) == Presence::Vacant;
            if home != NIL && !waits && !self.lanes[name].is_joined(home) && !self.rehome(slot) {
                let payload = self.slab[slot].payload.take().expect("it came with its payload");
                out.orphaned.push((self.slab[slot].id(slot), payload));
                self.forget(slot);
                continue;
            }
            let record = &self.slab[slot];
            places.entry((record.home, record.hold as u8)).or_insert((record.hold, Vec::new())).1.push(slot);
        }
        for ((home, _), (hold, slots)) in places {
            let lane = &mut self.lanes[name];
            lane.attach_all(&mut self.slab, hold, home, &slots);
            if home != NIL {
                lane.refresh_and_call(home, wakes);
            }
        }
    }
}
