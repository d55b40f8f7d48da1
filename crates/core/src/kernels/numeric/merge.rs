//! Stage: run. Thread: native workers.
//! Sorting in parallel: blocks by the standard library, then passes that merge pairs of runs, each cut into equal
//! pieces of output.
//!
//! M1. After every pass, runs of twice the width are sorted and hold the same elements as before.
//! M2. One buffer as long as the input; the number of passes decides where the blocks are sorted, so that the last
//! pass ends in the input's memory.

use super::split::{GRAIN, Meter, for_parts};
use super::zeroed;
use crate::error::KernelError;
use crate::kernel::KernelContext;
use bytemuck::Pod;

/// Bytes of a block: sorting one takes a few milliseconds, and it fits the second cache.
const BLOCK_BYTES: usize = 1 << 20;

/// What [`sort`] will add to its meter.
pub(super) fn work<T>(len: usize) -> usize {
    len.saturating_mul(1 + passes(len, BLOCK_BYTES / size_of::<T>()))
}

/// Sorts plain values; equal ones cannot be told apart, so that there is no question of stability.
///
/// # Complexity
///
/// O(n log n) comparisons over all threads, n elements of scratch memory.
///
/// # Source
///
/// Blocks: `sort_unstable` (ipnsort). Cutting a merge into equal pieces: S. Odeh and others, "Merge Path - Parallel
/// Merging Made Simple", 2012.
pub(super) fn sort<T: Pod + Ord + Send + Sync>(
    items: &mut [T],
    ctx: &KernelContext<'_>,
    meter: &Meter<'_>,
) -> Result<(), KernelError> {
    sort_blocks(items, BLOCK_BYTES / size_of::<T>(), GRAIN, ctx, meter)
}

/// `piece` must divide `block`, so that no piece of output crosses the end of a run.
fn sort_blocks<T: Pod + Ord + Send + Sync>(
    items: &mut [T],
    block: usize,
    piece: usize,
    ctx: &KernelContext<'_>,
    meter: &Meter<'_>,
) -> Result<(), KernelError> {
    debug_assert!(block.is_multiple_of(piece));
    let len = items.len();
    if len <= block {
        items.sort_unstable();
        meter.add(len);
        return ctx.check();
    }
    let mut scratch = zeroed::<T>(len)?;
    let (mut from, mut to) = if passes(len, block).is_multiple_of(2) {
        for_parts(ctx, items.chunks_mut(block), |_, run| {
            run.sort_unstable();
            meter.add(run.len());
        })?;
        (items, scratch.as_mut_slice())
    } else {
        for_parts(ctx, items.chunks(block).zip(scratch.chunks_mut(block)), |_, (source, run)| {
            run.copy_from_slice(source);
            run.sort_unstable();
            meter.add(run.len());
        })?;
        (scratch.as_mut_slice(), items)
    };
    let mut width = block;
    while width < len {
        merge_pass(from, to, width, piece, ctx, meter)?;
        std::mem::swap(&mut from, &mut to);
        width = width.saturating_mul(2);
    }
    Ok(())
}

/// How often the width doubles from `block` until it covers `len`.
fn passes(len: usize, block: usize) -> usize {
    len.div_ceil(block).max(1).next_power_of_two().trailing_zeros() as usize
}

/// Merges the sorted runs of `width` in `from`, pair by pair, into `to`.
fn merge_pass<T: Pod + Ord + Send + Sync>(
    from: &[T],
    to: &mut [T],
    width: usize,
    piece: usize,
    ctx: &KernelContext<'_>,
    meter: &Meter<'_>,
) -> Result<(), KernelError> {
    for_parts(ctx, to.chunks_mut(piece), |index, part| {
        let at = index * piece;
        let offset = at % width.saturating_mul(2);
        let pair = &from[at - offset..];
        let (left, rest) = pair.split_at(width.min(pair.len()));
        let right = &rest[..width.min(rest.len())];
        let begin = cut(left, right, offset);
        let end = cut(left, right, offset + part.len());
        merge(&left[begin..end], &right[offset - begin..offset + part.len() - end], part);
        meter.add(part.len());
    })
}

/// How many of the first `count` elements of the merged output come from `left`; equal elements come from there first.
fn cut<T: Ord>(left: &[T], right: &[T], count: usize) -> usize {
    let mut low = count.saturating_sub(right.len());
    let mut high = count.min(left.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if left[middle] <= right[count - middle - 1] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Merges two sorted runs into `into`, which is as long as both together.
fn merge<T: Copy + Ord>(mut left: &[T], mut right: &[T], mut into: &mut [T]) {
    while !left.is_empty() && !right.is_empty() {
        // Neither side can run out within this many steps, so that the loop has no branch to mispredict.
        let steps = left.len().min(right.len());
        let (now, later) = into.split_at_mut(steps);
        let (mut i, mut j) = (0, 0);
        for slot in now {
            let (a, b) = (left[i], right[j]);
            let first = a <= b;
            *slot = if first { a } else { b };
            i += usize::from(first);
            j += usize::from(!first);
        }
        left = &left[i..];
        right = &right[j..];
        into = later;
    }
    let (head, tail) = into.split_at_mut(left.len());
    head.copy_from_slice(left);
    tail.copy_from_slice(right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Detached;
    use crate::kernels::testing::TestHost;
    use proptest::prelude::*;

    #[test]
    fn m2_the_number_of_passes_covers_the_length() {
        assert_eq!([0, 1, 4, 5, 8, 9, 16, 17].map(|len| passes(len, 4)), [0, 0, 0, 1, 1, 2, 2, 3]);
        assert!(work::<u64>(usize::MAX) == usize::MAX);
    }

    #[test]
    fn cuts_take_equal_elements_from_the_left() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(|count| cut(&[1, 2, 2], &[2, 3], count)), [0, 1, 2, 3, 3, 3]);
        assert_eq!(cut::<u8>(&[], &[1, 2], 1), 0);
        assert_eq!(cut(&[1, 2], &[], 2), 2);
    }

    proptest! {
        #[test]
        fn m1_sorts_like_the_standard_library(
            mut items in prop::collection::vec(0u32..50, 0..300),
            piece in 1usize..5,
            pieces in 1usize..5,
            threads in 1usize..4,
        ) {
            let host = TestHost::with_threads(threads);
            let ctx = KernelContext::new(&host);
            let mut expected = items.clone();
            expected.sort_unstable();
            let meter = Meter::new(&ctx, usize::MAX);
            sort_blocks(&mut items, piece * pieces, piece, &ctx, &meter).unwrap();
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn large_inputs_report_all_their_work() {
        let host = TestHost::with_threads(2);
        let ctx = KernelContext::new(&host);
        let mut items: Vec<u64> = (0..400_000u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let total = work::<u64>(items.len());
        sort(&mut items, &ctx, &Meter::new(&ctx, total)).unwrap();
        assert!(items.is_sorted());
        assert_eq!(host.progress_reports().last(), Some(&(total as f64, total as f64)));
    }

    #[test]
    fn ascending_and_descending_inputs() {
        let ctx = KernelContext::new(&Detached);
        for reverse in [false, true] {
            let mut items: Vec<u32> = (0..1_000_000).collect();
            if reverse {
                items.reverse();
            }
            sort(&mut items, &ctx, &Meter::new(&ctx, 1)).unwrap();
            assert!(items.iter().copied().eq(0..1_000_000));
        }
    }
}
