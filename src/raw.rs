//! Stage: all. Thread: owner env only.
//! Thin wrappers around the Node-API calls that the hot paths use: every status is checked, nothing is cached.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::engine::{engine_function, exported};
use crate::moves::engine_is_known;
use napi::sys;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::LazyLock;
use threadmill_core::value::{Array, ElementKind, Text};

/// A Node-API call failed, or an exception is pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault(pub(crate) sys::napi_status);

/// In place of a status, for a value that there is no memory for.
pub(crate) const NO_MEMORY: sys::napi_status = -1;

pub(crate) type Raw<T> = Result<T, Fault>;

/// Turns a status into a result.
pub(crate) fn check(status: sys::napi_status) -> Raw<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Fault(status)) }
}

/// Body of a function that JavaScript calls: faults and panics become exceptions, the latter never reach the engine.
pub(crate) fn guard(env: sys::napi_env, body: impl FnOnce() -> Raw<sys::napi_value>) -> sys::napi_value {
    let internal = c"ERR_THREADMILL_INTERNAL";
    let (code, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(Fault(NO_MEMORY))) => {
            (c"ERR_THREADMILL_SYSTEM", "threadmill: no memory for a value".to_owned())
        }
        Ok(Err(Fault(status))) => {
            (internal, format!("threadmill: the engine refused a call (status {status})"))
        }
        Err(_) => (internal, "threadmill: internal error".to_owned()),
    };
    let mut pending = false;
    // SAFETY: `env` is the env of the running call.
    unsafe {
        sys::napi_is_exception_pending(env, &raw mut pending);
        if !pending {
            let text = std::ffi::CString::new(message).unwrap_or_default();
            sys::napi_throw_error(env, code.as_ptr(), text.as_ptr());
        }
    }
    ptr::null_mut()
}

/// The first `N` arguments and the data pointer of a call. Missing arguments are `undefined`.
pub(crate) fn arguments<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> Raw<([sys::napi_value; N], *mut c_void)> {
    let (mut count, mut values, mut data) = (N, [ptr::null_mut(); N], ptr::null_mut());
    // SAFETY: the array has `N` places, and `count` says so.
    check(unsafe {
        sys::napi_get_cb_info(env, info, &raw mut count, values.as_mut_ptr(), ptr::null_mut(), &raw mut data)
    })?;
    Ok((values, data))
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $call:ident, $type:ty, $init:expr) => {
        $(#[$doc])*
        pub(crate) fn $name(env: sys::napi_env, value: sys::napi_value) -> Raw<$type> {
            let mut out: $type = $init;
            // SAFETY: `value` belongs to the current scope of `env`.
            check(unsafe { sys::$call(env, value, &raw mut out) })?;
            Ok(out)
        }
    };
}

getter!(number, napi_get_value_double, f64, 0.0);
getter!(type_of, napi_typeof, sys::napi_valuetype, 0);
getter!(is_array, napi_is_array, bool, false);
getter!(is_typed_array, napi_is_typedarray, bool, false);
getter!(is_array_buffer, napi_is_arraybuffer, bool, false);
getter!(boolean, napi_get_value_bool, bool, false);
getter!(array_length, napi_get_array_length, u32, 0);

/// A short string as UTF-8: one pass into a small buffer. `None` if that may have cut it, which it does with all of more than
/// 252 UTF-16 units. Lone surrogates become U+FFFD.
pub(crate) fn short_string(env: sys::napi_env, value: sys::napi_value) -> Raw<Option<String>> {
    let mut small = [0u8; 256];
    let mut length = 0;
    // SAFETY: the buffer is as long as said.
    check(unsafe {
        sys::napi_get_value_string_utf8(env, value, small.as_mut_ptr().cast(), small.len(), &raw mut length)
    })?;
    let is_whole = length < small.len() - 4;
    Ok(is_whole.then(|| String::from_utf8_lossy(&small[..length]).into_owned()))
}

/// A string as it is.
pub(crate) fn text(env: sys::napi_env, value: sys::napi_value) -> Raw<Text> {
    let mut length = 0;
    // SAFETY: a null buffer asks for the length, in UTF-16 units.
    check(unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &raw mut length) })?;
    macro_rules! units {
        ($unit:ty, $call:ident) => {{
            // There is room for what ends it, which is not part of it.
            let mut units = memory_for::<$unit>(length + 1)?;
            // SAFETY: the memory is as long as said, and the call fills `length` units of it.
            unsafe {
                check(sys::$call(env, value, units.as_mut_ptr().cast(), length + 1, &raw mut length))?;
                units.set_len(length);
            }
            units
        }};
    }
    Ok(if is_one_byte(value) {
        Text::Latin1(units!(u8, napi_get_value_string_latin1))
    } else {
        Text::Utf16(units!(u16, napi_get_value_string_utf16))
    })
}

/// A copy of the bytes of a typed array.
pub(crate) fn copied(kind: ElementKind, bytes: &[u8]) -> Raw<Array> {
    Array::try_copy_from(kind, bytes).ok_or(Fault(NO_MEMORY))
}

/// An empty vector with room for as much as an input takes.
pub(crate) fn memory_for<T>(count: usize) -> Raw<Vec<T>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(count).map_err(|_| Fault(NO_MEMORY))?;
    Ok(memory)
}

/// Whether the engine is known to have one byte for each character of a string.
fn is_one_byte(value: sys::napi_value) -> bool {
    /// `v8::String::IsOneByte() const`
    type IsOneByte = unsafe extern "C" fn(sys::napi_value) -> bool;
    static IS_ONE_BYTE: LazyLock<Option<IsOneByte>> =
        LazyLock::new(|| Some(engine_function!(c"_ZNK2v86String9IsOneByteEv", IsOneByte)));
    // SAFETY: a string of the current scope, on the thread of its isolate.
    engine_is_known() && IS_ONE_BYTE.is_some_and(|is_one_byte| unsafe { is_one_byte(value) })
}

/// A new string.
pub(crate) fn new_text(env: sys::napi_env, text: &Text) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: the text is as long as said.
    check(unsafe {
        match text {
            Text::Latin1(units) => sys::napi_create_string_latin1(
                env,
                units.as_ptr().cast(),
                units.len() as isize,
                &raw mut value,
            ),
            Text::Utf16(units) => {
                sys::napi_create_string_utf16(env, units.as_ptr(), units.len() as isize, &raw mut value)
            }
        }
    })?;
    Ok(value)
}

/// A string as UTF-8; lone surrogates become U+FFFD.
pub(crate) fn string(env: sys::napi_env, value: sys::napi_value) -> Raw<String> {
    if let Some(text) = short_string(env, value)? {
        return Ok(text);
    }
    let mut length = 0;
    // SAFETY: a null buffer asks for the length.
    check(unsafe { sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &raw mut length) })?;
    let mut bytes = memory_for::<u8>(length + 1)?;
    // SAFETY: the buffer has room for the text and its terminator, and the call fills `length` bytes of it.
    unsafe {
        let room = length + 1;
        check(sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), room, &raw mut length))?;
        bytes.set_len(length);
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Element `index` of an array.
pub(crate) fn element(env: sys::napi_env, array: sys::napi_value, index: u32) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: `array` belongs to the current scope.
    check(unsafe { sys::napi_get_element(env, array, index, &raw mut value) })?;
    Ok(value)
}

/// Sets element `index` of an array.
pub(crate) fn set_element(
    env: sys::napi_env,
    array: sys::napi_value,
    index: u32,
    value: sys::napi_value,
) -> Raw<()> {
    // SAFETY: both values belong to the current scope.
    check(unsafe { sys::napi_set_element(env, array, index, value) })
}

/// A typed array as the engine describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) kind: sys::napi_typedarray_type,
    pub(crate) length: usize,
    pub(crate) data: *mut c_void,
    pub(crate) buffer: sys::napi_value,
    /// Where it begins in the buffer, in bytes.
    pub(crate) offset: usize,
}

/// Describes a typed array.
pub(crate) fn view(env: sys::napi_env, value: sys::napi_value) -> Raw<View> {
    let (mut kind, mut length, mut data, mut buffer, mut offset) =
        (0, 0, ptr::null_mut(), ptr::null_mut(), 0);
    // SAFETY: `value` belongs to the current scope; the call checks its type.
    check(unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            &raw mut buffer,
            &raw mut offset,
        )
    })?;
    Ok(View { kind, length, data, buffer, offset })
}

/// The numbers of a `Float64Array`, for this call only.
///
/// # Safety
///
/// The caller runs no JavaScript and keeps no other view of the array while it holds the slice.
pub(crate) unsafe fn doubles<'a>(env: sys::napi_env, value: sys::napi_value) -> Raw<&'a mut [f64]> {
    let view = view(env, value)?;
    if view.kind != 8 || view.data.is_null() {
        return Err(Fault(sys::Status::napi_invalid_arg));
    }
    // SAFETY: the engine says that there are that many; the rest is the caller's contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(view.data.cast(), view.length) })
}

/// A new number.
pub(crate) fn new_number(env: sys::napi_env, number: f64) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: plain creation.
    check(unsafe { sys::napi_create_double(env, number, &raw mut value) })?;
    Ok(value)
}

/// A new boolean.
pub(crate) fn new_boolean(env: sys::napi_env, flag: bool) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: plain creation.
    check(unsafe { sys::napi_get_boolean(env, flag, &raw mut value) })?;
    Ok(value)
}

/// A new string.
pub(crate) fn new_string(env: sys::napi_env, text: &str) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    let (start, length) = (text.as_ptr().cast(), text.len() as isize);
    // SAFETY: the text is as long as said; one-byte text is the same in Latin-1 and faster that way.
    check(unsafe {
        if text.is_ascii() {
            sys::napi_create_string_latin1(env, start, length, &raw mut value)
        } else {
            sys::napi_create_string_utf8(env, start, length, &raw mut value)
        }
    })?;
    Ok(value)
}

/// `node_api_create_external_string_latin1` of Node-API 10, which Node 20 has as well; a finaliser is left out.
type NewExternal = unsafe extern "C" fn(
    sys::napi_env,
    *const std::ffi::c_char,
    isize,
    *const c_void,
    *const c_void,
    *mut sys::napi_value,
    *mut bool,
) -> sys::napi_status;

static NEW_EXTERNAL: LazyLock<Option<NewExternal>> = LazyLock::new(|| {
    let found = exported(c"node_api_create_external_string_latin1")?;
    // SAFETY: a function of that name is this one, in whatever has it.
    Some(unsafe { std::mem::transmute::<*mut c_void, NewExternal>(found) })
});

/// A new string of one byte for each character; the engine uses the memory as it is, where it can.
pub(crate) fn new_static_string(env: sys::napi_env, text: &'static [u8]) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    let (start, length) = (text.as_ptr().cast(), text.len() as isize);
    if let Some(new_external) = *NEW_EXTERNAL {
        let mut copied = false;
        // SAFETY: the text is as long as said, and stays for ever.
        check(unsafe {
            new_external(env, start, length, ptr::null(), ptr::null(), &raw mut value, &raw mut copied)
        })?;
        return Ok(value);
    }
    // SAFETY: the text is as long as said.
    check(unsafe { sys::napi_create_string_latin1(env, start, length, &raw mut value) })?;
    Ok(value)
}

/// A new array with room for `length` elements.
pub(crate) fn new_array(env: sys::napi_env, length: usize) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: plain creation.
    check(unsafe { sys::napi_create_array_with_length(env, length, &raw mut value) })?;
    Ok(value)
}

/// Buffers from this size on, in bytes, are made by the `ArrayBuffer` constructor, which throws when there is no memory;
/// Node-API's own call ends the process then, but runs no JavaScript, which a thread that is being terminated cannot.
const LARGE: usize = 1024 * 1024;

/// A fresh `ArrayBuffer` of `length` bytes, and where they are: a pending `RangeError` when there is no memory.
pub(crate) fn reserve(env: sys::napi_env, length: usize) -> Raw<(sys::napi_value, *mut c_void)> {
    let (mut buffer, mut data) = (ptr::null_mut(), ptr::null_mut());
    if length < LARGE {
        // SAFETY: plain creation.
        check(unsafe { sys::napi_create_arraybuffer(env, length, &raw mut data, &raw mut buffer) })?;
        return Ok((buffer, data));
    }
    let (mut global, mut constructor, mut found) = (ptr::null_mut(), ptr::null_mut(), 0);
    let size = new_number(env, length as f64)?;
    // SAFETY: values of the current scope; the constructor is the engine's unless the user replaced the global, and
    // what it gives is checked.
    unsafe {
        check(sys::napi_get_global(env, &raw mut global))?;
        check(sys::napi_get_named_property(env, global, c"ArrayBuffer".as_ptr(), &raw mut constructor))?;
        check(sys::napi_new_instance(env, constructor, 1, &raw const size, &raw mut buffer))?;
        check(sys::napi_get_arraybuffer_info(env, buffer, &raw mut data, &raw mut found))?;
    }
    if found == length { Ok((buffer, data)) } else { Err(Fault(sys::Status::napi_generic_failure)) }
}

/// An `ArrayBuffer` with these bytes: a pending `RangeError` when there is no memory.
pub(crate) fn new_array_buffer(env: sys::napi_env, bytes: &[u8]) -> Raw<sys::napi_value> {
    let (buffer, data) = reserve(env, bytes.len())?;
    if !bytes.is_empty() {
        // SAFETY: the fresh buffer is that long.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len()) };
    }
    Ok(buffer)
}

/// Forgets a pending exception.
pub(crate) fn clear_exception(env: sys::napi_env) {
    let mut pending = ptr::null_mut();
    // SAFETY: on the env's thread, inside a call of ours.
    unsafe { sys::napi_get_and_clear_last_exception(env, &raw mut pending) };
}

/// `undefined`.
pub(crate) fn undefined(env: sys::napi_env) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: plain creation.
    check(unsafe { sys::napi_get_undefined(env, &raw mut value) })?;
    Ok(value)
}

/// `null`.
pub(crate) fn null(env: sys::napi_env) -> Raw<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: plain creation.
    check(unsafe { sys::napi_get_null(env, &raw mut value) })?;
    Ok(value)
}

/// Runs `body` in a handle scope of its own, so that a long loop does not pile up handles.
pub(crate) fn scoped<T>(env: sys::napi_env, body: impl FnOnce() -> Raw<T>) -> Raw<T> {
    let mut scope = ptr::null_mut();
    // SAFETY: opened and closed in pairs.
    check(unsafe { sys::napi_open_handle_scope(env, &raw mut scope) })?;
    let result = body();
    // SAFETY: as above.
    unsafe { sys::napi_close_handle_scope(env, scope) };
    result
}
