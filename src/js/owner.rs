//! Stage: submit and run. Thread: the owner env of a pool.
//! What the owner of a pool says and asks about its JS workers.

#![expect(unsafe_code, reason = "functions for Node-API")]

use super::{fetch, give, own_value, task_id};
use crate::call::{Env, Info, Js, on_env, on_pool};
use crate::payload::encode;
use crate::raw::{self, Raw};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use threadmill_core::pool::{JsMail, MAIN, Parting, Pool, Retire, Visit, clock};
use threadmill_core::value::Value;

/// Pools that workers may attach to, by id.
static POOLS: parking_lot::Mutex<Option<HashMap<u32, Weak<Pool>>>> = parking_lot::Mutex::new(None);

/// The pool with that id, if workers may still attach to it.
pub(super) fn shared_pool(id: u32) -> Option<Arc<Pool>> {
    POOLS.lock().as_ref().and_then(|pools| pools.get(&id)?.upgrade())
}

fn index(env: Env, value: Js) -> Raw<u32> {
    Ok(raw::number(env, value)? as u32)
}

/// 0 it crashed, 1 the pool is closed, 2 the entry module cannot be used, 3 it was ended for a task that was given up, 4 the
/// system has refused its thread.
fn parting(env: Env, value: Js) -> Raw<Parting> {
    Ok(match index(env, value)? {
        0 => Parting::Crashed,
        1 => Parting::Closed,
        2 => Parting::Unusable,
        3 => Parting::Evicted,
        _ => Parting::Refused,
    })
}

fn numbers(env: Env, numbers: impl IntoIterator<Item = f64>) -> Raw<Js> {
    encode(env, &Value::List(numbers.into_iter().map(Value::Number).collect()), None)
}

/// `shareWorkers(pool, most)`: the id under which workers attach to the pool; there are at most that many.
pub(crate) unsafe extern "C" fn share(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, most]| {
        pool.js_set_limit(index(env, most)?);
        let mut pools = POOLS.lock();
        let pools = pools.get_or_insert_default();
        pools.retain(|_, pool| pool.strong_count() > 0);
        pools.insert(pool.id(), Arc::downgrade(pool));
        raw::new_number(env, f64::from(pool.id()))
    })
}

/// `setWorkerLimit(pool, most)`: there are at most that many JS workers from now on.
pub(crate) unsafe extern "C" fn set_limit(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, most]| {
        pool.js_set_limit(index(env, most)?);
        raw::undefined(env)
    })
}

/// `joinWorker(pool, index)`: a worker is being launched.
pub(crate) unsafe extern "C" fn join(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, worker]| raw::new_boolean(env, pool.js_join(index(env, worker)?)))
}

/// `serveEach(pool)`: each JS worker that is there gets one of the next tasks.
pub(crate) unsafe extern "C" fn serve_each(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_]| {
        pool.js_serve_each();
        raw::undefined(env)
    })
}

/// `leaveWorker(pool, index, parting, reason)`: a worker has gone. Returns how many tasks of the lane wait, and how many
/// of the worker's own run again, and have failed.
pub(crate) unsafe extern "C" fn leave(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, worker, why, reason]| {
        let left = pool.js_leave(index(env, worker)?, parting(env, why)?, &raw::string(env, reason)?);
        numbers(env, [left.waiting as f64, left.repeated as f64, left.failed as f64])
    })
}

/// `retireWorker(pool, index, which)`: lets a worker take no more tasks; 1 if it runs nothing, 2 if it has begun one. Whether
/// it does.
pub(crate) unsafe extern "C" fn retire(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, worker, which]| {
        let which = match index(env, which)? {
            0 => Retire::Any,
            1 => Retire::Idle,
            _ => Retire::Used,
        };
        raw::new_boolean(env, pool.js_retire(index(env, worker)?, which))
    })
}

/// `idleWorkers(pool)`: index and time without a task, ms, of each JS worker that runs nothing, one after the other.
pub(crate) unsafe extern "C" fn idle_workers(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| {
        let now = clock::now();
        let idle = pool.js_idle_since();
        numbers(
            env,
            idle.into_iter()
                .flat_map(|(index, since)| [f64::from(index), now.saturating_sub(since) as f64 / 1e6]),
        )
    })
}

/// `busyWorkers(pool)`: how many JS workers run something.
pub(crate) unsafe extern "C" fn busy_workers(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| raw::new_number(env, pool.js_busy() as f64))
}

/// `missingWorkers(pool)`: numbers that no worker has, and which tasks wait for.
pub(crate) unsafe extern "C" fn missing(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| numbers(env, pool.js_missing().into_iter().map(f64::from)))
}

/// `runsTask(pool, index, idIndex, idGeneration)`: whether a worker still runs that task.
pub(crate) unsafe extern "C" fn runs_task(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, worker, at, generation]| {
        raw::new_boolean(env, pool.js_runs(index(env, worker)?, task_id(env, at, generation)?))
    })
}

/// `mayEvict(pool, index)`: whether the thread of a worker may be ended for the sake of a task that was given up.
pub(crate) unsafe extern "C" fn may_evict(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, worker]| raw::new_boolean(env, pool.js_may_evict(index(env, worker)?)))
}

/// `unfinishedTasks(pool)`: how many tasks of the JS lane wait or run, without those that were given up.
pub(crate) unsafe extern "C" fn unfinished_tasks(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| raw::new_number(env, pool.js_unfinished() as f64))
}

/// `stuckWorkers(pool)`: how many JS workers run nothing but tasks that were given up.
pub(crate) unsafe extern "C" fn stuck_workers(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| raw::new_number(env, pool.js_stuck() as f64))
}

/// `idleWorker(pool)`: a JS worker that would begin a task at once, or -1.
pub(crate) unsafe extern "C" fn idle_worker(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_unused]| raw::new_number(env, pool.js_idle().map_or(-1.0, f64::from)))
}

/// `rejectWaiting(pool, parting, reason)`: rejects every task of the JS lane that has not begun.
pub(crate) unsafe extern "C" fn reject_waiting(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, why, reason]| {
        pool.js_reject_waiting(parting(env, why)?, &raw::string(env, reason)?);
        raw::undefined(env)
    })
}

/// `postToWorker(pool, index, type, codec, contents, isKept)`: whether there is such a worker.
pub(crate) unsafe extern "C" fn post_to_worker(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, worker, message_type, codec, contents, kept]| {
        let mail = JsMail {
            message_type: raw::string(env, message_type)?,
            codec: raw::number(env, codec)? as u8,
            contents: own_value(env, contents)?,
        };
        raw::new_boolean(env, pool.js_post(index(env, worker)?, mail, raw::boolean(env, kept)?))
    })
}

/// `exchangeMain(pool, answers, count, answerValues, tasks, taskValues)`: as `exchange`, for the thread that owns the pool.
pub(crate) unsafe extern "C" fn exchange_main(env: Env, info: Info) -> Js {
    on_pool(env, info, |state, pool, [_, answers, count, answer_values, tasks, task_values]| {
        let memories = &mut state.memories;
        give(env, pool, MAIN, (answers, count, answer_values, None), memories)?;
        raw::new_number(env, fetch(env, pool, MAIN, Visit::Tasks, (tasks, task_values, None), memories)?)
    })
}

/// `mainIsWanted(pool, idIndex, idGeneration)`: as `isWanted`, for the thread that owns the pool.
pub(crate) unsafe extern "C" fn main_is_wanted(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, at, generation]| {
        raw::new_boolean(env, pool.js_is_wanted(MAIN, task_id(env, at, generation)?))
    })
}

/// `blockMain(pool, idIndex, idGeneration, blocked)`: as `setBlocked`, for the thread that owns the pool.
pub(crate) unsafe extern "C" fn block_main(env: Env, info: Info) -> Js {
    on_pool(env, info, |_, pool, [_, at, generation, blocked]| {
        pool.js_block(task_id(env, at, generation)?, raw::boolean(env, blocked)?);
        raw::undefined(env)
    })
}

/// `joinMain(pool)`: this thread, which owns the pool, runs tasks of it from now on.
pub(crate) unsafe extern "C" fn join_main(env: Env, info: Info) -> Js {
    on_pool(env, info, |state, pool, [_unused]| {
        raw::new_boolean(env, pool.js_join(MAIN) && pool.js_attach(MAIN, state.port.clone(), None))
    })
}

/// `forgetTasks(count)`: nobody will report these tasks of a worker any more.
pub(crate) unsafe extern "C" fn forget_tasks(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [count]| {
        state.let_go(env, raw::number(env, count)? as u32);
        raw::undefined(env)
    })
}
