//! Stage: submit and settle. Thread: any.
//! Memory of the JavaScript engine, kept from it or shared with it (V1, V2).

#![expect(unsafe_code, reason = "views over memory that the JavaScript engine owns")]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Memory of the JavaScript engine that nobody else can reach until the task has been released.
#[derive(Debug)]
pub(super) struct PrivateRegion {
    pub(super) pointer: *mut u8,
    pub(super) byte_len: usize,
    pub(super) token: u32,
}

// SAFETY: the region has one owner (V2); its contents are plain numbers.
unsafe impl Send for PrivateRegion {}
// SAFETY: `&PrivateRegion` only allows reads.
unsafe impl Sync for PrivateRegion {}

/// Memory of the JavaScript engine that other threads may write at any time (`SharedArrayBuffer`).
#[derive(Debug)]
pub(super) struct SharedRegion {
    pub(super) pointer: *const u8,
    pub(super) byte_len: usize,
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
    pub(super) fn read(&self, offset: usize, into: &mut [u8]) {
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
