//! Tasks that end before their work does, and what comes of it for others.

use super::super::Policy;
use super::again::twice;
use super::fixture::{Fixture, forced};
use crate::completion::Event;
use crate::scheduler::{Affinity, Lane, Strength, TaskSpec};

#[test]
fn a_closed_pool_ends_when_its_last_task_is_cancelled_while_it_is_set_aside() {
    let mut fixture = Fixture::new(1);
    let policy = Policy { delay: 3_600_000_000_000_000, ..twice() };
    let id = fixture.submit_with_policy("faultError", TaskSpec::plain(Lane::Native), policy).unwrap();
    assert!(matches!(fixture.next_event(), Event::Retried { .. }));
    fixture.pool.close(&fixture.sink);
    assert!(fixture.pool.cancel(id));
    fixture.outcomes(1);
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}

#[test]
fn s3_a_strong_task_that_becomes_movable_by_a_cancellation_is_moved() {
    let mut fixture = Fixture::new(3);
    let workers: Vec<_> = (0..3).map(|_| fixture.occupy()).collect();
    let on = |fixture: &Fixture, index| {
        *workers.iter().find(|id| fixture.pool.worker_of(**id) == Some(index)).unwrap()
    };
    let third = on(&fixture, 2);
    let strong = Affinity::Worker { index: 0, strength: Strength::Strong };
    let ballast: Vec<_> =
        (0..3).map(|_| fixture.submit_with("faultEcho", 1.0, forced(Lane::Native, 1)).unwrap()).collect();
    for _ in 0..2 {
        fixture.submit_with("faultEcho", 1.0, TaskSpec { affinity: strong, ..TaskSpec::plain(Lane::Native) });
    }
    assert!(fixture.pool.cancel(third));
    fixture.outcomes(1);
    while !fixture.pool.has_idle_worker(Lane::Native) {
        std::thread::yield_now();
    }
    for id in ballast {
        assert!(fixture.pool.cancel(id));
    }
    fixture.outcomes(3);
    // Worker 0 has 3 of 4 ms, more than twice the average of three; worker 2 is idle.
    assert!(matches!(fixture.next_event(), Event::Settled { .. }));
    for id in workers.into_iter().filter(|id| *id != third) {
        assert!(fixture.pool.cancel(id));
    }
    fixture.outcomes(3);
    fixture.close();
}
