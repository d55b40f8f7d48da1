//! Stage: submit. Thread: owner env only.
//! The calls that are not hot: create and close pools, cancel, look inside.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::env::{OwnedPool, state};
use crate::payload::{Keep, decode, encode};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::sync::Arc;
use threadmill_core::kernel::{Detached, Input, KernelContext};
use threadmill_core::kernels as registry;
use threadmill_core::pool::{Pin, Pool, PoolOptions, Sizing};
use threadmill_core::scheduler::{Schedule, TaskId};
use threadmill_core::value::Value;

/// `kernels()`: what every kernel of this build takes and gives, as JSON, in the order of their numbers.
pub(crate) unsafe extern "C" fn kernels(
    env: sys::napi_env,
    _info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let infos: Vec<_> = registry::all().iter().map(|kernel| kernel.info()).collect();
        json(env, &infos)
    })
}

fn json(env: sys::napi_env, value: &impl serde::Serialize) -> Raw<sys::napi_value> {
    let text = serde_json::to_string(value).map_err(|_| Fault(sys::Status::napi_generic_failure))?;
    raw::new_string(env, &text)
}

/// A value that is read for this call only: typed arrays are copied.
fn read(env: sys::napi_env, value: sys::napi_value) -> Raw<Value> {
    let mut keep = Keep::new(raw::new_array(env, 0)?, 0);
    decode(env, value, &mut keep, 0)
}

/// `createPool({ name, threads?, capacity?, schedule, pin?, nice?, workerConcurrency?, eager?, recycleTasks? })`: a handle. The
/// options have been checked.
pub(crate) unsafe extern "C" fn create(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([options], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let options = read(env, options)?;
        let number = |name: &str| options.get(name).and_then(Value::as_number);
        let pin = match options.get("pin") {
            Some(Value::String(text)) if text == "compact" => Some(Pin::Compact),
            Some(Value::String(_)) => Some(Pin::Spread),
            Some(Value::List(cpus)) => {
                Some(Pin::List(cpus.iter().filter_map(Value::as_number).map(|cpu| cpu as usize).collect()))
            }
            _ => None,
        };
        let longest_first = options.get("schedule").and_then(Value::as_str) == Some("longest-first");
        let pool = Pool::new(PoolOptions {
            name: options.get("name").and_then(Value::as_str).unwrap_or("pool").to_owned(),
            sizing: Sizing::new(number("threads").map(|threads| threads as u32)),
            capacity: number("capacity").map_or(usize::MAX, |capacity| capacity as usize),
            schedule: if longest_first { Schedule::LongestFirst } else { Schedule::Fifo },
            pin,
            nice: number("nice").map(|nice| nice as i32),
            worker_concurrency: number("workerConcurrency").map_or(1, |count| count as u32),
            recycle_tasks: number("recycleTasks").map_or(0, |tasks| tasks as u64),
            eager: !matches!(options.get("eager"), Some(Value::Bool(false))),
        });
        let owned = OwnedPool { sink: pool.attach(&state.sink), pool, owned: true };
        let handle = state.add_pool(owned);
        raw::new_number(env, handle as f64)
    })
}

/// `closePool(handle, mode)`: 0 finishes everything, 1 rejects what waits, 2 rejects everything. Asked again with a
/// higher mode it ends sooner. Only the first call is answered with a "pool closed" record.
pub(crate) unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, mode, first], data) = raw::arguments::<3>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let (handle, mode) = (raw::number(env, handle)? as u32, raw::number(env, mode)? as u32);
        let first = raw::boolean(env, first)?;
        if let Some(pool) = state.pool(handle).map(|owned| owned.pool.clone()) {
            if first {
                state.hold(env, 1);
                pool.close(&state.sink);
            }
            if mode >= 1 {
                pool.reject_waiting();
            }
            if mode >= 2 {
                pool.abandon_running();
            }
        }
        raw::undefined(env)
    })
}

/// `cancel(pool, slot)`: whether this call ended the task of that pool. Its record follows.
pub(crate) unsafe extern "C" fn cancel(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let (pool, id) = find(env, info)?;
        raw::new_boolean(env, pool.zip(id).is_some_and(|(pool, id)| pool.cancel(id)))
    })
}

/// The pool and the task that `(pool, slot)` names.
fn find(env: sys::napi_env, info: sys::napi_callback_info) -> Raw<(Option<Arc<Pool>>, Option<TaskId>)> {
    let ([pool, slot], data) = raw::arguments::<2>(env, info)?;
    // SAFETY: one of our functions.
    let state = unsafe { state(data) };
    let pool = state.pool(raw::number(env, pool)? as u32).map(|owned| owned.pool.clone());
    if let Some(pool) = &pool {
        // Only what is in the scheduler has an id.
        pool.ingest();
    }
    Ok((pool, state.port.ids.get(raw::number(env, slot)? as u32)))
}

/// `inspect(pool, slot)`: the native worker that is running the task of that pool, or -1.
pub(crate) unsafe extern "C" fn inspect(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let (pool, id) = find(env, info)?;
        let worker = pool.zip(id).and_then(|(pool, id)| pool.worker_of(id));
        raw::new_number(env, worker.map_or(-1.0, f64::from))
    })
}

/// `resizeThreads(handle, threads)`: sets the number of native workers.
pub(crate) unsafe extern "C" fn resize_threads(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle, threads], data) = raw::arguments::<2>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let threads = raw::number(env, threads)? as u32;
        if let Some(owned) = state.pool(raw::number(env, handle)? as u32) {
            owned.pool.resize(threads);
        }
        raw::undefined(env)
    })
}

/// `parallelism()`: how many threads the system grants this process now, and why, as JSON.
pub(crate) unsafe extern "C" fn parallelism(
    env: sys::napi_env,
    _info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || json(env, &Sizing::new(None)))
}

/// `keyFigures(handle)`: times of the tasks of a pool by key, as JSON.
pub(crate) unsafe extern "C" fn key_figures(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        match state.pool(raw::number(env, handle)? as u32) {
            Some(owned) => json(env, &owned.pool.key_figures()),
            None => raw::undefined(env),
        }
    })
}

/// `figures(handle)`: the figures of a pool as JSON.
pub(crate) unsafe extern "C" fn figures(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        match state.pool(raw::number(env, handle)? as u32) {
            Some(owned) => json(env, &owned.pool.figures()),
            None => raw::undefined(env),
        }
    })
}

/// `runSync(kernel, input, options)`: runs a kernel on the calling thread, in the caller's own memory. For benchmarks
/// and tests; not public.
pub(crate) unsafe extern "C" fn run_sync(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([name, input, options], _data) = raw::arguments::<3>(env, info)?;
        let held = raw::new_array(env, 0)?;
        let mut keep = Keep::new(held, 0);
        let value = decode(env, input, &mut keep, 0)?;
        let options = decode(env, options, &mut keep, 0)?;
        let name = raw::string(env, name)?;
        let (_, kernel) = registry::find(&name).ok_or(Fault(sys::Status::napi_invalid_arg))?;
        let output = kernel
            .run(Input { value, options }, &KernelContext::new(&Detached))
            .map_err(|_| Fault(sys::Status::napi_generic_failure))?;
        let list = raw::element(env, held, 0)?;
        let list = raw::is_array(env, list)?.then_some(list);
        encode(env, &output, list)
    })
}

/// `releasePool(handle)`: forgets a pool that has closed; the handle may be given out again.
pub(crate) unsafe extern "C" fn release(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([handle], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        let handle = raw::number(env, handle)? as usize;
        if let Some(owned) = state.pools.get_mut(handle) {
            *owned = None;
        }
        raw::undefined(env)
    })
}

/// `addressOf(view)`: the address of a typed array's memory. For tests; not public.
pub(crate) unsafe extern "C" fn address_of(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    raw::guard(env, || {
        let ([view], _data) = raw::arguments::<1>(env, info)?;
        raw::new_number(env, raw::view(env, view)?.data as usize as f64)
    })
}
