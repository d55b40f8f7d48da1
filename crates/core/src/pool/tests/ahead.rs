//! Tasks that a JS worker has taken ahead (J11), with this thread in the part of the workers.

use super::super::js::{AnswerRecord, read_primitive, task_of};
use super::super::{Board, JsTask, Left, Parting, Pool, Retire};
use super::again::twice;
use super::fixture::{Fixture, number};
use super::js::{Bell, js_task};
use crate::completion::{Answer, CompletionSink, Event, Notice, Outcome};
use crate::scheduler::{TaskId, TaskSpec};
use crate::sync::Mutex;
use crate::value::Value;
use std::sync::{Arc, OnceLock, Weak};

impl Fixture {
    /// A worker that takes tiny tasks several at a time, once it has run one.
    fn js_worker_with_board(&self, index: u32) -> Arc<Board> {
        let board = Arc::<Board>::default();
        assert!(self.pool.js_join(index));
        assert!(self.pool.js_attach(index, Arc::<Bell>::default(), Some(board.clone())));
        board
    }

    /// Answers a task that took no time.
    fn answer_at_once(&self, index: u32, task: &JsTask) -> bool {
        let answer = Answer { value: Value::Number(0.0), times: Some((0, 0)), ..Answer::default() };
        self.pool.js_answer(index, task.id, answer)
    }

    /// A pool whose worker 0 has learned that its tasks are tiny; so many of them wait, the inputs from 1 on.
    pub(super) fn with_tiny_waiting(&mut self, count: u32) -> Arc<Board> {
        let board = self.js_worker_with_board(0);
        self.submit_entry(0.0, js_task());
        let (_, first) = self.js_turn(0);
        assert!(self.answer_at_once(0, &first[0]));
        self.outcomes(1);
        for input in 1..=count {
            self.submit_entry(f64::from(input), js_task());
        }
        board
    }

    /// The same, and it has taken three of them.
    fn with_three_ahead(&mut self) -> (Arc<Board>, Vec<JsTask>) {
        let board = self.with_tiny_waiting(3);
        let (_, tasks) = self.js_turn(0);
        assert_eq!(tasks.len(), 3);
        assert_eq!(tasks[0].tag, 0, "the first one begins at once");
        assert!(tasks[1..].iter().all(|task| task.tag != 0));
        (board, tasks)
    }
}

/// As the worker does.
fn begin(board: &Board, task: &JsTask) -> bool {
    task.tag == 0 || board.claim(task.tag)
}

#[test]
fn j11_a_task_that_was_taken_ahead_is_begun_once_it_is_claimed() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    assert_eq!(fixture.pool.worker_of(tasks[0].id), Some(0));
    assert_eq!(fixture.pool.worker_of(tasks[1].id), None, "it still waits");
    for task in &tasks {
        assert!(begin(&board, task));
        assert!(fixture.answer_at_once(0, task));
    }
    fixture.outcomes(3);
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.close();
}

#[test]
fn j11_one_that_is_cancelled_is_never_begun() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    assert!(fixture.pool.cancel(tasks[1].id));
    assert!(matches!(fixture.outcomes(1)[&2], Outcome::Cancelled));
    assert!(!begin(&board, &tasks[1]));
    assert!(begin(&board, &tasks[2]));
    // That one has begun, so it is given up instead.
    assert!(fixture.pool.cancel(tasks[2].id));
    fixture.outcomes(1);
    assert!(fixture.answer_at_once(0, &tasks[0]));
    assert!(!fixture.answer_at_once(0, &tasks[2]));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn j11_another_worker_takes_what_one_has_not_begun() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    let _other = fixture.js_worker_with_board(1);
    let (_, stolen) = fixture.js_turn(1);
    assert_eq!(stolen.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1].id]);
    assert!(!begin(&board, &tasks[1]) && begin(&board, &tasks[2]));
    assert!(fixture.answer_at_once(1, &stolen[0]));
    assert!(fixture.answer_at_once(0, &tasks[0]) && fixture.answer_at_once(0, &tasks[2]));
    fixture.outcomes(3);
    let steals =
        |fixture: &Fixture| fixture.pool.figures().js_workers.iter().map(|worker| worker.steals).collect();
    let before: Vec<u64> = steals(&fixture);
    assert_eq!(before, [0, 1]);
    // What a worker has done is not forgotten with its thread.
    fixture.pool.js_leave(1, Parting::Crashed, "it crashed");
    let _next = fixture.js_worker(1);
    assert_eq!(before, steals(&fixture));
    fixture.close();
}

#[test]
fn j11_a_higher_priority_goes_before_what_was_taken_ahead() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    let urgent = fixture.submit_entry(9.0, TaskSpec { priority: 1.0, ..js_task() }).unwrap();
    assert!(!begin(&board, &tasks[1]) && !begin(&board, &tasks[2]));
    assert!(fixture.answer_at_once(0, &tasks[0]));
    let (_, next) = fixture.js_turn(0);
    assert_eq!(next.iter().map(|task| task.id).collect::<Vec<_>>(), [urgent, tasks[1].id, tasks[2].id]);
    for task in &next {
        assert!(begin(&board, task) && fixture.answer_at_once(0, task));
    }
    fixture.outcomes(4);
    fixture.close();
}

#[test]
fn j11_a_worker_that_ends_leaves_what_it_has_not_begun() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    assert!(begin(&board, &tasks[1]));
    let left = fixture.pool.js_leave(0, Parting::Crashed, "it crashed");
    assert_eq!(left, Left { waiting: 1, repeated: 0, failed: 2 });
    let outcomes = fixture.outcomes(2);
    assert!([1, 2].iter().all(|ticket| matches!(outcomes[ticket], Outcome::Error(_))));
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    assert_eq!(number(&fixture.outcomes(1)[&3]), 4.0);
    fixture.close();
}

#[test]
fn j11_a_worker_that_retires_begins_nothing_more() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    assert!(fixture.pool.js_retire(0, Retire::Any));
    assert!(!begin(&board, &tasks[1]) && !begin(&board, &tasks[2]));
    assert!(fixture.answer_at_once(0, &tasks[0]));
    fixture.outcomes(1);
    assert_eq!(fixture.pool.js_leave(0, Parting::Closed, "done").waiting, 2);
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.run_next(0);
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn a_worker_that_is_replaced_after_some_tasks_takes_no_more_than_these() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 3);
    let _board = fixture.with_tiny_waiting(4);
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 2);
    fixture.pool.js_leave(0, Parting::Closed, "done");
    let _second = fixture.js_worker(0);
    for _ in 0..3 {
        fixture.run_next(0);
    }
    fixture.outcomes(4);
    fixture.close();
}

#[test]
fn a_worker_that_is_replaced_after_some_tasks_begins_all_of_these() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 3);
    let board = fixture.with_tiny_waiting(4);
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 2);
    assert!(fixture.js_turn(0).1.is_empty(), "it has as many as it may take");
    for task in &tasks {
        assert!(begin(&board, task));
        assert!(fixture.answer_at_once(0, task));
    }
    assert_eq!(fixture.outcomes(2).len(), 2);
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(
        matches!(fixture.next_event(), Event::Worker { notice: Notice::Retired { worker: 0 }, .. }),
        "it is used up"
    );
    fixture.pool.js_leave(0, Parting::Closed, "done");
    let _second = fixture.js_worker(0);
    for _ in 0..2 {
        fixture.run_next(0);
    }
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn a_worker_takes_32_tasks_at_a_time_at_most() {
    for recycle_tasks in [0, 1000] {
        let mut fixture = Fixture::with(1, |options| options.recycle_tasks = recycle_tasks);
        let board = fixture.with_tiny_waiting(40);
        for count in [32, 8] {
            let (_, tasks) = fixture.js_turn(0);
            assert_eq!(tasks.len(), count);
            assert!(tasks.iter().all(|task| begin(&board, task) && fixture.answer_at_once(0, task)));
        }
        fixture.outcomes(40);
        fixture.close();
    }
}

#[test]
fn a_run_takes_what_its_worker_says() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    let now = super::super::clock::now();
    assert!(begin(&board, &tasks[1]));
    let times = Some((now - 5_000, now));
    let answer = Answer { value: Value::Number(0.0), times, ..Answer::default() };
    assert!(fixture.pool.js_answer(0, tasks[1].id, answer));
    let mut figures = fixture.pool.figures();
    let run = figures.js_workers.remove(0).run_time;
    assert!(run.max <= 0.0051, "{run:?}");
    assert!(begin(&board, &tasks[2]));
    for at in [0, 2] {
        assert!(fixture.answer_at_once(0, &tasks[at]));
    }
    fixture.outcomes(3);
    fixture.close();
}

/// The answer to a task as the worker writes it.
fn record(task: &JsTask, tag: f64, payload: f64, codec: f64) -> AnswerRecord {
    [f64::from(task.id.index), f64::from(task.id.generation), tag, payload, codec, 0.0, 0.0, 1.0, 2.0]
}

#[test]
fn a_task_whose_answer_is_held_back_does_not_run_any_more() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    let runs = |at: usize| fixture.pool.js_runs(0, tasks[at].id);
    assert!(runs(0));
    board.hold([record(&tasks[0], 4.0, 7.0, 0.0)], &[]);
    assert!(begin(&board, &tasks[1]));
    assert!(!runs(0), "it has ended");
    assert!(runs(1));
    board.hold([record(&tasks[0], 4.0, 7.0, 0.0), record(&tasks[1], 4.0, 7.0, 0.0)], &[]);
    assert!(!runs(1));
    board.hold([], &[]);
    assert!(runs(0), "what was handed over is known to the pool");
    for task in &tasks {
        assert!(begin(&board, task) || task.tag == tasks[1].tag);
        assert!(fixture.answer_at_once(0, task));
    }
    fixture.outcomes(3);
    fixture.close();
}

#[test]
fn a_task_that_is_tried_again_runs_although_its_answer_was_held_back() {
    let mut fixture = Fixture::new(1);
    let board = fixture.js_worker_with_board(0);
    let id = fixture.submit_with_policy("faultEcho", js_task(), twice()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    let mut failed = record(&tasks[0], 4.0, 7.0, 0.0);
    failed[5] = 1.0;
    board.hold([failed], &[]);
    assert!(!fixture.pool.js_runs(0, id));
    // The worker forgets its answers later, when it has taken the task again.
    let answer = || read_primitive(&failed, (2.0, 0));
    fixture.pool.js_answers(0, [(task_of(&failed), answer)].into_iter());
    let (_, again) = fixture.js_turn(0);
    assert_eq!(again[0].id, id);
    assert!(fixture.pool.js_runs(0, id));
    assert!(fixture.answer_at_once(0, &again[0]));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_worker_that_has_gone_is_not_told_of_as_retired() {
    // Whoever replaces it under its number would be told to end. It was to go at once, or when what it ran waits for nothing.
    for waits in [false, true] {
        let mut fixture = Fixture::new(1);
        let (board, tasks) = fixture.with_three_ahead();
        fixture.pool.js_block(tasks[0].id, waits);
        assert!(fixture.pool.js_retire(0, Retire::Any));
        fixture.pool.js_block(tasks[0].id, false);
        board.hold([record(&tasks[0], 4.0, 7.0, 0.0)], &[]);
        assert_eq!(
            fixture.pool.js_leave(0, Parting::Evicted, "it was ended"),
            Left { waiting: 2, repeated: 0, failed: 0 }
        );
        let settled = |fixture: &Fixture| match fixture.next_event() {
            Event::Settled { outcome, .. } => number(&outcome),
            other => panic!("{other:?}"),
        };
        assert_eq!(settled(&fixture), 7.0);
        let _second = fixture.js_worker(0);
        for output in [3.0, 4.0] {
            fixture.run_next(0);
            assert_eq!(settled(&fixture), output);
        }
        fixture.close();
    }
}

#[test]
fn answers_that_a_worker_has_not_handed_over_outlive_it() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    assert!(begin(&board, &tasks[1]));
    board.hold([record(&tasks[0], 4.0, 7.0, 0.0), record(&tasks[1], 6.0, 1.0, 3.0)], &[0.0, 2.0, 9.0]);
    assert_eq!(
        fixture.pool.js_leave(0, Parting::Crashed, "it crashed"),
        Left { waiting: 1, repeated: 0, failed: 0 }
    );
    let outcomes = fixture.outcomes(2);
    assert_eq!(number(&outcomes[&1]), 7.0);
    match &outcomes[&2] {
        Outcome::Answer(answer) => match &answer.value {
            Value::Words(words) => assert_eq!(**words, [2.0, 9.0]),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

/// Notes what it is told and when it is rung, which it has to be for the first outcome.
#[derive(Default)]
struct Rung {
    pool: OnceLock<Weak<Pool>>,
    notes: Mutex<Vec<&'static str>>,
}

impl CompletionSink for Rung {
    fn deliver(&self, event: Event) {
        panic!("{event:?} should be told without a ring");
    }

    fn number_unrung(&self, _ticket: u32, _number: f64, _worker: u32, _run_time: u64) -> bool {
        let mut notes = self.notes.lock();
        notes.push("number");
        notes.len() == 1
    }

    fn ring(&self) {
        let pool = self.pool.get().and_then(Weak::upgrade).expect("the pool is there");
        let note = if pool.state.try_lock().is_some() { "ring, unlocked" } else { "ring" };
        self.notes.lock().push(note);
    }

    fn admitted(&self, _ticket: u32, _id: TaskId) {}
}

#[test]
fn the_bell_is_rung_at_once_or_after_a_full_batch_while_tasks_wait_and_all_cores_work() {
    let mut fixture = Fixture::new(1);
    let board = fixture.with_tiny_waiting(0);
    let rung = Arc::<Rung>::default();
    rung.pool.set(Arc::downgrade(&fixture.pool)).unwrap();
    let sink: Arc<dyn CompletionSink> = rung.clone();
    fixture.number = fixture.pool.attach(&sink);
    let cores = std::thread::available_parallelism().unwrap().get() as u32;
    // Two full batches, of which the second is a fair share, and one that is not.
    let submit = |fixture: &mut Fixture, count: u32| {
        for _ in 0..count {
            fixture.submit_entry(1.0, js_task());
        }
    };
    submit(&mut fixture, 32 + 32 * cores + 8);
    // How many there were, and what was noted.
    let answer_some = |fixture: &mut Fixture| {
        let (_, tasks) = fixture.js_turn(0);
        assert!(tasks.iter().all(|task| begin(&board, task)));
        let answers = tasks.iter().map(|task| {
            (task.id, || Answer { value: Value::Number(0.0), times: Some((0, 0)), ..Answer::default() })
        });
        fixture.pool.js_answers(0, answers);
        (tasks.len(), std::mem::take(&mut *rung.notes.lock()))
    };
    for (is_full, has_others) in [(true, false), (true, true), (false, true)] {
        let (count, notes) = answer_some(&mut fixture);
        assert_eq!(count == 32, is_full);
        // The first outcome is told, the bell is rung; or all are.
        let (at, ring) =
            if is_full && (has_others || cores == 1) { (count, "ring, unlocked") } else { (1, "ring") };
        assert_eq!((notes.len(), notes[at]), (count + 1, ring));
        for index in 1..cores {
            fixture.pool.js_join(index);
        }
    }
    for index in 1..cores {
        fixture.pool.js_leave(index, Parting::Closed, "closed");
    }
    while answer_some(&mut fixture).0 > 0 {}
    // The others have left.
    submit(&mut fixture, 40);
    let (count, notes) = answer_some(&mut fixture);
    let (at, ring) = if cores == 1 { (count, "ring, unlocked") } else { (1, "ring") };
    assert_eq!((count, notes[at]), (32, ring));
    while answer_some(&mut fixture).0 > 0 {}
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn a_worker_that_has_begun_too_little_takes_no_more_than_it_has_room_for() {
    let mut fixture = Fixture::with(1, |options| options.worker_concurrency = 4);
    let board = fixture.with_tiny_waiting(3);
    let (_, first) = fixture.js_turn(0);
    assert_eq!(first.len(), 3);
    for _ in 0..10 {
        fixture.submit_entry(1.0, js_task());
    }
    let (_, second) = fixture.js_turn(0);
    assert_eq!(second.len(), 1, "two of the four are ahead");
    for task in first.iter().chain(&second) {
        assert!(begin(&board, task) && fixture.answer_at_once(0, task));
    }
    loop {
        let (_, tasks) = fixture.js_turn(0);
        if tasks.is_empty() {
            break;
        }
        assert!(tasks.iter().all(|task| begin(&board, task) && fixture.answer_at_once(0, task)));
    }
    fixture.outcomes(13);
    fixture.close();
}

#[test]
fn what_is_ahead_when_the_board_is_full_is_begun_without_asking() {
    let mut fixture = Fixture::with(1, |options| options.worker_concurrency = 200);
    let board = fixture.with_tiny_waiting(100);
    let mut taken = Vec::new();
    while taken.len() < 100 {
        let (_, tasks) = fixture.js_turn(0);
        assert!(!tasks.is_empty());
        taken.extend(tasks);
    }
    assert!(taken.iter().filter(|task| task.tag != 0).count() <= 64);
    for task in &taken {
        assert!(begin(&board, task), "nobody else has");
        assert!(fixture.answer_at_once(0, task));
    }
    fixture.outcomes(100);
    fixture.close();
}

#[test]
fn a_worker_that_is_used_up_and_waits_for_others_goes_on_at_once() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 3);
    let board = fixture.with_tiny_waiting(4);
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 2);
    assert!(begin(&board, &tasks[0]));
    fixture.pool.js_block(tasks[0].id, true);
    assert!(begin(&board, &tasks[1]) && fixture.answer_at_once(0, &tasks[1]));
    // It comes once, and is called for no task that was there before.
    let (_, more) = fixture.js_turn(0);
    assert!(!more.is_empty(), "nobody else runs what its task waits for");
    assert!(more.iter().all(|task| fixture.answer_at_once(0, task)));
    fixture.run_next(0);
    fixture.pool.js_block(tasks[0].id, false);
    assert!(fixture.answer_at_once(0, &tasks[0]));
    fixture.outcomes(4);
    fixture.pool.js_leave(0, Parting::Closed, "done");
    fixture.close();
}

#[test]
fn a_worker_that_is_replaced_after_some_tasks_counts_none_that_was_taken_back() {
    let mut fixture = Fixture::with(1, |options| options.recycle_tasks = 3);
    let board = fixture.with_tiny_waiting(4);
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 2);
    assert!(fixture.pool.cancel(tasks[1].id));
    assert!(begin(&board, &tasks[0]) && fixture.answer_at_once(0, &tasks[0]));
    let (_, more) = fixture.js_turn(0);
    assert_eq!(more.len(), 1, "it has begun two of three");
    assert!(fixture.answer_at_once(0, &more[0]));
    fixture.outcomes(3);
    fixture.pool.js_leave(0, Parting::Closed, "done");
    let _second = fixture.js_worker(0);
    fixture.run_next(0);
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn tasks_that_are_timed_from_their_begin_are_not_taken_ahead() {
    let mut fixture = Fixture::with(1, |options| options.worker_concurrency = 2);
    let _board = fixture.with_tiny_waiting(0);
    for _ in 0..2 {
        let spec = TaskSpec { deadline_from_start: Some(3_600_000_000_000), ..js_task() };
        fixture.submit_entry(1.0, spec);
    }
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.iter().map(|task| task.tag).collect::<Vec<_>>(), [0, 0]);
    assert!(tasks.iter().all(|task| fixture.answer_at_once(0, task)));
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn a_worker_that_runs_nothing_but_what_was_given_up_is_stuck_although_it_has_some_ahead() {
    let mut fixture = Fixture::new(1);
    let (board, tasks) = fixture.with_three_ahead();
    assert_eq!(fixture.pool.js_stuck(), 0);
    assert!(fixture.pool.cancel(tasks[0].id));
    assert_eq!(fixture.pool.js_stuck(), 1, "another one has to run the others");
    assert!(begin(&board, &tasks[1]));
    assert_eq!(fixture.pool.js_stuck(), 0);
    assert!(!fixture.answer_at_once(0, &tasks[0]));
    for task in &tasks[1..] {
        assert!(begin(&board, task) || task.tag == tasks[1].tag);
        assert!(fixture.answer_at_once(0, task));
    }
    fixture.outcomes(3);
    fixture.close();
}
