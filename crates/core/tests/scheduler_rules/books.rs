//! Stage: all. Thread: the test's.
//! What is on the books, S1 and S5: places, capacity, deadlines, spans.

use super::{SECOND, Shell, native, plain, priority};
use threadmill_core::scheduler::{
    Cancelled, Config, Expired, Lane, Rejected, Scheduler, TaskId, TaskSpec, Time,
};

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
