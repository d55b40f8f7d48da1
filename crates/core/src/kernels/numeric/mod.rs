//! Stage: run. Thread: native workers.
//! The `numeric` group of kernels, and the checks of arguments that they share.
//!
//! N1. The result does not depend on how many threads took part: work is cut by length alone, and partial results are
//! combined in the order of the input, or in a way where the order does not matter.

use crate::error::{ErrorCode, KernelError};
use crate::kernel::{ElementKindName, Kernel, Schema};
use crate::value::{Array, ElementKind, Value};
use bytemuck::Zeroable;

mod argsort;
mod fft;
mod histogram;
mod matmul;
mod merge;
mod number;
mod select;
mod sort;
mod split;
mod stats;
mod top_k;

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![
        Box::new(sort::Sort),
        Box::new(argsort::Argsort),
        Box::new(stats::Stats),
        Box::new(histogram::Histogram),
        Box::new(matmul::Matmul),
        Box::new(fft::FFT),
        Box::new(fft::IFFT),
        Box::new(top_k::TopK),
    ]
}

/// A typed array of any kind.
const ANY_NUMBERS: Schema = Schema::TypedArray {
    kinds: &[
        ElementKindName(ElementKind::I8),
        ElementKindName(ElementKind::U8),
        ElementKindName(ElementKind::U8Clamped),
        ElementKindName(ElementKind::I16),
        ElementKindName(ElementKind::U16),
        ElementKindName(ElementKind::I32),
        ElementKindName(ElementKind::U32),
        ElementKindName(ElementKind::F32),
        ElementKindName(ElementKind::F64),
        ElementKindName(ElementKind::I64),
        ElementKindName(ElementKind::U64),
        ElementKindName(ElementKind::F16),
    ],
};

/// A `Float32Array` or a `Float64Array`.
const FLOATS: Schema =
    Schema::TypedArray { kinds: &[ElementKindName(ElementKind::F32), ElementKindName(ElementKind::F64)] };

/// A `Float32Array`.
const SINGLES: Schema = Schema::TypedArray { kinds: &[ElementKindName(ElementKind::F32)] };

/// The typed array in `value`, whatever its kind.
fn numbers(value: Value, name: &str) -> Result<Array, KernelError> {
    match value {
        Value::Array(array) => Ok(array),
        _ => Err(KernelError::arg_type(format!("{name} must be a typed array"))),
    }
}

/// The typed array in `value`, which must be of one of `kinds`.
fn numbers_of(value: Value, name: &str, kinds: &[ElementKind]) -> Result<Array, KernelError> {
    let array = numbers(value, name)?;
    if kinds.contains(&array.kind()) {
        return Ok(array);
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.class_name()).collect();
    Err(KernelError::arg_type(format!("{name} must be a {}", names.join(" or "))))
}

/// An input that has members.
fn object(value: Value) -> Result<Value, KernelError> {
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(KernelError::arg_type("the input must be an object")),
    }
}

/// The boolean option `name`, `false` when it is missing.
fn flag(options: &Value, name: &str) -> Result<bool, KernelError> {
    match options.get(name) {
        None => Ok(false),
        Some(value) => {
            value.as_bool().ok_or_else(|| KernelError::arg_type(format!("options.{name} must be a boolean")))
        }
    }
}

/// The finite number called `name`, if it is there.
fn finite(value: Option<&Value>, name: &str) -> Result<Option<f64>, KernelError> {
    let Some(value) = value else { return Ok(None) };
    match value.as_number() {
        None => Err(KernelError::arg_type(format!("{name} must be a number"))),
        Some(number) if !number.is_finite() => {
            Err(KernelError::out_of_range(format!("{name} must be finite; it is {number}")))
        }
        number => Ok(number),
    }
}

/// The whole number called `name` from `min` to `max`, if it is there.
fn whole(value: Option<&Value>, name: &str, min: u64, max: u64) -> Result<Option<usize>, KernelError> {
    let Some(value) = value else { return Ok(None) };
    let Some(number) = value.as_number() else {
        return Err(KernelError::arg_type(format!("{name} must be a number")));
    };
    if number.fract() != 0.0 || !(min as f64..=max as f64).contains(&number) {
        return Err(KernelError::out_of_range(format!(
            "{name} must be a whole number from {min} to {max}; it is {number}"
        )));
    }
    usize::try_from(number as u64)
        .map(Some)
        .map_err(|_| KernelError::out_of_range(format!("{name} is too large for this machine")))
}

/// Like [`whole`], for a member that must be there.
fn required_whole(value: &Value, name: &str, min: u64, max: u64) -> Result<usize, KernelError> {
    whole(value.get(name), name, min, max)?
        .ok_or_else(|| KernelError::arg_type(format!("{name} must be a number")))
}

/// Zeroed memory whose pages are first touched by whoever writes them; an error instead of an abort when there is none.
fn zeroed<T: Zeroable>(len: usize) -> Result<Vec<T>, KernelError> {
    bytemuck::allocation::try_zeroed_vec(len)
        .map_err(|()| KernelError::new(ErrorCode::System, format!("no memory for {len} elements")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;

    #[test]
    fn wrong_values_are_errors_and_not_panics() {
        let values = || {
            vec![
                Value::Undefined,
                Value::Null,
                Value::Bool(true),
                Value::Number(f64::NAN),
                Value::BigInt(1),
                Value::String("x".to_owned()),
                Value::List(vec![Value::Number(1.0)]),
                Value::object([]),
                Value::object([("a", Value::Number(1.0)), ("re", Value::Null), ("matrix", Value::Undefined)]),
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
    fn whole_numbers_are_checked() {
        let check = |number: f64| whole(Some(&Value::Number(number)), "n", 1, 5);
        assert_eq!(check(5.0), Ok(Some(5)));
        for wrong in [0.0, 6.0, 1.5, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(check(wrong).unwrap_err().code, ErrorCode::OutOfRange);
        }
        assert_eq!(whole(None, "n", 1, 5), Ok(None));
        assert_eq!(whole(Some(&Value::Null), "n", 1, 5).unwrap_err().code, ErrorCode::InvalidArgType);
    }

    #[test]
    fn impossible_memory_is_an_error() {
        assert_eq!(zeroed::<u64>(usize::MAX / 16).unwrap_err().code, ErrorCode::System);
    }
}
