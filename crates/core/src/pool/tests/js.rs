//! The JS lane, with this thread in the part of the workers.

use super::super::{
    ENTRY, JsMail, JsNote, JsTask, Left, MAIN, MAIN_ENTRY, Parting, Payload, Visit, Waker, clock,
};
use super::fixture::{Fixture, SLOWNESS, forced, number};
use crate::completion::{Answer, Event, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, TaskId, TaskSpec};
use crate::value::Value;
use std::sync::Arc;

/// Counts rings.
#[derive(Default)]
pub(super) struct Bell(std::sync::atomic::AtomicUsize);

impl Waker for Bell {
    fn wake(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Bell {
    pub(super) fn rings(&self) -> usize {
        self.0.swap(0, std::sync::atomic::Ordering::Relaxed)
    }
}

impl Fixture {
    pub(super) fn submit_entry(&mut self, input: f64, spec: TaskSpec) -> Option<TaskId> {
        let mut request = self.request("faultEcho", input, spec);
        request.job.kernel = ENTRY;
        let ticket = request.job.ticket;
        self.pool.submit([request].into_iter());
        self.ids.lock().get(&ticket).copied()
    }

    pub(super) fn js_worker(&self, index: u32) -> Arc<Bell> {
        assert!(self.pool.js_join(index));
        let bell = Arc::<Bell>::default();
        assert!(self.pool.js_attach(index, bell.clone(), None));
        bell
    }

    pub(super) fn js_turn(&self, index: u32) -> (Vec<JsNote>, Vec<JsTask>) {
        let (mut notes, mut tasks) = (Vec::new(), Vec::new());
        assert!(self.pool.js_turn(index, Visit::Tasks, &mut notes, &mut tasks));
        (notes, tasks)
    }

    /// A worker takes a task and answers it.
    pub(super) fn run_next(&self, index: u32) {
        let (_, tasks) = self.js_turn(index);
        assert!(self.answer(index, &tasks[0]));
    }

    pub(super) fn answer(&self, index: u32, task: &JsTask) -> bool {
        let Payload::Number(number) = task.payload.input else { panic!("a number was submitted") };
        let answer = Answer { value: Value::Number(number + 1.0), ..Answer::default() };
        self.pool.js_answer(index, task.id, answer)
    }
}

pub(super) fn js_task() -> TaskSpec {
    TaskSpec::plain(Lane::Js)
}

#[test]
fn j2_a_js_worker_with_nothing_to_do_is_rung_for_a_task() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.submit_entry(1.0, js_task());
    assert_eq!(bell.rings(), 1);
    fixture.submit_entry(2.0, js_task());
    assert_eq!(bell.rings(), 0, "it is awake");
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 1, "one at a time");
    assert!(fixture.answer(0, &tasks[0]));
    fixture.run_next(0);
    let outcomes = fixture.outcomes(2);
    assert_eq!((number(&outcomes[&0]), number(&outcomes[&1])), (2.0, 3.0));
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn tasks_wait_for_the_first_js_worker_and_kernels_for_none() {
    let mut fixture = Fixture::new(1);
    fixture.submit_entry(1.0, js_task());
    fixture.submit("faultEcho", 2.0);
    assert_eq!(number(&fixture.outcomes(1)[&1]), 2.0);
    let _bell = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn j1_a_js_task_is_settled_once_whoever_comes_first() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let cancelled = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(fixture.pool.worker_of(cancelled), Some(0));
    assert!(fixture.pool.cancel(cancelled));
    assert!(!fixture.pool.cancel(cancelled));
    assert!(!fixture.answer(0, &tasks[0]), "it is settled");
    assert!(matches!(fixture.outcomes(1)[&0], Outcome::Cancelled));
    // The worker is free again.
    fixture.submit_entry(2.0, js_task());
    fixture.run_next(0);
    assert!(!fixture.answer(0, &tasks[0]), "only once");
    fixture.outcomes(1);
    assert!(fixture.events.is_empty());
    fixture.close();
}

#[test]
fn a_js_worker_that_leaves_fails_what_it_had_begun_and_nothing_else() {
    let mut fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    assert_eq!(fixture.js_turn(0).1.len(), 1);
    fixture.submit_entry(2.0, js_task());
    fixture.submit_entry(3.0, forced(Lane::Js, 0));
    let left = fixture.pool.js_leave(0, Parting::Crashed, "it crashed");
    assert_eq!(left, Left { waiting: 2, repeated: 0, failed: 1 });
    match &fixture.outcomes(1)[&0] {
        Outcome::Error(error) => assert_eq!(error.code, ErrorCode::WorkerCrashed),
        other => panic!("{other:?}"),
    }
    let _second = fixture.js_worker(0);
    for _ in 0..2 {
        let (_, tasks) = fixture.js_turn(0);
        assert!(fixture.answer(0, &tasks[0]));
    }
    fixture.outcomes(2);
    assert_eq!(fixture.pool.figures().js_workers.len(), 1);
    fixture.close();
}

#[test]
fn the_end_of_a_pool_waits_for_js_tasks() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    fixture.submit_entry(2.0, js_task());
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.close(&fixture.sink);
    assert!(fixture.events.is_empty());
    fixture.pool.reject_waiting();
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 1, outcome: Outcome::Error(_), .. }));
    assert!(fixture.answer(0, &tasks[0]));
    assert!(matches!(fixture.next_event(), Event::Settled { ticket: 0, .. }));
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
}

#[test]
fn messages_wait_for_a_js_worker_and_come_before_later_tasks() {
    let mut fixture = Fixture::new(1);
    let mail = |text: &str| JsMail {
        message_type: text.to_owned(),
        codec: 1,
        contents: Value::String(text.to_owned()),
    };
    assert!(!fixture.pool.js_post(0, mail("nobody"), false));
    assert!(fixture.pool.js_join(0));
    for index in 0..100 {
        assert!(fixture.pool.js_post(0, mail(&index.to_string()), false));
    }
    fixture.submit_entry(1.0, js_task());
    let bell = Arc::<Bell>::default();
    assert!(fixture.pool.js_attach(0, bell.clone(), None));
    let (first, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 0, "it came after messages that are still there");
    let (second, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 1);
    let types: Vec<String> = first
        .into_iter()
        .chain(second)
        .map(|note| match note {
            JsNote::Mail { mail, .. } => mail.message_type,
            note @ JsNote::GivenUp { .. } => panic!("{note:?}"),
        })
        .collect();
    assert!(types.iter().map(|text| text.parse::<u32>().unwrap()).eq(0..100));
    assert!(fixture.pool.js_post(0, mail("late"), false));
    assert_eq!(bell.rings(), 1);
    fixture.pool.js_post_to_pool(0, None, mail("back"));
    assert!(matches!(fixture.next_event(), Event::Mail { worker: 0, codec: 1, .. }));
    assert!(fixture.answer(0, &tasks[0]));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn messages_come_before_tasks_that_were_posted_after_them_only() {
    let mut fixture = Fixture::new(1);
    let mail = || JsMail { message_type: "a".to_owned(), codec: 0, contents: Value::Null };
    assert!(fixture.pool.js_join(0));
    assert!(fixture.pool.js_attach(0, Arc::<Bell>::default(), None));
    // In the inbox, from where only their order tells when they came.
    fixture.post_entries(&[1.0]);
    assert!(fixture.pool.js_post(0, mail(), false));
    fixture.post_entries(&[2.0]);
    let (notes, tasks) = fixture.js_turn(0);
    assert_eq!((notes.len(), tasks.len()), (1, 1));
    assert!(!notes[0].comes_before(tasks[0].id), "the task came first");
    assert!(fixture.answer(0, &tasks[0]));
    let (_, later) = fixture.js_turn(0);
    assert!(notes[0].comes_before(later[0].id), "it came after the message");
    assert!(fixture.answer(0, &later[0]));
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn j2_a_js_worker_that_came_for_a_message_is_rung_for_a_task() {
    let mut fixture = Fixture::new(1);
    let bell = fixture.js_worker(0);
    assert!(fixture.js_turn(0).1.is_empty());
    let mail = JsMail { message_type: "a".to_owned(), codec: 0, contents: Value::Null };
    assert!(fixture.pool.js_post(0, mail, false));
    assert_eq!(bell.rings(), 1);
    let (notes, tasks) = fixture.js_turn(0);
    assert_eq!((notes.len(), tasks.len()), (1, 0));
    fixture.submit_entry(1.0, js_task());
    assert_eq!(bell.rings(), 1);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn progress_of_a_js_task_reaches_its_submitter_until_it_is_given_up() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let id = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.js_progress(0, id, 1.0, 2.0);
    assert!(matches!(fixture.next_event(), Event::Progress { ticket: 0, worker: 0, done: 1.0, total: 2.0 }));
    assert!(fixture.pool.cancel(id));
    fixture.outcomes(1);
    while !fixture.events.is_empty() {
        fixture.next_event();
    }
    fixture.pool.js_progress(0, id, 2.0, 2.0);
    assert!(fixture.events.is_empty());
    assert!(!fixture.answer(0, &tasks[0]));
    fixture.close();
}

#[test]
fn a_worker_cannot_join_a_pool_that_has_ended() {
    let fixture = Fixture::new(1);
    fixture.pool.close(&fixture.sink);
    assert!(matches!(fixture.next_event(), Event::Closed { .. }));
    assert!(!fixture.pool.js_join(0));
    assert!(!fixture.pool.js_attach(0, Arc::<Bell>::default(), None));
}

#[test]
fn a_worker_is_as_old_as_its_last_launch_and_idle_since_it_is_ready() {
    let fixture = Fixture::new(1);
    let _first = fixture.js_worker(0);
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    let begin = clock::now();
    while clock::now() < begin + 5_000_000 {}
    let launched = clock::now();
    assert!(fixture.pool.js_join(0));
    assert!(fixture.pool.js_idle_since().is_empty(), "it is not ready");
    let uptime = fixture.pool.figures().js_workers[0].uptime;
    assert!(uptime <= (clock::now() - launched) as f64 / 1e6, "{uptime}");
    let ready = clock::now();
    assert!(fixture.pool.js_attach(0, Arc::<Bell>::default(), None));
    assert!(fixture.pool.js_idle_since()[0].1 >= ready);
    fixture.close();
}

/// A task that the thread which owns the pool runs.
fn on_main(fixture: &mut Fixture) -> JsTask {
    assert!(fixture.pool.js_join(MAIN));
    assert!(fixture.pool.js_attach(MAIN, Arc::<Bell>::default(), None));
    let mut request = fixture.request("faultEcho", 1.0, TaskSpec::plain(Lane::Main));
    request.job.kernel = MAIN_ENTRY;
    fixture.pool.submit([request].into_iter());
    fixture.js_turn(MAIN).1.remove(0)
}

#[test]
fn the_owner_is_not_told_that_its_own_task_was_given_up() {
    let mut fixture = Fixture::new(1);
    let task = on_main(&mut fixture);
    assert!(fixture.pool.cancel(task.id));
    assert!(matches!(fixture.next_event(), Event::Settled { outcome: Outcome::Cancelled, .. }));
    assert!(fixture.events.is_empty());
    assert!(matches!(fixture.js_turn(MAIN).0[..], [JsNote::GivenUp { expired: false, .. }]));
    assert!(!fixture.answer(MAIN, &task));
    fixture.close();
}

#[test]
fn detaching_ends_threads_although_the_owner_runs_a_task() {
    let mut fixture = Fixture::new(1);
    fixture.submit("faultEcho", 1.0);
    fixture.outcomes(1);
    on_main(&mut fixture);
    fixture.pool.detach();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20 * SLOWNESS);
    while fixture.pool.state.lock().threads > 0 {
        assert!(std::time::Instant::now() < until, "a thread is left");
        std::thread::yield_now();
    }
}
