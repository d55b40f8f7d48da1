//! Stage: run. Thread: native workers.
//! `estimatePi`: a slow series for pi.
//!
//! P1. The terms are added one by one in their order: the last digits are those of this very sum, so it is neither
//! split over threads nor reordered.

use super::whole;
use crate::error::KernelError;
use crate::kernel::{Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;

/// Adds up the series 3 + 4/(2·3·4) − 4/(4·5·6) + 4/(6·7·8) − … while a term exceeds 10^−(decimals + 1), and rounds
/// the sum to `decimals` digits.
///
/// # Complexity
///
/// O(10^(decimals / 3)) terms.
///
/// # Source
///
/// Nilakantha Somayaji, Tantrasamgraha, about 1500.
#[derive(Debug)]
pub(super) struct EstimatePi;

/// More decimals would only mean more time: a double has about 16 of them.
const MAX_DECIMALS: f64 = 30.0;

/// Terms between two cancel checks; well below a millisecond.
const STEP: usize = 1 << 16;

impl Kernel for EstimatePi {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "estimatePi",
            group: "demo",
            summary: "Pi by the series of Nilakantha, to a number of decimals.",
            input: Schema::integer(0.0, MAX_DECIMALS),
            options: &[],
            output: "number",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let decimals = whole(&input.value, "the input", 0.0, MAX_DECIMALS)? as usize;
        let sum = sum(decimals, ctx)?;
        // As `toFixed`: from the exact value of the double. A tie, where the two differ, needs a sum with only
        // `decimals + 1` binary places, and no sum of these terms has so few.
        let rounded = format!("{sum:.decimals$}");
        Ok(Value::Number(rounded.parse().unwrap_or(sum)))
    }
}

/// The sum of the terms above 10^−(decimals + 1).
fn sum(decimals: usize, ctx: &KernelContext<'_>) -> Result<f64, KernelError> {
    let limit = 10f64.powi(-(decimals as i32 + 1));
    // Terms are about 4/k³, and k goes in steps of two.
    let total = ((4.0 / limit).cbrt() / 2.0) as usize;
    let mut sum = 3.0;
    let mut k = 2.0;
    let mut sign = 1.0;
    let mut terms = 0;
    loop {
        ctx.check()?;
        ctx.progress(terms.min(total), total);
        for _ in 0..STEP {
            let term = 4.0 / (k * (k + 1.0) * (k + 2.0));
            if term <= limit {
                ctx.check()?;
                ctx.progress(total, total);
                return Ok(sum);
            }
            sum += sign * term;
            sign = -sign;
            k += 2.0;
        }
        terms += STEP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{TestHost, assert_cancels};

    fn run(decimals: u32) -> f64 {
        let input = Value::Number(f64::from(decimals));
        TestHost::new().run(&EstimatePi, input, Value::Undefined).unwrap().as_number().unwrap()
    }

    #[test]
    #[expect(clippy::approx_constant, reason = "these are the approximations that are asked for")]
    fn known_decimals() {
        assert_eq!(run(0), 3.0);
        assert_eq!(run(5), 3.14159);
        assert_eq!(run(10), 3.141_592_653_6);
    }

    #[test]
    fn each_decimal_is_right_or_off_by_one() {
        for decimals in 0..=14 {
            let error = (run(decimals) - std::f64::consts::PI).abs();
            assert!(error <= 1.1 * 10f64.powi(-(decimals as i32)), "{decimals}: {error}");
        }
    }

    /// With `decimals` at 18 nothing is added any more that a double can hold, so this is also the sum for 25.
    #[test]
    fn p1_the_last_digits_are_those_of_the_plain_sum() {
        assert_eq!(run(18), 3.141_592_653_589_787);
        assert_eq!(sum(18, &KernelContext::new(&TestHost::new())).unwrap(), 3.141_592_653_589_787);
    }

    #[test]
    fn twenty_five_decimals() {
        assert_eq!(run(25), 3.141_592_653_589_787);
    }

    #[test]
    fn progress_reaches_the_total() {
        let host = TestHost::new();
        host.run(&EstimatePi, Value::Number(17.0), Value::Undefined).unwrap();
        let reports = host.progress_reports();
        assert!(reports.len() > 2 && reports.is_sorted_by(|a, b| a.0 <= b.0));
        let last = reports.last().unwrap();
        assert_eq!(last.0, last.1);
        // The estimate of the total is a good one.
        assert!(reports[reports.len() - 2].0 > 0.5 * last.1);
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&EstimatePi, 5, || (Value::Number(17.0), Value::Undefined));
        let host = TestHost::new().cancel_after(3);
        let error = host.run(&EstimatePi, Value::Number(30.0), Value::Undefined).unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
    }

    #[test]
    fn decimals_out_of_range_are_errors() {
        for decimals in [-1.0, 31.0] {
            let error =
                TestHost::new().run(&EstimatePi, Value::Number(decimals), Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::OutOfRange);
        }
    }
}
