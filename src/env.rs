//! Stage: all. Thread: owner env only.
//! What one env (one load of the addon in one JavaScript thread) owns, and how it ends.
//!
//! E1. Native workers reach an env only through its [`Port`]. Its doorbell is closed under a write lock by the cleanup
//!     hook, so no ring is under way when Node tears the threadsafe function down.
//! E2. When an env ends, its pools are ended with it, and no kernel touches memory of the env any more when the cleanup
//!     hook returns.
//! E3. The doorbell holds the event loop exactly while tasks or closing pools of the env are unfinished.
//! E4. It is given back when nothing of the env can ring: it holds the function that it calls, and with that the context
//!     that this is of, where test runners have one for each file.

#![expect(unsafe_code, reason = "raw Node-API calls and env-owned state")]

use crate::clones::Written;
use crate::delegate::Scratch;
use crate::js::{owner, worker};
use crate::marks::Mark;
use crate::moves::Memories;
use crate::port::{Bell, Port, Post};
use crate::raw::{self, Fault, Raw, check};
use crate::{
    clones, code, cpu_gate, garbage, marks, moves, objects, pool, settle, shared, submit, termination, texts,
    trace,
};
use napi::sys;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use threadmill_core::completion::CompletionSink;
use threadmill_core::machine::Sampler;
use threadmill_core::mailbox::Batch;
use threadmill_core::pool::{Board, Lookout, Pool};

/// The place of an env that is a JS worker.
pub(crate) struct Seat {
    pub(crate) pool: Arc<Pool>,
    pub(crate) index: u32,
    /// Whether the pool knows that the worker is ready.
    pub(crate) attached: bool,
    /// Where it claims tasks, until the pool has it.
    pub(crate) board: Option<Arc<Board>>,
}

/// A pool that this env made.
pub(crate) struct OwnedPool {
    pub(crate) pool: Arc<Pool>,
    /// Number of this env's port among the pool's sinks.
    pub(crate) sink: u16,
    /// Whether the pool ends with this env.
    pub(crate) owned: bool,
}

/// State of one env. Reached through the data pointer of our functions.
pub(crate) struct EnvState {
    pub(crate) port: Arc<Port>,
    pub(crate) sink: Arc<dyn CompletionSink>,
    /// Pools by handle; `None` once closed.
    pub(crate) pools: Vec<Option<OwnedPool>>,
    /// Events collected and not yet handed to JavaScript.
    pub(crate) events: Batch<Post>,
    /// Set in an env that is a JS worker.
    pub(crate) seat: Option<Seat>,
    /// Set once somebody has asked how busy the machine is.
    pub(crate) sampler: Option<Box<Sampler>>,
    /// Moved memory that JavaScript names by a key.
    pub(crate) memories: Memories,
    /// What was written and has not been asked for.
    pub(crate) serialized: Option<Written>,
    /// Memory for the next value that is serialized.
    pub(crate) scratch: Option<Box<Scratch>>,
    /// Which objects are not to be cloned, once that has been asked.
    pub(crate) mark: Option<Mark>,
    /// Where this thread waits for outcomes.
    pub(crate) lookout: Lookout,
    /// Unfinished tasks and closing pools (E3).
    pub(crate) live: u32,
}

impl EnvState {
    /// `count` more things to wait for.
    pub(crate) fn hold(&mut self, env: sys::napi_env, count: u32) {
        if self.live == 0
            && count > 0
            && let Some(Bell(tsfn)) = *self.port.bell.read()
        {
            // SAFETY: on the env's thread, with a function that is still open.
            unsafe { sys::napi_ref_threadsafe_function(env, tsfn) };
        }
        self.live += count;
    }

    /// `count` fewer.
    pub(crate) fn let_go(&mut self, env: sys::napi_env, count: u32) {
        let before = self.live;
        self.live = before.saturating_sub(count);
        if before > 0
            && self.live == 0
            && let Some(Bell(tsfn)) = *self.port.bell.read()
        {
            // SAFETY: as in `hold`.
            unsafe { sys::napi_unref_threadsafe_function(env, tsfn) };
        }
    }

    /// Gives a pool a handle.
    pub(crate) fn add_pool(&mut self, pool: OwnedPool) -> usize {
        let handle = self.pools.iter().position(Option::is_none).unwrap_or_else(|| {
            self.pools.push(None);
            self.pools.len() - 1
        });
        self.pools[handle] = Some(pool);
        handle
    }

    /// The pool with this handle.
    pub(crate) fn pool(&self, handle: u32) -> Option<&OwnedPool> {
        self.pools.get(handle as usize)?.as_ref()
    }
}

/// The state behind the data pointer of a function of ours.
///
/// # Safety
///
/// `data` comes from a function that [`register`] made, on that env's thread, and no other reference to the state is
/// alive: our functions call no JavaScript while they hold it.
pub(crate) unsafe fn state<'a>(data: *mut c_void) -> &'a mut EnvState {
    // SAFETY: contract above; the state lives until the env's instance data is finalised, after all JavaScript.
    unsafe { &mut *data.cast::<EnvState>() }
}

type Function = (&'static CStr, sys::napi_callback);

/// What every env has. A worker that only runs tasks needs no more, and each function takes time and memory in every env.
const AT_START: &[Function] = &[
    (c"connect", Some(connect)),
    (c"disconnect", Some(disconnect)),
    (c"isHeld", Some(is_held)),
    (c"now", Some(pool::now)),
    (c"attachWorker", Some(worker::attach)),
    (c"postToPool", Some(worker::post_to_pool)),
    (c"exchange", Some(worker::exchange)),
    (c"openSeat", Some(worker::open_seat)),
    (c"isWanted", Some(worker::is_wanted)),
    (c"reportTasks", Some(worker::report_tasks)),
    (c"setBlocked", Some(worker::set_blocked)),
    (c"stepBack", Some(worker::step_back)),
    (c"reportProgress", Some(worker::report_progress)),
    (c"wantInput", Some(worker::want_input)),
    (c"gotInput", Some(worker::got_input)),
    (c"heldText", Some(texts::held)),
    (c"surviveTermination", Some(termination::survive_termination)),
    (c"collectGarbage", Some(garbage::collect)),
    (c"giveBackMemory", Some(garbage::give_back_memory)),
    (c"openMemory", Some(moves::open_memory)),
    (c"dropMemory", Some(moves::drop_memory)),
    (c"addForValues", Some(add_for_values)),
    (c"addForOwners", Some(add_for_owners)),
];

/// What values are written with and read that are no numbers.
const FOR_VALUES: &[Function] = &[
    (c"shareText", Some(texts::share)),
    (c"sharedText", Some(texts::shared)),
    (c"canMove", Some(moves::can_move)),
    (c"isInHeap", Some(objects::is_in_heap)),
    (c"hasNames", Some(objects::has_names)),
    (c"isPlain", Some(objects::is_plain)),
    (c"findMark", Some(marks::find_mark)),
    (c"isMarked", Some(marks::is_marked)),
    (c"takeMemory", Some(moves::take_memory)),
    (c"canClone", Some(clones::can_clone)),
    (c"canShare", Some(shared::can_share)),
    (c"serialize", Some(clones::serialize)),
    (c"serializeAlone", Some(clones::serialize_alone)),
    (c"putSerialized", Some(clones::put_serialized)),
    (c"takeSerialized", Some(clones::take_serialized)),
    (c"keepSerialized", Some(clones::keep_serialized)),
    (c"deserialize", Some(clones::deserialize)),
    (c"takeGroup", Some(clones::take_group)),
];

/// What it takes to own pools, and to submit to them.
const FOR_OWNERS: &[Function] = &[
    (c"flush", Some(submit::flush)),
    (c"hasFree", Some(submit::has_free)),
    (c"drain", Some(settle::drain)),
    (c"lookOut", Some(settle::look_out)),
    (c"kernels", Some(pool::kernels)),
    (c"kernel", Some(pool::kernel)),
    (c"createPool", Some(pool::create)),
    (c"closePool", Some(pool::close)),
    (c"cancel", Some(pool::cancel)),
    (c"inspect", Some(pool::inspect)),
    (c"runSync", Some(pool::run_sync)),
    (c"addressOf", Some(pool::address_of)),
    (c"figures", Some(pool::figures)),
    (c"resizeThreads", Some(pool::resize_threads)),
    (c"parallelism", Some(pool::parallelism)),
    (c"cpuQuota", Some(pool::cpu_quota)),
    (c"machine", Some(cpu_gate::machine)),
    (c"cpuShares", Some(cpu_gate::cpu_shares)),
    (c"keyFigures", Some(pool::key_figures)),
    (c"learnedCosts", Some(pool::learned_costs)),
    (c"learnedCost", Some(pool::learned_cost)),
    (c"learnCosts", Some(pool::learn_costs)),
    (c"traceStart", Some(trace::start)),
    (c"traceStop", Some(trace::stop)),
    (c"traceNow", Some(trace::now)),
    (c"traceRead", Some(trace::read)),
    (c"keepTrace", Some(trace::keep)),
    (c"keptTrace", Some(trace::kept)),
    (c"releasePool", Some(pool::release)),
    (c"shareWorkers", Some(owner::share)),
    (c"joinWorker", Some(owner::join)),
    (c"serveEach", Some(owner::serve_each)),
    (c"leaveWorker", Some(owner::leave)),
    (c"rejectWaiting", Some(owner::reject_waiting)),
    (c"postToWorker", Some(owner::post_to_worker)),
    (c"forgetTasks", Some(owner::forget_tasks)),
    (c"idleWorker", Some(owner::idle_worker)),
    (c"unfinishedTasks", Some(owner::unfinished_tasks)),
    (c"stuckWorkers", Some(owner::stuck_workers)),
    (c"joinMain", Some(owner::join_main)),
    (c"exchangeMain", Some(owner::exchange_main)),
    (c"mainIsWanted", Some(owner::main_is_wanted)),
    (c"blockMain", Some(owner::block_main)),
    (c"retireWorker", Some(owner::retire)),
    (c"idleWorkers", Some(owner::idle_workers)),
    (c"busyWorkers", Some(owner::busy_workers)),
    (c"missingWorkers", Some(owner::missing)),
    (c"runsTask", Some(owner::runs_task)),
    (c"mayEvict", Some(owner::may_evict)),
    (c"setWorkerLimit", Some(owner::set_limit)),
    (c"holdText", Some(texts::hold)),
    (c"keepsFunctionCode", Some(code::keeps_function_code)),
    (c"functionCode", Some(code::function_code)),
];

/// Builds the state of an env and puts the first functions on `exports`.
pub(crate) fn register(env: sys::napi_env, exports: sys::napi_value) -> napi::Result<()> {
    try_register(env, exports).map_err(|Fault(status)| {
        napi::Error::from_reason(format!("threadmill could not be set up: status {status}"))
    })
}

fn try_register(env: sys::napi_env, exports: sys::napi_value) -> Raw<()> {
    let port = Arc::<Port>::default();
    let state = Box::into_raw(Box::new(EnvState {
        sink: port.clone(),
        port,
        pools: Vec::new(),
        events: Batch::default(),
        seat: None,
        sampler: None,
        memories: Memories::default(),
        serialized: None,
        scratch: None,
        mark: None,
        lookout: Lookout::default(),
        live: 0,
    }));
    // SAFETY: the finaliser takes the box back once, after everything else of the env.
    check(unsafe { sys::napi_set_instance_data(env, state.cast(), Some(finalize_state), ptr::null_mut()) })?;
    set_functions(env, exports, AT_START, state.cast())
}

/// `addForValues(exports)`: puts [`FOR_VALUES`] there.
unsafe extern "C" fn add_for_values(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    add(env, info, FOR_VALUES)
}

/// `addForOwners(exports)`: puts [`FOR_OWNERS`] there.
unsafe extern "C" fn add_for_owners(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    add(env, info, FOR_OWNERS)
}

fn add(env: sys::napi_env, info: sys::napi_callback_info, functions: &[Function]) -> sys::napi_value {
    raw::guard(env, || {
        let ([exports], data) = raw::arguments::<1>(env, info)?;
        set_functions(env, exports, functions, data)?;
        raw::undefined(env)
    })
}

fn set_functions(
    env: sys::napi_env,
    exports: sys::napi_value,
    functions: &[Function],
    data: *mut c_void,
) -> Raw<()> {
    for &(name, callback) in functions {
        set_function(env, exports, name, callback, data)?;
    }
    Ok(())
}

fn set_function(
    env: sys::napi_env,
    exports: sys::napi_value,
    name: &CStr,
    callback: sys::napi_callback,
    data: *mut c_void,
) -> Raw<()> {
    let mut function = ptr::null_mut();
    // SAFETY: the name ends with a zero; the data lives as long as the env.
    check(unsafe {
        sys::napi_create_function(
            env,
            name.as_ptr(),
            name.count_bytes() as isize,
            callback,
            data,
            &raw mut function,
        )
    })?;
    // SAFETY: both values belong to the current scope.
    check(unsafe { sys::napi_set_named_property(env, exports, name.as_ptr(), function) })
}

/// What Node gives back with a doorbell.
struct BellContext {
    port: Arc<Port>,
    tsfn: sys::napi_threadsafe_function,
}

/// `connect(drain, resource)`: makes the doorbell; `drain` is called without arguments when it rings. Not while there is one.
unsafe extern "C" fn connect(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([drain, resource], data) = raw::arguments::<2>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        if state.port.bell.read().is_some() {
            return Err(Fault(sys::Status::napi_generic_failure));
        }
        let (name, mut tsfn) = (raw::new_string(env, "threadmill")?, ptr::null_mut());
        let context = Box::into_raw(Box::new(BellContext { port: state.port.clone(), tsfn }));
        // SAFETY: the finaliser gives the context back.
        let made = check(unsafe {
            sys::napi_create_threadsafe_function(
                env,
                drain,
                resource,
                name,
                0,
                1,
                context.cast(),
                Some(finalize_bell),
                ptr::null_mut(),
                Some(on_ring),
                &raw mut tsfn,
            )
        });
        if let Err(fault) = made {
            // SAFETY: nobody else has it.
            drop(unsafe { Box::from_raw(context) });
            return Err(fault);
        }
        // SAFETY: the finaliser runs on this thread, later.
        unsafe { (*context).tsfn = tsfn };
        if state.live == 0 {
            // SAFETY: on the env's thread. It holds the loop only while something is pending (E3).
            check(unsafe { sys::napi_unref_threadsafe_function(env, tsfn) })?;
        }
        *state.port.bell.write() = Some(Bell(tsfn));
        // SAFETY: added after the function was made, so it runs before Node's own hook for it; the state outlives it.
        check(unsafe { sys::napi_add_env_cleanup_hook(env, Some(on_cleanup), data) })?;
        // What came in between found nothing to ring, and later ones take it for rung.
        if state.port.mailbox.is_rung() {
            state.port.call();
        }
        raw::undefined(env)
    })
}

/// `disconnect()`: gives the doorbell back, unless something may still ring it (E4); whether there is none now.
unsafe extern "C" fn disconnect(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([_unused], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        if state.live > 0 || state.seat.is_some() || state.pools.iter().any(Option::is_some) {
            return raw::new_boolean(env, false);
        }
        // Waits for threads that are ringing.
        let bell = state.port.bell.write().take();
        if let Some(Bell(tsfn)) = bell {
            // SAFETY: as in `connect`, which added it; the next one adds its own.
            check(unsafe { sys::napi_remove_env_cleanup_hook(env, Some(on_cleanup), data) })?;
            // SAFETY: nobody else has it any more. Rings that are under way still come, and find nothing.
            check(unsafe {
                sys::napi_release_threadsafe_function(tsfn, sys::ThreadsafeFunctionReleaseMode::release)
            })?;
        }
        raw::new_boolean(env, true)
    })
}

/// `isHeld()`: whether the doorbell keeps the event loop (E3).
unsafe extern "C" fn is_held(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    raw::guard(env, || {
        let ([_unused], data) = raw::arguments::<1>(env, info)?;
        // SAFETY: one of our functions.
        let state = unsafe { state(data) };
        raw::new_boolean(env, state.live > 0)
    })
}

/// The doorbell rang: calls the drain function.
unsafe extern "C" fn on_ring(
    env: sys::napi_env,
    drain: sys::napi_value,
    _context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() || drain.is_null() {
        return; // The env is being torn down; nobody is left to tell.
    }
    let (mut this, mut result, mut error) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: on the env's thread, inside the scope that Node opened for this call.
    unsafe {
        if sys::napi_get_undefined(env, &raw mut this) != sys::Status::napi_ok {
            return;
        }
        let status = sys::napi_call_function(env, this, drain, 0, ptr::null(), &raw mut result);
        // The drain function isolates user callbacks; anything that still comes out is an uncaught exception.
        if status == sys::Status::napi_pending_exception
            && sys::napi_get_and_clear_last_exception(env, &raw mut error) == sys::Status::napi_ok
        {
            sys::napi_fatal_exception(env, error);
        }
    }
}

/// Node has let go of the doorbell.
unsafe extern "C" fn finalize_bell(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: what `connect` gave away.
    let context = unsafe { Box::from_raw(data.cast::<BellContext>()) };
    let mut bell = context.port.bell.write();
    // There may be the next one.
    if bell.is_some_and(|Bell(tsfn)| tsfn == context.tsfn) {
        *bell = None;
    }
}

/// The env ends: nobody rings any more, and its pools end (E1, E2).
unsafe extern "C" fn on_cleanup(data: *mut c_void) {
    let closed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // SAFETY: runs on the env's thread with no JavaScript on the stack; the state is freed later.
        let state = unsafe { state(data) };
        state.port.closed.store(true, Ordering::Relaxed);
        // Waits for native workers that are ringing.
        let bell = state.port.bell.write().take();
        for OwnedPool { pool, sink, owned } in state.pools.drain(..).flatten() {
            if owned {
                pool.detach();
            } else {
                pool.ingest();
                pool.guest_left(sink);
            }
        }
        if let Some(Seat { pool, index, .. }) = state.seat.take() {
            // The owner env is told by Node how the worker ended, and settles its tasks with that.
            pool.js_detach(index);
        }
        bell
    }));
    if let Ok(Some(Bell(tsfn))) = closed {
        // SAFETY: the function is still open: its own hook runs after this one.
        unsafe { sys::napi_release_threadsafe_function(tsfn, sys::ThreadsafeFunctionReleaseMode::abort) };
    }
}

unsafe extern "C" fn finalize_state(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the box that `register` gave away; nothing of the env runs after this.
    drop(unsafe { Box::from_raw(data.cast::<EnvState>()) });
}
