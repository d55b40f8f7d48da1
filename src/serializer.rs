//! Stage: submit, run and settle. Thread: any env; what is written belongs to whichever thread has it.
//! V8's serializer, called as its classes are called from C++: Node has it as classes of JavaScript, around which a small value
//! takes three times what the engine takes for it, and has each byte copied once more.
//!
//! X1. Writing leaves no exception behind. It may run getters of the user.

#![expect(unsafe_code, reason = "functions of the engine that Node-API does not offer")]

use crate::call::Js;
use crate::delegate::{Delegate, Plain, Scratch};
use crate::engine::{MaybeBool, engine_function};
use crate::moves::current_isolate;
use crate::read_delegate::ReadDelegate;
use crate::shared::SharedStore;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::LazyLock;

/// `std::pair<uint8_t*, size_t>`.
#[repr(C)]
struct Pair {
    data: *mut u8,
    length: usize,
}

/// Room for an object of C++: a serializer is one pointer, a `TryCatch` six.
type Room = MaybeUninit<[usize; 16]>;
type This = *mut c_void;

type On<A> = unsafe extern "C" fn(This) -> A;
type OnIsolate = unsafe extern "C" fn(This, This);
type InContext<A> = unsafe extern "C" fn(This, Js) -> A;
type WriteValue = unsafe extern "C" fn(This, Js, Js) -> MaybeBool;
type WithBuffer = unsafe extern "C" fn(This, u32, Js);
type NewWriter = unsafe extern "C" fn(This, This, *mut Delegate<'_>);
type NewReader = unsafe extern "C" fn(This, This, *const u8, usize);

/// A `v8::Local` is a `napi_value`, and an empty one is null.
struct Engine {
    /// `v8::Isolate::GetCurrentContext()`
    context: On<Js>,
    /// `v8::TryCatch::TryCatch(v8::Isolate*)` and its destructor
    new_catch: OnIsolate,
    drop_catch: On<()>,
    /// `v8::ValueSerializer`
    new_writer: NewWriter,
    drop_writer: On<()>,
    write_header: On<()>,
    write_value: WriteValue,
    leave_out: WithBuffer,
    release: On<Pair>,
    /// `v8::ValueDeserializer`
    new_reader: NewReader,
    drop_reader: On<()>,
    read_header: InContext<MaybeBool>,
    read_value: InContext<Js>,
    put_in: WithBuffer,
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    Some(Engine {
        context: engine_function!(c"_ZN2v87Isolate17GetCurrentContextEv", On<Js>),
        new_catch: engine_function!(c"_ZN2v88TryCatchC1EPNS_7IsolateE", OnIsolate),
        drop_catch: engine_function!(c"_ZN2v88TryCatchD1Ev", On<()>),
        new_writer: engine_function!(c"_ZN2v815ValueSerializerC1EPNS_7IsolateEPNS0_8DelegateE", NewWriter),
        drop_writer: engine_function!(c"_ZN2v815ValueSerializerD1Ev", On<()>),
        write_header: engine_function!(c"_ZN2v815ValueSerializer11WriteHeaderEv", On<()>),
        write_value: engine_function!(
            c"_ZN2v815ValueSerializer10WriteValueENS_5LocalINS_7ContextEEENS1_INS_5ValueEEE",
            WriteValue
        ),
        leave_out: engine_function!(
            c"_ZN2v815ValueSerializer19TransferArrayBufferEjNS_5LocalINS_11ArrayBufferEEE",
            WithBuffer
        ),
        release: engine_function!(c"_ZN2v815ValueSerializer7ReleaseEv", On<Pair>),
        new_reader: engine_function!(c"_ZN2v817ValueDeserializerC1EPNS_7IsolateEPKhm", NewReader),
        drop_reader: engine_function!(c"_ZN2v817ValueDeserializerD1Ev", On<()>),
        read_header: engine_function!(
            c"_ZN2v817ValueDeserializer10ReadHeaderENS_5LocalINS_7ContextEEE",
            InContext<MaybeBool>
        ),
        read_value: engine_function!(
            c"_ZN2v817ValueDeserializer9ReadValueENS_5LocalINS_7ContextEEE",
            InContext<Js>
        ),
        put_in: engine_function!(
            c"_ZN2v817ValueDeserializer19TransferArrayBufferEjNS_5LocalINS_11ArrayBufferEEE",
            WithBuffer
        ),
    })
}

/// What the serializer has written.
#[derive(Debug)]
pub(crate) struct Bytes {
    pub(crate) length: usize,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Scratch(Box<Scratch>),
    /// The C library's.
    Own(Own),
}

#[derive(Debug)]
struct Own(*mut u8);

// SAFETY: memory that nobody else has.
unsafe impl Send for Own {}
// SAFETY: nobody writes to it.
unsafe impl Sync for Own {}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: memory of the C library, of which the serializer has let go.
        unsafe { libc::free(self.0.cast()) };
    }
}

impl Bytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        let data = match &self.memory {
            Memory::Scratch(scratch) => scratch.as_ptr().cast(),
            Memory::Own(Own(data)) => data.cast_const(),
        };
        // SAFETY: the serializer has filled that many.
        unsafe { std::slice::from_raw_parts(data, self.length) }
    }

    /// The scratch memory that they lie in, if they do.
    pub(crate) fn into_scratch(self) -> Option<Box<Scratch>> {
        match self.memory {
            Memory::Scratch(scratch) => Some(scratch),
            Memory::Own(_) => None,
        }
    }
}

/// An object of C++ on the stack, which stays where it is.
struct Object<'a> {
    this: This,
    drop: unsafe extern "C" fn(This),
    _room: &'a mut Room,
}

impl<'a> Object<'a> {
    fn new(room: &'a mut Room, make: impl FnOnce(This), drop: unsafe extern "C" fn(This)) -> Self {
        let this = room.as_mut_ptr().cast();
        make(this);
        Self { this, drop, _room: room }
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: its constructor has run.
        unsafe { (self.drop)(self.this) };
    }
}

/// Runs `body`, and forgets what it has thrown (X1).
fn caught<T>(body: impl FnOnce(&Engine, This) -> Option<T>) -> Option<T> {
    let engine = ENGINE.as_ref()?;
    let isolate = current_isolate()?;
    let mut room = Room::uninit();
    // SAFETY: on the thread of the isolate, in a scope of it; the object ends before its room.
    let make = |this| unsafe { (engine.new_catch)(this, isolate) };
    let _catch = Object::new(&mut room, make, engine.drop_catch);
    body(engine, isolate)
}

/// What has come of writing a value.
pub(crate) enum Writing {
    /// `instance`: an object of a class that is in it; or all of it, if there are more. Null if there is none.
    Done { bytes: Bytes, instance: Js },
    /// There is an object in it that may be the platform's.
    Stranger,
    /// The engine cannot write it by itself.
    Refused,
}

impl Writing {
    pub(crate) fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Done { bytes, .. } => Some(bytes),
            Self::Stranger | Self::Refused => None,
        }
    }
}

/// Writes a value, without the memory of `buffers`. Without `plain` it is known that nothing in it is the platform's. Uses the memory of `scratch` or leaves it
/// there. `shared`: where shared memory is put that is met; without, it is refused.
pub(crate) fn write(
    value: Js,
    buffers: &[Js],
    plain: Option<Plain>,
    scratch: &mut Option<Box<Scratch>>,
    shared: Option<&mut Vec<SharedStore>>,
) -> Writing {
    let mut own = scratch.take().unwrap_or_else(|| Box::new(Scratch::uninit()));
    let written = caught(|engine, isolate| {
        let mut delegate = Delegate::new(isolate, plain, &mut own, shared)?;
        let delegate = &raw mut delegate;
        let mut room = Room::uninit();
        // SAFETY: on the thread of the isolate, in a scope of it; the object ends before its room and its delegate, which is
        // looked at when nothing is written any more.
        unsafe {
            let context = (engine.context)(isolate);
            let make = |this| (engine.new_writer)(this, isolate, delegate);
            let writer = Object::new(&mut room, make, engine.drop_writer);
            (engine.write_header)(writer.this);
            for (id, &buffer) in buffers.iter().enumerate() {
                (engine.leave_out)(writer.this, id as u32, buffer);
            }
            let is_done = (engine.write_value)(writer.this, context, value).is_true();
            if !is_done || (*delegate).is_refused() {
                let is_stranger = (*delegate).met_stranger();
                return Some(Err(if is_stranger { Writing::Stranger } else { Writing::Refused }));
            }
            let Pair { data, length } = (engine.release)(writer.this);
            let in_scratch = (*delegate).is_scratch(data);
            let instance = match ((*delegate).instances(), plain) {
                (1, Some(Plain { place, .. })) => place,
                (0, _) | (_, None) => ptr::null_mut(),
                _ => value,
            };
            (!data.is_null()).then_some(Ok((data, length, in_scratch, instance)))
        }
    });
    let failure = match written {
        Some(Ok((data, length, in_scratch, instance))) => {
            let memory = if in_scratch {
                Memory::Scratch(own)
            } else {
                *scratch = Some(own);
                Memory::Own(Own(data))
            };
            return Writing::Done { bytes: Bytes { length, memory }, instance };
        }
        Some(Err(failure)) => failure,
        None => Writing::Refused,
    };
    *scratch = Some(own);
    failure
}

/// Reads a value; null with an exception when it is too deep for this thread. `buffers`: what was left out; `shared`: shared
/// memory, in the order in which it was met.
pub(crate) fn read(bytes: &[u8], buffers: &[Js], shared: &[Js]) -> Js {
    let (Some(engine), Some(isolate)) = (ENGINE.as_ref(), current_isolate()) else {
        return ptr::null_mut();
    };
    let mut delegate = ReadDelegate::new(shared);
    if delegate.is_none() && !shared.is_empty() {
        return ptr::null_mut();
    }
    let mut room = Room::uninit();
    // SAFETY: as in `write`. The bytes come from there, and nobody writes to them meanwhile: no JavaScript runs.
    unsafe {
        let context = (engine.context)(isolate);
        let make = |this| match &mut delegate {
            Some(delegate) if !shared.is_empty() => delegate.make_reader(this, isolate, bytes),
            _ => (engine.new_reader)(this, isolate, bytes.as_ptr(), bytes.len()),
        };
        let reader = Object::new(&mut room, make, engine.drop_reader);
        for (id, &buffer) in buffers.iter().enumerate() {
            (engine.put_in)(reader.this, id as u32, buffer);
        }
        if !(engine.read_header)(reader.this, context).is_true() {
            return ptr::null_mut();
        }
        (engine.read_value)(reader.this, context)
    }
}

/// Whether `body` gives something; forgets what it has thrown.
pub(crate) fn quietly<T>(body: impl FnOnce() -> Option<T>) -> Option<T> {
    caught(|_, _| body())
}
