//! Stage: submit. Thread: any env.
//! What only the engine can tell of an object, where it may be asked (see `moves.rs`).

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js};
use crate::engine::engine_function;
use crate::moves::current_isolate;
use crate::raw::{self, Fault};
use napi::sys;
use std::ffi::c_void;
use std::sync::LazyLock;

/// `isInHeap(view)`: whether a typed array has no buffer yet: its memory lies in the engine's heap, and is nobody else's.
pub(crate) unsafe extern "C" fn is_in_heap(env: Env, info: Info) -> Js {
    /// `v8::ArrayBufferView::HasBuffer() const`
    type HasBuffer = unsafe extern "C" fn(Js) -> bool;
    static HAS_BUFFER: LazyLock<Option<HasBuffer>> =
        LazyLock::new(|| Some(engine_function!(c"_ZNK2v815ArrayBufferView9HasBufferEv", HasBuffer)));
    raw::guard(env, || {
        let ([view], _) = raw::arguments::<1>(env, info)?;
        let is_there = match *HAS_BUFFER {
            // SAFETY: a typed array of the current scope, on the thread of its isolate.
            Some(has_buffer) if raw::is_typed_array(env, view)? => !unsafe { has_buffer(view) },
            _ => false,
        };
        raw::new_boolean(env, is_there)
    })
}

type Ask = unsafe extern "C" fn(Js) -> bool;

struct Classes {
    /// `v8::Value::Is…() const`
    is_of: [Ask; 23],
    /// `v8::Object::InternalFieldCount() const`
    fields: unsafe extern "C" fn(Js) -> i32,
}

static CLASSES: LazyLock<Option<Classes>> = LazyLock::new(|| {
    type Count = unsafe extern "C" fn(Js) -> i32;
    Some(Classes {
        is_of: [
            engine_function!(c"_ZNK2v85Value10IsExternalEv", Ask),
            engine_function!(c"_ZNK2v85Value13IsArrayBufferEv", Ask),
            engine_function!(c"_ZNK2v85Value13IsMapIteratorEv", Ask),
            engine_function!(c"_ZNK2v85Value13IsNativeErrorEv", Ask),
            engine_function!(c"_ZNK2v85Value13IsSetIteratorEv", Ask),
            engine_function!(c"_ZNK2v85Value14IsBigIntObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value14IsNumberObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value14IsStringObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value14IsSymbolObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value15IsBooleanObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value17IsArgumentsObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value17IsArrayBufferViewEv", Ask),
            engine_function!(c"_ZNK2v85Value17IsGeneratorObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value18IsWasmMemoryObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value18IsWasmModuleObjectEv", Ask),
            engine_function!(c"_ZNK2v85Value19IsSharedArrayBufferEv", Ask),
            engine_function!(c"_ZNK2v85Value5IsMapEv", Ask),
            engine_function!(c"_ZNK2v85Value5IsSetEv", Ask),
            engine_function!(c"_ZNK2v85Value6IsDateEv", Ask),
            engine_function!(c"_ZNK2v85Value8IsRegExpEv", Ask),
            engine_function!(c"_ZNK2v85Value9IsPromiseEv", Ask),
            engine_function!(c"_ZNK2v85Value9IsWeakMapEv", Ask),
            engine_function!(c"_ZNK2v85Value9IsWeakSetEv", Ask),
        ],
        fields: engine_function!(c"_ZNK2v86Object18InternalFieldCountEv", Count),
    })
});

/// `isPlain(object)`: whether an object, which is no proxy, is neither of a class of the language that a clone copies in another way
/// nor has what C++ gives to its own, whatever its prototype is. Not told apart is what no clone takes and nobody but the engine
/// knows (`WeakRef`, `Intl`, iterators of arrays).
pub(crate) unsafe extern "C" fn is_plain(env: Env, info: Info) -> Js {
    raw::guard(env, || {
        let ([object], _) = raw::arguments::<1>(env, info)?;
        let is_object = matches!(raw::type_of(env, object)?, sys::ValueType::napi_object);
        let is_plain = match &*CLASSES {
            // SAFETY: an object of the current scope, on the thread of its isolate.
            Some(classes) if is_object => unsafe {
                (classes.fields)(object) == 0 && !classes.is_of.iter().any(|is_of| is_of(object))
            },
            _ => false,
        };
        raw::new_boolean(env, is_plain)
    })
}

/// `v8::KeyCollectionMode::kOwnOnly`
const OWN_ONLY: i32 = 0;
/// `v8::ONLY_ENUMERABLE | v8::SKIP_SYMBOLS`
const STRINGS: i32 = 2 | 16;
/// `v8::IndexFilter::kSkipIndices`
const SKIP_INDICES: i32 = 1;
/// `v8::KeyConversionMode::kKeepNumbers`
const KEEP_NUMBERS: i32 = 1;

struct Names {
    /// `v8::Isolate::GetCurrentContext()`
    context: unsafe extern "C" fn(*mut c_void) -> Js,
    /// `v8::Object::GetPropertyNames(context, mode, property_filter, index_filter, conversion)`
    names: unsafe extern "C" fn(Js, Js, i32, i32, i32, i32) -> Js,
}

static NAMES: LazyLock<Option<Names>> = LazyLock::new(|| {
    type Context = unsafe extern "C" fn(*mut c_void) -> Js;
    type Find = unsafe extern "C" fn(Js, Js, i32, i32, i32, i32) -> Js;
    Some(Names {
        context: engine_function!(c"_ZN2v87Isolate17GetCurrentContextEv", Context),
        names: engine_function!(
            c"_ZN2v86Object16GetPropertyNamesENS_5LocalINS_7ContextEEENS_17KeyCollectionModeENS_14PropertyFilterENS_11IndexFilterENS_17KeyConversionModeE",
            Find
        ),
    })
});

/// `hasNames(array)`: whether an array, and no proxy of one, has enumerable properties whose names are no indices.
pub(crate) unsafe extern "C" fn has_names(env: Env, info: Info) -> Js {
    raw::guard(env, || {
        let ([array], _) = raw::arguments::<1>(env, info)?;
        let (Some(engine), Some(isolate)) = (&*NAMES, current_isolate()) else {
            return Err(Fault(sys::Status::napi_generic_failure));
        };
        if !raw::is_array(env, array)? {
            return Err(Fault(sys::Status::napi_array_expected));
        }
        // SAFETY: an array of the current scope, on the thread of its isolate. Nothing of the user is called.
        let names = unsafe {
            (engine.names)(array, (engine.context)(isolate), OWN_ONLY, STRINGS, SKIP_INDICES, KEEP_NUMBERS)
        };
        if names.is_null() {
            return Err(Fault(sys::Status::napi_generic_failure));
        }
        raw::new_boolean(env, raw::array_length(env, names)? > 0)
    })
}
