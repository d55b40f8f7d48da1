//! What figures say of workers and tasks.

use super::super::{ENTRY, MAIN, NO_EXPORT, Payload, PlainJob, Policy, Slot, Topic, Visit, clock};
use super::again::twice;
use super::fixture::{Fixture, SLOWNESS};
use super::js::{Bell, js_task};
use crate::completion::{Answer, Event, Outcome};
use crate::scheduler::{Affinity, Lane, Strength, TaskSpec, Time};
use crate::value::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MS: u64 = 1_000_000;

/// Lets at least that many ns pass.
fn spin(nanos: u64) {
    let until = clock::now() + nanos;
    while clock::now() < until {
        std::thread::yield_now();
    }
}

impl Fixture {
    /// Waits until the native workers run nothing, help nobody, and have told the scheduler of all they have ended.
    fn rest(&self) {
        let is_busy = || self.pool.figures().workers.iter().any(|worker| worker.busy);
        while is_busy() || self.pool.slots.iter().any(Slot::is_behind) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn times_of_a_kernel_are_those_that_it_waited_and_ran() {
    let mut fixture = Fixture::new(1);
    let gate = fixture.occupy();
    fixture.submit("faultStubborn", 5.0);
    spin(5 * MS);
    assert!(fixture.pool.cancel(gate));
    fixture.outcomes(2);
    fixture.rest();
    let figures = fixture.pool.figures();
    assert_eq!((figures.timed, figures.wait_time.count, figures.run_time.count), (1, 1, 1));
    assert!(figures.total_wait_time >= 5.0 && figures.wait_time.max >= 4.9, "{:?}", figures.wait_time);
    assert!(figures.total_run_time >= 5.0 && figures.run_time.max >= 4.9, "{:?}", figures.run_time);
    let worker = &figures.workers[0];
    assert_eq!((worker.tasks_completed, worker.tasks_errored), (1, 1), "one was given up");
    assert!(worker.busy_time >= 10.0, "both: {}", worker.busy_time);
    fixture.close();
}

#[test]
fn a_kernel_that_fails_is_in_no_times_and_teaches_nothing() {
    let mut fixture = Fixture::new(1);
    fixture.submit("faultError", 1.0);
    fixture.outcomes(1);
    fixture.rest();
    let figures = fixture.pool.figures();
    assert_eq!((figures.timed, figures.run_time.count, figures.workers[0].tasks_errored), (0, 0, 1));
    assert!(fixture.pool.key_figures().is_empty());
    assert!(fixture.pool.learned_costs().is_empty());
    fixture.close();
}

#[test]
fn a_run_that_is_repeated_is_time_in_tasks() {
    let mut fixture = Fixture::new(1);
    let policy = Policy { delay: 3_600_000 * MS, ..twice() };
    let id = fixture.submit_with_policy("faultError", TaskSpec::plain(Lane::Native), policy).unwrap();
    assert!(matches!(fixture.next_event(), Event::Retried { .. }));
    fixture.rest();
    assert!(fixture.pool.figures().workers[0].busy_time > 0.0);
    assert!(fixture.pool.cancel(id));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn whoever_asks_for_costs_does_not_wait_for_workers_that_rest() {
    let mut fixture = Fixture::new(2);
    fixture.submit("faultEcho", 1.0);
    fixture.outcomes(1);
    let until = Instant::now() + Duration::from_secs(20 * SLOWNESS);
    while fixture.pool.slots.iter().any(Slot::is_behind) {
        assert!(Instant::now() < until, "it never tells");
        std::thread::yield_now();
    }
    fixture.close();
}

#[test]
fn a_kernel_that_was_given_up_and_runs_on_is_no_waiting_task_less() {
    let mut fixture = Fixture::new(1);
    let stubborn = fixture.submit("faultStubborn", 300.0);
    while fixture.pool.worker_of(stubborn).is_none() {
        std::thread::yield_now();
    }
    fixture.submit("faultEcho", 1.0);
    fixture.submit("faultEcho", 2.0);
    assert!(fixture.pool.cancel(stubborn));
    let figures = fixture.pool.figures();
    assert_eq!((figures.running, figures.abandoned, figures.queue_length), (1, 1, 2));
    fixture.outcomes(3);
    fixture.close();
}

#[test]
fn steals_and_time_in_chunks_of_others_are_told_by_worker() {
    let mut fixture = Fixture::new(2);
    let gate = fixture.occupy();
    let index = fixture.pool.worker_of(gate).unwrap();
    for _ in 0..2 {
        let affinity = Affinity::Worker { index, strength: Strength::Light };
        fixture.submit_with("faultEcho", 1.0, TaskSpec { affinity, ..TaskSpec::plain(Lane::Native) });
    }
    fixture.outcomes(2);
    let steals = fixture.pool.figures().workers.iter().map(|worker| worker.steals).collect::<Vec<_>>();
    assert_eq!((steals[index as usize], steals[1 - index as usize]), (0, 2));
    assert_eq!(fixture.pool.figures().steals, 2);
    assert!(fixture.pool.cancel(gate));
    fixture.outcomes(1);
    fixture.rest();
    let before = fixture.pool.figures().workers.iter().map(|worker| worker.busy_time).sum::<f64>();
    fixture.submit("faultSlowChunks", 60.0);
    fixture.outcomes(1);
    fixture.rest();
    let busy = fixture.pool.figures().workers.iter().map(|worker| worker.busy_time).sum::<f64>() - before;
    // Chunks of 1 ms each, whoever ran them.
    assert!(busy >= 60.0 * 0.99, "{busy}");
    fixture.close();
}

#[test]
fn what_is_posted_is_admitted_and_learned_and_counts_from_its_submission() {
    let fixture = Fixture::new(1);
    let kernel = crate::kernels::find("faultEcho").unwrap().0 as u16;
    let job = PlainJob {
        kernel,
        sink: fixture.number,
        submitted: 5,
        export: NO_EXPORT,
        input: Payload::Number(1.0),
        ..PlainJob::default()
    };
    assert!(fixture.pool.post(Lane::Native, [job].into_iter()));
    fixture.outcomes(1);
    assert_eq!(fixture.pool.figures().tasks_admitted, 1);
    let costs = fixture.pool.learned_costs();
    assert!(costs.iter().any(|cost| cost.name == "faultEcho" && cost.count == 1), "{costs:?}");
    assert_eq!(fixture.pool.state.lock().scheduler.lane(Lane::Native).span.started, Time(5));
    fixture.close();
}

#[test]
fn an_estimate_keeps_a_task_from_the_costs_of_its_kernel() {
    let mut fixture = Fixture::new(1);
    let spec = TaskSpec { estimate: Some(5 * MS), ..TaskSpec::plain(Lane::Native) };
    fixture.submit_with("faultEcho", 1.0, spec);
    fixture.outcomes(1);
    assert!(fixture.pool.learned_costs().is_empty());
    fixture.close();
}

#[test]
fn the_key_of_a_kernel_is_asked_for_again_when_it_was_forgotten() {
    let fixture = Fixture::new(1);
    let mut state = fixture.pool.state.lock();
    state.kernel_key(ENTRY);
    for key in 0..10_000 {
        state.scheduler.costs.key(&key.to_string());
    }
    let key = state.kernel_key(ENTRY);
    assert_eq!(state.scheduler.costs.name(key), Some("entry"));
    drop(state);
    fixture.close();
}

#[test]
fn a_note_is_kept_once() {
    let fixture = Fixture::new(1);
    for note in ["a", "b", "a"] {
        fixture.pool.note(Topic::Setting, note.to_owned());
    }
    assert_eq!(fixture.pool.figures().notes, ["a", "b"]);
    fixture.close();
}

#[test]
fn times_of_a_js_task_are_those_that_it_waited_and_ran() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    spin(5 * MS);
    let (_, tasks) = fixture.js_turn(0);
    spin(5 * MS);
    let now = clock::now();
    // What it says of the begin of the first one is not asked for: that has begun when it was taken.
    let answer = Answer { value: Value::Number(1.0), times: Some((now, now)), ..Answer::default() };
    assert!(fixture.pool.js_answer(0, tasks[0].id, answer));
    let figures = fixture.pool.figures();
    assert_eq!((figures.timed, figures.wait_time.count, figures.run_time.count), (1, 1, 1));
    assert!(figures.total_wait_time >= 5.0 && figures.total_run_time >= 5.0);
    let worker = &figures.js_workers[0];
    assert!(worker.busy_time >= 5.0 && worker.last_active <= worker.uptime - 9.9, "{worker:?}");
    let [(0, since)] = fixture.pool.js_idle_since()[..] else { panic!("it is idle") };
    assert!(since >= now);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn preparing_and_waiting_for_the_input_are_no_run_time() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    for input in 0..2 {
        fixture.submit_entry(f64::from(input), js_task());
    }
    let (_, tasks) = fixture.js_turn(0);
    spin(5 * MS);
    let answer = Answer { overhead: 3_600_000 * MS, value: Value::Null, ..Answer::default() };
    assert!(fixture.pool.js_answer(0, tasks[0].id, answer));
    assert_eq!(fixture.pool.figures().total_run_time, 0.0);
    let (_, tasks) = fixture.js_turn(0);
    spin(5 * MS);
    let got = clock::now();
    fixture.pool.js_got(0, tasks[0].id);
    assert!(fixture.answer(0, &tasks[0]));
    let most = (clock::now() - got) as f64 / 1e6;
    assert!(fixture.pool.figures().total_run_time <= most);
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn a_js_task_that_was_given_up_or_lost_counts_as_errored() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let id = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    spin(2 * MS);
    assert!(fixture.pool.cancel(id));
    match fixture.next_event() {
        Event::Settled { outcome: Outcome::Cancelled, run_time, .. } => assert!(run_time >= 2 * MS),
        other => panic!("{other:?}"),
    }
    assert!(!fixture.answer(0, &tasks[0]));
    let counts = |fixture: &Fixture| {
        let figures = fixture.pool.figures();
        (figures.timed, figures.js_workers[0].tasks_completed, figures.js_workers[0].tasks_errored)
    };
    assert_eq!(counts(&fixture), (0, 0, 1));
    fixture.submit_entry(1.0, js_task());
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    fixture.pool.js_leave(0, super::super::Parting::Crashed, "it crashed");
    let _second = fixture.js_worker(0);
    assert_eq!(counts(&fixture), (0, 0, 2));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn tasks_on_the_thread_of_the_owner_are_in_the_figures() {
    let mut fixture = Fixture::new(1);
    assert!(fixture.pool.js_join(MAIN));
    assert!(fixture.pool.js_attach(MAIN, Arc::<Bell>::default(), None));
    let mut request = fixture.request("faultEcho", 1.0, TaskSpec::plain(Lane::Main));
    request.job.kernel = super::super::MAIN_ENTRY;
    fixture.pool.submit([request].into_iter());
    let (mut notes, mut tasks) = (Vec::new(), Vec::new());
    assert!(fixture.pool.js_turn(MAIN, Visit::Tasks, &mut notes, &mut tasks));
    let figures = fixture.pool.figures();
    assert_eq!((figures.running, figures.queue_length), (1, 0));
    assert!(fixture.answer(MAIN, &tasks[0]));
    let figures = fixture.pool.figures();
    assert_eq!((figures.running, figures.timed, figures.run_time.count), (0, 1, 1));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn js_workers_are_idle_busy_or_stuck() {
    let mut fixture = Fixture::new(1);
    let (_first, _second) = (fixture.js_worker(0), fixture.js_worker(1));
    for input in 0..2 {
        fixture.submit_entry(f64::from(input), js_task());
    }
    let (_, first) = fixture.js_turn(0);
    let (_, second) = fixture.js_turn(1);
    assert_eq!((fixture.pool.js_busy(), fixture.pool.js_unfinished(), fixture.pool.js_stuck()), (2, 2, 0));
    assert!(fixture.pool.cancel(first[0].id));
    assert_eq!((fixture.pool.js_busy(), fixture.pool.js_unfinished(), fixture.pool.js_stuck()), (2, 1, 1));
    assert!(fixture.pool.js_retire(1, super::super::Retire::Any));
    assert_eq!(fixture.pool.js_busy(), 1, "one takes no more tasks");
    assert!(fixture.answer(1, &second[0]));
    assert!(!fixture.answer(0, &first[0]));
    let idle: Vec<u32> = fixture.pool.js_idle_since().into_iter().map(|(index, _)| index).collect();
    assert_eq!(idle, [0]);
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn a_js_task_that_was_given_up_and_runs_on_hides_no_waiting_one() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let first = fixture.submit_entry(1.0, js_task()).unwrap();
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    for input in 0..3 {
        fixture.submit_entry(f64::from(input), js_task());
    }
    assert_eq!(fixture.pool.figures().queue_length, 3);
    assert!(fixture.pool.cancel(first));
    assert_eq!(fixture.pool.figures().queue_length, 3);
}

#[test]
fn what_a_js_worker_has_taken_ahead_still_waits() {
    let mut fixture = Fixture::new(1);
    let _board = fixture.with_tiny_waiting(3);
    assert_eq!(fixture.js_turn(0).1.len(), 3);
    let figures = fixture.pool.figures();
    assert_eq!((figures.running, figures.queue_length), (1, 2));
}
