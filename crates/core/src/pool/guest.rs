//! Stage: submit and complete. Thread: any.
//! Envs that submit to a pool without owning it: its JS workers. Their tasks are counted here, where what came and what
//! ended is known also when such an env ends before it could tell.
//!
//! H1. Each task of a guest that got in is counted once as completed or errored: when it is settled, or, as errored, when
//!     its env ends before. One that was refused is counted nowhere.
//! H2. The number of a guest that has gone is given out again when nothing with that number is left in the pool.

use super::Pool;
use crate::completion::{Answer, CompletionSink, Event, Outcome};
use crate::scheduler::TaskId;
use crate::sync::{AtomicU64, Mutex, Ordering};
use std::sync::Arc;

/// Tasks of all guests of a pool.
#[derive(Default)]
pub(super) struct Totals {
    completed: AtomicU64,
    errored: AtomicU64,
}

impl Totals {
    pub(super) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    pub(super) fn errored(&self) -> u64 {
        self.errored.load(Ordering::Relaxed)
    }
}

/// Stands before the sink of a guest, and goes on when that has gone. Native workers keep it by its number.
pub(super) struct Guest {
    totals: Arc<Totals>,
    visit: Mutex<Visit>,
}

struct Visit {
    /// `None` once its env has ended.
    sink: Option<Arc<dyn CompletionSink>>,
    /// Tasks that got in and are not settled.
    open: u64,
    /// Tasks that were settled while they ran and have not been released. Below 0 when that was told first.
    held: i64,
}

impl Guest {
    fn new(totals: &Arc<Totals>, sink: &Arc<dyn CompletionSink>) -> Self {
        let visit = Visit { sink: Some(sink.clone()), open: 0, held: 0 };
        Self { totals: totals.clone(), visit: Mutex::new(visit) }
    }

    fn is(&self, sink: &Arc<dyn CompletionSink>) -> bool {
        self.visit.lock().sink.as_ref().is_some_and(|known| same(known, sink))
    }

    /// Lets another guest have the number, if this one has gone and nothing of it is left.
    fn take_over(&self, sink: &Arc<dyn CompletionSink>) -> bool {
        let mut visit = self.visit.lock();
        let free = visit.sink.is_none() && visit.open == 0 && visit.held == 0;
        if free {
            visit.sink = Some(sink.clone());
        }
        free
    }

    fn leave(&self) {
        let mut visit = self.visit.lock();
        if visit.sink.take().is_some() {
            self.totals.errored.fetch_add(visit.open, Ordering::Relaxed);
        }
    }

    fn settled(&self, succeeded: bool, held: bool) -> Option<Arc<dyn CompletionSink>> {
        let mut visit = self.visit.lock();
        visit.open -= 1;
        visit.held += i64::from(held);
        if visit.sink.is_some() {
            let count = if succeeded { &self.totals.completed } else { &self.totals.errored };
            count.fetch_add(1, Ordering::Relaxed);
        }
        visit.sink.clone()
    }

    fn has_open(&self) -> bool {
        self.visit.lock().open > 0
    }

    fn sink(&self) -> Option<Arc<dyn CompletionSink>> {
        self.visit.lock().sink.clone()
    }
}

fn same(a: &Arc<dyn CompletionSink>, b: &Arc<dyn CompletionSink>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

fn succeeded(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok(_) => true,
        Outcome::Answer(answer) => !answer.failed,
        _ => false,
    }
}

impl CompletionSink for Guest {
    fn deliver(&self, event: Event) {
        let sink = match &event {
            Event::Settled { outcome, held, .. } => self.settled(succeeded(outcome), *held),
            Event::Released { .. } => {
                let mut visit = self.visit.lock();
                visit.held -= 1;
                visit.sink.clone()
            }
            _ => self.sink(),
        };
        if let Some(sink) = sink {
            sink.deliver(event);
        }
    }

    fn number(&self, ticket: u32, number: f64, worker: u32, run_time: u64) {
        if let Some(sink) = self.settled(true, false) {
            sink.number(ticket, number, worker, run_time);
        }
    }

    fn number_unrung(&self, ticket: u32, number: f64, worker: u32, run_time: u64) -> bool {
        let sink = self.settled(true, false);
        sink.is_some_and(|sink| sink.number_unrung(ticket, number, worker, run_time))
    }

    fn answer_unrung(&self, ticket: u32, answer: Answer, worker: u32, run_time: u64) -> bool {
        let sink = self.settled(!answer.failed, false);
        sink.is_some_and(|sink| sink.answer_unrung(ticket, answer, worker, run_time))
    }

    fn ring(&self) {
        if let Some(sink) = self.sink() {
            sink.ring();
        }
    }

    fn is_behind(&self) -> bool {
        self.sink().is_some_and(|sink| sink.is_behind())
    }

    fn refused(&self, event: Event) {
        if let Some(sink) = self.sink() {
            sink.refused(event);
        }
    }

    fn admitted(&self, ticket: u32, id: TaskId) {
        let mut visit = self.visit.lock();
        visit.open += 1;
        let sink = visit.sink.clone();
        drop(visit);
        if let Some(sink) = sink {
            sink.admitted(ticket, id);
        }
    }
}

impl Pool {
    /// The sink with this number.
    pub(super) fn sink(&self, number: u16) -> Arc<dyn CompletionSink> {
        self.sinks.lock()[usize::from(number)].clone()
    }

    /// Makes `sink` known; jobs name it by the number returned. The same sink keeps its number. The first one is the
    /// owner's, the others are guests.
    pub fn attach(&self, sink: &Arc<dyn CompletionSink>) -> u16 {
        let mut sinks = self.sinks.lock();
        let Some(owner) = sinks.first() else {
            sinks.push(sink.clone());
            return 0;
        };
        if same(owner, sink) {
            return 0;
        }
        let mut guests = self.guests.lock();
        let found = guests.iter().position(|guest| guest.is(sink));
        let found = found.or_else(|| guests.iter().position(|guest| guest.take_over(sink)));
        let at = found.unwrap_or_else(|| {
            let guest = Arc::new(Guest::new(&self.guest_totals, sink));
            guests.push(guest.clone());
            sinks.push(guest);
            guests.len() - 1
        });
        (at + 1) as u16
    }

    fn guest(&self, sink: u16) -> Option<Arc<Guest>> {
        usize::from(sink).checked_sub(1).and_then(|at| self.guests.lock().get(at).cloned())
    }

    /// Whether somebody hears what that sink is told.
    pub(super) fn is_there(&self, sink: u16) -> bool {
        self.guest(sink).is_none_or(|guest| guest.sink().is_some())
    }

    /// Whether tasks of that sink, a guest, got in and are not settled.
    pub(super) fn has_open(&self, sink: u16) -> bool {
        self.guest(sink).is_some_and(|guest| guest.has_open())
    }

    /// The env of that sink, a guest, is going away: its tasks that wait are dropped, kernels are given up, and nobody hears
    /// of the others. None of them runs again. Returns only when no kernel touches memory of the env any more.
    pub fn guest_left(self: &Arc<Self>, sink: u16) {
        let Some(guest) = self.guest(sink) else { return };
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.ingest_into(&mut state, &mut wakes);
        self.drop_waiting(&mut state, sink);
        self.give_up_kernels_of(&mut state, sink, &mut wakes);
        // Under the same lock: no run that fails meanwhile is repeated.
        guest.leave();
        self.unlock(state, &mut wakes);
        self.await_memory(|label| label.sink == sink);
    }
}
