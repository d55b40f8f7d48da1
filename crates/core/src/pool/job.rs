//! Stage: schedule. Thread: any; a job has one owner at a time.
//! The record of a task while it is queued or running.

use super::cell::Label;
use crate::kernel::Input;
use crate::scheduler::Lane;
use crate::value::Value;
use std::sync::Arc;
use triomphe::ThinArc;

/// Stands for the entry function of the pool's module where a kernel's number is asked for.
pub const ENTRY: u16 = 255;

/// The same, to be called on the thread that owns the pool.
pub const MAIN_ENTRY: u16 = 254;

/// The input of a job: numbers need no allocation.
#[derive(Debug)]
pub enum Payload {
    /// A number.
    Number(f64),
    /// A plain value in words, in one allocation.
    Words(ThinArc<(), f64>),
    /// Anything else, shared with what is kept to run the job again.
    Value(Arc<Value>),
}

impl Default for Payload {
    fn default() -> Self {
        Self::Number(0.0)
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number),
            Value::Words(words) => Self::words(&words),
            other => Self::Value(Arc::new(other)),
        }
    }
}

/// The value itself, or a copy as long as it is kept for another run too.
fn own(value: Arc<Value>) -> Value {
    Arc::try_unwrap(value).unwrap_or_else(|kept| kept.again().expect("what is kept can be had again"))
}

impl Payload {
    /// A plain value in words.
    pub fn words(words: &[f64]) -> Self {
        Self::Words(ThinArc::from_header_and_slice((), words))
    }

    /// Bytes of the memory that is its own, as of a value.
    pub(crate) fn own_bytes(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Words(words) => size_of_val(&words.slice),
            Self::Value(value) => value.own_bytes(),
        }
    }

    /// The same once more.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Number(number) => Self::Number(*number),
            Self::Words(words) => Self::Words(words.clone()),
            Self::Value(value) => Self::Value(value.clone()),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Number(number) => Value::Number(number),
            Self::Words(words) => Value::Words(words.slice.into()),
            Self::Value(value) => own(value),
        }
    }
}

/// What a submitter asks for beyond one run of the task.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How often it may still be run again.
    pub retries: u32,
    /// How often it has been run again.
    pub retried: u32,
    /// Time before the first run again, ns; each later one waits `backoff` times as long.
    pub delay: u64,
    /// See `delay`.
    pub backoff: f64,
    /// Whether a run that ended with its worker, or by a panic, is repeated.
    pub on_crash: bool,
    /// Whether a run that ended with an error is repeated.
    pub on_error: bool,
    /// Deadline from the start of each run, ns; 0 for none.
    pub deadline_from_start: u64,
    /// ms that a JS worker has to end the task by itself once it was given up; NaN for the pool's.
    pub grace: f64,
    /// How often its worker was ended for the sake of another task.
    pub evicted: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retries: 0,
            retried: 0,
            delay: 0,
            backoff: 1.0,
            on_crash: false,
            on_error: false,
            deadline_from_start: 0,
            grace: f64::NAN,
            evicted: 0,
        }
    }
}

/// How often a task is run again because its worker was ended for the sake of another task. One that submits what has its
/// worker ended would begin anew for ever.
const MOST_EVICTIONS: u32 = 5;

/// Longest time between two runs of a task, ns.
const MAX_DELAY: f64 = 86_400e9;

impl Policy {
    /// Whether a run that failed is followed by another.
    pub fn repeats(&self, crashed: bool) -> bool {
        self.retries > 0 && if crashed { self.on_crash } else { self.on_error }
    }

    pub(crate) fn start_limit(&self) -> Option<u64> {
        (self.deadline_from_start > 0).then_some(self.deadline_from_start)
    }

    /// Takes note of the next run; how long it waits, ns.
    pub(crate) fn next_run(&mut self) -> u64 {
        // In the end it is infinite, and nothing times that is no number.
        let factor = self.backoff.powi(i32::try_from(self.retried).unwrap_or(i32::MAX)).min(f64::MAX);
        self.retries -= 1;
        self.retried += 1;
        (self.delay as f64 * factor).min(MAX_DELAY) as u64
    }
}

/// Stands for no number of an export.
pub const NO_EXPORT: u32 = u32::MAX;

/// A job without anything but its input: no options, affinity or key of its own. See [`super::Pool::post`].
#[derive(Debug, Default)]
pub struct PlainJob {
    /// As in [`Job`].
    pub ticket: u32,
    /// As in [`Job`].
    pub kernel: u16,
    /// As in [`Job`].
    pub sink: u16,
    /// The input.
    pub input: Payload,
    /// As in [`Job`].
    pub codec: u8,
    /// Higher goes first.
    pub priority: f64,
    /// As in [`Job`].
    pub submitted: u64,
    /// As in [`Job`].
    pub export: u32,
    /// When it is to be given up, as `submitted`; 0 for never.
    pub deadline: u64,
}

impl PlainJob {
    /// The lane that it is for.
    pub fn lane(&self) -> Lane {
        if self.kernel == ENTRY { Lane::Js } else { Lane::Native }
    }
}

impl From<PlainJob> for Job {
    fn from(plain: PlainJob) -> Self {
        Self {
            kernel: plain.kernel,
            sink: plain.sink,
            ticket: plain.ticket,
            codec: plain.codec,
            in_place: false,
            is_private: false,
            deadline_from_start: false,
            export: plain.export,
            submitted: plain.submitted,
            input: plain.input,
            options: None,
            policy: None,
        }
    }
}

/// What a native worker needs to run a task.
#[derive(Debug)]
pub struct Job {
    /// Number of the kernel in [`crate::kernels::all`].
    pub kernel: u16,
    /// Number of the sink in its pool, from [`super::Pool::attach`].
    pub sink: u16,
    /// What the submitter tells its tasks apart by.
    pub ticket: u32,
    /// For the entry function: how its input is to be read; passed on as it is.
    pub codec: u8,
    /// Whether the input is, or holds, memory of the submitter's env.
    pub in_place: bool,
    /// Whether some of that is the task's alone: kernels write there.
    pub is_private: bool,
    /// Whether the deadline starts with the run.
    pub deadline_from_start: bool,
    /// For the entry function: which export of the module is called, where these have numbers; else [`NO_EXPORT`].
    pub export: u32,
    /// Reading of [`super::clock::now`] at submit.
    pub submitted: u64,
    /// The input.
    pub input: Payload,
    /// The kernel's options, when there are any.
    pub options: Option<Arc<Value>>,
    /// What is asked for beyond one run, if anything.
    pub policy: Option<Box<Policy>>,
}

/// Codec of inputs that the owner of a pool keeps for whoever begins the task.
pub const KEPT: u8 = 4;

/// Codec of memory that moves with its task.
pub const MOVED: u8 = 6;

/// Codec of plain values in words.
pub const FLAT: u8 = 3;

impl Job {
    pub(crate) fn label(&self) -> Label {
        Label { ticket: self.ticket, sink: self.sink, kernel: self.kernel, in_place: self.in_place }
    }

    /// Whether a run that failed is followed by another.
    pub(crate) fn repeats(&self, crashed: bool) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.repeats(crashed))
    }

    /// Whether its input can be had twice: it was not moved, and no run changes it.
    pub(crate) fn lasts(&self) -> bool {
        let moves = self.codec == MOVED
            && !matches!(&self.input, Payload::Value(value) if matches!(&**value, Value::Foreign(input) if input.lasts()));
        !self.is_private && !moves && (self.codec != KEPT || self.is_copied())
    }

    /// Whether the key of an input says that its keeper copies it to whoever asks, see `keyOfInput` in lib/parcel.ts.
    fn is_copied(&self) -> bool {
        matches!(self.input, Payload::Number(key) if key % 2.0 == 1.0)
    }

    /// Its worker was ended for the sake of another task: whether it is to be run again.
    pub(crate) fn survives(&mut self) -> bool {
        let policy = self.policy.get_or_insert_default();
        policy.evicted += 1;
        policy.evicted <= MOST_EVICTIONS
    }

    /// Whether that was so before.
    pub(crate) fn has_survived(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.evicted > 0)
    }

    /// The same job once more, with its input, which is shared.
    #[expect(clippy::inline_always, reason = "made where it is to lie, see `note_taken`")]
    #[inline(always)]
    pub(crate) fn share_with(&self, input: Payload) -> Self {
        Self { input, options: self.options.clone(), policy: self.policy.clone(), ..*self }
    }

    pub(crate) fn into_input(self) -> Input {
        Input { value: self.input.into_value(), options: self.options.map_or(Value::Undefined, own) }
    }
}

#[cfg(test)]
mod tests {
    use super::{FLAT, Job, KEPT, MOVED, PlainJob, Policy};

    #[test]
    fn a_queued_number_is_small() {
        assert!(size_of::<super::Job>() <= 56, "{}", size_of::<super::Job>());
        assert!(size_of::<super::PlainJob>() <= 56, "{}", size_of::<super::PlainJob>());
    }

    #[test]
    fn a_delay_grows_up_to_a_day() {
        let mut policy = Policy { retries: 9, delay: 1_000_000_000, backoff: 1000.0, ..Policy::default() };
        assert_eq!(
            [(); 3].map(|()| policy.next_run()),
            [1_000_000_000, 1_000_000_000_000, 86_400_000_000_000]
        );
        assert_eq!((policy.retries, policy.retried), (6, 3));
    }

    #[test]
    fn a_delay_of_nothing_stays_nothing_however_often_it_has_grown() {
        let mut policy = Policy { retries: 9, retried: 200, delay: 0, backoff: 1000.0, ..Policy::default() };
        assert_eq!(policy.next_run(), 0);
    }

    #[test]
    fn a_task_whose_worker_is_ended_for_others_is_spared_from_then_on_and_fails_at_the_sixth_time() {
        let mut job = Job::from(PlainJob::default());
        assert!(!job.has_survived());
        for _ in 0..5 {
            assert!(job.survives() && job.has_survived());
        }
        assert!(!job.survives());
    }

    #[test]
    fn what_is_moved_or_private_cannot_be_had_twice() {
        let job = |codec| Job { codec, ..Job::from(PlainJob::default()) };
        assert!(job(FLAT).lasts());
        assert!(!job(MOVED).lasts());
        assert!(!job(KEPT).lasts());
        assert!(!Job { is_private: true, ..job(FLAT) }.lasts());
    }
}
