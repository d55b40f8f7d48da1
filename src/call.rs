//! Stage: all. Thread: owner env only.
//! How a call from JavaScript finds the state of its env, and the pool that its first argument names.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::env::{EnvState, state};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::sync::Arc;
use threadmill_core::pool::Pool;

pub(crate) type Env = sys::napi_env;
pub(crate) type Info = sys::napi_callback_info;
pub(crate) type Js = sys::napi_value;

/// A call with `N` arguments. `body` runs no JavaScript while it uses the state.
pub(crate) fn on_env<const N: usize>(
    env: Env,
    info: Info,
    body: impl FnOnce(&mut EnvState, [Js; N]) -> Raw<Js>,
) -> Js {
    raw::guard(env, || {
        let (arguments, data) = raw::arguments::<N>(env, info)?;
        // SAFETY: one of our functions.
        body(unsafe { state(data) }, arguments)
    })
}

/// A call whose first argument is the handle of a pool of this env, which may have been released.
pub(crate) fn on_pool_if_any<const N: usize>(
    env: Env,
    info: Info,
    body: impl FnOnce(&mut EnvState, Option<Arc<Pool>>, [Js; N]) -> Raw<Js>,
) -> Js {
    on_env(env, info, |state, arguments| {
        let handle = raw::number(env, arguments[0])? as u32;
        let pool = state.pool(handle).map(|owned| owned.pool.clone());
        body(state, pool, arguments)
    })
}

/// A call whose first argument is the handle of a pool of this env.
pub(crate) fn on_pool<const N: usize>(
    env: Env,
    info: Info,
    body: impl FnOnce(&mut EnvState, &Arc<Pool>, [Js; N]) -> Raw<Js>,
) -> Js {
    on_pool_if_any(env, info, |state, pool, arguments| {
        body(state, &pool.ok_or(Fault(sys::Status::napi_invalid_arg))?, arguments)
    })
}
