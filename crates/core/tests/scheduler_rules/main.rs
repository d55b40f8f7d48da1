//! Stage: all. Thread: the test's.
//! The rules of the scheduler one at a time, each in the smallest situation that shows it. The invariants S1 to S7 are
//! those of `scheduler/mod.rs`; `scheduler_model` checks them under random sequences.

mod books;
mod order;
mod placement;
mod waking;

use std::collections::{BTreeMap, BTreeSet};
use threadmill_core::scheduler::{
    Affinity, Claims, Config, Lane, LeaveReport, Rejected, Scheduler, Strength, TaskId, TaskSpec, Time,
    WorkerRef,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// What workers have taken, with what they have begun of it.
#[derive(Default)]
struct Cells {
    payloads: BTreeMap<TaskId, &'static str>,
    begun: BTreeSet<TaskId>,
}

impl Claims<&'static str> for Cells {
    fn revoke(&mut self, _: WorkerRef, id: TaskId) -> Option<&'static str> {
        if self.begun.contains(&id) { None } else { self.payloads.remove(&id) }
    }
}

/// A scheduler with the native lane's workers, as a shell would drive it.
struct Shell {
    scheduler: Scheduler<&'static str>,
    cells: Cells,
    ids: BTreeMap<&'static str, TaskId>,
    now: u64,
    /// Workers woken since last asked.
    woken: Vec<WorkerRef>,
}

fn native(index: u32) -> WorkerRef {
    WorkerRef { lane: Lane::Native, index }
}

fn plain() -> TaskSpec {
    TaskSpec::plain(Lane::Native)
}

fn on(index: u32, strength: Strength) -> TaskSpec {
    TaskSpec { affinity: Affinity::Worker { index, strength }, ..plain() }
}

fn priority(priority: f64) -> TaskSpec {
    TaskSpec { priority, ..plain() }
}

impl Shell {
    /// With that many workers, all of which have come by and parked.
    fn new(workers: u32, config: Config) -> Self {
        let mut shell = Self {
            scheduler: Scheduler::new(config),
            cells: Cells::default(),
            ids: BTreeMap::new(),
            now: 1,
            woken: Vec::new(),
        };
        for index in 0..workers {
            shell.scheduler.join(native(index), true, &mut shell.woken);
        }
        for index in (0..workers).rev() {
            shell.park(index);
        }
        shell
    }

    fn fifo(workers: u32) -> Self {
        Self::new(workers, Config::default())
    }

    fn try_submit(&mut self, name: &'static str, spec: TaskSpec) -> Result<TaskId, Rejected<&'static str>> {
        self.scheduler.submit(spec, name, Time(self.now), &mut self.cells, &mut self.woken)
    }

    fn submit(&mut self, name: &'static str, spec: TaskSpec) -> TaskId {
        let id = self.try_submit(name, spec).expect("admitted");
        self.ids.insert(name, id);
        id
    }

    /// Takes up to `max` and begins none of it.
    fn take(&mut self, worker: u32, max: usize) -> Vec<&'static str> {
        let mut out = Vec::new();
        self.scheduler.take(native(worker), max, Time(self.now), &mut self.cells, &mut out, &mut self.woken);
        self.cells.payloads.extend(out.iter().map(|taken| (taken.id, taken.payload)));
        out.into_iter().map(|taken| taken.payload).collect()
    }

    /// Takes one and begins it.
    fn run(&mut self, worker: u32) -> Option<&'static str> {
        let name = self.take(worker, 1).pop()?;
        self.cells.begun.insert(self.ids[name]);
        Some(name)
    }

    fn complete(&mut self, worker: u32, name: &str, run_time: u64) {
        let id = self.ids[name];
        assert!(self.scheduler.complete(native(worker), id, run_time, true, Time(self.now)).is_some());
        self.cells.payloads.remove(&id);
    }

    fn park(&mut self, worker: u32) {
        assert!(self.take(worker, 1).is_empty());
        assert!(self.scheduler.park(native(worker), Time(self.now)));
    }

    fn leave(&mut self, worker: u32, replaced: bool) -> LeaveReport<&'static str> {
        let mut report = LeaveReport::default();
        let now = Time(self.now);
        self.scheduler.leave(native(worker), replaced, &mut self.cells, now, &mut report, &mut self.woken);
        report
    }

    fn woken(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.woken).into_iter().map(|worker| worker.index).collect()
    }

    /// A key whose tasks are known to take that long.
    fn learned(&mut self, name: &'static str, nanos: u64) -> TaskSpec {
        let key = Some(self.scheduler.costs.key(name));
        self.submit(name, TaskSpec { key, ..plain() });
        assert_eq!(self.run(0), Some(name));
        self.complete(0, name, nanos);
        self.park(0);
        self.woken.clear();
        TaskSpec { key, ..plain() }
    }
}
