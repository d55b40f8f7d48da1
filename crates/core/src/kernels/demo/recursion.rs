//! Stage: run. Thread: native workers.
//! `fib` and `tribonacci`: sequences computed the slow way, by plain recursion, as work of a known size.
//!
//! R1. Every call of the naive recursion is really made; nothing is remembered between calls.

use super::whole;
use crate::error::KernelError;
use crate::kernel::{Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;

/// A sequence in which an element is the sum of the ones before it.
///
/// # Complexity
///
/// O(1.62ⁿ) for `fib`, O(1.84ⁿ) for `tribonacci`, calls and time alike; the memory is O(n).
#[derive(Debug)]
pub(super) struct Recursion {
    info: KernelInfo,
    /// The plain recursion.
    compute: fn(i64) -> i64,
    /// How many elements are added up for the next.
    width: usize,
    /// The greatest `n` that is its own leaf: the recursion ends there.
    leaf: i64,
    /// `n` up to here takes about a millisecond and is computed in one go.
    grain: i64,
}

/// The greatest `n`: the results are exact as numbers, and it already takes an hour or more.
const MAX: i64 = 60;

const INPUT: Schema = Schema::Number { min: None, max: Some(MAX as f64), integer: true };

/// 1 for every `n` up to 2, else `fib(n - 1) + fib(n - 2)`.
pub(super) const FIB: Recursion = Recursion {
    info: KernelInfo {
        name: "fib",
        group: "demo",
        summary: "Fibonacci number by plain recursion; work of a known size.",
        input: INPUT,
        options: &[],
        output: "number",
        in_place: false,
        parallel: false,
    },
    compute: fib,
    width: 2,
    leaf: 2,
    grain: 25,
};

/// `n` itself up to 1, else the sum of the three before.
pub(super) const TRIBONACCI: Recursion = Recursion {
    info: KernelInfo {
        name: "tribonacci",
        group: "demo",
        summary: "Tribonacci number by plain recursion; work of a known size.",
        input: INPUT,
        options: &[],
        output: "number",
        in_place: false,
        parallel: false,
    },
    compute: tribonacci,
    width: 3,
    leaf: 1,
    grain: 20,
};

fn fib(n: i64) -> i64 {
    if n <= 2 { 1 } else { fib(n - 1) + fib(n - 2) }
}

fn tribonacci(n: i64) -> i64 {
    if n <= 1 { n } else { tribonacci(n - 1) + tribonacci(n - 2) + tribonacci(n - 3) }
}

impl Kernel for Recursion {
    fn info(&self) -> &'static KernelInfo {
        static INFOS: [&KernelInfo; 2] = [&FIB.info, &TRIBONACCI.info];
        INFOS[self.width - 2]
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        ctx.check()?;
        let n = whole(&input.value, "the input", -f64::MAX, MAX as f64)?;
        if n <= self.grain as f64 {
            // A double far below zero saturates, which is where `fib` does not look at it; `tribonacci` gives it back.
            let result = (self.compute)(n as i64) as f64;
            return Ok(Value::Number(if self.leaf == 1 && n <= 1.0 { n } else { result }));
        }
        let n = n as i64;
        let mut walk = Walk { kernel: self, ctx, done: 0, total: self.leaves(n) };
        Ok(Value::Number(walk.visit(n)? as f64))
    }
}

impl Recursion {
    /// Calls that end the recursion for `n`, the measure of its work. Counted in a loop, so in no time.
    fn leaves(&self, n: i64) -> usize {
        let mut last = [1usize; 3];
        for _ in self.leaf..n {
            let next = last[3 - self.width..].iter().sum();
            last = [last[1], last[2], next];
        }
        last[2]
    }
}

/// The upper levels of the recursion, which look for a cancel.
struct Walk<'a> {
    kernel: &'a Recursion,
    ctx: &'a KernelContext<'a>,
    done: usize,
    total: usize,
}

impl Walk<'_> {
    fn visit(&mut self, n: i64) -> Result<i64, KernelError> {
        if n <= self.kernel.grain {
            self.ctx.check()?;
            let result = (self.kernel.compute)(n);
            self.done += self.kernel.leaves(n);
            self.ctx.progress(self.done, self.total);
            return Ok(result);
        }
        let mut sum = 0;
        for back in 1..=self.kernel.width as i64 {
            sum += self.visit(n - back)?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{TestHost, assert_cancels};

    fn run(kernel: &Recursion, n: f64) -> f64 {
        let result = TestHost::new().run(kernel, Value::Number(n), Value::Undefined).unwrap();
        result.as_number().unwrap()
    }

    #[test]
    fn fib_of_small_numbers() {
        let first: Vec<_> = (-3..=10).map(|n| run(&FIB, f64::from(n))).collect();
        assert_eq!(first, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0]);
        assert_eq!(run(&FIB, -1e300), 1.0);
    }

    #[test]
    fn tribonacci_of_small_numbers() {
        let first: Vec<_> = (-3..=10).map(|n| run(&TRIBONACCI, f64::from(n))).collect();
        assert_eq!(first, [-3.0, -2.0, -1.0, 0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 6.0, 11.0, 20.0, 37.0, 68.0]);
        assert_eq!(run(&TRIBONACCI, -1e300), -1e300);
    }

    #[test]
    fn above_the_grain_the_sum_is_the_same() {
        let mut fibs = [1.0, 1.0];
        for n in 3..=32 {
            fibs = [fibs[1], fibs[0] + fibs[1]];
            assert_eq!(run(&FIB, f64::from(n)), fibs[1]);
        }
        let mut sums = [-1.0, 0.0, 1.0];
        for n in 2..=25 {
            sums = [sums[1], sums[2], sums.iter().sum()];
            assert_eq!(run(&TRIBONACCI, f64::from(n)), sums[2]);
        }
    }

    #[test]
    fn leaves_are_counted() {
        // Every leaf of `fib` adds 1.
        for n in 0..20 {
            assert_eq!(FIB.leaves(n) as i64, fib(n));
        }
        assert_eq!([2, 3, 4].map(|n| TRIBONACCI.leaves(n)), [3, 5, 9]);
    }

    #[test]
    fn progress_reaches_the_total() {
        for (kernel, n) in [(&FIB, 30.0), (&TRIBONACCI, 24.0)] {
            let host = TestHost::new();
            host.run(kernel, Value::Number(n), Value::Undefined).unwrap();
            let reports = host.progress_reports();
            assert!(reports.len() > 1 && reports.is_sorted_by(|a, b| a.0 < b.0));
            assert!(reports.iter().all(|report| report.1 == kernel.leaves(n as i64) as f64));
            assert_eq!(reports.last().unwrap().0, reports[0].1);
        }
    }

    #[test]
    fn more_than_the_maximum_is_an_error() {
        for kernel in [&FIB, &TRIBONACCI] {
            let error = TestHost::new().run(kernel, Value::Number(61.0), Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::OutOfRange);
        }
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&FIB, 10, || (Value::Number(30.0), Value::Undefined));
        assert_cancels(&TRIBONACCI, 10, || (Value::Number(25.0), Value::Undefined));
        // Without the cancel these run for an hour and for months.
        for kernel in [&FIB, &TRIBONACCI] {
            let host = TestHost::new().cancel_after(20);
            let error = host.run(kernel, Value::Number(60.0), Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::Cancelled);
        }
    }
}
