//! Stage: run. Thread: native workers.
//! `bcryptHash` and `bcryptVerify`.
//!
//! # Complexity
//!
//! Time doubles with each step of the cost (2 to the power of `cost` rounds); 4 KiB of memory.
//!
//! # Source
//!
//! Provos and Mazières, "A Future-Adaptable Password Scheme" (1999), over the key schedule steps of the blowfish
//! crate of `RustCrypto`. The rounds are driven from here rather than by a ready-made function, so that a task can be
//! cancelled and can report progress between them: at cost 31 they take more than a day.

use super::{VERIFY_INPUT, fill_random, invalid_hash, password, verify_input};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Value};
use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use blowfish::Blowfish;

/// Least and greatest cost.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// The longest password in bytes: what the algorithm can take in.
const MAX_PASSWORD: usize = 72;
/// Rounds between two cancel checks: about a millisecond.
const ROUNDS_PER_CHECK: u64 = 16;
/// Bytes of a salt.
const SALT: usize = 16;
/// Bytes of the output that the text form keeps: all but one.
const DIGEST: usize = 23;

/// The alphabet of bcrypt, without padding. Other writers leave bits set that belong to no byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// `bcryptHash(password, { cost })`.
#[derive(Debug)]
pub(super) struct BcryptHash;

impl Kernel for BcryptHash {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "bcryptHash",
            group: "password",
            summary: "bcrypt hash of a password of at most 72 bytes",
            input: Schema::Text,
            options: &[Field::optional("cost", Schema::integer(4.0, 31.0))],
            output: "string",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let cost =
            input.integer_option("cost", i64::from(*COSTS.start()), i64::from(*COSTS.end()), 12)? as u32;
        let password = short_password(input.value)?;
        let mut salt = [0; SALT];
        fill_random(&mut salt)?;
        let digest = bcrypt(cost, &salt, password.bytes().unwrap_or_default(), ctx)?;
        Ok(Value::String(format!("$2b${cost:02}${}{}", BASE64.encode(salt), BASE64.encode(digest))))
    }
}

/// `bcryptVerify({ password, hash })`.
#[derive(Debug)]
pub(super) struct BcryptVerify;

impl Kernel for BcryptVerify {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "bcryptVerify",
            group: "password",
            summary: "Whether a password of at most 72 bytes belongs to a bcrypt hash",
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
        let parts = Parts::parse(&hash)?;
        let password = short_password(Value::Array(password))?;
        let digest = bcrypt(parts.cost, &parts.salt, password.bytes().unwrap_or_default(), ctx)?;
        // In constant time: all bytes are looked at, whatever the first ones are.
        let difference = digest.iter().zip(parts.digest).fold(0, |bits, (left, right)| bits | (left ^ right));
        Ok(Value::Bool(std::hint::black_box(difference) == 0))
    }
}

/// A password that is hashed in full. Longer ones are refused: cutting them off would let two passwords pass for one.
fn short_password(value: Value) -> Result<Array, KernelError> {
    if let Value::Array(array) = &value
        && array.byte_len() > MAX_PASSWORD
    {
        return Err(too_long(array.byte_len()));
    }
    let password = password(value)?;
    if password.byte_len() > MAX_PASSWORD { Err(too_long(password.byte_len())) } else { Ok(password) }
}

fn too_long(length: usize) -> KernelError {
    KernelError::arg_value(format!("bcrypt takes passwords of at most {MAX_PASSWORD} bytes, not {length}"))
}

/// A hash string taken apart.
struct Parts {
    cost: u32,
    salt: [u8; SALT],
    digest: [u8; DIGEST],
}

impl Parts {
    /// Reads `$2b$12$` and 53 digits. `2a`, `2b` and `2y` name the same algorithm for passwords within the limit; `2x`
    /// marks hashes of a faulty implementation, which cannot be verified.
    fn parse(hash: &str) -> Result<Self, KernelError> {
        let mut fields = hash.split('$');
        let (Some(""), Some("2a" | "2b" | "2y"), Some(cost), Some(digits), None) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(invalid_hash("it is not of the form $2b$cost$digits"));
        };
        let cost = Some(cost)
            .filter(|cost| cost.len() == 2 && cost.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|cost| cost.parse().ok())
            .filter(|cost| COSTS.contains(cost))
            .ok_or_else(|| invalid_hash("its cost is not 04 to 31"))?;
        let digits = digits.as_bytes();
        if digits.len() != 53 {
            return Err(invalid_hash("it has not 53 digits of salt and output"));
        }
        let (salt, digest) = digits.split_at(22);
        Ok(Self { cost, salt: decode(salt)?, digest: decode(digest)? })
    }
}

/// Bytes from base64 digits, exactly `N`.
fn decode<const N: usize>(digits: &[u8]) -> Result<[u8; N], KernelError> {
    let bytes = BASE64.decode(digits).map_err(invalid_hash)?;
    bytes.try_into().map_err(|_| invalid_hash("it has the wrong length"))
}

/// The algorithm: an expensive key schedule, then the encryption of a fixed text.
fn bcrypt(
    cost: u32,
    salt: &[u8; SALT],
    password: &[u8],
    ctx: &KernelContext<'_>,
) -> Result<[u8; DIGEST], KernelError> {
    // The key is the password with its closing zero byte, as far as it fits.
    let mut key = [0; MAX_PASSWORD];
    key[..password.len()].copy_from_slice(password);
    let key = &key[..(password.len() + 1).min(MAX_PASSWORD)];

    let rounds = 1u64 << cost;
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(salt, key);
    for round in 0..rounds {
        if round % ROUNDS_PER_CHECK == 0 {
            ctx.check()?;
            ctx.progress(round as usize, rounds as usize);
        }
        state.bc_expand_key(key);
        state.bc_expand_key(salt);
    }
    ctx.progress(rounds as usize, rounds as usize);

    let mut output = [0; 24];
    for (block, output) in b"OrpheanBeholderScryDoubt".chunks_exact(8).zip(output.chunks_exact_mut(8)) {
        let half = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let mut text = [half(&block[..4]), half(&block[4..])];
        for _ in 0..64 {
            text = state.bc_encrypt(text);
        }
        output[..4].copy_from_slice(&text[0].to_be_bytes());
        output[4..].copy_from_slice(&text[1].to_be_bytes());
    }
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&output[..DIGEST]);
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};

    fn text(value: &str) -> Value {
        Value::String(value.to_owned())
    }

    fn hash(password: Value, cost: f64) -> Result<String, KernelError> {
        let options = Value::object([("cost", Value::Number(cost))]);
        TestHost::new().run(&BcryptHash, password, options).map(|value| value.as_str().unwrap().to_owned())
    }

    fn verify(password: &[u8], hash: &str) -> Result<bool, KernelError> {
        let input = Value::object([("password", Value::from_vec(password.to_vec())), ("hash", text(hash))]);
        TestHost::new().run(&BcryptVerify, input, Value::Undefined).map(|value| value.as_bool().unwrap())
    }

    #[test]
    fn published_hashes_verify() {
        // From the tests of jBCrypt (Damien Miller) and of crypt_blowfish (Solar Designer).
        let published: [(&[u8], &str); 8] = [
            (b"", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            (b"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            (b"abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
            (b"abcdefghijklmnopqrstuvwxyz", "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC"),
            (
                b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD",
                "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO",
            ),
            (b"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            (
                b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
            ),
            (b"\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
        ];
        for (password, hash) in published {
            assert!(verify(password, hash).unwrap(), "{hash}");
            assert!(!verify(b"other", hash).unwrap(), "{hash}");
        }
    }

    #[test]
    fn what_was_hashed_verifies() {
        let longest = "x".repeat(72);
        for password in ["", "pass", "Grüße", "with\0null", longest.as_str()] {
            let made = hash(text(password), 4.0).unwrap();
            assert!(made.starts_with("$2b$04$") && made.len() == 60, "{made}");
            assert!(verify(password.as_bytes(), &made).unwrap());
            assert!(!verify(b"with", &made).unwrap());
            assert_ne!(made, hash(text(password), 4.0).unwrap(), "salts are random");
        }
    }

    #[test]
    fn long_passwords_are_refused_rather_than_cut() {
        let made = hash(text(&"x".repeat(72)), 4.0).unwrap();
        assert_eq!(verify(&[b'x'; 73], &made).unwrap_err().code, ErrorCode::InvalidArgValue);
        assert_eq!(hash(text(&"ü".repeat(37)), 4.0).unwrap_err().code, ErrorCode::InvalidArgValue);
    }

    #[test]
    fn shared_memory_is_taken() {
        let memory = SharedMemory::copy_of(&Array::from_vec(b"password".to_vec()));
        let made = hash(memory.view(), 4.0).unwrap();
        assert!(verify(b"password", &made).unwrap());
    }

    #[test]
    fn wrong_values_are_argument_errors() {
        for cost in [3.0, 32.0, 4.5, f64::NAN] {
            assert_eq!(hash(text(""), cost).unwrap_err().code, ErrorCode::OutOfRange);
        }
        assert_eq!(hash(Value::Bool(true), 4.0).unwrap_err().code, ErrorCode::InvalidArgType);
        for value in [Value::Undefined, Value::object([("hash", text("x"))])] {
            let error = TestHost::new().run(&BcryptVerify, value, Value::Undefined).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgType);
        }
    }

    #[test]
    fn strings_that_are_no_hash_are_invalid() {
        let digits = "DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
        for (start, digits) in [
            ("", ""),
            ("$2b$06$", &digits[1..]),
            ("$2x$06$", digits),
            ("$2b$6$", digits),
            ("$2b$+6$", digits),
            ("$2b$03$", digits),
            ("$2b$32$", digits),
            ("x$2b$06$", digits),
            ("$2b$06$", "DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s=$"),
            ("$2b$06$", "DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deXü."),
        ] {
            let error = verify(b"", &format!("{start}{digits}")).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidHash, "{start}{digits}");
        }
    }

    #[test]
    fn k2_the_rounds_cancel_and_report_progress() {
        assert_cancels(&BcryptHash, 4, || (text("x"), Value::object([("cost", Value::Number(6.0))])));
        let host = TestHost::new();
        let options = Value::object([("cost", Value::Number(6.0))]);
        host.run(&BcryptHash, text("x"), options).unwrap();
        assert_eq!(host.progress_reports(), [0.0, 16.0, 32.0, 48.0, 64.0].map(|done| (done, 64.0)));
    }
}
