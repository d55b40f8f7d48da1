//! Stage: schedule and run. Thread: the worker's own env claims; whoever holds the pool's lock posts and revokes.
//! What a JS worker has taken ahead: tasks measured to be tiny are handed out several at a time, and still wait until the
//! worker begins them. It claims each one on a board in shared memory, without a call.
//!
//! J9. Of the worker, which begins a task that was taken ahead, and whoever takes it back, exactly one wins: both exchange
//!     its tag in its cell for 0, and a tag is used once.

use super::{JsWorker, Running};
use crate::pool::job::Job;
use crate::scheduler::TaskId;
use crate::sync::{AtomicU32, Ordering};

/// Tasks that may be ahead of a worker at a time; a power of two. JavaScript finds the cell of a tag by it.
const CELLS: u32 = 64;
/// Greatest tag: JavaScript reads the cells as signed numbers.
const LAST_TAG: u32 = i32::MAX as u32;

/// Cells with the tags of the tasks that a worker has taken ahead and nobody has claimed.
#[derive(Debug)]
pub struct Board {
    cells: Box<[AtomicU32]>,
}

impl Default for Board {
    fn default() -> Self {
        Self { cells: (0..CELLS).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Board {
    /// The cells, 32 bits each, and their length in bytes. The cell of a tag is that of its number modulo their count; what
    /// exchanges the tag for 0 there, atomically, has claimed the task. They stay where they are.
    pub fn memory(&self) -> (*const u32, usize) {
        (self.cells.as_ptr().cast(), size_of_val(&*self.cells))
    }

    fn cell(&self, tag: u32) -> &AtomicU32 {
        &self.cells[(tag % CELLS) as usize]
    }

    /// Claims a task, as its worker does before it begins it.
    pub(in crate::pool) fn claim(&self, tag: u32) -> bool {
        self.cell(tag).compare_exchange(tag, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn holds(&self, tag: u32) -> bool {
        self.cell(tag).load(Ordering::Acquire) == tag
    }
}

impl JsWorker {
    /// How many tasks it may be given at once; `recycle` when it takes no more than that many, or 0.
    pub(super) fn most_ahead(&self, recycle: u64) -> usize {
        let Some(board) = &self.board else { return 1 };
        // What it has not begun comes first, and then it comes again.
        if self.running.iter().any(|running| running.tag != 0 && board.holds(running.tag)) {
            return 1;
        }
        if recycle == 0 { super::JS_TASKS } else { recycle.saturating_sub(self.begun).max(1) as usize }
    }

    /// Posts a task on the board; its tag, 0 when there is no room: then the worker begins it without asking.
    pub(super) fn post_ahead(&mut self) -> u32 {
        let Some(board) = &self.board else { return 0 };
        let tag = if self.tag >= LAST_TAG { 1 } else { self.tag + 1 };
        self.tag = tag;
        let cell = board.cell(tag);
        if cell.load(Ordering::Relaxed) != 0 {
            return 0;
        }
        cell.store(tag, Ordering::Release);
        tag
    }

    /// Whether it has taken that task and not begun it. Only a hint while its thread runs.
    pub(super) fn is_ahead(&self, running: &Running) -> bool {
        running.tag != 0 && self.board.as_ref().is_some_and(|board| board.holds(running.tag))
    }

    /// Takes the record of a task out.
    pub(super) fn end(&mut self, id: TaskId) -> Option<Running> {
        // They are answered in the order in which they were taken, as a rule.
        if self.running.front().is_some_and(|running| running.id == id) {
            return self.running.pop_front();
        }
        let at = self.running.iter().position(|running| running.id == id)?;
        self.running.remove(at)
    }

    /// Takes a task back that it has not begun.
    pub(in crate::pool) fn revoke(&mut self, id: TaskId) -> Option<Job> {
        let at = self.running.iter().position(|running| running.id == id)?;
        let tag = self.running[at].tag;
        if tag == 0 || !self.board.as_ref()?.claim(tag) {
            return None;
        }
        self.begun -= 1;
        self.running.remove(at)?.job
    }
}
