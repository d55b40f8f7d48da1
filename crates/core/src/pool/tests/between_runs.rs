//! What happens to tasks that run again, while one run has ended and the next has not begun.

use super::super::{Policy, Time, clock};
use super::again::twice;
use super::fixture::{Fixture, SLOWNESS};
use super::js::js_task;
use crate::completion::{Event, Outcome};
use crate::scheduler::{Lane, TaskId, TaskSpec};

const MS: u64 = 1_000_000;

/// A kernel that fails, and runs again and again.
fn submit_endless(fixture: &mut Fixture, spec: TaskSpec) -> TaskId {
    let endless = Policy { retries: u32::MAX, ..twice() };
    fixture.submit_with_policy("faultError", spec, endless).unwrap()
}

/// The next event but for those of runs.
fn outcome(fixture: &Fixture) -> Event {
    loop {
        let event = fixture.next_event();
        if !matches!(event, Event::Retried { .. } | Event::Released { .. }) {
            return event;
        }
    }
}

#[test]
fn g2_between_two_runs_a_kernel_can_be_given_up_at_any_time() {
    let mut fixture = Fixture::new(1);
    for round in 0..3000 / SLOWNESS {
        let id = submit_endless(&mut fixture, TaskSpec::plain(Lane::Native));
        for _ in 0..round % 100 {
            std::hint::spin_loop();
        }
        while !matches!(fixture.next_event(), Event::Retried { .. }) {}
        assert!(fixture.pool.cancel(id), "round {round}");
        assert!(matches!(outcome(&fixture), Event::Settled { outcome: Outcome::Cancelled, .. }));
    }
    fixture.close();
}

#[test]
fn g2_a_deadline_between_two_runs_is_kept() {
    let mut fixture = Fixture::new(1);
    for _ in 0..100 / SLOWNESS {
        let deadline = Some(Time(clock::now() + MS));
        submit_endless(&mut fixture, TaskSpec { deadline, ..TaskSpec::plain(Lane::Native) });
        assert!(matches!(outcome(&fixture), Event::Settled { outcome: Outcome::Expired, .. }));
    }
    fixture.close();
}

#[test]
fn a_pool_that_ends_between_two_runs_ends() {
    for round in 0..200 / SLOWNESS {
        let mut fixture = Fixture::new(2);
        let tasks = 2;
        for _ in 0..tasks {
            submit_endless(&mut fixture, TaskSpec::plain(Lane::Native));
        }
        while !matches!(fixture.next_event(), Event::Retried { .. }) {}
        if round % 2 == 0 {
            fixture.pool.close(&fixture.sink);
            fixture.pool.reject_everything();
        } else {
            fixture.pool.detach();
        }
        for _ in 0..tasks {
            assert!(matches!(outcome(&fixture), Event::Settled { outcome: Outcome::Error(_), .. }));
        }
        while fixture.pool.state.lock().threads > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_pool_that_rejects_what_waits_repeats_nothing() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit_with_policy("faultEcho", js_task(), Policy { delay: 3_600_000 * MS, ..twice() });
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.close(&fixture.sink);
    fixture.pool.reject_waiting();
    fixture.fail(&tasks[0]);
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, outcome: Outcome::Answer(_), .. }));
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}
