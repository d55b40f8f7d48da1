//! Stage: submit and run. Thread: any env.
//! Whether an object was given to `markAsUncloneable`. Node notes that under a private name, which no script sees; with the name,
//! the engine tells it of one object in a fifth of the time that a clone takes, which is the only other way to learn it. The
//! name is found once in each env: in an object that was marked, where the engine lists what names it has.
//!
//! M1. Objects of the engine are looked into by the system, which reads memory that is there and refuses any other; so if the
//!     engine is built in another way, nothing is found.
//! M2. What was found is a symbol, and the engine says that the object that was marked has it, and another one has not.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::{Env, Info, Js, on_env};
use crate::engine::{MaybeBool, engine_function};
use crate::moves::current_isolate;
use crate::raw::{self, Raw};
use napi::sys;
use std::ffi::c_void;
use std::ptr;
use std::sync::LazyLock;

struct Engine {
    /// `v8::Isolate::GetCurrentContext()`
    context: unsafe extern "C" fn(*mut c_void) -> Js,
    /// `v8::Object::HasPrivate(v8::Local<v8::Context>, v8::Local<v8::Private>)`
    has_private: unsafe extern "C" fn(Js, Js, Js) -> MaybeBool,
    /// `v8::api_internal::GlobalizeReference(v8::internal::Isolate*, v8::internal::Address)`
    keep: unsafe extern "C" fn(*mut c_void, usize) -> Js,
    /// `v8::api_internal::DisposeGlobal(v8::internal::Address*)`
    forget: unsafe extern "C" fn(Js),
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    type Context = unsafe extern "C" fn(*mut c_void) -> Js;
    type HasPrivate = unsafe extern "C" fn(Js, Js, Js) -> MaybeBool;
    type Keep = unsafe extern "C" fn(*mut c_void, usize) -> Js;
    Some(Engine {
        context: engine_function!(c"_ZN2v87Isolate17GetCurrentContextEv", Context),
        has_private: engine_function!(
            c"_ZN2v86Object10HasPrivateENS_5LocalINS_7ContextEEENS1_INS_7PrivateEEE",
            HasPrivate
        ),
        keep: engine_function!(c"_ZN2v812api_internal18GlobalizeReferenceEPNS_8internal7IsolateEm", Keep),
        forget: engine_function!(c"_ZN2v812api_internal13DisposeGlobalEPm", unsafe extern "C" fn(Js)),
    })
}

/// The private name, on the thread of its env.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name(Js);

impl Name {
    /// Whether an object has it.
    ///
    /// # Safety
    ///
    /// `object` is an object of an open scope, on the thread of the env, which still has its [`Mark`].
    pub(crate) unsafe fn is_on(self, object: Js) -> bool {
        let (Some(engine), Some(isolate)) = (&*ENGINE, current_isolate()) else { return true };
        // SAFETY: contract above. No code of the user runs, not even that of a proxy.
        let found = unsafe { (engine.has_private)(object, (engine.context)(isolate), self.0) };
        found.value || !found.is_there
    }
}

/// Keeps the name.
#[derive(Debug)]
pub(crate) struct Mark(Name);

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(engine) = &*ENGINE {
            // SAFETY: made by `keep`, on the same thread, and not used any more: the env ends.
            unsafe { (engine.forget)(self.0.0) };
        }
    }
}

impl Mark {
    pub(crate) fn name(&self) -> Name {
        self.0
    }

    /// `marked` is an object with nothing but the mark, and `other` one without.
    fn find(env: Env, marked: Js, other: Js) -> Option<Self> {
        let engine = ENGINE.as_ref()?;
        let isolate = current_isolate()?;
        let mut symbol = ptr::null_mut();
        // SAFETY: plain creation.
        unsafe { raw::check(sys::napi_create_symbol(env, ptr::null_mut(), &raw mut symbol)) }.ok()?;
        // SAFETY: tagged pointers to symbols (M2): nothing was allocated since they were read, so nothing has been moved.
        let keep = |name| Self(Name(unsafe { (engine.keep)(isolate, name) }));
        let found: Vec<_> = symbols_near(marked, symbol).into_iter().map(keep).collect();
        // SAFETY: objects of the current scope.
        found.into_iter().find(|mark| unsafe { mark.0.is_on(marked) && !mark.0.is_on(other) })
    }
}

/// `findMark(marked, other)`: finds the name, given an object with nothing but the mark, and one without; whether it was found.
pub(crate) unsafe extern "C" fn find_mark(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [marked, other]| {
        // What was found is kept: it may be in use.
        if state.mark.is_none() && is_object(env, marked)? && is_object(env, other)? {
            state.mark = Mark::find(env, marked, other);
        }
        raw::new_boolean(env, state.mark.is_some())
    })
}

/// `isMarked(object)`: whether an object was marked; only after `findMark` has found the name.
pub(crate) unsafe extern "C" fn is_marked(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [object]| {
        let answer = match &state.mark {
            // SAFETY: an object of the current scope.
            Some(mark) if is_object(env, object)? => unsafe { mark.name().is_on(object) },
            _ => true,
        };
        raw::new_boolean(env, answer)
    })
}

fn is_object(env: Env, value: Js) -> Raw<bool> {
    Ok(raw::type_of(env, value)? == sys::ValueType::napi_object)
}

// --- looking into the engine's objects ---

/// Words of the description of an object (`v8::internal::Map`) from its first pointer on: sizes and bits are before.
const OF_MAP: std::ops::Range<usize> = 3..9;
/// And of a list of names (`v8::internal::DescriptorArray`), up to the second name.
const OF_LIST: std::ops::Range<usize> = 1..7;

/// The symbols that lie where the names of an object are, and others; `symbol`: any.
fn symbols_near(object: Js, symbol: Js) -> Vec<usize> {
    // SAFETY: a handle is the place of a tagged pointer.
    let (object, symbol) = unsafe { (*object.cast::<usize>(), *symbol.cast::<usize>()) };
    let Some([of_symbols]) = read::<1>(symbol, 0) else { return Vec::new() };
    let lists = read::<1>(object, 0)
        .and_then(|[map]| read::<{ OF_MAP.end - OF_MAP.start }>(map, OF_MAP.start))
        .unwrap_or_default();
    lists
        .into_iter()
        .filter_map(|list| read::<{ OF_LIST.end - OF_LIST.start }>(list, OF_LIST.start))
        .flatten()
        .filter(|&name| read::<1>(name, 0) == Some([of_symbols]))
        .collect()
}

/// So many words of an object of the engine, from the word `first` on; `None` for what is no pointer to one, and where there is
/// no such memory.
#[cfg(target_os = "linux")]
fn read<const N: usize>(tagged: usize, first: usize) -> Option<[usize; N]> {
    const TAG: usize = 1;
    if tagged % size_of::<usize>() != TAG {
        return None;
    }
    let mut words = [0; N];
    let to = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
    let from = libc::iovec {
        iov_base: ptr::without_provenance_mut(tagged - TAG + first * size_of::<usize>()),
        iov_len: size_of_val(&words),
    };
    // SAFETY: the system writes to `words` alone, and reads what the process has there, or nothing.
    let count = unsafe { libc::process_vm_readv(libc::getpid(), &raw const to, 1, &raw const from, 1, 0) };
    (count == size_of_val(&words) as isize).then_some(words)
}

/// On the others.
#[cfg(not(target_os = "linux"))]
fn read<const N: usize>(_tagged: usize, _first: usize) -> Option<[usize; N]> {
    None
}
