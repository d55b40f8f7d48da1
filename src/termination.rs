//! Stage: run. Thread: JS workers.
//! A thread that is terminated while `require` links an ECMAScript module ends the whole process on Node 20 and 22: Node asks
//! a module that was not linked whether it is asynchronous, which V8 takes for a fatal error. Its answer would not matter: the
//! thread runs no more JavaScript. So in JS workers V8 reports to a function that returns for this error, and hands all
//! others to the one of Node. See nodejs/node `ModuleWrap::InstantiateSync`; Node 24 does not ask.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js, on_env};
use crate::engine::engine_function;
use crate::raw;
use std::ffi::{CStr, c_char, c_void};
use std::sync::LazyLock;

/// The place that V8 names for that error.
const HARMLESS: &CStr = c"v8::Module::IsGraphAsync";

/// `v8::FatalErrorCallback`: where it happened, and what.
type Handler = unsafe extern "C" fn(*const c_char, *const c_char);

struct Engine {
    /// `v8::Isolate::IsExecutionTerminating()`
    is_terminating: unsafe extern "C" fn(*mut c_void) -> bool,
    /// `v8::Isolate::TryGetCurrent()`
    isolate: unsafe extern "C" fn() -> *mut c_void,
    /// `v8::Isolate::SetFatalErrorHandler(v8::FatalErrorCallback)`
    set_handler: unsafe extern "C" fn(*mut c_void, Handler),
    /// `node::OnFatalError`, which does not return
    node: Handler,
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    type OnIsolate = unsafe extern "C" fn(*mut c_void) -> bool;
    type Current = unsafe extern "C" fn() -> *mut c_void;
    type Set = unsafe extern "C" fn(*mut c_void, Handler);
    Some(Engine {
        is_terminating: engine_function!(c"_ZN2v87Isolate22IsExecutionTerminatingEv", windows: c"?IsExecutionTerminating@Isolate@v8@@QEAA_NXZ", OnIsolate),
        isolate: engine_function!(c"_ZN2v87Isolate13TryGetCurrentEv", windows: c"?TryGetCurrent@Isolate@v8@@SAPEAV12@XZ", Current),
        set_handler: engine_function!(c"_ZN2v87Isolate20SetFatalErrorHandlerEPFvPKcS2_E", windows: c"?SetFatalErrorHandler@Isolate@v8@@QEAAXP6AXPEBD0@Z@Z", Set),
        node: engine_function!(c"_ZN4node12OnFatalErrorEPKcS1_", windows: c"?OnFatalError@node@@YAXPEBD0@Z", Handler),
    })
}

unsafe extern "C" fn on_fatal_error(location: *const c_char, message: *const c_char) {
    // Without it, nobody could have set this function.
    let Some(engine) = &*ENGINE else { std::process::abort() };
    // SAFETY: V8 gives a C string, or nothing, and calls this on the thread of the isolate that it is about.
    unsafe {
        let is_known = !location.is_null() && CStr::from_ptr(location) == HARMLESS;
        if is_known && (engine.is_terminating)((engine.isolate)()) {
            return;
        }
        (engine.node)(location, message);
    }
}

/// `surviveTermination()`: from now on this thread may be terminated at any time; false where that cannot be had.
pub(crate) unsafe extern "C" fn survive_termination(env: Env, info: Info) -> Js {
    on_env::<0>(env, info, |_, []| {
        // SAFETY: on the thread of the isolate.
        let isolate = ENGINE.as_ref().map(|engine| (engine, unsafe { (engine.isolate)() }));
        let found = isolate.filter(|(_, isolate)| !isolate.is_null());
        if let Some((engine, isolate)) = found {
            // SAFETY: the isolate is that of this thread, and the library stays mapped.
            unsafe { (engine.set_handler)(isolate, on_fatal_error) };
        }
        raw::new_boolean(env, found.is_some())
    })
}
