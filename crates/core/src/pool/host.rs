//! Stage: run. Thread: the worker that runs the task, and its helpers.
//! What a running kernel may ask of its pool.

use super::cell::Cell;
use super::job::Job;
use super::parallel::Section;
use super::{Pool, clock};
use crate::completion::{CompletionSink, Event};
use crate::kernel::Host;
use crate::sync::{AtomicU64, Ordering};
use crate::unwind::rethrow;
use crate::value::Value;
use std::sync::Arc;

/// No progress is reported before a task has run this long, and not more often, ns.
const PROGRESS_INTERVAL: u64 = 50_000_000;

pub(super) struct NativeHost<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) worker: u32,
    pub(super) cell: &'a Cell<Job>,
    pub(super) sink: &'a Arc<dyn CompletionSink>,
    pub(super) ticket: u32,
    /// When progress was last reported; at first, when the task began.
    pub(super) reported: AtomicU64,
}

impl Host for NativeHost<'_> {
    fn is_cancelled(&self) -> bool {
        self.cell.is_abandoned()
    }

    fn progress(&self, done: f64, total: f64) {
        let (now, last) = (clock::now(), self.reported.load(Ordering::Relaxed));
        if now < last + PROGRESS_INTERVAL
            || self.is_cancelled()
            // Of several helpers that get here at the same time, one reports.
            || self.reported.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        self.sink.deliver(Event::Progress { ticket: self.ticket, worker: self.worker, done, total });
    }

    fn post(&self, message_type: &str, contents: Value) {
        if !self.is_cancelled() {
            self.sink.deliver(Event::Message {
                codec: 0,
                pool: self.pool.id(),
                ticket: self.ticket,
                worker: self.worker,
                message_type: message_type.to_owned(),
                contents,
            });
        }
    }

    fn parallelism(&self) -> usize {
        self.pool.active_threads() as usize
    }

    #[expect(unsafe_code, reason = "lends the body to helpers for the length of the call")]
    fn parallel(&self, chunks: usize, body: &(dyn Fn(usize) + Sync)) {
        let helpers = (chunks - 1).min(self.parallelism() - 1);
        // SAFETY: the section is taken off the list and left before this call returns; `work` does not unwind.
        let section = Arc::new(unsafe { Section::new(chunks, body) });
        if helpers > 0 {
            self.pool.offer(&section, helpers);
        }
        section.work(|| self.is_cancelled());
        if helpers > 0 {
            section.stop();
            self.pool.withdraw(&section);
        }
        if let Some(message) = section.leave() {
            rethrow(message);
        }
    }
}
