//! Stage: submit, run and settle. Thread: any env; memory on its way belongs to whichever thread has it.
//! Memory that moves from thread to thread without a copy and without a message. The backing store is taken out of its
//! `ArrayBuffer`, goes with the task like any other value, and becomes another `ArrayBuffer` where it arrives: what Node does
//! for a transfer list, without the message port. Node-API has no call for it; four functions of V8 do it, whose binary
//! interface Node keeps within a major version. So it is done on the majors where it was tried, on Linux for x86-64 and Arm, and
//! once it has worked on a small buffer; elsewhere [`can_move`] says no, and memory goes by the port.
//!
//! Z1. A store has one owner: an `ArrayBuffer`, a [`Memory`], or the list of those that nobody wants any more. Only V8 frees
//!     one, in an env, for a store may be dropped on threads that have none.
//! Z2. What JavaScript names by a key, it names once.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js, on_env};
use crate::clones::Group;
use crate::engine::engine_function;
use crate::raw::{self, Fault, Raw, check};
use crate::shared;
use napi::sys;
use parking_lot::Mutex;
use std::any::Any;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use threadmill_core::value::{Foreign, Value};

/// Majors of Node whose V8 this was tried with.
const TRIED: [u32; 4] = [20, 22, 24, 26];

/// `std::shared_ptr<v8::BackingStore>`: the store, and what counts its owners. Both null: of none.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Store {
    store: *mut c_void,
    count: *mut c_void,
}

// SAFETY: stores may be handed from thread to thread; Node does so with every transfer.
unsafe impl Send for Store {}
// SAFETY: nobody writes to one that others can see.
unsafe impl Sync for Store {}

impl Store {
    /// What counts its owners.
    pub(crate) fn counter(&self) -> *mut c_void {
        self.count
    }

    /// The same pointer once more, whose owner is nobody or has been counted.
    pub(crate) fn copy(&self) -> Self {
        Self { store: self.store, count: self.count }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        !self.store.is_null() && ptr::eq(self.store, other.store) && ptr::eq(self.count, other.count)
    }
}

/// An object that C++ returns through memory of the caller's because it has a destructor. C does that with whatever needs more
/// than two registers, so there is more room than for the store.
#[repr(C)]
pub(crate) struct Returned {
    store: MaybeUninit<Store>,
    unused: MaybeUninit<[usize; 2]>,
}

impl Returned {
    /// # Safety
    ///
    /// A function has returned it.
    pub(crate) unsafe fn into_store(self) -> Store {
        // SAFETY: the caller's.
        unsafe { self.store.assume_init() }
    }
}

/// A handle of V8 is a `napi_value`, and so is `this` of its methods.
struct Engine {
    /// `v8::Isolate::GetCurrent()`
    isolate: unsafe extern "C" fn() -> *mut c_void,
    /// `v8::ArrayBuffer::IsDetachable() const`
    is_detachable: unsafe extern "C" fn(Js) -> bool,
    /// `v8::ArrayBuffer::GetBackingStore()`
    store: unsafe extern "C" fn(Js) -> Returned,
    /// `v8::ArrayBuffer::New(v8::Isolate*, std::shared_ptr<v8::BackingStore>)`; leaves an empty pointer behind
    new_buffer: unsafe extern "C" fn(*mut c_void, *mut Store) -> Js,
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    type Current = unsafe extern "C" fn() -> *mut c_void;
    type New = unsafe extern "C" fn(*mut c_void, *mut Store) -> Js;
    Some(Engine {
        isolate: engine_function!(c"_ZN2v87Isolate10GetCurrentEv", Current),
        is_detachable: engine_function!(
            c"_ZNK2v811ArrayBuffer12IsDetachableEv",
            unsafe extern "C" fn(Js) -> bool
        ),
        store: engine_function!(
            c"_ZN2v811ArrayBuffer15GetBackingStoreEv",
            unsafe extern "C" fn(Js) -> Returned
        ),
        new_buffer: engine_function!(
            c"_ZN2v811ArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE",
            New
        ),
    })
}

/// The isolate of this thread.
pub(crate) fn current_isolate() -> Option<*mut c_void> {
    // SAFETY: it has no arguments.
    ENGINE.as_ref().map(|engine| unsafe { (engine.isolate)() })
}

/// Whether a buffer can lose its memory.
pub(crate) fn is_detachable(buffer: Js) -> bool {
    // SAFETY: an `ArrayBuffer` of the current scope, on the thread of its isolate.
    ENGINE.as_ref().is_some_and(|engine| unsafe { (engine.is_detachable)(buffer) })
}

/// Takes the memory of a buffer, which is detached then; `None` when that cannot be.
pub(crate) fn take_store(env: Env, buffer: Js) -> Raw<Option<Store>> {
    let Some(engine) = &*ENGINE else { return Ok(None) };
    if !is_detachable(buffer) {
        return Ok(None);
    }
    // SAFETY: an `ArrayBuffer` of the current scope, on the thread of its isolate; the function fills in the store.
    let store = unsafe { (engine.store)(buffer).into_store() };
    // SAFETY: as above.
    if let Err(fault) = check(unsafe { sys::napi_detach_arraybuffer(env, buffer) }) {
        forsake(store, Kind::Own);
        return Err(fault);
    }
    Ok(Some(store))
}

/// A new buffer of that memory; what is left of the store is empty.
pub(crate) fn new_buffer(store: &mut Store) -> Raw<Js> {
    let Some(engine) = &*ENGINE else { return Err(Fault(sys::Status::napi_generic_failure)) };
    // SAFETY: on the thread of the isolate, in a scope of it; the store is ours.
    let buffer = unsafe { (engine.new_buffer)((engine.isolate)(), &raw mut *store) };
    if buffer.is_null() { Err(Fault(sys::Status::napi_generic_failure)) } else { Ok(buffer) }
}

/// Whether a buffer keeps its memory through all of it: what would not hold for an engine of another shape.
fn works(env: Env) -> Raw<bool> {
    const BYTES: usize = 64;
    let (mut data, mut buffer) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: plain creation.
    check(unsafe { sys::napi_create_arraybuffer(env, BYTES, &raw mut data, &raw mut buffer) })?;
    let Some(mut store) = take_store(env, buffer)? else { return Ok(false) };
    let again = new_buffer(&mut store)?;
    let (mut found, mut length, mut detached) = (ptr::null_mut(), 0, false);
    // SAFETY: buffers of the current scope.
    unsafe {
        check(sys::napi_is_detached_arraybuffer(env, buffer, &raw mut detached))?;
        check(sys::napi_get_arraybuffer_info(env, again, &raw mut found, &raw mut length))?;
    }
    Ok(detached && found == data && length == BYTES && store.store.is_null() && store.count.is_null())
}

/// Whose memory a store is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Of an `ArrayBuffer`.
    Own,
    /// Of `SharedArrayBuffer`s.
    Shared,
}

/// Stores that nobody wants, until an env frees them.
static FORSAKEN: Mutex<Vec<(Store, Kind)>> = Mutex::new(Vec::new());
static ARE_FORSAKEN: AtomicBool = AtomicBool::new(false);

pub(crate) fn forsake(store: Store, kind: Kind) {
    FORSAKEN.lock().push((store, kind));
    ARE_FORSAKEN.store(true, Ordering::Release);
}

/// Frees what was dropped on its way: buffers that nobody holds are garbage.
pub(crate) fn free_forsaken(env: Env) {
    if !ARE_FORSAKEN.load(Ordering::Relaxed) || !ARE_FORSAKEN.swap(false, Ordering::Acquire) {
        return;
    }
    let stores = std::mem::take(&mut *FORSAKEN.lock());
    for (mut store, kind) in stores {
        let _ = raw::scoped(env, || match kind {
            Kind::Own => new_buffer(&mut store),
            Kind::Shared => shared::new_buffer(store.copy()),
        });
    }
}

/// What a store was seen through: nothing, or a typed array of this type, offset in bytes and length in elements.
type Window = Option<(sys::napi_typedarray_type, usize, usize)>;

/// Memory on its way.
#[derive(Debug)]
struct Memory {
    store: Mutex<Option<Store>>,
    byte_len: usize,
    window: Window,
}

impl Foreign for Memory {
    fn byte_len(&self) -> usize {
        self.byte_len
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(store) = self.store.get_mut().take() {
            forsake(store, Kind::Own);
        }
    }
}

/// Takes the memory of `value`, a typed array over `buffer` or that itself; `None` when that cannot be.
fn take(env: Env, value: Js, buffer: Js) -> Raw<Option<Memory>> {
    let same = |other: Js| {
        let mut same = false;
        // SAFETY: both belong to the current scope.
        check(unsafe { sys::napi_strict_equals(env, other, buffer, &raw mut same) })?;
        Ok(same)
    };
    if !raw::is_array_buffer(env, buffer)? {
        return Ok(None);
    }
    let mut byte_len = 0;
    // SAFETY: a buffer of the current scope.
    check(unsafe { sys::napi_get_arraybuffer_info(env, buffer, ptr::null_mut(), &raw mut byte_len) })?;
    let window = if raw::is_typed_array(env, value)? {
        let view = raw::view(env, value)?;
        if !same(view.buffer)? {
            return Ok(None);
        }
        Some((view.kind, view.offset, view.length))
    } else if same(value)? {
        None
    } else {
        return Ok(None);
    };
    if byte_len == 0 {
        return Ok(None);
    }
    let store = take_store(env, buffer)?;
    Ok(store.map(|store| Memory { store: Mutex::new(Some(store)), byte_len, window }))
}

/// Makes a JavaScript value of memory that has arrived, or of a group; null, with an exception, of one that is too deep for
/// this thread.
fn open(env: Env, foreign: &dyn Foreign) -> Raw<Js> {
    let gone = Fault(sys::Status::napi_invalid_arg);
    if let Some(group) = (foreign as &dyn Any).downcast_ref::<Group>() {
        return group.open();
    }
    let memory = (foreign as &dyn Any).downcast_ref::<Memory>().ok_or(gone)?;
    let mut store = memory.store.lock().take().ok_or(gone)?;
    let buffer = new_buffer(&mut store)?;
    let Some((kind, offset, length)) = memory.window else { return Ok(buffer) };
    let mut view = ptr::null_mut();
    // SAFETY: length and offset lie inside the buffer, as they did before.
    check(unsafe { sys::napi_create_typedarray(env, kind, length, buffer, offset, &raw mut view) })?;
    Ok(view)
}

/// Memory that JavaScript names by a key (Z2): what a task is about to be submitted with or answered by, and inputs of tasks
/// that have yet to begin.
#[derive(Default)]
pub(crate) struct Memories {
    values: Vec<Option<Arc<Value>>>,
    free: Vec<u32>,
}

impl Memories {
    /// Keeps memory on its way; its key.
    pub(crate) fn put(&mut self, value: Arc<Value>) -> f64 {
        let key = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            self.values.len() as u32 - 1
        });
        self.values[key as usize] = Some(value);
        f64::from(key)
    }

    /// Gives it back.
    pub(crate) fn take(&mut self, key: f64) -> Option<Arc<Value>> {
        let value = self.values.get_mut(key as usize)?.take()?;
        self.free.push(key as u32);
        Some(value)
    }
}

static WORKS: Mutex<Option<bool>> = Mutex::new(None);
static IS_KNOWN: AtomicBool = AtomicBool::new(false);

/// Whether `canMove` has said so: the engine's own functions are what their names say.
pub(crate) fn engine_is_known() -> bool {
    IS_KNOWN.load(Ordering::Relaxed)
}

/// Whether functions of the engine have been tried with this version of Node.
pub(crate) fn is_tried(env: Env) -> Raw<bool> {
    let mut version = ptr::null();
    // SAFETY: what it gives lives as long as the process.
    let major = unsafe {
        check(sys::napi_get_node_version(env, &raw mut version))?;
        (*version).major
    };
    Ok(TRIED.contains(&major))
}

/// `canMove()`: whether memory moves this way here.
pub(crate) unsafe extern "C" fn can_move(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [_unused]| {
        let mut works_here = WORKS.lock();
        if works_here.is_none() {
            // A thread that is being terminated finds nothing out, which says nothing about the others.
            *works_here = if is_tried(env)? { works(env).ok() } else { Some(false) };
        }
        let answer = works_here.unwrap_or(false);
        IS_KNOWN.store(answer, Ordering::Relaxed);
        raw::new_boolean(env, answer)
    })
}

/// `takeMemory(value, buffer)`: moves the memory of `value`, a typed array over `buffer` or that itself, out of this thread's
/// reach; its key, -1 when that cannot be.
pub(crate) unsafe extern "C" fn take_memory(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [value, buffer]| {
        free_forsaken(env);
        let key = match take(env, value, buffer)? {
            Some(memory) => state.memories.put(Arc::new(Value::Foreign(Box::new(memory)))),
            None => -1.0,
        };
        raw::new_number(env, key)
    })
}

/// `openMemory(key)`: the value that the memory with that key came from, on this thread.
pub(crate) unsafe extern "C" fn open_memory(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [key]| {
        let value = state.memories.take(raw::number(env, key)?);
        match value.as_deref() {
            Some(Value::Foreign(foreign)) => open(env, &**foreign),
            _ => Err(Fault(sys::Status::napi_invalid_arg)),
        }
    })
}

/// `dropMemory(key)`: nobody will open it here.
pub(crate) unsafe extern "C" fn drop_memory(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [key]| {
        drop(state.memories.take(raw::number(env, key)?));
        raw::undefined(env)
    })
}
