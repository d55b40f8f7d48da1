//! Stage: submit, run and settle. Thread: any; a value has one owner at a time.
//! What the core passes on without knowing what it is.

use std::any::Any;
use std::fmt::Debug;

/// Something of the binding's that goes with a task or its outcome. It is dropped with them, on any thread.
pub trait Foreign: Any + Debug + Send + Sync {
    /// Bytes of memory that it keeps alive.
    fn byte_len(&self) -> usize;

    /// Whether whoever runs the task leaves it as it is, so that the task can run again.
    fn lasts(&self) -> bool {
        false
    }
}
