//! Stage: run. Thread: whoever wakes a worker; the worker itself.
//! Threads of native workers: started with the first task that needs them, woken, ended (N3 in the module above).

use super::cpu::CpuClock;
use super::{
    Arc, ErrorCode, Event, Job, Lane, LeaveReport, Outcome, Pool, State, Time, Topic, WorkerRef, clock, js,
    native, placement, timer, worker,
};

/// How long a worker whose thread the system has refused is left alone, ns, while others work.
const LAUNCH_PAUSE: u64 = 1_000_000_000;

impl Pool {
    /// Unparks or launches the workers that the scheduler named.
    pub(super) fn wake(self: &Arc<Self>, wakes: &mut Vec<WorkerRef>) {
        let mut failed = Vec::new();
        // Tasks of a worker that could not be started may call for others.
        while let Some(worker) = wakes.pop() {
            if worker.lane != Lane::Native {
                self.trace.recorder().wake(worker);
                self.js_wake(js::index_of(worker));
                continue;
            }
            let slot = &self.slots[worker.index as usize];
            if slot.started() {
                slot.parker.unpark();
            } else if let Err(error) = self.launch(worker.index) {
                failed.push(worker);
                self.launch_failed(worker, &error, wakes);
            }
        }
        if !failed.is_empty() {
            self.rejoin(&failed);
            let alarm = self.earlier_alarm(&self.state.lock());
            self.start_alarm(alarm);
        }
    }

    pub(super) fn unpark_all(&self) {
        self.slots.iter().filter(|slot| slot.started()).for_each(|slot| slot.parker.unpark());
    }

    /// Starts the thread of a worker. The scheduler names an unlaunched worker once, so this runs once per worker.
    pub(super) fn launch(self: &Arc<Self>, index: u32) -> std::io::Result<()> {
        let mut state = self.state.lock();
        let slot = &self.slots[index as usize];
        if slot.started() {
            slot.parker.unpark();
            return Ok(());
        }
        timer::start()?;
        let pool = self.clone();
        std::thread::Builder::new()
            .name(format!("threadmill-{}-{index}", self.name))
            .spawn(move || pool.thread(index))?;
        slot.cells();
        state.threads += 1;
        state.granted(Topic::Worker(index));
        state.scheduler.set_launched(native(index));
        Ok(())
    }

    /// The system refuses another thread: what waits for that worker goes to the others.
    pub(super) fn launch_failed(
        &self,
        worker: WorkerRef,
        error: &std::io::Error,
        wakes: &mut Vec<WorkerRef>,
    ) {
        let note = format!("worker {} could not be started: {error}", worker.index);
        self.note(Topic::Worker(worker.index), note);
        let mut report = LeaveReport::default();
        let mut state = self.state.lock();
        // What it was woken for, perhaps: others are called for it then.
        self.ingest_into(&mut state, wakes);
        let State { scheduler, js, .. } = &mut *state;
        scheduler.leave(worker, false, &mut self.claims(js), Time(clock::now()), &mut report, wakes);
        for (_, job) in report.orphaned {
            let reason = format!("the native worker of the task could not be started: {error}");
            self.settle(&state, &job.label(), Outcome::refused(ErrorCode::System, &reason));
        }
        self.publish(&mut state);
    }

    /// Lets workers that could not be started try again with a later task. Without any thread, what waits is refused.
    pub(super) fn rejoin(&self, failed: &[WorkerRef]) {
        let mut state = self.state.lock();
        if state.threads == 0 {
            let mut waiting = Vec::new();
            // Nobody is left to be woken for it.
            self.ingest_into(&mut state, &mut Vec::new());
            let wanted = |lane, _: Option<&Job>| lane == Lane::Native;
            let State { scheduler, js, .. } = &mut *state;
            let now = Time(clock::now());
            scheduler.reject_waiting(&wanted, now, &mut self.claims(js), &mut waiting);
            for (_, job) in waiting {
                let reason = Outcome::refused(ErrorCode::System, "no native worker could be started");
                self.settle(&state, &job.label(), reason);
            }
            let mut wakes = Vec::new();
            for worker in failed {
                state.scheduler.join(*worker, false, &mut wakes);
            }
            debug_assert!(wakes.is_empty(), "nothing waits");
        } else {
            // The others have the tasks meanwhile: to be refused again for each of them would only take time.
            state.unstarted.extend(failed.iter().map(|worker| worker.index));
            state.launch_again = clock::now() + LAUNCH_PAUSE;
        }
        self.publish(&mut state);
        let ended = state.threads == 0 && self.is_finished(&state);
        let listeners = if ended { std::mem::take(&mut state.listeners) } else { Vec::new() };
        drop(state);
        for listener in listeners {
            listener.deliver(Event::Closed { pool: self.id });
        }
    }

    /// Tasks have come: workers that could not be started may be by now.
    pub(super) fn rejoin_unstarted(&self, state: &mut State, wakes: &mut Vec<WorkerRef>) {
        if state.unstarted.is_empty() || state.closed || clock::now() < state.launch_again {
            return;
        }
        let active = self.active_threads();
        for index in std::mem::take(&mut state.unstarted) {
            // The pool may have been made smaller meanwhile; a growing one asks again by itself.
            if index < active {
                state.scheduler.join(native(index), false, wakes);
            }
        }
    }

    /// Body of a worker's thread.
    pub(super) fn thread(self: Arc<Self>, index: u32) {
        for note in placement::apply(self.pin.as_ref(), self.nice, index) {
            self.note(Topic::Setting, note);
        }
        if let Some(clock) = CpuClock::of_this_thread() {
            let _ = self.slots[index as usize].cpu.set(clock);
        }
        worker::run(&self, index);
        let mut state = self.state.lock();
        state.threads -= 1;
        let listeners = if state.threads == 0 { std::mem::take(&mut state.listeners) } else { Vec::new() };
        drop(state);
        // The others may be parked, and have nothing left to wait for.
        self.unpark_all();
        for listener in listeners {
            listener.deliver(Event::Closed { pool: self.id });
        }
    }
}
