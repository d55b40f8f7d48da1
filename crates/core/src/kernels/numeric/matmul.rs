//! Stage: run. Thread: native workers.
//! `matmul`: the product of two matrices.
//!
//! G1. A tile reads and writes inside its slices only; `tile` checks that before it hands out pointers.

#![expect(unsafe_code, reason = "matrixmultiply takes pointers and strides")]

use super::number::local;
use super::split::{GRAIN, Meter, for_parts};
use super::{FLOATS, numbers_of, object, required_whole, zeroed};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Element, ElementKind, Value};

/// Multiplies matrices.
///
/// # Complexity
///
/// O(m k n).
///
/// # Source
///
/// The crate matrixmultiply, after K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
/// 2008. Rows are shared out over the threads; each block of rows goes through tiles of bounded work.
#[derive(Debug)]
pub(super) struct Matmul;

const MAX_DIM: u64 = u32::MAX as u64;
/// A product of small factors can be huge: a column times a row.
const MAX_OUTPUT: usize = 1 << 30;
/// Multiplications below which one thread does everything.
const SMALL: usize = 1 << 20;
/// A tile of at most 128 by 256 by 1024 takes a few milliseconds. Depth and width are those that the crate blocks by.
const MOST_ROWS: usize = 128;
const DEPTH: usize = 256;
const WIDTH: usize = 1024;

static INFO: KernelInfo = KernelInfo {
    name: "matmul",
    group: "numeric",
    summary: "Multiplies an m by k matrix with a k by n matrix, both row by row.",
    input: Schema::Object {
        fields: &[
            Field::required("a", FLOATS),
            Field::required("b", FLOATS),
            Field::required("m", Schema::integer(0.0, MAX_DIM as f64)),
            Field::required("k", Schema::integer(0.0, MAX_DIM as f64)),
            Field::required("n", Schema::integer(0.0, MAX_DIM as f64)),
        ],
    },
    options: &[],
    output: "T",
    in_place: false,
    parallel: true,
};

impl Kernel for Matmul {
    fn info(&self) -> &'static KernelInfo {
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let mut value = object(input.value)?;
        let kinds = [ElementKind::F32, ElementKind::F64];
        let a = numbers_of(value.take("a"), "a", &kinds)?;
        let b = numbers_of(value.take("b"), "b", &kinds)?;
        let shape = Shape {
            m: required_whole(&value, "m", 0, MAX_DIM)?,
            k: required_whole(&value, "k", 0, MAX_DIM)?,
            n: required_whole(&value, "n", 0, MAX_DIM)?,
        };
        if a.kind() != b.kind() {
            return Err(KernelError::arg_type("a and b must be typed arrays of the same kind"));
        }
        exact_len("a", &a, "m", shape.m, "k", shape.k)?;
        exact_len("b", &b, "k", shape.k, "n", shape.n)?;
        if shape.m.checked_mul(shape.n).is_none_or(|len| len > MAX_OUTPUT) {
            return Err(KernelError::out_of_range(format!("m * n must be at most {MAX_OUTPUT}")));
        }
        ctx.check()?;
        let (a, b) = (local(a, ctx)?, local(b, ctx)?);
        if a.kind() == ElementKind::F32 {
            run::<f32>(&a, &b, shape, ctx)
        } else {
            run::<f64>(&a, &b, shape, ctx)
        }
    }
}

fn exact_len(
    name: &str,
    array: &Array,
    rows_name: &str,
    rows: usize,
    columns_name: &str,
    columns: usize,
) -> Result<(), KernelError> {
    if rows.checked_mul(columns) == Some(array.len()) {
        return Ok(());
    }
    Err(KernelError::arg_value(format!(
        "{name} must have {rows_name} * {columns_name} = {rows} * {columns} elements; it has {}",
        array.len()
    )))
}

#[derive(Clone, Copy)]
struct Shape {
    m: usize,
    k: usize,
    n: usize,
}

fn run<T: Multiply>(
    a: &Array,
    b: &Array,
    shape: Shape,
    ctx: &KernelContext<'_>,
) -> Result<Value, KernelError> {
    let (Some(a), Some(b)) = (a.as_slice::<T>(), b.as_slice::<T>()) else {
        return Err(KernelError::arg_type("a and b must be typed arrays of the same kind"));
    };
    let Shape { m, k, n } = shape;
    let mut c = zeroed::<T>(m * n)?;
    if c.is_empty() || k == 0 {
        return Ok(Value::from_vec(c));
    }
    let rows = if m.saturating_mul(k).saturating_mul(n) <= SMALL {
        m
    } else {
        // Thin factors get more rows, so that a part is not lost in the cost of handing it out.
        let most = MOST_ROWS.max(GRAIN / k.saturating_mul(n));
        m.div_ceil(2 * ctx.parallelism()).next_multiple_of(8).min(most)
    };
    let meter = Meter::new(ctx, m.saturating_mul(k).saturating_mul(n));
    for_parts(ctx, c.chunks_mut(rows * n), |index, part| {
        let rows_here = part.len() / n;
        let a = &a[index * rows * k..];
        for column in (0..n).step_by(WIDTH) {
            for depth in (0..k).step_by(DEPTH) {
                if ctx.is_cancelled() {
                    return;
                }
                let size = Shape { m: rows_here, k: DEPTH.min(k - depth), n: WIDTH.min(n - column) };
                tile(
                    (&a[depth..], k),
                    (&b[depth * n + column..], n),
                    &mut part[column..],
                    n,
                    size,
                    depth > 0,
                );
                meter.add(size.m * size.k * size.n);
            }
        }
    })?;
    Ok(Value::from_vec(c))
}

/// `c = a b`, or `c += a b` when `add`. Every matrix is a slice that begins with its first element, and the distance
/// from row to row.
fn tile<T: Multiply>(
    a: (&[T], usize),
    b: (&[T], usize),
    c: &mut [T],
    c_stride: usize,
    size: Shape,
    add: bool,
) {
    let inside = |len: usize, stride: usize, rows: usize, columns: usize| {
        rows > 0 && columns > 0 && columns <= stride && (rows - 1) * stride + columns <= len
    };
    assert!(inside(a.0.len(), a.1, size.m, size.k), "a is large enough");
    assert!(inside(b.0.len(), b.1, size.k, size.n), "b is large enough");
    assert!(inside(c.len(), c_stride, size.m, size.n), "c is large enough");
    // SAFETY: the assertions above, and `c` is borrowed mutably, so that it overlaps neither `a` nor `b` (G1).
    unsafe {
        T::multiply(
            size,
            (a.0.as_ptr(), a.1 as isize),
            (b.0.as_ptr(), b.1 as isize),
            (c.as_mut_ptr(), c_stride as isize),
            add,
        );
    }
}

/// The two element types that matrixmultiply knows.
trait Multiply: Element + bytemuck::Pod {
    /// # Safety
    ///
    /// With row stride as given and column stride 1, every element of the three matrices is valid, and nobody else
    /// reads or writes `c` meanwhile.
    unsafe fn multiply(
        size: Shape,
        a: (*const Self, isize),
        b: (*const Self, isize),
        c: (*mut Self, isize),
        add: bool,
    );
}

macro_rules! multiply {
    ($($type:ty, $function:ident;)*) => {$(
        impl Multiply for $type {
            unsafe fn multiply(
                size: Shape,
                a: (*const Self, isize),
                b: (*const Self, isize),
                c: (*mut Self, isize),
                add: bool,
            ) {
                let Shape { m, k, n } = size;
                let keep = if add { 1.0 } else { 0.0 };
                // SAFETY: the caller's duty.
                unsafe { matrixmultiply::$function(m, k, n, 1.0, a.0, a.1, 1, b.0, b.1, 1, keep, c.0, c.1, 1) }
            }
        }
    )*};
}
multiply! {
    f32, sgemm;
    f64, dgemm;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};

    fn input(a: Value, b: Value, m: usize, k: usize, n: usize) -> Value {
        let number = |number: usize| Value::Number(number as f64);
        Value::object([("a", a), ("b", b), ("m", number(m)), ("k", number(k)), ("n", number(n))])
    }

    fn product<T: Element>(threads: usize, a: &[T], b: &[T], m: usize, k: usize, n: usize) -> Vec<T> {
        let value = input(Value::from_vec(a.to_vec()), Value::from_vec(b.to_vec()), m, k, n);
        let Value::Array(array) =
            TestHost::with_threads(threads).run(&Matmul, value, Value::Undefined).unwrap()
        else {
            unreachable!()
        };
        array.into_vec().unwrap()
    }

    /// Small whole numbers, so that every order of additions gives the same.
    fn matrix(len: usize, seed: usize) -> Vec<f64> {
        (0..len).map(|at| ((at + seed) * 7919 % 13) as f64 - 6.0).collect()
    }

    fn naive(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
        let mut c = vec![0.0; m * n];
        for row in 0..m {
            for depth in 0..k {
                for column in 0..n {
                    c[row * n + column] += a[row * k + depth] * b[depth * n + column];
                }
            }
        }
        c
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for (m, k, n) in [
            (1, 1, 1),
            (2, 3, 4),
            (1, 300, 1),
            (17, 33, 5),
            (40_000, 2, 16),
            (140, 300, 70),
            (3, 600, 1100),
            (200, 9, 1030),
        ] {
            let (a, b) = (matrix(m * k, 1), matrix(k * n, 5));
            let expected = naive(&a, &b, m, k, n);
            for threads in [1, 3] {
                assert!(product(threads, &a, &b, m, k, n) == expected, "{m} {k} {n}");
                let single = |items: &[f64]| items.iter().map(|&item| item as f32).collect::<Vec<_>>();
                assert!(
                    product(threads, &single(&a), &single(&b), m, k, n) == single(&expected),
                    "{m} {k} {n}"
                );
            }
        }
    }

    #[test]
    fn empty_factors_give_zeros() {
        assert!(product::<f64>(1, &[], &[], 0, 0, 0).is_empty());
        assert_eq!(product::<f64>(1, &[], &[], 2, 0, 3), [0.0; 6]);
        assert!(product::<f32>(1, &[], &[1.0, 2.0], 0, 1, 2).is_empty());
    }

    #[test]
    fn shared_factors_are_read() {
        let a = SharedMemory::copy_of(&Array::from_vec(vec![1.0f32, 2.0]));
        let b = SharedMemory::copy_of(&Array::from_vec(vec![3.0f32, 4.0]));
        let value = input(a.view(), b.view(), 1, 2, 1);
        let Value::Array(array) = TestHost::new().run(&Matmul, value, Value::Undefined).unwrap() else {
            unreachable!()
        };
        assert_eq!(array.into_vec::<f32>(), Some(vec![11.0]));
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let vector = |len: usize| Value::from_vec(vec![1.0f64; len]);
        let code = |value: Value| TestHost::new().run(&Matmul, value, Value::Undefined).unwrap_err().code;
        assert_eq!(code(input(vector(2), vector(2), 2, 2, 1)), ErrorCode::InvalidArgValue);
        assert_eq!(code(input(vector(2), vector(3), 1, 2, 1)), ErrorCode::InvalidArgValue);
        assert_eq!(code(input(vector(1), Value::from_vec(vec![1f32]), 1, 1, 1)), ErrorCode::InvalidArgType);
        assert_eq!(code(input(vector(1), Value::from_vec(vec![1u8]), 1, 1, 1)), ErrorCode::InvalidArgType);
        assert_eq!(code(input(vector(0), vector(0), 1 << 31, 0, 1 << 31)), ErrorCode::OutOfRange);
        assert_eq!(code(input(vector(0), vector(0), 1 << 33, 0, 1)), ErrorCode::OutOfRange);
        assert_eq!(
            code(input(vector(0), vector(0), 0, u32::MAX as usize, u32::MAX as usize)),
            ErrorCode::InvalidArgValue
        );
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&Matmul, 10, || {
            (
                input(
                    Value::from_vec(vec![1f32; 200 * 600]),
                    Value::from_vec(vec![1f32; 600 * 100]),
                    200,
                    600,
                    100,
                ),
                Value::Undefined,
            )
        });
    }
}
