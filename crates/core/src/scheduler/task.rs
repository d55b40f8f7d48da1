//! Stage: submit and schedule. Thread: whoever holds the pool's lock.
//! What a task is to the scheduler: its public names, and the record kept of it.

use super::costs::CostKey;
use super::slab::NIL;

/// Nanoseconds on a monotonic clock that the caller reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The instant `nanos` later.
    #[must_use]
    pub fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Nanoseconds since `earlier`; 0 when that is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One way of running tasks. Each lane has workers of its own, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// OS threads that run kernels.
    Native,
    /// JavaScript workers.
    Js,
    /// The thread that owns the pool: one worker, number 0.
    Main,
}

impl Lane {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Native, Self::Js, Self::Main];
}

/// Names a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerRef {
    /// Its lane.
    pub lane: Lane,
    /// Its number in the lane.
    pub index: u32,
}

impl WorkerRef {
    /// A native worker.
    #[must_use]
    pub fn native(index: u32) -> Self {
        Self { lane: Lane::Native, index }
    }

    /// A JavaScript worker.
    #[must_use]
    pub fn js(index: u32) -> Self {
        Self { lane: Lane::Js, index }
    }
}

/// Names a task as long as it is admitted; afterwards it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Place of the record.
    pub index: u32,
    /// Tells the tasks apart that use one place after another.
    pub generation: u32,
}

impl TaskId {
    /// The id in one number.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The inverse of [`TaskId::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// How tightly a task is held to its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Another worker may have it when its own is busy, not ready, or has plenty.
    Light,
    /// Moves only when the loads get too unbalanced.
    Strong,
    /// Runs there and nowhere else.
    Force,
}

/// Where a task would like to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Anywhere.
    None,
    /// On one worker of its lane. Without such a worker, light and strong count as none.
    Worker {
        /// Number of the worker.
        index: u32,
        /// How tightly.
        strength: Strength,
    },
    /// On the worker that this key falls to, the same one for the same key.
    Key {
        /// Hash of the key.
        hash: u64,
        /// How tightly.
        strength: Strength,
    },
}

/// What the scheduler needs to know of a task.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// Who can run it.
    pub lane: Lane,
    /// Higher goes first. Finite; a NaN counts as 0.
    pub priority: f64,
    /// Where it would like to run.
    pub affinity: Affinity,
    /// Whether a task that is forced to a worker waits there for its turn among those that may run anywhere, in place of
    /// going before them.
    pub in_turn: bool,
    /// Under which key its run time is learned and looked up, from [`CostTable::key`](super::CostTable::key).
    pub key: Option<CostKey>,
    /// Expected run time in nanoseconds, for as long as the key has no measured one.
    pub estimate: Option<u64>,
    /// When it expires.
    pub deadline: Option<Time>,
    /// It also expires this many nanoseconds after its begin. Such a task's begin has to be reported, see
    /// [`Taken::report_begin`].
    pub deadline_from_start: Option<u64>,
    /// Extra milliseconds on each worker of the lane. Without an affinity they also ask for placement by cost.
    pub worker_costs: Option<Box<[f32]>>,
    /// Size of the payload, counted against the capacity.
    pub bytes: u32,
}

impl TaskSpec {
    /// A task with nothing special about it.
    pub fn plain(lane: Lane) -> Self {
        Self {
            lane,
            priority: 0.0,
            affinity: Affinity::None,
            in_turn: false,
            key: None,
            estimate: None,
            deadline: None,
            deadline_from_start: None,
            worker_costs: None,
            bytes: 0,
        }
    }
}

/// A task that was not admitted. It never ran; its payload comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejected<P> {
    /// The scheduler admits nothing any more.
    Closed(P),
    /// There is no room for it now.
    Full(P),
    /// It is forced to a worker that does not exist.
    NoSuchWorker(P),
}

impl<P> Rejected<P> {
    /// The payload.
    pub fn into_payload(self) -> P {
        match self {
            Self::Closed(payload) | Self::Full(payload) | Self::NoSuchWorker(payload) => payload,
        }
    }
}

/// A task handed to a worker.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<P> {
    /// The task.
    pub id: TaskId,
    /// What to run.
    pub payload: P,
    /// Its begin starts a deadline, so [`Scheduler::began`](super::Scheduler::began) has to be called in time.
    pub report_begin: bool,
    /// For whoever takes it, 0 at first.
    pub tag: u32,
}

/// A task that has left with the end of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The key under which its run time is learned.
    pub cost_key: Option<CostKey>,
}

/// What became of a wish to cancel.
#[derive(Debug, PartialEq, Eq)]
pub enum Cancelled<P> {
    /// It had not begun, and is gone.
    Waiting(P),
    /// It runs there, and stays on the books until it completes.
    Running(WorkerRef),
    /// There is no such task (any more).
    Unknown,
}

/// A task whose deadline has passed.
#[derive(Debug, PartialEq, Eq)]
pub enum Expired<P> {
    /// It had not begun, and is gone.
    Waiting(TaskId, P),
    /// It runs there, and stays on the books until it completes. Told once.
    Running(TaskId, WorkerRef),
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In a queue.
    Queued,
    /// Taken by that worker, and not known to have begun.
    Ahead(WorkerRef),
    /// Known to have begun there.
    Running(WorkerRef),
}

/// A record's place in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No task: the place is on the free list.
    Vacant,
    /// In the queue that `hold` and `home` name.
    Queued,
    /// In the ahead list of `holder`.
    Ahead,
    /// In the running list of `holder`.
    Running,
    /// Given back, and not to be taken before the time in [`Rare::resume`].
    Aside,
}

/// How a record is held to `home`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Not at all; `home` is [`NIL`].
    Free,
    Light,
    Strong,
    Forced,
}

impl From<Strength> for Hold {
    fn from(strength: Strength) -> Self {
        match strength {
            Strength::Light => Self::Light,
            Strength::Strong => Self::Strong,
            Strength::Force => Self::Forced,
        }
    }
}

/// Neighbours in a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) prev: u32,
    pub(super) next: u32,
}

impl Link {
    pub(super) const NONE: Self = Self { prev: NIL, next: NIL };
}

/// What is kept of few tasks only.
#[derive(Debug)]
pub(super) struct Rare {
    worker_costs: Option<Box<[f32]>>,
    /// Deadline counted from the begin, ns; `u64::MAX` for none, or when the begin has been reported.
    from_start: u64,
    /// When the task may be taken again, while it is set aside.
    resume: Time,
    /// See [`TaskSpec::in_turn`].
    in_turn: bool,
}

/// All that is kept of an admitted task. There may be millions, so its size counts.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states of one thing")]
pub(super) struct Record<P> {
    /// There while the task is queued; the worker has it from then on.
    pub(super) payload: Option<P>,
    rare: Option<Box<Rare>>,
    /// Order of admission. Its low half is the generation of the id.
    pub(super) seq: u64,
    pub(super) submitted: Time,
    pub(super) priority: f64,
    /// Run time that is expected, if `known`, or else assumed, ns.
    nanos: u64,
    /// Hash of the affinity key, if `keyed`.
    pub(super) key_hash: u64,
    pub(super) cost: Option<CostKey>,
    /// By list kind, see the `list` module.
    pub(super) links: [Link; 2],
    pub(super) home: u32,
    pub(super) holder: u32,
    pub(super) bytes: u32,
    /// Place in the deadline heap, or [`NIL`].
    pub(super) timer: u32,
    pub(super) lane: Lane,
    pub(super) state: State,
    pub(super) hold: Hold,
    known: bool,
    /// Whether longer ones of its priority go first.
    ranked: bool,
    pub(super) keyed: bool,
    /// In the queue's map of returned tasks rather than in its arrival list.
    pub(super) returned: bool,
    /// Waits for tasks of its own while it runs.
    pub(super) blocked: bool,
}

impl<P> Record<P> {
    /// A place without a task.
    pub(super) fn vacant() -> Self {
        Self {
            payload: None,
            rare: None,
            seq: 0,
            submitted: Time(0),
            priority: 0.0,
            nanos: 0,
            key_hash: 0,
            cost: None,
            links: [Link::NONE; 2],
            home: NIL,
            holder: NIL,
            bytes: 0,
            timer: NIL,
            lane: Lane::Native,
            state: State::Vacant,
            hold: Hold::Free,
            known: false,
            ranked: false,
            keyed: false,
            returned: false,
            blocked: false,
        }
    }

    /// Makes a vacant place that of a task which was just admitted and is in no list yet. Field by field in its place: what is
    /// made elsewhere and copied at once waits for the processor's store buffer.
    #[inline]
    pub(super) fn admit(
        &mut self,
        spec: TaskSpec,
        payload: impl FnOnce() -> P,
        seq: u64,
        now: Time,
        length: Length,
    ) {
        debug_assert!(self.state == State::Vacant);
        let from_start = spec.deadline_from_start.unwrap_or(u64::MAX);
        let in_turn = spec.in_turn;
        self.payload = Some(payload());
        self.rare = (spec.worker_costs.is_some() || from_start != u64::MAX || in_turn).then(|| {
            Box::new(Rare { worker_costs: spec.worker_costs, from_start, resume: Time(0), in_turn })
        });
        self.seq = seq;
        self.submitted = now;
        self.priority = if spec.priority.is_nan() { 0.0 } else { spec.priority };
        self.nanos = length.nanos;
        self.key_hash = 0;
        self.cost = spec.key;
        self.links = [Link::NONE; 2];
        (self.home, self.holder, self.timer) = (NIL, NIL, NIL);
        self.bytes = spec.bytes;
        (self.lane, self.state, self.hold) = (spec.lane, State::Queued, Hold::Free);
        (self.known, self.ranked) = (length.known, length.ranked);
        (self.keyed, self.returned, self.blocked) = (false, false, false);
    }

    /// Frees what the place has of a task.
    pub(super) fn vacate(&mut self) {
        self.state = State::Vacant;
        self.payload = None;
        self.rare = None;
    }

    pub(super) fn id(&self, slot: u32) -> TaskId {
        TaskId { index: slot, generation: self.seq as u32 }
    }

    /// Order within equal priority, smaller first, before `seq`; all zero under FIFO.
    pub(super) fn rank(&self) -> u64 {
        if self.ranked { !self.nanos } else { 0 }
    }

    /// What the task adds to the load of worker `index`. The same as long as it is there.
    pub(super) fn load_on(&self, index: u32) -> u64 {
        let expected = if self.known { self.nanos.min(LOAD_CAP) } else { 0 };
        let costs = self.rare.as_deref().and_then(|rare| rare.worker_costs.as_deref());
        let extra = costs.map_or(0, |costs| worker_cost(costs, index));
        (expected + extra).min(LOAD_CAP) + LOAD_PER_TASK
    }

    /// Deadline counted from the begin, ns; `u64::MAX` for none, or when the begin has been reported.
    pub(super) fn start_limit(&self) -> u64 {
        self.rare.as_ref().map_or(u64::MAX, |rare| rare.from_start)
    }

    pub(super) fn set_start_limit(&mut self, nanos: u64) {
        if nanos != self.start_limit() {
            self.rare().from_start = nanos;
        }
    }

    /// See [`TaskSpec::in_turn`].
    pub(super) fn in_turn(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.in_turn)
    }

    /// When the task may be taken again, while it is set aside.
    pub(super) fn resume(&self) -> Time {
        self.rare.as_ref().map_or(Time(0), |rare| rare.resume)
    }

    pub(super) fn set_aside(&mut self, resume: Time) {
        self.state = State::Aside;
        self.rare().resume = resume;
    }

    fn rare(&mut self) -> &mut Rare {
        let (from_start, resume) = (u64::MAX, Time(0));
        let none = || Box::new(Rare { worker_costs: None, from_start, resume, in_turn: false });
        self.rare.get_or_insert_with(none)
    }

    /// What waiting has added to its priority: one for each full `ageing`.
    pub(super) fn gained(&self, now: Time, ageing: u64) -> f64 {
        let waited = now.since(self.submitted);
        // Mostly it has not waited that long, and a division takes its time.
        if ageing == 0 || waited < ageing { 0.0 } else { (waited / ageing) as f64 }
    }

    /// Priority and what waiting has added.
    pub(super) fn effective(&self, now: Time, ageing: u64) -> f64 {
        self.priority + self.gained(now, ageing)
    }
}

/// What is thought of a task's run time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// ns
    pub(super) nanos: u64,
    /// Whether it was measured or told.
    pub(super) known: bool,
    /// Whether longer tasks go first.
    pub(super) ranked: bool,
}

/// What every owned task adds to a load beside its expected cost: 1 ms.
pub(super) const LOAD_PER_TASK: u64 = 1_000_000;

/// A single task never weighs more than this (about 18 minutes), so that sums of loads cannot overflow.
pub(super) const LOAD_CAP: u64 = 1 << 40;

/// Extra nanoseconds on worker `index`. Estimators are the user's: what is missing, negative or not finite counts as 0.
pub(super) fn worker_cost(costs: &[f32], index: u32) -> u64 {
    let millis = costs.get(index as usize).copied().unwrap_or(0.0);
    if millis.is_finite() && millis > 0.0 { ((f64::from(millis) * 1e6) as u64).min(LOAD_CAP) } else { 0 }
}
