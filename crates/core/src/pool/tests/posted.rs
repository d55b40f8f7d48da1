//! What is posted for the JS lane (I1 and I2 of the inbox), with this thread in the part of the workers.

use super::super::{ENTRY, Left, NO_EXPORT, Parting, PlainJob, clock};
use super::fixture::{Fixture, number};
use super::js::js_task;
use crate::completion::{CompletionSink, Event, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, TaskId};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::time::Duration;

/// A worker 0 that runs one task and has said that there is nothing else for it.
fn busy(fixture: &mut Fixture) -> (Arc<super::js::Bell>, super::super::JsTask) {
    let bell = fixture.js_worker(0);
    fixture.submit_entry(0.0, js_task());
    let task = fixture.js_turn(0).1.remove(0);
    assert!(fixture.js_turn(0).1.is_empty());
    bell.rings();
    (bell, task)
}

#[test]
fn i1_a_busy_worker_takes_what_was_posted_when_it_comes_by() {
    let mut fixture = Fixture::new(1);
    let (bell, task) = busy(&mut fixture);
    assert!(fixture.post_entries(&[1.0, 2.0]));
    assert_eq!(bell.rings(), 0, "it comes by anyway");
    assert!(fixture.answer(0, &task));
    fixture.run_next(0);
    fixture.run_next(0);
    let outcomes = fixture.outcomes(3);
    assert_eq!([1, 2].map(|ticket| number(&outcomes[&ticket])), [2.0, 3.0]);
    fixture.close();
}

#[test]
fn i1_an_idle_worker_is_called_for_what_is_posted() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(fixture.post_entries(&[1.0, 2.0]));
    assert_eq!(bell.rings(), 1);
    assert!(fixture.post_entries(&[3.0]));
    assert_eq!(bell.rings(), 0, "it is awake");
    for _ in 0..3 {
        fixture.run_next(0);
    }
    fixture.outcomes(3);
    fixture.close();
}

#[test]
fn i1_a_worker_that_becomes_idle_otherwise_is_called_for_what_was_posted() {
    let mut fixture = Fixture::new(1);
    let (bell, task) = busy(&mut fixture);
    assert!(fixture.post_entries(&[1.0]));
    // Its task waits for others now, so that there is room for the next one.
    fixture.pool.js_block(task.id, true);
    assert_eq!(bell.rings(), 1);
    fixture.run_next(0);
    fixture.pool.js_block(task.id, false);
    assert!(fixture.answer(0, &task));
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn i1_a_worker_that_joins_gets_what_was_posted_before() {
    let mut fixture = Fixture::new(1);
    assert!(fixture.post_entries(&[1.0]));
    let _bell = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn i2_a_submission_of_the_js_lane_does_not_overtake_what_was_posted() {
    let mut fixture = Fixture::new(1);
    let (_bell, task) = busy(&mut fixture);
    assert!(fixture.post_entries(&[1.0]));
    fixture.submit_entry(2.0, js_task());
    assert!(fixture.post_entries(&[3.0]));
    assert!(fixture.answer(0, &task));
    for expected in 1..=3 {
        let (_, tasks) = fixture.js_turn(0);
        assert_eq!(tasks[0].payload.ticket, expected);
        assert!(fixture.answer(0, &tasks[0]));
    }
    fixture.outcomes(4);
    fixture.close();
}

#[test]
fn what_was_posted_expires_although_nobody_comes_by() {
    let mut fixture = Fixture::new(1);
    let (_bell, task) = busy(&mut fixture);
    assert!(fixture.post_entries_within(Duration::from_hours(1), &[1.0]));
    for ticket in 2..20 {
        // Each time the timer has gone to the one of an hour.
        assert!(fixture.post_entries_within(Duration::from_millis(u64::from(ticket % 3)), &[2.0]));
        assert!(matches!(fixture.outcomes(1)[&ticket], Outcome::Expired));
    }
    assert!(fixture.answer(0, &task));
    fixture.run_next(0);
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn what_was_posted_counts_when_a_js_worker_leaves() {
    let mut fixture = Fixture::new(1);
    let (_bell, _task) = busy(&mut fixture);
    assert!(fixture.post_entries(&[1.0, 2.0]));
    assert_eq!(fixture.pool.js_unfinished(), 3);
    assert!(fixture.post_entries(&[3.0]));
    let left = fixture.pool.js_leave(0, Parting::Crashed, "it crashed");
    assert_eq!(left, Left { waiting: 3, repeated: 0, failed: 1 });
    let _second = fixture.js_worker(0);
    for _ in 0..3 {
        fixture.run_next(0);
    }
    assert_eq!(fixture.outcomes(4).values().filter(|outcome| outcome.is_ok()).count(), 3);
    fixture.close();
}

#[test]
fn what_was_posted_is_rejected_with_what_waits() {
    let mut fixture = Fixture::new(1);
    assert!(fixture.post_entries(&[1.0]));
    fixture.pool.js_reject_waiting(Parting::Unusable, "it does not load");
    match &fixture.outcomes(1)[&0] {
        Outcome::Error(error) => assert_eq!(error.code, ErrorCode::Entry),
        other => panic!("{other:?}"),
    }
    assert!(fixture.post_entries(&[2.0]));
    let pool = &fixture.pool;
    pool.ingest();
    pool.drop_waiting(&mut pool.state.lock(), fixture.number);
    assert!(matches!(fixture.outcomes(1)[&1], Outcome::Cancelled));
    fixture.close();
}

#[test]
fn what_is_posted_to_a_worker_at_rest_expires_although_it_does_not_come_by() {
    let mut fixture = Fixture::new(1);
    // No other worker looks into the inbox.
    let gate = fixture.occupy();
    let bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(fixture.post_entries_within(Duration::from_millis(2), &[1.0]));
    assert_eq!(bell.rings(), 1);
    assert!(matches!(fixture.outcomes(1)[&1], Outcome::Expired));
    assert!(fixture.pool.cancel(gate));
    fixture.close();
}

#[test]
fn what_was_posted_for_later_than_the_next_deadline_expires_too() {
    let mut fixture = Fixture::new(1);
    let (_bell, task) = busy(&mut fixture);
    // No other worker looks into the inbox.
    let gate = fixture.occupy();
    assert!(fixture.post_entries_within(Duration::from_millis(20), &[1.0]));
    assert!(fixture.post_entries_within(Duration::from_millis(40), &[2.0]));
    assert!(fixture.outcomes(2).values().all(|outcome| matches!(outcome, Outcome::Expired)));
    assert!(fixture.pool.cancel(gate));
    assert!(fixture.answer(0, &task));
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn what_is_posted_with_a_higher_priority_goes_first() {
    let mut fixture = Fixture::new(1);
    let (_bell, task) = busy(&mut fixture);
    let (sink, submitted) = (fixture.number, clock::now());
    let batch = [0.0, 1.0, 2.0].map(|priority| PlainJob {
        ticket: 1 + priority as u32,
        kernel: ENTRY,
        sink,
        priority,
        submitted,
        export: NO_EXPORT,
        ..PlainJob::default()
    });
    assert!(fixture.pool.post(Lane::Js, batch.into_iter()));
    assert!(fixture.answer(0, &task));
    for expected in [3, 2, 1] {
        let (_, tasks) = fixture.js_turn(0);
        assert_eq!(tasks[0].payload.ticket, expected);
        assert!(fixture.answer(0, &tasks[0]));
    }
    fixture.outcomes(4);
    fixture.close();
}

/// Takes its time to be told of a task: until somebody has looked for it, or surely waits.
struct Slow {
    told: Sender<TaskId>,
    begins: Sender<()>,
    looked: Receiver<()>,
}

impl CompletionSink for Slow {
    fn deliver(&self, _event: Event) {}

    fn admitted(&self, _ticket: u32, id: TaskId) {
        self.begins.send(()).unwrap();
        // Nothing comes while the other one waits for this, so how long does not matter to a test that passes.
        let _ = self.looked.recv_timeout(Duration::from_millis(200));
        self.told.send(id).unwrap();
    }
}

#[test]
fn who_looks_for_the_id_of_a_posted_task_waits_for_a_worker_that_is_at_it() {
    let fixture = Fixture::new(0);
    let ((told, ids), (begins, has_begun), (looked, looks)) = (unbounded(), unbounded(), unbounded());
    let sink: Arc<dyn CompletionSink> = Arc::new(Slow { told, begins, looked: looks });
    let posted = PlainJob { kernel: ENTRY, sink: fixture.pool.attach(&sink), ..PlainJob::default() };
    assert!(fixture.pool.post(Lane::Js, [posted].into_iter()));
    let pool = fixture.pool.clone();
    let worker = std::thread::spawn(move || pool.ingest());
    has_begun.recv_timeout(Duration::from_mins(1)).unwrap();
    fixture.pool.ingest_wholly();
    let id = ids.try_recv();
    looked.send(()).unwrap();
    worker.join().unwrap();
    assert!(fixture.pool.cancel(id.expect("the sink has been told")));
    fixture.close();
}
