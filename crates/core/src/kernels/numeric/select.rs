//! Stage: run. Thread: native workers.
//! Elements by rank, for the quantiles of `stats`.

use super::number::{F64, Number, for_each_block};
use super::split::{GRAIN, Meter, for_parts, map_parts, shares};
use super::{merge, zeroed};
use crate::error::KernelError;
use crate::kernel::KernelContext;
use crate::value::Array;

/// The top bits of a key that choose its bucket: sign, exponent and four bits of the mantissa.
const BUCKET_BITS: u32 = 16;
/// A table of counters costs as much as this many elements.
const LEAST_SHARE: usize = 4 * GRAIN;

fn bucket(value: f64) -> usize {
    (F64::key(value) >> (64 - BUCKET_BITS)) as usize
}

/// The values of these ranks (0 is the least), as doubles, in the order of `ranks`. The memory must not be shared, as
/// it is read twice. Every rank is below the length.
///
/// # Complexity
///
/// O(n) plus O(r log r) for the r elements that fall into the buckets that hold a wanted rank; r is small against n
/// unless most values agree in sign, exponent and four bits.
///
/// # Source
///
/// One step of radix selection over all wanted ranks at once, then a sort of what is left.
pub(super) fn by_rank(
    array: &Array,
    ranks: &[usize],
    ctx: &KernelContext<'_>,
    meter: &Meter<'_>,
) -> Result<Vec<f64>, KernelError> {
    let visit = |range: std::ops::Range<usize>, body: &mut dyn FnMut(&[f64])| {
        let (mut start, end) = (range.start, range.end);
        while start < end && !ctx.is_cancelled() {
            let step = GRAIN.min(end - start);
            for_each_block(array, start..start + step, &mut *body);
            meter.add(step);
            start += step;
        }
    };
    let tables = map_parts(ctx, shares(ctx, array.len(), LEAST_SHARE), |_, range| {
        let mut table = vec![0usize; 1 << BUCKET_BITS];
        visit(range, &mut |block| block.iter().for_each(|&value| table[bucket(value)] += 1));
        table
    })?;

    let mut starts = vec![0usize; (1 << BUCKET_BITS) + 1];
    for table in &tables {
        starts[1..].iter_mut().zip(table).for_each(|(start, count)| *start += count);
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let home = |rank: usize| starts.partition_point(|&start| start <= rank) - 1;
    let mut wanted = vec![false; 1 << BUCKET_BITS];
    for &rank in ranks {
        wanted[home(rank)] = true;
    }

    // Where each wanted bucket begins among the elements that are kept.
    let mut kept_starts = vec![0usize; 1 << BUCKET_BITS];
    let mut kept_len = 0;
    for at in (0..wanted.len()).filter(|&at| wanted[at]) {
        kept_starts[at] = kept_len;
        kept_len += starts[at + 1] - starts[at];
    }
    let mut kept = zeroed::<u64>(kept_len)?;
    let mut rest = kept.as_mut_slice();
    let mut parts = Vec::with_capacity(tables.len());
    for (table, range) in tables.iter().zip(shares(ctx, array.len(), LEAST_SHARE)) {
        let size = table.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(count, _)| count).sum();
        let (part, later) = rest.split_at_mut(size);
        parts.push((range, part));
        rest = later;
    }
    for_parts(ctx, parts, |_, (range, part)| {
        let mut slots = part.iter_mut();
        visit(range, &mut |block| {
            for &value in block.iter().filter(|&&value| wanted[bucket(value)]) {
                if let Some(slot) = slots.next() {
                    *slot = F64::key(value);
                }
            }
        });
    })?;
    merge::sort(&mut kept, ctx, meter)?;
    Ok(ranks
        .iter()
        .map(|&rank| {
            let home = home(rank);
            F64::from_key(kept[kept_starts[home] + rank - starts[home]])
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;
    use proptest::prelude::*;

    fn select(threads: usize, items: &[f64], ranks: &[usize]) -> Vec<f64> {
        let host = TestHost::with_threads(threads);
        let ctx = KernelContext::new(&host);
        by_rank(&Array::from_vec(items.to_vec()), ranks, &ctx, &Meter::new(&ctx, 1)).unwrap()
    }

    proptest! {
        #[test]
        fn every_rank_is_the_one_of_the_sorted_input(
            items in prop::collection::vec(-1e3f64..1e3, 1..200),
        ) {
            let mut expected = items.clone();
            expected.sort_by(f64::total_cmp);
            let ranks: Vec<usize> = (0..items.len()).rev().collect();
            expected.reverse();
            prop_assert_eq!(select(1, &items, &ranks), expected);
        }
    }

    #[test]
    fn few_ranks_of_many_elements_on_any_number_of_threads() {
        let items: Vec<f64> = (0..700_000u64).map(|at| (at * 7_919 % 700_000) as f64 - 1000.0).collect();
        for threads in [1, 3] {
            assert_eq!(
                select(threads, &items, &[0, 350_000, 699_999, 5]),
                [-1000.0, 349_000.0, 698_999.0, -995.0]
            );
        }
        assert_eq!(select(2, &vec![2.5; 600_000], &[17]), [2.5]);
        assert!(select(1, &[], &[]).is_empty());
    }
}
