//! Stage: submit. Thread: the submitting env; workers ingest.
//! The ways into a pool: posting a batch to the inbox, or submitting it to the scheduler.

use super::{
    Arc, ErrorCode, Event, Inbox, Lane, NO_WORKER, Ordering, Outcome, PlainJob, Pool, Posted, Request, State,
    TaskSpec, Time, WorkerRef, clock,
};

/// Room for jobs that an inbox keeps. A burst that was greater gives its memory back as soon as it is scheduled.
const KEPT: usize = 4096;

impl Pool {
    /// Leaves a batch for the next worker to schedule: a fraction of the submitter's time that [`Pool::submit`] takes,
    /// worth it from some ten jobs on. Admits the whole batch, or nothing and gives `false`, when the pool is closed or
    /// has no room for it; `submit` then tells which tasks are refused and why. All of it is for that lane.
    #[must_use]
    pub fn post(self: &Arc<Self>, lane: Lane, batch: impl ExactSizeIterator<Item = PlainJob>) -> bool {
        let count = batch.len();
        if self.reserve(count, true) < count {
            return false;
        }
        let inbox = self.inbox(lane);
        let mut earliest = u64::MAX;
        #[expect(clippy::manual_inspect, reason = "`inspect` hides from `extend` how many there are")]
        let batch = batch.map(|job| {
            if job.deadline != 0 {
                earliest = earliest.min(job.deadline);
            }
            job
        });
        match inbox.post(batch) {
            Posted::Left => {
                // Nobody else need come by in time.
                if self.alarm.misses(earliest) {
                    self.ingest();
                }
                true
            }
            Posted::Call => {
                let mut wakes = Vec::new();
                let mut state = self.state.lock();
                if inbox.is_waiting() {
                    state.scheduler.wake_idle(lane, 1, &mut wakes);
                }
                if earliest != u64::MAX {
                    self.ingest_into(&mut state, &mut wakes);
                }
                self.unlock(state, &mut wakes);
                true
            }
            Posted::Closed => {
                self.open.fetch_sub(count, Ordering::Relaxed);
                false
            }
        }
    }

    /// Counts up to `count` tasks as unfinished, as many as there is room for, or with `whole` all or none.
    pub(super) fn reserve(&self, count: usize, whole: bool) -> usize {
        let mut granted = 0;
        // Settled ones only grow in number, so there is at least this much room.
        let settled = self.settled_by_workers();
        let grant = |open: usize| {
            let room = self.capacity.saturating_sub(open - settled);
            granted = if count <= room {
                count
            } else if whole {
                0
            } else {
                room
            };
            Some(open + granted)
        };
        // The closure never declines.
        let _ = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant);
        granted
    }

    pub(super) fn settled_by_workers(&self) -> usize {
        self.slots.iter().map(|slot| slot.counters.settled()).sum::<u64>() as usize
    }

    /// Tasks posted or admitted, and not settled. Never too few.
    pub(super) fn unfinished(&self) -> usize {
        // In this order: a task is counted in `open` before it can be settled.
        let settled = self.settled_by_workers();
        self.open.load(Ordering::Relaxed) - settled
    }

    /// Puts what was posted into the scheduler.
    pub fn ingest(self: &Arc<Self>) {
        if self.has_posted() {
            let mut wakes = Vec::new();
            let mut state = self.state.lock();
            self.ingest_into(&mut state, &mut wakes);
            self.unlock(state, &mut wakes);
        }
    }

    /// As [`Pool::ingest`], and waits for a worker that has just taken what was posted and is putting it there.
    pub fn ingest_wholly(self: &Arc<Self>) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.ingest_into(&mut state, &mut wakes);
        self.unlock(state, &mut wakes);
    }

    /// As [`Pool::ingest`], under the lock.
    pub(super) fn ingest_into(&self, state: &mut State, wakes: &mut Vec<WorkerRef>) {
        for inbox in &self.inboxes {
            if inbox.is_waiting() {
                self.ingest_from(inbox, state, wakes);
            }
        }
    }

    fn ingest_from(&self, inbox: &Inbox, state: &mut State, wakes: &mut Vec<WorkerRef>) {
        let mut posted = std::mem::take(&mut state.posted);
        inbox.take(&mut posted);
        let (recorder, now) = self.admitting();
        let sinks = self.sinks.lock();
        for plain in posted.drain(..) {
            let spec = TaskSpec {
                priority: plain.priority,
                key: Some(state.kernel_key(plain.kernel)),
                deadline: (plain.deadline != 0).then_some(Time(plain.deadline)),
                ..TaskSpec::plain(plain.lane())
            };
            let (ticket, sink, submitted) = (plain.ticket, usize::from(plain.sink), Time(plain.submitted));
            let what = (plain.kernel, plain.sink);
            let claims = &mut self.claims(&mut state.js);
            let admitted = state.scheduler.submit_with(spec, || plain.into(), submitted, claims, wakes);
            let id = admitted.expect("free tasks are admitted by a scheduler that is open and unlimited");
            sinks[sink].admitted(ticket, id);
            recorder.submit(id, what, submitted.0, now);
            state.admitted += 1;
        }
        posted.shrink_to(KEPT);
        state.posted = posted;
        drop(sinks);
        self.rejoin_unstarted(state, wakes);
    }

    /// Admits a batch under one lock, in order. Sinks are told the id of each task that got in; the others are settled
    /// at once with the reason.
    pub fn submit(self: &Arc<Self>, requests: impl ExactSizeIterator<Item = Request>) {
        let now = clock::now();
        let recorder = self.trace.recorder();
        let (mut wakes, mut refused) = (Vec::new(), Vec::new());
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.ingest_into(state, &mut wakes);
        // Before the unlock: nobody can take, and so settle, one of them earlier.
        let room = self.reserve(requests.len(), false);
        let sinks = self.sinks.lock();
        let mut count = 0;
        for Request { mut spec, cost_key, job } in requests {
            let (ticket, sink, kernel, submitted) = (job.ticket, job.sink, job.kernel, job.submitted);
            let reason = if state.closed {
                (ErrorCode::PoolClosed, "the pool is closed")
            } else if count >= room {
                (ErrorCode::QueueFull, "the pool's capacity is reached")
            } else {
                spec.key = match cost_key {
                    Some(name) => Some(state.scheduler.costs.key(&name)),
                    // What is known of all tasks says less than what is said of this one.
                    None if spec.estimate.is_some() => None,
                    None => Some(state.kernel_key(job.kernel)),
                };
                let claims = &mut self.claims(&mut state.js);
                match state.scheduler.submit(spec, job, Time(now), claims, &mut wakes) {
                    Ok(id) => {
                        count += 1;
                        sinks[usize::from(sink)].admitted(ticket, id);
                        recorder.submit(id, (kernel, sink), submitted, now);
                        continue;
                    }
                    Err(_) => (ErrorCode::OutOfRange, "no worker has this index"),
                }
            };
            refused.push((sink, ticket, reason));
        }
        self.open.fetch_sub(room - count, Ordering::Relaxed);
        state.admitted += count as u64;
        drop(sinks);
        self.rejoin_unstarted(state, &mut wakes);
        self.unlock(guard, &mut wakes);
        for (sink, ticket, (code, message)) in refused {
            self.settle_one(sink, ticket, Outcome::refused(code, message));
        }
    }

    /// Settles a task that never got in.
    pub(super) fn settle_one(&self, sink: u16, ticket: u32, outcome: Outcome) {
        self.sink(sink).refused(Event::Settled {
            ticket,
            outcome,
            worker: NO_WORKER,
            run_time: 0,
            held: false,
        });
    }
}
