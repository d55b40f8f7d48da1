//! Stage: submit. Thread: owner env only.
//! The calls that are not hot: create and close pools, cancel, look inside.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::call::{Env, Info, Js, on_env, on_pool, on_pool_if_any};
use crate::env::OwnedPool;
use crate::payload::{Keep, decode, encode};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::sync::Arc;
use threadmill_core::kernel::{Detached, Input, KernelContext};
use threadmill_core::kernels as registry;
use threadmill_core::pool::{Pin, Pool, PoolOptions, Sizing, Whereabouts, clock};
use threadmill_core::scheduler::{LearnedCost, Schedule, TaskId};
use threadmill_core::value::Value;

/// `kernels()`: the names of the kernels of this build, in the order of their numbers.
pub(crate) unsafe extern "C" fn kernels(env: Env, _info: Info) -> Js {
    raw::guard(env, || {
        let names = raw::new_array(env, registry::all().len())?;
        for (index, kernel) in registry::all().iter().enumerate() {
            raw::set_element(env, names, index as u32, raw::new_string(env, kernel.info().name)?)?;
        }
        Ok(names)
    })
}

/// `kernel(number)`: what a kernel takes and gives, as JSON.
pub(crate) unsafe extern "C" fn kernel(env: Env, info: Info) -> Js {
    raw::guard(env, || {
        let ([number], _) = raw::arguments(env, info)?;
        match registry::all().get(raw::number(env, number)? as usize) {
            Some(kernel) => json(env, kernel.info()),
            None => raw::undefined(env),
        }
    })
}

/// A value as JSON.
pub(crate) fn json(env: Env, value: &impl serde::Serialize) -> Raw<Js> {
    let text = serde_json::to_string(value).map_err(|_| Fault(sys::Status::napi_generic_failure))?;
    raw::new_string(env, &text)
}

/// A value that is read for this call only: typed arrays are copied.
fn read(env: Env, value: Js) -> Raw<Value> {
    let mut keep = Keep::new(raw::new_array(env, 0)?, 0);
    decode(env, value, &mut keep, 0)
}

/// `createPool({ name, threads?, capacity?, schedule, pin?, nice?, trimWhenIdle?, workerConcurrency?, eager?, recycleTasks? })`: a handle,
/// how many native workers there may be now, and how many at most. The options have been checked.
pub(crate) unsafe extern "C" fn create(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [options]| {
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
            trims: !matches!(options.get("trimWhenIdle"), Some(Value::Bool(false))),
            worker_concurrency: number("workerConcurrency").map_or(1, |count| count as u32),
            recycle_tasks: number("recycleTasks").map_or(0, |tasks| tasks as u64),
            eager: !matches!(options.get("eager"), Some(Value::Bool(false))),
        });
        let (now, at_most) = (pool.active_threads(), pool.threads());
        let owned = OwnedPool { sink: pool.attach(&state.sink), pool, owned: true };
        let handle = state.add_pool(owned);
        let numbers = raw::new_array(env, 3)?;
        for (index, number) in [handle as f64, f64::from(now), f64::from(at_most)].into_iter().enumerate() {
            raw::set_element(env, numbers, index as u32, raw::new_number(env, number)?)?;
        }
        Ok(numbers)
    })
}

/// `closePool(handle, mode)`: 0 finishes everything, 1 rejects what waits, 2 rejects everything. Asked again with a
/// higher mode it ends sooner. Only the first call is answered with a "pool closed" record.
pub(crate) unsafe extern "C" fn close(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |state, pool, [_, mode, first]| {
        let (mode, first) = (raw::number(env, mode)? as u32, raw::boolean(env, first)?);
        if let Some(pool) = pool {
            if first {
                state.hold(env, 1);
                pool.close(&state.sink);
            }
            match mode {
                0 => {}
                1 => pool.reject_waiting(),
                _ => pool.reject_everything(),
            }
        }
        raw::undefined(env)
    })
}

/// `cancel(pool, slot)`: whether this call ended the task of that pool. Its record follows.
pub(crate) unsafe extern "C" fn cancel(env: Env, info: Info) -> Js {
    on_task(env, info, |task| raw::new_boolean(env, task.is_some_and(|(pool, id)| pool.cancel(id))))
}

/// A call `(pool, slot)`: the pool and the task that these name, if they still do.
fn on_task(env: Env, info: Info, body: impl FnOnce(Option<(&Arc<Pool>, TaskId)>) -> Raw<Js>) -> Js {
    on_pool_if_any(env, info, |state, pool, [_, slot]| {
        let slot = raw::number(env, slot)? as u32;
        // Only what is in the scheduler has an id.
        let mut id = state.port.ids.get(slot);
        if let Some(pool) = &pool
            && id.is_none()
        {
            pool.ingest_wholly();
            id = state.port.ids.get(slot);
        }
        body(pool.as_ref().zip(id))
    })
}

/// `inspect(pool, slot)`: the worker that is running the task of that pool; -1 when it waits for one, -2 when nobody knows of it
/// any more.
pub(crate) unsafe extern "C" fn inspect(env: Env, info: Info) -> Js {
    on_task(env, info, |task| {
        let whereabouts = task.map_or(Whereabouts::Gone, |(pool, id)| pool.whereabouts(id));
        let number = match whereabouts {
            Whereabouts::Running(worker) => f64::from(worker),
            Whereabouts::Waiting => -1.0,
            Whereabouts::Gone => -2.0,
        };
        raw::new_number(env, number)
    })
}

/// `resizeThreads(handle, threads)`: sets the number of native workers.
pub(crate) unsafe extern "C" fn resize_threads(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |_, pool, [_, threads]| {
        let threads = raw::number(env, threads)? as u32;
        if let Some(pool) = pool {
            pool.resize(threads);
        }
        raw::undefined(env)
    })
}

/// `parallelism()`: how many threads the system grants this process now, and why, as JSON.
pub(crate) unsafe extern "C" fn parallelism(env: Env, _info: Info) -> Js {
    raw::guard(env, || json(env, &Sizing::new(None)))
}

/// `cpuQuota()`: CPUs that the cgroups grant this process now, as JSON.
pub(crate) unsafe extern "C" fn cpu_quota(env: Env, _info: Info) -> Js {
    raw::guard(env, || json(env, &threadmill_core::pool::cpu_quota()))
}

/// `now()`: the monotonic clock that tasks are timed with, in ms.
pub(crate) unsafe extern "C" fn now(env: Env, _info: Info) -> Js {
    raw::guard(env, || raw::new_number(env, clock::now() as f64 / 1e6))
}

/// `keyFigures(handle)`: times of the tasks of a pool by key, as JSON.
pub(crate) unsafe extern "C" fn key_figures(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |_, pool, [_]| match pool {
        Some(pool) => json(env, &pool.key_figures()),
        None => raw::undefined(env),
    })
}

/// `learnedCosts(handle)`: `[[key, ms, runs], ...]` as JSON, least recently used first.
pub(crate) unsafe extern "C" fn learned_costs(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_]| {
        let costs = pool.learned_costs();
        let rows: Vec<_> = costs.iter().map(|cost| (&cost.name, cost.nanos / 1e6, cost.count)).collect();
        json(env, &rows)
    })
}

/// `learnedCost(handle, key)`: what tasks of that key take, in ms; -1 when that is not known.
pub(crate) unsafe extern "C" fn learned_cost(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |_, pool, [_, key]| {
        let name = raw::string(env, key)?;
        let cost = pool.and_then(|pool| pool.learned_cost(&name));
        raw::new_number(env, cost.map_or(-1.0, |nanos| nanos as f64 / 1e6))
    })
}

/// `learnCosts(handle, keys, figures)`: takes over what was learned elsewhere; `figures` has ms and runs of each key.
pub(crate) unsafe extern "C" fn learn_costs(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, keys, figures]| {
        // SAFETY: no JavaScript runs while the slice is in use: keys are strings.
        let figures = unsafe { raw::doubles(env, figures) }?;
        let mut learned = Vec::with_capacity(figures.len() / 2);
        for (at, [millis, runs]) in figures.as_chunks::<2>().0.iter().enumerate() {
            let name = raw::scoped(env, || raw::string(env, raw::element(env, keys, at as u32)?))?;
            learned.push(LearnedCost { name, nanos: millis * 1e6, count: *runs as u64 });
        }
        pool.learn_costs(learned);
        raw::undefined(env)
    })
}

/// `figures(handle)`: the figures of a pool as JSON.
pub(crate) unsafe extern "C" fn figures(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |_, pool, [_]| match pool {
        Some(pool) => json(env, &pool.figures()),
        None => raw::undefined(env),
    })
}

/// `runSync(kernel, input, options)`: runs a kernel on the calling thread, in the caller's own memory. For benchmarks
/// and tests; not public.
pub(crate) unsafe extern "C" fn run_sync(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [name, input, options]| {
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
pub(crate) unsafe extern "C" fn release(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [handle]| {
        let handle = raw::number(env, handle)? as usize;
        if let Some(owned) = state.pools.get_mut(handle) {
            *owned = None;
        }
        raw::undefined(env)
    })
}

/// `addressOf(view)`: the address of a typed array's memory. For tests; not public.
pub(crate) unsafe extern "C" fn address_of(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [view]| raw::new_number(env, raw::view(env, view)?.data as usize as f64))
}
