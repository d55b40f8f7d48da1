//! Stage: complete. Thread: any; the timer's for what has expired.
//! Tasks that end before their work does: cancelled, or past their deadline.

use super::cell::Cell;
use super::job::Job;
use super::{Pool, State, Topic, clock, js, timer};
use crate::completion::{Event, Outcome};
use crate::scheduler::{Cancelled, Expired, Lane, TaskId, Time, WorkerRef};
use std::sync::Arc;

impl Pool {
    /// Gives a task up: a waiting one never runs, a running one is settled now and told to stop. Returns whether this
    /// call settled it, in which case `Settled` with [`Outcome::Cancelled`] has been delivered.
    pub fn cancel(self: &Arc<Self>, id: TaskId) -> bool {
        let mut wakes = Vec::new();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let cancelled = state.scheduler.cancel(id, Time(clock::now()), &mut self.claims(&mut state.js));
        // What waits behind a worker that has less to do now may be for others.
        state.scheduler.rebalance(&mut wakes);
        let won = match cancelled {
            Cancelled::Waiting(job) => {
                self.trace.recorder().cancel(id, job.kernel, None, &Outcome::Cancelled);
                self.settle(state, &job.label(), Outcome::Cancelled);
                true
            }
            Cancelled::Running(worker) => self.abandon(state, worker, id, Outcome::Cancelled, &mut wakes),
            Cancelled::Unknown => false,
        };
        // After it is settled: it may have been the last task of a pool that closes.
        self.unlock(guard, &mut wakes);
        won
    }

    /// Settles what is past its deadline, and lets go on what was set aside. Called by the timer; returns when to look again. `at` is the time that the
    /// caller was asked to come; a call that has been overtaken by an earlier one does nothing.
    pub(crate) fn expire(self: &Arc<Self>, at: u64) -> Option<u64> {
        let now = clock::now();
        let mut wakes = Vec::new();
        let mut expired = Vec::new();
        let mut state = self.state.lock();
        if !self.alarm.is_at(at) {
            return None;
        }
        state.granted(Topic::Timer);
        self.alarm.take_off();
        self.ingest_into(&mut state, &mut wakes);
        let State { scheduler, js, .. } = &mut *state;
        scheduler.expire(Time(now), &mut self.claims(js), &mut expired);
        for task in expired {
            match task {
                Expired::Waiting(id, job) => {
                    self.trace.recorder().cancel(id, job.kernel, None, &Outcome::Expired);
                    self.settle(&state, &job.label(), Outcome::Expired);
                }
                Expired::Running(id, worker) => {
                    self.abandon(&mut state, worker, id, Outcome::Expired, &mut wakes);
                }
            }
        }
        self.resume(&mut state, now, &mut wakes);
        state.scheduler.rebalance(&mut wakes);
        self.publish_and_look(&mut state, &mut wakes);
        let next = self.earlier_alarm(&state);
        drop(state);
        self.wake(&mut wakes);
        next
    }

    /// A task whose deadline counts from its start has begun.
    pub(crate) fn began(self: &Arc<Self>, id: u64, now: u64) {
        let mut state = self.state.lock();
        state.scheduler.began(TaskId::from_bits(id), Time(now));
        let alarm = self.earlier_alarm(&state);
        drop(state);
        self.start_alarm(alarm);
    }

    /// When the timer has to come, if that is earlier than what it has been asked for. Under the lock; after it
    /// [`Pool::start_alarm`] follows.
    pub(super) fn earlier_alarm(&self, state: &State) -> Option<u64> {
        let Time(at) = state.next_alarm()?;
        self.alarm.advance(at).then_some(at)
    }

    /// An abandoned task has stopped.
    pub(crate) fn release(&self, cell: &Cell<Job>) {
        let state = self.state.lock();
        cell.release();
        drop(state);
        self.released.notify_all();
    }

    /// Settles a running task early. The lock must be held, so that the cell cannot get another task meanwhile.
    pub(super) fn abandon(
        &self,
        locked: &mut State,
        worker: WorkerRef,
        id: TaskId,
        outcome: Outcome,
        wakes: &mut Vec<WorkerRef>,
    ) -> bool {
        if worker.lane != Lane::Native {
            return self.js_give_up(locked, js::index_of(worker), id, outcome, wakes);
        }
        let Some(cell) = self.slots[worker.index as usize].find(id.to_bits()) else { return false };
        let label = cell.label();
        let Some(started) = cell.abandon(id.to_bits()) else { return false };
        self.trace.recorder().cancel(id, label.kernel, Some(worker), &outcome);
        self.note_settled();
        let (ticket, worker) = (label.ticket, worker.index);
        let run_time = clock::now().saturating_sub(started);
        self.sink(label.sink).deliver(Event::Settled { ticket, outcome, worker, run_time, held: true });
        true
    }

    pub(super) fn start_alarm(self: &Arc<Self>, alarm: Option<u64>) {
        let Some(at) = alarm else { return };
        if !timer::schedule(self, at) {
            // The next deadline tries again.
            let state = self.state.lock();
            self.alarm.take_off();
            drop(state);
            self.note(
                Topic::Timer,
                "the timer thread could not be started; deadlines are not kept".to_owned(),
            );
        }
    }
}
