//! Stage: schedule and run. Thread: the worker's own env claims; whoever holds the pool's lock posts and revokes.
//! What a JS worker has taken ahead: tasks measured to be tiny are handed out several at a time, and still wait until the
//! worker begins them. It claims each one on a board in shared memory, without a call.
//!
//! The answers that it holds back lie there too, so that they are not lost with its thread.
//!
//! J11. Of the worker, which begins a task that was taken ahead, and whoever takes it back, exactly one wins: both exchange
//!     its tag in its cell for 0, and a tag is used once.

#![expect(unsafe_code, reason = "memory shared with JavaScript")]

use super::{JsWorker, Running};
use crate::completion::Answer;
use crate::pool::job::Job;
use crate::scheduler::TaskId;
use crate::value::Value;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Tasks that may be ahead of a worker at a time; a power of two. JavaScript finds the cell of a tag by it.
const CELLS: usize = 64;
/// Greatest tag: JavaScript reads the cells as signed numbers.
const LAST_TAG: u32 = i32::MAX as u32;
/// Answers that a worker holds back at most, and the words of their values.
const ANSWERS: usize = 64;
const WORDS: usize = 1024;

/// One answer: id (two numbers), tag, number or offset of the words, codec, whether it failed, overhead in ms, when the run
/// began and ended, ms on a clock of the worker's, or 0. Tags: 0 undefined, 1 null, 2 true, 3 false, 4 number, 5 a value that
/// only JavaScript can read, 6 words.
pub type AnswerRecord = [f64; 9];

/// What a worker and the pool share.
#[derive(Debug)]
#[repr(C)]
struct Memory {
    /// The tags of the tasks that the worker has taken ahead and nobody has claimed.
    cells: [AtomicU32; CELLS],
    /// How many of `answers` are to be handed over. JavaScript writes it, atomically, after them.
    count: AtomicU32,
    padding: u32,
    answers: UnsafeCell<[AnswerRecord; ANSWERS]>,
    words: UnsafeCell<[f64; WORDS]>,
}

/// Memory that a worker shares with the pool: cells in which it claims what it has taken ahead, and the answers that it has not
/// handed over yet, which outlive it.
#[derive(Debug)]
pub struct Board {
    memory: Box<Memory>,
}

// SAFETY: what is not atomic is only read on the worker's thread, or when that has ended (`take_answers`); `has_ended` reads
// it as if it were.
unsafe impl Sync for Board {}
// SAFETY: as above.
unsafe impl Send for Board {}

impl Default for Board {
    fn default() -> Self {
        let memory = Memory {
            cells: std::array::from_fn(|_| AtomicU32::new(0)),
            count: AtomicU32::new(0),
            padding: 0,
            answers: UnsafeCell::new([[0.0; 9]; ANSWERS]),
            words: UnsafeCell::new([0.0; WORDS]),
        };
        Self { memory: Box::new(memory) }
    }
}

impl Board {
    /// The memory and its length in bytes, for the worker's own thread: the cells, 64 of 32 bits; the count of answers, and 32
    /// bits that are not used; 64 answers; 1,024 words. The cell of a tag is that of its number modulo their count; what
    /// exchanges the tag for 0 there, atomically, has claimed the task. It stays where it is.
    pub fn memory(&self) -> (*const u8, usize) {
        ((&raw const *self.memory).cast(), size_of::<Memory>())
    }

    /// The answers that have not been handed over, in their order, without those that only JavaScript can read. `now`: when
    /// the last one ended.
    ///
    /// # Safety
    ///
    /// On the worker's thread, or when that has ended.
    pub unsafe fn take_answers(&self, now: u64) -> Vec<(TaskId, Answer)> {
        let count = (self.memory.count.swap(0, Ordering::AcqRel) as usize).min(ANSWERS);
        // SAFETY: nobody writes meanwhile, by contract.
        let (answers, words) = unsafe { (&*self.memory.answers.get(), &*self.memory.words.get()) };
        let last = answers[..count].last().map_or(0.0, |record| record[8]);
        let read = |record| Some((task_of(record), read_answer(record, words, (last, now))?));
        answers[..count].iter().filter_map(read).collect()
    }

    /// The answers have been handed over. On the worker's thread and under the pool's lock, so that whoever has that finds no
    /// answer of a task that runs again.
    pub(super) fn handed_over(&self) {
        self.memory.count.store(0, Ordering::Release);
    }

    /// Whether the worker has answered that task and not handed the answer over yet. Under the pool's lock: the worker needs
    /// that to hand the answer over, and writes others behind it until then.
    pub(super) fn has_ended(&self, id: TaskId) -> bool {
        let count = (self.memory.count.load(Ordering::Acquire) as usize).min(ANSWERS);
        let numbers = self.memory.answers.get().cast::<AtomicU64>();
        let number = |at: usize| {
            // SAFETY: within the answers; JavaScript writes 64 bits at once.
            f64::from_bits(unsafe { &*numbers.add(at) }.load(Ordering::Relaxed))
        };
        let (index, generation) = (f64::from(id.index), f64::from(id.generation));
        let length = size_of::<AnswerRecord>() / size_of::<f64>();
        (0..count).any(|at| number(at * length) == index && number(at * length + 1) == generation)
    }

    /// Holds answers back, as JavaScript does.
    #[cfg(all(test, not(loom)))]
    pub(in crate::pool) fn hold<const N: usize>(&self, answers: [AnswerRecord; N], words: &[f64]) {
        // SAFETY: tests have one thread for all.
        unsafe {
            (&mut *self.memory.answers.get())[..N].copy_from_slice(&answers);
            (&mut *self.memory.words.get())[..words.len()].copy_from_slice(words);
        }
        self.memory.count.store(N as u32, Ordering::Release);
    }

    fn cell(&self, tag: u32) -> &AtomicU32 {
        &self.memory.cells[tag as usize % CELLS]
    }

    /// Claims the task with that tag, as its worker does before it begins it. Whether the caller is the first to do so.
    pub fn claim(&self, tag: u32) -> bool {
        self.cell(tag).compare_exchange(tag, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn holds(&self, tag: u32) -> bool {
        self.cell(tag).load(Ordering::Acquire) == tag
    }
}

/// Whether an answer is a value of its record alone.
pub fn is_primitive(record: &AnswerRecord) -> bool {
    record[2] <= 4.0
}

/// Which task an answer is of.
pub fn task_of(record: &AnswerRecord) -> TaskId {
    TaskId { index: record[0] as u32, generation: record[1] as u32 }
}

/// Reads an answer of its record alone.
pub fn read_primitive(record: &AnswerRecord, clocks: (f64, u64)) -> Answer {
    answer_of(record, primitive(record), clocks)
}

fn primitive(record: &AnswerRecord) -> Value {
    match record[2] as u32 {
        4 => Value::Number(record[3]),
        1 => Value::Null,
        2 => Value::Bool(true),
        3 => Value::Bool(false),
        _ => Value::Undefined,
    }
}

/// Reads an answer; `None` for one that only JavaScript can read. `last` on the clock of the worker is `now` on ours.
pub fn read_answer(record: &AnswerRecord, words: &[f64], (last, now): (f64, u64)) -> Option<Answer> {
    let value = match record[2] as u32 {
        0..=4 => primitive(record),
        6 => {
            let words = words.get(record[3] as usize..)?;
            // The first one tells how many there are, itself included.
            let count = *words.first()? as usize;
            Value::Words(words.get(..count.max(1))?.into())
        }
        _ => return None,
    };
    Some(answer_of(record, value, (last, now)))
}

/// The answer that a record and a value make.
pub fn answer_of(record: &AnswerRecord, value: Value, (last, now): (f64, u64)) -> Answer {
    // Both clocks are of one rate.
    let time = |at: f64| now.saturating_sub(((last - at) * 1e6) as u64);
    Answer {
        failed: record[5] != 0.0,
        codec: record[4] as u8,
        value,
        overhead: (record[6] * 1e6) as u64,
        times: (record[8] > 0.0).then(|| (time(record[7]), time(record[8]))),
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
        let left = if recycle == 0 { u64::MAX } else { recycle.saturating_sub(self.begun) };
        left.clamp(1, super::JS_TASKS as u64) as usize
    }

    /// Whether it has begun so many as it is to begin, not counting what it has only taken ahead, and is still to retire.
    /// `recycle`: that number, or 0.
    pub(super) fn is_used_up(&self, recycle: u64) -> bool {
        if recycle == 0 || self.begun < recycle || self.postponed || self.retiring {
            return false;
        }
        let ahead = self.running.iter().filter(|running| self.is_ahead(running)).count() as u64;
        self.begun - ahead >= recycle
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
