//! Stage: run. Thread: the env of a JS worker.
//! What a JS worker says and asks about the tasks of its pool.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use super::{fetch, give, own_value, owner, task_id};
use crate::call::{Env, Info, Js, on_env};
use crate::env::{OwnedPool, Seat};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::ffi::c_void;
use std::sync::Arc;
use threadmill_core::pool::{Board, JsMail, Visit};
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
/// come from its first `exchange` on. The memory of its board; `true` where the engine takes no memory of others, and
/// `false` when there is no such pool any more.
pub(crate) unsafe extern "C" fn attach(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [id, index]| {
        let (id, index) = (raw::number(env, id)? as u32, raw::number(env, index)? as u32);
        let Some(pool) = owner::shared_pool(id) else { return raw::new_boolean(env, false) };
        let board = Arc::new(Board::default());
        let memory = share_board(env, &board);
        let board = memory.is_ok().then_some(board);
        state.seat = Some(Seat { pool, index, attached: false, board });
        memory.or_else(|_| raw::new_boolean(env, true))
    })
}

/// The memory of a board as an `ArrayBuffer`, which keeps it alive.
fn share_board(env: Env, board: &Arc<Board>) -> Raw<Js> {
    let (memory, length) = board.memory();
    let (owner, mut buffer) = (Arc::into_raw(board.clone()), std::ptr::null_mut());
    // SAFETY: the memory stays where it is as long as the board, whose reference the finaliser gives back. What others touch
    // while this thread lives is read and written atomically, here and in JavaScript.
    let made = raw::check(unsafe {
        sys::napi_create_external_arraybuffer(
            env,
            memory.cast_mut().cast(),
            length,
            Some(let_board_go),
            owner.cast_mut().cast(),
            &raw mut buffer,
        )
    });
    if let Err(fault) = made {
        // SAFETY: the finaliser of what was not made is not called.
        drop(unsafe { Arc::from_raw(owner) });
        return Err(fault);
    }
    Ok(buffer)
}

unsafe extern "C" fn let_board_go(_env: sys::napi_env, _data: *mut c_void, owner: *mut c_void) {
    // SAFETY: the reference that `share_board` gave away.
    drop(unsafe { Arc::from_raw(owner.cast::<Board>().cast_const()) });
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

/// `exchange(answers, count, answerValues, tasks, taskValues, visit, answerWords, taskWords)`: hands `count` answers over and, unless `visit` is 0,
/// fills in messages (1), and tasks too (2), after looking out for a moment if there are none (3). Returns how many; -1 when
/// this worker has no pool any more.
pub(crate) unsafe extern "C" fn exchange(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [answers, count, answer_values, tasks, task_values, visit, given, taken]| {
        let visit = match raw::number(env, visit)? as u32 {
            0 => None,
            1 => Some(Visit::Notes),
            2 => Some(Visit::Tasks),
            _ => Some(Visit::Look),
        };
        let memories = &mut state.memories;
        let Some(Seat { pool, index, attached, board }) = &mut state.seat else {
            return raw::new_number(env, -1.0);
        };
        give(env, pool, *index, (answers, count, answer_values, Some(given)), memories)?;
        let Some(visit) = visit else { return raw::new_number(env, 0.0) };
        if !*attached {
            *attached = pool.js_attach(*index, state.port.clone(), board.take());
        }
        raw::new_number(env, fetch(env, pool, *index, visit, (tasks, task_values, Some(taken)), memories)?)
    })
}

/// `openSeat()`: a handle of this env for the pool that it is a worker of.
pub(crate) unsafe extern "C" fn open_seat(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [_unused]| {
        let seat = state.seat.as_ref().ok_or(Fault(sys::Status::napi_generic_failure))?;
        let pool = seat.pool.clone();
        let sink = pool.attach(&state.sink);
        pool.js_seat(seat.index, sink);
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

/// `stepBack()`: this worker is busy with something of its own for a moment; whether it has nothing to do.
pub(crate) unsafe extern "C" fn step_back(env: Env, info: Info) -> Js {
    on_env::<0>(env, info, |state, []| {
        raw::new_boolean(env, state.seat.as_ref().is_some_and(|seat| seat.pool.js_step_back(seat.index)))
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
