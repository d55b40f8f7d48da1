//! Stage: all. Thread: the test's.
//! Runs one operation on the scheduler and on the model, and compares all that can be seen.

use crate::model::{Hold, Model, Place, Presence, Refusal, Task};
use std::collections::{BTreeMap, BTreeSet};
use threadmill_core::scheduler::{
    Affinity, Cancelled, Claims, Config, CostKey, Expired, Lane, LeaveReport, Rejected, Schedule, Scheduler,
    Status, Strength, Taken, TaskId, TaskSpec, Time, WorkerRef,
};

/// Claim cells: what workers have taken, and whether they have begun it.
#[derive(Default)]
pub(crate) struct Cells {
    pub(crate) payloads: BTreeMap<TaskId, (WorkerRef, u64)>,
    pub(crate) begun: BTreeSet<TaskId>,
}

impl Claims<u64> for Cells {
    fn revoke(&mut self, worker: WorkerRef, id: TaskId) -> Option<u64> {
        let (holder, payload) = self.payloads[&id];
        assert_eq!(holder, worker, "a task is asked back from its holder");
        if self.begun.contains(&id) {
            return None;
        }
        self.payloads.remove(&id);
        Some(payload)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Aff {
    None,
    Worker(u32, Strength),
    Key(u64, Strength),
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Submit {
        lane: usize,
        priority: i8,
        affinity: Aff,
        key: Option<usize>,
        estimate: Option<u16>,
        deadline: Option<u16>,
        from_start: Option<u16>,
        costs: Option<Vec<f32>>,
        bytes: u32,
    },
    Take {
        lane: usize,
        worker: u32,
        max: usize,
    },
    Park {
        lane: usize,
        worker: u32,
    },
    /// The holder begins its next task, and says so or not.
    Begin {
        nth: usize,
        told: bool,
    },
    Complete {
        nth: usize,
        run_time: u64,
        succeeded: bool,
    },
    Cancel {
        nth: usize,
    },
    Advance {
        nanos: u64,
    },
    Expire,
    Join {
        lane: usize,
        worker: u32,
        launched: bool,
    },
    Launched {
        lane: usize,
        worker: u32,
    },
    Leave {
        lane: usize,
        worker: u32,
        replaced: bool,
    },
    Retire {
        lane: usize,
        worker: u32,
        replaced: bool,
    },
    /// As many native workers, the first ones.
    Resize {
        workers: u32,
    },
    SetLimit {
        lane: usize,
        workers: u32,
    },
    Vacate {
        lane: usize,
        worker: u32,
    },
    VacateAll {
        lane: usize,
    },
    /// The holder of a task gives it back, to be taken again at once or later.
    GiveBack {
        nth: usize,
        resume: Option<u16>,
        from_start: Option<u16>,
    },
    Resume,
    Block {
        nth: usize,
    },
    Unblock {
        nth: usize,
    },
    Engage {
        lane: usize,
        worker: u32,
        engaged: bool,
    },
    WakeIdle {
        lane: usize,
        count: usize,
    },
    RejectWaiting,
    Close,
}

pub(crate) struct Harness {
    pub(crate) machine: Scheduler<u64>,
    pub(crate) model: Model,
    pub(crate) cells: Cells,
    pub(crate) now: u64,
    pub(crate) submitted: u64,
    /// Tags of tasks that were admitted and have not left (S1).
    pub(crate) inside: BTreeSet<u64>,
    pub(crate) most_inside: usize,
    pub(crate) keys: Vec<CostKey>,
}

impl Harness {
    pub(crate) fn new(config: Config) -> Self {
        let mut machine = Scheduler::new(config.clone());
        let keys = (0..4).map(|key| machine.costs.key(&format!("key {key}"))).collect();
        let model = Model {
            config,
            tasks: Vec::new(),
            workers: [Vec::new(), Vec::new()],
            limits: [0, 0],
            homes: [BTreeMap::new(), BTreeMap::new()],
            begun: BTreeSet::new(),
            costs: BTreeMap::new(),
            average: None,
            steals: 0,
            closed: false,
            ticks: 0,
        };
        Self {
            machine,
            model,
            cells: Cells::default(),
            now: 1000,
            submitted: 0,
            inside: BTreeSet::new(),
            most_inside: 0,
            keys,
        }
    }

    /// S1: what leaves was inside.
    pub(crate) fn left(&mut self, tag: u64) {
        assert!(self.inside.remove(&tag), "S1: task {tag} left twice or was never admitted");
    }

    /// Nobody can run these any more: the machine gives them back as the model says, and they leave.
    fn orphaned(&mut self, given: &[(TaskId, u64)], expected: &[TaskId], tags: &BTreeMap<TaskId, u64>) {
        assert_eq!(given, expected.iter().map(|id| (*id, tags[id])).collect::<Vec<_>>());
        for (_, tag) in given {
            self.left(*tag);
        }
    }

    /// Those of all tasks, for when some are gone.
    fn tags(&self) -> BTreeMap<TaskId, u64> {
        self.model.tasks.iter().map(|task| (task.id, task.tag)).collect()
    }

    pub(crate) fn tag(&self, id: TaskId) -> u64 {
        self.model.tasks.iter().find(|task| task.id == id).expect("a live task").tag
    }

    pub(crate) fn nth(&self, nth: usize, wanted: impl Fn(&Task) -> bool) -> Option<Task> {
        let found: Vec<&Task> = self.model.tasks.iter().filter(|task| wanted(task)).collect();
        (!found.is_empty()).then(|| found[nth % found.len()].clone())
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    pub(crate) fn run(&mut self, op: &Op) {
        self.model.begun.clone_from(&self.cells.begun);
        let (mut wakes, mut expected) = (Vec::new(), Vec::new());
        match op.clone() {
            Op::Submit { .. } => self.submit(op, &mut wakes, &mut expected),
            Op::Take { lane, worker, max } => self.take(lane, worker, max, &mut wakes, &mut expected),
            Op::Park { lane, worker } => {
                let parked = self.model.park(lane, worker, self.now);
                let who = WorkerRef { lane: Lane::ALL[lane], index: worker };
                if parked && self.model.joined(lane, worker) {
                    // A worker parks when it has begun all it took.
                    let held = self.cells.payloads.iter().filter(|(_, (holder, _))| *holder == who);
                    self.cells.begun.extend(held.map(|(id, _)| *id));
                }
                assert_eq!(self.machine.park(who, Time(self.now)), parked);
            }
            Op::Begin { nth, told } => {
                let begun = self.cells.begun.clone();
                if let Some(task) = self.nth(nth, |task| task.holder().is_some() && !begun.contains(&task.id))
                {
                    let next = self.model.taken(task.lane, task.holder().expect("taken"));
                    let id = next
                        .into_iter()
                        .map(|task| task.id)
                        .find(|id| !begun.contains(id))
                        .expect("there is one");
                    self.cells.begun.insert(id);
                    if told {
                        self.model.start(id, self.now);
                        self.model.at(id).from_start = None;
                        assert!(self.machine.began(id, Time(self.now)));
                    }
                }
            }
            Op::Complete { nth, run_time, succeeded } => {
                let begun = self.cells.begun.clone();
                if let Some(task) = self.nth(nth, |task| begun.contains(&task.id)) {
                    self.complete(&task, run_time, succeeded);
                }
            }
            Op::Cancel { nth } => {
                if let Some(task) = self.nth(nth, |_| true) {
                    let gone = self.model.withdraw(task.id, self.now);
                    match self.machine.cancel(task.id, Time(self.now), &mut self.cells) {
                        Cancelled::Waiting(tag) => {
                            assert!(gone);
                            assert_eq!(tag, task.tag);
                            self.left(tag);
                            assert_eq!(
                                self.machine.cancel(task.id, Time(self.now), &mut self.cells),
                                Cancelled::Unknown
                            );
                        }
                        Cancelled::Running(worker) => {
                            assert!(!gone);
                            assert_eq!(Some(worker.index), task.holder());
                        }
                        Cancelled::Unknown => panic!("the task is live"),
                    }
                }
                self.rebalance(&mut wakes, &mut expected);
            }
            Op::Advance { nanos } => self.now += nanos,
            Op::Expire => {
                self.expire();
                self.rebalance(&mut wakes, &mut expected);
            }
            Op::Join { lane, worker, launched } => {
                let who = WorkerRef { lane: Lane::ALL[lane], index: worker };
                assert_eq!(self.machine.join(who, launched, &mut wakes), !self.model.joined(lane, worker));
                self.join(lane, worker, launched, &mut expected);
            }
            Op::Launched { lane, worker } => {
                self.machine.set_launched(WorkerRef { lane: Lane::ALL[lane], index: worker });
                if self.model.joined(lane, worker) {
                    let state = &self.model.workers[lane][worker as usize];
                    if state.parked && !state.launched {
                        self.model.rouse(lane, worker);
                    }
                }
            }
            Op::Leave { lane, worker, replaced } => {
                self.leave(lane, worker, replaced, &mut wakes, &mut expected);
            }
            Op::Retire { lane, worker, replaced } => {
                self.retire(lane, worker, replaced, &mut wakes, &mut expected);
            }
            Op::Resize { workers } => {
                for worker in 0..4 {
                    if worker < workers {
                        self.run(&Op::Join { lane: 0, worker, launched: worker % 2 == 0 });
                    } else {
                        self.run(&Op::Retire { lane: 0, worker, replaced: false });
                    }
                }
            }
            Op::SetLimit { lane, workers } => {
                self.model.limits[lane] = workers;
                self.machine.set_limit(Lane::ALL[lane], workers);
            }
            Op::Vacate { lane, worker } => {
                // Not to be called while tasks wait for it.
                if !self.model.is_awaited(lane, worker) {
                    self.model.vacate(lane, worker);
                    self.machine.vacate(WorkerRef { lane: Lane::ALL[lane], index: worker });
                }
            }
            Op::VacateAll { lane } => {
                if !self.model.indexes(lane).any(|worker| {
                    self.model.presence(lane, worker) == Presence::Vacant
                        && self.model.is_awaited(lane, worker)
                }) {
                    for worker in self.model.indexes(lane) {
                        if self.model.view(lane, worker).held == 0 {
                            self.model.vacate(lane, worker);
                        }
                    }
                    self.machine.vacate_all(Lane::ALL[lane]);
                }
            }
            Op::GiveBack { nth, resume, from_start } => {
                let begun = self.cells.begun.clone();
                if let Some(task) = self.nth(nth, |task| begun.contains(&task.id)) {
                    self.give_back(&task, resume, from_start, &mut wakes, &mut expected);
                }
            }
            Op::Resume => self.resume(&mut wakes, &mut expected),
            Op::Block { nth } => {
                let begun = self.cells.begun.clone();
                if let Some(task) = self.nth(nth, |task| begun.contains(&task.id) && !task.blocked) {
                    if matches!(task.place, Place::Ahead(_)) {
                        self.model.start(task.id, self.now);
                    }
                    self.model.at(task.id).from_start = None;
                    self.model.at(task.id).blocked = true;
                    self.model.call(task.lane, task.holder().expect("it runs"), &mut expected);
                    self.model.balance(task.lane, &mut expected);
                    // The report of the begin that comes with it counts from now if none came before.
                    if let Some(nanos) = task.from_start {
                        let at = self.now + nanos;
                        let task = self.model.at(task.id);
                        task.deadline = Some(task.deadline.map_or(at, |deadline| deadline.min(at)));
                    }
                    assert!(self.machine.block(task.id, Time(self.now), &mut wakes));
                }
            }
            Op::Unblock { nth } => {
                if let Some(task) = self.nth(nth, |task| task.blocked) {
                    self.model.at(task.id).blocked = false;
                    self.model.call(task.lane, task.holder().expect("it runs"), &mut expected);
                    self.model.balance(task.lane, &mut expected);
                    assert!(self.machine.unblock(task.id, &mut wakes));
                }
            }
            Op::Engage { lane, worker, engaged } => {
                if self.model.joined(lane, worker) {
                    let state = &mut self.model.workers[lane][worker as usize];
                    state.searching = !engaged && !state.parked;
                    self.model.balance(lane, &mut expected);
                    self.machine.set_engaged(
                        WorkerRef { lane: Lane::ALL[lane], index: worker },
                        engaged,
                        &mut wakes,
                    );
                }
            }
            Op::WakeIdle { lane, count } => {
                for _ in 0..count {
                    self.model.wake_one(lane, &mut expected);
                }
                self.machine.wake_idle(Lane::ALL[lane], count, &mut wakes);
            }
            Op::RejectWaiting => {
                let mut out = Vec::new();
                self.machine.reject_waiting(&|_, _| true, Time(self.now), &mut self.cells, &mut out);
                let mut tasks: Vec<Task> = self.model.tasks.clone();
                tasks.sort_by_key(|task| task.seq);
                let gone: Vec<(TaskId, u64)> = tasks
                    .into_iter()
                    .filter(|task| self.model.withdraw(task.id, self.now))
                    .map(|task| (task.id, task.tag))
                    .collect();
                assert_eq!(out, gone);
                for (_, tag) in gone {
                    self.left(tag);
                }
                self.rebalance(&mut wakes, &mut expected);
            }
            Op::Close => {
                self.machine.close();
                self.model.closed = true;
            }
        }
        assert_eq!(wakes, expected, "wakes after {op:?}");
        self.check();
    }

    pub(crate) fn rebalance(&mut self, wakes: &mut Vec<WorkerRef>, expected: &mut Vec<WorkerRef>) {
        self.machine.rebalance(wakes);
        self.model.balance(0, expected);
        self.model.balance(1, expected);
    }

    pub(crate) fn submit(&mut self, op: &Op, wakes: &mut Vec<WorkerRef>, expected: &mut Vec<WorkerRef>) {
        let Op::Submit { lane, priority, affinity, key, estimate, deadline, from_start, costs, bytes } =
            op.clone()
        else {
            unreachable!()
        };
        let tag = self.submitted;
        self.submitted += 1;
        let affinity = match affinity {
            Aff::None => Affinity::None,
            Aff::Worker(index, strength) => Affinity::Worker { index, strength },
            Aff::Key(hash, strength) => Affinity::Key { hash, strength },
        };
        let estimate = estimate.map(|micros| u64::from(micros) * 1000);
        let deadline = deadline.map(|nanos| self.now + u64::from(nanos));
        let spec = TaskSpec {
            lane: Lane::ALL[lane],
            priority: f64::from(priority),
            affinity,
            in_turn: false,
            key: key.map(|key| self.keys[key]),
            estimate,
            deadline: deadline.map(Time),
            deadline_from_start: from_start.map(u64::from),
            worker_costs: costs.clone().map(Into::into),
            bytes,
        };
        let result = self.machine.submit(spec, tag, Time(self.now), &mut self.cells, wakes);
        let task = Task {
            id: *result.as_ref().unwrap_or(&TaskId { index: u32::MAX, generation: 0 }),
            tag,
            seq: tag,
            lane,
            priority: f64::from(priority),
            submitted: self.now,
            expected: 0,
            rank: 0,
            costs,
            hold: Hold::Free,
            home: None,
            key_hash: if let Affinity::Key { hash, .. } = affinity { Some(hash) } else { None },
            cost_key: key,
            deadline,
            from_start: from_start.map(u64::from),
            bytes,
            place: Place::Queued,
            moved: 0,
            blocked: false,
        };
        let refusal = self.model.submit(task, affinity, estimate, self.now, expected);
        assert!(wakes.len() <= 1 + self.model.tasks.len(), "never more wakes than work");
        match result {
            Ok(_) => {
                assert_eq!(refusal, Refusal::None);
                self.inside.insert(tag);
                self.most_inside = self.most_inside.max(self.inside.len());
            }
            Err(Rejected::Closed(back)) => assert_eq!((refusal, back), (Refusal::Closed, tag)),
            Err(Rejected::Full(back)) => assert_eq!((refusal, back), (Refusal::Full, tag)),
            Err(Rejected::NoSuchWorker(back)) => assert_eq!((refusal, back), (Refusal::NoSuchWorker, tag)),
        }
    }

    pub(crate) fn take(
        &mut self,
        lane: usize,
        worker: u32,
        max: usize,
        wakes: &mut Vec<WorkerRef>,
        expected: &mut Vec<WorkerRef>,
    ) {
        let before = self.model.tasks.clone();
        let loads: BTreeMap<u32, u64> =
            self.model.views(lane).into_iter().map(|(index, view)| (index, view.load)).collect();
        let who = WorkerRef { lane: Lane::ALL[lane], index: worker };
        let mut out: Vec<Taken<u64>> = Vec::new();
        self.machine.take(who, max, Time(self.now), &mut self.cells, &mut out, wakes);
        let ids = self.model.take(lane, worker, max, self.now, expected);
        assert_eq!(out.iter().map(|taken| taken.id).collect::<Vec<_>>(), ids);
        assert!(out.is_empty() || self.model.joined(lane, worker), "one that has retired takes nothing");
        assert!(out.len() <= max);
        for (nth, taken) in out.into_iter().enumerate() {
            let task = before.iter().find(|task| task.id == taken.id).expect("it was admitted");
            assert_eq!(taken.payload, task.tag);
            assert!(!matches!(task.place, Place::Aside(_)), "what is set aside has to be resumed first");
            assert_eq!(taken.report_begin, task.from_start.is_some());
            self.cells.payloads.insert(taken.id, (who, taken.payload));
            if task.hold == Hold::Forced {
                assert_eq!(task.home, Some(worker), "S2: a forced task runs on its worker");
            }
            if task.hold == Hold::Strong && task.home != Some(worker) && nth == 0 {
                let victim = task.holder().or(task.home).expect("a strong task is with somebody");
                let twice = 2 * loads.values().map(|load| u128::from(*load)).sum::<u128>();
                let unbalanced = u128::from(loads[&victim]) * loads.len() as u128 > twice;
                assert!(unbalanced, "S7: a strong task moves only away from an overloaded worker");
            }
            // What was free and waiting at the time, in this lane.
            let others = self.model.tasks.iter().filter(|other| {
                other.lane == lane
                    && other.place == Place::Queued
                    && other.hold == Hold::Free
                    && other.id != task.id
            });
            let ageing = self.model.config.ageing;
            for other in others {
                if task.place == Place::Queued {
                    assert!(
                        other.priority <= task.effective(self.now, ageing),
                        "S6: a higher priority goes first"
                    );
                    let rules = task.hold != Hold::Free || self.model.config.schedule != Schedule::Fifo;
                    assert!(
                        rules || other.priority != task.priority || other.seq > task.seq,
                        "S4: first in, first out"
                    );
                } else {
                    panic!("nothing taken is taken away while free tasks wait");
                }
            }
        }
    }

    pub(crate) fn complete(&mut self, task: &Task, run_time: u64, succeeded: bool) {
        let who = WorkerRef { lane: Lane::ALL[task.lane], index: task.holder().expect("it was taken") };
        let other = WorkerRef { lane: who.lane, index: who.index + 1 };
        assert!(
            self.machine.complete(other, task.id, run_time, succeeded, Time(self.now)).is_none(),
            "not that worker's"
        );
        assert!(self.machine.complete(who, task.id, run_time, succeeded, Time(self.now)).is_some());
        assert!(
            self.machine.complete(who, task.id, run_time, succeeded, Time(self.now)).is_none(),
            "S1: only once"
        );
        if succeeded {
            self.model.learn(task.cost_key, run_time);
        }
        self.model.remove(task.id);
        self.left(task.tag);
        self.cells.payloads.remove(&task.id);
        self.cells.begun.remove(&task.id);
        if self.model.workers[task.lane][who.index as usize].parked {
            self.model.rouse(task.lane, who.index);
        }
        let state = &mut self.model.workers[task.lane][who.index as usize];
        state.searching = true;
        state.completed += 1;
        self.model.note_idle(task.lane);
        // A worker that has completed something may free others to steal strong tasks; it takes next itself.
        let (mut wakes, mut expected) = (Vec::new(), Vec::new());
        self.rebalance(&mut wakes, &mut expected);
        assert_eq!(wakes, expected);
    }

    pub(crate) fn expire(&mut self) {
        let mut out = Vec::new();
        self.machine.expire(Time(self.now), &mut self.cells, &mut out);
        let mut expected = Vec::new();
        loop {
            let due = self.model.tasks.iter().filter(|task| task.deadline.is_some_and(|at| at <= self.now));
            let Some(task) = due.min_by_key(|task| (task.deadline, task.seq)).cloned() else { break };
            if self.model.withdraw(task.id, self.now) {
                self.left(task.tag);
                expected.push(Expired::Waiting(task.id, task.tag));
            } else {
                let live = self.model.at(task.id);
                (live.deadline, live.from_start) = (None, None);
                let index = live.holder().expect("it runs");
                expected.push(Expired::Running(task.id, WorkerRef { lane: Lane::ALL[task.lane], index }));
            }
        }
        assert_eq!(out, expected);
    }

    pub(crate) fn join(&mut self, lane: usize, worker: u32, launched: bool, expected: &mut Vec<WorkerRef>) {
        self.model.grow(lane, worker);
        let state = &mut self.model.workers[lane][worker as usize];
        if state.presence == Presence::Joined {
            return;
        }
        state.presence = Presence::Joined;
        (state.launched, state.parked, state.searching) = (launched, !launched, launched);
        self.model.call(lane, worker, expected);
        self.model.balance(lane, expected);
    }

    pub(crate) fn leave(
        &mut self,
        lane: usize,
        worker: u32,
        replaced: bool,
        wakes: &mut Vec<WorkerRef>,
        expected: &mut Vec<WorkerRef>,
    ) {
        let who = WorkerRef { lane: Lane::ALL[lane], index: worker };
        let tags = self.tags();
        let mut report = LeaveReport::default();
        self.machine.leave(who, replaced, &mut self.cells, Time(self.now), &mut report, wakes);
        let (running, orphaned) = self.model.leave(lane, worker, replaced, self.now, expected);
        assert_eq!(report.running, running);
        self.orphaned(&report.orphaned, &orphaned, &tags);
        for id in &running {
            self.left(tags[id]);
        }
        for id in running.iter().chain(&orphaned) {
            self.cells.payloads.remove(id);
            self.cells.begun.remove(id);
        }
    }

    pub(crate) fn retire(
        &mut self,
        lane: usize,
        worker: u32,
        replaced: bool,
        wakes: &mut Vec<WorkerRef>,
        expected: &mut Vec<WorkerRef>,
    ) {
        let who = WorkerRef { lane: Lane::ALL[lane], index: worker };
        let tags = self.tags();
        let mut report = LeaveReport::default();
        self.machine.retire(who, replaced, &mut self.cells, Time(self.now), &mut report, wakes);
        let orphaned = self.model.retire(lane, worker, replaced, self.now, expected);
        assert!(report.running.is_empty(), "what it has begun goes on");
        assert!(!replaced || orphaned.is_empty(), "what is forced to it waits for the replacement");
        self.orphaned(&report.orphaned, &orphaned, &tags);
    }

    pub(crate) fn give_back(
        &mut self,
        task: &Task,
        resume: Option<u16>,
        from_start: Option<u16>,
        wakes: &mut Vec<WorkerRef>,
        expected: &mut Vec<WorkerRef>,
    ) {
        let who = WorkerRef { lane: Lane::ALL[task.lane], index: task.holder().expect("it was taken") };
        let other = WorkerRef { lane: who.lane, index: who.index + 1 };
        let at = resume.map(|nanos| self.now + u64::from(nanos));
        let from_start = from_start.map(u64::from);
        let refused = self.machine.give_back(other, task.id, task.tag, None, None, wakes);
        assert_eq!(refused, Err(task.tag), "not that worker's");
        let given = self.machine.give_back(who, task.id, task.tag, at.map(Time), from_start, wakes);
        let placed = self.model.give_back(task.id, at, from_start, expected);
        assert_eq!(given, if placed { Ok(()) } else { Err(task.tag) });
        self.cells.payloads.remove(&task.id);
        self.cells.begun.remove(&task.id);
        if !placed {
            assert_eq!(task.hold, Hold::Forced, "only such a task depends on one worker");
            self.left(task.tag);
        }
    }

    pub(crate) fn resume(&mut self, wakes: &mut Vec<WorkerRef>, expected: &mut Vec<WorkerRef>) {
        let tags = self.tags();
        let mut orphaned = Vec::new();
        let resumed = self.machine.resume(Time(self.now), &mut orphaned, wakes);
        let (count, lost) = self.model.resume(self.now, expected);
        assert_eq!(resumed, count);
        self.orphaned(&orphaned, &lost, &tags);
        assert!(self.machine.next_resume().is_none_or(|at| at > Time(self.now)), "nothing due is left aside");
    }

    /// Everything that can be seen agrees with the model, and the invariants hold.
    pub(crate) fn check(&self) {
        let (machine, model) = (&self.machine, &self.model);
        assert_eq!(machine.admitted(), model.tasks.len());
        assert_eq!(machine.admitted(), self.inside.len(), "S1");
        assert_eq!(machine.is_idle(), model.tasks.is_empty());
        assert_eq!(
            machine.admitted_bytes(),
            model.tasks.iter().map(|task| task.bytes as usize).sum::<usize>()
        );
        assert!(machine.places() <= self.most_inside.next_multiple_of(1024), "S5: places are reused");
        assert_eq!(
            machine.deadlines(),
            model.tasks.iter().filter(|task| task.deadline.is_some()).count(),
            "S5"
        );
        assert_eq!(
            machine.next_deadline(),
            model.tasks.iter().filter_map(|task| task.deadline).min().map(Time)
        );
        let resumes = model.tasks.iter().filter_map(|task| match task.place {
            Place::Aside(at) => Some(Time(at)),
            _ => None,
        });
        assert_eq!(machine.next_resume(), resumes.min());
        assert_eq!(machine.steals(), model.steals);
        for task in &model.tasks {
            assert_eq!(self.tag(task.id), task.tag);
            let at = |index| WorkerRef { lane: Lane::ALL[task.lane], index };
            let status = match task.place {
                Place::Queued | Place::Aside(_) => Status::Queued,
                Place::Ahead(index) => Status::Ahead(at(index)),
                Place::Running(index) => Status::Running(at(index)),
            };
            assert_eq!(machine.status(task.id), Some(status), "task {}", task.tag);
        }
        for lane in 0..2 {
            self.check_lane(lane);
        }
    }

    pub(crate) fn check_lane(&self, lane: usize) {
        let model = &self.model;
        let views = model.views(lane);
        let figures = self.machine.lane(Lane::ALL[lane]);
        assert_eq!(figures.workers, views.len());
        assert_eq!(figures.load, views.iter().map(|(_, view)| view.load).sum::<u64>());
        assert_eq!(figures.free, model.queue(lane, Hold::Free, None).count());
        assert_eq!(
            self.machine.idle_workers(Lane::ALL[lane]),
            views.iter().filter(|(_, view)| view.idle).count()
        );
        let aside = |task: &&Task| task.lane == lane && matches!(task.place, Place::Aside(_));
        assert_eq!(self.machine.set_aside(Lane::ALL[lane]), model.tasks.iter().filter(aside).count());
        let queued = model.tasks.iter().filter(|task| task.lane == lane && task.place == Place::Queued);
        assert_eq!(self.machine.queued(Lane::ALL[lane]), queued.count());
        let missing = model.indexes(lane).filter(|index| {
            model.presence(lane, *index) == Presence::Vacant && model.is_awaited(lane, *index)
        });
        assert_eq!(self.machine.missing(Lane::ALL[lane]), missing.collect::<Vec<_>>());
        for index in model.indexes(lane) {
            let who = WorkerRef { lane: Lane::ALL[lane], index };
            assert_eq!(self.machine.is_joined(who), model.joined(lane, index));
            let waits = |task: &Task| task.lane == lane && task.holder() == Some(index) && task.blocked;
            assert_eq!(self.machine.is_waiting(who), model.tasks.iter().any(waits));
        }
        // S2 in words of its own: what waits is forced to somebody who is there or expected.
        for task in model.tasks.iter().filter(|task| task.lane == lane && task.place == Place::Queued) {
            let home = task.home.map_or(Presence::Joined, |home| model.presence(lane, home));
            let may_wait = home == Presence::Joined || home == Presence::Vacant && task.hold == Hold::Forced;
            assert!(may_wait, "S2, S3: task {} waits for nobody", task.tag);
        }
        for (index, view) in &views {
            let state = &model.workers[lane][*index as usize];
            let figures =
                self.machine.worker(WorkerRef { lane: Lane::ALL[lane], index: *index }).expect("joined");
            assert_eq!(
                (figures.launched, figures.ready, figures.parked),
                (state.launched, state.ready, state.parked)
            );
            assert_eq!((figures.queued, figures.ahead + figures.running), (view.own, view.held));
            assert_eq!(figures.load, view.load);
            assert_eq!((figures.completed, figures.stolen), (state.completed, state.stolen));
        }
        // S3 in words of its own. Nobody who could run a task of its own sleeps; and when nobody is coming, nobody
        // who could run a task of others sleeps either.
        for (index, view) in views.iter().filter(|(_, view)| view.idle) {
            assert_eq!(view.own, 0, "S3: worker {index} of lane {lane} sleeps on tasks of its own");
            if !views.iter().any(|(other, _)| model.workers[lane][*other as usize].searching) {
                assert!(
                    !model.may_take(lane, *index),
                    "S3: worker {index} of lane {lane} sleeps while there is work"
                );
            }
        }
    }

    /// Lets the workers that are awake do their duty, and nobody else, until nothing moves any more. Then everything
    /// must be done: a lost wake-up would leave something behind (S3, S1).
    pub(crate) fn drain(&mut self) {
        for lane in 0..2 {
            self.run(&Op::Join { lane, worker: 0, launched: true });
            for worker in 1..self.model.workers[lane].len() as u32 {
                if self.model.presence(lane, worker) == Presence::Vacant {
                    self.run(&Op::Join { lane, worker, launched: false });
                }
            }
        }
        while let Some(task) = self.nth(0, |task| task.blocked) {
            let nth =
                self.model.tasks.iter().filter(|task| task.blocked).position(|other| other.id == task.id);
            self.run(&Op::Unblock { nth: nth.expect("just found") });
        }
        if let Some(last) = self
            .model
            .tasks
            .iter()
            .filter_map(|task| match task.place {
                Place::Aside(at) => Some(at),
                _ => None,
            })
            .max()
        {
            self.now = self.now.max(last);
            self.run(&Op::Resume);
        }
        loop {
            let mut moved = false;
            for lane in 0..2 {
                for worker in self.model.indexes(lane) {
                    let awake = || {
                        self.model.joined(lane, worker) && !self.model.workers[lane][worker as usize].parked
                    };
                    let holds = self
                        .model
                        .tasks
                        .iter()
                        .any(|task| task.lane == lane && task.holder() == Some(worker));
                    if !awake() && !holds {
                        continue;
                    }
                    moved = true;
                    self.work_off(lane, worker);
                    self.run(&Op::Take { lane, worker, max: 3 });
                    self.run(&Op::Park { lane, worker });
                }
            }
            if !moved {
                break;
            }
        }
        assert_eq!(self.inside.len(), 0, "S1, S3: everything admitted was done");
        assert_eq!(self.machine.deadlines(), 0, "S5");
    }

    pub(crate) fn work_off(&mut self, lane: usize, worker: u32) {
        loop {
            let held = |task: &&Task| task.lane == lane && task.holder() == Some(worker);
            let Some(task) = self.model.tasks.iter().filter(held).min_by_key(|task| task.moved).cloned()
            else {
                break;
            };
            self.cells.begun.insert(task.id);
            self.complete(&task, 1000, true);
            self.check();
        }
    }
}
