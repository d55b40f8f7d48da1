//! Stage: submit, run and settle. Thread: the owner env of a pool, or the env of one of its JS workers.
//! The binding's side of the JS lane. What a value means beyond its primitive form is told by its codec, a number that
//! is passed on unread.
//!
//! Y3. Values of the JS lane never share memory between envs: bytes are copied in and out.

#![expect(unsafe_code, reason = "raw Node-API calls")]

pub(crate) mod owner;
pub(crate) mod worker;

use crate::call::{Env, Js};
use crate::moves::Memories;
use crate::payload::{encode, kind_of};
use crate::port::Port;
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::sync::Arc;
use threadmill_core::completion::Answer;
use threadmill_core::pool::{
    AnswerRecord, JsNote, JsTask, MOVED, NO_EXPORT, Payload, Pool, Visit, Waker, answer_of, clock,
    is_primitive, read_answer, read_primitive, task_of,
};
use threadmill_core::scheduler::TaskId;
use threadmill_core::value::{Array, Value};

/// Numbers per task: id (two), tag (6: words), number (of moved memory the key) or index in the values or offset of the words, codec, index in the values of the name, -1 for
/// none, -2 - number for a number in place of a name, tag to be claimed on the board or 0. A
/// message has tag 9 and `[type, contents]` in the values; tag 10 says that the task with that id was given up, with 1 for
/// number when its deadline has passed. `ATTEMPT` is added to the tag of a task for each time that it has been run before.
const TASK: usize = 7;
const ATTEMPT: f64 = 16.0;

/// Reads a primitive or a typed array; bytes are copied (Y3). Nobody here looks into a string.
pub(crate) fn own_value(env: Env, value: Js) -> Raw<Value> {
    use sys::ValueType as T;
    match raw::type_of(env, value)? {
        T::napi_string => Ok(match raw::short_string(env, value)? {
            Some(text) => Value::String(text),
            None => Value::Text(raw::text(env, value)?),
        }),
        T::napi_object if raw::is_typed_array(env, value)? => own_bytes(env, value),
        kind => crate::payload::primitive(env, value, kind),
    }
}

fn own_bytes(env: Env, value: Js) -> Raw<Value> {
    let view = raw::view(env, value)?;
    let kind = kind_of(view.kind).ok_or(Fault(sys::Status::napi_invalid_arg))?;
    if view.length == 0 {
        return Ok(Value::Array(Array::copy_from(kind, &[])));
    }
    // SAFETY: memory of a view of this env, which only this thread changes; no JavaScript runs meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts(view.data.cast::<u8>(), view.length * kind.size()) };
    raw::copied(kind, bytes).map(Value::Array)
}

impl Waker for Port {
    fn wake(&self) {
        self.call();
    }
}

fn task_id(env: Env, index: Js, generation: Js) -> Raw<TaskId> {
    Ok(TaskId { index: raw::number(env, index)? as u32, generation: raw::number(env, generation)? as u32 })
}

/// Hands the answers of a worker over: records, their count, values, words.
fn give(
    env: Env,
    pool: &Arc<Pool>,
    worker: u32,
    (answers, count, values, words): (Js, Js, Js, Option<Js>),
    memories: &mut Memories,
) -> Raw<()> {
    let count = raw::number(env, count)? as usize;
    if count == 0 {
        return Ok(());
    }
    // SAFETY: nothing below runs JavaScript before the last use of the slices.
    let (records, words) = unsafe {
        let words = words.map_or(Ok(&mut [][..]), |words| raw::doubles(env, words))?;
        (raw::doubles(env, answers)?, words)
    };
    let (records, _) = records.as_chunks::<{ size_of::<AnswerRecord>() / 8 }>();
    let records = records.get(..count).ok_or(Fault(sys::Status::napi_invalid_arg))?;
    let clocks = (records[count - 1][8], clock::now());
    // A thread that is being terminated goes on for a moment, with calls of Node-API that fail: no task is to fail with that.
    // Whoever hears that the worker has gone decides what becomes of it.
    let is_void = records.iter().any(has_failed) && is_ending(env);
    if !is_void && records.iter().all(is_primitive) {
        // Nothing to ask the engine for, so they become answers one by one where they are needed.
        pool.js_answers(
            worker,
            records.iter().map(|record| (task_of(record), || read_primitive(record, clocks))),
        );
        return Ok(());
    }
    let mut given = Vec::with_capacity(count);
    for record in records {
        if is_void && has_failed(record) {
            continue;
        }
        let id = task_of(record);
        if let Some(answer) = read_answer(record, words, clocks) {
            given.push((id, answer));
            continue;
        }
        let value = raw::scoped(env, || own_value(env, raw::element(env, values, record[3] as u32)?));
        match value.and_then(|value| arrived(record, value, memories)) {
            Ok(value) => given.push((id, answer_of(record, value, clocks))),
            Err(Fault(status)) => {
                raw::clear_exception(env);
                if is_ending(env) {
                    continue;
                }
                let what = if status == raw::NO_MEMORY {
                    "no memory for the output".to_owned()
                } else {
                    format!("the answer could not be read (status {status})")
                };
                let text = Value::String(what);
                let answer = answer_of(record, text, clocks);
                given.push((id, Answer { failed: true, codec: 0, ..answer }));
            }
        }
    }
    if !given.is_empty() {
        pool.js_answers(worker, given.into_iter().map(|(id, answer)| (id, || answer)));
    }
    Ok(())
}

/// What the value of an answer stands for.
fn arrived(record: &AnswerRecord, value: Value, memories: &mut Memories) -> Raw<Value> {
    match value {
        Value::Number(key) if record[4] == f64::from(MOVED) && record[5] == 0.0 => {
            let memory = memories.take(key).and_then(Arc::into_inner);
            memory.ok_or(Fault(sys::Status::napi_invalid_arg))
        }
        other => Ok(other),
    }
}

fn has_failed(record: &AnswerRecord) -> bool {
    record[5] != 0.0
}

/// Whether the env takes no values any more because it is being terminated.
fn is_ending(env: Env) -> bool {
    let probe = || raw::set_element(env, raw::new_array(env, 1)?, 0, raw::undefined(env)?);
    let ended = probe().is_err();
    if ended {
        raw::clear_exception(env);
    }
    ended
}

/// Fills in what a worker is to begin now; returns how much, -1 when it is not in the pool any more.
fn fetch(
    env: Env,
    pool: &Arc<Pool>,
    worker: u32,
    visit: Visit,
    (records, values, words): (Js, Js, Option<Js>),
    memories: &mut Memories,
) -> Raw<f64> {
    let mut total = 0u32;
    loop {
        let (mut notes, mut taken) = (Vec::new(), Vec::new());
        if !pool.js_turn(worker, visit, &mut notes, &mut taken) {
            return Ok(-1.0);
        }
        let nothing = notes.is_empty() && taken.is_empty();
        let mut ended = false;
        // SAFETY: creating values runs no JavaScript.
        let records = unsafe { raw::doubles(env, records) }?;
        let mut records = records.as_chunks_mut::<TASK>().0.iter_mut();
        let mut out = Out { env, values, used: 0, words, written: 0, memories: &mut *memories };
        let mut notes = notes.into_iter().peekable();
        // What was taken is begun or answered, whatever the engine says.
        for task in taken {
            let id = task.id;
            while let Some(note) = notes.next_if(|note| note.comes_before(id)) {
                total += out.tell(note, records.next());
            }
            if let Ok(filled) = out.task(&task)
                && let Some(record) = records.next()
            {
                *record = filled;
                total += 1;
            } else {
                raw::clear_exception(env);
                if is_ending(env) {
                    // It was not begun, so it is none of the worker's.
                    pool.js_return(worker, task);
                    ended = true;
                    continue;
                }
                let text = "the engine had no room for the input".to_owned();
                let answer = Answer { failed: true, value: Value::String(text), ..Answer::default() };
                pool.js_answer(worker, id, answer);
            }
        }
        for note in notes {
            total += out.tell(note, records.next());
        }
        if ended {
            return Ok(-1.0);
        }
        // A worker that is told of nothing waits to be rung.
        if nothing || total > 0 {
            return Ok(f64::from(total));
        }
    }
}

struct Out<'a> {
    env: Env,
    values: Js,
    used: u32,
    /// Where plain values go that are in words, and how far it is full.
    words: Option<Js>,
    written: usize,
    memories: &'a mut Memories,
}

impl Out<'_> {
    fn push(&mut self, value: &Value) -> Raw<f64> {
        let (env, values, at) = (self.env, self.values, self.used);
        raw::scoped(env, || raw::set_element(env, values, at, encode(env, value, None)?))?;
        self.used += 1;
        Ok(f64::from(at))
    }

    fn value(&mut self, value: &Value) -> Raw<(f64, f64)> {
        Ok(match value {
            Value::Undefined => (0.0, 0.0),
            Value::Null => (1.0, 0.0),
            Value::Bool(true) => (2.0, 0.0),
            Value::Bool(false) => (3.0, 0.0),
            Value::Number(number) => (4.0, *number),
            other => (5.0, self.push(other)?),
        })
    }

    /// Copies words to where the worker reads them; their offset. `None` when there is no room.
    fn write(&mut self, value: &[f64]) -> Option<f64> {
        // SAFETY: nothing here runs JavaScript.
        let words = unsafe { raw::doubles(self.env, self.words?) }.ok()?;
        words.get_mut(self.written..self.written + value.len())?.copy_from_slice(value);
        self.written += value.len();
        Some((self.written - value.len()) as f64)
    }

    /// Fills a record with a note; how many have been filled.
    fn tell(&mut self, note: JsNote, record: Option<&mut [f64; TASK]>) -> u32 {
        match (self.note(note), record) {
            (Ok(filled), Some(record)) => {
                *record = filled;
                return 1;
            }
            (Ok(_), None) => {}
            (Err(_), _) => raw::clear_exception(self.env),
        }
        0
    }

    fn note(&mut self, note: JsNote) -> Raw<[f64; TASK]> {
        let mail = match note {
            JsNote::Mail { mail, .. } => mail,
            JsNote::GivenUp { id, expired } => {
                let expired = f64::from(u8::from(expired));
                return Ok([f64::from(id.index), f64::from(id.generation), 10.0, expired, 0.0, -1.0, 0.0]);
            }
        };
        let pair = Value::List(vec![Value::String(mail.message_type), mail.contents]);
        Ok([0.0, 0.0, 9.0, self.push(&pair)?, f64::from(mail.codec), -1.0, 0.0])
    }

    fn task(&mut self, JsTask { id, payload: job, tag: claim, .. }: &JsTask) -> Raw<[f64; TASK]> {
        let (tag, payload) = match &job.input {
            Payload::Number(number) => (4.0, *number),
            Payload::Value(value) if matches!(**value, Value::Foreign(_)) => {
                (4.0, self.memories.put(value.clone()))
            }
            Payload::Words(words) => match self.write(&words.slice) {
                Some(offset) => (6.0, offset),
                None => (5.0, self.push(&Value::Words(words.slice.into()))?),
            },
            Payload::Value(value) => self.value(value)?,
        };
        let options = match job.options.as_deref() {
            Some(options) => self.push(options)?,
            None if job.export != NO_EXPORT => -2.0 - f64::from(job.export),
            None => -1.0,
        };
        let (codec, claim) = (f64::from(job.codec), f64::from(*claim));
        let attempt = job.policy.as_ref().map_or(0, |policy| policy.retried);
        let tag = tag + ATTEMPT * f64::from(attempt);
        Ok([f64::from(id.index), f64::from(id.generation), tag, payload, codec, options, claim])
    }
}
