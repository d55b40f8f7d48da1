//! Stage: all. Thread: the test's.
//! Who may run a task, and who is woken for it: S2 and S3.

use super::{Shell, native, on, plain};
use threadmill_core::scheduler::{Cancelled, Lane, LeaveReport, Rejected, Strength, Time};

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
