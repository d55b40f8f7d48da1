//! Stage: schedule. Thread: any; a job has one owner at a time.
//! The record of a task while it is queued or running.

use super::cell::Label;
use crate::kernel::Input;
use crate::value::Value;

/// Stands for the entry function of the pool's module where a kernel's number is asked for.
pub const ENTRY: u16 = 255;

/// The same, to be called on the thread that owns the pool.
pub const MAIN_ENTRY: u16 = 254;

/// The input of a job: numbers need no allocation.
#[derive(Debug)]
pub enum Payload {
    /// A number.
    Number(f64),
    /// Anything else.
    Value(Box<Value>),
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number),
            other => Self::Value(Box::new(other)),
        }
    }
}

impl Payload {
    fn into_value(self) -> Value {
        match self {
            Self::Number(number) => Value::Number(number),
            Self::Value(value) => *value,
        }
    }
}

/// A job without anything but a number: no options, affinity, deadline or key of its own. See [`super::Pool::post`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainJob {
    /// As in [`Job`].
    pub ticket: u32,
    /// As in [`Job`].
    pub kernel: u16,
    /// As in [`Job`].
    pub sink: u16,
    /// The input.
    pub input: f64,
    /// Higher goes first.
    pub priority: f64,
    /// As in [`Job`].
    pub submitted: u64,
}

impl From<PlainJob> for Job {
    fn from(plain: PlainJob) -> Self {
        Self {
            kernel: plain.kernel,
            sink: plain.sink,
            ticket: plain.ticket,
            codec: 0,
            in_place: false,
            deadline_from_start: false,
            submitted: plain.submitted,
            input: Payload::Number(plain.input),
            options: None,
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
    /// Whether the deadline starts with the run.
    pub deadline_from_start: bool,
    /// Reading of [`super::clock::now`] at submit.
    pub submitted: u64,
    /// The input.
    pub input: Payload,
    /// The kernel's options, when there are any.
    pub options: Option<Box<Value>>,
}

impl Job {
    pub(crate) fn label(&self) -> Label {
        Label { ticket: self.ticket, sink: self.sink, kernel: self.kernel, in_place: self.in_place }
    }

    pub(crate) fn into_input(self) -> Input {
        Input {
            value: self.input.into_value(),
            options: self.options.map_or(Value::Undefined, |options| *options),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_queued_number_is_small() {
        assert!(size_of::<super::Job>() <= 48, "{}", size_of::<super::Job>());
        assert!(size_of::<super::PlainJob>() <= 32, "{}", size_of::<super::PlainJob>());
    }
}
