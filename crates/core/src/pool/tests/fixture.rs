//! A pool with one sink, whose events this thread reads.

use super::super::{ENTRY, Job, NO_EXPORT, Payload, PlainJob, Pool, PoolOptions, Request, Sizing, clock};
use crate::completion::{CompletionSink, Event, Outcome};
use crate::kernels;
use crate::scheduler::{Affinity, Lane, Schedule, Strength, TaskId, TaskSpec};
use crate::sync::Mutex;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How much longer what has to come in time takes under Miri.
pub(super) const SLOWNESS: u64 = if cfg!(miri) { 100 } else { 1 };

/// Events on a channel, ids by ticket.
pub(super) struct Channel(pub(super) Sender<Event>, pub(super) Arc<Mutex<HashMap<u32, TaskId>>>);

impl CompletionSink for Channel {
    fn deliver(&self, event: Event) {
        // A test that has ended no longer listens.
        let _ = self.0.send(event);
    }

    fn admitted(&self, ticket: u32, id: TaskId) {
        self.1.lock().insert(ticket, id);
    }
}

pub(super) struct Fixture {
    pub(super) pool: Arc<Pool>,
    pub(super) sink: Arc<dyn CompletionSink>,
    pub(super) number: u16,
    pub(super) events: Receiver<Event>,
    pub(super) ids: Arc<Mutex<HashMap<u32, TaskId>>>,
    pub(super) next: u32,
}

impl Fixture {
    pub(super) fn new(threads: u32) -> Self {
        Self::with_capacity(threads, usize::MAX)
    }

    pub(super) fn with_capacity(threads: u32, capacity: usize) -> Self {
        Self::with(threads, |options| options.capacity = capacity)
    }

    pub(super) fn with(threads: u32, change: impl FnOnce(&mut PoolOptions)) -> Self {
        let mut options = PoolOptions {
            name: "test".to_owned(),
            sizing: Sizing::new(Some(threads)),
            capacity: usize::MAX,
            schedule: Schedule::Fifo,
            pin: None,
            nice: None,
            trims: true,
            worker_concurrency: 1,
            eager: true,
            recycle_tasks: 0,
        };
        change(&mut options);
        let pool = Pool::new(options);
        let (sender, events) = unbounded();
        let ids: Arc<Mutex<HashMap<u32, TaskId>>> = Arc::default();
        let sink: Arc<dyn CompletionSink> = Arc::new(Channel(sender, ids.clone()));
        let number = pool.attach(&sink);
        assert_eq!(pool.attach(&sink), number, "the same sink keeps its number");
        Self { pool, sink, number, events, ids, next: 0 }
    }

    pub(super) fn request(&mut self, kernel: &str, input: f64, spec: TaskSpec) -> Request {
        let (kernel, _) = kernels::find(kernel).unwrap();
        self.next += 1;
        let job = Job {
            kernel: kernel as u16,
            sink: self.number,
            ticket: self.next - 1,
            codec: 0,
            in_place: false,
            is_private: false,
            deadline_from_start: spec.deadline_from_start.is_some(),
            submitted: clock::now(),
            input: Payload::Number(input),
            export: NO_EXPORT,
            options: None,
            policy: None,
        };
        Request { spec, cost_key: None, job }
    }

    pub(super) fn submit_with(&mut self, kernel: &str, input: f64, spec: TaskSpec) -> Option<TaskId> {
        let request = self.request(kernel, input, spec);
        let ticket = request.job.ticket;
        self.pool.submit([request].into_iter());
        self.ids.lock().get(&ticket).copied()
    }

    pub(super) fn submit(&mut self, kernel: &str, input: f64) -> TaskId {
        self.submit_with(kernel, input, TaskSpec::plain(Lane::Native)).expect("admitted")
    }

    /// Posts `inputs` as a batch; the tickets count on.
    pub(super) fn post(&mut self, kernel: &str, inputs: &[f64]) -> bool {
        let (kernel, _) = kernels::find(kernel).unwrap();
        self.post_to(Lane::Native, kernel as u16, inputs, None)
    }

    /// As `post`, for the entry function.
    pub(super) fn post_entries(&mut self, inputs: &[f64]) -> bool {
        self.post_to(Lane::Js, ENTRY, inputs, None)
    }

    /// As `post_entries`, to be done within `limit`.
    pub(super) fn post_entries_within(&mut self, limit: Duration, inputs: &[f64]) -> bool {
        self.post_to(Lane::Js, ENTRY, inputs, Some(limit))
    }

    fn post_to(&mut self, lane: Lane, kernel: u16, inputs: &[f64], limit: Option<Duration>) -> bool {
        let (first, sink, submitted) = (self.next, self.number, clock::now());
        let deadline = limit.map_or(0, |limit| submitted + limit.as_nanos() as u64);
        let batch: Vec<_> = inputs
            .iter()
            .zip(first..)
            .map(|(input, ticket)| PlainJob {
                ticket,
                kernel,
                sink,
                input: Payload::Number(*input),
                codec: 0,
                priority: 0.0,
                submitted,
                export: NO_EXPORT,
                deadline,
            })
            .collect();
        let posted = self.pool.post(lane, batch.into_iter());
        if posted {
            self.next += inputs.len() as u32;
        }
        posted
    }

    pub(super) fn next_event(&self) -> Event {
        self.events.recv_timeout(Duration::from_mins(1)).expect("an event within a minute")
    }

    /// Outcomes by ticket, until `count` tasks are settled. No ticket may be settled twice.
    pub(super) fn outcomes(&self, count: usize) -> HashMap<u32, Outcome> {
        let mut outcomes = HashMap::new();
        while outcomes.len() < count {
            if let Event::Settled { ticket, outcome, .. } = self.next_event() {
                assert!(outcomes.insert(ticket, outcome).is_none(), "ticket {ticket} settled twice");
            }
        }
        outcomes
    }

    pub(super) fn close(self) {
        self.pool.close(&self.sink);
        while !matches!(self.next_event(), Event::Closed { .. }) {}
        assert_eq!(self.pool.state.lock().threads, 0);
    }

    /// Runs a kernel that waits for its cancellation, and returns when it has begun.
    pub(super) fn occupy(&mut self) -> TaskId {
        let id = self.submit("faultWait", 0.0);
        while self.pool.worker_of(id).is_none() {
            std::thread::yield_now();
        }
        id
    }
}

pub(super) fn number(outcome: &Outcome) -> f64 {
    match outcome {
        Outcome::Ok(value) => value.as_number().expect("a number"),
        other => panic!("no output: {other:?}"),
    }
}

/// A task of that lane for one worker and no other.
pub(super) fn forced(lane: Lane, index: u32) -> TaskSpec {
    TaskSpec { affinity: Affinity::Worker { index, strength: Strength::Force }, ..TaskSpec::plain(lane) }
}
