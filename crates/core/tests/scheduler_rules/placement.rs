//! Stage: all. Thread: the test's.
//! Where tasks go and who takes them from there: S7, batches, steals, costs and keys.

use super::{MS, Shell, native, on, plain};
use threadmill_core::scheduler::{Affinity, Config, Lane, Strength, TINY, TaskSpec, Time, batch_limit};

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
