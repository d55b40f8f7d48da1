//! Stage: submit, schedule, complete. Thread: any.
//! The shell around the scheduler: one lock, the native workers, waking, deadlines and the end of life.
//!
//! ```text
//!  submit ───────────► scheduler (pure, under `state`) ──► worker: take ─► claim cell ─► kernel ─► sink
//!  post ──► inbox ────────▲  ▲  cancel, expire: revoke a cell or abandon it
//! ```
//!
//! N1. Every admitted job gives exactly one `Settled` (completion.rs, C1): from the worker that finishes it, or from
//!     whoever revoked or abandoned it (cell.rs, L1 and L2).
//! N2. `Closed` is the last event of a pool. Tasks that no worker ends are settled under the lock; sinks never call back
//!     into the pool.
//! N3. Threads exist from the first task that needs them until the pool is closed and empty.

mod again;
mod alarm;
mod cell;
pub mod clock;
mod cpu;
mod early;
mod end;
mod guest;
mod host;
mod inbox;
mod job;
mod js;
mod launch;
mod lookout;
mod memory;
mod parallel;
mod placement;
mod record;
mod resize;
mod sizing;
mod slot;
mod state;
mod stats;
mod submit;
#[cfg(all(test, not(loom)))]
mod tests;
mod timer;
mod times;
mod worker;

/// For the models.
#[cfg(all(test, loom))]
pub(crate) mod model {
    pub(crate) use super::alarm::Alarm;
    pub(crate) use super::cell::{Cell, Label};
    pub(crate) use super::inbox::{Inbox, Posted};
    pub(crate) use super::parallel::Section;
}

pub use job::{ENTRY, FLAT, Job, KEPT, MAIN_ENTRY, MOVED, NO_EXPORT, Payload, PlainJob, Policy};
pub use js::{
    AnswerRecord, Board, JsMail, JsNote, JsTask, JsWorkerFigures, Left, MAIN, Parting, Retire, Visit, Waker,
    answer_of, is_primitive, read_answer, read_primitive, task_of,
};
pub use lookout::Lookout;
pub use memory::give_back;
pub use placement::Pin;
pub use sizing::{MAX_THREADS, Sizing, SizingSource, cpu_quota};
pub use stats::{KeyFigures, PoolFigures, WorkerFigures};
pub use times::Summary;

pub use crate::trace::Recording;

use crate::completion::{CompletionSink, Event, NO_WORKER, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{
    Config, Lane, LeaveReport, Schedule, Scheduler, Status, TaskId, TaskSpec, Time, WorkerRef,
};
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering};
use crate::trace::Trace;
use alarm::Alarm;
use cell::{Cell, Label};
use guest::{Guest, Totals};
use inbox::{INBOXES, Inbox, Posted};
use js::JsWorker;
use memory::Memory;
use parallel::Section;
use slot::{PoolClaims, Slot, native};
use state::{Ended, State, Topic};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Most tasks that a worker takes out of the queue at once; only measured tiny ones are taken more than one at a time.
const TAKE_AHEAD: usize = 128;

/// How a pool is built.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// Part of the thread names.
    pub name: String,
    /// Native workers.
    pub sizing: Sizing,
    /// Most tasks admitted and unfinished.
    pub capacity: usize,
    /// Order of waiting tasks.
    pub schedule: Schedule,
    /// CPUs that workers are bound to.
    pub pin: Option<Pin>,
    /// Nice value of the workers.
    pub nice: Option<i32>,
    /// Whether freed memory is given back to the system while native workers rest.
    pub trims: bool,
    /// Tasks that a JS worker, or the thread that owns the pool, runs at a time.
    pub worker_concurrency: u32,
    /// Whether JS workers take tasks that were not assigned to them.
    pub eager: bool,
    /// Tasks that a JS worker begins before it takes no more, so that another one can replace it; 0 for no limit.
    pub recycle_tasks: u64,
}

/// One task on its way in.
#[derive(Debug)]
pub struct Request {
    /// Where and when it may run.
    pub spec: TaskSpec,
    /// Name under which the run time is learned; the kernel's own name when there is none.
    pub cost_key: Option<String>,
    /// What is run.
    pub job: Job,
}

/// A pool of native workers. It lives as long as somebody holds it or a worker of it runs.
pub struct Pool {
    id: u32,
    name: String,
    sizing: Sizing,
    lookout: Lookout,
    capacity: usize,
    pin: Option<Pin>,
    nice: Option<i32>,
    memory: Memory,
    recycle_tasks: u64,
    trace: Trace,
    state: Mutex<State>,
    inboxes: [Inbox; INBOXES],
    /// Notified when an abandoned task has stopped.
    released: Condvar,
    slots: Box<[Slot]>,
    sinks: Mutex<Vec<Arc<dyn CompletionSink>>>,
    /// All sinks but the first one. Locked after `sinks`, if both are.
    guests: Mutex<Vec<Arc<Guest>>>,
    guest_totals: Arc<Totals>,
    /// Queued tasks, as of the last unlock. A hint for those who look without the lock.
    queued: AtomicUsize,
    /// Queued tasks of the JS lane. A hint too.
    js_queued: AtomicUsize,
    /// Idle workers by lane, as of the last unlock. A hint too.
    idle: [AtomicUsize; INBOXES],
    /// Whether somebody has nothing to do, by lane. A hint too.
    free: [AtomicBool; INBOXES],
    /// Tasks posted or admitted, less those that were settled by anybody but a worker that finished them; those are in
    /// the workers' own counters, see [`Pool::unfinished`].
    open: AtomicUsize,
    /// Native workers that take tasks: the first ones.
    active: AtomicUsize,
    alarm: Alarm,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// A worker of its lane runs it.
    Running(u32),
    /// It is still to begin, maybe once more.
    Waiting,
    /// It has ended, or was never admitted.
    Gone,
}

impl Pool {
    /// A pool without threads; they start with the first tasks.
    pub fn new(options: PoolOptions) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut scheduler = Scheduler::new(Config {
            schedule: options.schedule,
            concurrency: [1, options.worker_concurrency.max(1), options.worker_concurrency.max(1)],
            eager: [true, options.eager, true],
            ..Config::default()
        });
        let mut wakes = Vec::new();
        for index in 0..options.sizing.threads {
            scheduler.join(native(index), false, &mut wakes);
        }
        let active = options.sizing.threads as usize;
        // Room to grow to what the machine has.
        let threads = active.max(options.sizing.affinity as usize).min(MAX_THREADS as usize);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: options.name,
            sizing: options.sizing,
            lookout: Lookout::default(),
            capacity: options.capacity,
            pin: options.pin,
            nice: options.nice,
            memory: Memory::new(options.trims),
            recycle_tasks: options.recycle_tasks,
            trace: Trace::default(),
            state: Mutex::new(State::new(scheduler, threads, active)),
            inboxes: [Inbox::new(active > 0), Inbox::new(false)],
            released: Condvar::new(),
            slots: (0..threads).map(|_| Slot::new()).collect(),
            sinks: Mutex::new(Vec::new()),
            guests: Mutex::new(Vec::new()),
            guest_totals: Arc::default(),
            queued: AtomicUsize::new(0),
            js_queued: AtomicUsize::new(0),
            idle: [AtomicUsize::new(active), AtomicUsize::new(0)],
            free: [AtomicBool::new(active > 0), AtomicBool::new(false)],
            open: AtomicUsize::new(0),
            active: AtomicUsize::new(active),
            alarm: Alarm::new(),
        })
    }

    /// Process-wide number of the pool.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Numbers that native workers may have: [`Pool::resize`] gives that many at most.
    pub fn threads(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Whether some worker of the native or the JS lane would start at once on a new task. A hint: may be out of date. Of
    /// the thread that owns the pool nothing is known.
    pub fn has_idle_worker(&self, lane: Lane) -> bool {
        self.idle.get(lane as usize).is_some_and(|idle| idle.load(Ordering::Relaxed) > 0)
    }

    /// The same, or has nothing to do and is about to come by: one that has just answered. A hint, too.
    pub fn has_free_worker(&self, lane: Lane) -> bool {
        self.free.get(lane as usize).is_some_and(|free| free.load(Ordering::Relaxed))
    }

    /// Whether tasks wait for a native worker. A hint, as above.
    fn has_waiting(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0 || self.inbox(Lane::Native).is_waiting()
    }

    /// Whether tasks wait for a JS worker. A hint, as above.
    fn has_waiting_js(&self) -> bool {
        self.js_queued.load(Ordering::Relaxed) > 0 || self.inbox(Lane::Js).is_waiting()
    }

    fn inbox(&self, lane: Lane) -> &Inbox {
        &self.inboxes[lane as usize]
    }

    /// Whether an inbox has jobs.
    fn has_posted(&self) -> bool {
        self.inboxes.iter().any(Inbox::is_waiting)
    }

    /// The worker, of the lane that the task is for, that is running it.
    pub fn worker_of(&self, id: TaskId) -> Option<u32> {
        match self.whereabouts(id) {
            Whereabouts::Running(worker) => Some(worker),
            _ => None,
        }
    }

    /// Where a task is at one moment.
    pub fn whereabouts(&self, id: TaskId) -> Whereabouts {
        let state = self.state.lock();
        let bits = id.to_bits();
        // First: workers begin tasks without the lock.
        let is_waiting = match state.scheduler.status(id) {
            Some(Status::Queued) => true,
            Some(Status::Ahead(WorkerRef { lane: Lane::Native, index })) => {
                self.slots[index as usize].find(bits).is_some_and(Cell::is_ahead)
            }
            Some(Status::Ahead(_)) => state.is_taken_ahead(id),
            _ => false,
        };
        if is_waiting {
            return Whereabouts::Waiting;
        }
        (0..self.threads())
            .find(|index| self.slots[*index as usize].find(bits).is_some_and(Cell::is_running))
            .or_else(|| Self::js_worker_of(&state, id))
            .map_or(Whereabouts::Gone, Whereabouts::Running)
    }

    fn all_cells(&self) -> impl Iterator<Item = &Cell<Job>> {
        self.slots.iter().filter_map(|slot| slot.cells.get()).flatten()
    }

    /// Hands a section to up to `helpers` idle workers.
    pub(crate) fn offer(self: &Arc<Self>, section: &Arc<Section>, helpers: usize) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        state.sections.push(section.clone());
        state.scheduler.wake_idle(Lane::Native, helpers, &mut wakes);
        self.unlock(state, &mut wakes);
    }

    /// Takes a section off the list: nobody enters it any more.
    pub(crate) fn withdraw(&self, section: &Arc<Section>) {
        let mut state = self.state.lock();
        if let Some(at) = state.sections.iter().position(|listed| Arc::ptr_eq(listed, section)) {
            state.sections.swap_remove(at);
        }
    }

    fn claims<'a>(&'a self, js: &'a mut [JsWorker]) -> PoolClaims<'a> {
        PoolClaims { slots: &self.slots, js }
    }

    /// Lets those who look without the lock see the state. Before every unlock that changed it.
    fn publish(&self, state: &mut State) {
        self.queued.store(state.scheduler.queued(Lane::Native), Ordering::Relaxed);
        self.js_queued.store(state.scheduler.queued(Lane::Js), Ordering::Relaxed);
        self.record_depth(state);
        for lane in [Lane::Native, Lane::Js] {
            let (idle, at) = (state.scheduler.idle_workers(lane), lane as usize);
            self.idle[at].store(idle, Ordering::Relaxed);
            self.free[at].store(state.scheduler.has_free_worker(lane), Ordering::Relaxed);
            if state.told_idle[at] != (idle > 0) {
                state.told_idle[at] = idle > 0;
                self.inboxes[at].set_idle(idle > 0);
            }
        }
        if self.is_finished(state) {
            // Parked workers have nothing left to wait for but this.
            self.unpark_all();
            if state.threads == 0 {
                for listener in state.listeners.drain(..) {
                    listener.deliver(Event::Closed { pool: self.id });
                }
            }
        }
    }

    /// As [`Pool::publish`], after something that may have made a worker idle: what was posted before the inbox knew of it
    /// is for that worker (I1).
    fn publish_and_look(&self, state: &mut State, wakes: &mut Vec<WorkerRef>) {
        self.publish(state);
        if self.has_posted() && state.told_idle.contains(&true) {
            self.ingest_into(state, wakes);
            self.publish(state);
        }
    }

    /// Publishes the state, gives the lock back, and wakes whom the scheduler named, and the timer if it has to come
    /// earlier.
    fn unlock(self: &Arc<Self>, mut state: MutexGuard<'_, State>, wakes: &mut Vec<WorkerRef>) {
        self.publish_and_look(&mut state, wakes);
        let alarm = self.earlier_alarm(&state);
        drop(state);
        self.wake(wakes);
        self.start_alarm(alarm);
    }

    /// Under the lock, so that nobody finds the pool finished, and says so, before the last task is settled.
    fn settle(&self, locked: &State, label: &Label, outcome: Outcome) {
        self.settle_as(locked, label, outcome, NO_WORKER, 0);
    }

    /// The same for a task that a worker ran. Under the lock.
    fn settle_as(&self, _locked: &State, label: &Label, outcome: Outcome, worker: u32, run_time: u64) {
        self.note_settled();
        let ticket = label.ticket;
        self.sink(label.sink).deliver(Event::Settled { ticket, outcome, worker, run_time, held: false });
    }

    /// A task was settled by anybody but a native worker that finished it.
    fn note_settled(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn note(&self, topic: Topic, note: String) {
        let mut state = self.state.lock();
        let note = (topic, note);
        if !state.notes.contains(&note) && state.notes.len() < 64 {
            state.notes.push(note);
        }
    }
}
