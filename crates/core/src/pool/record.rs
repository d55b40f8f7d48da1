//! Stage: all. Thread: whoever sees it happen; the env that owns the pool begins and ends.
//! What a pool records of itself while somebody traces it; see `trace/mod.rs`.

use super::job::{Job, NO_EXPORT};
use super::js::Running;
use super::{Lane, Pool, State, TaskId, Time, WorkerRef, clock};
use crate::scheduler::Taken;
use crate::trace::{How, Recorder, Recording};
use crate::value::Value;

impl Pool {
    /// Begins to record, up to `capacity` records for each thread, a power of two. What was recorded before is gone.
    pub fn start_trace(&self, capacity: usize) {
        self.trace.start(capacity);
        // Waiting tasks that there are already.
        self.record_depth(&self.state.lock());
    }

    /// What has been recorded until now.
    pub fn read_trace(&self) -> Recording {
        self.trace.read()
    }

    /// Ends it, and lets go of what was recorded.
    pub fn stop_trace(&self) {
        self.trace.stop();
    }

    /// As [`crate::scheduler::Scheduler::take`].
    pub(super) fn take(
        &self,
        recorder: &Recorder,
        state: &mut State,
        (worker, max, now): (WorkerRef, usize, u64),
        taken: &mut Vec<Taken<Job>>,
        wakes: &mut Vec<WorkerRef>,
    ) {
        let (steals, first) = (state.scheduler.steals(), taken.len());
        state.scheduler.take(worker, max, Time(now), &mut self.claims(&mut state.js), taken, wakes);
        // A visit takes either what is its own or what is others'.
        let stolen = state.scheduler.steals() - steals;
        if stolen == 0 {
            return;
        }
        match worker.lane {
            Lane::Native => self.slots[worker.index as usize].stole(stolen),
            Lane::Js | Lane::Main => state.js_stole(worker, stolen),
        }
        if recorder.is_on() {
            taken[first..].iter().for_each(|task| recorder.steal(task.id, worker, now));
        }
    }

    /// For tasks that are put into the queue now.
    pub(super) fn admitting(&self) -> (Recorder, u64) {
        let recorder = self.trace.recorder();
        let now = if recorder.is_on() { clock::now() } else { 0 };
        (recorder, now)
    }

    /// A worker that is not a native one begins a task.
    pub(super) fn record_start(
        &self,
        recorder: &Recorder,
        worker: WorkerRef,
        id: TaskId,
        job: &Job,
        now: u64,
    ) {
        if recorder.is_on() {
            recorder.start(id.to_bits(), job.kernel, worker, now, self.name_of(job));
        }
    }

    /// The number of the name under which a task is shown; 0 for the one that all others have.
    fn name_of(&self, job: &Job) -> u64 {
        match job.options.as_deref() {
            Some(Value::String(sent)) => named(sent).map_or(0, |name| self.trace.name(name)),
            None if job.export != NO_EXPORT => self.trace.name(&format!("function {}", job.export)),
            _ => 0,
        }
    }

    /// How many tasks wait, where that has changed. Under the lock.
    pub(super) fn record_depth(&self, state: &State) {
        if self.trace.is_on()
            && let Some(queued) = self.new_depth(state)
        {
            self.trace.recorder().depth(queued, self.trace.in_order(clock::now()));
        }
    }

    /// The same, for who has a recorder and a time at hand.
    pub(super) fn record_depth_by(&self, recorder: &Recorder, state: &State, now: u64) {
        if recorder.is_on()
            && let Some(queued) = self.new_depth(state)
        {
            recorder.depth(queued, self.trace.in_order(now));
        }
    }

    fn new_depth(&self, state: &State) -> Option<[u64; 3]> {
        let queued = Lane::ALL.map(|lane| state.scheduler.queued(lane) as u64);
        // More than fits in so few bits is as good as any other number.
        self.trace.is_new_depth(queued[0] | queued[1] << 24 | queued[2] << 48).then_some(queued)
    }
}

impl Pool {
    /// A worker that is not a native one has run a task. The record of its end tells when it began, too; what only the
    /// record of its begin tells is its name, so a task that nobody has seen begin has one if it has a name.
    pub(super) fn record_run(
        &self,
        recorder: &Recorder,
        worker: WorkerRef,
        running: &Running,
        ended: u64,
        failed: bool,
    ) {
        if !recorder.is_on() {
            return;
        }
        if let Some(job) = running.began_unseen() {
            let name = self.name_of(job);
            if name != 0 {
                recorder.start(running.id.to_bits(), job.kernel, worker, running.started, name);
            }
        }
        recorder.ended(worker, running, ended, if failed { How::Failed } else { How::Ok });
    }
}

impl Recorder {
    /// A worker that is not a native one runs a task no more.
    pub(super) fn ended(&self, worker: WorkerRef, running: &Running, now: u64, how: How) {
        let how = if running.abandoned { How::GivenUp } else { how };
        self.end(running.id.to_bits(), running.label.kernel, worker, (running.started, now), how);
    }
}

/// The export that a task asks for; what is carried besides lies between two NULs before it.
fn named(sent: &str) -> Option<&str> {
    match sent.strip_prefix('\0') {
        Some(carried) => carried.split_once('\0')?.1.strip_prefix('='),
        None => Some(sent),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn what_is_carried_is_no_part_of_the_name() {
        assert_eq!(named("resize"), Some("resize"));
        assert_eq!(named("\0trace\0=resize"), Some("resize"));
        assert_eq!(named("\0trace\0"), None);
        assert_eq!(named("\0broken"), None);
    }
}
