//! Stage: run. Thread: native workers.
//! `argon2Hash` and `argon2Verify`: RFC 9106, as PHC strings.
//!
//! # Complexity
//!
//! Time in proportion to `memoryCost` times `timeCost`; memory is `memoryCost` KiB. The lanes of `parallelism` are
//! computed one after the other on the one worker.
//!
//! # Source
//!
//! The argon2 crate of `RustCrypto`. It has no step between "nothing" and "done", so that a cancel is only noticed
//! before the work and after it.

use super::{VERIFY_INPUT, fill_random, invalid_hash, password, verify_input};
use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use ::argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use ::argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};

/// Greatest memory in KiB: 4 GiB.
const MAX_MEMORY: i64 = 4 * 1024 * 1024;
/// Greatest number of passes.
const MAX_TIME: i64 = 65_535;
/// Greatest number of lanes.
const MAX_PARALLELISM: i64 = 255;

/// `argon2Hash(password, { memoryCost, timeCost, parallelism, hashLength, salt })`.
#[derive(Debug)]
pub(super) struct Argon2Hash;

impl Kernel for Argon2Hash {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "argon2Hash",
            group: "password",
            summary: "Argon2id hash of a password as a PHC string",
            input: Schema::Text,
            options: &[
                Field::optional("memoryCost", Schema::integer(8.0, MAX_MEMORY as f64)),
                Field::optional("timeCost", Schema::integer(1.0, MAX_TIME as f64)),
                Field::optional("parallelism", Schema::integer(1.0, MAX_PARALLELISM as f64)),
                Field::optional(
                    "hashLength",
                    Schema::integer(Output::MIN_LENGTH as f64, Output::MAX_LENGTH as f64),
                ),
                Field::optional("salt", Schema::Bytes),
            ],
            output: "string",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, mut input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let memory = input.integer_option("memoryCost", 8, MAX_MEMORY, 19_456)?;
        let time = input.integer_option("timeCost", 1, MAX_TIME, 2)?;
        let lanes = input.integer_option("parallelism", 1, MAX_PARALLELISM, 1)?;
        let length = input.integer_option(
            "hashLength",
            Output::MIN_LENGTH as i64,
            Output::MAX_LENGTH as i64,
            Params::DEFAULT_OUTPUT_LEN as i64,
        )?;
        if memory < 8 * lanes {
            return Err(KernelError::out_of_range(format!(
                "the option 'memoryCost' must be at least 8 times 'parallelism' ({}), not {memory}",
                8 * lanes
            )));
        }
        let params = Params::new(memory as u32, time as u32, lanes as u32, Some(length as usize))
            .map_err(|error| KernelError::arg_value(format!("argon2: {error}")))?;
        let salt = salt(input.options.take("salt"))?;
        let password = password(input.value)?;
        let output = compute(
            &Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()),
            password.bytes().unwrap_or_default(),
            &salt,
            length as usize,
            ctx,
        )?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)
                .map_err(|error| KernelError::arg_value(format!("argon2: {error}")))?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(Value::String(hash.to_string()))
    }
}

/// The salt of the options, or sixteen random bytes.
fn salt(option: Value) -> Result<Salt, KernelError> {
    let refuse = |length| {
        KernelError::arg_value(format!(
            "the option 'salt' must be {} to {} bytes long, not {length}",
            Salt::MIN_LENGTH,
            Salt::MAX_LENGTH
        ))
    };
    match option {
        Value::Undefined => {
            let mut bytes = [0; Salt::RECOMMENDED_LENGTH];
            fill_random(&mut bytes)?;
            Salt::new(&bytes).map_err(|_| refuse(bytes.len()))
        }
        // The length is looked at before shared memory is copied.
        Value::Array(array) if array.byte_len() > Salt::MAX_LENGTH => Err(refuse(array.byte_len())),
        Value::Array(array) => {
            let array = array.into_local();
            Salt::new(array.bytes().unwrap_or_default()).map_err(|_| refuse(array.byte_len()))
        }
        _ => Err(KernelError::arg_type("the option 'salt' must be bytes")),
    }
}

/// Runs Argon2 to its end.
fn compute(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    length: usize,
    ctx: &KernelContext<'_>,
) -> Result<Output, KernelError> {
    ctx.check()?;
    let mut output = [0; Output::MAX_LENGTH];
    let output = &mut output[..length];
    argon2.hash_password_into(password, salt, output).map_err(|error| match error {
        ::argon2::Error::OutOfMemory => KernelError::new(
            ErrorCode::System,
            format!("no memory for 'memoryCost' {} KiB", argon2.params().m_cost()),
        ),
        other => KernelError::arg_value(format!("argon2: {other}")),
    })?;
    ctx.check()?;
    Output::new(output).map_err(|error| KernelError::arg_value(format!("argon2: {error}")))
}

/// `argon2Verify({ password, hash })`.
#[derive(Debug)]
pub(super) struct Argon2Verify;

impl Kernel for Argon2Verify {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "argon2Verify",
            group: "password",
            summary: "Whether a password belongs to an Argon2 PHC string",
            input: VERIFY_INPUT,
            options: &[],
            output: "boolean",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let (password, hash) = verify_input(input.value)?;
        let (argon2, salt, expected) = parse(&hash)?;
        let bytes = password.bytes().unwrap_or_default();
        let actual = compute(&argon2, bytes, &salt, expected.len(), ctx)?;
        // Compares in constant time.
        Ok(Value::Bool(actual == expected))
    }
}

/// Takes a PHC string of argon2d, argon2i or argon2id apart. Costs beyond those that `argon2Hash` would take are
/// refused, so that a forged string cannot hold a worker or its memory for long.
fn parse(hash: &str) -> Result<(Argon2<'static>, Salt, Output), KernelError> {
    let hash = PasswordHash::new(hash).map_err(invalid_hash)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(invalid_hash)?;
    // A string without a version is of the time when there was only 1.0.
    let version = Version::try_from(hash.version.unwrap_or(0x10)).map_err(invalid_hash)?;
    let params = Params::try_from(&hash).map_err(invalid_hash)?;
    let cost = |value: u32, max| i64::from(value) <= max;
    if !(cost(params.m_cost(), MAX_MEMORY)
        && cost(params.t_cost(), MAX_TIME)
        && cost(params.p_cost(), MAX_PARALLELISM))
    {
        return Err(invalid_hash("its costs are beyond what argon2Hash takes"));
    }
    match (hash.salt, hash.hash) {
        (Some(salt), Some(output)) => Ok((Argon2::new(algorithm, version, params), salt, output)),
        _ => Err(invalid_hash("it has no salt or no output")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{SharedMemory, TestHost};
    use crate::value::Array;

    fn text(value: &str) -> Value {
        Value::String(value.to_owned())
    }

    fn hash(
        password: Value,
        options: &[(&'static str, f64)],
        salt: Option<&[u8]>,
    ) -> Result<String, KernelError> {
        let mut entries: Vec<_> =
            options.iter().map(|(name, value)| (*name, Value::Number(*value))).collect();
        if let Some(salt) = salt {
            entries.push(("salt", Value::from_vec(salt.to_vec())));
        }
        let value = TestHost::new().run(&Argon2Hash, password, Value::object(entries))?;
        Ok(value.as_str().unwrap().to_owned())
    }

    fn verify(password: &str, hash: &str) -> Result<bool, KernelError> {
        let input = Value::object([("password", text(password)), ("hash", text(hash))]);
        TestHost::new().run(&Argon2Verify, input, Value::Undefined).map(|value| value.as_bool().unwrap())
    }

    /// Published in the tests of the reference implementation (phc-winner-argon2, test.c).
    const PUBLISHED: [(&str, &str); 4] = [
        (
            "password",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
        ("password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
        ("password", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"),
        ("password", "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY"),
    ];

    #[test]
    fn published_hashes_verify() {
        for (password, published) in PUBLISHED {
            assert!(verify(password, published).unwrap(), "{published}");
            assert!(!verify("Password", published).unwrap(), "{published}");
        }
    }

    #[test]
    fn published_hashes_are_made_again() {
        let options = [("memoryCost", 65_536.0), ("timeCost", 2.0), ("parallelism", 1.0)];
        assert_eq!(hash(text("password"), &options, Some(b"somesalt")).unwrap(), PUBLISHED[0].1);
        let options = [("memoryCost", 256.0), ("parallelism", 2.0)];
        assert_eq!(hash(text("password"), &options, Some(b"somesalt")).unwrap(), PUBLISHED[1].1);
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let (one, two) = (hash(text(""), &[], None).unwrap(), hash(text(""), &[], None).unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two, "salts are random");
        assert!(verify("", &one).unwrap());
        assert!(!verify("x", &one).unwrap());
    }

    #[test]
    fn all_output_lengths_verify() {
        for length in [10.0, 32.0, 64.0] {
            let made = hash(text("x"), &[("memoryCost", 8.0), ("hashLength", length)], None).unwrap();
            assert!(verify("x", &made).unwrap());
        }
    }

    #[test]
    fn shared_memory_is_taken() {
        let options = [("memoryCost", 64.0)];
        let memory = SharedMemory::copy_of(&Array::from_vec(b"password".to_vec()));
        let made = hash(memory.view(), &options, Some(b"somesalt")).unwrap();
        assert_eq!(made, hash(text("password"), &options, Some(b"somesalt")).unwrap());
        let salt = SharedMemory::copy_of(&Array::from_vec(b"somesalt".to_vec()));
        let options = Value::object([("memoryCost", Value::Number(64.0)), ("salt", salt.view())]);
        let shared = TestHost::new().run(&Argon2Hash, text("password"), options).unwrap();
        assert_eq!(shared.as_str(), Some(made.as_str()));
    }

    #[test]
    fn wrong_values_are_argument_errors() {
        let code = |options: &[(&'static str, f64)], salt: Option<&[u8]>| {
            hash(text(""), options, salt).unwrap_err().code
        };
        assert_eq!(code(&[("memoryCost", 7.0)], None), ErrorCode::OutOfRange);
        assert_eq!(code(&[("memoryCost", 15.0), ("parallelism", 2.0)], None), ErrorCode::OutOfRange);
        assert_eq!(code(&[("memoryCost", 4_194_305.0)], None), ErrorCode::OutOfRange);
        assert_eq!(code(&[("timeCost", 0.0)], None), ErrorCode::OutOfRange);
        assert_eq!(code(&[("hashLength", 9.0)], None), ErrorCode::OutOfRange);
        assert_eq!(code(&[], Some(&[0; 7])), ErrorCode::InvalidArgValue);
        assert_eq!(code(&[], Some(&[0; 49])), ErrorCode::InvalidArgValue);
        assert_eq!(hash(Value::Null, &[], None).unwrap_err().code, ErrorCode::InvalidArgType);
        for value in [Value::Undefined, text("x"), Value::object([("password", text("x"))])] {
            let error = TestHost::new().run(&Argon2Verify, value, Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgType);
        }
    }

    #[test]
    fn strings_that_are_no_hash_are_invalid() {
        let strings = [
            "",
            "x",
            "$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=20$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=256,t=70000,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=1,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        ];
        for string in strings {
            assert_eq!(verify("x", string).unwrap_err().code, ErrorCode::InvalidHash, "{string}");
        }
    }

    #[test]
    fn k2_a_cancelled_task_does_not_begin() {
        let options = || Value::object([("memoryCost", Value::Number(64.0))]);
        crate::kernels::testing::assert_cancels(&Argon2Hash, 2, || (text("x"), options()));
    }
}
