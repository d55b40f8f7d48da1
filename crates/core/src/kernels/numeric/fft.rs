//! Stage: run. Thread: native workers.
//! `fft` and `ifft`: the discrete Fourier transform of any length.
//!
//! F1. No call into the crate works on more than [`DIRECT`] elements, so that cancel checks are a few milliseconds
//! apart at any length.
//! F2. Real and imaginary parts are worked on where they are, unless their memory is shared.

use super::number::local;
use super::split::{Meter, for_parts, ranges};
use super::{FLOATS, numbers_of, object, zeroed};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Element, ElementKind, Value};
use bytemuck::Pod;
use num_complex::Complex;
use rustfft::{FftNum, FftPlanner};
use std::f64::consts::TAU;

/// Transforms between samples and frequencies.
///
/// # Complexity
///
/// O(n log n) for every length; about 32 bytes of scratch memory per element of a `Float64Array`, up to 270 when n is
/// long and has no divisors to split it by.
///
/// # Source
///
/// Up to 65536 elements: the crate rustfft. Longer: D. Bailey's four-step method over two shorter lengths
/// (1990); where n has no fitting divisors: L. Bluestein's convolution (1970), in double precision.
#[derive(Debug)]
pub(super) struct Fft {
    inverse: bool,
}

/// Forward, without a factor.
pub(super) const FFT: Fft = Fft { inverse: false };
/// Backward, divided by the length.
pub(super) const IFFT: Fft = Fft { inverse: true };

/// Elements that the crate transforms in one call, a millisecond or so.
const DIRECT: usize = 1 << 16;
/// Keeps scratch memory and the chirp's exponents in range.
const MAX_LEN: usize = 1 << 28;
/// Elements of a part of the longer transforms.
const PART: usize = 1 << 16;
/// Rows that a transposition fills side by side: it reads whole cache lines, and few rows do not evict each other.
const TILE: usize = 8;

const INPUT: Schema =
    Schema::Object { fields: &[Field::required("re", FLOATS), Field::optional("im", FLOATS)] };

static FFT_INFO: KernelInfo = KernelInfo {
    name: "fft",
    group: "numeric",
    summary: "Gives the discrete Fourier transform of complex or real samples.",
    input: INPUT,
    options: &[],
    output: "{ re: T, im: T }",
    in_place: true,
    parallel: true,
};

static IFFT_INFO: KernelInfo = KernelInfo {
    name: "ifft",
    group: "numeric",
    summary: "Gives the inverse discrete Fourier transform, divided by the length.",
    input: INPUT,
    options: &[],
    output: "{ re: T, im: T }",
    in_place: true,
    parallel: true,
};

impl Kernel for Fft {
    fn info(&self) -> &'static KernelInfo {
        if self.inverse { &IFFT_INFO } else { &FFT_INFO }
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let mut value = object(input.value)?;
        let kinds = [ElementKind::F32, ElementKind::F64];
        let re = numbers_of(value.take("re"), "re", &kinds)?;
        let len = re.len();
        if len > MAX_LEN {
            return Err(KernelError::out_of_range(format!(
                "re must have at most {MAX_LEN} elements; it has {len}"
            )));
        }
        let im = match value.take("im") {
            Value::Undefined if re.kind() == ElementKind::F32 => Array::from_vec(zeroed::<f32>(len)?),
            Value::Undefined => Array::from_vec(zeroed::<f64>(len)?),
            value => numbers_of(value, "im", &kinds)?,
        };
        if im.kind() != re.kind() {
            return Err(KernelError::arg_type("re and im must be typed arrays of the same kind"));
        }
        if im.len() != len {
            return Err(KernelError::arg_value(format!(
                "re and im must have the same length; they have {len} and {} elements",
                im.len()
            )));
        }
        ctx.check()?;
        let (mut re, mut im) = (local(re, ctx)?, local(im, ctx)?);
        if re.kind() == ElementKind::F32 {
            transform::<f32>(&mut re, &mut im, self.inverse, ctx)?;
        } else {
            transform::<f64>(&mut re, &mut im, self.inverse, ctx)?;
        }
        Ok(Value::object([("re", Value::Array(re)), ("im", Value::Array(im))]))
    }
}

/// `f32` and `f64`.
trait Real: FftNum + Element + Pod {
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn wide(self) -> f64 {
        self
    }
}

fn transform<T: Real>(
    re: &mut Array,
    im: &mut Array,
    inverse: bool,
    ctx: &KernelContext<'_>,
) -> Result<(), KernelError>
where
    Complex<T>: Pod,
{
    let (Some(re), Some(im)) = (re.as_mut_slice::<T>(), im.as_mut_slice::<T>()) else {
        return Err(KernelError::arg_type("re and im must be typed arrays of the same kind"));
    };
    if re.is_empty() {
        return Ok(());
    }
    if !inverse {
        return forward(re, im, ctx);
    }
    // With the parts swapped, the forward transform runs backwards.
    forward(im, re, ctx)?;
    let factor = T::of(1.0 / re.len() as f64);
    for_parts(ctx, re.chunks_mut(PART).zip(im.chunks_mut(PART)), |_, (re, im)| {
        re.iter_mut().chain(im).for_each(|value| *value = *value * factor);
    })
}

fn forward<T: Real>(re: &mut [T], im: &mut [T], ctx: &KernelContext<'_>) -> Result<(), KernelError>
where
    Complex<T>: Pod,
{
    let len = re.len();
    if len <= DIRECT {
        let mut buffer: Vec<_> = re.iter().zip(&*im).map(|(&re, &im)| Complex::new(re, im)).collect();
        FftPlanner::new().plan_fft_forward(len).process(&mut buffer);
        for ((re, im), value) in re.iter_mut().zip(im).zip(buffer) {
            (*re, *im) = (value.re, value.im);
        }
        return ctx.check();
    }
    match divide(len) {
        Some(rows) => {
            let meter = Meter::new(ctx, 4 * len);
            four_step(re, im, rows, ctx, &meter)
        }
        None => bluestein(re, im, ctx),
    }
}

/// The largest divisor of `len` up to its root whose counterpart can be transformed directly (F1).
fn divide(len: usize) -> Option<usize> {
    let least = len.div_ceil(DIRECT);
    (least..=len.isqrt()).rev().find(|&rows| len.is_multiple_of(rows))
}

/// exp(-i tau numerator / denominator); the numerator is below the denominator.
fn root(numerator: u64, denominator: u64) -> Complex<f64> {
    let (sin, cos) = (-TAU * (numerator as f64 / denominator as f64)).sin_cos();
    Complex::new(cos, sin)
}

/// All powers of a root of unity, as products of two short tables.
struct Roots {
    fine: Vec<Complex<f64>>,
    coarse: Vec<Complex<f64>>,
}

impl Roots {
    fn new(len: usize) -> Self {
        let step = len.isqrt() + 1;
        let fine = (0..step).map(|power| root(power as u64, len as u64)).collect();
        let coarse = (0..len.div_ceil(step)).map(|power| root((power * step) as u64, len as u64)).collect();
        Self { fine, coarse }
    }

    /// exp(-i tau power / len) for a power below `len`.
    fn power<T: Real>(&self, power: usize) -> Complex<T> {
        let value = self.coarse[power / self.fine.len()] * self.fine[power % self.fine.len()];
        Complex::new(T::of(value.re), T::of(value.im))
    }
}

/// Element j of the input is j1 * n2 + j2, element k of the output is k1 + n1 * k2, with n = n1 * n2 and n1 = `rows`.
/// Transforms of length n1 over j1, factors, then transforms of length n2 over j2.
fn four_step<T: Real>(
    re: &mut [T],
    im: &mut [T],
    rows: usize,
    ctx: &KernelContext<'_>,
    meter: &Meter<'_>,
) -> Result<(), KernelError>
where
    Complex<T>: Pod,
{
    let (n1, n2) = (rows, re.len() / rows);
    let roots = Roots::new(re.len());
    let mut planner = FftPlanner::new();
    let (over_j1, over_j2) = (planner.plan_fft_forward(n1), planner.plan_fft_forward(n2));
    ctx.check()?;

    // middle[j2][k1]
    let mut middle = zeroed::<Complex<T>>(re.len())?;
    let batch = (PART / n1).max(1);
    for_parts(ctx, middle.chunks_mut(batch * n1), |index, part| {
        let first = index * batch;
        let count = part.len() / n1;
        for rows in ranges(count, TILE) {
            for j1 in 0..n1 {
                let from = j1 * n2 + first;
                for row in rows.clone() {
                    part[row * n1 + j1] = Complex::new(re[from + row], im[from + row]);
                }
            }
        }
        over_j1.process(part);
        for (row, values) in part.chunks_exact_mut(n1).enumerate() {
            let j2 = first + row;
            for (k1, value) in values.iter_mut().enumerate() {
                *value = *value * roots.power(j2 * k1);
            }
        }
        meter.add(part.len());
    })?;

    // last[k1][k2]
    let mut last = zeroed::<Complex<T>>(re.len())?;
    let batch = (PART / n2).max(1);
    for_parts(ctx, last.chunks_mut(batch * n2), |index, part| {
        let first = index * batch;
        let count = part.len() / n2;
        for rows in ranges(count, TILE) {
            for j2 in 0..n2 {
                let from = j2 * n1 + first;
                for row in rows.clone() {
                    part[row * n2 + j2] = middle[from + row];
                }
            }
        }
        over_j2.process(part);
        meter.add(part.len());
    })?;

    let batch = (PART / n1).max(1);
    let columns = re.chunks_mut(batch * n1).zip(im.chunks_mut(batch * n1));
    for_parts(ctx, columns, |index, (re, im)| {
        let first = index * batch;
        let count = re.len() / n1;
        for rows in ranges(count, TILE) {
            for k1 in 0..n1 {
                let from = k1 * n2 + first;
                for row in rows.clone() {
                    let value = last[from + row];
                    re[row * n1 + k1] = value.re;
                    im[row * n1 + k1] = value.im;
                }
            }
        }
        meter.add(2 * re.len());
    })
}

/// The transform as a convolution with a chirp, which has a length that can be divided.
fn bluestein<T: Real>(re: &mut [T], im: &mut [T], ctx: &KernelContext<'_>) -> Result<(), KernelError> {
    let len = re.len();
    let padded = (2 * len - 1).next_power_of_two();
    let rows = divide(padded).unwrap_or(1);
    let meter = Meter::new(ctx, 3 * 4 * padded);
    // exp(-i pi k^2 / n); the square is taken modulo 2 n, where the chirp repeats, to keep its digits.
    let chirp = |k: usize| root((k as u64 * k as u64) % (2 * len as u64), 2 * len as u64);

    let (mut b_re, mut b_im) = (zeroed::<f64>(padded)?, zeroed::<f64>(padded)?);
    let halves = b_re.chunks_mut(PART).zip(b_im.chunks_mut(PART));
    for_parts(ctx, halves, |index, (re, im)| {
        for (offset, (re, im)) in re.iter_mut().zip(im).enumerate() {
            let at = index * PART + offset;
            let distance = at.min(padded - at);
            if distance < len {
                let value = chirp(distance).conj();
                (*re, *im) = (value.re, value.im);
            }
        }
    })?;
    four_step(&mut b_re, &mut b_im, rows, ctx, &meter)?;

    let (mut a_re, mut a_im) = (zeroed::<f64>(padded)?, zeroed::<f64>(padded)?);
    let targets = a_re[..len].chunks_mut(PART).zip(a_im[..len].chunks_mut(PART));
    for_parts(ctx, targets.zip(ranges(len, PART)), |_, ((a_re, a_im), range)| {
        for (at, (a_re, a_im)) in range.zip(a_re.iter_mut().zip(a_im)) {
            let value = Complex::new(re[at].wide(), im[at].wide()) * chirp(at);
            (*a_re, *a_im) = (value.re, value.im);
        }
    })?;
    four_step(&mut a_re, &mut a_im, rows, ctx, &meter)?;

    let products =
        a_re.chunks_mut(PART).zip(a_im.chunks_mut(PART)).zip(b_re.chunks(PART).zip(b_im.chunks(PART)));
    for_parts(ctx, products, |_, ((a_re, a_im), (b_re, b_im))| {
        for ((a_re, a_im), (b_re, b_im)) in a_re.iter_mut().zip(a_im).zip(b_re.iter().zip(b_im)) {
            let value = Complex::new(*a_re, *a_im) * Complex::new(*b_re, *b_im);
            (*a_re, *a_im) = (value.re, value.im);
        }
    })?;
    // Backwards, by swapping the parts.
    four_step(&mut a_im, &mut a_re, rows, ctx, &meter)?;

    let factor = 1.0 / padded as f64;
    let outputs = re.chunks_mut(PART).zip(im.chunks_mut(PART));
    for_parts(ctx, outputs.zip(ranges(len, PART)), |_, ((re, im), range)| {
        for (at, (re, im)) in range.zip(re.iter_mut().zip(im)) {
            let value = Complex::new(a_re[at], a_im[at]) * chirp(at) * factor;
            (*re, *im) = (T::of(value.re), T::of(value.im));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};

    /// White noise from -1 to 1, by the finaliser of `SplitMix64`.
    fn noise(len: usize, seed: u64) -> Vec<f64> {
        let mix = |at: u64| {
            let at = (at + (seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let at = (at ^ at >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let at = (at ^ at >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            at ^ at >> 31
        };
        (0..len as u64).map(|at| (mix(at) >> 11) as f64 / (1u64 << 52) as f64 - 1.0).collect()
    }

    fn run<T: Element>(threads: usize, kernel: &Fft, re: Vec<T>, im: Vec<T>) -> (Vec<T>, Vec<T>) {
        let value = Value::object([("re", Value::from_vec(re)), ("im", Value::from_vec(im))]);
        parts(TestHost::with_threads(threads).run(kernel, value, Value::Undefined).unwrap())
    }

    fn parts<T: Element>(mut value: Value) -> (Vec<T>, Vec<T>) {
        let (Value::Array(re), Value::Array(im)) = (value.take("re"), value.take("im")) else {
            unreachable!()
        };
        (re.into_vec().unwrap(), im.into_vec().unwrap())
    }

    /// One output element by the definition.
    fn element(re: &[f64], im: &[f64], k: usize) -> Complex<f64> {
        let len = re.len() as u64;
        let term = |at: usize| Complex::new(re[at], im[at]) * root(at as u64 * k as u64 % len, len);
        (0..re.len()).map(term).sum()
    }

    #[test]
    fn short_transforms_follow_the_definition() {
        for len in [1, 2, 3, 4, 5, 7, 12, 17, 64, 97, 210] {
            let (re, im) = (noise(len, 1), noise(len, 2));
            let (out_re, out_im) = run(1, &FFT, re.clone(), im.clone());
            for k in 0..len {
                let expected = element(&re, &im, k);
                assert!(
                    (Complex::new(out_re[k], out_im[k]) - expected).norm() < 1e-12 * len as f64,
                    "{len} {k}"
                );
            }
        }
    }

    #[test]
    fn the_inverse_gives_the_input_back() {
        let (re, im) = (noise(360, 3), noise(360, 4));
        let (out_re, out_im) = run(1, &FFT, re.clone(), im.clone());
        let (back_re, back_im) = run(1, &IFFT, out_re, out_im);
        assert!(re.iter().chain(&im).zip(back_re.iter().chain(&back_im)).all(|(a, b)| (a - b).abs() < 1e-14));
    }

    #[test]
    fn lengths_are_divided_where_that_is_possible() {
        assert_eq!(divide(1 << 20), Some(1 << 10));
        assert_eq!(divide(1 << 28), Some(1 << 14));
        assert_eq!(divide(2 * 65_521), Some(2));
        assert_eq!(divide(65_537), None);
        assert_eq!(divide(2 * 100_003), None);
    }

    /// Long lengths of all three sorts: a power of two, a product, twice a prime that is too long, a prime.
    const LONG: [usize; 4] = [1 << 17, 66_000, 2 * 65_537, 65_537];

    #[test]
    fn long_transforms_follow_the_definition_on_any_number_of_threads() {
        for len in LONG {
            let (re, im) = (noise(len, 5), noise(len, 6));
            let one = run(1, &FFT, re.clone(), im.clone());
            for k in [0, 1, 2, len / 3, len / 2, len - 1] {
                let expected = element(&re, &im, k);
                assert!((Complex::new(one.0[k], one.1[k]) - expected).norm() < 1e-9, "{len} {k}");
            }
            assert!(run(4, &FFT, re.clone(), im.clone()) == one, "{len}");
            let (back_re, back_im) = run(2, &IFFT, one.0, one.1);
            assert!(
                re.iter().chain(&im).zip(back_re.iter().chain(&back_im)).all(|(a, b)| (a - b).abs() < 1e-11),
                "{len}"
            );
        }
    }

    #[test]
    fn single_precision_stays_close_to_double() {
        for len in [100, 1 << 17, 65_537] {
            let (re, im) = (noise(len, 7), noise(len, 8));
            let (wide_re, wide_im) = run(1, &FFT, re.clone(), im.clone());
            let single = |items: &[f64]| items.iter().map(|&item| item as f32).collect::<Vec<_>>();
            let (out_re, out_im) = run(1, &FFT, single(&re), single(&im));
            let worst = wide_re
                .iter()
                .chain(&wide_im)
                .zip(out_re.iter().chain(&out_im))
                .map(|(wide, single)| (wide - f64::from(*single)).abs())
                .fold(0.0, f64::max);
            assert!(worst < 2e-6 * (len as f64).sqrt(), "{len}: {worst}");
        }
    }

    #[test]
    fn a_missing_imaginary_part_is_zero() {
        let value = Value::object([("re", Value::from_vec(vec![1.0f64, 2.0, 3.0, 4.0]))]);
        let (re, im) = parts::<f64>(TestHost::new().run(&FFT, value, Value::Undefined).unwrap());
        assert_eq!((re, im), (vec![10.0, -2.0, -2.0, -2.0], vec![0.0, 2.0, 0.0, -2.0]));
    }

    #[test]
    fn empty_and_shared_inputs() {
        assert_eq!(run::<f32>(1, &FFT, vec![], vec![]), (vec![], vec![]));
        assert_eq!(run::<f64>(1, &IFFT, vec![], vec![]), (vec![], vec![]));
        let memory = SharedMemory::copy_of(&Array::from_vec(vec![1.0f32, 0.0]));
        let value = Value::object([("re", memory.view()), ("im", memory.view())]);
        let (re, im) = parts::<f32>(TestHost::new().run(&FFT, value, Value::Undefined).unwrap());
        assert_eq!((re, im), (vec![1.0, 1.0], vec![1.0, 1.0]));
    }

    #[test]
    fn f2_private_memory_is_transformed_where_it_is() {
        let mut memory = [1.0f64, 0.0, 0.0, 0.0];
        let pointer: *mut u8 = memory.as_mut_ptr().cast();
        #[expect(unsafe_code, reason = "stands in for the binding")]
        // SAFETY: the memory outlives the array and is not touched meanwhile.
        let array = unsafe { Array::from_private(ElementKind::F64, pointer, 32, 5) };
        let value = Value::object([("re", Value::Array(array))]);
        let mut result = TestHost::new().run(&FFT, value, Value::Undefined).unwrap();
        let Value::Array(re) = result.take("re") else { unreachable!() };
        assert_eq!(re.private(), Some((5, pointer)));
        drop(re);
        assert_eq!(memory, [1.0; 4]);
    }

    #[test]
    fn wrong_parts_are_errors() {
        let code = |re: Value, im: Value| {
            TestHost::new()
                .run(&FFT, Value::object([("re", re), ("im", im)]), Value::Undefined)
                .unwrap_err()
                .code
        };
        assert_eq!(
            code(Value::from_vec(vec![1.0f64]), Value::from_vec(vec![1.0f32])),
            ErrorCode::InvalidArgType
        );
        assert_eq!(
            code(Value::from_vec(vec![1.0f64]), Value::from_vec(vec![1.0f64; 2])),
            ErrorCode::InvalidArgValue
        );
        assert_eq!(code(Value::from_vec(vec![1u8]), Value::Undefined), ErrorCode::InvalidArgType);
        assert_eq!(code(Value::from_vec(vec![1.0f64]), Value::Null), ErrorCode::InvalidArgType);
    }

    #[test]
    fn a_cancel_is_seen() {
        for len in [1000, 1 << 17, 65_537] {
            assert_cancels(&FFT, 2, || {
                (Value::object([("re", Value::from_vec(vec![1.0f32; len]))]), Value::Undefined)
            });
        }
        assert_cancels(&IFFT, 3, || {
            (Value::object([("re", Value::from_vec(vec![1.0f64; 70_000]))]), Value::Undefined)
        });
    }
}
