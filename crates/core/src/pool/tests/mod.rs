//! Tests of the shell with real threads and no Node. Events are ordered by the sink's own channel, never by sleeping.

mod again;
mod ahead;
mod between_runs;
mod early;
mod ends;
mod figures;
mod fixture;
mod guests;
mod js;
mod launches;
mod memory;
mod posted;
mod successors;

use super::{Cell, Request, clock};
use crate::completion::{CompletionSink, Event, Outcome};
use crate::error::ErrorCode;
use crate::kernel::Host;
use crate::scheduler::{Affinity, Lane, Strength, TaskId, TaskSpec, Time};
use crate::value::Value;
use fixture::{Fixture, SLOWNESS, number};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn n1_a_hundred_thousand_jobs_settle_once_each_with_their_own_output() {
    let mut fixture = Fixture::new(4);
    for batch in 0..1000 {
        let requests: Vec<_> = (0..100)
            .map(|index| {
                fixture.request("faultEcho", f64::from(batch * 100 + index), TaskSpec::plain(Lane::Native))
            })
            .collect();
        fixture.pool.submit(requests.into_iter());
    }
    let outcomes = fixture.outcomes(100_000);
    assert!(outcomes.iter().all(|(ticket, outcome)| number(outcome) == f64::from(*ticket)));
    assert!(fixture.events.is_empty());
    assert_eq!(fixture.pool.figures().queue_length, 0);
    fixture.close();
}

#[test]
fn w1_an_outcome_is_handed_over_before_the_next_task_begins() {
    let mut fixture = Fixture::new(1);
    // Teaches the scheduler that this key is tiny, so that a batch is taken.
    let tiny = |fixture: &mut Fixture, kernel: &str| Request {
        cost_key: Some("tiny".to_owned()),
        ..fixture.request(kernel, 1.0, TaskSpec::plain(Lane::Native))
    };
    for _ in 0..64 {
        let request = tiny(&mut fixture, "faultEcho");
        fixture.pool.submit([request].into_iter());
    }
    fixture.outcomes(64);
    let gate = fixture.occupy();
    let requests =
        [tiny(&mut fixture, "faultEcho"), tiny(&mut fixture, "faultWait"), tiny(&mut fixture, "faultEcho")];
    let ids = requests.each_ref().map(|request| request.job.ticket);
    fixture.pool.submit(requests.into_iter());
    let ids = ids.map(|ticket| fixture.ids.lock()[&ticket]);
    assert!(fixture.pool.cancel(gate));
    let outcomes = fixture.outcomes(2);
    assert_eq!(
        outcomes.values().filter(|outcome| outcome.is_ok()).count(),
        1,
        "the first is out while the second runs"
    );
    assert!(fixture.pool.cancel(ids[2]), "what was taken ahead still waits");
    assert!(fixture.pool.cancel(ids[1]));
    fixture.outcomes(2);
    fixture.close();
}

#[test]
fn i1_what_is_posted_is_run_by_workers_that_park_again_and_again() {
    for threads in [1, 2, 4] {
        let mut fixture = Fixture::new(threads);
        for round in 0..2000_u32 {
            let inputs: Vec<f64> = (0..=round % 7).map(f64::from).collect();
            assert!(fixture.post("faultEcho", &inputs));
            let first = fixture.next - inputs.len() as u32;
            for (ticket, outcome) in fixture.outcomes(inputs.len()) {
                assert_eq!(number(&outcome), f64::from(ticket - first));
            }
        }
        fixture.close();
    }
}

#[test]
fn i2_a_submission_does_not_overtake_what_was_posted() {
    let mut fixture = Fixture::new(1);
    let gate = fixture.occupy();
    assert!(fixture.post("faultEcho", &[1.0, 2.0]));
    fixture.submit("faultEcho", 3.0);
    assert!(fixture.post("faultEcho", &[4.0]));
    assert!(fixture.pool.cancel(gate));
    let mut order = Vec::new();
    while order.len() < 4 {
        if let Event::Settled { outcome: Outcome::Ok(value), .. } = fixture.next_event() {
            order.push(value.as_number().unwrap());
        }
    }
    assert_eq!(order, [1.0, 2.0, 3.0, 4.0]);
    fixture.close();
}

#[test]
fn a_posted_task_can_be_cancelled_and_counts_at_once() {
    let mut fixture = Fixture::with_capacity(1, 4);
    let gate = fixture.occupy();
    assert!(fixture.post("faultEcho", &[1.0, 2.0]));
    assert!(!fixture.post("faultEcho", &[3.0, 4.0]), "one place is left");
    assert_eq!(fixture.pool.figures().queue_length, 2);
    let id = fixture.ids.lock()[&2];
    assert!(fixture.pool.cancel(id));
    assert!(!fixture.pool.cancel(id), "only once");
    assert!(fixture.post("faultEcho", &[5.0, 6.0]));
    assert!(fixture.pool.cancel(gate));
    let outcomes = fixture.outcomes(5);
    assert_eq!(outcomes.values().filter(|outcome| outcome.is_ok()).count(), 3);
    fixture.close();
}

#[test]
fn w2_a_panic_ends_its_task_and_nothing_else() {
    let mut fixture = Fixture::new(1);
    for index in 0..50 {
        fixture.submit(if index % 2 == 0 { "faultPanic" } else { "faultEcho" }, f64::from(index));
    }
    for (ticket, outcome) in fixture.outcomes(50) {
        match outcome {
            Outcome::Panicked(message) => {
                assert_eq!(ticket % 2, 0);
                assert!(
                    message.starts_with(&format!("panic on purpose: {ticket} (at faults.rs:")),
                    "{message}"
                );
            }
            other => assert_eq!(number(&other), f64::from(ticket)),
        }
    }
    fixture.close();
}

#[test]
fn f3_sections_never_deadlock_nested_or_not() {
    for threads in [1, 2, 5] {
        let mut fixture = Fixture::new(threads);
        for _ in 0..20 {
            fixture.submit("faultNested", 3.0);
        }
        assert!(fixture.outcomes(20).values().all(|outcome| number(outcome) == 512.0));
        fixture.close();
    }
}

#[test]
fn a_panic_in_a_chunk_rejects_the_task_after_the_others_have_stopped() {
    let mut fixture = Fixture::new(4);
    for _ in 0..200 {
        fixture.submit("faultParallelPanic", 17.0);
    }
    for outcome in fixture.outcomes(200).values() {
        assert!(
            matches!(outcome, Outcome::Panicked(message) if message.contains("chunk 17 panics")),
            "{outcome:?}"
        );
    }
    fixture.close();
}

#[test]
fn idle_workers_help_and_leave_for_waiting_tasks() {
    let mut fixture = Fixture::new(3);
    fixture.submit("faultSlowChunks", 400.0);
    // A task that comes while everybody helps is not kept waiting until the section ends.
    while fixture.pool.figures().workers.iter().filter(|worker| worker.busy).count() < 3 {
        std::thread::yield_now();
    }
    let echo = fixture.next;
    fixture.submit("faultEcho", 5.0);
    let Event::Settled { ticket, .. } = fixture.next_event() else { panic!("settled") };
    assert_eq!(ticket, echo);
    fixture.outcomes(1);
    assert!(fixture.pool.figures().workers.iter().map(|worker| worker.helped).sum::<u64>() > 0);
    fixture.close();
}

#[test]
fn a_cancelled_running_job_settles_at_once_and_is_released_when_it_stops() {
    let mut fixture = Fixture::new(1);
    let id = fixture.occupy();
    assert!(fixture.pool.cancel(id));
    assert!(!fixture.pool.cancel(id), "only once");
    assert!(matches!(fixture.next_event(), Event::Settled { outcome: Outcome::Cancelled, held: true, .. }));
    assert!(matches!(fixture.next_event(), Event::Released { ticket: 0, .. }));
    fixture.close();
}

#[test]
fn a_stubborn_kernel_is_counted_until_it_stops() {
    let mut fixture = Fixture::new(1);
    let id = fixture.submit("faultStubborn", 300.0);
    while fixture.pool.worker_of(id).is_none() {
        std::thread::yield_now();
    }
    assert!(fixture.pool.cancel(id));
    assert_eq!(fixture.pool.figures().abandoned, 1);
    while !matches!(fixture.next_event(), Event::Released { .. }) {}
    assert_eq!(fixture.pool.figures().abandoned, 0);
    fixture.close();
}

#[test]
fn cancelling_races_with_running_and_every_job_settles_once() {
    let mut fixture = Fixture::new(2);
    let mut cancelled = 0;
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    for _ in 0..rounds {
        let ids: Vec<_> = (0..8).map(|index| fixture.submit("faultEcho", f64::from(index))).collect();
        cancelled += ids.iter().step_by(2).filter(|id| fixture.pool.cancel(**id)).count();
    }
    let outcomes = fixture.outcomes(rounds * 8);
    assert_eq!(outcomes.values().filter(|outcome| matches!(outcome, Outcome::Cancelled)).count(), cancelled);
    fixture.close();
}

#[test]
fn deadlines_are_kept_for_waiting_and_running_jobs() {
    let mut fixture = Fixture::new(1);
    let soon = |from_start: bool| TaskSpec {
        deadline: (!from_start).then(|| Time(clock::now() + 20_000_000)),
        deadline_from_start: from_start.then_some(20_000_000),
        ..TaskSpec::plain(Lane::Native)
    };
    fixture.submit_with("faultWait", 0.0, soon(false));
    fixture.submit_with("faultWait", 0.0, soon(false));
    fixture.submit_with("faultWait", 0.0, soon(true));
    assert!(fixture.outcomes(3).values().all(|outcome| matches!(outcome, Outcome::Expired)));
    fixture.submit("faultEcho", 1.0);
    assert_eq!(number(&fixture.outcomes(1)[&3]), 1.0);
    fixture.close();
}

#[test]
fn an_earlier_deadline_overtakes_a_later_one() {
    let mut fixture = Fixture::new(1);
    let gate = fixture.occupy();
    let now = clock::now();
    for ms in [120, 80, 40, 20, 60, 100] {
        let deadline = Some(Time(now + ms * SLOWNESS * 1_000_000));
        fixture.submit_with("faultEcho", 0.0, TaskSpec { deadline, ..TaskSpec::plain(Lane::Native) });
    }
    let order: Vec<u32> = (0..6)
        .map(|_| match fixture.next_event() {
            Event::Settled { ticket, outcome: Outcome::Expired, .. } => ticket,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(order, [4, 3, 5, 2, 6, 1]);
    assert!(fixture.pool.cancel(gate));
    fixture.close();
}

#[test]
fn capacity_counts_what_is_not_settled() {
    let mut fixture = Fixture::with_capacity(1, 2);
    let gate = fixture.occupy();
    assert!(fixture.submit_with("faultEcho", 1.0, TaskSpec::plain(Lane::Native)).is_some());
    assert!(fixture.submit_with("faultEcho", 2.0, TaskSpec::plain(Lane::Native)).is_none());
    let outcomes = fixture.outcomes(1);
    assert!(matches!(&outcomes[&2], Outcome::Error(error) if error.code == ErrorCode::QueueFull));
    assert!(fixture.pool.cancel(gate));
    fixture.outcomes(2);
    assert!(fixture.submit_with("faultEcho", 3.0, TaskSpec::plain(Lane::Native)).is_some());
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn messages_and_progress_arrive_before_the_outcome() {
    let mut fixture = Fixture::new(1);
    fixture.submit("faultPost", 100.0);
    for expected in 0..100 {
        let Event::Message { message_type, contents, worker, .. } = fixture.next_event() else {
            panic!("a message")
        };
        assert_eq!((message_type.as_str(), worker), ("count", 0));
        assert_eq!(contents.get("index").and_then(Value::as_number), Some(f64::from(expected)));
    }
    assert!(matches!(fixture.next_event(), Event::Settled { .. }));
    fixture.close();
}

#[test]
fn threads_start_with_the_tasks_that_need_them() {
    let mut fixture = Fixture::new(8);
    assert_eq!(fixture.pool.state.lock().threads, 0);
    let first = fixture.occupy();
    assert_eq!(fixture.pool.state.lock().threads, 1);
    let second = fixture.occupy();
    assert_eq!(fixture.pool.state.lock().threads, 2);
    fixture.pool.cancel(first);
    fixture.pool.cancel(second);
    fixture.close();
}

/// Says that an outcome has come, and keeps the worker until it may go on.
struct Turnstile {
    arrived: crossbeam_channel::Sender<()>,
    opened: crossbeam_channel::Receiver<()>,
}

impl CompletionSink for Turnstile {
    fn deliver(&self, _event: Event) {
        let _ = self.arrived.send(());
        let _ = self.opened.recv();
    }

    fn admitted(&self, _ticket: u32, _id: TaskId) {}
}

#[test]
fn whoever_has_an_output_finds_its_costs() {
    let mut fixture = Fixture::new(1);
    let (arrived, arrival) = crossbeam_channel::unbounded();
    let (open, opened) = crossbeam_channel::unbounded();
    let sink: Arc<dyn CompletionSink> = Arc::new(Turnstile { arrived, opened });
    fixture.number = fixture.pool.attach(&sink);
    let mut request = fixture.request("faultEcho", 1.0, TaskSpec::plain(Lane::Native));
    request.cost_key = Some("a key".to_owned());
    fixture.pool.submit([request].into_iter());
    // The worker has handed the output over, and not told the scheduler.
    arrival.recv_timeout(Duration::from_mins(1)).unwrap();
    let pool = fixture.pool.clone();
    let asking = std::thread::spawn(move || pool.learned_costs());
    for _ in 0..100 {
        assert!(!asking.is_finished(), "they are waited for");
        std::thread::yield_now();
    }
    open.send(()).unwrap();
    let costs = asking.join().unwrap();
    assert!(costs.iter().any(|cost| cost.name == "a key" && cost.count == 1), "{costs:?}");
    fixture.close();
}

#[test]
fn helpers_leave_for_a_task_long_before_the_section_ends() {
    let mut fixture = Fixture::new(2);
    let section = fixture.submit("faultSlowChunks", 20_000.0);
    while fixture.pool.figures().workers.iter().filter(|worker| worker.busy).count() < 2 {
        std::thread::yield_now();
    }
    let (echo, submitted) = (fixture.next, Instant::now());
    fixture.submit("faultEcho", 5.0);
    assert!(matches!(fixture.next_event(), Event::Settled { ticket, .. } if ticket == echo));
    assert!(submitted.elapsed() < Duration::from_secs(3 * SLOWNESS), "it was kept waiting");
    let cancelled = Instant::now();
    assert!(fixture.pool.cancel(section), "it runs on");
    while !matches!(fixture.next_event(), Event::Released { .. }) {}
    assert!(cancelled.elapsed() < Duration::from_secs(3 * SLOWNESS), "chunks were begun after that");
    fixture.close();
}

#[test]
fn a_cancelled_section_begins_no_more_chunks_whoever_works_on_it() {
    let mut fixture = Fixture::new(2);
    let section = fixture.submit("faultSlowChunks", 20_000.0);
    while fixture.pool.figures().workers.iter().filter(|worker| worker.busy).count() < 2 {
        std::thread::yield_now();
    }
    let cancelled = Instant::now();
    assert!(fixture.pool.cancel(section));
    while !matches!(fixture.next_event(), Event::Released { .. }) {}
    assert!(cancelled.elapsed() < Duration::from_secs(3 * SLOWNESS), "chunks were begun after that");
    fixture.close();
}

#[test]
fn a_worker_that_takes_no_more_tasks_helps_nobody() {
    let mut fixture = Fixture::new(3);
    let gates = [fixture.occupy(), fixture.occupy(), fixture.occupy()];
    let on = |index| *gates.iter().find(|gate| fixture.pool.worker_of(**gate) == Some(index)).unwrap();
    let [first, second, third] = [on(0), on(1), on(2)];
    fixture.pool.resize(2);
    assert!(fixture.pool.cancel(first));
    let section = fixture.submit("faultSlowChunks", 200.0);
    while fixture.pool.worker_of(section).is_none() {
        std::thread::yield_now();
    }
    assert!(fixture.pool.cancel(third));
    while fixture.pool.worker_of(section).is_some() {
        std::thread::yield_now();
    }
    fixture.pool.resize(3);
    assert_eq!(fixture.pool.figures().workers[2].helped, 0);
    assert!(fixture.pool.cancel(second));
    fixture.outcomes(4);
    fixture.close();
}

#[test]
fn progress_is_told_seldom_and_nothing_of_a_task_that_was_given_up() {
    let mut fixture = Fixture::new(1);
    let cell = Cell::new();
    let label = super::Label { ticket: 3, sink: 0, kernel: 0, in_place: false };
    let mut job = fixture.request("faultEcho", 1.0, TaskSpec::plain(Lane::Native)).job;
    job.ticket = 3;
    cell.put(9, label, job);
    assert!(cell.begin(0).is_some());
    let host = super::host::NativeHost {
        pool: &fixture.pool,
        worker: 0,
        cell: &cell,
        sink: &fixture.sink,
        ticket: 3,
        reported: crate::sync::AtomicU64::new(clock::now() + 3_600_000_000_000),
    };
    host.progress(1.0, 2.0);
    assert!(fixture.events.is_empty(), "not in the first 50 ms");
    host.reported.store(0, crate::sync::Ordering::Relaxed);
    while clock::now() < 100_000_000 {
        std::thread::yield_now();
    }
    host.progress(1.0, 2.0);
    assert!(matches!(fixture.next_event(), Event::Progress { ticket: 3, worker: 0, done: 1.0, total: 2.0 }));
    assert!(host.reported.load(crate::sync::Ordering::Relaxed) > 0);
    host.post("kept", Value::Null);
    assert!(matches!(fixture.next_event(), Event::Message { ticket: 3, .. }));
    assert!(cell.abandon(9).is_some());
    host.reported.store(0, crate::sync::Ordering::Relaxed);
    host.progress(1.0, 2.0);
    host.post("dropped", Value::Null);
    assert!(fixture.events.is_empty());
    fixture.close();
}

#[test]
fn an_alarm_that_was_overtaken_does_nothing() {
    let mut fixture = Fixture::new(1);
    let gate = fixture.occupy();
    let deadline = Some(Time(clock::now() + 3_600_000_000_000));
    let id = fixture.submit_with("faultEcho", 0.0, TaskSpec { deadline, ..TaskSpec::plain(Lane::Native) });
    assert_eq!(fixture.pool.expire(clock::now()), None, "who comes then is asked for already");
    assert!(fixture.pool.cancel(id.unwrap()) && fixture.pool.cancel(gate));
    fixture.close();
}

#[test]
fn a_recording_tells_what_was_given_up_and_what_was_stolen() {
    let mut fixture = Fixture::new(1);
    fixture.pool.start_trace(64);
    let _bells = (fixture.js_worker(0), fixture.js_worker(1));
    let affinity = Affinity::Worker { index: 0, strength: Strength::Light };
    let light = || TaskSpec { affinity, ..js::js_task() };
    let first = fixture.submit_entry(1.0, light()).unwrap();
    let (_, tasks) = fixture.js_turn(0);
    fixture.submit_entry(2.0, light());
    fixture.run_next(1);
    assert!(fixture.pool.cancel(first));
    assert!(!fixture.answer(0, &tasks[0]));
    let recording = fixture.pool.read_trace();
    let kinds: Vec<u32> = recording.words.chunks(8).map(|record| record[4] & 0xffff).collect();
    let count = |kind: u32, how: u32| kinds.iter().filter(|known| **known == (kind | how << 8)).count();
    assert_eq!(
        (count(3, 0), count(2, 0), count(2, 2)),
        (1, 1, 1),
        "a steal, an end, one of what was given up"
    );
    fixture.outcomes(2);
    fixture.close();
}
