//! Stage: submit and settle. Thread: any; a value has one owner at a time.
//! The values that kernels take and give: numbers, bigints, strings, typed arrays, and plain lists and objects of
//! these.
//!
//! V1. Memory that JavaScript can still reach is never seen as `&[u8]`: a shared region is only read through atomics.
//! V2. A private region has exactly one owner; whoever holds the [`Array`] may write it.

#![expect(unsafe_code, reason = "views over memory that the JavaScript engine owns")]

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// One value, in or out of a kernel.
#[derive(Debug, Default)]
pub enum Value {
    /// `undefined`
    #[default]
    Undefined,
    /// `null`
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A bigint of up to 64 bits and sign.
    BigInt(i128),
    /// A string. Lone surrogates have become U+FFFD.
    String(String),
    /// A typed array.
    Array(Array),
    /// An array of values.
    List(Vec<Value>),
    /// A plain object; the order of the entries is kept.
    Object(Vec<(Cow<'static, str>, Value)>),
    /// An array of objects that all have these numeric members: `cells` holds them row by row.
    Rows {
        /// Names of the members.
        keys: &'static [&'static str],
        /// `keys.len()` numbers per object.
        cells: Vec<f64>,
    },
}

impl Value {
    /// An object from pairs with fixed names.
    pub fn object(entries: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(entries.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// A second one of a primitive or a typed array in memory of its own; `None` of anything else.
    pub fn duplicate(&self) -> Option<Self> {
        Some(match self {
            Self::Undefined => Self::Undefined,
            Self::Null => Self::Null,
            Self::Bool(value) => Self::Bool(*value),
            Self::Number(value) => Self::Number(*value),
            Self::BigInt(value) => Self::BigInt(*value),
            Self::String(value) => Self::String(value.clone()),
            Self::Array(array) => Self::Array(Array::copy_from(array.kind(), array.bytes()?)),
            Self::List(items) => Self::List(items.iter().map(Self::duplicate).collect::<Option<_>>()?),
            Self::Object(entries) => Self::Object(
                entries
                    .iter()
                    .map(|(name, value)| Some((name.clone(), value.duplicate()?)))
                    .collect::<Option<_>>()?,
            ),
            Self::Rows { .. } => return None,
        })
    }

    /// A typed array from a vector, without a copy.
    pub fn from_vec<T: Element>(items: Vec<T>) -> Self {
        Self::Array(Array::from_vec(items))
    }

    /// Takes the member `name` out of an object; `Undefined` when it is not there.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Self {
        if let Self::Object(entries) = self
            && let Some((_, value)) = entries.iter_mut().find(|(key, _)| key == name)
        {
            return std::mem::replace(value, Self::Undefined);
        }
        Self::Undefined
    }

    /// The member `name` of an object, unless it is missing or undefined.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
                .filter(|value| !matches!(value, Self::Undefined)),
            _ => None,
        }
    }

    /// The number in it.
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The string in it.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The boolean in it.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The typed array in it.
    pub fn as_array(&self) -> Option<&Array> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// Bytes of memory that this value keeps alive, approximately; used for capacity in bytes.
    pub fn heap_size(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Array(array) => array.byte_len(),
            Self::List(items) => items.iter().map(|item| 32 + item.heap_size()).sum(),
            Self::Object(entries) => {
                entries.iter().map(|(key, value)| 56 + key.len() + value.heap_size()).sum()
            }
            Self::Rows { cells, .. } => cells.len() * 8,
            _ => 0,
        }
    }
}

/// The element type of a typed array. The numbers are part of the binding's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ElementKind {
    /// `Int8Array`
    I8 = 0,
    /// `Uint8Array`; also any `ArrayBuffer` or `DataView` taken as bytes
    U8 = 1,
    /// `Uint8ClampedArray`
    U8Clamped = 2,
    /// `Int16Array`
    I16 = 3,
    /// `Uint16Array`
    U16 = 4,
    /// `Int32Array`
    I32 = 5,
    /// `Uint32Array`
    U32 = 6,
    /// `Float32Array`
    F32 = 7,
    /// `Float64Array`
    F64 = 8,
    /// `BigInt64Array`
    I64 = 9,
    /// `BigUint64Array`
    U64 = 10,
    /// `Float16Array`, as bits
    F16 = 11,
}

impl ElementKind {
    /// All kinds, by number.
    pub const ALL: [Self; 12] = [
        Self::I8,
        Self::U8,
        Self::U8Clamped,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::F32,
        Self::F64,
        Self::I64,
        Self::U64,
        Self::F16,
    ];

    /// The kind with this number.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::U8Clamped => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// Name of the JavaScript class.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::I8 => "Int8Array",
            Self::U8 => "Uint8Array",
            Self::U8Clamped => "Uint8ClampedArray",
            Self::I16 => "Int16Array",
            Self::U16 => "Uint16Array",
            Self::I32 => "Int32Array",
            Self::U32 => "Uint32Array",
            Self::F32 => "Float32Array",
            Self::F64 => "Float64Array",
            Self::I64 => "BigInt64Array",
            Self::U64 => "BigUint64Array",
            Self::F16 => "Float16Array",
        }
    }
}

/// A Rust type that is stored in a typed array.
pub trait Element: Copy + Send + Sync + 'static + sealed::Sealed {
    /// The kind that a vector of this type becomes.
    const KIND: ElementKind;
    /// Whether a view of `kind` holds this type.
    fn fits(kind: ElementKind) -> bool {
        kind == Self::KIND
    }
    #[doc(hidden)]
    fn wrap(items: Vec<Self>) -> Owned;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty, $variant:ident, $kind:ident, $also:pat,)*) => {
        /// Memory that Rust allocated, with the alignment of its element.
        #[derive(Clone, Debug)]
        #[doc(hidden)]
        pub enum Owned { $($variant(Vec<$type>),)* }

        impl Owned {
            fn as_bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant(items) =>
                        // SAFETY: plain numbers have no padding and every byte of the vector is initialised.
                        unsafe { std::slice::from_raw_parts(items.as_ptr().cast(), size_of_val(items.as_slice())) },)*
                }
            }

            fn as_mut_ptr(&mut self) -> *mut u8 {
                match self { $(Self::$variant(items) => items.as_mut_ptr().cast(),)* }
            }

            /// Zeroed memory for `len` elements of `kind`.
            fn zeroed(kind: ElementKind, len: usize) -> Self {
                match kind { $($also => Self::$variant(vec![<$type>::default(); len]),)* }
            }
        }

        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const KIND: ElementKind = ElementKind::$kind;
                fn fits(kind: ElementKind) -> bool { matches!(kind, $also) }
                fn wrap(items: Vec<Self>) -> Owned { Owned::$variant(items) }
            }
        )*
    };
}

elements! {
    i8, I8, I8, ElementKind::I8,
    u8, U8, U8, ElementKind::U8 | ElementKind::U8Clamped,
    i16, I16, I16, ElementKind::I16,
    u16, U16, U16, ElementKind::U16 | ElementKind::F16,
    i32, I32, I32, ElementKind::I32,
    u32, U32, U32, ElementKind::U32,
    f32, F32, F32, ElementKind::F32,
    f64, F64, F64, ElementKind::F64,
    i64, I64, I64, ElementKind::I64,
    u64, U64, U64, ElementKind::U64,
}

/// Where the elements live.
#[derive(Debug)]
enum Storage {
    Owned(Owned),
    Private(PrivateRegion),
    Shared(SharedRegion),
}

/// Memory of the JavaScript engine that nobody else can reach until the task has been released.
#[derive(Debug)]
pub struct PrivateRegion {
    pointer: *mut u8,
    byte_len: usize,
    token: u32,
}

// SAFETY: the region has one owner (V2); its contents are plain numbers.
unsafe impl Send for PrivateRegion {}
// SAFETY: `&PrivateRegion` only allows reads.
unsafe impl Sync for PrivateRegion {}

/// Memory of the JavaScript engine that other threads may write at any time (`SharedArrayBuffer`).
#[derive(Debug)]
pub struct SharedRegion {
    pointer: *const u8,
    byte_len: usize,
}

// SAFETY: every access goes through atomics (V1).
unsafe impl Send for SharedRegion {}
// SAFETY: as above.
unsafe impl Sync for SharedRegion {}

impl SharedRegion {
    /// Copies `into.len()` bytes from `offset` on, with relaxed atomic loads.
    ///
    /// # Panics
    ///
    /// When the range is not inside the region.
    fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(
            offset.checked_add(into.len()).is_some_and(|end| end <= self.byte_len),
            "range inside the region"
        );
        // SAFETY: the range was checked, so the pointer stays inside the region.
        let mut source = unsafe { self.pointer.add(offset) };
        let mut rest = into;
        let head = source.align_offset(8).min(rest.len());
        let (first, tail) = rest.split_at_mut(head);
        for byte in first {
            // SAFETY: inside the region, which the owner keeps alive; JavaScript writes bytes of it without tearing.
            *byte = unsafe { AtomicU8::from_ptr(source.cast_mut()) }.load(Ordering::Relaxed);
            // SAFETY: stays inside the region or one past its end.
            source = unsafe { source.add(1) };
        }
        rest = tail;
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            // SAFETY: aligned to 8 by the loop above, and eight bytes remain.
            let value = unsafe { AtomicU64::from_ptr(source.cast_mut().cast()) }.load(Ordering::Relaxed);
            word.copy_from_slice(&value.to_ne_bytes());
            // SAFETY: as above.
            source = unsafe { source.add(8) };
        }
        for byte in words.into_remainder() {
            // SAFETY: as above.
            *byte = unsafe { AtomicU8::from_ptr(source.cast_mut()) }.load(Ordering::Relaxed);
            // SAFETY: as above.
            source = unsafe { source.add(1) };
        }
    }
}

/// A typed array: elements of one kind in owned, private or shared memory.
#[derive(Debug)]
pub struct Array {
    kind: ElementKind,
    storage: Storage,
}

/// Bytes handed to the callback of [`Array::for_each_chunk`] at most, when the memory is shared.
const BOUNCE: usize = 64 * 1024;

impl Array {
    /// Takes over a vector without a copy.
    pub fn from_vec<T: Element>(items: Vec<T>) -> Self {
        Self { kind: T::KIND, storage: Storage::Owned(T::wrap(items)) }
    }

    /// Copies `bytes` into owned memory with the right alignment.
    ///
    /// # Panics
    ///
    /// When the length is not a multiple of the element size.
    pub fn copy_from(kind: ElementKind, bytes: &[u8]) -> Self {
        if kind.size() == 1 && kind != ElementKind::I8 {
            return Self { kind, storage: Storage::Owned(Owned::U8(bytes.to_vec())) };
        }
        assert!(bytes.len().is_multiple_of(kind.size()), "whole elements");
        let mut owned = Owned::zeroed(kind, bytes.len() / kind.size());
        // SAFETY: the fresh vector is exactly `bytes.len()` long and does not overlap the source.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), owned.as_mut_ptr(), bytes.len()) };
        Self { kind, storage: Storage::Owned(owned) }
    }

    /// A view over private memory of the engine.
    ///
    /// # Safety
    ///
    /// - `pointer` is valid for reads and writes of `byte_len` bytes, and aligned for `kind`, until the value has been
    ///   handed back or dropped;
    /// - nobody else reads or writes it meanwhile;
    /// - `byte_len` is a multiple of the element size.
    ///
    /// `token` tells the binding which engine object the memory belongs to.
    pub unsafe fn from_private(kind: ElementKind, pointer: *mut u8, byte_len: usize, token: u32) -> Self {
        let pointer = if byte_len == 0 { std::ptr::without_provenance_mut(8) } else { pointer };
        Self { kind, storage: Storage::Private(PrivateRegion { pointer, byte_len, token }) }
    }

    /// A view over memory that JavaScript shares between threads.
    ///
    /// # Safety
    ///
    /// - `pointer` is valid for reads of `byte_len` bytes until the value has been dropped;
    /// - `byte_len` is a multiple of the element size.
    pub unsafe fn from_shared(kind: ElementKind, pointer: *const u8, byte_len: usize) -> Self {
        let pointer = if byte_len == 0 { std::ptr::without_provenance(8) } else { pointer };
        Self { kind, storage: Storage::Shared(SharedRegion { pointer, byte_len }) }
    }

    /// The element type.
    pub fn kind(&self) -> ElementKind {
        self.kind
    }

    /// Says that the elements are of another kind of the same Rust type (`Uint8ClampedArray`, `Float16Array`).
    ///
    /// # Panics
    ///
    /// When the sizes differ.
    #[must_use]
    pub fn with_kind(mut self, kind: ElementKind) -> Self {
        assert_eq!(self.kind.size(), kind.size(), "same element size");
        self.kind = kind;
        self
    }

    /// Bytes in total.
    pub fn byte_len(&self) -> usize {
        match &self.storage {
            Storage::Owned(owned) => owned.as_bytes().len(),
            Storage::Private(region) => region.byte_len,
            Storage::Shared(region) => region.byte_len,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.byte_len() / self.kind.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.byte_len() == 0
    }

    /// Whether other threads may write the memory while we read it.
    pub fn is_shared(&self) -> bool {
        matches!(self.storage, Storage::Shared(_))
    }

    /// For a private region: the token and address that the binding gave, so that it can return the same engine
    /// object.
    pub fn private(&self) -> Option<(u32, *mut u8)> {
        if let Storage::Private(region) = &self.storage { Some((region.token, region.pointer)) } else { None }
    }

    /// The raw bytes, unless the memory is shared.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.storage {
            Storage::Owned(owned) => Some(owned.as_bytes()),
            Storage::Private(region) => {
                // SAFETY: contract of `from_private`; `&self` excludes writers (V2).
                Some(unsafe { std::slice::from_raw_parts(region.pointer, region.byte_len) })
            }
            Storage::Shared(_) => None,
        }
    }

    /// The elements; `None` when they are of another type or the memory is shared (use [`Array::into_local`] first).
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if !T::fits(self.kind) {
            return None;
        }
        let bytes = self.bytes()?;
        debug_assert!(bytes.as_ptr().cast::<T>().is_aligned());
        // SAFETY: `fits` says that the bytes are `T`s; owned vectors and private regions are aligned for their kind.
        Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
    }

    /// The elements for writing; `None` as for [`Array::as_slice`].
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        if !T::fits(self.kind) {
            return None;
        }
        let (pointer, byte_len) = match &mut self.storage {
            Storage::Owned(owned) => {
                let byte_len = owned.as_bytes().len();
                (owned.as_mut_ptr(), byte_len)
            }
            Storage::Private(region) => (region.pointer, region.byte_len),
            Storage::Shared(_) => return None,
        };
        debug_assert!(pointer.cast::<T>().is_aligned());
        // SAFETY: as `as_slice`, and `&mut self` is the only access (V2).
        Some(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), byte_len / size_of::<T>()) })
    }

    /// The same array in memory that only we can reach: shared memory is copied, everything else is kept as it is.
    #[must_use]
    pub fn into_local(self) -> Self {
        let Storage::Shared(region) = &self.storage else { return self };
        let mut owned = Owned::zeroed(self.kind, region.byte_len / self.kind.size());
        let byte_len = owned.as_bytes().len();
        // SAFETY: the fresh vector is `byte_len` bytes of plain numbers.
        let target = unsafe { std::slice::from_raw_parts_mut(owned.as_mut_ptr(), byte_len) };
        region.read(0, target);
        Self { kind: self.kind, storage: Storage::Owned(owned) }
    }

    /// Calls `f` with the bytes in order, in chunks of at most `max` bytes. Shared memory passes through a small
    /// buffer, everything else is lent without a copy. Chunks are a multiple of 8 bytes long, except the last.
    ///
    /// # Errors
    ///
    /// The first error of `f`.
    pub fn for_each_chunk<E>(&self, max: usize, mut f: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let max = (max & !7).max(8);
        match &self.storage {
            Storage::Shared(region) => {
                let mut buffer = vec![0u8; max.min(BOUNCE).min(region.byte_len)];
                let mut offset = 0;
                while offset < region.byte_len {
                    let size = buffer.len().min(region.byte_len - offset);
                    let chunk = &mut buffer[..size];
                    region.read(offset, chunk);
                    f(chunk)?;
                    offset += size;
                }
                Ok(())
            }
            _ => self.bytes().unwrap_or(&[]).chunks(max).try_for_each(f),
        }
    }

    /// Copies the bytes from `offset` on into `into`, whatever the memory.
    ///
    /// # Panics
    ///
    /// When the range is not inside the array.
    pub fn read_bytes(&self, offset: usize, into: &mut [u8]) {
        match &self.storage {
            Storage::Shared(region) => region.read(offset, into),
            _ => into.copy_from_slice(&self.bytes().unwrap_or(&[])[offset..offset + into.len()]),
        }
    }

    /// A copy of the elements, whatever the memory; `None` when they are of another type.
    pub fn into_vec<T: Element>(self) -> Option<Vec<T>> {
        if !T::fits(self.kind) {
            return None;
        }
        self.into_local().as_slice::<T>().map(<[T]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_keep_alignment_and_contents() {
        let bytes: Vec<u8> = (0..24u8).collect();
        let array = Array::copy_from(ElementKind::F64, &bytes);
        assert_eq!(array.len(), 3);
        assert_eq!(array.bytes(), Some(bytes.as_slice()));
        assert!(array.as_slice::<f64>().is_some());
        assert!(array.as_slice::<u8>().is_none());
    }

    #[test]
    fn v1_shared_memory_is_only_read_through_copies() {
        let memory: Vec<u64> = (0..20_000u64).collect();
        let byte_len = memory.len() * 8;
        // SAFETY: the vector outlives the array.
        let array = unsafe { Array::from_shared(ElementKind::U64, memory.as_ptr().cast(), byte_len) };
        assert!(array.bytes().is_none() && array.as_slice::<u64>().is_none());
        let mut seen = Vec::new();
        array
            .for_each_chunk(usize::MAX, |chunk| {
                assert!(chunk.len() <= BOUNCE);
                seen.extend_from_slice(chunk);
                Ok::<(), ()>(())
            })
            .unwrap();
        let local = array.into_local();
        assert_eq!(local.as_slice::<u64>(), Some(memory.as_slice()));
        assert_eq!(local.bytes(), Some(seen.as_slice()));
    }

    #[test]
    fn shared_reads_work_at_every_offset() {
        let memory: Vec<u8> = (0..64).collect();
        // SAFETY: the vector outlives the array.
        let array = unsafe { Array::from_shared(ElementKind::U8, memory.as_ptr(), memory.len()) };
        for offset in 0..memory.len() {
            for length in 0..=memory.len() - offset {
                let mut into = vec![0; length];
                array.read_bytes(offset, &mut into);
                assert_eq!(into, memory[offset..offset + length]);
            }
        }
    }

    #[test]
    fn private_memory_is_written_in_place() {
        let mut memory = vec![3.0f64, 1.0, 2.0];
        let address = memory.as_mut_ptr();
        // SAFETY: the vector outlives the array and is not touched meanwhile.
        let mut array = unsafe { Array::from_private(ElementKind::F64, address.cast(), 24, 7) };
        array.as_mut_slice::<f64>().unwrap().sort_by(f64::total_cmp);
        assert_eq!(array.private(), Some((7, address.cast())));
        drop(array);
        assert_eq!(memory, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn empty_views_are_valid() {
        // SAFETY: a length of zero needs no memory.
        let array = unsafe { Array::from_private(ElementKind::F64, std::ptr::null_mut(), 0, 0) };
        assert!(array.is_empty());
        assert_eq!(array.as_slice::<f64>(), Some(&[][..]));
        // SAFETY: as above.
        let shared = unsafe { Array::from_shared(ElementKind::U8, std::ptr::null(), 0) };
        assert!(shared.into_local().is_empty());
    }
}
