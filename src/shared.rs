//! Stage: submit, run and settle. Thread: any env; a store may be dropped on any thread.
//! Shared memory on its way between threads, as Node sends it: its backing store goes, and becomes another `SharedArrayBuffer`
//! where it arrives. As in `moves.rs`, functions of V8 are called for it. A value may arrive more than once, so what is on
//! its way stays, and owners of it are counted, as `std::shared_ptr` does: the number lies behind the table of functions
//! of what counts them. [`can_share`] has looked whether it does here.
//!
//! S1. The last owner of a store is never this module: V8 frees it, in an env.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js, on_env};
use crate::clones;
use crate::engine::engine_function;
use crate::moves::{Kind, Returned, Store, current_isolate, forsake};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use parking_lot::Mutex;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

struct Engine {
    /// `v8::Value::IsSharedArrayBuffer() const`
    is_shared: unsafe extern "C" fn(Js) -> bool,
    /// `v8::SharedArrayBuffer::GetBackingStore()`
    store: unsafe extern "C" fn(Js) -> Returned,
    /// `v8::SharedArrayBuffer::New(v8::Isolate*, std::shared_ptr<v8::BackingStore>)`
    new_buffer: unsafe extern "C" fn(*mut c_void, *mut Store) -> Js,
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    type New = unsafe extern "C" fn(*mut c_void, *mut Store) -> Js;
    Some(Engine {
        is_shared: engine_function!(
            c"_ZNK2v85Value19IsSharedArrayBufferEv",
            unsafe extern "C" fn(Js) -> bool
        ),
        store: engine_function!(
            c"_ZN2v817SharedArrayBuffer15GetBackingStoreEv",
            unsafe extern "C" fn(Js) -> Returned
        ),
        new_buffer: engine_function!(
            c"_ZN2v817SharedArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE",
            New
        ),
    })
}

/// Shared memory on its way: one of the owners of a store.
#[derive(Debug)]
pub(crate) struct SharedStore(Store);

impl SharedStore {
    /// The store of a `SharedArrayBuffer`.
    ///
    /// # Safety
    ///
    /// It is one, of an open scope of this thread.
    pub(crate) unsafe fn of(buffer: Js) -> Option<Self> {
        let engine = ENGINE.as_ref()?;
        // SAFETY: the caller's; the function fills in the store.
        let store = unsafe { (engine.store)(buffer).into_store() };
        (!store.counter().is_null()).then_some(Self(store))
    }

    /// Another `SharedArrayBuffer` of that memory.
    pub(crate) fn open(&self) -> Raw<Js> {
        self.owners().fetch_add(1, Ordering::Relaxed);
        new_buffer(self.0.copy())
    }

    /// How many owners the store has.
    fn owners(&self) -> &AtomicI32 {
        // SAFETY: what counts owners begins with its table of functions, and then has their number; it lives as long as they do.
        unsafe { &*self.0.counter().cast::<AtomicI32>().add(2) }
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        let fewer = |owners| (owners > 1).then(|| owners - 1);
        if self.owners().fetch_update(Ordering::AcqRel, Ordering::Relaxed, fewer).is_err() {
            forsake(self.0.copy(), Kind::Shared);
        }
    }
}

/// A `SharedArrayBuffer` of a store.
pub(crate) fn new_buffer(store: Store) -> Raw<Js> {
    let mut store = ManuallyDrop::new(SharedStore(store));
    let (Some(engine), Some(isolate)) = (ENGINE.as_ref(), current_isolate()) else {
        return Err(Fault(sys::Status::napi_generic_failure));
    };
    // SAFETY: on the thread of the isolate, in a scope of it; the store is ours.
    let buffer = unsafe { (engine.new_buffer)(isolate, &raw mut store.0) };
    // Whoever calls a function of C++ ends what it was given. It may have been emptied.
    if !store.0.counter().is_null() {
        drop(ManuallyDrop::into_inner(store));
    }
    if buffer.is_null() { Err(Fault(sys::Status::napi_generic_failure)) } else { Ok(buffer) }
}

static WORKS: AtomicBool = AtomicBool::new(false);

/// Whether shared memory goes this way here.
pub(crate) fn works() -> bool {
    WORKS.load(Ordering::Relaxed)
}

/// Whether a buffer comes through as another one of the same memory, and its owners are counted where they are expected.
fn try_out(env: Env, buffer: Js) -> Raw<bool> {
    let Some(engine) = ENGINE.as_ref() else { return Ok(false) };
    // SAFETY: a value of the current scope.
    if !unsafe { (engine.is_shared)(buffer) } {
        return Ok(false);
    }
    // SAFETY: a `SharedArrayBuffer` of the current scope.
    let first = unsafe { (engine.store)(buffer).into_store() };
    if first.counter().is_null() {
        return Ok(false);
    }
    // SAFETY: memory of what counts owners, whatever it is.
    let owners = unsafe { &*first.counter().cast::<AtomicI32>().add(2) };
    let before = owners.load(Ordering::Relaxed);
    // SAFETY: as above. This one more owner stays for ever if it is not counted there.
    let second = unsafe { (engine.store)(buffer).into_store() };
    if !second.is_same(&first) || !(1..=8).contains(&before) || owners.load(Ordering::Relaxed) != before + 1 {
        return Ok(false);
    }
    let (first, second) = (SharedStore(first), SharedStore(second));
    let again = first.open()?;
    drop(second);
    let mut is_same = false;
    // SAFETY: values of the current scope.
    raw::check(unsafe { sys::napi_strict_equals(env, buffer, again, &raw mut is_same) })?;
    let is_counted = first.owners().load(Ordering::Relaxed) == before + 1;
    Ok(!is_same && is_counted && is_of(again, &first) && clones::shares(buffer, &first))
}

/// Whether a value is a `SharedArrayBuffer` of that memory.
pub(crate) fn is_of(value: Js, store: &SharedStore) -> bool {
    // SAFETY: a value of the current scope; the first function says whether the second may be called.
    unsafe {
        let is_shared = ENGINE.as_ref().is_some_and(|engine| (engine.is_shared)(value));
        is_shared && SharedStore::of(value).is_some_and(|other| other.0.is_same(&store.0))
    }
}

/// `canShare(buffer)`: whether shared memory goes from thread to thread with its value; `buffer`: some, to try it with. Not
/// before `canClone()`.
pub(crate) unsafe extern "C" fn can_share(env: Env, info: Info) -> Js {
    static TRIED: Mutex<bool> = Mutex::new(false);
    on_env(env, info, |_, [buffer]| {
        let mut tried = TRIED.lock();
        if !*tried {
            *tried = true;
            WORKS.store(try_out(env, buffer).unwrap_or(false), Ordering::Relaxed);
        }
        raw::new_boolean(env, works())
    })
}
