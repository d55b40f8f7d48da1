//! Stage: schedule. Thread: whoever holds the pool's lock.
//! What a worker gets when it comes by: its own and free tasks first, then those of others.

use super::slab::NIL;
use super::task::{Hold, Lane, Taken, Time, WorkerRef};
use super::{Claims, Scheduler};
use std::iter::once_with;

/// A task whose measured cost is below this, in nanoseconds, is tiny: fetching the next one costs about as much as
/// running it, so several are taken at a time.
pub const TINY: u64 = 20_000;
/// Most expected run time that one `take` hands out, ns.
const AHEAD: u64 = 100_000;

/// How many tasks one `take` hands out, judged by the first one; those after it must be tiny too.
///
/// One, unless its measured cost is below [`TINY`]: what is taken is harder to move than what waits. One also while
/// `others_idle`, that is, while a worker is idle that may run it, since that one is about to be woken for the rest.
/// Otherwise the worker's share of the `free` tasks among the workers `awake`, and all its `own`, up to `max`, and up to
/// 100 µs of expected run time.
pub fn batch_limit(
    max: usize,
    measured: Option<u64>,
    others_idle: bool,
    free: usize,
    own: usize,
    awake: usize,
) -> usize {
    if others_idle || measured.is_none_or(|nanos| nanos >= TINY) {
        return max.min(1);
    }
    let in_time = measured.map_or(1, |nanos| AHEAD / nanos.max(1)) as usize;
    (free / awake.max(1) + own).min(in_time).max(1).min(max)
}

/// One worker's visit.
struct Visit<'a, P> {
    worker: WorkerRef,
    max: usize,
    now: Time,
    /// Whether somebody else is idle who could run free tasks.
    others_idle: bool,
    out: &'a mut Vec<Taken<P>>,
    /// Length of `out` before.
    before: usize,
    limit: usize,
}

impl<P> Visit<'_, P> {
    fn taken(&self) -> usize {
        self.out.len() - self.before
    }
}

impl<P> Scheduler<P> {
    /// Hands tasks to a worker, which has to begin them in this order. Until it does they can be revoked. An empty
    /// result means that there is nothing for it, or that it has no room.
    ///
    /// # Complexity
    ///
    /// O(1) per task in the best band, else O(log n). O(log workers) for a steal, and a claim per task that turns out
    /// to have begun, at most one for each task ever.
    pub fn take(
        &mut self,
        worker: WorkerRef,
        max: usize,
        now: Time,
        claims: &mut dyn Claims<P>,
        out: &mut Vec<Taken<P>>,
        wakes: &mut Vec<WorkerRef>,
    ) {
        let lane = &mut self.lanes[worker.lane as usize];
        lane.catch_up();
        let index = worker.index;
        let Some(state) = lane.joined_worker(index) else { return };
        state.ready = true;
        state.searching = true;
        if state.parked {
            lane.rouse(index);
        }
        if max > 0 && lane.at(index).occupying() < lane.concurrency as usize {
            // Who takes is not idle, so idle ones are others.
            let others_idle = lane.idle > 0;
            let before = out.len();
            let mut visit = Visit { worker, max, now, others_idle, out, before, limit: 0 };
            self.take_own(&mut visit);
            if visit.taken() == 0 && self.lanes[worker.lane as usize].eager {
                self.steal(&mut visit, claims);
            }
            if visit.taken() > 0 {
                self.lanes[worker.lane as usize].at(index).searching = false;
            }
        }
        let lane = &mut self.lanes[worker.lane as usize];
        lane.refresh(index);
        lane.balance(wakes);
    }

    /// Marks a worker parked, after an empty `take` under the same lock. `false`, and not parked, when there is
    /// something that it may take. It has begun all that it took before.
    pub fn park(&mut self, worker: WorkerRef, now: Time) -> bool {
        let lane = &mut self.lanes[worker.lane as usize];
        lane.catch_up();
        let concurrency = lane.concurrency as usize;
        let Some(state) = lane.joined_worker(worker.index) else { return true };
        if state.parked {
            return true;
        }
        if state.occupying() < concurrency && lane.may_take(worker.index) {
            return false;
        }
        for slot in lane.ahead_of(&self.slab, worker.index) {
            self.begun(slot, now);
        }
        let lane = &mut self.lanes[worker.lane as usize];
        let state = lane.at(worker.index);
        (state.ready, state.parked, state.searching) = (true, true, false);
        lane.awake -= 1;
        lane.refresh(worker.index);
        true
    }

    fn measured(&self, slot: u32) -> Option<u64> {
        self.slab[slot].cost.and_then(|cost| self.costs.measured(cost))
    }

    /// Whether the visit goes on with this task; the first one sets its limit.
    fn goes_on(&self, visit: &mut Visit<'_, P>, slot: u32, free: usize, own: usize) -> bool {
        let others_idle = visit.others_idle && self.slab[slot].hold != Hold::Forced;
        if visit.taken() == 0 {
            visit.limit = match visit.max {
                1 => 1,
                max => {
                    let awake = self.lanes[visit.worker.lane as usize].awake;
                    batch_limit(max, self.measured(slot), others_idle, free, own, awake)
                }
            };
            return true;
        }
        // The begin of a task in the JS lane is not told, and its time would run while it waits behind others.
        if visit.worker.lane != Lane::Native && self.slab[slot].start_limit() != u64::MAX {
            return false;
        }
        visit.taken() < visit.limit && !others_idle && self.measured(slot).is_some_and(|nanos| nanos < TINY)
    }

    /// Moves a queued task to the visitor.
    fn give(&mut self, visit: &mut Visit<'_, P>, slot: u32) {
        let record = &mut self.slab[slot];
        let payload = record.payload.take().expect("a queued task has its payload");
        let home = record.home;
        let lane = &mut self.lanes[visit.worker.lane as usize];
        lane.detach(&mut self.slab, slot);
        if home != NIL && home != visit.worker.index {
            lane.refresh(home);
        }
        self.hand_over(visit, slot, payload);
    }

    fn hand_over(&mut self, visit: &mut Visit<'_, P>, slot: u32, payload: P) {
        self.lanes[visit.worker.lane as usize].hand(&mut self.slab, slot, visit.worker.index);
        let record = &self.slab[slot];
        // Made where it is to lie: a copy right after its fields were written waits for the processor's store buffer.
        visit.out.extend(once_with(|| Taken {
            id: record.id(slot),
            payload,
            report_begin: record.start_limit() != u64::MAX,
            tag: 0,
        }));
    }

    fn take_own(&mut self, visit: &mut Visit<'_, P>) {
        let lane = &self.lanes[visit.worker.lane as usize];
        let (free, own) = (lane.injector.len(), lane.workers[visit.worker.index as usize].own());
        while let Some(slot) =
            self.lanes[visit.worker.lane as usize].choose(&self.slab, visit.worker.index, visit.now)
        {
            if !self.goes_on(visit, slot, free, own) {
                break;
            }
            self.give(visit, slot);
            if visit.taken() == visit.limit {
                break;
            }
        }
    }

    /// Light tasks of the most loaded worker; then strong ones, if the loads are too unbalanced; then what others have
    /// taken beyond what they can begin.
    fn steal(&mut self, visit: &mut Visit<'_, P>, claims: &mut dyn Claims<P>) {
        self.steal_light(visit);
        if visit.taken() == 0 {
            self.steal_strong(visit, claims);
        }
        if visit.taken() == 0 {
            self.steal_ahead(visit, claims);
        }
        let stolen = visit.taken() as u64;
        self.steals += stolen;
        self.lanes[visit.worker.lane as usize].at(visit.worker.index).stolen += stolen;
    }

    fn steal_light(&mut self, visit: &mut Visit<'_, P>) {
        let (name, now) = (visit.worker.lane as usize, visit.now);
        let Some(victim) = self.lanes[name].light_victim(visit.worker.index) else { return };
        let free = self.lanes[name].workers[victim as usize].light.len();
        let most = self.lanes[name].workers[victim as usize].own().div_ceil(2);
        while visit.taken() < most && self.lanes[name].workers[victim as usize].derived.light_open {
            let light = &self.lanes[name].workers[victim as usize].light;
            let Some(next) = light.best(&self.slab, now, self.config.ageing) else { break };
            if !self.goes_on(visit, next.slot, free, 0) {
                break;
            }
            self.give(visit, next.slot);
        }
    }

    /// One at a time: each changes the loads that the rule is about (S7).
    fn steal_strong(&mut self, visit: &mut Visit<'_, P>, claims: &mut dyn Claims<P>) {
        let (name, now) = (visit.worker.lane as usize, visit.now);
        while let Some(victim) = self.lanes[name].strong_victim(visit.worker.index) {
            let strong = &self.lanes[name].workers[victim as usize].strong;
            if let Some(next) = strong.best(&self.slab, now, self.config.ageing) {
                self.give(visit, next.slot);
                return;
            }
            // Each round either ends the search or finds that a task has begun, so the victim drops out at last.
            let ahead = self.lanes[name].ahead_of(&self.slab, victim);
            for slot in
                ahead.into_iter().filter(|slot| self.slab[*slot].hold == Hold::Strong).collect::<Vec<_>>()
            {
                if let Some(payload) = self.revoke(slot, now, claims) {
                    self.hand_over(visit, slot, payload);
                    return;
                }
            }
        }
    }

    fn steal_ahead(&mut self, visit: &mut Visit<'_, P>, claims: &mut dyn Claims<P>) {
        let (name, now) = (visit.worker.lane as usize, visit.now);
        while let Some(victim) = self.lanes[name].ahead_victim(visit.worker.index) {
            let most = self.lanes[name].workers[victim as usize].derived.ahead_demand.div_ceil(2) as usize;
            for slot in self.lanes[name].ahead_of(&self.slab, victim) {
                let open = self.lanes[name].workers[victim as usize].derived.ahead_demand > 0;
                if !open || visit.taken() == most {
                    break;
                }
                if !matches!(self.slab[slot].hold, Hold::Free | Hold::Light) {
                    continue;
                }
                if visit.taken() > 0 && !self.goes_on(visit, slot, most, 0) {
                    break;
                }
                if let Some(payload) = self.revoke(slot, now, claims) {
                    if visit.taken() == 0 {
                        self.goes_on(visit, slot, most, 0);
                    }
                    self.hand_over(visit, slot, payload);
                }
            }
            if visit.taken() > 0 {
                return;
            }
        }
    }
}
