//! Stage: all. Thread: the test's.
//! What goes first: S4 and S6.

use super::{MS, SECOND, Shell, on, plain, priority};
use threadmill_core::scheduler::{Cancelled, Config, Lane, Schedule, Strength, TaskSpec, Time};

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
