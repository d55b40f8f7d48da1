//! Stage: submit, run and settle. Thread: any env; what is written belongs to whichever thread has it.
//! Values as V8's serializer writes them, and objects whose memory moves: their buffers go as in `moves.rs`, all else of them
//! as bytes. The engine's own serializer is called, where `moves.rs` calls the engine, too, and once a value has come through it
//! as it was; elsewhere [`can_clone`] says no, and Node's classes are used.
//!
//! X2. Buffers lose their memory only when all else has been written.
//! X3. Writing may run getters of the user: nothing of the env's state is borrowed meanwhile.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::call::{Env, Info, Js, on_env};
use crate::delegate::{self, PLAIN, Plain, Scratch};
use crate::env::state;
use crate::marks::Mark;
use crate::moves::{self, Kind, Store, is_detachable, new_buffer, take_store};
use crate::raw::{self, Fault, Raw, check};
use crate::serializer::{Bytes, Writing, quietly, read, write};
use crate::shared::{self, SharedStore};
use napi::sys;
use parking_lot::Mutex;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;
use threadmill_core::value::{Foreign, Value};

/// A value that was written: its bytes, and the shared memory in it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) bytes: Bytes,
    shared: Vec<SharedStore>,
}

/// An object on its way: its bytes, the shared memory in it, and the memory that moves with it.
#[derive(Debug)]
pub(crate) struct Group {
    written: Written,
    stores: Mutex<Vec<Store>>,
    /// Whether there were any.
    moves: bool,
    byte_len: usize,
}

impl Foreign for Group {
    fn byte_len(&self) -> usize {
        self.byte_len
    }

    fn lasts(&self) -> bool {
        !self.moves
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for store in self.stores.get_mut().drain(..) {
            moves::forsake(store, Kind::Own);
        }
    }
}

impl Group {
    fn new(written: Written, moves: bool) -> Self {
        Self { byte_len: written.bytes.length, written, stores: Mutex::default(), moves }
    }

    fn into_value(self) -> Arc<Value> {
        Arc::new(Value::Foreign(Box::new(self)))
    }

    /// Makes the object of it, once if anything moves; null as `read` gives it.
    pub(crate) fn open(&self) -> Raw<Js> {
        let stores = std::mem::take(&mut *self.stores.lock());
        let mut buffers = Vec::with_capacity(stores.len());
        for mut store in stores {
            buffers.push(new_buffer(&mut store)?);
        }
        let shared = self.written.shared.iter().map(SharedStore::open).collect::<Raw<Vec<_>>>()?;
        Ok(read(self.written.bytes.as_slice(), &buffers, &shared))
    }
}

/// Takes `value` with the memory of `buffers`; `None` when that cannot be, and nothing has happened.
fn take(env: Env, value: Js, buffers: &[Js]) -> Raw<Option<Group>> {
    for &buffer in buffers {
        if !raw::is_array_buffer(env, buffer)? || !is_detachable(buffer) {
            return Ok(None);
        }
    }
    let mut met = Vec::new();
    let shared = shared::works().then_some(&mut met);
    let Some(bytes) = write(value, buffers, None, &mut None, shared).bytes() else { return Ok(None) };
    let mut group = Group::new(Written { bytes, shared: met }, !buffers.is_empty());
    for &buffer in buffers {
        let mut length = 0;
        // SAFETY: a buffer of the current scope.
        check(unsafe { sys::napi_get_arraybuffer_info(env, buffer, ptr::null_mut(), &raw mut length) })?;
        group.byte_len += length;
        let store = take_store(env, buffer)?.ok_or(Fault(sys::Status::napi_generic_failure))?;
        group.stores.get_mut().push(store);
    }
    Ok(Some(group))
}

/// Whether values come through as they were: what would not hold for an engine of another shape.
fn works(env: Env) -> Raw<bool> {
    const NAME: &CStr = c"self";
    let (mut object, mut data, mut buffer, mut function) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: plain creation, and values of the current scope.
    unsafe {
        check(sys::napi_create_object(env, &raw mut object))?;
        check(sys::napi_create_arraybuffer(env, 64, &raw mut data, &raw mut buffer))?;
        // Setters that somebody has given to all objects are not to be called.
        let members = [own_property(NAME, object), own_property(c"buffer", buffer)];
        check(sys::napi_define_properties(env, object, members.len(), members.as_ptr()))?;
        check(sys::napi_create_function(
            env,
            NAME.as_ptr(),
            NAME.count_bytes() as isize,
            Some(can_clone),
            ptr::null_mut(),
            &raw mut function,
        ))?;
    }
    let (mut prototype, place) = (ptr::null_mut(), raw::new_number(env, 0.5)?);
    // SAFETY: values of the current scope.
    check(unsafe { sys::napi_get_prototype(env, object, &raw mut prototype) })?;
    let attempt = |value, prototype| {
        let plain = Plain { prototypes: [prototype; PLAIN], place, mark: None };
        write(value, &[], Some(plain), &mut None, None)
    };
    let is_told = matches!(attempt(function, prototype), Writing::Refused)
        && matches!(attempt(object, prototype), Writing::Done { instance, .. } if instance.is_null())
        && (!delegate::asks() || matches!(attempt(object, function), Writing::Stranger));
    if !is_told {
        return Ok(false);
    }
    let Some(group) = take(env, object, &[buffer])? else { return Ok(false) };
    let Some(again) = quietly(|| group.open().ok().filter(|again| !again.is_null())) else {
        return Ok(false);
    };
    let (mut inner, mut moved, mut found, mut length, mut is_same) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0, false);
    // SAFETY: values of the current scope.
    unsafe {
        check(sys::napi_get_named_property(env, again, NAME.as_ptr(), &raw mut inner))?;
        check(sys::napi_strict_equals(env, again, inner, &raw mut is_same))?;
        check(sys::napi_get_named_property(env, again, c"buffer".as_ptr(), &raw mut moved))?;
        check(sys::napi_get_arraybuffer_info(env, moved, &raw mut found, &raw mut length))?;
    }
    Ok(is_same && found == data && length == 64)
}

/// Whether shared memory, given by a buffer and its store, comes through.
pub(crate) fn shares(buffer: Js, store: &SharedStore) -> bool {
    let mut shared = Vec::new();
    let Some(bytes) = write(buffer, &[], None, &mut None, Some(&mut shared)).bytes() else {
        return false;
    };
    let group = Group::new(Written { bytes, shared }, false);
    let again = quietly(|| group.open().ok().filter(|again| !again.is_null()));
    group.written.shared.len() == 1 && again.is_some_and(|again| shared::is_of(again, store))
}

/// An enumerable property with that value.
fn own_property(name: &CStr, value: Js) -> sys::napi_property_descriptor {
    sys::napi_property_descriptor {
        utf8name: name.as_ptr(),
        name: ptr::null_mut(),
        method: None,
        getter: None,
        setter: None,
        value,
        attributes: sys::PropertyAttributes::enumerable | sys::PropertyAttributes::writable,
        data: ptr::null_mut(),
    }
}

/// Whether the process ends with an exception that no JavaScript catches: those of the serializer are caught here.
fn aborts_on_exceptions() -> bool {
    const FLAG: &str = "--abort-on-uncaught-exception";
    let is_flag = |text: &[u8]| String::from_utf8_lossy(text).replace('_', "-").contains(FLAG);
    // As the process began, whatever has become of its environment.
    let read = |file: &str| std::fs::read(file).is_ok_and(|text| is_flag(&text));
    read("/proc/self/cmdline") || read("/proc/self/environ")
}

/// `canClone()`: whether the engine is called here. Not before `canMove()`.
pub(crate) unsafe extern "C" fn can_clone(env: Env, info: Info) -> Js {
    static WORKS: Mutex<Option<bool>> = Mutex::new(None);
    on_env(env, info, |_, [_unused]| {
        let mut works_here = WORKS.lock();
        if works_here.is_none() {
            // As `canMove` does.
            *works_here = if aborts_on_exceptions() { Some(false) } else { works(env).ok() };
        }
        raw::new_boolean(env, works_here.unwrap_or(false))
    })
}

/// `serialize(value)`: writes a value of which it is known that nothing in it is the platform's; its length in bytes, -1 for what
/// the engine cannot write by itself. `takeSerialized` is to follow.
pub(crate) unsafe extern "C" fn serialize(env: Env, info: Info) -> Js {
    raw::guard(env, || {
        let ([value], data) = raw::arguments::<1>(env, info)?;
        write_for(env, data, |scratch| Ok(write(value, &[], None, scratch, None)))
    })
}

/// `serializeAlone(value, ask, ...prototypes)`: the same for a value that goes by itself. -2 for what has an object in it whose
/// prototype is none of these; without prototypes it is known that nothing in it is the platform's. Where it has objects of
/// classes `ask`, if it is a function, is called with the only one or with all of it; when that throws, or where one is marked
/// (`findMark`), it is as if the engine could not. -3 for what
/// has shared memory in it: `keepSerialized` is to follow. Else that, `putSerialized` or `takeSerialized` is.
pub(crate) unsafe extern "C" fn serialize_alone(env: Env, info: Info) -> Js {
    raw::guard(env, || {
        let ([value, ask, prototypes @ ..], data) = raw::arguments::<{ 2 + PLAIN }>(env, info)?;
        let is_checked = raw::type_of(env, prototypes[0])? == sys::ValueType::napi_object;
        let plain = if is_checked {
            // SAFETY: one of our functions.
            let mark = unsafe { state(data) }.mark.as_ref().map(Mark::name);
            Some(Plain { prototypes, place: raw::new_number(env, 0.5)?, mark })
        } else {
            None
        };
        let mut met = Vec::new();
        let answer = write_for(env, data, |scratch| {
            let shared = shared::works().then_some(&mut met);
            let written = write(value, &[], plain, scratch, shared);
            match written {
                Writing::Done { instance, .. } if !instance.is_null() && !allows(env, ask, instance)? => {
                    Ok(Writing::Refused)
                }
                _ => Ok(written),
            }
        })?;
        if met.is_empty() {
            return Ok(answer);
        }
        // SAFETY: one of our functions.
        let Some(written) = (unsafe { &mut state(data).serialized }) else { return Ok(answer) };
        written.shared = met;
        raw::new_number(env, -3.0)
    })
}

/// Writes a value and keeps it; what `serialize` is to give.
fn write_for(
    env: Env,
    data: *mut c_void,
    write: impl FnOnce(&mut Option<Box<Scratch>>) -> Raw<Writing>,
) -> Raw<Js> {
    // SAFETY: one of our functions; the state is not used while the value is written (X3).
    let mut scratch = unsafe { state(data) }.scratch.take();
    let written = write(&mut scratch);
    // SAFETY: as above.
    let state = unsafe { state(data) };
    if scratch.is_some() {
        state.scratch = scratch;
    }
    // What an earlier call has left.
    state.serialized = None;
    let answer = match written? {
        Writing::Stranger => -2.0,
        Writing::Refused => -1.0,
        Writing::Done { bytes, .. } => {
            let length = bytes.length as f64;
            state.serialized = Some(Written { bytes, shared: Vec::new() });
            length
        }
    };
    raw::new_number(env, answer)
}

/// Whether `ask`, if it is a function, throws nothing about a value.
fn allows(env: Env, ask: Js, value: Js) -> Raw<bool> {
    if raw::type_of(env, ask)? != sys::ValueType::napi_function {
        return Ok(true);
    }
    let (mut result, mut pending, mut error) = (ptr::null_mut(), false, ptr::null_mut());
    // SAFETY: values of the current scope; what was thrown is taken.
    unsafe {
        if sys::napi_call_function(env, ask, ask, 1, &raw const value, &raw mut result)
            == sys::Status::napi_ok
        {
            return Ok(true);
        }
        check(sys::napi_is_exception_pending(env, &raw mut pending))?;
        if pending {
            check(sys::napi_get_and_clear_last_exception(env, &raw mut error))?;
        }
    }
    Ok(false)
}

/// `putSerialized(room, offset)`: puts what `serialize` has written into a `Uint8Array`, from `offset` on.
pub(crate) unsafe extern "C" fn put_serialized(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [room, offset]| {
        let Written { bytes, .. } = state.serialized.take().ok_or(Fault(sys::Status::napi_invalid_arg))?;
        let view = raw::view(env, room)?;
        let offset = raw::number(env, offset)? as usize;
        if view.data.is_null() || offset.checked_add(bytes.length).is_none_or(|end| end > view.length) {
            return Err(Fault(sys::Status::napi_invalid_arg));
        }
        // SAFETY: inside a view, of bytes at least; what is copied is other memory.
        unsafe {
            let to = view.data.cast::<u8>().add(offset);
            ptr::copy_nonoverlapping(bytes.as_slice().as_ptr(), to, bytes.length);
        }
        if let Some(scratch) = bytes.into_scratch() {
            state.scratch = Some(scratch);
        }
        Ok(ptr::null_mut())
    })
}

/// `takeSerialized()`: what `serialize` had no room for, in an `ArrayBuffer`.
pub(crate) unsafe extern "C" fn take_serialized(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [_unused]| {
        let Written { bytes, .. } = state.serialized.take().ok_or(Fault(sys::Status::napi_invalid_arg))?;
        raw::new_array_buffer(env, bytes.as_slice())
    })
}

/// `keepSerialized()`: the same, kept here; its key for `openMemory`.
pub(crate) unsafe extern "C" fn keep_serialized(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [_unused]| {
        let written = state.serialized.take().ok_or(Fault(sys::Status::napi_invalid_arg))?;
        raw::new_number(env, state.memories.put(Group::new(written, false).into_value()))
    })
}

/// `deserialize(bytes, offset, length)`: the value that was written there, in bytes from the start of a typed array.
pub(crate) unsafe extern "C" fn deserialize(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [bytes, offset, length]| {
        let view = raw::view(env, bytes)?;
        let (offset, length) = (raw::number(env, offset)? as usize, raw::number(env, length)? as usize);
        let size = view.length * if view.kind == DOUBLES { 8 } else { 1 };
        if view.data.is_null() || offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(Fault(sys::Status::napi_invalid_arg));
        }
        // SAFETY: inside the view, which nobody writes to meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(view.data.cast::<u8>().add(offset), length) };
        Ok(read(bytes, &[], &[]))
    })
}

/// `Float64Array` among the types of typed arrays.
const DOUBLES: sys::napi_typedarray_type = 8;

/// `takeGroup(value, buffers)`: moves the memory of `buffers`, an array of them, out of this thread's reach, with the value
/// that they are part of; its key, -1 when that cannot be.
pub(crate) unsafe extern "C" fn take_group(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [value, list]| {
        moves::free_forsaken(env);
        let count = raw::array_length(env, list)?;
        let buffers = (0..count).map(|at| raw::element(env, list, at)).collect::<Raw<Vec<_>>>()?;
        let key = match take(env, value, &buffers)? {
            Some(group) => state.memories.put(group.into_value()),
            None => -1.0,
        };
        raw::new_number(env, key)
    })
}
