//! Stage: all. Thread: the owner env of a pool.
//! What a pool has recorded for its timeline, and timelines that are to be written when the process ends.

#![expect(unsafe_code, reason = "functions for Node-API")]

use crate::call::{Env, Info, Js, on_env, on_pool, on_pool_if_any};
use crate::payload::encode;
use crate::raw;
use std::sync::Arc;
use threadmill_core::pool::clock;
use threadmill_core::value::{Array, Value};

/// Bytes of all parts together: a trace that is longer is of no use to anybody.
const MOST: usize = 1 << 29;

/// Parts of the file of this process, of all its envs.
static PARTS: parking_lot::Mutex<Vec<Arc<str>>> = parking_lot::Mutex::new(Vec::new());

/// `traceStart(pool, capacity)`: begins to record.
pub(crate) unsafe extern "C" fn start(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, capacity]| {
        let capacity = raw::number(env, capacity)? as usize;
        pool.start_trace(capacity);
        raw::undefined(env)
    })
}

/// `traceNow()`: the time, ns.
pub(crate) unsafe extern "C" fn now(env: Env, _info: Info) -> Js {
    raw::guard(env, || raw::new_number(env, clock::now() as f64))
}

/// `traceStop(pool)`: ends it and forgets what was recorded.
pub(crate) unsafe extern "C" fn stop(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |_, pool, [_]| {
        if let Some(pool) = pool {
            pool.stop_trace();
        }
        raw::undefined(env)
    })
}

/// `traceRead(pool)`: `[words, rings, names, seats, now, id]`, see `Recording`; of pairs one number after the other.
pub(crate) unsafe extern "C" fn read(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| {
        let recording = pool.read_trace();
        let numbers = |numbers: Vec<f64>| Value::List(numbers.into_iter().map(Value::Number).collect());
        let rings = recording.rings.iter().flat_map(|(kept, lost)| [*kept as f64, *lost as f64]);
        let seats = recording.seats.iter().flat_map(|(sink, worker)| [f64::from(*sink), f64::from(*worker)]);
        let parts = vec![
            Value::Array(Array::from_vec(recording.words)),
            numbers(rings.collect()),
            Value::List(recording.names.into_iter().map(Value::String).collect()),
            numbers(seats.collect()),
            Value::Number(recording.now as f64),
            Value::Number(f64::from(pool.id())),
        ];
        encode(env, &Value::List(parts), None)
    })
}

/// `keepTrace(text)`: adds a part to the file of the process; whether there was room.
pub(crate) unsafe extern "C" fn keep(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [text]| {
        let text = raw::string(env, text)?;
        let mut parts = PARTS.lock();
        let has_room = parts.iter().map(|part| part.len()).sum::<usize>() + text.len() <= MOST;
        if has_room {
            parts.push(text.into());
        }
        raw::new_boolean(env, has_room)
    })
}

/// `keptTrace(index)`: a part, for all together may not fit into a heap; `undefined` after the last.
pub(crate) unsafe extern "C" fn kept(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [index]| {
        let index = raw::number(env, index)? as usize;
        let part = PARTS.lock().get(index).cloned();
        part.map_or_else(|| raw::undefined(env), |text| raw::new_string(env, &text))
    })
}
