//! Stage: run. Thread: native workers.
//! `histogram`: how many numbers fall into each of a row of equal bins.

use super::number::{for_each_block, local};
use super::split::{GRAIN, Meter, for_parts, map_parts, ranges};
use super::{ANY_NUMBERS, finite, numbers, whole, zeroed};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Value};

/// Counts numbers by size.
///
/// # Complexity
///
/// O(n + bins).
///
/// # Source
///
/// The conventions of `numpy.histogram`: bins are closed below and open above, the last is closed on both sides. The
/// guess from the linear formula is checked against the edges, so that counts and edges never disagree.
#[derive(Debug)]
pub(super) struct Histogram;

const MAX_BINS: u64 = 1 << 24;

static INFO: KernelInfo = KernelInfo {
    name: "histogram",
    group: "numeric",
    summary: "Counts the numbers of a typed array in equal bins.",
    input: ANY_NUMBERS,
    options: &[
        Field::optional("bins", Schema::integer(1.0, MAX_BINS as f64)),
        Field::optional("min", Schema::number(f64::MIN, f64::MAX)),
        Field::optional("max", Schema::number(f64::MIN, f64::MAX)),
    ],
    output: "HistogramResult",
    in_place: false,
    parallel: true,
};

impl Kernel for Histogram {
    fn info(&self) -> &'static KernelInfo {
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let option = |name: &'static str| input.options.get(name);
        let bins = whole(option("bins"), "options.bins", 1, MAX_BINS)?.unwrap_or(10);
        let min = finite(option("min"), "options.min")?;
        let max = finite(option("max"), "options.max")?;
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            return Err(KernelError::out_of_range(format!(
                "options.min must not exceed options.max; they are {min} and {max}"
            )));
        }
        let mut array = numbers(input.value, "the input")?;
        ctx.check()?;
        let len = array.len();
        let (min, max, meter) = if let (Some(min), Some(max)) = (min, max) {
            (min, max, Meter::new(ctx, len))
        } else {
            // Two passes must see the same numbers.
            array = local(array, ctx)?;
            let meter = Meter::new(ctx, len.saturating_mul(2));
            let (least, greatest) = extremes(&array, ctx, &meter)?;
            let (min, max) = match (min, max) {
                (Some(min), _) if greatest > min => (min, greatest),
                (_, Some(max)) if least < max => (least, max),
                // Nothing lies beyond the edge that is given, which stays.
                (Some(min), _) => (min, widen(min).1),
                (_, Some(max)) => (widen(max).0, max),
                _ if least > greatest => (0.0, 1.0),
                _ => (least, greatest),
            };
            (min, max, meter)
        };
        let bins = Bins::new(min, max, bins, ctx)?;
        let counts = bins.count(&array, ctx, &meter)?;
        Ok(Value::object([("counts", counts), ("edges", Value::from_vec(bins.edges))]))
    }
}

/// The least and the greatest finite number; (infinity, -infinity) when there is none.
fn extremes(array: &Array, ctx: &KernelContext<'_>, meter: &Meter<'_>) -> Result<(f64, f64), KernelError> {
    let parts = map_parts(ctx, ranges(array.len(), GRAIN), |_, range| {
        let size = range.len();
        let (mut least, mut greatest) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
        for_each_block(array, range, |block| {
            for row in block.chunks(8) {
                for (column, &value) in row.iter().enumerate() {
                    let usable = value.is_finite();
                    least[column] = if usable && value < least[column] { value } else { least[column] };
                    greatest[column] =
                        if usable && value > greatest[column] { value } else { greatest[column] };
                }
            }
        });
        meter.add(size);
        (
            least.into_iter().fold(f64::INFINITY, f64::min),
            greatest.into_iter().fold(f64::NEG_INFINITY, f64::max),
        )
    })?;
    Ok(parts
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |all, part| (all.0.min(part.0), all.1.max(part.1))))
}

/// Equal bins between two edges.
struct Bins {
    edges: Vec<f64>,
    /// Halves everything when the width of the range is beyond the doubles.
    scale: f64,
    per_unit: f64,
}

impl Bins {
    fn new(min: f64, max: f64, bins: usize, ctx: &KernelContext<'_>) -> Result<Self, KernelError> {
        let (min, max) = if min == max { widen(min) } else { (min, max) };
        let scale = if (max - min).is_finite() { 1.0 } else { 0.5 };
        let width = max * scale - min * scale;
        let mut edges = zeroed::<f64>(bins + 1)?;
        for_parts(ctx, edges.chunks_mut(GRAIN), |index, part| {
            for (at, edge) in part.iter_mut().enumerate() {
                let offset = width * ((index * GRAIN + at) as f64 / bins as f64);
                *edge = ((min * scale + offset) / scale).clamp(min, max);
            }
        })?;
        edges[bins] = max;
        Ok(Self { edges, scale, per_unit: bins as f64 / width })
    }

    /// The bin of a number inside the range.
    fn bin(&self, value: f64) -> usize {
        let last = self.edges.len() - 2;
        let guess = (((value * self.scale - self.edges[0] * self.scale) * self.per_unit) as usize).min(last);
        let fits = |bin: usize| self.edges[bin] <= value && (value < self.edges[bin + 1] || bin == last);
        if fits(guess) {
            guess
        } else {
            // Rounding put it next door, or the edges are so close that some are equal.
            (self.edges.partition_point(|&edge| edge <= value).max(1) - 1).min(last)
        }
    }

    fn count(&self, array: &Array, ctx: &KernelContext<'_>, meter: &Meter<'_>) -> Result<Value, KernelError> {
        let bins = self.edges.len() - 1;
        let (min, max) = (self.edges[0], self.edges[bins]);
        // A table per share, no larger than the share; and no counter of a share can overflow.
        let share = array.len().div_ceil(ctx.parallelism()).max(GRAIN).max(bins).min(1 << 31);
        let tables = map_parts(ctx, ranges(array.len(), share), |_, range| {
            let mut table = zeroed::<u32>(bins)?;
            let (mut start, end) = (range.start, range.end);
            while start < end && !ctx.is_cancelled() {
                let step = GRAIN.min(end - start);
                for_each_block(array, start..start + step, |block| {
                    for &value in block.iter().filter(|&&value| value >= min && value <= max) {
                        table[self.bin(value)] += 1;
                    }
                });
                meter.add(step);
                start += step;
            }
            Ok(table)
        })?;
        let tables = tables.into_iter().collect::<Result<Vec<_>, _>>()?;
        if u32::try_from(array.len()).is_ok() {
            Ok(Value::from_vec(add_up::<u32>(tables, bins, ctx)?))
        } else {
            Ok(Value::from_vec(add_up::<f64>(tables, bins, ctx)?))
        }
    }
}

/// A range around one number, as wide as numpy makes it, and never empty.
fn widen(value: f64) -> (f64, f64) {
    let (min, max) = (value - 0.5, value + 0.5);
    if min < max { (min, max) } else { (value.next_down().max(f64::MIN), value.next_up().min(f64::MAX)) }
}

/// Adds the tables of all shares.
fn add_up<T>(tables: Vec<Vec<u32>>, bins: usize, ctx: &KernelContext<'_>) -> Result<Vec<T>, KernelError>
where
    T: bytemuck::Zeroable + From<u32> + std::ops::AddAssign,
{
    let mut counts = zeroed::<T>(bins)?;
    for table in tables {
        for (counts, table) in counts.chunks_mut(16 * GRAIN).zip(table.chunks(16 * GRAIN)) {
            ctx.check()?;
            counts.iter_mut().zip(table).for_each(|(count, &more)| *count += T::from(more));
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};

    fn options(bins: usize, min: Option<f64>, max: Option<f64>) -> Value {
        let bound = |value: Option<f64>| value.map_or(Value::Undefined, Value::Number);
        Value::object([("bins", Value::Number(bins as f64)), ("min", bound(min)), ("max", bound(max))])
    }

    fn run(threads: usize, value: Value, options: Value) -> (Vec<u32>, Vec<f64>) {
        let mut result = TestHost::with_threads(threads).run(&Histogram, value, options).unwrap();
        let (Value::Array(counts), Value::Array(edges)) = (result.take("counts"), result.take("edges"))
        else {
            unreachable!()
        };
        (counts.into_vec().unwrap(), edges.into_vec().unwrap())
    }

    #[test]
    fn the_example_of_numpy() {
        let (counts, edges) = run(1, Value::from_vec(vec![1u8, 2, 1, 3, 4, 4]), options(3, None, None));
        assert_eq!((counts, edges), (vec![2, 1, 3], vec![1.0, 2.0, 3.0, 4.0]));
        let (counts, edges) =
            run(1, Value::from_vec(vec![0.5f64, 2.0, -1.0, 9.0, f64::NAN]), options(2, Some(0.0), Some(2.0)));
        assert_eq!((counts, edges), (vec![1, 1], vec![0.0, 1.0, 2.0]));
    }

    #[test]
    fn empty_equal_and_infinite_inputs() {
        let (counts, edges) = run(1, Value::from_vec(Vec::<f64>::new()), Value::Undefined);
        assert_eq!((counts.len(), edges[0], edges[10]), (10, 0.0, 1.0));
        let (counts, edges) = run(1, Value::from_vec(vec![5i32; 4]), options(2, None, None));
        assert_eq!((counts, edges), (vec![0, 4], vec![4.5, 5.0, 5.5]));
        let items = vec![f64::INFINITY, 1.0, f64::NEG_INFINITY, 3.0, f64::NAN];
        let (counts, edges) = run(1, Value::from_vec(items), options(2, None, None));
        assert_eq!((counts, edges), (vec![1, 1], vec![1.0, 2.0, 3.0]));
        let (counts, edges) = run(1, Value::from_vec(vec![f64::MIN, 0.0, f64::MAX]), options(2, None, None));
        assert_eq!((counts, edges), (vec![1, 2], vec![f64::MIN, 0.0, f64::MAX]));
        let (counts, edges) = run(1, Value::from_vec(vec![1e300; 3]), options(1, None, None));
        assert_eq!(counts, [3]);
        assert!(edges[0] < edges[1]);
        let (counts, _) = run(1, Value::from_vec(vec![f64::MAX; 3]), options(4, None, None));
        assert_eq!(counts.iter().sum::<u32>(), 3);
    }

    #[test]
    fn one_given_edge_limits_the_other() {
        let items = vec![1.0f32, 2.0, 3.0];
        let (counts, edges) = run(1, Value::from_vec(items.clone()), options(1, Some(2.0), None));
        assert_eq!((counts, edges), (vec![2], vec![2.0, 3.0]));
        let (counts, edges) = run(1, Value::from_vec(items), options(1, Some(10.0), None));
        assert_eq!((counts, edges), (vec![0], vec![10.0, 10.5]));
        let (counts, edges) = run(1, Value::from_vec(vec![1.0f64, 4.8, 5.0]), options(1, Some(5.0), None));
        assert_eq!((counts, edges), (vec![1], vec![5.0, 5.5]));
        let (counts, edges) = run(1, Value::from_vec(vec![1.0f64, 1.2]), options(1, None, Some(1.0)));
        assert_eq!((counts, edges), (vec![1], vec![0.5, 1.0]));
        let (counts, edges) = run(1, Value::from_vec(vec![0.0f64]), options(1, Some(f64::MAX), None));
        assert!(counts == [0] && edges[0] < edges[1] && edges[1] == f64::MAX, "{edges:?}");
    }

    #[test]
    fn counts_agree_with_the_edges_on_any_number_of_threads() {
        let items: Vec<f64> = (0..300_000u64).map(|at| (at * 7919 % 100_003) as f64 * 0.1).collect();
        for bins in [1, 7, 1000] {
            let (counts, edges) = run(1, Value::from_vec(items.clone()), options(bins, None, None));
            let mut expected = vec![0u32; bins];
            for &item in &items {
                let bin = edges.partition_point(|&edge| edge <= item) - 1;
                expected[bin.min(bins - 1)] += 1;
            }
            assert!(edges.is_sorted_by(|a, b| a < b));
            assert_eq!(counts, expected);
            assert_eq!(run(4, Value::from_vec(items.clone()), options(bins, None, None)), (counts, edges));
        }
    }

    #[test]
    fn edges_that_fall_together_still_count_everything() {
        let items = vec![1.0, 1.0f64.next_up()];
        let (counts, _) = run(1, Value::from_vec(items), options(8, None, None));
        assert_eq!(counts.iter().sum::<u32>(), 2);
        assert_eq!(counts[7], 1);
    }

    #[test]
    fn shared_memory_is_read() {
        let memory = SharedMemory::copy_of(&Array::from_vec(vec![1u64, 2, 3, 4]));
        assert_eq!(run(1, memory.view(), options(2, None, None)).0, [2, 2]);
        assert_eq!(run(1, memory.view(), options(2, Some(0.0), Some(4.0))).0, [1, 3]);
    }

    #[test]
    fn many_counts_become_doubles() {
        let host = TestHost::new();
        let ctx = KernelContext::new(&host);
        let sums = add_up::<f64>(vec![vec![u32::MAX, 1], vec![u32::MAX, 2]], 2, &ctx).unwrap();
        assert_eq!(sums, [2.0 * f64::from(u32::MAX), 3.0]);
    }

    #[test]
    fn wrong_options_are_errors() {
        for (name, value, code) in [
            ("bins", Value::Number(0.0), ErrorCode::OutOfRange),
            ("bins", Value::Number(1.5), ErrorCode::OutOfRange),
            ("bins", Value::Number(1e9), ErrorCode::OutOfRange),
            ("bins", Value::Bool(true), ErrorCode::InvalidArgType),
            ("min", Value::Number(f64::INFINITY), ErrorCode::OutOfRange),
            ("max", Value::Null, ErrorCode::InvalidArgType),
        ] {
            let options = Value::object([(name, value)]);
            let error = TestHost::new().run(&Histogram, Value::from_vec(vec![1u8]), options).unwrap_err();
            assert_eq!(error.code, code, "{name}");
        }
        let error = TestHost::new()
            .run(&Histogram, Value::from_vec(vec![1u8]), options(1, Some(2.0), Some(1.0)))
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::OutOfRange);
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&Histogram, 6, || (Value::from_vec(vec![1i16; 300_000]), options(4, None, None)));
    }
}
