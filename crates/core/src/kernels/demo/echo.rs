//! Stage: run. Thread: native workers.
//! `echo`: gives back the number that it gets.

use super::number;
use crate::error::KernelError;
use crate::kernel::{Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;

/// Gives back its number, every bit of it; NaN, infinities and the sign of zero included. A call does no work of its
/// own, so that its time is what a call of any kernel costs.
///
/// # Complexity
///
/// O(1).
#[derive(Debug)]
pub(super) struct Echo;

impl Kernel for Echo {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "echo",
            group: "demo",
            summary: "Gives back the number it gets; measures what a call costs.",
            input: Schema::NUMBER,
            options: &[],
            output: "number",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, _ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        Ok(Value::Number(number(&input.value, "the input")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;

    #[test]
    fn every_bit_comes_back() {
        for number in [0.0, -0.0, 1.5, f64::MIN, f64::MAX, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]
        {
            let result = TestHost::new().run(&Echo, Value::Number(number), Value::Undefined).unwrap();
            assert_eq!(result.as_number().map(f64::to_bits), Some(number.to_bits()));
        }
    }
}
