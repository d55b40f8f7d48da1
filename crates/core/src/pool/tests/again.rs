//! Tasks that run again, and native workers that go and come.

use super::super::{JsNote, JsTask, Left, Parting, Payload, Policy};
use super::fixture::{Fixture, SLOWNESS, forced, number};
use super::js::js_task;
use crate::completion::{Answer, Event, Notice, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, TaskId, TaskSpec};
use crate::value::Value;
use std::time::{Duration, Instant};

const MS: u64 = 1_000_000;

pub(super) fn twice() -> Policy {
    Policy { retries: 2, on_crash: true, on_error: true, ..Policy::default() }
}

impl Fixture {
    pub(super) fn submit_with_policy(
        &mut self,
        kernel: &str,
        spec: TaskSpec,
        policy: Policy,
    ) -> Option<TaskId> {
        let mut request = self.request(kernel, 7.0, spec);
        if request.spec.lane == Lane::Js {
            request.job.kernel = super::super::ENTRY;
        }
        request.job.policy = Some(Box::new(policy));
        let ticket = request.job.ticket;
        self.pool.submit([request].into_iter());
        self.ids.lock().get(&ticket).copied()
    }

    pub(super) fn fail(&self, task: &JsTask) {
        let answer = Answer { failed: true, value: Value::Number(-1.0), ..Answer::default() };
        assert!(self.pool.js_answer(0, task.id, answer));
    }

    pub(super) fn retried(&self) -> (u32, u64) {
        match self.next_event() {
            Event::Retried { ticket: 0, count, delay, .. } => (count, delay),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn notice(&self) -> Notice {
        match self.next_event() {
            Event::Worker { notice, .. } => notice,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn g1_a_kernel_that_fails_runs_again_until_its_retries_are_used_up() {
    for kernel in ["faultError", "faultPanic"] {
        let mut fixture = Fixture::new(2);
        fixture.submit_with_policy(kernel, TaskSpec::plain(Lane::Native), twice());
        assert_eq!(fixture.retried(), (1, 0));
        assert_eq!(fixture.retried(), (2, 0));
        assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, .. }));
        assert_eq!(fixture.pool.figures().tasks_admitted, 1);
        fixture.close();
    }
}

#[test]
fn only_the_faults_that_were_named_are_retried() {
    let mut fixture = Fixture::new(1);
    let crashes = Policy { on_error: false, ..twice() };
    fixture.submit_with_policy("faultError", TaskSpec::plain(Lane::Native), crashes);
    assert!(matches!(fixture.next_event(), Event::Settled { .. }));
    let errors = Policy { on_crash: false, ..twice() };
    fixture.submit_with_policy("faultPanic", TaskSpec::plain(Lane::Native), errors);
    assert!(matches!(fixture.next_event(), Event::Settled { .. }));
    fixture.close();
}

#[test]
fn g1_a_js_task_that_throws_runs_again_under_the_same_id() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let id = fixture.submit_with_policy("faultEcho", js_task(), twice()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    assert_eq!(fixture.retried(), (1, 0));
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks[0].id, id);
    assert!(fixture.answer(0, &tasks[0]));
    assert_eq!(number(&fixture.outcomes(1)[&0]), 8.0);
    fixture.close();
}

#[test]
fn a_retry_waits_for_its_delay_and_longer_each_time() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let delay = 20 * SLOWNESS * MS;
    let policy = Policy { delay, backoff: 3.0, ..twice() };
    fixture.submit_with_policy("faultEcho", js_task(), policy);
    for expected in [(1, delay), (2, 3 * delay)] {
        let (_, tasks) = fixture.js_turn(0);
        let failed = Instant::now();
        fixture.fail(&tasks[0]);
        assert_eq!(fixture.retried(), expected);
        assert!(fixture.js_turn(0).1.is_empty(), "set aside");
        assert_eq!(fixture.pool.figures().queue_length, 1);
        assert_eq!(fixture.notice(), Notice::Resumed);
        assert!(failed.elapsed() >= Duration::from_nanos(expected.1));
    }
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, .. }));
    fixture.close();
}

#[test]
fn a_task_that_is_set_aside_can_be_cancelled_and_rejected() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let policy = || Policy { delay: 3_600_000 * MS, ..twice() };
    let first = fixture.submit_with_policy("faultEcho", js_task(), policy()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    fixture.retried();
    assert!(fixture.pool.cancel(first));
    assert!(matches!(fixture.outcomes(1)[&0], Outcome::Cancelled));
    fixture.submit_with_policy("faultEcho", js_task(), policy());
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    assert!(matches!(fixture.next_event(), Event::Retried { ticket: 1, .. }));
    fixture.pool.close(&fixture.sink);
    fixture.pool.reject_waiting();
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 1, .. }));
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}

#[test]
fn a_deadline_from_the_start_counts_anew_for_each_run() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let limit = 3_600_000 * MS;
    let spec = TaskSpec { deadline_from_start: Some(limit), ..js_task() };
    fixture.submit_with_policy("faultEcho", spec, Policy { deadline_from_start: limit, ..twice() });
    let (_, tasks) = fixture.js_turn(0);
    let first = fixture.pool.state.lock().scheduler.next_deadline().unwrap();
    fixture.fail(&tasks[0]);
    assert_eq!(fixture.pool.state.lock().scheduler.next_deadline(), None, "it waits");
    let (_, tasks) = fixture.js_turn(0);
    assert!(fixture.pool.state.lock().scheduler.next_deadline().unwrap() > first);
    assert!(fixture.answer(0, &tasks[0]));
    fixture.retried();
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_task_whose_worker_crashed_runs_again_on_another() {
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    let _second = fixture.js_worker(1);
    fixture.submit_with_policy("faultEcho", js_task(), twice());
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    let left = fixture.pool.js_leave(0, Parting::Crashed, "it crashed");
    assert_eq!(left, Left { waiting: 1, repeated: 1, failed: 0 });
    assert_eq!(fixture.retried(), (1, 0));
    fixture.run_next(1);
    assert_eq!(number(&fixture.outcomes(1)[&0]), 8.0);
    fixture.close();
}

#[test]
fn g2_what_was_given_up_does_not_run_again() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    let id = fixture.submit_with_policy("faultEcho", js_task(), Policy { grace: 50.0, ..twice() }).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    bell.rings();
    assert!(fixture.pool.cancel(id));
    assert_eq!(bell.rings(), 1, "the worker is to hear of it");
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, outcome: Outcome::Cancelled, .. }));
    assert_eq!(fixture.notice(), Notice::GivenUp { worker: 0, id, grace: 50.0 });
    assert!(fixture.pool.js_runs(0, id));
    let (notes, _) = fixture.js_turn(0);
    assert!(matches!(notes[..], [JsNote::GivenUp { id: told, expired: false }] if told == id));
    let answer = Answer { failed: true, ..Answer::default() };
    assert!(!fixture.pool.js_answer(0, tasks[0].id, answer));
    assert!(!fixture.pool.js_runs(0, id));
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.close();
}

#[test]
fn a_worker_that_is_ended_for_one_task_gives_the_others_back() {
    let mut fixture = Fixture::with(1, |options| options.worker_concurrency = 2);
    let _first = fixture.js_worker(0);
    let stuck = fixture.submit_entry(1.0, js_task()).unwrap();
    fixture.submit_entry(2.0, js_task());
    assert_eq!(fixture.js_turn(0).1.len(), 2);
    assert!(fixture.pool.cancel(stuck));
    assert!(matches!(fixture.outcomes(1)[&0], Outcome::Cancelled));
    assert!(matches!(fixture.notice(), Notice::GivenUp { worker: 0, .. }));
    let left = fixture.pool.js_leave(0, Parting::Evicted, "it was ended");
    assert_eq!(left, Left { waiting: 1, repeated: 1, failed: 1 });
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    assert_eq!(number(&fixture.outcomes(1)[&1]), 3.0);
    fixture.close();
}

#[test]
fn the_first_task_that_waits_for_its_own_runs_again_too() {
    // One at a time: nothing says when it begins that another will run beside it.
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    let mut request = fixture.request("faultEcho", 0.0, js_task());
    request.job.kernel = super::super::ENTRY;
    request.job.input = Value::String("the input".to_owned()).into();
    request.job.options = Some(std::sync::Arc::new(Value::String("the export".to_owned())));
    fixture.pool.submit([request].into_iter());
    let (_, parent) = fixture.js_turn(0);
    fixture.pool.js_block(parent[0].id, true);
    let stuck = fixture.submit_entry(2.0, js_task()).unwrap();
    assert_eq!(fixture.js_turn(0).1.len(), 1, "beside the one that waits");
    assert!(fixture.pool.cancel(stuck));
    assert!(matches!(fixture.outcomes(1)[&1], Outcome::Cancelled));
    assert!(matches!(fixture.notice(), Notice::GivenUp { worker: 0, .. }));
    drop(parent);
    let left = fixture.pool.js_leave(0, Parting::Evicted, "it was ended");
    assert_eq!(left, Left { waiting: 1, repeated: 1, failed: 1 });
    let _second = fixture.js_worker(0);
    let (_, tasks) = fixture.js_turn(0);
    match (&tasks[0].payload.input, &tasks[0].payload.options) {
        (Payload::Value(input), Some(options)) => {
            assert_eq!((input.as_str(), options.as_str()), (Some("the input"), Some("the export")));
        }
        other => panic!("{other:?}"),
    }
    let answer = Answer { value: Value::Number(8.0), ..Answer::default() };
    assert!(fixture.pool.js_answer(0, tasks[0].id, answer));
    assert_eq!(number(&fixture.outcomes(1)[&0]), 8.0);
    fixture.close();
}

#[test]
fn an_input_that_was_moved_cannot_be_given_back() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    for parting in [Parting::Crashed, Parting::Evicted] {
        // An even key: its keeper moves it.
        let mut request = fixture.request("faultEcho", 2.0, js_task());
        (request.job.kernel, request.job.codec) = (super::super::ENTRY, super::super::KEPT);
        request.job.policy = (parting == Parting::Crashed).then(|| Box::new(twice()));
        let ticket = request.job.ticket;
        fixture.pool.submit([request].into_iter());
        assert_eq!(fixture.js_turn(0).1.len(), 1);
        assert_eq!(fixture.pool.js_leave(0, parting, "it has gone").repeated, 0);
        match &fixture.outcomes(1)[&ticket] {
            Outcome::Error(error) => assert_eq!(error.code, ErrorCode::WorkerCrashed),
            other => panic!("{other:?}"),
        }
        let _bell = fixture.js_worker(0);
    }
    fixture.close();
}

#[test]
fn an_input_that_its_keeper_copies_can_be_had_again() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let mut request = fixture.request("faultEcho", 3.0, js_task());
    (request.job.kernel, request.job.codec) = (super::super::ENTRY, super::super::KEPT);
    fixture.pool.submit([request].into_iter());
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    assert_eq!(fixture.pool.js_leave(0, Parting::Evicted, "for another task").repeated, 1);
    let _replacement = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn native_workers_can_become_fewer_and_more_again() {
    let mut fixture = Fixture::new(4);
    let busy: Vec<TaskId> = (0..4).map(|_| fixture.occupy()).collect();
    fixture.pool.resize(1);
    assert_eq!(fixture.pool.active_threads(), 1);
    assert_eq!(fixture.pool.figures().workers.len(), 4, "they run on");
    for id in busy {
        assert!(fixture.pool.cancel(id));
    }
    fixture.outcomes(4);
    assert!(fixture.submit_with("faultEcho", 1.0, forced(Lane::Native, 3)).is_none(), "it is gone");
    assert!(matches!(fixture.outcomes(1)[&4], Outcome::Error(_)));
    for input in 0..100 {
        fixture.submit("faultEcho", f64::from(input));
    }
    for _ in 0..100 {
        let event = loop {
            if let event @ Event::Settled { .. } = fixture.next_event() {
                break event;
            }
        };
        assert!(matches!(event, Event::Settled { worker: 0, .. }), "{event:?}");
    }
    // Those that were cancelled notice it in time.
    while fixture.pool.figures().workers.len() > 1 {
        std::thread::yield_now();
    }
    fixture.pool.resize(3);
    assert!(fixture.submit_with("faultEcho", 1.0, forced(Lane::Native, 2)).is_some());
    assert_eq!(number(&fixture.outcomes(1)[&105]), 1.0);
    let waiting = fixture.occupy();
    fixture.pool.resize(1);
    fixture.pool.resize(4);
    fixture.pool.cancel(waiting);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn what_is_forced_to_a_native_worker_that_goes_is_refused() {
    let mut fixture = Fixture::new(2);
    let first = fixture.occupy();
    let second = fixture.occupy();
    fixture.submit_with("faultEcho", 1.0, forced(Lane::Native, 1));
    fixture.pool.resize(1);
    match &fixture.outcomes(1)[&2] {
        Outcome::Error(error) => assert_eq!(error.code, ErrorCode::OutOfRange),
        other => panic!("{other:?}"),
    }
    fixture.pool.cancel(first);
    fixture.pool.cancel(second);
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn a_retry_that_is_forced_to_a_native_worker_that_went_is_refused() {
    let mut fixture = Fixture::new(2);
    let policy = Policy { delay: 30 * MS, ..twice() };
    fixture.submit_with_policy("faultError", forced(Lane::Native, 1), policy);
    assert_eq!(fixture.retried(), (1, 30 * MS));
    fixture.pool.resize(1);
    match &fixture.outcomes(1)[&0] {
        Outcome::Error(error) => assert_eq!(error.code, ErrorCode::OutOfRange),
        other => panic!("{other:?}"),
    }
    fixture.close();
}

#[test]
fn a_task_that_was_taken_and_not_begun_goes_back() {
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    let (_, mut tasks) = fixture.js_turn(0);
    fixture.pool.js_return(0, tasks.remove(0));
    assert_eq!(
        fixture.pool.js_leave(0, Parting::Crashed, "it crashed"),
        Left { waiting: 1, repeated: 0, failed: 0 }
    );
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    assert_eq!(number(&fixture.outcomes(1)[&0]), 2.0);
    let cancelled = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, mut tasks) = fixture.js_turn(0);
    assert!(fixture.pool.cancel(cancelled));
    fixture.pool.js_return(0, tasks.remove(0));
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.close();
}

#[test]
fn a_private_input_is_not_had_again() {
    let mut fixture = Fixture::new(1);
    let mut request = fixture.request("faultError", 1.0, TaskSpec::plain(Lane::Native));
    request.job.is_private = true;
    request.job.policy = Some(Box::new(twice()));
    fixture.pool.submit([request].into_iter());
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, .. }));
    fixture.close();
}

#[test]
fn a_deadline_from_the_start_counts_anew_for_a_task_that_was_given_back() {
    let limit = 3_600_000 * MS;
    for evicted in [false, true] {
        let mut fixture = Fixture::new(1);
        let _bell = fixture.js_worker(0);
        let spec = TaskSpec { deadline_from_start: Some(limit), ..js_task() };
        let policy = Policy { deadline_from_start: limit, ..Policy::default() };
        fixture.submit_with_policy("faultEcho", spec, policy);
        let (_, mut tasks) = fixture.js_turn(0);
        if evicted {
            assert_eq!(fixture.pool.js_leave(0, Parting::Evicted, "for another task").repeated, 1);
            assert!(fixture.pool.js_join(0));
            assert!(fixture.pool.js_attach(0, std::sync::Arc::<super::js::Bell>::default(), None));
        } else {
            fixture.pool.js_return(0, tasks.remove(0));
        }
        assert_eq!(fixture.pool.state.lock().scheduler.next_deadline(), None, "it waits");
        let (_, tasks) = fixture.js_turn(0);
        assert!(fixture.pool.state.lock().scheduler.next_deadline().is_some());
        assert!(fixture.answer(0, &tasks[0]));
        fixture.outcomes(1);
        fixture.close();
    }
}

#[test]
fn only_crashes_are_retried_where_only_crashes_are_named() {
    let mut fixture = Fixture::new(1);
    for (on_crash, settles) in [(true, false), (false, true)] {
        let _bell = fixture.js_worker(0);
        let policy = Policy { retries: 1, on_crash, on_error: !on_crash, ..Policy::default() };
        fixture.submit_with_policy("faultEcho", js_task(), policy);
        assert_eq!(fixture.js_turn(0).1.len(), 1);
        fixture.pool.js_leave(0, Parting::Crashed, "it crashed");
        assert_eq!(matches!(fixture.next_event(), Event::Settled { .. }), settles);
        if !settles {
            let _second = fixture.js_worker(0);
            fixture.run_next(0);
            fixture.outcomes(1);
            fixture.pool.js_leave(0, Parting::Closed, "closed");
        }
    }
    fixture.close();
}
