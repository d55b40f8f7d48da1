//! JS workers that go while the pool is open, and those that come after them.

use super::super::{JsMail, JsNote, Left, Parting, Policy, Retire};
use super::again::twice;
use super::fixture::{Fixture, forced, number};
use super::js::js_task;
use crate::completion::{Event, Notice, Outcome};
use crate::scheduler::{Affinity, Lane, Strength, TaskSpec};
use crate::value::Value;
use std::time::Duration;

const MS: u64 = 1_000_000;

#[test]
fn a_worker_retires_after_what_it_runs_and_the_rest_goes_elsewhere() {
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    let (_, running) = fixture.js_turn(0);
    let light = Affinity::Worker { index: 0, strength: Strength::Light };
    fixture.submit_entry(2.0, forced(Lane::Js, 0));
    fixture.submit_entry(3.0, TaskSpec { affinity: light, ..js_task() });
    assert!(!fixture.pool.js_retire(0, Retire::Idle), "it is not idle");
    assert!(fixture.pool.js_retire(0, Retire::Any));
    assert!(fixture.pool.js_idle_since().is_empty());
    let _second = fixture.js_worker(1);
    fixture.run_next(1);
    assert_eq!(number(&fixture.outcomes(1)[&2]), 4.0);
    assert!(fixture.js_turn(1).1.is_empty(), "the other one waits for the replacement");
    assert!(fixture.answer(0, &running[0]));
    assert_eq!(number(&fixture.outcomes(1)[&0]), 2.0);
    assert_eq!(fixture.notice(), Notice::Retired { worker: 0 }, "after its last answer");
    assert!(fixture.js_turn(0).1.is_empty(), "it takes nothing more");
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "retired").waiting, 1);
    assert_eq!(fixture.pool.js_missing(), [0]);
    let _replacement = fixture.js_worker(0);
    assert!(fixture.pool.js_missing().is_empty());
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn an_idle_worker_retires_at_once() {
    let fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    assert_eq!(fixture.pool.js_idle_since().len(), 1);
    assert!(!fixture.pool.js_retire(0, Retire::Used), "it has begun nothing");
    assert!(fixture.pool.js_retire(0, Retire::Idle));
    assert_eq!(fixture.notice(), Notice::Retired { worker: 0 });
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "retired"), Left::default());
    fixture.close();
}

#[test]
fn a_worker_is_used_up_after_its_tasks() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 2);
    let _first = fixture.js_worker(0);
    for input in 0..3 {
        fixture.submit_entry(f64::from(input), js_task());
    }
    for _ in 0..2 {
        let (_, tasks) = fixture.js_turn(0);
        assert!(fixture.answer(0, &tasks[0]));
    }
    assert!(fixture.js_turn(0).1.is_empty());
    let mut retired = false;
    for _ in 0..3 {
        match fixture.next_event() {
            Event::Worker { notice, .. } => retired = notice == Notice::Retired { worker: 0 },
            Event::Settled { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(retired);
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "retired").waiting, 1);
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_task_may_be_forced_to_a_worker_that_is_still_to_come() {
    let mut fixture = Fixture::new(1);
    assert!(fixture.submit_entry(1.0, forced(Lane::Js, 3)).is_none(), "nobody said that there may be one");
    assert!(matches!(fixture.outcomes(1)[&0], Outcome::Error(_)));
    fixture.pool.js_set_limit(4);
    assert!(fixture.submit_entry(2.0, forced(Lane::Js, 3)).is_some());
    assert!(fixture.submit_entry(3.0, forced(Lane::Js, 4)).is_none());
    fixture.outcomes(1);
    assert_eq!(fixture.pool.js_missing(), [3]);
    let _worker = fixture.js_worker(3);
    fixture.run_next(3);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_worker_whose_task_waits_for_others_serves_them_before_it_retires() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 1);
    let bell = fixture.js_worker(0);
    let parent = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, parents) = fixture.js_turn(0);
    fixture.submit_entry(2.0, js_task());
    assert!(fixture.js_turn(0).1.is_empty(), "it is used up");
    bell.rings();
    fixture.pool.js_block(parent, true);
    assert!(bell.rings() > 0);
    let (_, children) = fixture.js_turn(0);
    assert!(fixture.answer(0, &children[0]));
    fixture.pool.js_block(parent, false);
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(fixture.answer(0, &parents[0]));
    let mut retired = 0;
    for _ in 0..3 {
        if let Event::Worker { notice: Notice::Retired { worker: 0 }, .. } = fixture.next_event() {
            retired += 1;
        }
    }
    assert_eq!(retired, 1);
    fixture.submit_entry(3.0, js_task());
    assert!(fixture.js_turn(0).1.is_empty());
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "retired").waiting, 1);
    let _next = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_worker_does_not_retire_while_its_task_waits_for_others() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let parent = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, parents) = fixture.js_turn(0);
    fixture.pool.js_block(parent, true);
    assert!(fixture.pool.js_retire(0, Retire::Any));
    fixture.submit_entry(2.0, js_task());
    let (_, children) = fixture.js_turn(0);
    assert!(fixture.answer(0, &children[0]));
    fixture.pool.js_block(parent, false);
    assert!(fixture.answer(0, &parents[0]));
    fixture.outcomes(2);
    assert!(matches!(fixture.notice(), Notice::Retired { worker: 0 }));
    fixture.pool.js_leave(0, Parting::Closed, "retired");
    fixture.close();
}

#[test]
fn a_worker_that_is_to_go_goes_when_its_last_task_has_failed_and_waits() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit_with_policy("faultEcho", js_task(), twice());
    let (_, tasks) = fixture.js_turn(0);
    assert!(fixture.pool.js_retire(0, Retire::Any));
    assert!(!fixture.pool.js_retire(0, Retire::Idle), "it goes already");
    assert!(fixture.pool.js_retire(0, Retire::Any));
    fixture.fail(&tasks[0]);
    assert_eq!(fixture.retried(), (1, 0));
    assert_eq!(fixture.notice(), Notice::Retired { worker: 0 });
    assert!(fixture.events.is_empty(), "once");
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "retired").waiting, 1);
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn what_was_taken_when_all_that_waits_was_rejected_goes_with_it() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    let (_, mut tasks) = fixture.js_turn(0);
    fixture.pool.close(&fixture.sink);
    fixture.pool.reject_waiting();
    fixture.pool.js_return(0, tasks.remove(0));
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, outcome: Outcome::Error(_), .. }));
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}

#[test]
fn a_worker_with_messages_or_tasks_of_its_own_is_not_idle() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    let mail = JsMail { message_type: "a".to_owned(), codec: 0, contents: Value::Null };
    assert!(fixture.pool.js_post(0, mail, false));
    assert!(!fixture.pool.js_retire(0, Retire::Idle), "it has a message to fetch");
    assert_eq!(fixture.js_turn(0).0.len(), 1);
    fixture.submit_entry(1.0, forced(Lane::Js, 0));
    assert!(!fixture.pool.js_retire(0, Retire::Idle), "a task waits for it");
    fixture.run_next(0);
    fixture.outcomes(1);
    assert!(fixture.pool.js_retire(0, Retire::Idle));
    fixture.close();
}

#[test]
fn no_task_can_be_forced_to_a_worker_that_has_gone_while_nothing_waits() {
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "retired"), Left::default());
    assert!(fixture.submit_entry(1.0, forced(Lane::Js, 0)).is_none());
    assert!(matches!(fixture.outcomes(1)[&0], Outcome::Error(_)));
    // One that waits for its next run keeps the number.
    let _second = fixture.js_worker(0);
    let policy = Policy { delay: 3_600_000 * MS, ..twice() };
    let id = fixture.submit_with_policy("faultEcho", js_task(), policy).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    assert!(matches!(fixture.next_event(), Event::Retried { .. }));
    fixture.pool.js_leave(0, Parting::Closed, "retired");
    let bound = fixture.submit_entry(1.0, forced(Lane::Js, 0)).expect("somebody comes for the other one");
    assert!(fixture.pool.cancel(id) && fixture.pool.cancel(bound));
    fixture.outcomes(2);
    // Nor once all that waits was rejected.
    let _third = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    fixture.submit_entry(1.0, js_task());
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    fixture.pool.js_leave(0, Parting::Unusable, "it does not load");
    fixture.pool.js_reject_waiting(Parting::Unusable, "it does not load");
    assert!(fixture.submit_entry(1.0, forced(Lane::Js, 0)).is_none());
    fixture.outcomes(3);
    fixture.close();
}

#[test]
fn a_replacement_begins_with_nothing_of_the_one_before() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    let mail = JsMail { message_type: "a".to_owned(), codec: 0, contents: Value::Null };
    assert!(fixture.pool.js_post(0, mail, false));
    bell.rings();
    fixture.pool.js_detach(0);
    fixture.submit_entry(1.0, js_task());
    assert_eq!(bell.rings(), 0, "its env has ended");
    fixture.pool.js_leave(0, Parting::Crashed, "it crashed");
    let _second = fixture.js_worker(0);
    let (notes, tasks) = fixture.js_turn(0);
    assert!(notes.is_empty());
    assert!(fixture.answer(0, &tasks[0]));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn what_was_asked_of_a_worker_is_not_asked_of_the_next_one() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.submit_entry(1.0, js_task());
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.js_block(tasks[0].id, true);
    assert!(fixture.pool.js_retire(0, Retire::Any));
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.outcomes(1);
    // What was asked of it is not asked of the next one.
    drop(bell);
    let _second = fixture.js_worker(0);
    fixture.submit_entry(2.0, js_task());
    fixture.run_next(0);
    fixture.outcomes(1);
    assert!(fixture.events.is_empty(), "it stays");
    assert!(!fixture.pool.js_idle_since().is_empty());
    fixture.close();
}

#[test]
fn a_worker_that_comes_by_is_asked_again_before_it_is_ended() {
    let mut fixture = Fixture::with(1, |options| options.worker_concurrency = 2);
    let _first = fixture.js_worker(0);
    let (spared, stuck) =
        (fixture.submit_entry(1.0, js_task()).unwrap(), fixture.submit_entry(2.0, js_task()));
    assert_eq!(fixture.js_turn(0).1.len(), 2);
    assert!(fixture.pool.js_may_evict(0), "nothing on it has been begun anew");
    assert!(fixture.pool.cancel(stuck.unwrap()));
    assert_eq!(fixture.pool.js_leave(0, Parting::Evicted, "it was ended").repeated, 1);
    let bell = fixture.js_worker(0);
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    bell.rings();
    assert!(!fixture.pool.js_may_evict(0), "one has begun anew for such a reason");
    assert_eq!(bell.rings(), 1, "it is asked to come by");
    assert!(!fixture.pool.js_may_evict(0));
    assert_eq!(bell.rings(), 0, "once");
    assert!(fixture.js_turn(0).1.is_empty());
    std::thread::sleep(Duration::from_millis(300));
    assert!(!fixture.pool.js_may_evict(0), "it has come by");
    std::thread::sleep(Duration::from_millis(300));
    assert!(fixture.pool.js_may_evict(0), "it is blocked");
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(fixture.pool.cancel(spared));
    assert!(fixture.pool.js_may_evict(0), "the one that was spared was given up");
    fixture.pool.js_leave(0, Parting::Evicted, "it was ended");
    fixture.close();
}

#[test]
fn a_worker_is_told_whether_its_task_was_cancelled_or_has_expired() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    let deadline = Some(crate::scheduler::Time(super::super::clock::now() + 5 * MS));
    fixture.submit_entry(1.0, TaskSpec { deadline, ..js_task() });
    let (_, tasks) = fixture.js_turn(0);
    assert!(matches!(fixture.outcomes(1)[&0], Outcome::Expired));
    while bell.rings() == 0 {
        std::thread::yield_now();
    }
    let (notes, _) = fixture.js_turn(0);
    assert!(matches!(notes[..], [JsNote::GivenUp { id, expired: true }] if id == tasks[0].id));
    assert!(!fixture.answer(0, &tasks[0]));
    fixture.close();
}

#[test]
fn a_worker_that_is_used_up_is_told_of_once() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 1);
    let _first = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    fixture.run_next(0);
    fixture.outcomes(1);
    for _ in 0..3 {
        assert!(fixture.js_turn(0).1.is_empty());
    }
    assert_eq!(fixture.notice(), Notice::Retired { worker: 0 });
    assert!(fixture.events.is_empty());
    fixture.close();
}

#[test]
fn nobody_is_missing_before_the_worker_that_takes_no_more_tasks_has_gone() {
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    let (_, tasks) = fixture.js_turn(0);
    fixture.submit_entry(2.0, forced(Lane::Js, 0));
    assert!(fixture.pool.js_retire(0, Retire::Any));
    assert!(fixture.pool.js_missing().is_empty(), "two would have one number");
    assert!(fixture.answer(0, &tasks[0]));
    fixture.pool.js_leave(0, Parting::Closed, "retired");
    assert_eq!(fixture.pool.js_missing(), [0]);
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(2);
    fixture.close();
}
