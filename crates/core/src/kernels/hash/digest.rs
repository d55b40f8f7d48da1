//! Stage: run. Thread: native workers.
//! The hash states behind the kernels of this group, all with the same three steps: start, feed, end.

use crate::error::KernelError;
use crate::kernel::{Field, Input, KernelContext, Schema};
use crate::value::{Array, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use std::hash::Hasher;

/// Bytes fed between two cancel checks: about a millisecond of the slowest hash here.
pub(super) const CHUNK: usize = 256 * 1024;

/// The encodings of a digest; the first one is the default.
pub(super) const ENCODINGS: &[&str] = &["hex", "buffer", "base64"];

/// The `encoding` option in a kernel's description.
pub(super) const ENCODING_FIELD: Field = Field::optional("encoding", Schema::OneOf { values: ENCODINGS });

/// How a digest is given to JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// A `Uint8Array`.
    Buffer,
    /// Standard base64 with padding.
    Base64,
}

impl Encoding {
    /// What the options ask for.
    pub(super) fn of(input: &Input) -> Result<Self, KernelError> {
        Ok(match input.choice_option("encoding", ENCODINGS, "hex")? {
            "buffer" => Self::Buffer,
            "base64" => Self::Base64,
            _ => Self::Hex,
        })
    }

    /// The digest as a value.
    fn encode(self, digest: &[u8]) -> Value {
        match self {
            Self::Hex => Value::String(hex(digest)),
            Self::Buffer => Value::from_vec(digest.to_vec()),
            Self::Base64 => Value::String(STANDARD.encode(digest)),
        }
    }
}

/// Lower-case hexadecimal digits of `bytes`.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// A running hash.
pub(super) trait State {
    /// Takes the next bytes.
    fn feed(&mut self, bytes: &[u8]);
    /// The result as a value; hashes that give a number have no use for the encoding.
    fn end(self, encoding: Encoding) -> Value;
}

impl State for sha2::Sha256 {
    fn feed(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
    fn end(self, encoding: Encoding) -> Value {
        encoding.encode(&self.finalize())
    }
}

impl State for sha2::Sha512 {
    fn feed(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
    fn end(self, encoding: Encoding) -> Value {
        encoding.encode(&self.finalize())
    }
}

impl State for blake3::Hasher {
    fn feed(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
    fn end(self, encoding: Encoding) -> Value {
        encoding.encode(self.finalize().as_bytes())
    }
}

impl State for twox_hash::XxHash3_64 {
    fn feed(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }
    fn end(self, _encoding: Encoding) -> Value {
        Value::BigInt(i128::from(self.finish()))
    }
}

impl State for crc32fast::Hasher {
    fn feed(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
    fn end(self, _encoding: Encoding) -> Value {
        Value::Number(f64::from(self.finalize()))
    }
}

/// Feeds a whole array, with a cancel check and a progress report per chunk.
pub(super) fn feed_all<S: State>(
    mut state: S,
    array: &Array,
    ctx: &KernelContext<'_>,
) -> Result<S, KernelError> {
    let total = array.byte_len();
    let mut done = 0;
    ctx.check()?;
    array.for_each_chunk(CHUNK, |chunk| {
        state.feed(chunk);
        done += chunk.len();
        if total > CHUNK {
            ctx.progress(done, total);
        }
        ctx.check()
    })?;
    Ok(state)
}
