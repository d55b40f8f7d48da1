//! Stage: run. Thread: the env of a JS worker.
//! What a JS worker says and asks about the tasks of its pool.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use super::{fetch, give, own_value, owner, task_id};
use crate::call::{Env, Info, Js, on_env};
use crate::env::{OwnedPool, Seat};
use crate::raw::{self, Fault};
use napi::sys;
use threadmill_core::pool::JsMail;
use threadmill_core::scheduler::TaskId;

/// `isWanted(idIndex, idGeneration)`: whether a task that this worker runs has not been given up.
pub(crate) unsafe extern "C" fn is_wanted(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [index, generation]| {
        let id = task_id(env, index, generation)?;
        raw::new_boolean(env, state.seat.as_ref().is_some_and(|seat| seat.pool.js_is_wanted(seat.index, id)))
    })
}

/// `wantInput(key)`: this worker has begun a task whose input the owner keeps.
pub(crate) unsafe extern "C" fn want_input(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [key]| {
        let key = raw::number(env, key)?;
        if let Some(seat) = &state.seat {
            seat.pool.js_want(seat.index, key);
        }
        raw::undefined(env)
    })
}

/// `gotInput(idIndex, idGeneration)`: the input of a task that this worker has begun has come.
pub(crate) unsafe extern "C" fn got_input(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [index, generation]| {
        let id = task_id(env, index, generation)?;
        if let Some(seat) = &state.seat {
            seat.pool.js_got(seat.index, id);
        }
        raw::undefined(env)
    })
}

/// `attachWorker(poolId, index)`: this env is a worker of that pool from now on and may send messages; tasks and messages
/// come from its first `exchange` on. `false` when there is no such pool any more.
pub(crate) unsafe extern "C" fn attach(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [id, index]| {
        let (id, index) = (raw::number(env, id)? as u32, raw::number(env, index)? as u32);
        let pool = owner::shared_pool(id);
        state.seat = pool.map(|pool| Seat { pool, index, attached: false });
        raw::new_boolean(env, state.seat.is_some())
    })
}

/// `postToPool(type, codec, contents, idIndex, idGeneration)`: a message of this worker, about a task that it runs unless
/// `idIndex` is below 0.
pub(crate) unsafe extern "C" fn post_to_pool(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [message_type, codec, contents, index, generation]| {
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
pub(crate) unsafe extern "C" fn report_progress(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [index, generation, done, total]| {
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
pub(crate) unsafe extern "C" fn exchange(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [answers, count, answer_values, tasks, task_values, take, spin]| {
        let (take, spin) = (raw::boolean(env, take)?, raw::boolean(env, spin)?);
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

/// `openSeat()`: a handle of this env for the pool that it is a worker of.
pub(crate) unsafe extern "C" fn open_seat(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [_unused]| {
        let seat = state.seat.as_ref().ok_or(Fault(sys::Status::napi_generic_failure))?;
        let pool = seat.pool.clone();
        let sink = pool.attach(&state.sink);
        pool.name_sink(sink, seat.index);
        let handle = state.add_pool(OwnedPool { pool, sink, owned: false });
        raw::new_number(env, handle as f64)
    })
}

/// `reportTasks(added, completed, errored, codec, details)`: tells the owner of tasks that this worker submitted.
pub(crate) unsafe extern "C" fn report_tasks(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [added, completed, errored, codec, details]| {
        let details = (raw::number(env, codec)? as u8, own_value(env, details)?);
        if let Some(seat) = &state.seat {
            let counts = [raw::number(env, added)?, raw::number(env, completed)?, raw::number(env, errored)?];
            seat.pool.js_report(seat.index, counts.map(|count| count as u32), details);
        }
        raw::undefined(env)
    })
}

/// `setBlocked(idIndex, idGeneration, blocked)`: whether a task that this worker runs waits for others.
pub(crate) unsafe extern "C" fn set_blocked(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [index, generation, blocked]| {
        let id = task_id(env, index, generation)?;
        let blocked = raw::boolean(env, blocked)?;
        if let Some(seat) = &state.seat {
            seat.pool.js_block(id, blocked);
        }
        raw::undefined(env)
    })
}
