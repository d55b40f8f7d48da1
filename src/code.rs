//! Stage: all. Thread: any env.
//! The code that V8 has made of a function with a text of its own (`compileFunction` of `node:vm`), to be stored for later
//! threads (lib/packs.ts). Node gives the code of scripts at any time, but that of such functions only when they are compiled,
//! and by then nothing inside of them has been.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js, on_env};
use crate::engine::engine_function;
use crate::moves::is_tried;
use crate::raw::{self, Fault};
use napi::sys;
use std::ffi::{c_int, c_void};
use std::sync::LazyLock;

/// The beginning of `v8::ScriptCompiler::CachedData`.
#[repr(C)]
struct CachedData {
    data: *const u8,
    length: c_int,
}

struct Engine {
    /// `v8::ScriptCompiler::CreateCodeCacheForFunction(v8::Local<v8::Function>)`
    make: unsafe extern "C" fn(Js) -> *mut CachedData,
    /// `v8::ScriptCompiler::CachedData::~CachedData()`
    end: unsafe extern "C" fn(*mut CachedData),
    /// `operator delete(void*)`
    delete: unsafe extern "C" fn(*mut c_void),
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(|| {
    type Make = unsafe extern "C" fn(Js) -> *mut CachedData;
    type End = unsafe extern "C" fn(*mut CachedData);
    type Delete = unsafe extern "C" fn(*mut c_void);
    Some(Engine {
        make: engine_function!(
            c"_ZN2v814ScriptCompiler26CreateCodeCacheForFunctionENS_5LocalINS_8FunctionEEE",
            Make
        ),
        end: engine_function!(c"_ZN2v814ScriptCompiler10CachedDataD1Ev", End),
        delete: engine_function!(c"_ZdlPv", Delete),
    })
});

/// Code as V8 has made it.
struct Code<'a>(&'a Engine, *mut CachedData);

impl Code<'_> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: V8 gives an object of ours, which says where its bytes are and how many.
        unsafe {
            let CachedData { data, length } = *self.1;
            if data.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(data, usize::try_from(length).unwrap_or(0))
            }
        }
    }
}

impl Drop for Code<'_> {
    fn drop(&mut self) {
        // SAFETY: made with `new`, and nobody else's.
        unsafe {
            (self.0.end)(self.1);
            (self.0.delete)(self.1.cast());
        }
    }
}

/// `keepsFunctionCode()`: whether `functionCode` can be asked here.
pub(crate) unsafe extern "C" fn keeps_function_code(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [_unused]| raw::new_boolean(env, is_tried(env)? && ENGINE.is_some()))
}

/// `functionCode(function)`: the code that there is of a function, which `compileFunction` has made.
pub(crate) unsafe extern "C" fn function_code(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [function]| {
        let engine = ENGINE.as_ref().ok_or(Fault(sys::Status::napi_generic_failure))?;
        if raw::type_of(env, function)? != sys::ValueType::napi_function {
            return Err(Fault(sys::Status::napi_function_expected));
        }
        // SAFETY: a function of the current scope, on the thread of its isolate, with a text of its own.
        let made = unsafe { (engine.make)(function) };
        if made.is_null() {
            return Err(Fault(sys::Status::napi_generic_failure));
        }
        raw::new_array_buffer(env, Code(engine, made).bytes())
    })
}
