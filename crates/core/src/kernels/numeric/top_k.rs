//! Stage: run. Thread: native workers.
//! `topK`: the rows of a matrix that are nearest to a vector.
//!
//! T1. Rows are ordered by one integer, the key of the score on top and the index below it, smallest first: better
//! scores first, equal ones by index, NaN last. It is never equal for two rows, so that threads cannot change the
//! result.

use super::number::{F32, Key, Number, local};
use super::split::{GRAIN, Meter, for_parts};
use super::{SINGLES, merge, numbers_of, object, required_whole, whole, zeroed};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{ElementKind, Value};
use parking_lot::Mutex;
use std::collections::BinaryHeap;

/// Searches vectors by brute force.
///
/// # Complexity
///
/// O(rows * dim), plus O(k log k log(rows / k)) on average for small k; for k above 1/64 of the rows a sort of all
/// scores.
///
/// # Source
///
/// Sums in sixteen single-precision columns, taken again in double precision where they overflow or vanish; a bounded
/// heap of the best.
#[derive(Debug)]
pub(super) struct TopK;

const MAX: u64 = u32::MAX as u64;
/// Up to this many, a heap is used whatever the number of rows.
const SMALL_K: usize = 1024;
/// Elements of a row between two checks.
const SEGMENT: usize = 1 << 20;

static INFO: KernelInfo = KernelInfo {
    name: "topK",
    group: "numeric",
    summary: "Gives the rows of a matrix that are nearest to a query vector, best first.",
    input: Schema::Object {
        fields: &[
            Field::required("matrix", SINGLES),
            Field::required("dim", Schema::integer(1.0, MAX as f64)),
            Field::required("query", SINGLES),
            Field::required("k", Schema::integer(1.0, MAX as f64)),
            Field::optional("metric", Schema::OneOf { values: &["cosine", "dot", "euclidean"] }),
        ],
    },
    options: &[],
    output: "TopKResult",
    in_place: false,
    parallel: true,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    Cosine,
    Dot,
    Euclidean,
}

impl Metric {
    fn parse(value: Option<&Value>) -> Result<Self, KernelError> {
        match value {
            None => Ok(Self::Cosine),
            Some(Value::String(name)) => match name.as_str() {
                "cosine" => Ok(Self::Cosine),
                "dot" => Ok(Self::Dot),
                "euclidean" => Ok(Self::Euclidean),
                _ => Err(KernelError::arg_value(format!(
                    "metric must be 'cosine', 'dot' or 'euclidean'; it is '{name}'"
                ))),
            },
            Some(_) => Err(KernelError::arg_type("metric must be a string")),
        }
    }
}

impl Kernel for TopK {
    fn info(&self) -> &'static KernelInfo {
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let mut value = object(input.value)?;
        let matrix = numbers_of(value.take("matrix"), "matrix", &[ElementKind::F32])?;
        let query = numbers_of(value.take("query"), "query", &[ElementKind::F32])?;
        let dim = required_whole(&value, "dim", 1, MAX)?;
        let k = required_whole(&value, "k", 1, MAX)?;
        let metric = Metric::parse(value.get("metric"))?;
        if query.len() != dim {
            return Err(KernelError::arg_value(format!(
                "query must have dim = {dim} elements; it has {}",
                query.len()
            )));
        }
        if !matrix.len().is_multiple_of(dim) {
            return Err(KernelError::arg_value(format!(
                "matrix must have whole rows of dim = {dim} elements; it has {} elements",
                matrix.len()
            )));
        }
        let rows = matrix.len() / dim;
        whole(Some(&Value::Number(rows as f64)), "the number of rows", 0, MAX)?;
        ctx.check()?;
        let (matrix, query) = (local(matrix, ctx)?, local(query, ctx)?);
        let (Some(matrix), Some(query)) = (matrix.as_slice::<f32>(), query.as_slice::<f32>()) else {
            return Err(KernelError::arg_type("matrix and query must be Float32Arrays"));
        };
        let query_norm = sum_of_squares(query, ctx).sqrt();
        let search = Search { matrix, dim, query, metric, query_norm, ctx };
        let best = if k <= SMALL_K || k.saturating_mul(64) <= rows {
            search.heap(k.min(rows))?
        } else {
            search.sort(k)?
        };
        let mut indices = zeroed::<u32>(best.len())?;
        let mut scores = zeroed::<f32>(best.len())?;
        let outputs = indices.chunks_mut(GRAIN).zip(scores.chunks_mut(GRAIN)).zip(best.chunks(GRAIN));
        for_parts(ctx, outputs, |_, ((indices, scores), best)| {
            for ((index, score), &packed) in indices.iter_mut().zip(scores).zip(best) {
                *index = packed as u32;
                *score = score_of((packed >> 32) as u32, metric);
            }
        })?;
        Ok(Value::object([("indices", Value::from_vec(indices)), ("scores", Value::from_vec(scores))]))
    }
}

/// The key of a score: smaller is better (T1).
fn key_of(score: f32, metric: Metric) -> u32 {
    if score.is_nan() {
        return u32::MAX;
    }
    // Adding zero makes -0 and 0 equal.
    let key = F32::key(score + 0.0);
    if metric == Metric::Euclidean { key } else { key.reversed() }
}

fn score_of(key: u32, metric: Metric) -> f32 {
    if key == u32::MAX {
        return f32::NAN;
    }
    F32::from_key(if metric == Metric::Euclidean { key } else { key.reversed() })
}

struct Search<'a> {
    matrix: &'a [f32],
    dim: usize,
    query: &'a [f32],
    metric: Metric,
    query_norm: f64,
    ctx: &'a KernelContext<'a>,
}

impl Search<'_> {
    /// Rows of a part; a single row can be longer than the grain.
    fn batch(&self) -> usize {
        (GRAIN / self.dim).max(1)
    }

    fn rows_from(&self, first: usize, rows: &[f32], mut visit: impl FnMut(u64)) {
        for (offset, row) in rows.chunks_exact(self.dim).enumerate() {
            let key = key_of(self.score(row), self.metric);
            visit(u64::from(key) << 32 | (first + offset) as u64);
        }
    }

    /// The best `k` by a heap that holds the worst of them on top.
    fn heap(&self, k: usize) -> Result<Vec<u64>, KernelError> {
        let ctx = self.ctx;
        let meter = Meter::new(ctx, self.matrix.len());
        let best = Mutex::new(BinaryHeap::new());
        for_parts(ctx, self.matrix.chunks(self.batch() * self.dim), |index, rows| {
            let worst = |heap: &BinaryHeap<u64>| {
                if heap.len() < k { u64::MAX } else { heap.peek().copied().unwrap_or(0) }
            };
            let limit = worst(&best.lock());
            let mut found = Vec::new();
            self.rows_from(index * self.batch(), rows, |packed| {
                if packed < limit {
                    found.push(packed);
                }
            });
            let mut heap = best.lock();
            for packed in found {
                if packed < worst(&heap) {
                    if heap.len() == k {
                        heap.pop();
                    }
                    heap.push(packed);
                }
            }
            drop(heap);
            meter.add(rows.len());
        })?;
        let mut best = best.into_inner().into_vec();
        merge::sort(&mut best, ctx, &Meter::new(ctx, 0))?;
        Ok(best)
    }

    /// The best `k` by a sort of all.
    fn sort(&self, k: usize) -> Result<Vec<u64>, KernelError> {
        let ctx = self.ctx;
        let mut all = zeroed::<u64>(self.matrix.len() / self.dim)?;
        let meter = Meter::new(ctx, self.matrix.len().saturating_add(merge::work::<u64>(all.len())));
        let batch = self.batch();
        for_parts(
            ctx,
            all.chunks_mut(batch).zip(self.matrix.chunks(batch * self.dim)),
            |index, (slots, rows)| {
                let mut slots = slots.iter_mut();
                self.rows_from(index * batch, rows, |packed| {
                    if let Some(slot) = slots.next() {
                        *slot = packed;
                    }
                });
                meter.add(rows.len());
            },
        )?;
        merge::sort(&mut all, ctx, &meter)?;
        all.truncate(k);
        Ok(all)
    }

    fn score(&self, row: &[f32]) -> f32 {
        let products = || total(row, self.query, self.ctx, |a, b| a * b, |a, b| a * b);
        match self.metric {
            Metric::Dot => products() as f32,
            Metric::Euclidean => {
                let squares =
                    total(row, self.query, self.ctx, |a, b| (a - b) * (a - b), |a, b| (a - b) * (a - b));
                squares.sqrt() as f32
            }
            Metric::Cosine => {
                let norm = sum_of_squares(row, self.ctx).sqrt() * self.query_norm;
                // A vector without length has no direction; it is taken as at right angles to everything.
                // Rounding may give a little more than there is.
                if norm == 0.0 { 0.0 } else { (products() / norm).clamp(-1.0, 1.0) as f32 }
            }
        }
    }
}

fn sum_of_squares(row: &[f32], ctx: &KernelContext<'_>) -> f64 {
    total(row, row, ctx, |a, b| a * b, |a, b| a * b)
}

/// The sum over pairs of `term`, or of `wide` where single precision overflows or loses small numbers.
fn total(
    row: &[f32],
    query: &[f32],
    ctx: &KernelContext<'_>,
    term: impl Fn(f32, f32) -> f32 + Copy,
    wide: impl Fn(f64, f64) -> f64,
) -> f64 {
    let mut sum = 0.0;
    for (index, (row, query)) in row.chunks(SEGMENT).zip(query.chunks(SEGMENT)).enumerate() {
        if index > 0 && ctx.is_cancelled() {
            // Nobody will see the sum.
            break;
        }
        let quick = columns(row, query, term);
        sum += if quick.is_finite() && quick.abs() > 1e-30 {
            f64::from(quick)
        } else {
            row.iter().zip(query).map(|(&a, &b)| wide(f64::from(a), f64::from(b))).sum()
        };
    }
    sum
}

/// The sum of `term` over pairs, in sixteen columns that become vector instructions.
#[inline]
fn columns(row: &[f32], query: &[f32], term: impl Fn(f32, f32) -> f32 + Copy) -> f32 {
    let mut sums = [0f32; 16];
    let (rows, queries) = (row.chunks_exact(16), query.chunks_exact(16));
    let rest = rows.remainder().iter().zip(queries.remainder());
    for (row, query) in rows.zip(queries) {
        for column in 0..16 {
            sums[column] += term(row[column], query[column]);
        }
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(rest) {
        *sum += term(a, b);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::Array;

    fn input(matrix: Value, dim: usize, query: Vec<f32>, k: usize, metric: Option<&str>) -> Value {
        Value::object([
            ("matrix", matrix),
            ("dim", Value::Number(dim as f64)),
            ("query", Value::from_vec(query)),
            ("k", Value::Number(k as f64)),
            ("metric", metric.map_or(Value::Undefined, |name| Value::String(name.to_owned()))),
        ])
    }

    fn search(threads: usize, value: Value) -> (Vec<u32>, Vec<f32>) {
        let mut result = TestHost::with_threads(threads).run(&TopK, value, Value::Undefined).unwrap();
        let (Value::Array(indices), Value::Array(scores)) = (result.take("indices"), result.take("scores"))
        else {
            unreachable!()
        };
        (indices.into_vec().unwrap(), scores.into_vec().unwrap())
    }

    const ROWS: [f32; 8] = [3.0, 4.0, 1.0, 0.0, -1.0, 0.0, 6.0, 8.0];

    #[test]
    fn every_metric_ranks_by_its_definition() {
        let run = |metric| search(1, input(Value::from_vec(ROWS.to_vec()), 2, vec![3.0, 4.0], 3, metric));
        assert_eq!(run(Some("dot")), (vec![3, 0, 1], vec![50.0, 25.0, 3.0]));
        assert_eq!(run(None), (vec![0, 3, 1], vec![1.0, 1.0, 0.6]));
        assert_eq!(run(Some("cosine")), run(None));
        assert_eq!(run(Some("euclidean")), (vec![0, 1, 3], vec![0.0, 20f32.sqrt(), 5.0]));
    }

    #[test]
    fn no_cosine_is_above_one() {
        for seed in 1..200u32 {
            let query: Vec<f32> =
                (0..7).map(|at| ((seed * 7919 + at * 104_729) % 1000) as f32 / 37.0).collect();
            let row: Vec<f32> = query.iter().map(|value| value * 3.3).collect();
            let (_, scores) = search(1, input(Value::from_vec(row), 7, query, 1, None));
            assert!(scores[0] <= 1.0 && scores[0] > 0.999_999, "{}", scores[0]);
        }
    }

    #[test]
    fn nan_and_zero_vectors() {
        let matrix = vec![f32::NAN, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0];
        let (indices, scores) = search(1, input(Value::from_vec(matrix.clone()), 2, vec![1.0, 0.0], 9, None));
        assert_eq!(indices, [3, 1, 2, 0]);
        assert_eq!(scores[..3], [1.0, 0.0, -1.0]);
        assert!(scores[3].is_nan());
        let (indices, _) = search(1, input(Value::from_vec(matrix), 2, vec![1.0, 0.0], 9, Some("euclidean")));
        assert_eq!(indices, [3, 1, 2, 0]);
    }

    #[test]
    fn sums_beyond_single_precision_are_taken_again() {
        let huge = vec![1e30f32, 1e30, 1e30, -1e30, 1e-30, 1e-30];
        let (indices, scores) = search(1, input(Value::from_vec(huge.clone()), 2, vec![2e25, 2e25], 3, None));
        assert_eq!(indices, [0, 2, 1]);
        assert!((scores[0] - 1.0).abs() < 1e-6 && (scores[1] - 1.0).abs() < 1e-6 && scores[2].abs() < 1e-6);
        let (_, scores) = search(1, input(Value::from_vec(huge), 2, vec![1e30, 1e30], 3, Some("euclidean")));
        assert_eq!(scores, [0.0, 2f32.sqrt() * 1e30, 2e30]);
    }

    #[test]
    fn keys_give_their_scores_back() {
        for metric in [Metric::Cosine, Metric::Dot, Metric::Euclidean] {
            for score in [0.0f32, 1.5, f32::MAX, f32::INFINITY, f32::MIN_POSITIVE] {
                assert_eq!(score_of(key_of(score, metric), metric), score);
            }
            assert!(key_of(f32::NAN, metric) > key_of(f32::INFINITY, metric));
            assert!(key_of(f32::NAN, metric) > key_of(f32::NEG_INFINITY, metric));
            assert!(score_of(key_of(f32::NAN, metric), metric).is_nan());
        }
        assert_eq!(key_of(-0.0, Metric::Dot), key_of(0.0, Metric::Dot));
    }

    /// Whole numbers, so that scores have many ties and are exact.
    fn whole_matrix(rows: usize, dim: usize) -> Vec<f32> {
        (0..rows * dim).map(|at| (at * 7919 % 31) as f32 - 15.0).collect()
    }

    #[test]
    fn any_k_on_any_number_of_threads_is_a_prefix_of_the_full_order() {
        let (rows, dim) = (20_000, 19);
        let matrix = whole_matrix(rows, dim);
        let query: Vec<f32> = (0..dim).map(|at| at as f32 - 7.0).collect();
        let dot =
            |row: usize| -> f32 { matrix[row * dim..][..dim].iter().zip(&query).map(|(a, b)| a * b).sum() };
        let mut expected: Vec<u32> = (0..rows as u32).collect();
        expected.sort_by(|&a, &b| dot(b as usize).total_cmp(&dot(a as usize)));
        for threads in [1, 4] {
            for k in [1, 10, 1024, 2000, 5000, rows, rows + 5] {
                let value = input(Value::from_vec(matrix.clone()), dim, query.clone(), k, Some("dot"));
                let (indices, scores) = search(threads, value);
                assert!(indices == expected[..k.min(rows)], "{threads} {k}");
                assert!(scores.iter().zip(&indices).all(|(&score, &row)| score == dot(row as usize)));
            }
        }
    }

    #[test]
    fn rows_of_any_length_are_summed_and_cancelled() {
        let dim = 2 * SEGMENT + 3;
        let make = || {
            let matrix: Vec<f32> =
                std::iter::repeat_n(1.0, dim).chain(std::iter::repeat_n(-1.0, dim)).collect();
            input(Value::from_vec(matrix), dim, vec![1.0; dim], 2, Some("dot"))
        };
        let expected = dim as f32;
        assert_eq!(search(1, make()), (vec![0, 1], vec![expected, -expected]));
        assert_cancels(&TopK, 6, || (make(), Value::Undefined));
    }

    #[test]
    fn empty_and_shared_matrices() {
        let (indices, scores) =
            search(1, input(Value::from_vec(Vec::<f32>::new()), 3, vec![1.0; 3], 2, None));
        assert!(indices.is_empty() && scores.is_empty());
        let memory = SharedMemory::copy_of(&Array::from_vec(ROWS.to_vec()));
        assert_eq!(search(1, input(memory.view(), 2, vec![0.0, 1.0], 1, Some("dot"))).0, [3]);
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let code = |value: Value| TestHost::new().run(&TopK, value, Value::Undefined).unwrap_err().code;
        let rows = || Value::from_vec(ROWS.to_vec());
        assert_eq!(code(input(rows(), 3, vec![1.0; 3], 1, None)), ErrorCode::InvalidArgValue);
        assert_eq!(code(input(rows(), 2, vec![1.0; 3], 1, None)), ErrorCode::InvalidArgValue);
        assert_eq!(code(input(rows(), 2, vec![1.0; 2], 1, Some("l1"))), ErrorCode::InvalidArgValue);
        assert_eq!(code(input(rows(), 2, vec![1.0; 2], 0, None)), ErrorCode::OutOfRange);
        assert_eq!(code(input(rows(), 0, vec![], 1, None)), ErrorCode::OutOfRange);
        assert_eq!(
            code(input(Value::from_vec(vec![1.0f64]), 1, vec![1.0], 1, None)),
            ErrorCode::InvalidArgType
        );
    }

    #[test]
    fn a_cancel_is_seen() {
        for k in [5, 1 << 20] {
            assert_cancels(&TopK, 6, || {
                (
                    input(Value::from_vec(whole_matrix(20_000, 16)), 16, vec![1.0; 16], k, None),
                    Value::Undefined,
                )
            });
        }
    }
}
