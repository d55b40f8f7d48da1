//! Stage: run. Thread: native workers.
//! `stats`: count, sum, mean, variances, extremes and quantiles.

use super::number::{for_each_block, local};
use super::split::{GRAIN, Meter, map_parts, ranges};
use super::{ANY_NUMBERS, merge, numbers, select};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;

/// Describes numbers.
///
/// # Complexity
///
/// O(n); quantiles add what `select.rs` says.
///
/// # Source
///
/// Sum: error-free additions (D. Knuth's `TwoSum`) in eight columns, as precise as with twice the digits. Variance: two
/// passes over each block of 1024, merged pairwise (T. Chan, G. Golub, R. `LeVeque`, 1979). Quantiles: type 7 of
/// R. Hyndman and Y. Fan, 1996.
#[derive(Debug)]
pub(super) struct Stats;

static INFO: KernelInfo = KernelInfo {
    name: "stats",
    group: "numeric",
    summary: "Gives count, sum, mean, variances, minimum, maximum and quantiles of a typed array.",
    input: ANY_NUMBERS,
    options: &[Field::optional("quantiles", Schema::List { items: &Schema::number(0.0, 1.0) })],
    output: "StatsResult",
    in_place: false,
    parallel: true,
};

impl Kernel for Stats {
    fn info(&self) -> &'static KernelInfo {
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let fractions = fractions(&input.options)?;
        let mut array = numbers(input.value, "the input")?;
        ctx.check()?;
        if !fractions.is_empty() {
            // Selection reads twice and must see the same both times.
            array = local(array, ctx)?;
        }
        let len = array.len();
        let selecting = if fractions.is_empty() {
            0
        } else {
            merge::work::<u64>(len).saturating_add(len.saturating_mul(2))
        };
        let meter = Meter::new(ctx, selecting.saturating_add(len));
        let mut all = Moments::default();
        for part in &map_parts(ctx, ranges(len, GRAIN), |_, range| {
            let size = range.len();
            let mut moments = Moments::default();
            for_each_block(&array, range, |block| moments.merge(&Moments::of(block)));
            meter.add(size);
            moments
        })? {
            all.merge(part);
        }
        if all.has_overflowed() {
            let mut scaled = Moments::default();
            for part in &map_parts(ctx, ranges(len, GRAIN), |_, range| {
                let mut moments = Moments::default();
                for_each_block(&array, range, |block| {
                    let small: Vec<f64> = block.iter().map(|value| value * SMALL).collect();
                    moments.merge(&Moments::of(&small));
                });
                moments
            })? {
                scaled.merge(part);
            }
            all.take_scaled(&scaled);
        } else {
            all.mean = all.sum() / len as f64;
        }

        let quantiles = if len == 0 || all.nan || fractions.is_empty() {
            vec![f64::NAN; fractions.len()]
        } else {
            let ranks: Vec<usize> = fractions
                .iter()
                .flat_map(|&fraction| neighbours(len, fraction))
                .map(|(rank, _)| rank)
                .collect();
            let values = select::by_rank(&array, &ranks, ctx, &meter)?;
            fractions
                .iter()
                .zip(values.chunks_exact(2))
                .map(|(&fraction, pair)| between(pair[0], pair[1], neighbours(len, fraction)[1].1))
                .collect()
        };
        meter.add(usize::MAX);
        Ok(all.describe(quantiles))
    }
}

fn fractions(options: &Value) -> Result<Vec<f64>, KernelError> {
    let items = match options.get("quantiles") {
        None => return Ok(Vec::new()),
        Some(Value::List(items)) => items,
        Some(_) => return Err(KernelError::arg_type("options.quantiles must be an array of numbers")),
    };
    items
        .iter()
        .map(|item| match item.as_number() {
            Some(number) if (0.0..=1.0).contains(&number) => Ok(number),
            Some(number) => Err(KernelError::out_of_range(format!(
                "options.quantiles must be from 0 to 1; one is {number}"
            ))),
            None => Err(KernelError::arg_type("options.quantiles must be an array of numbers")),
        })
        .collect()
}

/// The two ranks that a quantile lies between, each with its weight.
fn neighbours(len: usize, fraction: f64) -> [(usize, f64); 2] {
    let position = (len - 1) as f64 * fraction;
    let low = (position.floor() as usize).min(len - 1);
    let weight = position - low as f64;
    [(low, 1.0 - weight), ((low + 1).min(len - 1), weight)]
}

/// Linear interpolation that is exact at both ends, also when they are infinite.
fn between(low: f64, high: f64, weight: f64) -> f64 {
    if weight <= 0.0 || low == high || (low == f64::NEG_INFINITY && high < f64::INFINITY) {
        low
    } else if (high - low).is_infinite() && low.is_finite() && high.is_finite() {
        low * (1.0 - weight) + high * weight
    } else {
        low + (high - low) * weight
    }
}

/// What is known of a part of the input.
#[derive(Clone, Copy, Debug)]
struct Moments {
    count: usize,
    /// The sum is `high + low`.
    high: f64,
    low: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    /// What the numbers were multiplied with for these squares.
    scale: f64,
    min: f64,
    max: f64,
    nan: bool,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            high: 0.0,
            low: 0.0,
            mean: 0.0,
            squares: 0.0,
            scale: 1.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            nan: false,
        }
    }
}

/// What finite numbers are multiplied with whose sum or squares overflow; the inverse is finite, too.
const SMALL: f64 = f64::from_bits((1023 - 600) << 52);

/// Columns that are summed side by side, so that the compiler can use vector instructions.
const COLUMNS: usize = 8;

/// `a + b` rounded, and what the rounding lost.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let from_b = sum - a;
    (sum, (a - (sum - from_b)) + (b - from_b))
}

impl Moments {
    fn of(block: &[f64]) -> Self {
        let mut high = [0.0; COLUMNS];
        let mut low = [0.0; COLUMNS];
        let mut min = [f64::INFINITY; COLUMNS];
        let mut max = [f64::NEG_INFINITY; COLUMNS];
        let mut nan = false;
        let mut row = |values: &[f64]| {
            for (column, &value) in values.iter().enumerate() {
                let (sum, lost) = two_sum(high[column], value);
                high[column] = sum;
                low[column] += lost;
                min[column] = if value < min[column] { value } else { min[column] };
                max[column] = if value > max[column] { value } else { max[column] };
                nan |= value.is_nan();
            }
        };
        let rows = block.chunks_exact(COLUMNS);
        let rest = rows.remainder();
        rows.for_each(&mut row);
        row(rest);
        let mut all = Self { count: block.len(), nan, ..Self::default() };
        for column in 0..COLUMNS {
            all.add(high[column], low[column]);
            all.min = all.min.min(min[column]);
            all.max = all.max.max(max[column]);
        }
        if block.is_empty() {
            return all;
        }
        let count = block.len() as f64;
        all.mean = all.sum() / count;
        let mut squares = [0.0; COLUMNS];
        let mut drift = [0.0; COLUMNS];
        let mut row = |values: &[f64]| {
            for (column, &value) in values.iter().enumerate() {
                let distance = value - all.mean;
                squares[column] += distance * distance;
                drift[column] += distance;
            }
        };
        let rows = block.chunks_exact(COLUMNS);
        let rest = rows.remainder();
        rows.for_each(&mut row);
        row(rest);
        // The drift is zero but for the rounding of the mean.
        let drift: f64 = drift.iter().sum();
        let squares = squares.iter().sum::<f64>() - drift * drift / count;
        // `max` hides what is no number.
        all.squares = if squares.is_nan() { squares } else { squares.max(0.0) };
        all
    }

    fn add(&mut self, high: f64, low: f64) {
        let (sum, lost) = two_sum(self.high, high);
        self.high = sum;
        self.low += lost + low;
    }

    fn sum(&self) -> f64 {
        // Columns of finite numbers may have overflowed to the other infinity.
        if let Some(infinite) = self.infinite() {
            return infinite;
        }
        // Once the sum has left the finite numbers, the lost part means nothing.
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (here, there) = (self.count as f64, other.count as f64);
        let both = here + there;
        let distance = other.mean - self.mean;
        self.squares += other.squares + distance * distance * (here * there / both);
        self.mean += distance * (there / both);
        self.add(other.high, other.low);
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.nan |= other.nan;
    }

    /// The sum where there are infinite numbers.
    fn infinite(&self) -> Option<f64> {
        let (least, greatest) = (self.min == f64::NEG_INFINITY, self.max == f64::INFINITY);
        (self.count > 0 && (least || greatest)).then_some(self.min + self.max)
    }

    /// Whether numbers that are finite have sums that are not.
    fn has_overflowed(&self) -> bool {
        let is_finite = !self.nan && self.min.is_finite() && self.max.is_finite();
        is_finite && !(self.sum().is_finite() && self.mean.is_finite() && self.squares.is_finite())
    }

    /// Takes over what is known of the same numbers times [`SMALL`].
    fn take_scaled(&mut self, scaled: &Self) {
        (self.high, self.low) = (scaled.sum() / SMALL, 0.0);
        self.mean = scaled.sum() / self.count as f64 / SMALL;
        self.squares = scaled.squares;
        self.scale = SMALL;
    }

    fn describe(&self, quantiles: Vec<f64>) -> Value {
        let count = self.count as f64;
        let known = |value: f64| Value::Number(if self.count == 0 || self.nan { f64::NAN } else { value });
        let mean = self.infinite().unwrap_or(self.mean);
        // The quotient may be a number where the squares themselves are not.
        let variance = |divisor: f64| self.squares / divisor / self.scale / self.scale;
        let sample = if self.count < 2 { f64::NAN } else { variance(count - 1.0) };
        Value::object([
            ("count", Value::Number(count)),
            ("sum", Value::Number(if self.nan { f64::NAN } else { self.sum() })),
            ("mean", known(mean)),
            ("variance", known(variance(count))),
            ("sampleVariance", known(sample)),
            ("min", known(self.min)),
            ("max", known(self.max)),
            ("quantiles", Value::List(quantiles.into_iter().map(Value::Number).collect())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::Array;

    fn with_quantiles(fractions: &[f64]) -> Value {
        Value::object([("quantiles", Value::List(fractions.iter().copied().map(Value::Number).collect()))])
    }

    fn run(threads: usize, value: Value, fractions: &[f64]) -> Value {
        TestHost::with_threads(threads).run(&Stats, value, with_quantiles(fractions)).unwrap()
    }

    fn number(result: &Value, name: &str) -> f64 {
        result.get(name).and_then(Value::as_number).unwrap()
    }

    fn quantiles(result: &Value) -> Vec<f64> {
        let Some(Value::List(items)) = result.get("quantiles") else { unreachable!() };
        items.iter().map(|item| item.as_number().unwrap()).collect()
    }

    #[test]
    fn a_variance_is_a_number_where_the_squares_are_not() {
        let result = run(1, Value::from_vec(vec![1e154f64, -1e154]), &[]);
        assert!((number(&result, "variance") / 1e308 - 1.0).abs() < 1e-12);
        let many: Vec<f64> = (0..1_000_000).map(|n| if n % 2 == 0 { 1e152 } else { -1e152 }).collect();
        assert!((number(&run(2, Value::from_vec(many), &[]), "variance") / 1e304 - 1.0).abs() < 1e-9);
        let result = run(1, Value::from_vec(vec![1e200f64, -1e200]), &[]);
        assert_eq!(number(&result, "variance"), f64::INFINITY);
    }

    #[test]
    fn an_infinite_element_decides_the_sum_whatever_the_others_add_up_to() {
        let mut values = vec![0.0f64; 9];
        (values[0], values[1], values[8]) = (1e308, f64::NEG_INFINITY, 1e308);
        let result = run(1, Value::from_vec(values.clone()), &[]);
        assert_eq!([number(&result, "sum"), number(&result, "mean")], [f64::NEG_INFINITY; 2]);
        values[2] = f64::INFINITY;
        let result = run(1, Value::from_vec(values), &[]);
        assert!(number(&result, "sum").is_nan() && number(&result, "mean").is_nan());
    }

    #[test]
    fn a_known_sample() {
        let result =
            run(1, Value::from_vec(vec![2.0f64, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), &[0.5, 0.0, 1.0, 0.1]);
        for (name, expected) in [
            ("count", 8.0),
            ("sum", 40.0),
            ("mean", 5.0),
            ("variance", 4.0),
            ("sampleVariance", 32.0 / 7.0),
            ("min", 2.0),
            ("max", 9.0),
        ] {
            assert_eq!(number(&result, name), expected, "{name}");
        }
        let found = quantiles(&result);
        assert_eq!(found[..3], [4.5, 2.0, 9.0]);
        assert!((found[3] - 3.4).abs() < 1e-12);
    }

    #[test]
    fn sums_do_not_lose_small_terms() {
        let mut items = vec![1e16, 1.0, -1e16, 1.0];
        items.extend(std::iter::repeat_n([1e16, 1.0, -1e16], 5000).flatten());
        let result = run(1, Value::from_vec(items), &[]);
        assert_eq!(number(&result, "sum"), 5002.0);
        let shifted: Vec<f64> = (0..100_000).map(|at| 1e9 + f64::from(at % 2)).collect();
        assert!((number(&run(1, Value::from_vec(shifted), &[]), "variance") - 0.25).abs() < 1e-9);
    }

    #[test]
    fn empty_single_and_missing_quantiles() {
        let result = run(1, Value::from_vec(Vec::<f32>::new()), &[0.5]);
        assert_eq!((number(&result, "count"), number(&result, "sum")), (0.0, 0.0));
        for name in ["mean", "variance", "sampleVariance", "min", "max"] {
            assert!(number(&result, name).is_nan(), "{name}");
        }
        assert!(quantiles(&result)[0].is_nan());
        let result = TestHost::new().run(&Stats, Value::from_vec(vec![3u8]), Value::Undefined).unwrap();
        assert_eq!((number(&result, "variance"), number(&result, "max")), (0.0, 3.0));
        assert!(number(&result, "sampleVariance").is_nan());
        assert!(quantiles(&result).is_empty());
    }

    #[test]
    fn nan_spreads_and_infinities_follow_arithmetic() {
        let result = run(1, Value::from_vec(vec![1.0, f64::NAN, 3.0]), &[0.0]);
        assert_eq!(number(&result, "count"), 3.0);
        for name in ["sum", "mean", "variance", "sampleVariance", "min", "max"] {
            assert!(number(&result, name).is_nan(), "{name}");
        }
        assert!(quantiles(&result)[0].is_nan());
        let result = run(1, Value::from_vec(vec![1.0, f64::INFINITY]), &[0.0, 0.5, 1.0]);
        assert_eq!((number(&result, "sum"), number(&result, "mean")), (f64::INFINITY, f64::INFINITY));
        assert!(number(&result, "variance").is_nan());
        assert_eq!((number(&result, "min"), number(&result, "max")), (1.0, f64::INFINITY));
        assert_eq!(quantiles(&result), [1.0, f64::INFINITY, f64::INFINITY]);
    }

    #[test]
    fn what_overflows_is_told_as_far_as_it_can_be() {
        let of = |items: &[f64]| run(2, Value::from_vec(items.to_vec()), &[]);
        for items in
            [&[1e200, -1e200, 5e199][..], &[1e308, 1.7e308, -5.0], &[1.7e308, 1e308], &[1e160, 2e160, 4e160]]
        {
            let result = of(items);
            for name in ["variance", "sampleVariance"] {
                assert_eq!(number(&result, name), f64::INFINITY, "{name} of {items:?}");
            }
        }
        let result = of(&[1e308, 1.7e308]);
        assert_eq!(number(&result, "sum"), f64::INFINITY);
        assert!((number(&result, "mean") / 1.35e308 - 1.0).abs() < 1e-15);
        for (count, sum) in [(10, 0.0), (11, 1.7e308), (3001, 1.7e308)] {
            let items: Vec<f64> = (0..count).map(|at| if at % 2 == 0 { 1.7e308 } else { -1.7e308 }).collect();
            assert_eq!(number(&of(&items), "sum"), sum, "{count}");
        }
        // Its distances from the mean are small enough.
        assert_eq!(number(&of(&[1e308, 1e308]), "variance"), 0.0);
    }

    #[test]
    fn quantiles_beside_infinities() {
        let of = |items: Vec<f64>, fraction| quantiles(&run(1, Value::from_vec(items), &[fraction]))[0];
        assert_eq!(of(vec![f64::NEG_INFINITY, 1.0], 0.5), f64::NEG_INFINITY);
        assert_eq!(of(vec![f64::NEG_INFINITY, 1.0, 2.0], 0.25), f64::NEG_INFINITY);
        assert_eq!(of(vec![1.0, f64::INFINITY], 0.5), f64::INFINITY);
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bits() {
        let items: Vec<f64> = (0..400_000u64).map(|at| ((at * 7919) % 100_003) as f64 / 7.0).collect();
        let one = format!("{:?}", run(1, Value::from_vec(items.clone()), &[0.25, 0.5]));
        let four = format!("{:?}", run(4, Value::from_vec(items.clone()), &[0.25, 0.5]));
        assert_eq!(one, four);
        let mut sorted = items;
        sorted.sort_by(f64::total_cmp);
        let median = f64::midpoint(sorted[199_999], sorted[200_000]);
        assert!(one.contains(&format!("{median:?}")), "{median} in {one}");
    }

    #[test]
    fn bigints_and_shared_memory() {
        let memory = SharedMemory::copy_of(&Array::from_vec(vec![-3i64, 1, 1 << 40]));
        let result = run(1, memory.view(), &[0.5]);
        assert_eq!(number(&result, "sum"), (1u64 << 40) as f64 - 2.0);
        assert_eq!(quantiles(&result), [1.0]);
        let result = TestHost::new().run(&Stats, memory.view(), Value::Undefined).unwrap();
        assert_eq!(number(&result, "min"), -3.0);
    }

    #[test]
    fn wrong_quantiles_are_errors() {
        for (fractions, code) in [
            (Value::List(vec![Value::Number(1.1)]), ErrorCode::OutOfRange),
            (Value::List(vec![Value::Number(f64::NAN)]), ErrorCode::OutOfRange),
            (Value::List(vec![Value::Null]), ErrorCode::InvalidArgType),
            (Value::Number(0.5), ErrorCode::InvalidArgType),
        ] {
            let options = Value::object([("quantiles", fractions)]);
            let error = TestHost::new().run(&Stats, Value::from_vec(vec![1u8]), options).unwrap_err();
            assert_eq!(error.code, code);
        }
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&Stats, 8, || (Value::from_vec(vec![1.5f32; 300_000]), with_quantiles(&[0.5])));
    }
}
