//! Stage: run. Thread: native workers.
//! The growing output of a compressor or decompressor.
//!
//! O1. It never holds more than `limit + 1` bytes, and never more memory than about twice what was written.

use crate::error::{ErrorCode, KernelError};
use crate::kernel::KernelContext;
use crate::value::Value;

/// Bytes of input handed to an encoder or decoder between two cancel checks at most.
pub(super) const CHUNK: usize = 64 * 1024;

/// Bytes of output between two cancel checks at most.
const STEP: usize = 128 * 1024;

/// Bytes written so far.
pub(super) struct Output<'a> {
    bytes: Vec<u8>,
    limit: usize,
    ctx: &'a KernelContext<'a>,
}

/// What one call of an encoder or decoder did.
pub(super) struct Written {
    /// Bytes of output.
    pub(super) length: usize,
    /// Whether it would have written more, had there been room.
    pub(super) full: bool,
}

impl<'a> Output<'a> {
    /// An empty output for at most `limit` bytes.
    pub(super) fn new(limit: usize, ctx: &'a KernelContext<'a>) -> Self {
        Self { bytes: Vec::new(), limit, ctx }
    }

    /// Makes room for `length` more bytes.
    fn reserve(&mut self, length: usize) -> Result<(), KernelError> {
        if self.bytes.capacity() - self.bytes.len() >= length {
            return Ok(());
        }
        // Twice the memory at each growth, but not past the limit.
        let rest = self.limit.saturating_add(1) - self.bytes.len();
        let growth = length.max(self.bytes.len().min(rest));
        self.bytes.try_reserve_exact(growth).map_err(|_| {
            KernelError::new(
                ErrorCode::System,
                format!("no memory for an output of more than {} bytes", self.bytes.len()),
            )
        })
    }

    /// Asks whether to go on, then lends zeroed room for the next bytes to `write`, which says how many of them it
    /// has used.
    pub(super) fn fill(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Result<usize, KernelError>,
    ) -> Result<Written, KernelError> {
        self.ctx.check()?;
        let start = self.bytes.len();
        let room = STEP.min(self.limit.saturating_add(1) - start);
        self.reserve(room)?;
        self.bytes.resize(start + room, 0);
        let length = write(&mut self.bytes[start..])?.min(room);
        self.bytes.truncate(start + length);
        self.check_limit()?;
        Ok(Written { length, full: length == room })
    }

    /// Asks whether to go on, then appends `bytes`.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), KernelError> {
        self.ctx.check()?;
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(self.too_large());
        }
        self.reserve(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn check_limit(&self) -> Result<(), KernelError> {
        if self.bytes.len() > self.limit { Err(self.too_large()) } else { Ok(()) }
    }

    /// The error for an output beyond the limit.
    pub(super) fn too_large(&self) -> KernelError {
        KernelError::new(
            ErrorCode::OutputTooLarge,
            format!("the output is longer than {} bytes ('maxOutputLength')", self.limit),
        )
    }

    /// Bytes of room before the limit.
    pub(super) fn room(&self) -> usize {
        self.limit - self.bytes.len()
    }

    /// The bytes as a value; memory that growth has set aside and nobody used is given back.
    pub(super) fn into_value(mut self) -> Value {
        self.bytes.shrink_to_fit();
        Value::from_vec(self.bytes)
    }
}

/// The error for input that is not what it should be.
pub(super) fn corrupt(format: &str, reason: impl std::fmt::Display) -> KernelError {
    KernelError::new(ErrorCode::CorruptData, format!("not valid {format} data: {reason}"))
}

/// The error for input that ends too soon.
pub(super) fn truncated(format: &str) -> KernelError {
    corrupt(format, "unexpected end of input")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Detached;

    #[test]
    fn o1_memory_stays_below_the_limit() {
        let ctx = KernelContext::new(&Detached);
        let mut output = Output::new(1_000_000, &ctx);
        let error = loop {
            match output.fill(|room| Ok(room.len())) {
                Ok(_) => assert!(output.bytes.capacity() <= 1_000_001),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code, ErrorCode::OutputTooLarge);
        assert_eq!(output.bytes.len(), 1_000_001);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let ctx = KernelContext::new(&Detached);
        let mut output = Output::new(10, &ctx);
        output.extend(&[1; 6]).unwrap();
        let written = output.fill(|room| Ok(room.len().min(4))).unwrap();
        assert!(!written.full);
        assert_eq!(output.room(), 0);
        assert_eq!(output.extend(&[1]).unwrap_err().code, ErrorCode::OutputTooLarge);
        assert_eq!(output.into_value().heap_size(), 10);
    }

    #[test]
    fn an_impossible_size_is_an_error_and_no_abort() {
        let ctx = KernelContext::new(&Detached);
        let mut output = Output::new(usize::MAX, &ctx);
        assert_eq!(output.reserve(usize::MAX).unwrap_err().code, ErrorCode::System);
    }
}
