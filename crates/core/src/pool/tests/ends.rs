//! The end of pools: closed, destroyed, or left by who has attached to them.

use super::super::Cell;
use super::fixture::{Fixture, forced};
use super::js::js_task;
use crate::completion::{Event, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, TaskSpec};
use std::time::Duration;

#[test]
fn n2_what_was_posted_before_the_close_is_run() {
    for _ in 0..200 {
        let mut fixture = Fixture::new(2);
        assert!(fixture.post("faultEcho", &[1.0, 2.0, 3.0]));
        fixture.pool.close(&fixture.sink);
        assert!(!fixture.post("faultEcho", &[4.0]), "nothing gets in after it");
        let mut settled = 0;
        loop {
            match fixture.next_event() {
                Event::Settled { outcome, .. } => {
                    assert!(outcome.is_ok());
                    settled += 1;
                }
                Event::Closed { .. } => break,
                _ => {}
            }
        }
        assert_eq!(settled, 3, "the end comes last");
    }
}

#[test]
fn closing_finishes_what_was_admitted_and_refuses_the_rest() {
    let mut fixture = Fixture::new(2);
    for index in 0..500 {
        fixture.submit("faultEcho", f64::from(index));
    }
    fixture.pool.close(&fixture.sink);
    assert!(fixture.submit_with("faultEcho", 1.0, TaskSpec::plain(Lane::Native)).is_none());
    let (mut settled, mut refused, mut closed) = (0, 0, false);
    while settled + refused < 501 || !closed {
        match fixture.next_event() {
            Event::Settled { outcome: Outcome::Ok(_), .. } => settled += 1,
            Event::Settled { outcome: Outcome::Error(error), .. } => {
                assert_eq!(error.code, ErrorCode::PoolClosed);
                refused += 1;
            }
            Event::Closed { .. } => closed = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((settled, refused), (500, 1));
}

#[test]
fn a_closed_pool_ends_when_its_last_waiting_job_is_cancelled() {
    let mut fixture = Fixture::new(2);
    let gates = [fixture.occupy(), fixture.occupy()];
    let waiting = fixture.submit_with("faultEcho", 1.0, forced(Lane::Native, 0)).unwrap();
    fixture.pool.close(&fixture.sink);
    for id in [gates[0], gates[1], waiting] {
        fixture.pool.cancel(id);
    }
    while !matches!(fixture.next_event(), Event::Closed { .. }) {}
}

#[test]
fn detaching_ends_everything_without_an_event_after_it() {
    let mut fixture = Fixture::new(2);
    fixture.occupy();
    for _ in 0..100 {
        fixture.submit("faultWait", 0.0);
    }
    fixture.pool.detach();
    let mut settled = 0;
    while settled < 101 {
        if let Event::Settled { outcome: Outcome::Error(error), .. } = fixture.next_event() {
            assert_eq!(error.code, ErrorCode::PoolClosed);
            settled += 1;
        }
    }
    while fixture.pool.state.lock().threads > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn detaching_ends_threads_that_rest_although_js_tasks_run() {
    let mut fixture = Fixture::new(2);
    let _bell = fixture.js_worker(0);
    fixture.submit("faultEcho", 1.0);
    assert!(fixture.outcomes(1).values().all(Outcome::is_ok));
    fixture.submit_with("faultEcho", 1.0, js_task());
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    // The thread has come to rest.
    while fixture.pool.slots.iter().any(|slot| slot.started() && !fixture.pool.has_idle_worker(Lane::Native))
    {
        std::thread::yield_now();
    }
    fixture.pool.detach();
    while fixture.pool.state.lock().threads > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn detaching_tells_nobody_of_the_end_and_waits_for_kernels_that_use_memory() {
    let mut fixture = Fixture::new(1);
    let mut request = fixture.request("faultStubborn", 100.0, TaskSpec::plain(Lane::Native));
    request.job.in_place = true;
    fixture.pool.submit([request].into_iter());
    let id = fixture.ids.lock()[&0];
    while fixture.pool.worker_of(id).is_none() {
        std::thread::yield_now();
    }
    fixture.pool.close(&fixture.sink);
    fixture.pool.detach();
    assert!(!fixture.pool.all_cells().any(Cell::is_running), "memory of the env is used");
    while fixture.pool.state.lock().threads > 0 {
        std::thread::yield_now();
    }
    assert!(!fixture.events.try_iter().any(|event| matches!(event, Event::Closed { .. })));
}

#[test]
fn destroying_settles_what_js_workers_run() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit_with("faultEcho", 1.0, js_task());
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.close(&fixture.sink);
    fixture.pool.reject_everything();
    match fixture.next_event() {
        Event::Settled { ticket: 0, outcome: Outcome::Error(error), .. } => {
            assert_eq!(error.code, ErrorCode::PoolClosed);
        }
        other => panic!("{other:?}"),
    }
    assert!(!fixture.answer(0, &tasks[0]), "it was settled");
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}

#[test]
fn a_closed_pool_ends_with_a_js_task_although_its_threads_rest() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit("faultEcho", 1.0);
    fixture.outcomes(1);
    fixture.submit_with("faultEcho", 1.0, js_task());
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.close(&fixture.sink);
    // Right after the end the thread looks once more; the test is about the time when it has come to rest again.
    std::thread::sleep(Duration::from_millis(50));
    assert!(fixture.answer(0, &tasks[0]));
    fixture.outcomes(1);
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}

#[test]
fn a_closed_pool_keeps_its_size() {
    let mut fixture = Fixture::new(2);
    let gate = fixture.occupy();
    fixture.pool.close(&fixture.sink);
    fixture.pool.resize(1);
    assert_eq!(fixture.pool.active_threads(), 2);
    assert!(fixture.pool.cancel(gate));
    while !matches!(fixture.next_event(), Event::Closed { .. }) {}
}
