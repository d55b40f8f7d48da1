//! Stage: run. Thread: JS workers.
//! Has the engine collect the garbage of a thread that has nothing to do, and give pages back to the system. Node never asks for
//! that, and V8 collects when memory is needed: a thread that rests keeps what it used last, for as long as it rests. V8 offers
//! it as an answer to memory pressure: one collection of everything, and a second one where that took little time and much can be
//! expected of it. Unlike `LowMemoryNotification`, it keeps the code of functions.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js, on_env};
use crate::engine::engine_function;
use crate::raw;
use std::ffi::{c_int, c_void};
use std::sync::LazyLock;
use threadmill_core::pool::give_back;

/// `v8::MemoryPressureLevel::kNone` and `kCritical`.
const NONE: c_int = 0;
const CRITICAL: c_int = 2;

struct Engine {
    /// `v8::Isolate::TryGetCurrent()`
    isolate: unsafe extern "C" fn() -> *mut c_void,
    /// `v8::Isolate::MemoryPressureNotification(v8::MemoryPressureLevel)`
    press: unsafe extern "C" fn(*mut c_void, c_int),
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(|| {
    type Current = unsafe extern "C" fn() -> *mut c_void;
    type Press = unsafe extern "C" fn(*mut c_void, c_int);
    Some(Engine {
        isolate: engine_function!(c"_ZN2v87Isolate13TryGetCurrentEv", windows: c"?TryGetCurrent@Isolate@v8@@SAPEAV12@XZ", Current),
        press: engine_function!(
            c"_ZN2v87Isolate26MemoryPressureNotificationENS_19MemoryPressureLevelE",
            windows: c"?MemoryPressureNotification@Isolate@v8@@QEAAXW4MemoryPressureLevel@2@@Z",
            Press
        ),
    })
});

/// `collectGarbage()`: collects the garbage of this thread, which takes about a millisecond for each MiB that is in use; false
/// where that cannot be had.
pub(crate) unsafe extern "C" fn collect(env: Env, info: Info) -> Js {
    on_env::<0>(env, info, |_, []| {
        // SAFETY: on the thread of the isolate.
        let isolate = ENGINE.as_ref().map(|engine| (engine, unsafe { (engine.isolate)() }));
        let found = isolate.filter(|(_, isolate)| !isolate.is_null());
        if let Some((engine, isolate)) = found {
            // SAFETY: the isolate is that of this thread, which holds it: V8 collects before the first call returns. As at any other
            // collection nothing of ours runs meanwhile but what frees memory, which knows nothing of the state of an env.
            unsafe {
                (engine.press)(isolate, CRITICAL);
                (engine.press)(isolate, NONE);
            }
        }
        raw::new_boolean(env, found.is_some())
    })
}

/// `giveBackMemory()`: has the C library give freed memory of the process back, soon.
pub(crate) unsafe extern "C" fn give_back_memory(env: Env, info: Info) -> Js {
    on_env::<0>(env, info, |_, []| {
        give_back();
        raw::undefined(env)
    })
}
