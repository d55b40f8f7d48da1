//! Stage: run. Thread: native workers.
//! Cutting work into parts for `parallel_for`, and counting what is done.
//!
//! S1. A part is handed out once, to one thread: whoever takes it out of its slot owns it. The borrow checker sees the
//! parts of a slice as the disjoint borrows that they are, so that no unsafe code is needed; a slot costs one
//! uncontended lock per part.
//! S2. `Ok` means that every part was worked on. A part that was left out shows as the cancel error.

use crate::error::KernelError;
use crate::kernel::KernelContext;
use parking_lot::Mutex;
use std::ops::Range;

/// Elements below which work is not cut any further. One part of a light kernel takes well below a millisecond.
pub(super) const GRAIN: usize = 64 * 1024;

/// Calls `body` with every part and its index, on this thread and on idle workers.
pub(super) fn for_parts<P: Send>(
    ctx: &KernelContext<'_>,
    parts: impl IntoIterator<Item = P>,
    body: impl Fn(usize, P) + Sync,
) -> Result<(), KernelError> {
    map_parts(ctx, parts, body).map(drop)
}

/// Like [`for_parts`], and gives the results in the order of the parts.
pub(super) fn map_parts<P: Send, R: Send>(
    ctx: &KernelContext<'_>,
    parts: impl IntoIterator<Item = P>,
    body: impl Fn(usize, P) -> R + Sync,
) -> Result<Vec<R>, KernelError> {
    let slots: Vec<_> = parts.into_iter().map(|part| Mutex::new(Slot::Waiting(part))).collect();
    ctx.parallel_for(slots.len(), |index| {
        // A host without helpers may not look between chunks.
        if ctx.is_cancelled() {
            return;
        }
        let taken = std::mem::replace(&mut *slots[index].lock(), Slot::Taken);
        if let Slot::Waiting(part) = taken {
            let result = body(index, part);
            *slots[index].lock() = Slot::Done(result);
        }
    })?;
    let finish = |slot: Mutex<Slot<P, R>>| match slot.into_inner() {
        Slot::Done(result) => Ok(result),
        Slot::Waiting(_) | Slot::Taken => Err(KernelError::cancelled()),
    };
    slots.into_iter().map(finish).collect()
}

/// Where a part is.
enum Slot<P, R> {
    Waiting(P),
    Taken,
    Done(R),
}

/// The ranges of `size` that cover `0..len`; the last may be shorter.
pub(super) fn ranges(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let size = size.max(1);
    (0..len.div_ceil(size)).map(move |index| {
        let start = index * size;
        start..len.min(start.saturating_add(size))
    })
}

/// One long range per thread that may help, none shorter than `least`: for bodies with a table of their own.
pub(super) fn shares(
    ctx: &KernelContext<'_>,
    len: usize,
    least: usize,
) -> impl Iterator<Item = Range<usize>> {
    ranges(len, len.div_ceil(ctx.parallelism()).max(least))
}

/// Counts what the threads have done, for progress reports that never go back.
pub(super) struct Meter<'a> {
    ctx: KernelContext<'a>,
    total: usize,
    done: Mutex<usize>,
}

impl<'a> Meter<'a> {
    /// `total` is in the units of [`Meter::add`].
    pub(super) fn new(ctx: &KernelContext<'a>, total: usize) -> Self {
        Self { ctx: *ctx, total, done: Mutex::new(0) }
    }

    /// Reports that `units` more are done.
    pub(super) fn add(&self, units: usize) {
        let mut done = self.done.lock();
        *done = done.saturating_add(units).min(self.total);
        // Under the lock, so that reports of two threads cannot overtake each other.
        self.ctx.progress(*done, self.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::TestHost;

    #[test]
    fn ranges_cover_everything_once() {
        assert_eq!(ranges(7, 3).collect::<Vec<_>>(), [0..3, 3..6, 6..7]);
        assert_eq!(ranges(0, 3).count(), 0);
        assert_eq!(ranges(3, 0).count(), 3);
        assert_eq!(ranges(usize::MAX, usize::MAX - 1).last(), Some(usize::MAX - 1..usize::MAX));
    }

    #[test]
    fn s1_every_part_is_written_by_one_thread() {
        for threads in [1, 4] {
            let host = TestHost::with_threads(threads);
            let mut items = vec![0usize; 10_007];
            let sums = map_parts(&KernelContext::new(&host), items.chunks_mut(100), |index, part| {
                for item in &mut *part {
                    *item += index;
                }
                part.len()
            })
            .unwrap();
            assert!(items.iter().enumerate().all(|(at, &item)| item == at / 100));
            assert_eq!(sums.len(), 101);
            assert_eq!(sums.iter().sum::<usize>(), items.len());
        }
    }

    #[test]
    fn s2_a_missing_part_is_a_cancel() {
        for after in 0..8 {
            let host = TestHost::new().cancel_after(after);
            let result = map_parts(&KernelContext::new(&host), 0..10, |_, part| part);
            assert_eq!(result.unwrap_err().code, ErrorCode::Cancelled);
        }
    }

    #[test]
    fn progress_never_goes_back() {
        let host = TestHost::with_threads(4);
        let ctx = KernelContext::new(&host);
        let meter = Meter::new(&ctx, 1000);
        for_parts(&ctx, ranges(1000, 7), |_, part| meter.add(part.len())).unwrap();
        let reports = host.progress_reports();
        assert!(reports.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(reports.last(), Some(&(1000.0, 1000.0)));
    }
}
