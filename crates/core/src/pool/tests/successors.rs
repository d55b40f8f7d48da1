//! JS workers that go while the pool is open, and those that come after them.

use super::super::{JsMail, JsNote, Left, Parting, Policy, Retire};
use super::again::twice;
use super::fixture::{Fixture, forced};
use super::js::js_task;
use crate::completion::{Event, Notice, Outcome};
use crate::scheduler::{Lane, TaskSpec};
use crate::value::Value;
use std::time::Duration;

const MS: u64 = 1_000_000;

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
    assert!(fixture.pool.js_post(0, mail));
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
    assert!(fixture.pool.js_post(0, mail));
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
