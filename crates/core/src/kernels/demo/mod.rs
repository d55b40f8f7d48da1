//! Stage: run. Thread: native workers.
//! The `demo` group of kernels: work of known size and result, for examples, tests and measurements.

use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Kernel, KernelContext};
use crate::value::Value;
use parking_lot::Mutex;

mod echo;
mod mandelbrot;
mod pi;
mod primes;
mod recursion;

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![
        Box::new(echo::Echo),
        Box::new(recursion::FIB),
        Box::new(recursion::TRIBONACCI),
        Box::new(primes::PrimesUpTo),
        Box::new(pi::EstimatePi),
        Box::new(mandelbrot::Mandelbrot),
    ]
}

/// The whole number in `value`, from `min` to `max`.
fn whole(value: &Value, name: &str, min: f64, max: f64) -> Result<f64, KernelError> {
    let number = number(value, name)?;
    if number.fract() == 0.0 && (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(KernelError::out_of_range(format!("{name} must be a whole number from {min} to {max}, not {number}")))
}

/// The number in `value`, which may be any.
fn number(value: &Value, name: &str) -> Result<f64, KernelError> {
    value.as_number().ok_or_else(|| KernelError::arg_type(format!("{name} must be a number")))
}

/// What to reject with when the system has no memory for the output.
fn no_memory(elements: usize) -> KernelError {
    KernelError::new(ErrorCode::System, format!("no memory for {elements} elements"))
}

/// Counts what the threads have done, for progress reports that never go back.
struct Meter<'a> {
    ctx: KernelContext<'a>,
    total: usize,
    done: Mutex<usize>,
}

impl<'a> Meter<'a> {
    /// `total` is in the units of [`Meter::add`].
    fn new(ctx: &KernelContext<'a>, total: usize) -> Self {
        Self { ctx: *ctx, total, done: Mutex::new(0) }
    }

    /// Reports that `units` more are done.
    fn add(&self, units: usize) {
        let mut done = self.done.lock();
        *done = done.saturating_add(units).min(self.total);
        // Under the lock, so that reports of two threads cannot overtake each other.
        self.ctx.progress(*done, self.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;
    use crate::value::Array;

    #[test]
    fn wrong_values_are_errors_and_not_panics() {
        let values = || {
            vec![
                Value::Undefined,
                Value::Null,
                Value::Bool(true),
                Value::BigInt(1),
                Value::String("1".to_owned()),
                Value::Array(Array::from_vec(vec![1u8])),
                Value::List(vec![Value::Number(1.0)]),
                Value::object([]),
                Value::object([("width", Value::Number(1.0)), ("height", Value::Null)]),
                Value::Rows { keys: &["a"], cells: vec![1.0] },
            ]
        };
        for kernel in all() {
            for value in values() {
                let error = TestHost::new().run(&*kernel, value, Value::Undefined).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgType, "{}", kernel.info().name);
            }
        }
    }

    #[test]
    fn numbers_that_are_not_whole_are_errors() {
        for kernel in all().iter().filter(|kernel| !["echo", "mandelbrot"].contains(&kernel.info().name)) {
            for number in [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(32), 1e300] {
                let error =
                    TestHost::new().run(&**kernel, Value::Number(number), Value::Undefined).unwrap_err();
                assert_eq!(error.code, ErrorCode::OutOfRange, "{} {number}", kernel.info().name);
            }
        }
    }

    #[test]
    fn progress_of_threads_never_goes_back() {
        let host = TestHost::with_threads(4);
        let ctx = KernelContext::new(&host);
        let meter = Meter::new(&ctx, 3000);
        ctx.parallel_for(1000, |_| meter.add(3)).unwrap();
        let reports = host.progress_reports();
        assert!(reports.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(reports.last(), Some(&(3000.0, 3000.0)));
    }
}
