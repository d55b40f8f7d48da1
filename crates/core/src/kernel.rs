//! Stage: run. Thread: native workers.
//! What a kernel is, what it is told, and what it may ask of the pool while it runs.
//!
//! K1. A kernel sees its task only through [`Input`] and [`KernelContext`]; it owns no thread and no global state.
//! K2. Long work asks [`KernelContext::check`] at least every few milliseconds and returns its error as it is.
//! K3. [`KernelContext::parallel_for`] returns only when no chunk is running any more.

use crate::error::KernelError;
use crate::value::{Array, ElementKind, Value};
use serde::Serialize;

/// A named native function that the native lane runs.
pub trait Kernel: Send + Sync + 'static {
    /// Name, shapes and documentation; the binding checks inputs against it before a task is admitted.
    fn info(&self) -> &'static KernelInfo;

    /// Computes the output.
    ///
    /// # Errors
    ///
    /// Whatever makes the task reject; [`KernelError::cancelled`] when the context says so.
    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError>;
}

/// What a task brought: its value, and the kernel options (an object, or `Undefined`).
#[derive(Debug)]
pub struct Input {
    /// The first argument of the call.
    pub value: Value,
    /// The members of the options that the kernel declares.
    pub options: Value,
}

impl Input {
    /// Bytes of a string (UTF-8) or of a typed array, for kernels that take both.
    ///
    /// # Errors
    ///
    /// [`KernelError::arg_type`] for any other value.
    pub fn into_bytes(value: Value) -> Result<Array, KernelError> {
        match value {
            Value::Array(array) => Ok(array),
            Value::String(text) => Ok(Array::from_vec(text.into_bytes())),
            _ => Err(KernelError::arg_type("the input must be a string or bytes")),
        }
    }

    /// The string option `name`, or `default`.
    pub fn option_str<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.options.get(name).and_then(Value::as_str).unwrap_or(default)
    }

    /// The numeric option `name`.
    pub fn option_number(&self, name: &str) -> Option<f64> {
        self.options.get(name).and_then(Value::as_number)
    }

    /// The whole number in option `name`, or `default` when it is missing.
    ///
    /// # Errors
    ///
    /// [`KernelError::arg_type`] when it is no number, [`KernelError::out_of_range`] when it is not a whole number
    /// from `min` to `max`.
    pub fn integer_option(&self, name: &str, min: i64, max: i64, default: i64) -> Result<i64, KernelError> {
        match self.options.get(name) {
            None => Ok(default),
            Some(Value::Number(number)) => {
                if number.fract() == 0.0 && *number >= min as f64 && *number <= max as f64 {
                    Ok(*number as i64)
                } else {
                    Err(KernelError::out_of_range(format!(
                        "the option '{name}' must be a whole number from {min} to {max}, not {number}"
                    )))
                }
            }
            Some(_) => Err(KernelError::arg_type(format!("the option '{name}' must be a number"))),
        }
    }

    /// The string in option `name`, which must be one of `choices`, or `default` when it is missing.
    ///
    /// # Errors
    ///
    /// [`KernelError::arg_type`] when it is no string, [`KernelError::arg_value`] when it is none of the choices.
    pub fn choice_option(
        &self,
        name: &str,
        choices: &[&'static str],
        default: &'static str,
    ) -> Result<&'static str, KernelError> {
        match self.options.get(name) {
            None => Ok(default),
            Some(Value::String(text)) => {
                choices.iter().copied().find(|choice| choice == text).ok_or_else(|| {
                    KernelError::arg_value(format!(
                        "the option '{name}' must be one of '{}', not '{text}'",
                        choices.join("', '")
                    ))
                })
            }
            Some(_) => Err(KernelError::arg_type(format!("the option '{name}' must be a string"))),
        }
    }

    /// The boolean option `name`, or `default`.
    pub fn option_bool(&self, name: &str, default: bool) -> bool {
        self.options.get(name).and_then(Value::as_bool).unwrap_or(default)
    }
}

/// What the pool does for a running kernel. The native lane implements it; tests may bring their own.
pub trait Host: Sync {
    /// Whether the task was cancelled or its deadline has passed.
    fn is_cancelled(&self) -> bool;
    /// Reports progress; the host thins it out.
    fn progress(&self, done: f64, total: f64);
    /// Sends a message to the pool's handlers for `message_type`.
    fn post(&self, message_type: &str, contents: Value);
    /// Threads that `parallel_for` may use at most, the caller included.
    fn parallelism(&self) -> usize;
    /// Runs `body(0)` to `body(chunks - 1)`, each once, in any order, on the caller and on idle workers. Once
    /// [`Host::is_cancelled`] is true, chunks that have not begun may be left out. Returns when none is running.
    fn parallel(&self, chunks: usize, body: &(dyn Fn(usize) + Sync));
}

/// Handed to [`Kernel::run`].
#[derive(Clone, Copy)]
pub struct KernelContext<'a> {
    host: &'a dyn Host,
}

impl std::fmt::Debug for KernelContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelContext").field("cancelled", &self.is_cancelled()).finish()
    }
}

impl<'a> KernelContext<'a> {
    /// A context over a host.
    pub fn new(host: &'a dyn Host) -> Self {
        Self { host }
    }

    /// Whether the task was given up. One atomic load.
    pub fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    /// For use with `?` inside loops.
    ///
    /// # Errors
    ///
    /// [`KernelError::cancelled`] when the task was given up.
    pub fn check(&self) -> Result<(), KernelError> {
        if self.is_cancelled() { Err(KernelError::cancelled()) } else { Ok(()) }
    }

    /// Reports that `done` of `total` units are done. Call it as often as is convenient: it is thinned out to about
    /// twenty reports a second, and none is sent in the first 50 ms.
    pub fn progress(&self, done: usize, total: usize) {
        self.host.progress(done as f64, total as f64);
    }

    /// Sends `contents` to the pool's message handlers for `message_type`.
    pub fn post(&self, message_type: &str, contents: Value) {
        self.host.post(message_type, contents);
    }

    /// Threads that [`KernelContext::parallel_for`] may use at most, the caller included; at least 1.
    pub fn parallelism(&self) -> usize {
        self.host.parallelism().max(1)
    }

    /// Runs `body(0)` to `body(chunks - 1)`, each exactly once, on this thread and on idle native workers of the
    /// pool. Never deadlocks, nested or not: the caller can do all the work by itself.
    ///
    /// # Errors
    ///
    /// [`KernelError::cancelled`] when the task was given up; chunks may then be missing.
    ///
    /// # Panics
    ///
    /// With the payload of the first chunk that panicked, after every running chunk has ended.
    pub fn parallel_for(&self, chunks: usize, body: impl Fn(usize) + Sync) -> Result<(), KernelError> {
        match chunks {
            0 => {}
            1 => body(0),
            _ => self.host.parallel(chunks, &body),
        }
        self.check()
    }
}

/// A host for tests and direct calls: one thread, never cancelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detached;

impl Host for Detached {
    fn is_cancelled(&self) -> bool {
        false
    }
    fn progress(&self, _done: f64, _total: f64) {}
    fn post(&self, _message_type: &str, _contents: Value) {}
    fn parallelism(&self) -> usize {
        1
    }
    fn parallel(&self, chunks: usize, body: &(dyn Fn(usize) + Sync)) {
        (0..chunks).for_each(body);
    }
}

/// What the world may know of a kernel.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelInfo {
    /// The name by which tasks ask for it.
    pub name: &'static str,
    /// The cargo feature it belongs to: `hash`, `compress`, `password`, `numeric`, `text` or `demo`.
    pub group: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Shape of the input.
    pub input: Schema,
    /// Kernel options; the input's own members are not among them.
    pub options: &'static [Field],
    /// The output as a TypeScript type.
    pub output: &'static str,
    /// Whether a transferred input is worked on in place and comes back as the output.
    pub in_place: bool,
    /// Whether it spreads over idle workers.
    pub parallel: bool,
}

/// A named member of an object or of the options.
#[derive(Debug, Serialize)]
pub struct Field {
    /// Name of the member.
    pub name: &'static str,
    /// Its shape.
    pub schema: Schema,
    /// Whether it must be there.
    pub required: bool,
}

/// The shape of a value, checked on the caller's thread before a task is admitted.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Schema {
    /// A number from `min` to `max`, both included; never NaN unless `nan`.
    Number {
        /// Least value; JSON has no infinities, so `None` means no bound.
        min: Option<f64>,
        /// Greatest value.
        max: Option<f64>,
        /// Whether it must be whole.
        integer: bool,
    },
    /// A string.
    String {
        /// Least length in UTF-16 units.
        #[serde(rename = "minLength")]
        min_length: usize,
    },
    /// A boolean.
    Boolean,
    /// Any `ArrayBuffer`, `SharedArrayBuffer`, typed array or `DataView`, taken as bytes.
    Bytes,
    /// A string (taken as UTF-8) or bytes.
    Text,
    /// A typed array of one of these kinds.
    TypedArray {
        /// The kinds.
        kinds: &'static [ElementKindName],
    },
    /// One of these strings.
    OneOf {
        /// The strings.
        values: &'static [&'static str],
    },
    /// An array of these.
    List {
        /// Shape of every item.
        items: &'static Schema,
    },
    /// A plain object with these members.
    Object {
        /// The members.
        fields: &'static [Field],
    },
}

/// An element kind that serialises as the name of its JavaScript class.
#[derive(Clone, Copy, Debug)]
pub struct ElementKindName(pub ElementKind);

impl Serialize for ElementKindName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.class_name())
    }
}

impl Schema {
    /// Any number.
    pub const NUMBER: Self = Self::Number { min: None, max: None, integer: false };
    /// A string of any length.
    pub const STRING: Self = Self::String { min_length: 0 };

    /// A whole number from `min` to `max`.
    pub const fn integer(min: f64, max: f64) -> Self {
        Self::Number { min: Some(min), max: Some(max), integer: true }
    }

    /// A number from `min` to `max`.
    pub const fn number(min: f64, max: f64) -> Self {
        Self::Number { min: Some(min), max: Some(max), integer: false }
    }
}

impl Field {
    /// A member that must be there.
    pub const fn required(name: &'static str, schema: Schema) -> Self {
        Self { name, schema, required: true }
    }

    /// A member that may be missing or `undefined`.
    pub const fn optional(name: &'static str, schema: Schema) -> Self {
        Self { name, schema, required: false }
    }
}
