//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Tasks that a worker has begun and gives back, to be run again: at once, or not before a certain time.

use super::Scheduler;
use super::slab::{NIL, Slab};
use super::task::{Hold, Lane, State, TaskId, Time, WorkerRef};
use super::worker::Presence;
use std::collections::BTreeSet;

/// Tasks that are not to be taken before a time, by that time and then by admission.
#[derive(Debug, Default)]
pub(super) struct Aside {
    entries: BTreeSet<(Time, u64, u32)>,
}

impl Aside {
    fn next(&self) -> Option<Time> {
        self.entries.first().map(|(at, ..)| *at)
    }

    /// Takes a task out, if it is in.
    pub(super) fn remove<P>(&mut self, slab: &Slab<P>, slot: u32) {
        let record = &slab[slot];
        if record.state == State::Aside {
            self.entries.remove(&(record.resume(), record.seq, slot));
        }
    }
}

impl<P> Scheduler<P> {
    /// A worker gives back a task that it has begun, with what it needs to run again. It waits at its old place, from
    /// `resume` on if that is given. A deadline that counts from its start, in nanoseconds, counts from the next start. The
    /// worker takes or parks next, as after [`complete`](Scheduler::complete).
    ///
    /// # Errors
    ///
    /// The payload, when the task is not with that worker; or when it is forced to a worker that is gone for good: then it is
    /// not admitted any more.
    pub fn give_back(
        &mut self,
        worker: WorkerRef,
        id: TaskId,
        payload: P,
        resume: Option<Time>,
        deadline_from_start: Option<u64>,
        wakes: &mut Vec<WorkerRef>,
    ) -> Result<(), P> {
        let held = self.slab.find(id).filter(|slot| {
            matches!(self.slab[*slot].state, State::Ahead | State::Running) && self.holder(*slot) == worker
        });
        let Some(slot) = held else { return Err(payload) };
        let lane = &mut self.lanes[worker.lane as usize];
        lane.unhand(&mut self.slab, slot);
        if lane.at(worker.index).parked {
            lane.rouse(worker.index);
        }
        lane.at(worker.index).searching = lane.is_joined(worker.index);
        lane.refresh(worker.index);
        if let Some(nanos) = deadline_from_start {
            self.deadlines.remove(&mut self.slab, slot);
            self.slab[slot].set_start_limit(nanos);
        }
        let Some(at) = resume else {
            return self.put_back(slot, payload, wakes);
        };
        let record = &mut self.slab[slot];
        record.payload = Some(payload);
        record.set_aside(at);
        self.aside.entries.insert((at, record.seq, slot));
        Ok(())
    }

    /// When the next task that was set aside may be taken.
    pub fn next_resume(&self) -> Option<Time> {
        self.aside.next()
    }

    /// Lets the tasks wait as others do whose time has come. How many. Those forced to a worker that is gone for good are
    /// added to `orphaned`, and not admitted any more.
    pub fn resume(
        &mut self,
        now: Time,
        orphaned: &mut Vec<(TaskId, P)>,
        wakes: &mut Vec<WorkerRef>,
    ) -> usize {
        let mut count = 0;
        while let Some((at, seq, slot)) = self.aside.entries.first().copied()
            && at <= now
        {
            self.aside.entries.remove(&(at, seq, slot));
            let payload = self.slab[slot].payload.take().expect("a task aside has its payload");
            let id = self.slab[slot].id(slot);
            match self.put_back(slot, payload, wakes) {
                Ok(()) => count += 1,
                Err(payload) => orphaned.push((id, payload)),
            }
        }
        count
    }

    /// Tasks of a lane that are set aside. O(those set aside).
    pub fn set_aside(&self, lane: Lane) -> usize {
        self.aside.entries.iter().filter(|(.., slot)| self.slab[*slot].lane == lane).count()
    }

    /// Puts a task that is in no list into its queue. One that is forced to nobody is forgotten, and its payload returned.
    fn put_back(&mut self, slot: u32, payload: P, wakes: &mut Vec<WorkerRef>) -> Result<(), P> {
        let record = &mut self.slab[slot];
        // In no queue and in no tree.
        record.state = State::Running;
        let (name, home, hold) = (record.lane as usize, record.home, record.hold);
        let waits =
            hold == Hold::Forced && home != NIL && self.lanes[name].presence(home) == Presence::Vacant;
        if home != NIL && !waits && !self.lanes[name].is_joined(home) && !self.rehome(slot) {
            self.forget(slot);
            return Err(payload);
        }
        self.slab[slot].payload = Some(payload);
        self.lanes[name].attach(&mut self.slab, slot, false);
        let home = self.slab[slot].home;
        if home != NIL {
            self.lanes[name].refresh_and_call(home, wakes);
        }
        self.lanes[name].balance(wakes);
        Ok(())
    }
}
