//! Adding to lists what is made where it is to lie. `push` may make it elsewhere and copy it, and a copy right after the
//! fields were written one by one waits until these have left the processor's store buffer: some 20 ns each time.

use std::iter::once_with;

/// Adds what `make` gives.
#[expect(clippy::inline_always, reason = "a call would have it made elsewhere")]
#[inline(always)]
pub(crate) fn push<T>(list: &mut Vec<T>, make: impl FnOnce() -> T) {
    list.extend(once_with(make));
}
