//! Stage: complete. Thread: the env of a JS worker.
//! Outcomes that are handed over together, under the pool's lock. A thread that is rung takes some microseconds to wake up,
//! so the bell is rung with the first outcome; but while tasks wait and the workers keep all cores busy, the thread that is
//! rung comes in place of the one that rings: it finds one outcome, and the locks taken. Then the bells are rung at the end.

use super::JS_TASKS;
use crate::completion::{Answer, CompletionSink};
use crate::pool::{Label, Pool};
use std::sync::{Arc, LazyLock};

/// What the system grants this process.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// See the head of this file. Rings when it is dropped, so it is made before the lock is taken.
pub(super) struct Delivery<'a> {
    pool: &'a Pool,
    /// The sink of the last outcome, with its number: most have the same.
    sink: Option<(u16, Arc<dyn CompletionSink>)>,
    unrung: Vec<Arc<dyn CompletionSink>>,
    /// Whether bells are rung at the end.
    is_held: bool,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(pool: &'a Pool) -> Self {
        Self { pool, sink: None, unrung: Vec::new(), is_held: false }
    }

    /// So many outcomes follow, of one of so many workers.
    pub(super) fn expect(&mut self, count: usize, workers: impl FnOnce() -> usize) {
        self.is_held = count >= JS_TASKS && self.pool.has_waiting_js() && workers() >= *CORES;
    }

    /// Settles a task that `worker` ran for that many ns, with a number and nothing else to tell.
    pub(super) fn number(&mut self, label: &Label, number: f64, worker: u32, run_time: u64) {
        let must_ring = self.sink(label).number_unrung(label.ticket, number, worker, run_time);
        self.ring(must_ring);
    }

    /// The same with anything else.
    pub(super) fn answer(&mut self, label: &Label, answer: Answer, worker: u32, run_time: u64) {
        let must_ring = self.sink(label).answer_unrung(label.ticket, answer, worker, run_time);
        self.ring(must_ring);
    }

    /// The sink of a task that is settled now.
    fn sink(&mut self, label: &Label) -> &Arc<dyn CompletionSink> {
        self.pool.note_settled();
        if self.sink.as_ref().is_none_or(|known| known.0 != label.sink) {
            self.sink = None;
        }
        &self.sink.get_or_insert_with(|| (label.sink, self.pool.sink(label.sink))).1
    }

    fn ring(&mut self, must_ring: bool) {
        if must_ring && let Some((_, sink)) = &self.sink {
            if self.is_held {
                self.unrung.push(sink.clone());
            } else {
                sink.ring();
            }
        }
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        for sink in &self.unrung {
            sink.ring();
        }
    }
}
