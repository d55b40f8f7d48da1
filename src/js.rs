//! Stage: submit, run and settle. Thread: the owner env of a pool, or the env of one of its JS workers.
//! The binding's side of the JS lane. What a value means beyond its primitive form is told by its codec, a number that
//! is passed on unread.
//!
//! Y3. Values of the JS lane never share memory between envs: bytes are copied in and out.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::env::{EnvState, OwnedPool, Port, Seat, state};
use crate::payload::{encode, kind_of};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use threadmill_core::completion::Answer;
use threadmill_core::error::ErrorCode;
use threadmill_core::pool::{JsMail, JsTask, MAIN, Payload, Pool, Waker};
use threadmill_core::scheduler::TaskId;
use threadmill_core::value::{Array, Value};

/// Numbers per answer: id (two), tag, number or index in the values, codec, whether it failed, overhead in ms.
const ANSWER: usize = 7;
/// Numbers per task: id (two), tag, number or index in the values, codec, index in the values of the options or -1. A
/// message has tag 9 and `[type, contents]` in the values.
const TASK: usize = 6;

/// Pools that workers may attach to, by id.
static POOLS: parking_lot::Mutex<Option<HashMap<u32, Weak<Pool>>>> = parking_lot::Mutex::new(None);

/// Reads a primitive or a typed array; bytes are copied (Y3).
pub(crate) fn own_value(env: sys::napi_env, value: sys::napi_value) -> Raw<Value> {
    if raw::is_typed_array(env, value)? {
        let view = raw::view(env, value)?;
        let kind = kind_of(view.kind).ok_or(Fault(sys::Status::napi_invalid_arg))?;
        if view.length == 0 {
            return Ok(Value::Array(Array::copy_from(kind, &[])));
        }
        // SAFETY: memory of a view of this env, which only this thread changes; no JavaScript runs meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(view.data.cast::<u8>(), view.length * kind.size()) };
        return Ok(Value::Array(Array::copy_from(kind, bytes)));
    }
    crate::payload::primitive(env, value)
}

impl Waker for Port {
    fn wake(&self) {
        self.call();
    }
}

fn pool_of(state: &EnvState, handle: f64) -> Raw<Arc<Pool>> {
    Ok(state.pool(handle as u32).ok_or(Fault(sys::Status::napi_invalid_arg))?.pool.clone())
}

fn task_id(env: sys::napi_env, index: sys::napi_value, generation: sys::napi_value) -> Raw<TaskId> {
    Ok(TaskId { index: raw::number(env, index)? as u32, generation: raw::number(env, generation)? as u32 })
}

/// `shareWorkers(pool)`: the id under which workers attach to the pool.
pub(crate) unsafe extern "C" fn share(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        let mut pools = POOLS.lock();
        let pools = pools.get_or_insert_default();
        pools.retain(|_, pool| pool.strong_count() > 0);
        pools.insert(pool.id(), Arc::downgrade(&pool));
        raw::new_number(env, f64::from(pool.id()))
    })
}

/// `joinWorker(pool, index)`: a worker is being launched.
pub(crate) unsafe extern "C" fn join(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, index], data) = raw::arguments::<2>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        raw::new_boolean(env, pool.js_join(raw::number(env, index)? as u32))
    })
}

/// `leaveWorker(pool, index, code, reason)`: a worker has gone; what it had begun fails. `code`: 0 it crashed, 1 the pool
/// is closed. Returns how many tasks of the lane wait.
pub(crate) unsafe extern "C" fn leave(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, index, code, reason], data) = raw::arguments::<4>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        let (index, code) = (raw::number(env, index)? as u32, code_of(raw::number(env, code)?));
        let waiting = pool.js_leave(index, code, &raw::string(env, reason)?);
        raw::new_number(env, waiting as f64)
    })
}

/// `isWanted(idIndex, idGeneration)`: whether a task that this worker runs has not been given up.
pub(crate) unsafe extern "C" fn is_wanted(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([index, generation], data) = raw::arguments::<2>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let id = task_id(env, index, generation)?;
        raw::new_boolean(env, state.seat.as_ref().is_some_and(|seat| seat.pool.js_is_wanted(seat.index, id)))
    })
}

/// `unfinishedTasks(pool)`: how many tasks of the JS lane wait or run, without those that were given up.
pub(crate) unsafe extern "C" fn unfinished_tasks(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        raw::new_number(env, pool.js_unfinished() as f64)
    })
}

/// `stuckWorkers(pool)`: how many JS workers run nothing but tasks that were given up.
pub(crate) unsafe extern "C" fn stuck_workers(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        raw::new_number(env, pool.js_stuck() as f64)
    })
}

/// `idleWorker(pool)`: a JS worker that would begin a task at once, or -1.
pub(crate) unsafe extern "C" fn idle_worker(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        raw::new_number(env, pool.js_idle().map_or(-1.0, f64::from))
    })
}

/// `wantInput(key)`: this worker has begun a task whose input the owner keeps.
pub(crate) unsafe extern "C" fn want_input(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([key], data) = raw::arguments::<1>(env, info)?;
        let key = raw::number(env, key)?;
        // SAFETY: one of our functions.
        if let Some(seat) = &unsafe { state(data) }.seat {
            seat.pool.js_want(seat.index, key);
        }
        raw::undefined(env)
    })
}

/// `rejectWaiting(pool, code, reason)`: rejects every task of the JS lane that has not begun. `code` as for
/// `leaveWorker`, or 2 the entry module cannot be used.
pub(crate) unsafe extern "C" fn reject_waiting(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, code, reason], data) = raw::arguments::<3>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        pool.js_reject_waiting(code_of(raw::number(env, code)?), &raw::string(env, reason)?);
        raw::undefined(env)
    })
}

fn code_of(code: f64) -> ErrorCode {
    match code as u32 {
        0 => ErrorCode::WorkerCrashed,
        1 => ErrorCode::PoolClosed,
        _ => ErrorCode::Entry,
    }
}

/// `postToWorker(pool, index, type, codec, contents)`: whether there is such a worker.
pub(crate) unsafe extern "C" fn post_to_worker(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, index, message_type, codec, contents], data) = raw::arguments::<5>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        let mail = JsMail {
            message_type: raw::string(env, message_type)?,
            codec: raw::number(env, codec)? as u8,
            contents: own_value(env, contents)?,
        };
        raw::new_boolean(env, pool.js_post(raw::number(env, index)? as u32, mail))
    })
}

/// `attachWorker(poolId, index)`: this env is a worker of that pool from now on and may send messages; tasks and messages
/// come from its first `exchange` on. `false` when there is no such pool any more.
pub(crate) unsafe extern "C" fn attach(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([id, index], data) = raw::arguments::<2>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let (id, index) = (raw::number(env, id)? as u32, raw::number(env, index)? as u32);
        let pool = POOLS.lock().as_ref().and_then(|pools| pools.get(&id)?.upgrade());
        state.seat = pool.map(|pool| Seat { pool, index, attached: false });
        raw::new_boolean(env, state.seat.is_some())
    })
}

/// `postToPool(type, codec, contents, idIndex, idGeneration)`: a message of this worker, about a task that it runs unless
/// `idIndex` is below 0.
pub(crate) unsafe extern "C" fn post_to_pool(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([message_type, codec, contents, index, generation], data) = raw::arguments::<5>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let mail = JsMail {
            message_type: raw::string(env, message_type)?,
            codec: raw::number(env, codec)? as u8,
            contents: own_value(env, contents)?,
        };
        let index = raw::number(env, index)?;
        let id = TaskId { index: index as u32, generation: raw::number(env, generation)? as u32 };
        if let Some(seat) = &state.seat {
            seat.pool.js_post_to_pool(seat.index, (index >= 0.0).then_some(id), mail);
        }
        raw::undefined(env)
    })
}

/// `reportProgress(idIndex, idGeneration, done, total)`: how far a task is that this worker runs.
pub(crate) unsafe extern "C" fn report_progress(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([index, generation, done, total], data) = raw::arguments::<4>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let id = task_id(env, index, generation)?;
        let (done, total) = (raw::number(env, done)?, raw::number(env, total)?);
        if let Some(seat) = &state.seat {
            seat.pool.js_progress(seat.index, id, done, total);
        }
        raw::undefined(env)
    })
}

/// `exchange(answers, count, answerValues, tasks, taskValues, take, spin)`: hands `count` answers over and, with `take`,
/// fills in messages and tasks that are to begin now, after looking out for a moment with `spin` if there are none.
/// Returns how many; -1 when this worker has no pool any more.
pub(crate) unsafe extern "C" fn exchange(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([answers, count, answer_values, tasks, task_values, take, spin], data) =
            raw::arguments::<7>(env, info)?;
        let (take, spin) = (raw::boolean(env, take)?, raw::boolean(env, spin)?);
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let Some(Seat { pool, index, attached }) = &mut state.seat else { return raw::new_number(env, -1.0) };
        give(env, pool, *index, (answers, count, answer_values))?;
        if !take {
            return raw::new_number(env, 0.0);
        }
        if !*attached {
            *attached = pool.js_attach(*index, state.port.clone());
        }
        raw::new_number(env, fetch(env, pool, *index, spin, (tasks, task_values))?)
    })
}

/// `joinMain(pool)`: this thread, which owns the pool, runs tasks of it from now on.
pub(crate) unsafe extern "C" fn join_main(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        let joined = pool.js_join(MAIN) && pool.js_attach(MAIN, state.port.clone());
        raw::new_boolean(env, joined)
    })
}

/// `exchangeMain(pool, answers, count, answerValues, tasks, taskValues)`: as `exchange`, for the thread that owns the pool.
pub(crate) unsafe extern "C" fn exchange_main(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, answers, count, answer_values, tasks, task_values], data) =
            raw::arguments::<6>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let pool = pool_of(state, raw::number(env, handle)?)?;
        give(env, &pool, MAIN, (answers, count, answer_values))?;
        raw::new_number(env, fetch(env, &pool, MAIN, false, (tasks, task_values))?)
    })
}

/// `blockMain(pool, idIndex, idGeneration, blocked)`: as `setBlocked`, for the thread that owns the pool.
pub(crate) unsafe extern "C" fn block_main(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, index, generation, blocked], data) = raw::arguments::<4>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let id = task_id(env, index, generation)?;
        pool_of(state, raw::number(env, handle)?)?.js_block(id, raw::boolean(env, blocked)?);
        raw::undefined(env)
    })
}

/// Hands the answers of a worker over: records, their count, values.
fn give(
    env: sys::napi_env,
    pool: &Arc<Pool>,
    worker: u32,
    (answers, count, values): (sys::napi_value, sys::napi_value, sys::napi_value),
) -> Raw<()> {
    // SAFETY: nothing below runs JavaScript before the last use of the slice.
    let records = unsafe { raw::doubles(env, answers) }?;
    let count = raw::number(env, count)? as usize;
    for record in records.as_chunks::<ANSWER>().0.iter().take(count) {
        let id = TaskId { index: record[0] as u32, generation: record[1] as u32 };
        let value = raw::scoped(env, || read(env, record[2], record[3], values));
        let overhead = (record[6] * 1e6) as u64;
        let answer = match value {
            Ok(value) => Answer { failed: record[5] != 0.0, codec: record[4] as u8, value, overhead },
            Err(Fault(status)) => {
                raw::clear_exception(env);
                let text = format!("the answer could not be read (status {status})");
                Answer { failed: true, value: Value::String(text), ..Answer::default() }
            }
        };
        pool.js_answer(worker, id, answer);
    }
    Ok(())
}

/// Fills in what a worker is to begin now; returns how much, -1 when it is not in the pool any more.
fn fetch(
    env: sys::napi_env,
    pool: &Arc<Pool>,
    worker: u32,
    spin: bool,
    (records, values): (sys::napi_value, sys::napi_value),
) -> Raw<f64> {
    let mut total = 0;
    loop {
        let (mut mails, mut taken) = (Vec::new(), Vec::new());
        if !pool.js_turn(worker, spin, &mut mails, &mut taken) {
            return Ok(-1.0);
        }
        let nothing = mails.is_empty() && taken.is_empty();
        // SAFETY: creating values runs no JavaScript.
        let records = unsafe { raw::doubles(env, records) }?;
        let mut records = records.as_chunks_mut::<TASK>().0.iter_mut();
        let mut out = Out { env, values, used: 0 };
        // What was taken is begun or answered, whatever the engine says.
        for mail in mails {
            match out.mail(mail) {
                Ok(filled) => {
                    if let Some(record) = records.next() {
                        *record = filled;
                        total += 1;
                    }
                }
                Err(_) => raw::clear_exception(env),
            }
        }
        for task in taken {
            let id = task.id;
            if let Ok(filled) = out.task(task)
                && let Some(record) = records.next()
            {
                *record = filled;
                total += 1;
            } else {
                raw::clear_exception(env);
                let text = "the engine had no room for the input".to_owned();
                let answer = Answer { failed: true, value: Value::String(text), ..Answer::default() };
                pool.js_answer(worker, id, answer);
            }
        }
        // A worker that is told of nothing waits to be rung.
        if nothing || total > 0 {
            return Ok(f64::from(total));
        }
    }
}

/// `openSeat()`: a handle of this env for the pool that it is a worker of.
pub(crate) unsafe extern "C" fn open_seat(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([_unused], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let seat = state.seat.as_ref().ok_or(Fault(sys::Status::napi_generic_failure))?;
        let pool = seat.pool.clone();
        let sink = pool.attach(&state.sink);
        let handle = state.add_pool(OwnedPool { pool, sink, owned: false });
        raw::new_number(env, handle as f64)
    })
}

/// `forgetTasks(count)`: nobody will report these tasks of a worker any more.
pub(crate) unsafe extern "C" fn forget_tasks(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([count], data) = raw::arguments::<1>(env, info)?;
        let count = raw::number(env, count)? as u32;
        // SAFETY: one of our functions.
        unsafe { state(data) }.let_go(env, count);
        raw::undefined(env)
    })
}

/// `reportTasks(added, completed, errored, codec, details)`: tells the owner of tasks that this worker submitted.
pub(crate) unsafe extern "C" fn report_tasks(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([added, completed, errored, codec, details], data) = raw::arguments::<5>(env, info)?;
        let details = (raw::number(env, codec)? as u8, own_value(env, details)?);
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        if let Some(seat) = &state.seat {
            let counts = [raw::number(env, added)?, raw::number(env, completed)?, raw::number(env, errored)?];
            seat.pool.js_report(seat.index, counts.map(|count| count as u32), details);
        }
        raw::undefined(env)
    })
}

/// `setBlocked(idIndex, idGeneration, blocked)`: whether a task that this worker runs waits for others.
pub(crate) unsafe extern "C" fn set_blocked(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([index, generation, blocked], data) = raw::arguments::<3>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let id = task_id(env, index, generation)?;
        let blocked = raw::boolean(env, blocked)?;
        if let Some(seat) = &state.seat {
            seat.pool.js_block(id, blocked);
        }
        raw::undefined(env)
    })
}

fn read(env: sys::napi_env, tag: f64, payload: f64, values: sys::napi_value) -> Raw<Value> {
    Ok(match tag as u32 {
        0 => Value::Undefined,
        1 => Value::Null,
        2 => Value::Bool(true),
        3 => Value::Bool(false),
        4 => Value::Number(payload),
        _ => own_value(env, raw::element(env, values, payload as u32)?)?,
    })
}

struct Out {
    env: sys::napi_env,
    values: sys::napi_value,
    used: u32,
}

impl Out {
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

    fn mail(&mut self, mail: JsMail) -> Raw<[f64; TASK]> {
        let pair = Value::List(vec![Value::String(mail.message_type), mail.contents]);
        Ok([0.0, 0.0, 9.0, self.push(&pair)?, f64::from(mail.codec), -1.0])
    }

    fn task(&mut self, JsTask { id, job }: JsTask) -> Raw<[f64; TASK]> {
        let (tag, payload) = match &job.input {
            Payload::Number(number) => (4.0, *number),
            Payload::Value(value) => self.value(value)?,
        };
        let options = match &job.options {
            Some(options) => self.push(options)?,
            None => -1.0,
        };
        Ok([f64::from(id.index), f64::from(id.generation), tag, payload, f64::from(job.codec), options])
    }
}
