//! Stage: run. Thread: native workers.
//! The `text` group of kernels: searching and reading text.

use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Kernel, KernelContext};
use crate::value::{Array, Value};
use memchr::memchr;
use parking_lot::Mutex;

mod csv_parse;
mod csv_rows;
mod fuzzy;
mod number;
mod pattern;
mod regex;

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![
        Box::new(regex::RegexFind),
        Box::new(regex::RegexCount),
        Box::new(fuzzy::FuzzyTopK),
        Box::new(csv_parse::CsvParse),
    ]
}

/// Bytes between two cancel checks where bytes are only looked at once: well below a millisecond.
const STRIDE: usize = 1 << 20;

/// Text as it came: its offsets are in the units of the caller.
#[derive(Debug)]
enum Text {
    /// A string; the caller counts UTF-16 code units.
    Utf8(String),
    /// Bytes of any content, in memory that nobody else writes; the caller counts bytes.
    Bytes(Array),
}

impl Text {
    fn of(value: Value, name: &str, ctx: &KernelContext<'_>) -> Result<Self, KernelError> {
        match value {
            Value::String(text) => Ok(Self::Utf8(text)),
            Value::Array(array) if array.is_shared() => {
                // A copy, since others may write while we search.
                let mut copy = Vec::new();
                copy.try_reserve_exact(array.byte_len()).map_err(|_| {
                    KernelError::new(ErrorCode::System, format!("no memory for a copy of {name}"))
                })?;
                array.for_each_chunk(STRIDE, |chunk| {
                    copy.extend_from_slice(chunk);
                    ctx.check()
                })?;
                Ok(Self::Bytes(Array::from_vec(copy)))
            }
            Value::Array(array) => Ok(Self::Bytes(array)),
            _ => Err(KernelError::arg_type(format!("{name} must be a string or bytes"))),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Utf8(text) => text.as_bytes(),
            Self::Bytes(array) => array.bytes().unwrap_or_default(),
        }
    }
}

/// The first `byte` at or after `from`.
fn find_byte(
    byte: u8,
    text: &[u8],
    from: usize,
    ctx: &KernelContext<'_>,
) -> Result<Option<usize>, KernelError> {
    let mut start = from;
    while start < text.len() {
        let end = text.len().min(start + STRIDE);
        if let Some(at) = memchr(byte, &text[start..end]) {
            return Ok(Some(start + at));
        }
        ctx.check()?;
        start = end;
    }
    Ok(None)
}

/// An input that has members.
fn object(value: Value) -> Result<Value, KernelError> {
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(KernelError::arg_type("the input must be an object")),
    }
}

/// The string member `name` of the input.
fn string<'a>(value: &'a Value, name: &str) -> Result<&'a str, KernelError> {
    value
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| KernelError::arg_type(format!("{name} must be a string")))
}

/// Most elements of a JavaScript array.
const MAX_LENGTH: f64 = u32::MAX as f64;

/// The number of results called `name`.
fn count(value: &Value, name: &str) -> Result<usize, KernelError> {
    let number =
        value.as_number().ok_or_else(|| KernelError::arg_type(format!("{name} must be a number")))?;
    if number.fract() == 0.0 && (0.0..=MAX_LENGTH).contains(&number) {
        return Ok(number as usize);
    }
    Err(KernelError::out_of_range(format!(
        "{name} must be a whole number from 0 to {MAX_LENGTH}, not {number}"
    )))
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
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost};

    #[test]
    fn wrong_values_are_errors_and_not_panics() {
        let values = || {
            vec![
                Value::Undefined,
                Value::Null,
                Value::Bool(true),
                Value::Number(f64::NAN),
                Value::BigInt(1),
                Value::List(vec![Value::Number(1.0)]),
                Value::object([]),
                Value::object([("text", Value::String("a".to_owned())), ("pattern", Value::Null)]),
                Value::object([("pattern", Value::String("a".to_owned())), ("text", Value::Number(1.0))]),
                Value::object([("query", Value::String("a".to_owned())), ("candidates", Value::Null)]),
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
    fn shared_text_is_copied() {
        let memory = SharedMemory::copy_of(&Array::from_vec(vec![7u8; 200_000]));
        let host = TestHost::new();
        let ctx = KernelContext::new(&host);
        let text = Text::of(memory.view(), "text", &ctx).unwrap();
        assert_eq!(text.as_bytes(), vec![7u8; 200_000]);
        assert!(host.checks() >= 3);
        let host = TestHost::new().cancel_after(1);
        let ctx = KernelContext::new(&host);
        assert_eq!(Text::of(memory.view(), "text", &ctx).unwrap_err().code, ErrorCode::Cancelled);
    }

    #[test]
    fn counts_are_checked() {
        assert_eq!(count(&Value::Number(MAX_LENGTH), "k"), Ok(u32::MAX as usize));
        for wrong in [-1.0, 0.5, f64::NAN, f64::INFINITY, MAX_LENGTH + 1.0] {
            assert_eq!(count(&Value::Number(wrong), "k").unwrap_err().code, ErrorCode::OutOfRange);
        }
        assert_eq!(count(&Value::Null, "k").unwrap_err().code, ErrorCode::InvalidArgType);
    }
}
