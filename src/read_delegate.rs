//! Stage: run and settle. Thread: any env.
//! What V8's deserializer asks while it reads: which shared memory a number stands for. As in `delegate.rs`, it asks an object of
//! C++ whose table of functions is a copy of that of its base class, but for one.

#![expect(unsafe_code, reason = "an object of C++")]

use crate::call::Js;
use crate::engine::{address, engine_function};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::LazyLock;

type This = *mut c_void;
type Slot = *const c_void;

/// `v8::ValueDeserializer::ValueDeserializer(v8::Isolate*, const uint8_t*, size_t, v8::ValueDeserializer::Delegate*)`
type NewReader = unsafe extern "C" fn(This, This, *const u8, usize, *mut ReadDelegate<'_>);

/// What a table begins with: two numbers of its class, and two functions that end an object of it.
const HEAD: usize = 4;
/// Functions that the base class has, in their order, and what is put in the place of one of them.
const METHODS: [(&CStr, Option<Slot>); 4] = [
    (c"_ZN2v817ValueDeserializer8Delegate14ReadHostObjectEPNS_7IsolateE", None),
    (c"_ZN2v817ValueDeserializer8Delegate19GetWasmModuleFromIdEPNS_7IsolateEj", None),
    (c"_ZN2v817ValueDeserializer8Delegate26GetSharedArrayBufferFromIdEPNS_7IsolateEj", Some(shared as Slot)),
    (c"_ZN2v817ValueDeserializer8Delegate22GetSharedValueConveyorEPNS_7IsolateE", None),
];

struct Engine {
    new_reader: NewReader,
    table: [Slot; HEAD + METHODS.len()],
}

// SAFETY: nobody writes to the table.
unsafe impl Send for Engine {}
// SAFETY: nobody writes to the table.
unsafe impl Sync for Engine {}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    let new_reader =
        engine_function!(c"_ZN2v817ValueDeserializerC1EPNS_7IsolateEPKhmPNS0_8DelegateE", NewReader);
    let base = address(c"_ZTVN2v817ValueDeserializer8DelegateE")?.cast::<Slot>();
    let mut table = [ptr::null(); HEAD + METHODS.len()];
    for (at, place) in table.iter_mut().enumerate() {
        // SAFETY: all that is read belongs to the table, if it is as expected; if not, to what lies behind it in the library.
        *place = unsafe { *base.add(at) };
    }
    for ((name, own), place) in METHODS.iter().zip(&mut table[HEAD..]) {
        if address(name)?.cast_const() != *place {
            return None;
        }
        *place = own.unwrap_or(*place);
    }
    Some(Engine { new_reader, table })
}

/// What the deserializer is given. It must not move while it is in use.
#[repr(C)]
pub(crate) struct ReadDelegate<'a> {
    table: *const Slot,
    shared: &'a [Js],
}

impl<'a> ReadDelegate<'a> {
    /// `None` where there cannot be one. `shared`: `SharedArrayBuffer`s by their numbers, of an open scope.
    pub(crate) fn new(shared: &'a [Js]) -> Option<Self> {
        let table = &raw const ENGINE.as_ref()?.table[2];
        Some(Self { table, shared })
    }

    /// Makes a deserializer that asks it.
    ///
    /// # Safety
    ///
    /// There is room for it at `reader`; the isolate is that of this thread; the bytes and this object outlive it.
    pub(crate) unsafe fn make_reader(&mut self, reader: This, isolate: This, bytes: &[u8]) {
        if let Some(engine) = &*ENGINE {
            // SAFETY: the caller's.
            unsafe { (engine.new_reader)(reader, isolate, bytes.as_ptr(), bytes.len(), self) };
        }
    }
}

/// `GetSharedArrayBufferFromId(isolate, number)`.
unsafe extern "C" fn shared(this: *mut ReadDelegate<'_>, _isolate: This, number: u32) -> Js {
    // SAFETY: the object that the deserializer was given, on its thread.
    let shared = unsafe { (*this).shared };
    shared.get(number as usize).copied().unwrap_or(ptr::null_mut())
}
