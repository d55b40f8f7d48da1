//! Stage: schedule. Thread: whoever holds the pool's lock.
//! One lane: its workers, the queue of free tasks, and who has to be woken.
//!
//! S3. No worker is parked while a task that it may run waits and nobody awake is coming for it: [`Lane::balance`] ends
//!     every operation that can make work or take away somebody who was coming for it.

use super::affinity::Homes;
use super::index_set::IndexSet;
use super::queue::{Candidate, Queue};
use super::slab::{NIL, Slab};
use super::task::{self, Hold, State, Time, WorkerRef};
use super::worker::{Derived, Presence, Worker};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Place of tasks that run in the order of their admission, behind those of a lower class; see `Lane::choose`.
const IN_TURN: u8 = 2;

/// Workers by load, ties with the lowest number last, so that the victim to look at first is the last.
type ByLoad = BTreeSet<(u64, Reverse<u32>)>;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: task::Lane,
    pub(super) concurrency: u32,
    pub(super) eager: bool,
    pub(super) ageing: u64,
    pub(super) workers: Vec<Worker>,
    /// Numbers below it may be named although nobody is there.
    pub(super) limit: u32,
    pub(super) homes: Homes,
    pub(super) injector: Queue,
    pub(super) joined: usize,
    pub(super) awake: usize,
    /// Tasks queued anywhere in the lane.
    pub(super) queued: usize,
    pub(super) ahead: usize,
    pub(super) running: usize,
    /// Load of all joined workers.
    pub(super) load: u64,
    /// No task ahead has a lower priority than this (before ageing).
    pub(super) lowest_ahead: f64,
    /// Workers with tasks ahead.
    pub(super) ahead_holders: IndexSet,
    /// Workers that are still to get a first task; see [`Scheduler::serve_each`](super::Scheduler::serve_each).
    pub(super) unserved: Option<Box<IndexSet>>,

    // Totals and indexes over `Worker::derived`.
    spare: usize,
    light_demand: usize,
    ahead_demand: usize,
    light_victims: ByLoad,
    strong_victims: ByLoad,
    ahead_victims: IndexSet,
    /// Idle workers whose threads exist; the one on top became idle last.
    idle_top: u32,
    idle_unlaunched: IndexSet,
    pub(super) idle: usize,
    /// The worker that [`Lane::refresh`] still owes a visit; `NIL` for none.
    stale: u32,
}

impl Lane {
    pub(super) fn new(name: task::Lane, concurrency: u32, eager: bool, ageing: u64) -> Self {
        Self {
            name,
            concurrency: concurrency.max(1),
            eager,
            ageing,
            workers: Vec::new(),
            limit: 0,
            homes: Homes::default(),
            injector: Queue::new(),
            joined: 0,
            awake: 0,
            queued: 0,
            ahead: 0,
            running: 0,
            load: 0,
            lowest_ahead: f64::INFINITY,
            ahead_holders: IndexSet::default(),
            unserved: None,
            spare: 0,
            light_demand: 0,
            ahead_demand: 0,
            light_victims: ByLoad::new(),
            strong_victims: ByLoad::new(),
            ahead_victims: IndexSet::default(),
            idle_top: NIL,
            idle_unlaunched: IndexSet::default(),
            idle: 0,
            stale: NIL,
        }
    }

    pub(super) fn joined_worker(&mut self, index: u32) -> Option<&mut Worker> {
        self.workers.get_mut(index as usize).filter(|worker| worker.joined())
    }

    /// Makes a place for the worker that a task is forced to, if it may come.
    pub(super) fn expect(&mut self, index: u32) {
        if index < self.limit && self.presence(index) == Presence::Absent {
            if index as usize >= self.workers.len() {
                self.workers.resize_with(index as usize + 1, Worker::absent);
            }
            self.at(index).presence = Presence::Vacant;
        }
    }

    /// The launched worker that parked last, if one is parked.
    pub(super) fn parked_last(&self) -> Option<u32> {
        (self.idle_top != NIL).then_some(self.idle_top)
    }

    pub(super) fn is_joined(&self, index: u32) -> bool {
        self.presence(index) == Presence::Joined
    }

    pub(super) fn presence(&self, index: u32) -> Presence {
        self.workers.get(index as usize).map_or(Presence::Absent, |worker| worker.presence)
    }

    #[inline]
    pub(super) fn at(&mut self, index: u32) -> &mut Worker {
        &mut self.workers[index as usize]
    }

    // Queued tasks.

    /// Puts a task into the queue that it belongs to; `fresh` when it was admitted last of all.
    pub(super) fn attach<P>(&mut self, slab: &mut Slab<P>, slot: u32, fresh: bool) {
        let record = &mut slab[slot];
        record.state = State::Queued;
        let (hold, home) = (record.hold, record.home);
        self.queued += 1;
        if home != NIL {
            let load = record.load_on(home);
            self.add_load(home, load);
        }
        let queue = if home == NIL { &mut self.injector } else { self.workers[home as usize].queue(hold) };
        if fresh {
            queue.push(slab, slot);
        } else {
            queue.put_back(slab, slot);
        }
    }

    /// Puts tasks that are in no queue, given in order of admission, into the queue of one hold and home.
    pub(super) fn attach_all<P>(&mut self, slab: &mut Slab<P>, hold: Hold, home: u32, slots: &[u32]) {
        self.queued += slots.len();
        for slot in slots.iter().copied() {
            let record = &mut slab[slot];
            record.state = State::Queued;
            (record.hold, record.home) = (hold, home);
            if home != NIL {
                let load = record.load_on(home);
                self.add_load(home, load);
            }
        }
        let queue = if home == NIL { &mut self.injector } else { self.workers[home as usize].queue(hold) };
        queue.merge(slab, slots);
    }

    /// Takes a task out of its queue.
    pub(super) fn detach<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        let (hold, home) = (slab[slot].hold, slab[slot].home);
        self.queued -= 1;
        if home == NIL {
            self.injector.remove(slab, slot);
        } else {
            self.drop_load(home, slab[slot].load_on(home));
            self.at(home).queue(hold).remove(slab, slot);
        }
    }

    pub(super) fn add_load(&mut self, index: u32, load: u64) {
        let worker = self.at(index);
        worker.load += load;
        if worker.joined() {
            self.load += load;
        }
    }

    pub(super) fn drop_load(&mut self, index: u32, load: u64) {
        let worker = self.at(index);
        worker.load -= load;
        if worker.joined() {
            self.load -= load;
        }
    }

    // Taken tasks.

    /// Gives a task that is in no queue to a worker.
    pub(super) fn hand<P>(&mut self, slab: &mut Slab<P>, slot: u32, index: u32) {
        let record = &mut slab[slot];
        record.state = State::Ahead;
        record.holder = index;
        let (hold, load, priority) = (record.hold, record.load_on(index), record.priority);
        self.add_load(index, load);
        self.lowest_ahead = self.lowest_ahead.min(priority);
        self.ahead += 1;
        let worker = &mut self.workers[index as usize];
        match hold {
            Hold::Free | Hold::Light => worker.ahead_loose += 1,
            Hold::Strong => worker.ahead_strong += 1,
            Hold::Forced => {}
        }
        worker.ahead.push_back(slab, slot);
        if worker.ahead.len() == 1 {
            self.ahead_holders.insert(index);
        }
    }

    /// Tasks ahead on a worker, in the order taken. A copy: most callers take them out one by one.
    pub(super) fn ahead_of<P>(&self, slab: &Slab<P>, index: u32) -> Vec<u32> {
        self.workers[index as usize].ahead.iter(slab).collect()
    }

    /// Takes a task out of its holder's ahead list.
    fn leave_ahead<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        let (hold, index) = (slab[slot].hold, slab[slot].holder);
        let worker = &mut self.workers[index as usize];
        match hold {
            Hold::Free | Hold::Light => worker.ahead_loose -= 1,
            Hold::Strong => worker.ahead_strong -= 1,
            Hold::Forced => {}
        }
        worker.ahead.remove(slab, slot);
        if worker.ahead.len() == 0 {
            self.ahead_holders.remove(index);
        }
        self.ahead -= 1;
        if self.ahead == 0 {
            self.lowest_ahead = f64::INFINITY;
        }
    }

    /// A task ahead has turned out to run.
    pub(super) fn mark_running<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        self.leave_ahead(slab, slot);
        let record = &mut slab[slot];
        record.state = State::Running;
        let holder = record.holder;
        self.running += 1;
        self.at(holder).running.push_back(slab, slot);
    }

    /// Takes a task away from its holder.
    pub(super) fn unhand<P>(&mut self, slab: &mut Slab<P>, slot: u32) {
        let record = &mut slab[slot];
        let (state, index, load) = (record.state, record.holder, record.load_on(record.holder));
        let blocked = std::mem::take(&mut record.blocked);
        self.drop_load(index, load);
        if state == State::Ahead {
            self.leave_ahead(slab, slot);
        } else {
            let worker = &mut self.workers[index as usize];
            worker.running.remove(slab, slot);
            worker.blocked -= u32::from(blocked);
            self.running -= 1;
        }
        slab[slot].holder = NIL;
    }

    /// A task came back unbegun from its holder. One that is left with nothing comes by next.
    pub(super) fn came_back(&mut self, holder: u32) {
        let worker = self.at(holder);
        if worker.held() == 0 && !worker.parked {
            worker.searching = true;
        }
        self.refresh(holder);
    }

    // Choice.

    /// Whether a candidate goes before another; `rank` says which of equals wins. Smaller is earlier.
    fn beats(a: (Candidate, u8), b: (Candidate, u8)) -> bool {
        let ((a, class_a), (b, class_b)) = (a, b);
        if a.effective != b.effective {
            return a.effective > b.effective;
        }
        (class_a, a.rank, a.seq) < (class_b, b.rank, b.seq)
    }

    /// The task that a worker runs next out of its own queues and the injector.
    pub(super) fn choose<P>(&self, slab: &Slab<P>, index: u32, now: Time) -> Option<u32> {
        let worker = &self.workers[index as usize];
        if worker.own() == 0 {
            return self.injector.next(slab, now, self.ageing);
        }
        let mut best = self.injector.best(slab, now, self.ageing).map(|candidate| (candidate, IN_TURN));
        for (queue, class) in [(&worker.forced, 0), (&worker.strong, 1), (&worker.light, IN_TURN)] {
            let Some(candidate) = queue.best(slab, now, self.ageing) else { continue };
            let class = if slab[candidate.slot].in_turn() { IN_TURN } else { class };
            if best.is_none_or(|best| Self::beats((candidate, class), best)) {
                best = Some((candidate, class));
            }
        }
        best.map(|(candidate, _)| candidate.slot)
    }

    /// Whether a load is more than twice the average.
    pub(super) fn unbalanced(&self, load: u64) -> bool {
        u128::from(load) * self.joined as u128 > 2 * u128::from(self.load)
    }

    /// The most loaded worker, other than `thief`, that lets go of light tasks.
    pub(super) fn light_victim(&self, thief: u32) -> Option<u32> {
        self.light_victims.iter().rev().map(|(_, Reverse(index))| *index).find(|index| *index != thief)
    }

    /// The most loaded worker, other than `thief`, that lets go of strong tasks.
    pub(super) fn strong_victim(&self, thief: u32) -> Option<u32> {
        let mut victims = self.strong_victims.iter().rev();
        victims
            .by_ref()
            .take_while(|(load, _)| self.unbalanced(*load))
            .map(|(_, Reverse(index))| *index)
            .find(|index| *index != thief)
    }

    /// The next worker after `thief` that has taken more than it can begin.
    pub(super) fn ahead_victim(&self, thief: u32) -> Option<u32> {
        self.ahead_victims.next_after(thief).filter(|index| *index != thief)
    }

    /// Whether there is something that worker `index` may take, leaving open whether it has room.
    pub(super) fn may_take(&self, index: u32) -> bool {
        self.workers[index as usize].own() > 0
            || !self.injector.is_empty()
            || self.eager
                && (self.light_victim(index).is_some()
                    || self.strong_victim(index).is_some()
                    || self.ahead_victim(index).is_some())
    }

    // Waking.

    /// Brings the totals and indexes up to date with a worker.
    ///
    /// # Complexity
    ///
    /// O(1); O(log workers) while others may steal from it.
    pub(super) fn refresh(&mut self, index: u32) {
        let worker = &mut self.workers[index as usize];
        let new = worker.derive(self.concurrency, self.eager);
        let old = std::mem::replace(&mut worker.derived, new);
        if new == old {
            return;
        }
        self.spare = self.spare + usize::from(new.spare) - usize::from(old.spare);
        self.light_demand = self.light_demand + new.light_demand as usize - old.light_demand as usize;
        self.ahead_demand = self.ahead_demand + new.ahead_demand as usize - old.ahead_demand as usize;
        if (new.ahead_demand > 0) != (old.ahead_demand > 0) {
            if new.ahead_demand > 0 {
                self.ahead_victims.insert(index);
            } else {
                self.ahead_victims.remove(index);
            }
        }
        let open = |derived: &Derived| derived.light_open || derived.strong_open;
        if open(&new) || open(&old) {
            reindex(
                &mut self.light_victims,
                index,
                (old.light_open, old.indexed_load),
                (new.light_open, new.indexed_load),
            );
            reindex(
                &mut self.strong_victims,
                index,
                (old.strong_open, old.indexed_load),
                (new.strong_open, new.indexed_load),
            );
        }
        if new.idle != old.idle {
            if new.idle {
                self.enter_idle(index);
            } else {
                self.leave_idle(index);
            }
        }
    }

    /// The same for a worker that is awake, as soon as anybody asks: of tasks that end one after the other, only what
    /// is left at the end matters.
    #[inline]
    pub(super) fn refresh_later(&mut self, index: u32) {
        if self.stale != index {
            self.catch_up();
            self.stale = index;
        }
    }

    /// Brings the totals and indexes up to date.
    #[inline]
    pub(super) fn catch_up(&mut self) {
        if self.stale != NIL {
            let index = std::mem::replace(&mut self.stale, NIL);
            self.refresh(index);
        }
    }

    fn enter_idle(&mut self, index: u32) {
        self.idle += 1;
        if !self.at(index).launched {
            self.idle_unlaunched.insert(index);
            return;
        }
        let below = std::mem::replace(&mut self.idle_top, index);
        if below != NIL {
            self.at(below).above = index;
        }
        let worker = self.at(index);
        (worker.below, worker.above) = (below, NIL);
    }

    /// `launched` must still be what it was when the worker became idle.
    fn leave_idle(&mut self, index: u32) {
        self.idle -= 1;
        let worker = self.at(index);
        if !worker.launched {
            self.idle_unlaunched.remove(index);
            return;
        }
        let (below, above) = (worker.below, worker.above);
        if above == NIL {
            self.idle_top = below;
        } else {
            self.at(above).below = below;
        }
        if below != NIL {
            self.at(below).above = above;
        }
    }

    /// An idle worker is woken after all others that are idle now; whether it is idle.
    pub(super) fn step_back(&mut self, index: u32) -> bool {
        self.catch_up();
        let Some(worker) = self.joined_worker(index) else { return false };
        if !worker.derived.idle || !worker.launched {
            return false;
        }
        if worker.below == NIL {
            return true;
        }
        self.leave_idle(index);
        self.idle += 1;
        let mut last = self.idle_top;
        while self.at(last).below != NIL {
            last = self.at(last).below;
        }
        self.at(last).below = index;
        let worker = self.at(index);
        (worker.below, worker.above) = (NIL, last);
        true
    }

    /// A parked worker is awake from now on and will come by.
    pub(super) fn rouse(&mut self, index: u32) {
        let worker = self.at(index);
        debug_assert!(worker.parked);
        worker.parked = false;
        worker.searching = true;
        self.awake += 1;
        self.refresh(index);
        self.at(index).launched = true;
    }

    fn wake(&mut self, index: u32, wakes: &mut Vec<WorkerRef>) {
        self.rouse(index);
        wakes.push(WorkerRef { lane: self.name, index });
    }

    /// Brings a worker up to date after its queues grew, and wakes it if it is idle.
    pub(super) fn refresh_and_call(&mut self, index: u32, wakes: &mut Vec<WorkerRef>) {
        self.refresh(index);
        let worker = self.at(index);
        if worker.derived.idle && worker.own() > 0 {
            self.wake(index, wakes);
        }
    }

    /// Wakes idle workers until there is somebody for each task that one of them may run.
    ///
    /// # Complexity
    ///
    /// O(1) per worker woken, and a look at the most loaded victims while strong tasks wait.
    #[inline]
    pub(super) fn balance(&mut self, wakes: &mut Vec<WorkerRef>) {
        // Asked in this order: while nobody is idle, the busy case, nothing else is looked at.
        if self.idle > 0 {
            self.catch_up();
        }
        while self.idle > 0 && self.lacks_workers() {
            self.wake_one(wakes);
        }
    }

    /// Wakes the worker that became idle last, else the first that has no thread yet; `false` when none is idle.
    pub(super) fn wake_one(&mut self, wakes: &mut Vec<WorkerRef>) -> bool {
        if self.idle == 0 {
            return false;
        }
        let next =
            if self.idle_top == NIL { self.idle_unlaunched.first_from(0) } else { Some(self.idle_top) };
        let index = next.expect("an idle worker is on the stack or not launched");
        self.wake(index, wakes);
        true
    }

    fn lacks_workers(&self) -> bool {
        let mut demand = self.injector.len() + self.light_demand + self.ahead_demand;
        if demand > self.spare || self.strong_victims.is_empty() {
            return demand > self.spare;
        }
        self.strong_victims.iter().rev().take_while(|(load, _)| self.unbalanced(*load)).any(
            |(_, Reverse(index))| {
                demand += self.workers[*index as usize].derived.strong_demand as usize;
                demand > self.spare
            },
        )
    }
}

/// Moves a worker within an index of victims; the pairs say whether it is in, and under which load.
fn reindex(victims: &mut ByLoad, index: u32, old: (bool, u64), new: (bool, u64)) {
    if old == new {
        return;
    }
    if old.0 {
        victims.remove(&(old.1, Reverse(index)));
    }
    if new.0 {
        victims.insert((new.1, Reverse(index)));
    }
}
