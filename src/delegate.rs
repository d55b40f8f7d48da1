//! Stage: submit and run. Thread: any env.
//! What V8's serializer asks while it writes: whether an object is the platform's, and where to put the bytes. It asks an object
//! of C++, whose table of functions is made here out of the one that its base class has in this process: a function is put
//! where that table has the function of the same name. Where the table has another shape there is no delegate.
//!
//! D1. Whatever is refused is refused with an exception, as the serializer demands; whoever has it write catches that.
//! D2. An object is taken for a plain one if its prototype is one of those that are given, and it has no fields of the
//!     platform. What Node marks as its own has a prototype of its own. Instances of classes may be marked, too. Before Node 22
//!     the serializer knows those by their fields, does not ask, and takes all others for plain objects, as the platform does
//!     there.
//! D3. An error, about which newer engines ask, is written by the engine whatever its class, unless it is marked, as errors of
//!     the platform (`DOMException`) are.

#![expect(unsafe_code, reason = "an object of C++")]

use crate::call::Js;
use crate::engine::{MaybeBool, address};
use crate::marks::Name;
use crate::shared::SharedStore;
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::LazyLock;

type This = *mut c_void;
type Slot = *const c_void;

/// Prototypes of objects that are taken for plain ones; the first two are no classes.
pub(crate) const PLAIN: usize = 6;
const NO_CLASSES: usize = 2;

/// What most values have room in, bytes.
const SCRATCH: usize = 2048;
pub(crate) type Scratch = MaybeUninit<[u8; SCRATCH]>;

/// `v8::Maybe<uint32_t>`.
#[repr(C)]
struct MaybeNumber {
    is_there: bool,
    value: u32,
}

/// Functions of V8 that are called here.
struct Engine {
    /// `v8::Isolate::ThrowException(v8::Local<v8::Value>)`
    throw: unsafe extern "C" fn(This, Js) -> Js,
    /// `v8::Object::GetPrototype()`
    prototype: unsafe extern "C" fn(Js) -> Js,
    /// `v8::Object::InternalFieldCount() const`
    field_count: unsafe extern "C" fn(Js) -> i32,
    /// `v8::Value::IsNativeError() const`
    is_error: unsafe extern "C" fn(Js) -> bool,
    table: Table,
}

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(find_engine);

fn find_engine() -> Option<Engine> {
    type OneToOne = unsafe extern "C" fn(Js) -> Js;
    let throw = address(c"_ZN2v87Isolate14ThrowExceptionENS_5LocalINS_5ValueEEE")?;
    // The newer name first: the older one goes.
    let prototype =
        address(c"_ZN2v86Object14GetPrototypeV2Ev").or_else(|| address(c"_ZN2v86Object12GetPrototypeEv"))?;
    let field_count = address(c"_ZNK2v86Object18InternalFieldCountEv")?;
    let is_error = address(c"_ZNK2v85Value13IsNativeErrorEv")?;
    let table = make_table()?;
    // SAFETY: the names are those of the functions with these types, in the C++ interface of the platform.
    Some(unsafe {
        Engine {
            throw: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(This, Js) -> Js>(throw),
            prototype: std::mem::transmute::<*mut c_void, OneToOne>(prototype),
            field_count: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Js) -> i32>(field_count),
            is_error: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Js) -> bool>(is_error),
            table,
        }
    })
}

// --- the table ---

/// What a table begins with: two numbers of its class, and two functions that end an object of it.
const HEAD: usize = 4;
const MOST: usize = 9;

/// A table of functions, as the C++ ABI of Itanium has it.
struct Table([Slot; HEAD + MOST]);

// SAFETY: nobody writes to it.
unsafe impl Send for Table {}
// SAFETY: nobody writes to it.
unsafe impl Sync for Table {}

macro_rules! method {
    ($name:literal) => {
        match CStr::from_bytes_with_nul(concat!("_ZN2v815ValueSerializer8Delegate", $name, "\0").as_bytes()) {
            Ok(name) => name,
            Err(_) => panic!(),
        }
    };
}

/// Functions that the base class has, in their order, and what is put in their place. The two of host objects are not in
/// Node 20.
const METHODS: [(&CStr, Option<Slot>); MOST - 1] = [
    (method!("19HasCustomHostObjectEPNS_7IsolateE"), Some(has_custom as Slot)),
    (method!("12IsHostObjectEPNS_7IsolateENS_5LocalINS_6ObjectEEE"), Some(is_host as Slot)),
    (method!("15WriteHostObjectEPNS_7IsolateENS_5LocalINS_6ObjectEEE"), Some(write_host as Slot)),
    (
        method!("22GetSharedArrayBufferIdEPNS_7IsolateENS_5LocalINS_17SharedArrayBufferEEE"),
        Some(number_of_shared as Slot),
    ),
    (
        method!("23GetWasmModuleTransferIdEPNS_7IsolateENS_5LocalINS_16WasmModuleObjectEEE"),
        Some(number_of as Slot),
    ),
    (method!("24AdoptSharedValueConveyorEPNS_7IsolateEONS_19SharedValueConveyorE"), None),
    (method!("22ReallocateBufferMemoryEPvmPm"), Some(reallocate as Slot)),
    (method!("16FreeBufferMemoryEPv"), Some(free as Slot)),
];
const OPTIONAL: usize = 2;

fn make_table() -> Option<Table> {
    let base = address(c"_ZTVN2v815ValueSerializer8DelegateE")?.cast::<Slot>();
    let known: Vec<_> = METHODS.iter().map(|&(name, own)| (address(name), own)).collect();
    let first = known.iter().position(|(found, _)| found.is_some())?;
    if first != 0 && first != OPTIONAL {
        return None;
    }
    // SAFETY: all that is read belongs to the table, if it is as expected; if not, to what lies behind it in the library.
    let slot = |at: usize| unsafe { *base.add(at) };
    let mut table = [ptr::null(); HEAD + MOST];
    for (at, place) in table[..HEAD].iter_mut().enumerate() {
        *place = slot(at);
    }
    // The base has none.
    table[HEAD] = throw_error as Slot;
    for (at, &(found, own)) in known[first..].iter().enumerate() {
        let at = HEAD + 1 + at;
        if found?.cast_const() != slot(at) {
            return None;
        }
        table[at] = own.unwrap_or(slot(at));
    }
    Some(Table(table))
}

// --- the object ---

/// What is taken for plain objects (D2).
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) prototypes: [Js; PLAIN],
    /// A handle of the scope that the caller is in, whose place nobody else uses.
    pub(crate) place: Js,
    /// What an instance of a class must not have; without it, it is not known which are marked.
    pub(crate) mark: Option<Name>,
}

/// What the serializer is given. It must not move while it is in use.
#[repr(C)]
pub(crate) struct Delegate<'a> {
    table: *const Slot,
    engine: &'static Engine,
    isolate: This,
    /// Whether the platform's objects are to be told from others.
    checks: bool,
    plain: [Js; PLAIN],
    mark: Option<Name>,
    scratch: &'a mut Scratch,
    /// Where shared memory is put that is met; without, it is refused.
    shared: Option<&'a mut Vec<SharedStore>>,
    is_refused: bool,
    stranger: bool,
    is_marked: bool,
    /// Objects of classes, and a handle that becomes that of the first one.
    instances: u32,
    instance: Js,
}

/// Whether the serializer asks which objects are the platform's.
pub(crate) fn asks() -> bool {
    address(METHODS[0].0).is_some()
}

impl<'a> Delegate<'a> {
    /// `None` where there cannot be one. Without `plain` nothing is asked.
    pub(crate) fn new(
        isolate: This,
        plain: Option<Plain>,
        scratch: &'a mut Scratch,
        shared: Option<&'a mut Vec<SharedStore>>,
    ) -> Option<Self> {
        let engine = ENGINE.as_ref()?;
        Some(Self {
            table: &raw const engine.table.0[2],
            engine,
            isolate,
            checks: plain.is_some(),
            plain: plain.map_or([ptr::null_mut(); PLAIN], |plain| plain.prototypes),
            mark: plain.and_then(|plain| plain.mark),
            scratch,
            shared,
            is_refused: false,
            stranger: false,
            is_marked: false,
            instances: 0,
            instance: plain.map_or(ptr::null_mut(), |plain| plain.place),
        })
    }

    /// Whether anything was refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether writing has ended at an object that may be the platform's.
    pub(crate) fn met_stranger(&self) -> bool {
        self.stranger
    }

    /// How many objects of classes there are. If any, the handle that was given is of the first one.
    pub(crate) fn instances(&self) -> u32 {
        self.instances
    }

    /// Whether these bytes lie in the scratch memory; else they are the C library's.
    pub(crate) fn is_scratch(&self, data: *const u8) -> bool {
        ptr::eq(data, self.scratch.as_ptr().cast())
    }

    fn refuse(&mut self, value: Js) {
        self.is_refused = true;
        // SAFETY: a value of the current scope, on the thread of the isolate.
        unsafe { (self.engine.throw)(self.isolate, value) };
    }

    /// Whether two handles are of the same object.
    ///
    /// # Safety
    ///
    /// Both are of an open scope.
    unsafe fn is_same(one: Js, other: Js) -> bool {
        // SAFETY: a handle is the place of a tagged pointer.
        !one.is_null() && unsafe { *one.cast::<usize>() == *other.cast::<usize>() }
    }
}

/// `ThrowDataCloneError(message)`.
unsafe extern "C" fn throw_error(this: *mut Delegate<'_>, message: Js) {
    // SAFETY: the object that the serializer was given, on its thread; no other reference to it is alive.
    unsafe { &mut *this }.refuse(message);
}

unsafe extern "C" fn has_custom(this: *mut Delegate<'_>, _isolate: This) -> bool {
    // SAFETY: as above.
    unsafe { &*this }.checks
}

unsafe extern "C" fn is_host(this: *mut Delegate<'_>, _isolate: This, object: Js) -> MaybeBool {
    // SAFETY: as above; the object is of an open scope.
    unsafe {
        let this = &mut *this;
        let prototype = (this.engine.prototype)(object);
        let known = this.plain.iter().position(|&plain| Delegate::is_same(plain, prototype));
        // Those of the platform bear the mark, too.
        let is_error = known.is_none() && this.mark.is_some() && (this.engine.is_error)(object);
        let mut is_plain = (known.is_some() || is_error) && (this.engine.field_count)(object) == 0;
        if is_error || known.is_some_and(|at| at >= NO_CLASSES) {
            if this.instances == 0 {
                // What ends of scopes do for the one value that outlives them.
                *this.instance.cast::<usize>() = *object.cast::<usize>();
            }
            this.instances = this.instances.saturating_add(1);
            if this.mark.is_some_and(|mark| mark.is_on(object)) {
                this.is_marked = true;
                is_plain = false;
            }
        }
        MaybeBool { is_there: true, value: !is_plain }
    }
}

unsafe extern "C" fn write_host(this: *mut Delegate<'_>, _isolate: This, object: Js) -> MaybeBool {
    // SAFETY: as above.
    let this = unsafe { &mut *this };
    this.stranger = !this.is_marked;
    this.refuse(object);
    MaybeBool { is_there: false, value: false }
}

/// Asked once for each `SharedArrayBuffer`; the serializer knows it again.
unsafe extern "C" fn number_of_shared(this: *mut Delegate<'_>, _isolate: This, buffer: Js) -> MaybeNumber {
    // SAFETY: as above; what V8 asks about is one, of an open scope.
    unsafe {
        let this = &mut *this;
        if let Some(shared) = &mut this.shared
            && let Some(store) = SharedStore::of(buffer)
        {
            shared.push(store);
            return MaybeNumber { is_there: true, value: shared.len() as u32 - 1 };
        }
        this.refuse(buffer);
    }
    MaybeNumber { is_there: false, value: 0 }
}

/// Of a module of WebAssembly.
unsafe extern "C" fn number_of(this: *mut Delegate<'_>, _isolate: This, object: Js) -> MaybeNumber {
    // SAFETY: as above.
    unsafe { &mut *this }.refuse(object);
    MaybeNumber { is_there: false, value: 0 }
}

unsafe extern "C" fn reallocate(
    this: *mut Delegate<'_>,
    old: *mut c_void,
    size: usize,
    actual: *mut usize,
) -> *mut c_void {
    // SAFETY: as above; what is old comes from here, and has been filled as far as it reaches at most.
    unsafe {
        let this = &mut *this;
        let scratch = this.scratch.as_mut_ptr().cast::<c_void>();
        if (old.is_null() || old == scratch) && size <= SCRATCH {
            *actual = SCRATCH;
            return scratch;
        }
        *actual = size;
        if old != scratch {
            return libc::realloc(old, size);
        }
        let new = libc::malloc(size);
        if !new.is_null() {
            ptr::copy_nonoverlapping(scratch.cast::<MaybeUninit<u8>>(), new.cast(), SCRATCH);
        }
        new
    }
}

unsafe extern "C" fn free(this: *mut Delegate<'_>, memory: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        if !(*this).is_scratch(memory.cast()) {
            libc::free(memory);
        }
    }
}
