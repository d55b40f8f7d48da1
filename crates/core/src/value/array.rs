//! Stage: submit and settle. Thread: any; an array has one owner at a time.
//! Typed arrays, whatever memory they lie in (V1, V2).

#![expect(unsafe_code, reason = "views over memory that the JavaScript engine owns")]

use super::region::{PrivateRegion, SharedRegion};
use super::{Element, ElementKind, Owned};

/// Where the elements live.
#[derive(Debug)]
enum Storage {
    Owned(Owned),
    Private(PrivateRegion),
    Shared(SharedRegion),
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
        Self::try_copy_from(kind, bytes).expect("there is memory for a copy")
    }

    /// The same; `None` when there is no memory for that.
    ///
    /// # Panics
    ///
    /// When the length is not a multiple of the element size.
    pub fn try_copy_from(kind: ElementKind, bytes: &[u8]) -> Option<Self> {
        if kind.size() == 1 && kind != ElementKind::I8 {
            let mut copy = Vec::new();
            copy.try_reserve_exact(bytes.len()).ok()?;
            copy.extend_from_slice(bytes);
            return Some(Self { kind, storage: Storage::Owned(Owned::U8(copy)) });
        }
        assert!(bytes.len().is_multiple_of(kind.size()), "whole elements");
        let mut owned = Owned::try_zeroed(kind, bytes.len() / kind.size())?;
        // SAFETY: the fresh vector is exactly `bytes.len()` long and does not overlap the source.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), owned.as_mut_ptr(), bytes.len()) };
        Some(Self { kind, storage: Storage::Owned(owned) })
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

    /// Another one of the same shared memory, an empty one where it is not shared.
    pub(super) fn share(&self) -> Self {
        let Storage::Shared(SharedRegion { pointer, byte_len }) = self.storage else {
            return Self::copy_from(self.kind, &[]);
        };
        Self { kind: self.kind, storage: Storage::Shared(SharedRegion { pointer, byte_len }) }
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
        let mut owned = Owned::try_zeroed(self.kind, region.byte_len / self.kind.size())
            .expect("there is memory for a copy");
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

    #[test]
    fn shared_memory_has_no_duplicate_and_is_the_same_for_another_run() {
        let memory = [1u8, 2, 3];
        // SAFETY: the memory outlives the array.
        let array = unsafe { Array::from_shared(ElementKind::U8, memory.as_ptr(), memory.len()) };
        let value = crate::value::Value::Array(array);
        assert!(value.duplicate().is_none());
        let again = value.again().unwrap();
        assert!(again.as_array().is_some_and(|array| array.is_shared() && array.len() == 3));
    }
}
