//! Stage: all. Thread: the test's.
//! The rules of the scheduler over plain vectors: everything is found by looking at all tasks, nothing is kept up to
//! date. Slow and short.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use threadmill_core::scheduler::{
    Affinity, Config, Lane, Schedule, Strength, TINY, TaskId, WorkerRef, batch_limit,
};

const MS: u64 = 1_000_000;
const LOAD_CAP: u64 = 1 << 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    Free,
    Light,
    Strong,
    Forced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queued,
    Ahead(u32),
    Running(u32),
    /// Given back, and not to be taken before that time.
    Aside(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) tag: u64,
    pub(crate) seq: u64,
    pub(crate) lane: usize,
    pub(crate) priority: f64,
    pub(crate) submitted: u64,
    pub(crate) expected: u64,
    pub(crate) rank: u64,
    pub(crate) costs: Option<Vec<f32>>,
    pub(crate) hold: Hold,
    pub(crate) home: Option<u32>,
    pub(crate) key_hash: Option<u64>,
    pub(crate) cost_key: Option<usize>,
    pub(crate) deadline: Option<u64>,
    pub(crate) from_start: Option<u64>,
    pub(crate) bytes: u32,
    pub(crate) place: Place,
    /// When it was taken or found to run: orders the lists of its holder.
    pub(crate) moved: u64,
    pub(crate) blocked: bool,
}

impl Task {
    pub(crate) fn load_on(&self, worker: u32) -> u64 {
        let extra = self.costs.as_ref().map_or(0, |costs| extra_cost(costs, worker));
        (self.expected + extra).min(LOAD_CAP) + MS
    }

    pub(crate) fn effective(&self, now: u64, ageing: u64) -> f64 {
        self.priority + (now - self.submitted).checked_div(ageing).unwrap_or(0) as f64
    }

    pub(crate) fn holder(&self) -> Option<u32> {
        match self.place {
            Place::Queued | Place::Aside(_) => None,
            Place::Ahead(worker) | Place::Running(worker) => Some(worker),
        }
    }

    pub(crate) fn loose(&self) -> bool {
        self.hold <= Hold::Light
    }
}

pub(crate) fn extra_cost(costs: &[f32], worker: u32) -> u64 {
    let millis = costs.get(worker as usize).copied().unwrap_or(0.0);
    if millis > 0.0 && millis.is_finite() { (f64::from(millis) * 1e6) as u64 } else { 0 }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Absent,
    Vacant,
    Joined,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Worker {
    pub(crate) presence: Presence,
    pub(crate) launched: bool,
    pub(crate) ready: bool,
    pub(crate) parked: bool,
    pub(crate) searching: bool,
    /// When it became idle.
    pub(crate) idle_since: Option<u64>,
    pub(crate) completed: u64,
    pub(crate) stolen: u64,
}

/// What follows from the state of one worker.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct View {
    pub(crate) own: usize,
    pub(crate) held: usize,
    pub(crate) occupying: usize,
    pub(crate) idle: bool,
    pub(crate) spare: bool,
    pub(crate) light_open: bool,
    pub(crate) strong_open: bool,
    pub(crate) light_demand: usize,
    pub(crate) strong_demand: usize,
    pub(crate) ahead_demand: usize,
    pub(crate) load: u64,
}

pub(crate) struct Model {
    pub(crate) config: Config,
    pub(crate) tasks: Vec<Task>,
    pub(crate) workers: [Vec<Worker>; 2],
    /// Numbers below it may be named although nobody is there.
    pub(crate) limits: [u32; 2],
    /// Where keys are.
    pub(crate) homes: [BTreeMap<u64, u32>; 2],
    /// Tasks that have begun without the scheduler knowing.
    pub(crate) begun: BTreeSet<TaskId>,
    pub(crate) costs: BTreeMap<usize, f64>,
    pub(crate) average: Option<f64>,
    pub(crate) steals: u64,
    pub(crate) closed: bool,
    pub(crate) ticks: u64,
}

impl Model {
    /// Makes places for workers up to that number.
    pub(crate) fn grow(&mut self, lane: usize, index: u32) {
        while self.workers[lane].len() <= index as usize {
            self.workers[lane].push(Worker {
                presence: Presence::Absent,
                launched: false,
                ready: false,
                parked: false,
                searching: false,
                idle_since: None,
                completed: 0,
                stolen: 0,
            });
        }
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    pub(crate) fn joined(&self, lane: usize, index: u32) -> bool {
        self.presence(lane, index) == Presence::Joined
    }

    pub(crate) fn presence(&self, lane: usize, index: u32) -> Presence {
        self.workers[lane].get(index as usize).map_or(Presence::Absent, |worker| worker.presence)
    }

    pub(crate) fn indexes(&self, lane: usize) -> impl Iterator<Item = u32> + use<> {
        0..self.workers[lane].len() as u32
    }

    pub(crate) fn queue(&self, lane: usize, hold: Hold, home: Option<u32>) -> impl Iterator<Item = &Task> {
        let here = move |task: &&Task| task.lane == lane && task.place == Place::Queued && task.home == home;
        self.tasks.iter().filter(move |task| here(task) && task.hold == hold)
    }

    pub(crate) fn taken(&self, lane: usize, index: u32) -> Vec<&Task> {
        let mut taken: Vec<&Task> =
            self.tasks.iter().filter(|task| task.lane == lane && task.place == Place::Ahead(index)).collect();
        taken.sort_by_key(|task| task.moved);
        taken
    }

    pub(crate) fn view(&self, lane: usize, index: u32) -> View {
        let worker = &self.workers[lane][index as usize];
        let concurrency = self.config.concurrency[lane] as usize;
        let of = |hold| self.queue(lane, hold, Some(index)).count();
        let (light, strong, forced) = (of(Hold::Light), of(Hold::Strong), of(Hold::Forced));
        let own = light + strong + forced;
        let holds = |task: &&Task| task.lane == lane && task.holder() == Some(index);
        let held = self.tasks.iter().filter(holds).count();
        let occupying = self.tasks.iter().filter(holds).filter(|task| !task.blocked).count();
        let room = occupying < concurrency;
        let joined = worker.presence == Presence::Joined;
        let slot = joined && room && !worker.parked && worker.searching;
        let full = own + held >= 2 * concurrency;
        let excess = own - usize::from(slot && own > 0);
        let excess_ahead = occupying.saturating_sub(concurrency);
        let ahead = |loose| {
            self.taken(lane, index)
                .iter()
                .filter(|task| if loose { task.loose() } else { task.hold == Hold::Strong })
                .count()
        };
        let eager = self.config.eager[lane] && joined;
        let light_open = eager && light > 0 && (full || !slot || !worker.ready);
        let light_demand = if light_open { light.min(excess) } else { 0 };
        let ahead_demand = if eager { ahead(true).min(excess_ahead) } else { 0 };
        let strong_ahead = ahead(false).min(excess_ahead - ahead_demand);
        let strong_open = eager && full && (strong > 0 || strong_ahead > 0);
        let queued = self.tasks.iter().filter(|task| task.place == Place::Queued);
        let owned = queued.filter(|task| task.lane == lane && task.home == Some(index));
        View {
            own,
            held,
            occupying,
            idle: joined && worker.parked && room,
            spare: slot && own == 0,
            light_open,
            strong_open,
            light_demand,
            strong_demand: if strong_open { strong.min(excess - light_demand) + strong_ahead } else { 0 },
            ahead_demand,
            load: owned.chain(self.tasks.iter().filter(holds)).map(|task| task.load_on(index)).sum(),
        }
    }

    pub(crate) fn views(&self, lane: usize) -> Vec<(u32, View)> {
        let joined = self.indexes(lane).filter(|index| self.joined(lane, *index));
        joined.map(|index| (index, self.view(lane, index))).collect()
    }

    pub(crate) fn has_idle(&self, lane: usize) -> bool {
        self.views(lane).iter().any(|(_, view)| view.idle)
    }

    pub(crate) fn unbalanced(&self, lane: usize, load: u64) -> bool {
        let views = self.views(lane);
        let total: u64 = views.iter().map(|(_, view)| view.load).sum();
        u128::from(load) * views.len() as u128 > 2 * u128::from(total)
    }

    /// Notes who has become idle, or is so no longer.
    pub(crate) fn note_idle(&mut self, lane: usize) {
        for index in self.indexes(lane) {
            let idle = self.view(lane, index).idle;
            if idle && self.workers[lane][index as usize].idle_since.is_none() {
                let tick = self.tick();
                self.workers[lane][index as usize].idle_since = Some(tick);
            } else if !idle {
                self.workers[lane][index as usize].idle_since = None;
            }
        }
    }

    pub(crate) fn rouse(&mut self, lane: usize, index: u32) {
        let worker = &mut self.workers[lane][index as usize];
        (worker.parked, worker.searching, worker.launched) = (false, true, true);
        self.note_idle(lane);
    }

    pub(crate) fn wake(&mut self, lane: usize, index: u32, wakes: &mut Vec<WorkerRef>) {
        self.rouse(lane, index);
        wakes.push(WorkerRef { lane: Lane::ALL[lane], index });
    }

    pub(crate) fn call(&mut self, lane: usize, index: u32, wakes: &mut Vec<WorkerRef>) {
        self.note_idle(lane);
        let view = self.view(lane, index);
        if view.idle && view.own > 0 {
            self.wake(lane, index, wakes);
        }
    }

    pub(crate) fn wake_one(&mut self, lane: usize, wakes: &mut Vec<WorkerRef>) -> bool {
        let idle =
            self.indexes(lane).filter(|index| self.workers[lane][*index as usize].idle_since.is_some());
        // Launched ones first, the last to become idle first of these; else the lowest number.
        let next = idle.max_by_key(|index| {
            let worker = &self.workers[lane][*index as usize];
            (worker.launched, if worker.launched { worker.idle_since } else { None }, Reverse(*index))
        });
        next.is_some_and(|index| {
            self.wake(lane, index, wakes);
            true
        })
    }

    pub(crate) fn balance(&mut self, lane: usize, wakes: &mut Vec<WorkerRef>) {
        self.note_idle(lane);
        loop {
            let views = self.views(lane);
            let spare = views.iter().filter(|(_, view)| view.spare).count();
            let mut demand = self.queue(lane, Hold::Free, None).count();
            for (_, view) in &views {
                demand += view.light_demand + view.ahead_demand;
                if view.strong_open && self.unbalanced(lane, view.load) {
                    demand += view.strong_demand;
                }
            }
            if demand <= spare || !self.wake_one(lane, wakes) {
                return;
            }
        }
    }

    pub(crate) fn at(&mut self, id: TaskId) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.id == id).expect("a live task")
    }

    pub(crate) fn remove(&mut self, id: TaskId) -> Task {
        let at = self.tasks.iter().position(|task| task.id == id).expect("a live task");
        self.tasks.remove(at)
    }

    pub(crate) fn start(&mut self, id: TaskId, now: u64) {
        let tick = self.tick();
        let task = self.at(id);
        let Place::Ahead(holder) = task.place else { unreachable!() };
        (task.place, task.moved) = (Place::Running(holder), tick);
        if let Some(nanos) = task.from_start {
            let at = now.saturating_add(nanos);
            task.deadline = Some(task.deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    /// Whether the task came back; else it runs from now on. It is left where it was for the caller to move.
    pub(crate) fn revoke(&mut self, id: TaskId, now: u64) -> bool {
        if self.begun.contains(&id) {
            self.start(id, now);
            return false;
        }
        let (lane, holder) = (self.at(id).lane, self.at(id).holder().expect("it was taken"));
        self.at(id).place = Place::Queued;
        let left = self.tasks.iter().any(|task| task.lane == lane && task.holder() == Some(holder));
        let worker = &mut self.workers[lane][holder as usize];
        if !left && !worker.parked {
            worker.searching = true;
        }
        true
    }

    /// The worker that a key falls to: it stays where it is as long as somebody has that number.
    pub(crate) fn heir(&mut self, lane: usize, key: u64) -> Option<u32> {
        let home = self.homes[lane].get(&key).copied();
        if let Some(home) = home.filter(|home| self.presence(lane, *home) != Presence::Absent) {
            return Some(home);
        }
        let weight = |index: u32| {
            let mut z = key ^ (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let present = self.indexes(lane).filter(|index| self.presence(lane, *index) != Presence::Absent);
        let heir = present.max_by_key(|index| weight(*index))?;
        self.homes[lane].insert(key, heir);
        Some(heir)
    }

    /// A new home for a task whose worker is gone; `false` when there is none for a forced one.
    pub(crate) fn rehome(&mut self, id: TaskId) -> bool {
        let task = self.at(id).clone();
        let heir = task.key_hash.and_then(|hash| self.heir(task.lane, hash));
        let heir = heir.filter(|index| task.hold == Hold::Forced || self.joined(task.lane, *index));
        if heir.is_none() && task.hold == Hold::Forced {
            return false;
        }
        let task = self.at(id);
        task.home = heir;
        if heir.is_none() {
            task.hold = Hold::Free;
        }
        true
    }

    pub(crate) fn best<'a>(&self, tasks: impl Iterator<Item = &'a Task>, now: u64) -> Option<&'a Task> {
        let order = |task: &&Task| (-task.effective(now, self.config.ageing), task.rank, task.seq);
        tasks.min_by(|a, b| order(a).partial_cmp(&order(b)).expect("finite"))
    }

    pub(crate) fn choose(&self, lane: usize, index: u32, now: u64) -> Option<TaskId> {
        let queues = [(Hold::Forced, 0), (Hold::Strong, 1), (Hold::Light, 2)];
        let own = queues.map(|(hold, class)| (self.best(self.queue(lane, hold, Some(index)), now), class));
        let free = (self.best(self.queue(lane, Hold::Free, None), now), 2);
        let candidates =
            own.into_iter().chain([free]).filter_map(|(task, class)| task.map(|task| (task, class)));
        let order = |(task, class): &(&Task, i32)| {
            (-task.effective(now, self.config.ageing), *class, task.rank, task.seq)
        };
        candidates.min_by(|a, b| order(a).partial_cmp(&order(b)).expect("finite")).map(|(task, _)| task.id)
    }

    pub(crate) fn measured(&self, id: TaskId) -> Option<u64> {
        let task = self.tasks.iter().find(|task| task.id == id).expect("a live task");
        task.cost_key.and_then(|key| self.costs.get(&key)).map(|mean| *mean as u64)
    }

    pub(crate) fn hand(&mut self, id: TaskId, index: u32) {
        let tick = self.tick();
        let task = self.at(id);
        (task.place, task.moved) = (Place::Ahead(index), tick);
    }

    pub(crate) fn victim(&self, lane: usize, thief: u32, open: impl Fn(&View) -> bool) -> Option<u32> {
        let views = self.views(lane).into_iter().filter(|(index, view)| *index != thief && open(view));
        views.max_by_key(|(index, view)| (view.load, Reverse(*index))).map(|(index, _)| index)
    }

    pub(crate) fn ahead_victim(&self, lane: usize, thief: u32) -> Option<u32> {
        let views =
            self.views(lane).into_iter().filter(|(index, view)| *index != thief && view.ahead_demand > 0);
        views.map(|(index, _)| index).min_by_key(|index| (*index < thief, *index))
    }

    pub(crate) fn may_take(&self, lane: usize, index: u32) -> bool {
        self.view(lane, index).own > 0
            || self.queue(lane, Hold::Free, None).next().is_some()
            || self.victim(lane, index, |view| view.light_open).is_some()
            || self.victim(lane, index, |view| view.strong_open && self.unbalanced(lane, view.load)).is_some()
            || self.ahead_victim(lane, index).is_some()
    }

    pub(crate) fn take(
        &mut self,
        lane: usize,
        index: u32,
        max: usize,
        now: u64,
        wakes: &mut Vec<WorkerRef>,
    ) -> Vec<TaskId> {
        if !self.joined(lane, index) {
            return Vec::new();
        }
        let worker = &mut self.workers[lane][index as usize];
        (worker.ready, worker.searching) = (true, true);
        if worker.parked {
            self.rouse(lane, index);
        }
        let mut out = Vec::new();
        if max > 0 && self.view(lane, index).occupying < self.config.concurrency[lane] as usize {
            out = self.take_some(lane, index, max, now);
            if !out.is_empty() {
                self.workers[lane][index as usize].searching = false;
            }
        }
        self.balance(lane, wakes);
        out
    }

    pub(crate) fn take_some(&mut self, lane: usize, index: u32, max: usize, now: u64) -> Vec<TaskId> {
        let others_idle = self.has_idle(lane);
        let awake =
            self.views(lane).iter().filter(|(index, _)| !self.workers[lane][*index as usize].parked).count();
        let (free, own) = (self.queue(lane, Hold::Free, None).count(), self.view(lane, index).own);
        let mut out: Vec<TaskId> = Vec::new();
        let mut limit = 0;
        let mut goes_on = |model: &Self, out: &Vec<TaskId>, id: TaskId, free: usize, own: usize| {
            let others_idle =
                others_idle && model.tasks.iter().any(|task| task.id == id && task.hold != Hold::Forced);
            let measured = model.measured(id);
            if out.is_empty() {
                limit = batch_limit(max, measured, others_idle, free, own, awake);
                return true;
            }
            // Only native workers tell when such a task begins.
            let times_run = model.tasks.iter().any(|task| task.id == id && task.from_start.is_some());
            let may_follow = lane == Lane::Native as usize || !times_run;
            out.len() < limit && may_follow && !others_idle && measured.is_some_and(|nanos| nanos < TINY)
        };
        while let Some(id) = self.choose(lane, index, now) {
            if !goes_on(self, &out, id, free, own) {
                break;
            }
            self.hand(id, index);
            out.push(id);
        }
        if !out.is_empty() || !self.config.eager[lane] {
            return out;
        }
        // Light ones of the most loaded.
        if let Some(victim) = self.victim(lane, index, |view| view.light_open) {
            let light = self.queue(lane, Hold::Light, Some(victim)).count();
            let most = self.view(lane, victim).own.div_ceil(2);
            while out.len() < most && self.view(lane, victim).light_open {
                let id = self.best(self.queue(lane, Hold::Light, Some(victim)), now).expect("it is open").id;
                if !goes_on(self, &out, id, light, 0) {
                    break;
                }
                self.hand(id, index);
                out.push(id);
            }
        }
        // A strong one, waiting or ahead.
        while out.is_empty() {
            let open = |view: &View| view.strong_open && self.unbalanced(lane, view.load);
            let Some(victim) = self.victim(lane, index, open) else { break };
            if let Some(task) = self.best(self.queue(lane, Hold::Strong, Some(victim)), now) {
                let id = task.id;
                self.hand(id, index);
                out.push(id);
                break;
            }
            let ahead = self.taken(lane, victim).into_iter().filter(|task| task.hold == Hold::Strong);
            for id in ahead.map(|task| task.id).collect::<Vec<_>>() {
                if self.revoke(id, now) {
                    self.hand(id, index);
                    out.push(id);
                    break;
                }
            }
        }
        // What others have taken beyond what they can begin.
        while out.is_empty() {
            let Some(victim) = self.ahead_victim(lane, index) else { break };
            let most = self.view(lane, victim).ahead_demand.div_ceil(2);
            for id in self
                .taken(lane, victim)
                .into_iter()
                .filter(|task| task.loose())
                .map(|task| task.id)
                .collect::<Vec<_>>()
            {
                if out.len() == most || self.view(lane, victim).ahead_demand == 0 {
                    break;
                }
                if !out.is_empty() && !goes_on(self, &out, id, most, 0) {
                    break;
                }
                if self.revoke(id, now) {
                    if out.is_empty() {
                        goes_on(self, &out, id, most, 0);
                    }
                    self.hand(id, index);
                    out.push(id);
                }
            }
        }
        self.steals += out.len() as u64;
        self.workers[lane][index as usize].stolen += out.len() as u64;
        out
    }

    pub(crate) fn park(&mut self, lane: usize, index: u32, now: u64) -> bool {
        if !self.joined(lane, index) || self.workers[lane][index as usize].parked {
            return true;
        }
        if self.view(lane, index).occupying < self.config.concurrency[lane] as usize
            && self.may_take(lane, index)
        {
            return false;
        }
        for id in self.taken(lane, index).into_iter().map(|task| task.id).collect::<Vec<_>>() {
            self.start(id, now);
        }
        let worker = &mut self.workers[lane][index as usize];
        (worker.ready, worker.parked, worker.searching) = (true, true, false);
        self.note_idle(lane);
        true
    }

    /// Where a task goes; `None` when it is forced to nowhere.
    pub(crate) fn placed(
        &mut self,
        lane: usize,
        affinity: Affinity,
        expected: u64,
        costs: Option<&[f32]>,
    ) -> Option<(Hold, Option<u32>)> {
        let hold = |strength| match strength {
            Strength::Light => Hold::Light,
            Strength::Strong => Hold::Strong,
            Strength::Force => Hold::Forced,
        };
        let (wish, hold) = match affinity {
            Affinity::None => (None, Hold::Free),
            Affinity::Worker { index, strength } => (Some(index), hold(strength)),
            Affinity::Key { hash, strength } => (self.heir(lane, hash), hold(strength)),
        };
        if let Some(index) = wish {
            let presence = self.presence(lane, index);
            if presence == Presence::Joined || presence == Presence::Vacant && hold == Hold::Forced {
                return Some((hold, wish));
            }
        }
        if hold == Hold::Forced {
            return None;
        }
        if costs.is_some() || !self.config.eager[lane] {
            let price = |(index, view): &(u32, View)| {
                let cost = (expected + costs.map_or(0, |costs| extra_cost(costs, *index))).min(LOAD_CAP) + MS;
                (view.load + cost, view.load, *index)
            };
            if let Some((index, _)) = self.views(lane).into_iter().min_by_key(price) {
                return Some((Hold::Light, Some(index)));
            }
        }
        Some((Hold::Free, None))
    }

    pub(crate) fn submit(
        &mut self,
        mut task: Task,
        affinity: Affinity,
        estimate: Option<u64>,
        now: u64,
        wakes: &mut Vec<WorkerRef>,
    ) -> Refusal {
        let bytes: usize = self.tasks.iter().map(|task| task.bytes as usize).sum();
        if self.closed {
            return Refusal::Closed;
        }
        let too_big = self.config.capacity_bytes.is_some_and(|most| bytes + task.bytes as usize > most);
        if self.config.capacity_tasks.is_some_and(|most| self.tasks.len() >= most)
            || too_big && !self.tasks.is_empty()
        {
            return Refusal::Full;
        }
        let lane = task.lane;
        if let Affinity::Worker { index, strength: Strength::Force } = affinity
            && index < self.limits[lane]
            && self.presence(lane, index) == Presence::Absent
        {
            self.grow(lane, index);
            self.workers[lane][index as usize].presence = Presence::Vacant;
        }
        let known = task.cost_key.and_then(|key| self.costs.get(&key)).map(|mean| *mean as u64).or(estimate);
        task.expected = known.unwrap_or(0).min(LOAD_CAP);
        if self.config.schedule == Schedule::LongestFirst {
            task.rank = !known.unwrap_or(self.average.unwrap_or(0.0) as u64);
        }
        let Some((hold, home)) = self.placed(lane, affinity, task.expected, task.costs.as_deref()) else {
            return Refusal::NoSuchWorker;
        };
        (task.hold, task.home) = (hold, home);
        if hold == Hold::Free {
            task.key_hash = None;
        }
        self.make_way(&task, now, wakes);
        self.tasks.push(task);
        if let Some(home) = home {
            self.call(lane, home, wakes);
        }
        self.balance(lane, wakes);
        Refusal::None
    }

    pub(crate) fn make_way(&mut self, task: &Task, now: u64, wakes: &mut Vec<WorkerRef>) {
        let lane = task.lane;
        if task.home.is_none() && self.has_idle(lane) {
            return;
        }
        let mut yielded = Vec::new();
        for index in self.indexes(lane).filter(|index| task.home.is_none_or(|home| home == *index)) {
            for id in self.taken(lane, index).into_iter().map(|task| task.id).collect::<Vec<_>>() {
                if self.at(id).priority < task.priority
                    && self.tasks.iter().any(|other| {
                        other.id == id && other.effective(now, self.config.ageing) < task.priority
                    })
                    && self.revoke(id, now)
                {
                    // Out of every queue until its turn below.
                    yielded.push(self.remove(id));
                }
            }
        }
        self.note_idle(lane);
        yielded.sort_by_key(|task| Reverse(task.seq));
        for task in yielded {
            let (id, home) = (task.id, task.home);
            self.tasks.push(task);
            if home.is_some_and(|home| !self.joined(lane, home)) {
                assert!(self.rehome(id));
            }
            if let Some(home) = self.at(id).home {
                self.call(lane, home, wakes);
            }
        }
    }

    pub(crate) fn learn(&mut self, key: Option<usize>, run_time: u64) {
        let add =
            |mean: Option<f64>| mean.map_or(run_time as f64, |mean| mean + 0.2 * (run_time as f64 - mean));
        self.average = Some(add(self.average));
        if let Some(key) = key {
            let mean = add(self.costs.get(&key).copied());
            self.costs.insert(key, mean);
        }
    }

    /// Takes the task out unless it has begun.
    pub(crate) fn withdraw(&mut self, id: TaskId, now: u64) -> bool {
        let place = self.at(id).place;
        match place {
            Place::Running(_) => return false,
            Place::Ahead(_) if !self.revoke(id, now) => return false,
            _ => {}
        }
        let lane = self.remove(id).lane;
        self.note_idle(lane);
        true
    }

    pub(crate) fn leave(
        &mut self,
        lane: usize,
        index: u32,
        replaced: bool,
        now: u64,
        wakes: &mut Vec<WorkerRef>,
    ) -> (Vec<TaskId>, Vec<TaskId>) {
        let homeless =
            if self.joined(lane, index) { self.revoke_taken(lane, index, now) } else { Vec::new() };
        let mut running: Vec<&Task> = self
            .tasks
            .iter()
            .filter(|task| task.lane == lane && task.place == Place::Running(index))
            .collect();
        running.sort_by_key(|task| task.seq);
        let running: Vec<TaskId> = running.into_iter().map(|task| task.id).collect();
        for id in &running {
            self.remove(*id);
        }
        let is_joined = self.joined(lane, index);
        let orphaned =
            if is_joined { self.evacuate(lane, index, replaced, homeless, wakes) } else { Vec::new() };
        (running, orphaned)
    }

    fn revoke_taken(&mut self, lane: usize, index: u32, now: u64) -> Vec<TaskId> {
        let taken: Vec<TaskId> = self.taken(lane, index).into_iter().map(|task| task.id).collect();
        taken.into_iter().filter(|id| self.revoke(*id, now)).collect()
    }

    /// As `leave`, but what runs goes on.
    pub(crate) fn retire(
        &mut self,
        lane: usize,
        index: u32,
        replaced: bool,
        now: u64,
        wakes: &mut Vec<WorkerRef>,
    ) -> Vec<TaskId> {
        if !self.joined(lane, index) {
            return Vec::new();
        }
        let homeless = self.revoke_taken(lane, index, now);
        self.evacuate(lane, index, replaced, homeless, wakes)
    }

    /// Ends a membership; gives the tasks for which there is no place any more.
    fn evacuate(
        &mut self,
        lane: usize,
        index: u32,
        replaced: bool,
        mut homeless: Vec<TaskId>,
        wakes: &mut Vec<WorkerRef>,
    ) -> Vec<TaskId> {
        let worker = &mut self.workers[lane][index as usize];
        worker.presence = if replaced { Presence::Vacant } else { Presence::Absent };
        (worker.launched, worker.ready, worker.parked, worker.searching) = (false, false, false, false);
        for hold in [Hold::Light, Hold::Strong, Hold::Forced] {
            homeless.extend(self.queue(lane, hold, Some(index)).map(|task| task.id));
        }
        homeless.sort_by_key(|id| self.tasks.iter().find(|task| task.id == *id).expect("live").seq);
        homeless.dedup();
        let (mut orphaned, mut homes) = (Vec::new(), BTreeSet::new());
        for id in homeless {
            let task = self.at(id).clone();
            let stays = replaced && task.hold == Hold::Forced && task.home == Some(index);
            if task.home.is_some_and(|home| !self.joined(lane, home)) && !stays && !self.rehome(id) {
                orphaned.push(id);
                self.remove(id);
                continue;
            }
            homes.extend(self.at(id).home);
        }
        for home in homes {
            self.call(lane, home, wakes);
        }
        self.balance(lane, wakes);
        orphaned
    }

    /// Takes a task away from its holder, to be run again. Whether there is a place for it.
    pub(crate) fn give_back(
        &mut self,
        id: TaskId,
        resume: Option<u64>,
        from_start: Option<u64>,
        wakes: &mut Vec<WorkerRef>,
    ) -> bool {
        let (lane, index) = (self.at(id).lane, self.at(id).holder().expect("somebody has it"));
        let task = self.at(id);
        (task.place, task.blocked) = (Place::Aside(resume.unwrap_or(0)), false);
        if from_start.is_some() {
            (task.deadline, task.from_start) = (None, from_start);
        }
        if self.workers[lane][index as usize].parked {
            self.rouse(lane, index);
        }
        self.workers[lane][index as usize].searching = self.joined(lane, index);
        self.note_idle(lane);
        resume.is_some() || self.put_back(id, wakes)
    }

    /// Lets a task wait for a worker. Whether there is a place for it; else it is gone.
    pub(crate) fn put_back(&mut self, id: TaskId, wakes: &mut Vec<WorkerRef>) -> bool {
        let task = self.at(id).clone();
        let gone = task.home.is_some_and(|home| match self.presence(task.lane, home) {
            Presence::Joined => false,
            Presence::Vacant => task.hold != Hold::Forced,
            Presence::Absent => true,
        });
        if gone && !self.rehome(id) {
            self.remove(id);
            return false;
        }
        self.at(id).place = Place::Queued;
        if let Some(home) = self.at(id).home {
            self.call(task.lane, home, wakes);
        }
        self.balance(task.lane, wakes);
        true
    }

    /// Lets those wait again whose time has come: those that do, and those for which there is no place.
    pub(crate) fn resume(&mut self, now: u64, wakes: &mut Vec<WorkerRef>) -> (usize, Vec<TaskId>) {
        let due = |task: &Task| match task.place {
            Place::Aside(at) if at <= now => Some((at, task.seq, task.id)),
            _ => None,
        };
        let mut due: Vec<(u64, u64, TaskId)> = self.tasks.iter().filter_map(due).collect();
        due.sort_by_key(|(at, seq, _)| (*at, *seq));
        let (resumed, orphaned): (Vec<TaskId>, Vec<TaskId>) =
            due.into_iter().map(|(.., id)| id).partition(|id| self.put_back(*id, wakes));
        (resumed.len(), orphaned)
    }

    /// Whether tasks wait in the queues of a worker.
    pub(crate) fn is_awaited(&self, lane: usize, index: u32) -> bool {
        let waits = |task: &Task| task.place == Place::Queued && task.home == Some(index);
        self.tasks.iter().any(|task| task.lane == lane && waits(task))
    }

    /// Nobody comes after a worker that has left.
    pub(crate) fn vacate(&mut self, lane: usize, index: u32) {
        if self.presence(lane, index) == Presence::Vacant {
            self.workers[lane][index as usize].presence = Presence::Absent;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    None,
    Closed,
    Full,
    NoSuchWorker,
}
