//! Stage: run. Thread: native workers.
//! The `password` group of kernels.

mod argon2;
mod bcrypt;

use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Field, Input, Kernel, Schema};
use crate::value::{Array, Value};

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![
        Box::new(argon2::Argon2Hash),
        Box::new(argon2::Argon2Verify),
        Box::new(bcrypt::BcryptHash),
        Box::new(bcrypt::BcryptVerify),
    ]
}

/// What both kinds of verification take.
const VERIFY_INPUT: Schema = Schema::Object {
    fields: &[Field::required("password", Schema::Text), Field::required("hash", Schema::STRING)],
};

/// A password in memory that only this task can reach.
fn password(value: Value) -> Result<Array, KernelError> {
    Input::into_bytes(value)
        .map(Array::into_local)
        .map_err(|_| KernelError::arg_type("the password must be a string or bytes"))
}

/// The two members of a verification: the password and the hash.
fn verify_input(mut value: Value) -> Result<(Array, String), KernelError> {
    if !matches!(value, Value::Object(_)) {
        return Err(KernelError::arg_type("the input must be an object with 'password' and 'hash'"));
    }
    let password = password(value.take("password"))?;
    match value.take("hash") {
        Value::String(hash) => Ok((password, hash)),
        _ => Err(KernelError::arg_type("'hash' must be a string")),
    }
}

/// Fills `into` with random bytes of the operating system.
fn fill_random(into: &mut [u8]) -> Result<(), KernelError> {
    getrandom::fill(into)
        .map_err(|error| KernelError::new(ErrorCode::System, format!("no random bytes for a salt: {error}")))
}

/// The error for a hash string that is not what the algorithm writes. The string itself stays out of messages.
fn invalid_hash(reason: impl std::fmt::Display) -> KernelError {
    KernelError::new(ErrorCode::InvalidHash, format!("the hash does not parse: {reason}"))
}
