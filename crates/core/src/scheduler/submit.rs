//! Stage: submit. Thread: whoever holds the pool's lock.
//! Admission and placement of a new task.

use super::affinity::rendezvous;
use super::lane::Lane;
use super::slab::NIL;
use super::task::{Affinity, Hold, LOAD_CAP, Length, Rejected, Strength, TaskId, TaskSpec, Time, WorkerRef};
use super::task::{LOAD_PER_TASK, worker_cost};
use super::worker::Presence;
use super::{Claims, Schedule, Scheduler};
use std::cmp::Reverse;

impl Lane {
    /// The worker that a key falls to, among those there are and those that are being replaced. It stays there.
    pub(super) fn heir(&mut self, key: u64) -> Option<u32> {
        let workers = &self.workers;
        let is_present = |index: u32| workers[index as usize].presence != Presence::Absent;
        self.homes.find(key, is_present).or_else(|| {
            let heir = rendezvous(key, (0..workers.len() as u32).filter(|index| is_present(*index)))?;
            self.homes.remember(key, heir);
            Some(heir)
        })
    }

    /// The worker on which load and cost of the task together are least; ties go to the least load, then the lowest
    /// number.
    fn cheapest(&self, expected: u64, costs: &[f32]) -> Option<u32> {
        let joined = self.workers.iter().enumerate().filter(|(_, worker)| worker.joined());
        joined
            .map(|(index, worker)| {
                let cost = (expected + worker_cost(costs, index as u32)).min(LOAD_CAP) + LOAD_PER_TASK;
                (worker.load + cost, worker.load, index as u32)
            })
            .min()
            .map(|(_, _, index)| index)
    }

    /// The next worker that is to get a first task, which it now gets.
    #[cold]
    fn next_unserved(&mut self) -> Option<u32> {
        while let Some(index) = self.unserved.as_ref()?.first_from(0) {
            self.unserved.as_mut()?.remove(index);
            if self.is_joined(index) {
                return Some(index);
            }
        }
        self.unserved = None;
        None
    }

    /// Where a task goes that asks for `affinity`; `None` when it is forced to nowhere.
    #[inline]
    fn place(&mut self, affinity: Affinity, expected: u64, costs: Option<&[f32]>) -> Option<(Hold, u32)> {
        if affinity == Affinity::None && costs.is_none() && self.eager {
            let next = if self.unserved.is_some() { self.next_unserved() } else { None };
            return Some(next.map_or((Hold::Free, NIL), |index| (Hold::Strong, index)));
        }
        let (target, strength) = match affinity {
            Affinity::None => (None, None),
            Affinity::Worker { index, strength } => (Some(index), Some(strength)),
            Affinity::Key { hash, strength } => (self.heir(hash), Some(strength)),
        };
        let hold = strength.map_or(Hold::Free, Hold::from);
        let target = target.filter(|index| match self.presence(*index) {
            Presence::Absent => false,
            Presence::Vacant => hold == Hold::Forced,
            Presence::Joined => true,
        });
        if let Some(index) = target {
            if let Some(unserved) = &mut self.unserved {
                unserved.remove(index);
            }
            return Some((hold, index));
        }
        if hold == Hold::Forced {
            return None;
        }
        let by_cost =
            (costs.is_some() || !self.eager).then(|| self.cheapest(expected, costs.unwrap_or(&[]))).flatten();
        Some(by_cost.map_or((Hold::Free, NIL), |index| (Hold::Light, index)))
    }
}

impl<P> Scheduler<P> {
    /// Admits a task. Workers that it takes to serve it are added to `wakes`. Tasks of lower priority that workers have
    /// taken and not begun go back to their queues when those workers may run this one.
    ///
    /// # Errors
    ///
    /// See [`Rejected`].
    ///
    /// # Complexity
    ///
    /// O(1) for a task of the highest priority in use, with no affinity or one to a worker. O(log n) in other
    /// priorities, O(log deadlines) with a deadline, O(workers) with a new key or worker costs.
    pub fn submit(
        &mut self,
        spec: TaskSpec,
        payload: P,
        now: Time,
        claims: &mut dyn Claims<P>,
        wakes: &mut Vec<WorkerRef>,
    ) -> Result<TaskId, Rejected<P>> {
        self.submit_with(spec, || payload, now, claims, wakes)
    }

    /// As [`Scheduler::submit`], with a payload that is made where it is to lie.
    ///
    /// # Errors
    ///
    /// See [`Rejected`].
    #[expect(clippy::inline_always, reason = "so that the payload is made where it is to lie")]
    #[inline(always)]
    pub fn submit_with(
        &mut self,
        spec: TaskSpec,
        payload: impl FnOnce() -> P,
        now: Time,
        claims: &mut dyn Claims<P>,
        wakes: &mut Vec<WorkerRef>,
    ) -> Result<TaskId, Rejected<P>> {
        if self.closed {
            return Err(Rejected::Closed(payload()));
        }
        if !self.has_room(spec.bytes) {
            return Err(Rejected::Full(payload()));
        }
        let known = spec.key.and_then(|key| self.costs.measured(key)).or(spec.estimate);
        let ranked = self.config.schedule == Schedule::LongestFirst;
        let assumed = if ranked { self.costs.average() } else { 0 };
        let length = Length { nanos: known.unwrap_or(assumed), known: known.is_some(), ranked };
        let lane = &mut self.lanes[spec.lane as usize];
        if let Affinity::Worker { index, strength: Strength::Force } = spec.affinity {
            lane.expect(index);
        }
        let expected = known.unwrap_or(0).min(LOAD_CAP);
        let Some((hold, home)) = lane.place(spec.affinity, expected, spec.worker_costs.as_deref()) else {
            return Err(Rejected::NoSuchWorker(payload()));
        };
        if lane.queued + lane.ahead + lane.running == 0 {
            self.spans[spec.lane as usize].restart(now);
        }
        let lowest_ahead = lane.lowest_ahead;
        let seq = self.next_seq;
        self.next_seq += 1;
        self.bytes += spec.bytes as usize;
        let (name, affinity, deadline) = (spec.lane as usize, spec.affinity, spec.deadline);
        let slot = self.slab.occupy();
        let record = &mut self.slab[slot];
        record.admit(spec, payload, seq, now, length);
        (record.hold, record.home) = (hold, home);
        if let Affinity::Key { hash, .. } = affinity {
            (record.keyed, record.key_hash) = (hold != Hold::Free, hash);
        }
        let priority = record.priority;
        if let Some(at) = deadline {
            self.deadlines.set(&mut self.slab, slot, at);
        }
        if priority > lowest_ahead {
            self.make_way(slot, now, claims, wakes);
        }
        let lane = &mut self.lanes[name];
        lane.attach(&mut self.slab, slot, true);
        if home != NIL {
            lane.refresh_and_call(home, wakes);
        }
        lane.balance(wakes);
        Ok(self.slab[slot].id(slot))
    }

    /// Whether a task of that size would be admitted now.
    pub fn has_room(&self, bytes: u32) -> bool {
        let Some(most) = self.config.capacity_bytes else {
            return self.config.capacity_tasks.is_none_or(|most| self.slab.len() < most);
        };
        self.config.capacity_tasks.is_none_or(|tasks| self.slab.len() < tasks)
            && (self.slab.len() == 0 || self.bytes + bytes as usize <= most)
    }

    /// Tasks that were taken and not begun yield to one of higher priority, on the workers that would run that one: its
    /// own, or all if it is free and no worker is idle.
    fn make_way(&mut self, slot: u32, now: Time, claims: &mut dyn Claims<P>, wakes: &mut Vec<WorkerRef>) {
        let (name, priority, home) =
            (self.slab[slot].lane as usize, self.slab[slot].priority, self.slab[slot].home);
        if home == NIL && self.lanes[name].idle > 0 {
            return;
        }
        let mut lowest = f64::INFINITY;
        let mut yielded = Vec::new();
        let mut at = if home == NIL { self.lanes[name].ahead_holders.first_from(0) } else { Some(home) };
        while let Some(index) = at {
            for taken in self.lanes[name].ahead_of(&self.slab, index) {
                let record = &self.slab[taken];
                if record.effective(now, self.config.ageing) >= priority {
                    lowest = lowest.min(record.priority);
                } else if let Some(payload) = self.revoke(taken, now, claims) {
                    yielded.push((taken, payload));
                }
            }
            at = (home == NIL).then(|| self.lanes[name].ahead_holders.first_from(index + 1)).flatten();
        }
        if home == NIL {
            self.lanes[name].lowest_ahead = lowest;
        }
        // Latest first: each then goes to the front of its band, with no walk over the others.
        yielded.sort_unstable_by_key(|(taken, _)| Reverse(self.slab[*taken].seq));
        for (taken, payload) in yielded {
            self.requeue(taken, payload, wakes);
        }
    }
}
