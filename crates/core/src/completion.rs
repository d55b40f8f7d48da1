//! Stage: complete. Thread: whichever ended the task.
//! The single way out of the core: what happened to a task, on its way to the env that submitted it.
//!
//! C1. For every admitted task exactly one [`Event::Settled`] is delivered.
//! C2. `Settled { held: true }` says that the kernel still runs and may touch the memory of its input; exactly one
//!     [`Event::Released`] follows or has preceded it. Without it, the memory is free when `Settled` is delivered.

use crate::error::{ErrorCode, KernelError};
use crate::pool::FLAT;
use crate::scheduler::TaskId;
use crate::value::Value;

/// How a task ended.
#[derive(Debug)]
pub enum Outcome {
    /// With an output.
    Ok(Value),
    /// With an error of the kernel or of the pool.
    Error(KernelError),
    /// The kernel panicked; the message with its place.
    Panicked(String),
    /// What a JS worker answered.
    Answer(Box<Answer>),
    /// Given up on request. The caller knows the reason.
    Cancelled,
    /// Its deadline passed.
    Expired,
}

impl Outcome {
    /// An error of the pool itself.
    pub fn refused(code: ErrorCode, message: &str) -> Self {
        Self::Error(KernelError::new(code, message))
    }

    /// Whether there is an output.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }
}

/// What the entry function of a JS pool gave or threw.
#[derive(Debug, Default)]
pub struct Answer {
    /// Whether it threw.
    pub failed: bool,
    /// How the value is to be read; passed on as it is.
    pub codec: u8,
    /// Its result, or what it threw.
    pub value: Value,
    /// Time of the run that was spent on preparing, ns; it is not part of the run time that is told and learned.
    pub overhead: u64,
    /// When the run began and when it ended, where the worker knows; else from when it was taken until now.
    pub times: Option<(u64, u64)>,
}

impl Answer {
    /// A plain value in words, if there is nothing else to tell.
    ///
    /// # Errors
    ///
    /// Gives back any other answer.
    pub fn into_words(self) -> Result<Box<[f64]>, Self> {
        match self {
            Self { failed: false, codec: FLAT, value: Value::Words(words), overhead: 0, .. } => Ok(words),
            other => Err(other),
        }
    }
}

/// Number of a worker in completions of tasks that no worker began.
pub const NO_WORKER: u32 = u32::MAX;

/// Something for the env that submitted a task.
#[derive(Debug)]
pub enum Event {
    /// The task has ended for its submitter.
    Settled {
        /// What the submitter gave to tell its tasks apart.
        ticket: u32,
        /// How it ended.
        outcome: Outcome,
        /// Worker that ran it, or still does; [`NO_WORKER`] for none.
        worker: u32,
        /// Run time, of a task that was given up until then, ns; 0 when it did not run.
        run_time: u64,
        /// Whether the memory of the input is still in use (C2).
        held: bool,
    },
    /// A task that was settled early has stopped; its input memory is free.
    Released {
        /// As in `Settled`.
        ticket: u32,
        /// Native worker that ran it.
        worker: u32,
    },
    /// A running kernel got on.
    Progress {
        /// As in `Settled`.
        ticket: u32,
        /// Native worker that runs it.
        worker: u32,
        /// Units done.
        done: f64,
        /// Units in total.
        total: f64,
    },
    /// A task sent a message.
    Message {
        /// Id of the pool.
        pool: u32,
        /// As in `Settled`.
        ticket: u32,
        /// Native worker that sent it.
        worker: u32,
        /// Type of the message.
        message_type: String,
        /// How the contents are to be read; 0 for what a kernel sends.
        codec: u8,
        /// Its contents.
        contents: Value,
    },
    /// A JS worker sent a message.
    Mail {
        /// Id of the pool.
        pool: u32,
        /// JS worker that sent it.
        worker: u32,
        /// Ticket of the task that it is about, if that task came from the env that owns the pool.
        ticket: Option<u32>,
        /// Type of the message.
        message_type: String,
        /// How the contents are to be read; passed on as it is.
        codec: u8,
        /// Its contents.
        contents: Value,
    },
    /// A JS worker submitted tasks to its pool, or such tasks have settled.
    Discovered {
        /// Id of the pool.
        pool: u32,
        /// JS worker that submitted them.
        worker: u32,
        /// How many came.
        added: u32,
        /// How many gave an output.
        completed: u32,
        /// How many failed.
        errored: u32,
        /// How `details` are to be read; passed on as it is.
        codec: u8,
        /// More about them, for those who listen.
        details: Value,
    },
    /// A JS worker has begun a task whose input the owner keeps.
    Wanted {
        /// Id of the pool.
        pool: u32,
        /// JS worker that wants it.
        worker: u32,
        /// Names the input; passed on as it is.
        key: f64,
    },
    /// A run of a task has failed, and it is run again.
    Retried {
        /// As in `Settled`.
        ticket: u32,
        /// How that run ended.
        outcome: Outcome,
        /// Worker that ran it.
        worker: u32,
        /// How often it has been run again, this time included.
        count: u32,
        /// Time until it waits for a worker again, ns.
        delay: u64,
        /// What that run took, ns.
        run_time: u64,
    },
    /// Something about a worker of the JS lane that the env which owns the pool has to see to.
    Worker {
        /// Id of the pool.
        pool: u32,
        /// What it is.
        notice: Notice,
    },
    /// The pool has released its threads.
    Closed {
        /// Id of the pool.
        pool: u32,
    },
}

/// What the owner of the JS lane is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Notice {
    /// A task was given up that the worker still runs.
    GivenUp {
        /// The worker.
        worker: u32,
        /// The task.
        id: TaskId,
        /// ms that the worker has to end it by itself; NaN for the pool's.
        grace: f64,
    },
    /// A worker that takes no more tasks has ended its last one.
    Retired {
        /// The worker.
        worker: u32,
    },
    /// Tasks that had been set aside wait for a worker.
    Resumed,
}

/// Where the events of an env go. The binding implements it with the env's port.
pub trait CompletionSink: Send + Sync + 'static {
    /// Hands an event over; never blocks for long, never panics. After the env has gone, events are dropped.
    fn deliver(&self, event: Event);

    /// `deliver` of a [`Event::Settled`] with a number for output and nothing held, the case that has to be fast.
    fn number(&self, ticket: u32, number: f64, worker: u32, run_time: u64) {
        let outcome = Outcome::Ok(Value::Number(number));
        self.deliver(Event::Settled { ticket, outcome, worker, run_time, held: false });
    }

    /// As `number`, without ringing. `true`: somebody has to [`ring`](Self::ring) for it, soon.
    #[must_use]
    fn number_unrung(&self, ticket: u32, number: f64, worker: u32, run_time: u64) -> bool {
        self.number(ticket, number, worker, run_time);
        false
    }

    /// As `deliver` of what a JS worker gave, without ringing, and as before.
    #[must_use]
    fn answer_unrung(&self, ticket: u32, answer: Answer, worker: u32, run_time: u64) -> bool {
        let outcome = Outcome::Answer(Box::new(answer));
        self.deliver(Event::Settled { ticket, outcome, worker, run_time, held: false });
        false
    }

    /// Rings for what was handed over without; also when nothing was.
    fn ring(&self) {}

    /// `deliver` of the [`Event::Settled`] of a task that was never admitted.
    fn refused(&self, event: Event) {
        self.deliver(event);
    }

    /// Whether it has been told of more runs than it takes in.
    fn is_behind(&self) -> bool {
        false
    }

    /// Tells under which id the task with this ticket got in. Called under the pool's lock, before anything else is told
    /// of the task; not called for a task that is refused.
    fn admitted(&self, ticket: u32, id: TaskId);
}
