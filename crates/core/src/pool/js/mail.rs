//! Stage: run. Thread: the owner env, or that of a JS worker.
//! What JS workers and the other envs of a pool tell each other besides tasks and answers.

use crate::completion::Event;
use crate::pool::cell::Label;
use crate::pool::{Pool, clock};
use crate::scheduler::TaskId;
use crate::value::Value;
use std::sync::Arc;

/// A message to or from a JS worker.
#[derive(Debug)]
pub struct JsMail {
    /// Its type, any string.
    pub message_type: String,
    /// How the contents are to be read; passed on as it is.
    pub codec: u8,
    /// Its contents.
    pub contents: Value,
}

/// Something that a JS worker is to hear.
#[derive(Debug)]
pub enum JsNote {
    /// A message.
    Mail {
        /// What it says.
        mail: JsMail,
        /// The generation of the first task that was admitted after it was sent; `None` for one that comes before all.
        next: Option<u32>,
    },
    /// A task that it runs was given up.
    GivenUp {
        /// The task.
        id: TaskId,
        /// Whether its deadline has passed; else it was cancelled.
        expired: bool,
    },
}

impl JsNote {
    /// Whether a worker that gets both at once hears of this before it begins the task: whether it was sent before that.
    pub fn comes_before(&self, task: TaskId) -> bool {
        match self {
            // Generations count on from 0 after `u32::MAX`.
            Self::Mail { next, .. } => {
                next.is_none_or(|next| task.generation.wrapping_sub(next).cast_signed() >= 0)
            }
            Self::GivenUp { .. } => true,
        }
    }
}

impl Pool {
    /// Leaves a message for a JS worker. `false` when there is none with this index. Tasks that were posted before it are
    /// admitted first, so that their order can be told; `is_kept`: it was kept for this worker while there was none, and comes
    /// before all that the worker begins.
    pub fn js_post(self: &Arc<Self>, index: u32, mail: JsMail, is_kept: bool) -> bool {
        self.ingest();
        let mut state = self.state.lock();
        let next = (!is_kept).then(|| state.scheduler.next_generation());
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return false;
        };
        // One ring for all that it has not fetched.
        let waker = if worker.notes.is_empty() { worker.waker.clone() } else { None };
        worker.notes.push(JsNote::Mail { mail, next });
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Hands a message of a JS worker to the env that owns the pool, the first one attached; and to the env that
    /// submitted the task that it is about, if that is another.
    pub fn js_post_to_pool(&self, index: u32, task: Option<TaskId>, mail: JsMail) {
        let label = {
            let mut state = self.state.lock();
            let Some(worker) = state.js_worker(index) else { return };
            worker.posted += 1;
            worker.active = clock::now();
            task.and_then(|id| worker.wanted(id)).map(|running| running.label)
        };
        let (pool, worker) = (self.id, index);
        let JsMail { message_type, codec, contents } = mail;
        let ticket = label.filter(|label| label.sink == 0).map(|label| label.ticket);
        if let Some(Label { ticket, sink, .. }) = label.filter(|label| label.sink != 0)
            && let Some(contents) = contents.duplicate()
        {
            let message_type = message_type.clone();
            self.sink(sink).deliver(Event::Message { pool, ticket, worker, message_type, codec, contents });
        }
        self.deliver_to_owner(Event::Mail { pool, worker, ticket, message_type, codec, contents });
    }

    /// Tells the env that submitted a task how far it is.
    pub fn js_progress(&self, index: u32, id: TaskId, done: f64, total: f64) {
        let label = {
            let mut state = self.state.lock();
            state.js_worker(index).and_then(|worker| worker.wanted(id)).map(|running| running.label)
        };
        if let Some(Label { ticket, sink, .. }) = label {
            self.sink(sink).deliver(Event::Progress { ticket, worker: index, done, total });
        }
    }

    /// Asks the env that owns the pool for the input of a task that a worker has begun.
    pub fn js_want(&self, worker: u32, key: f64) {
        self.deliver_to_owner(Event::Wanted { pool: self.id, worker, key });
    }

    /// That input has come: what the task takes counts from now on, and what it has waited is none of it.
    pub fn js_got(&self, worker: u32, id: TaskId) {
        let now = clock::now();
        let mut state = self.state.lock();
        if let Some(running) = state.js_worker(worker).and_then(|worker| worker.wanted(id)) {
            running.got = now;
        }
    }

    /// Tells the env that owns the pool of tasks that a JS worker submitted: how many came, succeeded and failed,
    /// and more of them.
    pub fn js_report(
        &self,
        worker: u32,
        [added, completed, errored]: [u32; 3],
        (codec, details): (u8, Value),
    ) {
        let pool = self.id;
        self.deliver_to_owner(Event::Discovered { pool, worker, added, completed, errored, codec, details });
    }
}
