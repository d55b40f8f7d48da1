//! Envs that submit without owning the pool, and that may end at any time.

use super::super::{ENTRY, JsMail, Left, Parting, Retire};
use super::again::twice;
use super::fixture::{Channel, Fixture, forced};
use super::js::js_task;
use crate::completion::{Answer, CompletionSink, Event, Notice, Outcome};
use crate::scheduler::{Lane, TaskId, TaskSpec};
use crate::value::Value;
use crossbeam_channel::{Receiver, unbounded};
use std::sync::Arc;

struct Guest {
    number: u16,
    events: Receiver<Event>,
}

impl Fixture {
    fn guest(&self) -> Guest {
        let (sender, events) = unbounded();
        let sink: Arc<dyn CompletionSink> = Arc::new(Channel(sender, self.ids.clone()));
        let number = self.pool.attach(&sink);
        assert_ne!(number, self.number);
        assert_eq!(self.pool.attach(&sink), number, "the same sink keeps its number");
        Guest { number, events }
    }

    fn submit_for(&mut self, guest: &Guest, kernel: &str, spec: TaskSpec) -> Option<TaskId> {
        let mut request = self.request(kernel, 1.0, spec);
        if request.spec.lane == Lane::Js {
            request.job.kernel = ENTRY;
        }
        request.job.sink = guest.number;
        let ticket = request.job.ticket;
        self.pool.submit([request].into_iter());
        self.ids.lock().get(&ticket).copied()
    }

    /// A kernel that runs.
    fn run_for(&mut self, guest: &Guest, (kernel, input): (&str, f64), in_place: bool) -> TaskId {
        let mut request = self.request(kernel, input, TaskSpec::plain(Lane::Native));
        (request.job.sink, request.job.in_place) = (guest.number, in_place);
        let ticket = request.job.ticket;
        self.pool.submit([request].into_iter());
        let id = *self.ids.lock().get(&ticket).unwrap();
        while self.pool.worker_of(id).is_none() {
            std::thread::yield_now();
        }
        id
    }

    /// Whether the owner has been told that a worker can go.
    fn has_retired(&mut self) -> bool {
        self.events
            .try_iter()
            .any(|event| matches!(event, Event::Worker { notice: Notice::Retired { .. }, .. }))
    }

    /// Tasks admitted; of guests, completed and errored.
    fn counts(&self) -> [u64; 3] {
        let figures = self.pool.figures();
        [figures.tasks_admitted, figures.guests_completed, figures.guests_errored]
    }
}

fn settled(guest: &Guest) {
    let event = guest.events.recv_timeout(std::time::Duration::from_mins(1)).expect("an event");
    assert!(matches!(event, Event::Settled { .. }), "{event:?}");
}

#[test]
fn h1_tasks_of_a_guest_are_counted_when_they_settle_and_never_when_they_are_refused() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    fixture.submit_for(&guest, "faultEcho", TaskSpec::plain(Lane::Native));
    settled(&guest);
    fixture.submit_for(&guest, "faultError", TaskSpec::plain(Lane::Native));
    settled(&guest);
    assert_eq!(fixture.submit_for(&guest, "faultEcho", forced(Lane::Native, 9)), None);
    settled(&guest);
    fixture.submit("faultEcho", 1.0);
    assert!(matches!(fixture.next_event(), Event::Settled { .. }));
    assert_eq!(fixture.counts(), [3, 1, 1]);
    fixture.pool.close(&fixture.sink);
    fixture.submit_for(&guest, "faultEcho", TaskSpec::plain(Lane::Native));
    settled(&guest);
    assert_eq!(fixture.counts(), [3, 1, 1], "nothing is admitted any more");
    while !matches!(fixture.next_event(), Event::Closed { .. }) {}
}

#[test]
fn h1_a_guest_that_goes_leaves_its_tasks_as_errored() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    fixture.submit_for(&guest, "faultEcho", js_task());
    let (_, running) = fixture.js_turn(0);
    fixture.submit_for(&guest, "faultEcho", js_task());
    assert_eq!(fixture.counts(), [2, 0, 0]);
    fixture.pool.guest_left(guest.number);
    assert_eq!(fixture.counts(), [2, 0, 2], "one waited, one runs");
    fixture.pool.guest_left(guest.number);
    assert!(fixture.answer(0, &running[0]));
    assert_eq!(fixture.counts(), [2, 0, 2], "once");
    assert_eq!(guest.events.try_iter().filter(|event| matches!(event, Event::Settled { .. })).count(), 1);
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn an_output_is_wanted_until_the_guest_has_gone() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    fixture.submit_for(&guest, "faultEcho", js_task());
    let (_, running) = fixture.js_turn(0);
    let id = running[0].id;
    assert!(fixture.pool.js_is_wanted(0, id));
    assert!(!fixture.pool.js_is_wanted(1, id), "another worker runs it");
    fixture.pool.guest_left(guest.number);
    assert!(!fixture.pool.js_is_wanted(0, id));
    assert!(fixture.answer(0, &running[0]));
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn h2_a_number_is_given_out_again_when_nothing_of_it_is_left() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let first = fixture.guest();
    fixture.submit_for(&first, "faultEcho", js_task());
    let (_, running) = fixture.js_turn(0);
    fixture.pool.guest_left(first.number);
    let second = fixture.guest();
    assert_ne!(second.number, first.number, "a task still runs");
    assert!(fixture.answer(0, &running[0]));
    let third = fixture.guest();
    assert_eq!(third.number, first.number);
    // A native worker that has kept the sinks finds the new guest under the old number.
    for guest in [&second, &third] {
        fixture.submit_for(guest, "faultEcho", TaskSpec::plain(Lane::Native));
        settled(guest);
    }
    // A kernel that was given up still names its task when it stops.
    fixture.run_for(&third, ("faultStubborn", 1000.0), false);
    fixture.pool.guest_left(third.number);
    assert_ne!(fixture.guest().number, third.number);
    while fixture.pool.figures().abandoned > 0 || fixture.pool.figures().running > 0 {
        std::thread::yield_now();
    }
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
    assert_eq!(first.events.len(), 0, "nobody is told after the end");
}

#[test]
fn what_a_guest_has_submitted_goes_with_it_also_where_it_was_taken_ahead() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let board = fixture.with_tiny_waiting(0);
    for _ in 0..3 {
        fixture.submit_for(&guest, "faultEcho", js_task());
    }
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 3);
    fixture.pool.guest_left(guest.number);
    assert!(tasks[1..].iter().all(|task| !board.claim(task.tag)), "nobody begins them any more");
    assert_eq!(fixture.counts()[2], 3);
    // The first one has begun.
    assert!(fixture.answer(0, &tasks[0]));
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn what_a_guest_that_has_gone_submitted_is_not_run_again() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    fixture.submit_for(&guest, "faultEcho", js_task());
    fixture.js_turn(0);
    fixture.pool.guest_left(guest.number);
    let left = fixture.pool.js_leave(0, Parting::Evicted, "it was ended");
    assert_eq!(left, Left { waiting: 0, repeated: 0, failed: 1 });
    fixture.close();
}

#[test]
fn what_runs_elsewhere_is_given_up_with_a_worker_that_was_ended() {
    let mut fixture = Fixture::new(1);
    let (guest, other) = (fixture.guest(), fixture.guest());
    let (_first, _second) = (fixture.js_worker(0), fixture.js_worker(1));
    fixture.pool.js_seat(0, guest.number);
    fixture.submit_for(&guest, "faultEcho", forced(Lane::Js, 1));
    let (_, tasks) = fixture.js_turn(1);
    fixture.pool.guest_left(guest.number);
    assert_eq!(fixture.pool.js_leave(0, Parting::Evicted, "it was ended"), Left::default());
    let (notes, _) = fixture.js_turn(1);
    assert_eq!(notes.len(), 1, "its worker is told");
    assert!(!fixture.answer(1, &tasks[0]), "nobody hears of it");
    // Nothing of others is.
    fixture.submit_for(&other, "faultEcho", forced(Lane::Js, 1));
    let (_, tasks) = fixture.js_turn(1);
    assert!(fixture.answer(1, &tasks[0]));
    settled(&other);
    fixture.pool.js_leave(1, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn a_worker_does_not_go_before_what_it_has_submitted_is_settled() {
    for which in [Retire::Any, Retire::Used] {
        let mut fixture = Fixture::new(1);
        let guest = fixture.guest();
        let _bell = fixture.js_worker(0);
        fixture.pool.js_seat(0, guest.number);
        fixture.submit_entry(1.0, js_task());
        let (_, tasks) = fixture.js_turn(0);
        // Told to go while it runs, it takes on what it submits.
        assert!(fixture.pool.js_retire(0, which));
        fixture.submit_for(&guest, "faultEcho", js_task());
        assert!(fixture.answer(0, &tasks[0]));
        let (_, tasks) = fixture.js_turn(0);
        assert_eq!(tasks.len(), 1, "nobody else would run it");
        assert!(!fixture.pool.js_retire(0, Retire::Idle));
        assert!(!fixture.has_retired());
        assert!(fixture.answer(0, &tasks[0]));
        assert!(fixture.has_retired());
        fixture.pool.js_leave(0, Parting::Closed, "closed");
        fixture.close();
    }
}

#[test]
fn a_guest_that_goes_waits_for_kernels_that_use_its_memory() {
    let mut fixture = Fixture::new(2);
    let guest = fixture.guest();
    let [first, _] = [(); 2].map(|()| fixture.run_for(&guest, ("faultStubborn", 50.0), true));
    // One was given up before, and runs on.
    assert!(fixture.pool.cancel(first));
    fixture.pool.guest_left(guest.number);
    let runs = fixture.pool.all_cells().any(|cell| cell.is_running() && cell.label().sink == guest.number);
    assert!(!runs, "memory of the guest is used");
    assert_eq!(fixture.counts(), [2, 0, 2]);
    fixture.close();
}

#[test]
fn kernels_of_a_guest_that_has_gone_are_given_up() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    fixture.run_for(&guest, ("faultWait", 0.0), false);
    fixture.pool.guest_left(guest.number);
    fixture.submit("faultEcho", 1.0);
    assert!(fixture.outcomes(1).values().all(Outcome::is_ok), "the worker is free again");
    fixture.close();
}

#[test]
fn h1_a_js_task_that_fails_counts_as_errored() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    fixture.submit_for(&guest, "faultEcho", js_task());
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    settled(&guest);
    assert_eq!(fixture.counts(), [1, 0, 1]);
    fixture.close();
}

#[test]
fn answers_that_are_handed_over_together_reach_those_who_asked() {
    let mut fixture = Fixture::with(1, |options| options.worker_concurrency = 3);
    let (first, second) = (fixture.guest(), fixture.guest());
    let _bell = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    fixture.submit_for(&first, "faultEcho", js_task());
    fixture.submit_for(&second, "faultEcho", js_task());
    let (_, tasks) = fixture.js_turn(0);
    assert_eq!(tasks.len(), 3);
    fixture.pool.js_answers(0, tasks.iter().map(|task| (task.id, Answer::default)));
    fixture.outcomes(1);
    settled(&first);
    settled(&second);
    assert!(fixture.events.is_empty() && first.events.is_empty() && second.events.is_empty());
    fixture.close();
}

#[test]
fn what_a_guest_has_posted_goes_with_it() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    fixture.submit_entry(1.0, js_task());
    let (_, tasks) = fixture.js_turn(0);
    let owner = std::mem::replace(&mut fixture.number, guest.number);
    assert!(fixture.post_entries(&[1.0, 2.0]));
    fixture.number = owner;
    fixture.pool.guest_left(guest.number);
    assert_eq!(fixture.counts()[2], 2);
    assert!(fixture.answer(0, &tasks[0]));
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn what_a_guest_that_has_gone_submitted_is_not_tried_again() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    let owner = std::mem::replace(&mut fixture.number, guest.number);
    fixture.submit_with_policy("faultEcho", js_task(), twice());
    fixture.number = owner;
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.guest_left(guest.number);
    fixture.fail(&tasks[0]);
    assert!(fixture.js_turn(0).1.is_empty());
    fixture.close();
}

#[test]
fn kernels_that_were_taken_ahead_for_a_guest_go_with_it() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let tiny = |fixture: &mut Fixture, kernel: &str, sink: u16| {
        let mut request = fixture.request(kernel, 1.0, TaskSpec::plain(Lane::Native));
        (request.cost_key, request.job.sink) = (Some("tiny".to_owned()), sink);
        request
    };
    let own = fixture.number;
    for _ in 0..64 {
        let request = tiny(&mut fixture, "faultEcho", own);
        fixture.pool.submit([request].into_iter());
    }
    fixture.outcomes(64);
    let gate = fixture.occupy();
    let requests =
        ["faultWait", "faultEcho", "faultEcho"].map(|kernel| tiny(&mut fixture, kernel, guest.number));
    let ticket = requests[0].job.ticket;
    fixture.pool.submit(requests.into_iter());
    let waits = fixture.ids.lock()[&ticket];
    assert!(fixture.pool.cancel(gate));
    while fixture.pool.worker_of(waits).is_none() {
        std::thread::yield_now();
    }
    fixture.pool.guest_left(guest.number);
    fixture.submit("faultEcho", 1.0);
    fixture.outcomes(2);
    assert_eq!(fixture.pool.figures().workers[0].tasks_completed, 65, "two of the guest were never begun");
    fixture.close();
}

#[test]
fn messages_about_a_task_of_a_guest_reach_it_and_the_owner() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    let mail = || JsMail { message_type: "a".to_owned(), codec: 1, contents: Value::Number(5.0) };
    let id = fixture.submit_for(&guest, "faultEcho", js_task()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.js_post_to_pool(0, Some(id), mail());
    assert!(matches!(fixture.next_event(), Event::Mail { ticket: None, worker: 0, .. }));
    let told = guest.events.recv_timeout(std::time::Duration::from_mins(1)).unwrap();
    assert!(matches!(told, Event::Message { ticket: 0, worker: 0, contents: Value::Number(5.0), .. }));
    assert!(fixture.answer(0, &tasks[0]));
    settled(&guest);
    let id = fixture.submit_entry(1.0, js_task()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.pool.js_post_to_pool(0, Some(id), mail());
    assert!(matches!(fixture.next_event(), Event::Mail { ticket: Some(1), .. }));
    assert_eq!(fixture.pool.figures().js_workers[0].message_count, 2);
    assert!(fixture.answer(0, &tasks[0]));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_worker_whose_kernels_run_stays_and_goes_at_a_turn_after_them() {
    let mut fixture = Fixture::new(1);
    let guest = fixture.guest();
    let _bell = fixture.js_worker(0);
    fixture.pool.js_seat(0, guest.number);
    let kernel = fixture.run_for(&guest, ("faultWait", 0.0), false);
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(!fixture.pool.js_retire(0, Retire::Idle), "its kernel would be given up");
    assert!(fixture.pool.js_retire(0, Retire::Any));
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(!fixture.has_retired());
    assert!(fixture.pool.cancel(kernel));
    settled(&guest);
    assert!(fixture.js_turn(0).1.is_empty());
    assert!(fixture.has_retired());
    fixture.pool.js_leave(0, Parting::Closed, "closed");
    fixture.close();
}

#[test]
fn the_next_guest_with_the_number_of_one_that_was_ended_keeps_its_tasks() {
    let mut fixture = Fixture::new(1);
    let first = fixture.guest();
    let (_first, _second) = (fixture.js_worker(0), fixture.js_worker(1));
    fixture.pool.js_seat(0, first.number);
    fixture.pool.guest_left(first.number);
    let second = fixture.guest();
    assert_eq!(second.number, first.number);
    fixture.submit_for(&second, "faultEcho", forced(Lane::Js, 1));
    let (_, tasks) = fixture.js_turn(1);
    fixture.pool.js_leave(0, Parting::Evicted, "it was ended");
    assert!(fixture.answer(1, &tasks[0]));
    settled(&second);
    fixture.close();
}

/// A sink that has been told of more than it takes in.
struct Behind(Channel);

impl CompletionSink for Behind {
    fn deliver(&self, event: Event) {
        self.0.deliver(event);
    }

    fn is_behind(&self) -> bool {
        true
    }

    fn admitted(&self, ticket: u32, id: TaskId) {
        self.0.admitted(ticket, id);
    }
}

#[test]
fn g3_a_task_whose_submitter_is_behind_waits_before_it_is_tried_again() {
    let mut fixture = Fixture::new(1);
    let _bell = fixture.js_worker(0);
    let (sender, events) = unbounded();
    let sink: Arc<dyn CompletionSink> = Arc::new(Behind(Channel(sender, fixture.ids.clone())));
    // A guest.
    fixture.number = fixture.pool.attach(&sink);
    fixture.submit_with_policy("faultEcho", js_task(), twice());
    let (_, tasks) = fixture.js_turn(0);
    fixture.fail(&tasks[0]);
    assert!(matches!(events.recv().unwrap(), Event::Retried { count: 1, delay: 0, .. }));
    assert!(
        matches!(fixture.next_event(), Event::Worker { notice: Notice::Resumed, .. }),
        "it was set aside"
    );
    fixture.run_next(0);
    assert!(matches!(events.recv().unwrap(), Event::Settled { .. }));
    fixture.close();
}
