//! Stage: all. Thread: the test's.
//! The rules of the scheduler one at a time, each in the smallest situation that shows it. The invariants S1 to S7 are
//! those of `scheduler/mod.rs`; `scheduler_model` checks them under random sequences.

use std::collections::{BTreeMap, BTreeSet};
use threadmill_core::scheduler::{
    Affinity, Cancelled, Claims, Config, Expired, Lane, LeaveReport, Rejected, Schedule, Scheduler, Strength,
    TINY, TaskId, TaskSpec, Time, WorkerRef, batch_limit,
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

// ---- S1 ----

#[test]
fn s1_a_task_leaves_once_and_its_id_names_nothing_afterwards() {
    let mut shell = Shell::fifo(1);
    let first = shell.submit("a", plain());
    assert_eq!(shell.run(0), Some("a"));
    shell.complete(0, "a", 5);
    let second = shell.submit("b", plain());
    assert_eq!(first.index, second.index, "the place is used again");
    assert!(shell.scheduler.complete(native(0), first, 5, true, Time(2)).is_none());
    assert_eq!(shell.scheduler.cancel(first, Time(2), &mut shell.cells), Cancelled::Unknown);
    assert_eq!(shell.scheduler.cancel(second, Time(2), &mut shell.cells), Cancelled::Waiting("b"));
    assert!(shell.scheduler.is_idle());
}

#[test]
fn s1_a_running_task_stays_on_the_books_until_it_completes() {
    let mut shell = Shell::fifo(1);
    let id = shell.submit("a", plain());
    shell.run(0);
    assert_eq!(shell.scheduler.cancel(id, Time(2), &mut shell.cells), Cancelled::Running(native(0)));
    assert_eq!(shell.scheduler.admitted(), 1);
    shell.complete(0, "a", 5);
    assert_eq!(shell.scheduler.admitted(), 0);
}

#[test]
fn s1_a_leaving_worker_takes_along_what_it_has_begun_and_nothing_else() {
    let mut shell = Shell::fifo(2);
    let tiny = shell.learned("learn", 1000);
    shell.scheduler.set_engaged(native(1), false, &mut shell.woken);
    shell.take(1, 1);
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, tiny.clone());
    }
    assert_eq!(shell.take(0, 2), ["a", "b"], "both are awake: half of what waits each");
    shell.cells.begun.insert(shell.ids["a"]);
    let report = shell.leave(0, false);
    assert_eq!(report.running, [shell.ids["a"]]);
    assert!(report.orphaned.is_empty());
    assert_eq!(shell.take(1, 8), ["b", "c", "d"], "S4: what comes back comes back to its place");
}

// ---- S2 ----

#[test]
fn s2_a_forced_task_waits_for_its_worker() {
    let mut shell = Shell::fifo(2);
    shell.submit("long", on(0, Strength::Force));
    assert_eq!(shell.run(0), Some("long"));
    for name in ["a", "b", "c"] {
        shell.submit(name, on(0, Strength::Force));
    }
    assert_eq!(shell.take(1, 8), Vec::<&str>::new());
    assert_eq!(shell.woken(), [0], "worker 1 was not woken for what it may not run");
    shell.complete(0, "long", 5);
    assert_eq!(shell.run(0), Some("a"));
}

#[test]
fn s2_forced_tasks_wait_for_the_replacement_or_come_back() {
    let mut shell = Shell::fifo(2);
    shell.submit("a", on(0, Strength::Force));
    shell.submit("b", on(0, Strength::Light));
    assert_eq!(shell.leave(0, true), LeaveReport::default());
    assert_eq!(shell.take(1, 8), ["b"], "what was not forced is free");
    shell.submit("c", on(0, Strength::Force));
    assert_eq!(shell.take(1, 8), Vec::<&str>::new());
    shell.woken();
    assert!(shell.scheduler.join(native(0), false, &mut shell.woken));
    assert_eq!(shell.woken(), [0], "the replacement has work at once");
    assert_eq!(shell.run(0), Some("a"));
    let report = shell.leave(0, false);
    assert_eq!(report.running, [shell.ids["a"]]);
    assert_eq!(report.orphaned, [(shell.ids["c"], "c")]);
    assert_eq!(shell.try_submit("d", on(0, Strength::Force)), Err(Rejected::NoSuchWorker("d")));
    assert!(shell.try_submit("e", on(0, Strength::Strong)).is_ok(), "strong without a worker counts as free");
}

// ---- S3 ----

#[test]
fn s3_as_many_workers_wake_as_there_are_tasks() {
    let mut shell = Shell::fifo(4);
    shell.submit("a", plain());
    assert_eq!(shell.woken(), [0], "the one that parked last");
    shell.submit("b", plain());
    assert_eq!(shell.woken(), [1]);
    assert_eq!(shell.run(0), Some("a"));
    assert_eq!(shell.run(0), None, "it is busy");
    assert_eq!(shell.run(1), Some("b"));
    shell.complete(1, "b", 5);
    shell.submit("c", plain());
    assert!(shell.woken().is_empty(), "worker 1 is about to come by");
    assert_eq!(shell.run(1), Some("c"));
}

#[test]
fn an_idle_worker_that_steps_back_is_woken_last() {
    let mut shell = Shell::fifo(3);
    shell.scheduler.join(native(3), false, &mut shell.woken);
    for worker in [0, 2, 2] {
        assert!(shell.scheduler.step_back(native(worker)));
    }
    assert!(!shell.scheduler.step_back(native(3)), "it has yet to start");
    assert!(!shell.scheduler.step_back(native(4)), "it does not exist");
    for (name, worker) in [("a", 1), ("b", 0), ("c", 2)] {
        shell.submit(name, plain());
        assert_eq!(shell.woken(), [worker]);
    }
    assert!(!shell.scheduler.step_back(native(0)), "a task waits for it");
}

#[test]
fn s3_threads_are_started_lowest_first_and_only_when_no_other_worker_sleeps() {
    let mut shell = Shell::fifo(1);
    shell.scheduler.join(native(1), false, &mut shell.woken);
    shell.scheduler.join(native(2), false, &mut shell.woken);
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, plain());
    }
    assert_eq!(shell.woken(), [0, 1, 2]);
}

#[test]
fn s3_what_queues_behind_a_long_task_is_done_by_others() {
    let mut shell = Shell::fifo(2);
    shell.submit("long", on(0, Strength::Light));
    assert_eq!(shell.run(0), Some("long"));
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, on(0, Strength::Light));
    }
    assert!(shell.woken().contains(&1));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(shell.run(1), Some(name));
        shell.complete(1, name, 5);
    }
    assert_eq!(shell.scheduler.steals(), 4);
    assert_eq!(shell.scheduler.worker(native(1)).expect("joined").stolen, 4);
}

#[test]
fn s3_a_light_task_is_left_to_its_idle_worker() {
    let mut shell = Shell::fifo(2);
    shell.submit("a", on(1, Strength::Light));
    assert_eq!(shell.woken(), [1], "its own worker is woken, not the one that parked last");
    assert_eq!(shell.run(0), None);
    assert_eq!(shell.run(1), Some("a"));
}

#[test]
fn s3_a_light_task_does_not_wait_for_a_worker_that_has_yet_to_start() {
    let mut shell = Shell::fifo(1);
    shell.scheduler.join(native(1), false, &mut shell.woken);
    shell.submit("a", on(1, Strength::Light));
    assert_eq!(shell.woken(), [1]);
    assert_eq!(shell.run(0), Some("a"), "worker 0 came by first");
}

#[test]
fn s3_an_engaged_worker_is_not_counted_on() {
    let mut shell = Shell::fifo(2);
    shell.scheduler.wake_idle(Lane::Native, 1, &mut shell.woken);
    assert_eq!(shell.woken(), [0]);
    assert!(shell.take(0, 1).is_empty());
    shell.scheduler.set_engaged(native(0), true, &mut shell.woken);
    assert!(shell.scheduler.is_engaged(native(0)));
    shell.submit("a", plain());
    assert_eq!(shell.woken(), [1]);
}

#[test]
fn s3_a_blocked_task_makes_room_on_its_worker() {
    let mut shell = Shell::fifo(1);
    shell.submit("outer", plain());
    shell.run(0);
    shell.park(0);
    shell.woken();
    let id = shell.ids["outer"];
    shell.submit("inner", on(0, Strength::Force));
    assert!(shell.woken().is_empty(), "it has no room");
    assert!(shell.scheduler.block(id, Time(2), &mut shell.woken));
    assert_eq!(shell.woken(), [0]);
    assert_eq!(shell.run(0), Some("inner"));
    assert!(shell.scheduler.unblock(id, &mut shell.woken));
    shell.submit("more", plain());
    shell.complete(0, "inner", 5);
    assert_eq!(shell.run(0), None, "the outer task runs again");
    shell.complete(0, "outer", 5);
    assert_eq!(shell.run(0), Some("more"));
}

// ---- S4 ----

#[test]
fn s4_first_in_first_out() {
    let mut shell = Shell::fifo(1);
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, plain());
    }
    for name in ["a", "b", "c", "d"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
}

#[test]
fn s4_forced_then_strong_then_by_order_of_submission() {
    let mut shell = Shell::fifo(1);
    shell.submit("free", plain());
    shell.submit("light", on(0, Strength::Light));
    shell.submit("free 2", plain());
    shell.submit("strong", on(0, Strength::Strong));
    shell.submit("forced", on(0, Strength::Force));
    for name in ["forced", "strong", "free", "light", "free 2"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
}

#[test]
fn s4_a_forced_task_may_wait_for_its_turn_among_free_ones() {
    let mut shell = Shell::fifo(2);
    let in_turn = || TaskSpec { in_turn: true, ..on(0, Strength::Force) };
    shell.submit("free", plain());
    shell.submit("in turn", in_turn());
    shell.submit("free 2", plain());
    shell.submit("in turn 2", in_turn());
    shell.submit("urgent", TaskSpec { priority: 1.0, ..in_turn() });
    shell.submit("strong", on(0, Strength::Strong));
    for name in ["urgent", "strong", "free", "in turn", "free 2", "in turn 2"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
    shell.submit("bound", in_turn());
    assert_eq!(shell.run(1), None, "it is forced all the same");
    assert_eq!(shell.run(0), Some("bound"));
}

#[test]
fn each_worker_gets_one_of_the_first_tasks_once() {
    let mut shell = Shell::fifo(3);
    shell.scheduler.serve_each(Lane::Native);
    shell.submit("keyed to 1", on(1, Strength::Light));
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, plain());
    }
    shell.woken.sort_unstable_by_key(|worker| worker.index);
    assert_eq!(shell.woken(), [0, 1, 2]);
    // The first to come runs its own and what may run anywhere, and leaves the others theirs.
    for name in ["a", "c", "d"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
    assert_eq!(shell.run(0), None);
    assert_eq!(shell.run(2), Some("b"));
    assert_eq!(shell.run(1), Some("keyed to 1"));
}

#[test]
fn a_first_task_goes_elsewhere_when_its_worker_leaves() {
    let mut shell = Shell::fifo(3);
    shell.scheduler.serve_each(Lane::Native);
    shell.leave(2, false);
    for name in ["a", "b", "c"] {
        shell.submit(name, plain());
    }
    shell.leave(0, true);
    for name in ["b", "a", "c"] {
        assert_eq!(shell.run(1), Some(name));
        shell.complete(1, name, 5);
    }
}

#[test]
fn where_the_longest_go_first_no_worker_gets_a_first_task() {
    let mut shell = Shell::new(2, Config { schedule: Schedule::LongestFirst, ..Config::default() });
    shell.scheduler.serve_each(Lane::Native);
    let estimated = |nanos| TaskSpec { estimate: Some(nanos), ..plain() };
    shell.submit("1", estimated(MS));
    shell.submit("9", estimated(9 * MS));
    assert_eq!(shell.run(0), Some("9"));
    assert_eq!(shell.run(1), Some("1"));
}

#[test]
fn longest_first_orders_by_expected_cost_and_takes_the_unknown_for_average() {
    let mut shell = Shell::new(1, Config { schedule: Schedule::LongestFirst, ..Config::default() });
    let known = shell.learned("known", 5 * MS);
    let estimated = |nanos| TaskSpec { estimate: Some(nanos), ..plain() };
    shell.submit("1", estimated(MS));
    shell.submit("unknown", plain());
    shell.submit("5", known);
    shell.submit("9", estimated(9 * MS));
    shell.submit("late but urgent", priority(1.0));
    for name in ["late but urgent", "9", "unknown", "5", "1"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5 * MS);
    }
}

// ---- S5 ----

#[test]
fn s5_places_are_reused_and_given_back() {
    let mut shell = Shell::fifo(1);
    for _ in 0..100_000 {
        shell.submit("a", plain());
        shell.submit("b", TaskSpec { deadline: Some(Time(shell.now + SECOND)), ..priority(3.0) });
        let b = shell.ids["b"];
        assert_eq!(shell.scheduler.cancel(b, Time(shell.now), &mut shell.cells), Cancelled::Waiting("b"));
        assert_eq!(shell.take(0, 1), ["a"]);
        shell.complete(0, "a", 5);
    }
    assert_eq!(shell.scheduler.places(), 256);
    assert_eq!(shell.scheduler.deadlines(), 0, "a finished task leaves no deadline behind");
    let ids: Vec<TaskId> = (0..50_000).map(|_| shell.submit("burst", plain())).collect();
    assert!((50_000..50_256).contains(&shell.scheduler.places()));
    for id in ids {
        assert_eq!(shell.scheduler.cancel(id, Time(2), &mut shell.cells), Cancelled::Waiting("burst"));
    }
    assert!(shell.scheduler.places() <= 16 * 1024, "{} places after a burst", shell.scheduler.places());
    shell.submit("after", plain());
    assert_eq!(shell.take(0, 1), ["after"]);
}

#[test]
fn s5_a_task_takes_less_than_100_bytes_beside_its_payload() {
    assert!(Scheduler::<[u64; 5]>::place_size() <= 144, "{}", Scheduler::<[u64; 5]>::place_size());
}

#[test]
fn capacity_is_checked_at_submit_and_the_payload_comes_back() {
    let mut shell =
        Shell::new(1, Config { capacity_tasks: Some(3), capacity_bytes: Some(100), ..Config::default() });
    let sized = |bytes| TaskSpec { bytes, ..plain() };
    let big = shell.submit("big", sized(500));
    assert_eq!(shell.try_submit("small", sized(1)), Err(Rejected::Full("small")));
    assert_eq!(shell.scheduler.cancel(big, Time(2), &mut shell.cells), Cancelled::Waiting("big"));
    shell.submit("a", sized(60));
    assert_eq!(shell.try_submit("b", sized(60)), Err(Rejected::Full("b")));
    shell.submit("c", sized(40));
    shell.submit("d", sized(0));
    assert_eq!(shell.try_submit("e", sized(0)), Err(Rejected::Full("e")));
    shell.scheduler.close();
    assert_eq!(shell.try_submit("f", sized(0)), Err(Rejected::Closed("f")));
}

// ---- S6 ----

#[test]
fn s6_a_higher_priority_goes_first() {
    let mut shell = Shell::fifo(1);
    for (name, level) in
        [("0", 0.0), ("-1", -1.0), ("2", 2.0), ("0 again", -0.0), ("1", 1.0), ("2 again", 2.0)]
    {
        shell.submit(name, priority(level));
    }
    for name in ["2", "2 again", "1", "0", "0 again", "-1"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
}

#[test]
fn s6_waiting_is_bounded_by_ageing() {
    let mut shell = Shell::fifo(1);
    shell.submit("patient", priority(0.0));
    // It has its turn after 3 times 10 s: of equals the older goes first.
    urgent_first(&mut shell, 3.0, 30);
    assert_eq!(shell.run(0), Some("patient"));
}

/// A new task of that priority every second, which runs at once for so many seconds; then one waits.
fn urgent_first(shell: &mut Shell, level: f64, seconds: u64) {
    for second in 0..=seconds {
        shell.now = 1 + second * SECOND;
        shell.submit("urgent", priority(level));
        if second < seconds {
            assert_eq!(shell.run(0), Some("urgent"));
            shell.complete(0, "urgent", 5);
        }
    }
}

#[test]
fn s6_the_oldest_rises_above_however_many_priorities() {
    let mut shell = Shell::fifo(1);
    shell.submit("patient", priority(0.0));
    shell.now += 10_000 * SECOND;
    // More than are compared for one choice.
    for level in 1..=300 {
        shell.submit("urgent", priority(f64::from(level)));
    }
    assert_eq!(shell.run(0), Some("patient"));
}

#[test]
fn s6_an_older_task_of_low_priority_keeps_nobody_waiting() {
    let mut shell = Shell::fifo(1);
    // It would have its turn in hours, and it is the oldest all the time.
    shell.submit("whenever", priority(-1000.0));
    shell.submit("patient", priority(0.0));
    shell.submit("behind", priority(0.0));
    urgent_first(&mut shell, 2.0, 20);
    for name in ["patient", "behind", "urgent", "whenever"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
}

#[test]
fn s6_a_shorter_task_that_has_waited_goes_before_longer_ones_however_many_costs_there_are() {
    let mut shell = Shell::new(1, Config { schedule: Schedule::LongestFirst, ..Config::default() });
    let name = |cost: u64| ["10", "20", "30", "40", "50"][cost as usize / 10 - 1];
    let estimate = |cost: u64| TaskSpec { estimate: Some(cost), ..priority(0.0) };
    shell.submit("whenever", priority(-1000.0));
    for cost in [20, 10, 30] {
        shell.submit(name(cost), estimate(cost));
    }
    shell.now += 10 * SECOND;
    for cost in [40, 50] {
        shell.submit(name(cost), estimate(cost));
    }
    for next in ["30", "20", "10", "50", "40", "whenever"] {
        assert_eq!(shell.run(0), Some(next));
        shell.complete(0, next, 5);
    }
}

#[test]
fn s6_what_was_taken_and_not_begun_yields_to_a_higher_priority() {
    let mut shell = Shell::fifo(1);
    let tiny = shell.learned("learn", 1000);
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, tiny.clone());
    }
    assert_eq!(shell.take(0, 8), ["a", "b", "c", "d"]);
    shell.cells.begun.insert(shell.ids["a"]);
    shell.submit("urgent", priority(1.0));
    assert_eq!(shell.scheduler.lane(Lane::Native).queued, 4);
    shell.complete(0, "a", 1000);
    assert_eq!(shell.run(0), Some("urgent"));
    shell.complete(0, "urgent", 1000);
    assert_eq!(shell.take(0, 8), ["b", "c", "d"], "S4: at their old places");
}

#[test]
fn s6_a_task_that_came_back_is_as_old_as_before() {
    let mut shell = Shell::fifo(1);
    let tiny = shell.learned("learn", 1000);
    shell.submit("first", priority(0.0));
    shell.submit("second", TaskSpec { priority: 1.0, ..tiny });
    shell.submit("third", priority(0.0));
    assert_eq!(shell.take(0, 1), ["second"]);
    shell.submit("urgent", priority(2.0));
    let first = shell.ids["first"];
    assert_eq!(shell.scheduler.cancel(first, Time(shell.now), &mut shell.cells), Cancelled::Waiting("first"));
    shell.now += 100 * SECOND;
    shell.submit("newest", priority(9.0));
    for name in ["urgent", "second", "third", "newest"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
}

// ---- S7 ----

/// Worker 0 of three runs a long task, with strong ones behind it.
fn overloaded() -> Shell {
    let mut shell = Shell::fifo(3);
    shell.submit("long", on(0, Strength::Strong));
    assert_eq!(shell.run(0), Some("long"));
    shell.woken();
    shell
}

#[test]
fn s7_a_strong_task_moves_when_its_worker_has_more_than_twice_the_average() {
    let mut shell = overloaded();
    shell.submit("a", on(0, Strength::Strong));
    assert_eq!(shell.woken(), [1], "2 of 2 ms on one of three workers");
    assert_eq!(shell.run(1), Some("a"));
    shell.submit("b", on(0, Strength::Strong));
    shell.submit("c", on(2, Strength::Force));
    assert_eq!(shell.run(2), Some("c"));
    shell.complete(2, "c", 5);
    assert_eq!(shell.run(2), None, "2 of 3 ms is not more than twice the average");
}

#[test]
fn s7_a_strong_task_stays_with_a_worker_that_is_about_to_run_it() {
    let mut shell = Shell::fifo(3);
    shell.submit("a", on(0, Strength::Strong));
    assert_eq!(shell.run(1), None);
    assert_eq!(shell.run(0), Some("a"));
}

#[test]
fn s7_two_workers_are_never_too_unbalanced() {
    let mut shell = Shell::fifo(2);
    shell.submit("long", on(0, Strength::Strong));
    shell.run(0);
    for name in ["a", "b", "c"] {
        shell.submit(name, on(0, Strength::Strong));
    }
    assert_eq!(shell.run(1), None);
}

#[test]
fn s7_a_strong_task_becomes_movable_when_the_load_of_others_drops() {
    let mut shell = overloaded();
    shell.submit("busy", on(1, Strength::Force));
    assert_eq!(shell.run(1), Some("busy"));
    shell.submit("a", on(0, Strength::Strong));
    shell.woken();
    assert_eq!(shell.run(2), None);
    shell.park(2);
    shell.complete(1, "busy", 5);
    assert_eq!(shell.run(1), Some("a"));
}

// ---- batches and steals ----

#[test]
fn only_tiny_tasks_are_taken_several_at_a_time_and_never_more_than_a_fair_share() {
    assert_eq!(batch_limit(32, None, false, 100, 0, 2), 1, "nothing is known");
    assert_eq!(batch_limit(32, Some(TINY), false, 100, 0, 2), 1, "not tiny");
    assert_eq!(batch_limit(32, Some(0), false, 100, 0, 2), 32, "no more than asked for");
    assert_eq!(batch_limit(32, Some(TINY - 1), false, 100, 0, 2), 5, "no more than 100 µs of work");
    assert_eq!(batch_limit(32, Some(0), false, 10, 0, 4), 2, "a share");
    assert_eq!(batch_limit(32, Some(0), false, 10, 3, 4), 5, "and one's own");
    assert_eq!(batch_limit(32, Some(0), true, 100, 0, 2), 1, "somebody is about to be woken");
    assert_eq!(batch_limit(32, Some(0), false, 0, 0, 4), 1);
    assert_eq!(batch_limit(0, Some(0), false, 10, 0, 1), 0);
}

#[test]
fn a_batch_ends_before_a_task_that_is_not_tiny() {
    let mut shell = Shell::fifo(1);
    let tiny = shell.learned("tiny", 1000);
    shell.submit("a", tiny.clone());
    shell.submit("b", tiny.clone());
    shell.submit("big", plain());
    shell.submit("c", tiny);
    assert_eq!(shell.take(0, 8), ["a", "b"]);
    shell.complete(0, "a", 5);
    shell.complete(0, "b", 5);
    assert_eq!(shell.take(0, 8), ["big"]);
}

#[test]
fn a_thief_takes_at_most_half_oldest_first() {
    let mut shell = Shell::fifo(2);
    let tiny = shell.learned("tiny", 1000);
    let light = TaskSpec { affinity: Affinity::Worker { index: 0, strength: Strength::Light }, ..tiny };
    shell.submit("long", on(0, Strength::Light));
    assert_eq!(shell.run(0), Some("long"));
    for name in ["a", "b", "c", "d", "e"] {
        shell.submit(name, light.clone());
    }
    // Both are awake: a share of five is two.
    assert_eq!(shell.take(1, 8), ["a", "b"]);
    assert_eq!(shell.scheduler.steals(), 2);
}

#[test]
fn what_a_worker_took_beyond_what_it_can_begin_can_be_taken_from_it() {
    let mut shell = Shell::fifo(1);
    let tiny = shell.learned("tiny", 1000);
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, tiny.clone());
    }
    assert_eq!(shell.take(0, 8), ["a", "b", "c", "d"]);
    shell.cells.begun.insert(shell.ids["a"]);
    shell.scheduler.join(native(1), false, &mut shell.woken);
    assert!(shell.woken().contains(&1), "S3: tasks ahead count as waiting");
    assert_eq!(shell.take(1, 1), ["b"], "the oldest that has not begun");
    assert_eq!(shell.scheduler.steals(), 1);
    for name in ["b", "c", "d"] {
        shell.cells.begun.insert(shell.ids[name]);
    }
    shell.complete(1, "b", 1000);
    assert!(shell.take(1, 8).is_empty(), "all the others have begun");
    assert!(shell.scheduler.park(native(1), Time(2)));
}

#[test]
fn without_eagerness_tasks_are_assigned_and_stay() {
    let mut shell = Shell::new(2, Config { eager: [false, true, true], ..Config::default() });
    shell.submit("a", plain());
    shell.submit("b", plain());
    shell.submit("c", plain());
    assert_eq!(shell.run(1), Some("b"), "the least loaded, ties to the lowest number");
    shell.complete(1, "b", 5);
    assert_eq!(shell.run(1), None);
    assert_eq!(shell.run(0), Some("a"));
    shell.complete(0, "a", 5);
    assert_eq!(shell.run(0), Some("c"));
}

// ---- placement ----

#[test]
fn worker_costs_place_a_task_until_the_load_outweighs_the_advantage() {
    let mut shell = Shell::fifo(3);
    let costed = || TaskSpec { worker_costs: Some([3.5, 0.0, 3.5].into()), ..plain() };
    let queued = |shell: &Shell, index| shell.scheduler.worker(native(index)).expect("joined").queued;
    for name in ["a", "b", "c", "d"] {
        shell.submit(name, costed());
    }
    assert_eq!([0, 1, 2].map(|index| queued(&shell, index)), [0, 4, 0]);
    shell.submit("e", costed());
    assert_eq!(
        [0, 1, 2].map(|index| queued(&shell, index)),
        [1, 4, 0],
        "4 ms against 3.5: the lowest number wins"
    );
    let load = shell.scheduler.worker(native(0)).expect("joined").load;
    assert_eq!(load, 4_500_000, "expected cost, estimate and 1 ms");
}

#[test]
fn a_cost_vector_of_nonsense_counts_as_zero() {
    let mut shell = Shell::fifo(3);
    let costs = Some([1.0, f32::NAN, -5.0].into());
    shell.submit("a", TaskSpec { worker_costs: costs, ..plain() });
    assert_eq!(shell.run(1), Some("a"));
    assert_eq!(shell.scheduler.worker(native(1)).expect("joined").load, MS);
}

#[test]
fn a_key_goes_to_one_worker_and_moves_only_when_that_leaves() {
    let keyed = |hash| TaskSpec { affinity: Affinity::Key { hash, strength: Strength::Strong }, ..plain() };
    let place = |shell: &mut Shell, hash| {
        let before: Vec<usize> =
            (0..8).map(|index| shell.scheduler.worker(native(index)).map_or(0, |w| w.queued)).collect();
        shell.submit("key", keyed(hash));
        let grown = |index: &u32| {
            shell.scheduler.worker(native(*index)).map_or(0, |w| w.queued) > before[*index as usize]
        };
        (0..8).find(grown).expect("it was placed")
    };
    let mut shell = Shell::fifo(8);
    let first: Vec<u32> = (0..50).map(|hash| place(&mut shell, hash)).collect();
    let again: Vec<u32> = (0..50).map(|hash| place(&mut shell, hash)).collect();
    assert_eq!(first, again);
    assert!((0..8).all(|index| first.contains(&index)), "50 keys on 8 workers leave none out");
    let waiting = shell.scheduler.waiting();
    shell.leave(3, false);
    assert_eq!(shell.scheduler.lane(Lane::Native).free, 0, "waiting tasks move to the key's new worker");
    assert_eq!(shell.scheduler.waiting(), waiting);
    for (hash, before) in (0..50).zip(first) {
        let after = place(&mut shell, hash);
        assert_eq!(after == before, before != 3);
    }
}

// ---- deadlines ----

#[test]
fn expiry_takes_out_what_waits_and_tells_once_of_what_runs() {
    let mut shell = Shell::fifo(2);
    let due = |at| TaskSpec { deadline: Some(Time(at)), ..plain() };
    shell.submit("runs", due(20));
    shell.submit("late", due(30));
    shell.submit("waits", due(10));
    assert_eq!(shell.run(0), Some("runs"));
    assert_eq!(shell.scheduler.next_deadline(), Some(Time(10)));
    let mut out = Vec::new();
    shell.scheduler.expire(Time(9), &mut shell.cells, &mut out);
    assert!(out.is_empty());
    shell.scheduler.expire(Time(20), &mut shell.cells, &mut out);
    let expected =
        [Expired::Waiting(shell.ids["waits"], "waits"), Expired::Running(shell.ids["runs"], native(0))];
    assert_eq!(out, expected);
    out.clear();
    shell.scheduler.expire(Time(25), &mut shell.cells, &mut out);
    assert!(out.is_empty());
    assert_eq!(shell.scheduler.next_deadline(), Some(Time(30)));
}

#[test]
fn a_deadline_from_the_start_begins_with_the_report() {
    let mut shell = Shell::fifo(1);
    shell.submit("a", TaskSpec { deadline_from_start: Some(100), ..plain() });
    assert_eq!(shell.scheduler.next_deadline(), None);
    let mut out = Vec::new();
    shell.scheduler.take(native(0), 1, Time(5), &mut shell.cells, &mut out, &mut shell.woken);
    assert!(out[0].report_begin);
    assert!(shell.scheduler.began(shell.ids["a"], Time(7)));
    assert_eq!(shell.scheduler.next_deadline(), Some(Time(107)));
}

#[test]
fn reject_waiting_leaves_what_has_begun() {
    let mut shell = Shell::fifo(1);
    let tiny = shell.learned("tiny", 1000);
    for name in ["a", "b", "c"] {
        shell.submit(name, tiny.clone());
    }
    assert_eq!(shell.take(0, 2), ["a", "b"]);
    shell.cells.begun.insert(shell.ids["a"]);
    let mut out = Vec::new();
    shell.scheduler.reject_waiting(&|_, _| true, Time(2), &mut shell.cells, &mut out);
    assert_eq!(out, [(shell.ids["b"], "b"), (shell.ids["c"], "c")]);
    assert_eq!((shell.scheduler.running(), shell.scheduler.waiting()), (1, 0));
}

#[test]
fn the_span_of_a_lane_tells_makespan_and_lower_bound() {
    let mut shell = Shell::fifo(2);
    shell.now = 1000;
    shell.submit("a", plain());
    shell.submit("b", plain());
    shell.run(0);
    shell.run(1);
    shell.now = 1400;
    shell.complete(0, "a", 400);
    shell.now = 1600;
    shell.complete(1, "b", 500);
    let span = shell.scheduler.lane(Lane::Native).span;
    assert_eq!((span.makespan(), span.lower_bound(2), span.lower_bound(1)), (600, 500, 900));
}

// ---- corners ----

#[test]
fn s6_what_did_not_yield_to_one_priority_yields_to_a_higher_one() {
    let mut shell = Shell::fifo(1);
    let tiny = shell.learned("learn", 1000);
    shell.submit("0", tiny.clone());
    shell.submit("1", TaskSpec { priority: 1.0, ..tiny.clone() });
    assert_eq!(shell.take(0, 8), ["1", "0"]);
    shell.submit("another 1", priority(1.0));
    assert_eq!(shell.scheduler.lane(Lane::Native).ahead, 1, "the other one is as urgent");
    shell.submit("2", priority(2.0));
    assert_eq!(shell.scheduler.lane(Lane::Native).ahead, 0);
    for name in ["2", "1", "another 1", "0"] {
        assert_eq!(shell.run(0), Some(name));
        shell.complete(0, name, 5);
    }
}

#[test]
fn s6_the_two_zeros_are_one_priority() {
    let mut shell = Shell::fifo(1);
    shell.submit("-0", priority(-0.0));
    shell.submit("0", priority(0.0));
    assert_eq!(shell.run(0), Some("-0"));
}

#[test]
fn of_equal_sums_the_least_load_wins() {
    let mut shell = Shell::fifo(2);
    shell.submit("long", on(0, Strength::Force));
    let costs = Some([0.0, 1.0].into());
    shell.submit("a", TaskSpec { worker_costs: costs, ..plain() });
    let queued = [0, 1].map(|index| shell.scheduler.worker(native(index)).expect("joined").queued);
    assert_eq!(queued, [1, 1], "1 ms of load and none of cost, or the other way round");
}

#[test]
fn a_thief_takes_at_most_half_also_when_nobody_else_is_awake() {
    let mut shell = Shell::fifo(2);
    let tiny = shell.learned("tiny", 1000);
    let light = TaskSpec { affinity: Affinity::Worker { index: 0, strength: Strength::Light }, ..tiny };
    shell.submit("long", on(0, Strength::Light));
    assert_eq!(shell.run(0), Some("long"));
    // As one does whose task goes on without it.
    shell.park(0);
    for name in ["a", "b", "c", "d", "e"] {
        shell.submit(name, light.clone());
    }
    assert_eq!(shell.take(1, 8), ["a", "b", "c"]);
}

#[test]
fn expiry_tells_once_of_a_task_whose_begin_is_reported_later() {
    let mut shell = Shell::fifo(1);
    let spec = TaskSpec { deadline: Some(Time(10)), deadline_from_start: Some(100), ..plain() };
    shell.submit("a", spec);
    assert_eq!(shell.run(0), Some("a"));
    let mut out = Vec::new();
    shell.scheduler.expire(Time(10), &mut shell.cells, &mut out);
    assert_eq!(out, [Expired::Running(shell.ids["a"], native(0))]);
    assert!(shell.scheduler.began(shell.ids["a"], Time(9)));
    assert_eq!(shell.scheduler.next_deadline(), None);
}

#[test]
fn a_worker_that_runs_a_task_is_not_engaged() {
    let mut shell = Shell::fifo(1);
    shell.submit("a", plain());
    assert_eq!(shell.run(0), Some("a"));
    assert!(!shell.scheduler.is_engaged(native(0)));
}

#[test]
fn s2_the_number_of_one_that_has_retired_is_kept_as_long_as_it_runs_a_task() {
    let mut shell = Shell::fifo(2);
    shell.submit("a", on(0, Strength::Force));
    assert_eq!(shell.run(0), Some("a"));
    let mut report = LeaveReport::default();
    shell.scheduler.retire(native(0), true, &mut shell.cells, Time(2), &mut report, &mut shell.woken);
    shell.scheduler.vacate_all(Lane::Native);
    let bound = shell.submit("bound", on(0, Strength::Force));
    assert_eq!(shell.scheduler.cancel(bound, Time(2), &mut shell.cells), Cancelled::Waiting("bound"));
    shell.complete(0, "a", 5);
    shell.scheduler.vacate_all(Lane::Native);
    assert_eq!(shell.try_submit("late", on(0, Strength::Force)), Err(Rejected::NoSuchWorker("late")));
}
