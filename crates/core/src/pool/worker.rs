//! Stage: run. Thread: one native worker each.
//! The loop: take, run, hand the outcome over, park when there is nothing.
//!
//! W1. An outcome is handed over before the next task begins.
//! W2. A panic ends its task and nothing else.
//! W3. A worker holds no lock while a kernel runs.

use super::cell::Cell;
use super::host::NativeHost;
use super::job::Job;
use super::lookout::BEFORE_PARKING;
use super::memory;
use super::parallel::Section;
use super::{Ended, Pool, TAKE_AHEAD, clock, native};
use crate::completion::{CompletionSink, Event, Outcome};
use crate::kernel::KernelContext;
use crate::kernels;
use crate::scheduler::{Taken, TaskId, Time, WorkerRef};
use crate::sync::AtomicU64;
use crate::trace::{How, Recorder};
use crate::unwind::guarded;
use crate::value::Value;
use std::sync::Arc;

/// What the locked part of a turn decided.
enum Turn {
    Run(usize),
    Help(Arc<Section>),
    Spin,
    Park,
    Exit,
}

/// Runs worker `index` of `pool` until the pool is closed and empty.
pub(super) fn run(pool: &Arc<Pool>, index: u32) {
    let mut worker = Worker {
        pool,
        index,
        cells: pool.slots[index as usize].cells(),
        ended: Vec::new(),
        taken: Vec::new(),
        wakes: Vec::new(),
        sinks: Vec::new(),
        alarm: None,
    };
    let mut spun = false;
    loop {
        let turn = worker.turn(spun);
        pool.wake(&mut worker.wakes);
        pool.start_alarm(worker.alarm.take());
        spun = false;
        match turn {
            Turn::Run(count) => worker.run(count),
            Turn::Help(section) => worker.help(&section),
            Turn::Spin => {
                worker.spin();
                spun = true;
            }
            Turn::Park => {
                pool.trace.recorder().park(native(index));
                let parker = &pool.slots[index as usize].parker;
                if !pool.memory.is_due() {
                    parker.park();
                } else if !parker.park_for(memory::REST) {
                    pool.rested();
                    parker.park();
                }
                pool.trace.recorder().wake(native(index));
            }
            Turn::Exit => break,
        }
    }
}

/// What becomes of a task that has run.
enum Next {
    /// It runs again.
    Repeat,
    Settle(Outcome),
    /// It was settled while it ran.
    Release(Outcome),
}

struct Worker<'a> {
    pool: &'a Arc<Pool>,
    index: u32,
    cells: &'a [Cell<Job>],
    /// Tasks that ended since the last turn; the scheduler is told at the next one.
    ended: Vec<Ended>,
    taken: Vec<Taken<Job>>,
    wakes: Vec<WorkerRef>,
    /// Sinks of the pool by number, copied here so that no lock is needed to hand an outcome over.
    sinks: Vec<Arc<dyn CompletionSink>>,
    /// When the timer has to come for what this worker has put into the scheduler.
    alarm: Option<u64>,
}

impl Worker<'_> {
    /// Everything that needs the pool's lock, once per turn.
    fn turn(&mut self, spun: bool) -> Turn {
        let now = clock::now();
        let mut state = self.pool.state.lock();
        state.report(self.index, &mut self.ended, now);
        self.pool.slots[self.index as usize].counters.tell();
        self.pool.ingest_into(&mut state, &mut self.wakes);
        let me = native(self.index);
        let recorder = self.pool.trace.recorder();
        self.pool.take(&recorder, &mut state, (me, TAKE_AHEAD, now), &mut self.taken, &mut self.wakes);
        drop(recorder);
        let turn = if !self.taken.is_empty() {
            let count = self.taken.len();
            for (cell, taken) in self.cells.iter().zip(self.taken.drain(..)) {
                cell.put(taken.id.to_bits(), taken.payload.label(), taken.payload);
            }
            Turn::Run(count)
        } else if Pool::is_active(&state, me)
            && let Some(section) = state.sections.iter().find(|section| section.wants_help()).cloned()
        {
            section.enter();
            state.scheduler.set_engaged(me, true, &mut self.wakes);
            Turn::Help(section)
        } else if self.pool.is_finished(&state) {
            Turn::Exit
        } else if spun && state.scheduler.park(me, Time(now)) {
            Turn::Park
        } else {
            Turn::Spin
        };
        // Who parks may be woken at once.
        self.pool.publish_and_look(&mut state, &mut self.wakes);
        self.alarm = self.pool.earlier_alarm(&state);
        turn
    }

    fn run(&mut self, count: usize) {
        let mut recorder = self.pool.trace.recorder();
        let mut now = clock::now();
        for cell in &self.cells[..count] {
            now = self.run_one(cell, now, &mut recorder);
        }
    }

    /// Runs the task in `cell` unless somebody took it back. Returns the time at its end.
    fn run_one(&mut self, cell: &Cell<Job>, started: u64, recorder: &mut Recorder) -> u64 {
        let Some(job) = cell.begin(started) else { return started };
        self.pool.trace.renew(recorder);
        recorder.start(cell.id(), job.kernel, native(self.index), started, 0);
        let (ticket, sink, kernel, submitted) = (job.ticket, job.sink as usize, job.kernel, job.submitted);
        if job.deadline_from_start {
            self.pool.began(cell.id(), started);
        }
        if sink >= self.sinks.len() {
            self.sinks.clone_from(&self.pool.sinks.lock());
        }
        let sink = &self.sinks[sink];
        let host = NativeHost {
            pool: self.pool,
            worker: self.index,
            cell,
            sink,
            ticket,
            reported: AtomicU64::new(started),
        };
        let copy = job.may_be_repeated(false).then(|| job.share_with(job.input.share()));
        self.pool.memory.note(job.input.own_bytes());
        let outcome = execute(kernel, job, &host);
        if let Outcome::Ok(output) = &outcome {
            self.pool.memory.note(output.own_bytes());
        }
        let now = clock::now();
        let (run_time, succeeded, ended) = (now - started, outcome.is_ok(), how(&outcome));
        let id = cell.id();
        let next = match copy.filter(|copy| repeats(copy, &outcome)) {
            Some(copy) => self.repeat(cell, copy, outcome, (now, run_time)),
            None if cell.finish() => Next::Settle(outcome),
            None => Next::Release(outcome),
        };
        self.pool.trace.renew(recorder);
        let ended = if matches!(next, Next::Release(_)) { How::GivenUp } else { ended };
        recorder.end(id, kernel, native(self.index), (started, now), ended);
        match next {
            Next::Repeat => return now,
            Next::Settle(outcome) => {
                let slot = &self.pool.slots[self.index as usize];
                slot.record(succeeded, run_time, started.saturating_sub(submitted));
                slot.settle();
                match outcome {
                    Outcome::Ok(Value::Number(number)) => sink.number(ticket, number, self.index, run_time),
                    outcome => {
                        let worker = self.index;
                        sink.deliver(Event::Settled { ticket, outcome, worker, run_time, held: false });
                    }
                }
            }
            Next::Release(outcome) => {
                // Somebody settled the task while it ran. Its memory is free once the output, if any, is gone.
                drop(outcome);
                self.pool.slots[self.index as usize].record(false, run_time, 0);
                self.pool.release(cell);
                sink.deliver(Event::Released { ticket, worker: self.index });
            }
        }
        let wait_time = started.saturating_sub(submitted);
        self.ended.push(Ended { id, run_time, wait_time, succeeded });
        now
    }

    /// Puts a task back whose run has failed, unless somebody settled it meanwhile. It is running until that is decided: who
    /// looks for it under the lock finds it here or in the queue.
    fn repeat(&self, cell: &Cell<Job>, copy: Job, outcome: Outcome, (now, run_time): (u64, u64)) -> Next {
        let (me, mut wakes) = (native(self.index), Vec::new());
        let mut state = self.pool.state.lock();
        let id = TaskId::from_bits(cell.id());
        if !cell.finish() {
            return Next::Release(outcome);
        }
        if let Err(outcome) =
            self.pool.repeat(&mut state, (me, self.index), id, copy, (outcome, run_time), (now, &mut wakes))
        {
            return Next::Settle(outcome);
        }
        self.pool.slots[self.index as usize].helped(0, run_time);
        self.pool.unlock(state, &mut wakes);
        Next::Repeat
    }

    /// Works on another task's section until its chunks are used up or tasks are waiting.
    fn help(&mut self, section: &Section) {
        let slot = &self.pool.slots[self.index as usize];
        let started = clock::now();
        let done = section.work(|| self.pool.has_waiting());
        section.exit();
        slot.helped(done as u64, clock::now() - started);
        let mut state = self.pool.state.lock();
        state.scheduler.set_engaged(native(self.index), false, &mut self.wakes);
        drop(state);
        self.pool.wake(&mut self.wakes);
    }

    /// Looks out for work for a moment, without the lock.
    fn spin(&self) {
        if self.pool.active_threads() == 1 && self.pool.sizing.affinity == 1 {
            return;
        }
        self.pool.lookout.look(BEFORE_PARKING, || self.pool.has_waiting());
    }
}

/// How a run ended that was not given up, for the record.
fn how(outcome: &Outcome) -> How {
    match outcome {
        Outcome::Ok(_) => How::Ok,
        Outcome::Panicked(_) => How::Crashed,
        _ => How::Failed,
    }
}

/// Whether a run with that outcome is followed by another.
fn repeats(job: &Job, outcome: &Outcome) -> bool {
    let crashed = match outcome {
        Outcome::Panicked(_) => true,
        Outcome::Error(_) => false,
        _ => return false,
    };
    job.repeats(crashed)
}

/// Runs the kernel; whatever it does becomes an outcome.
fn execute(kernel: u16, job: Job, host: &NativeHost<'_>) -> Outcome {
    let Some(kernel) = kernels::all().get(usize::from(kernel)) else {
        return Outcome::refused(crate::error::ErrorCode::UnknownKernel, "no kernel has this number");
    };
    match guarded(|| kernel.run(job.into_input(), &KernelContext::new(host))) {
        Ok(Ok(output)) => Outcome::Ok(output),
        Ok(Err(error)) => Outcome::Error(error),
        Err(message) => Outcome::Panicked(message),
    }
}
