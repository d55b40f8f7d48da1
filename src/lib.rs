//! The Node side of threadmill: converts values, delivers completions, owns the lifetime of envs. No scheduling here.
//!
//! ```text
//!  submit   submit.rs   one raw call per batch: header, arena, values ─► core jobs
//!  settle   settle.rs   one wake-up per batch: completions ─► header, values ─► promise resolvers in JavaScript
//!  all      env.rs      state of one env, its doorbell, its cleanup hook
//!           call.rs     the state and the pool that a call is about
//!           engine.rs   functions of V8 and of Node by their names
//!           code.rs     what the engine has made of a function, to be stored
//!           cpu_gate.rs how busy the machine is
//!           garbage.rs  collects the garbage of a thread that has nothing to do
//!           moves.rs    memory that goes from thread to thread as it is
//!           objects.rs  what only the engine can tell of an object
//!           marks.rs    objects that are not to be cloned
//!           clones.rs   values as the engine writes them, with memory that moves
//!           serializer.rs  the engine's serializer, called from here; delegate.rs: what it asks
//!           shared.rs   shared memory, which goes with a value; read_delegate.rs: what reading it asks
//!           pool.rs     create, close, cancel, figures
//!           payload.rs  JavaScript values ↔ core values
//!           raw.rs      thin wrappers around Node-API calls
//!           termination.rs  threads that are terminated while they load a module
//!           trace.rs    what a pool has recorded for its timeline
//! ```

mod call;
mod clones;
mod code;
mod cpu_gate;
mod delegate;
mod engine;
mod env;
mod garbage;
mod js;
mod marks;
mod moves;
mod objects;
mod payload;
mod pool;
mod port;
mod raw;
mod read_delegate;
mod serializer;
mod settle;
mod shared;
mod submit;
mod termination;
mod texts;
mod trace;

use napi::bindgen_prelude::{Object, retain_current_module_for_unload_safety};
use napi::{Env, Result};
use napi_derive::napi;

/// Runs once per env, on its thread.
///
/// # Errors
///
/// When the engine refuses one of the calls; the package then fails to load.
#[napi(module_exports)]
pub fn init(exports: Object, env: Env) -> Result<()> {
    // Native workers outlive envs, so the library must stay mapped.
    retain_current_module_for_unload_safety();
    env::register(env.raw(), napi::JsValue::raw(&exports))
}

/// Version of the package that this library was built for.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
