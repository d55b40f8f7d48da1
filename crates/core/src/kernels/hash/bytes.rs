//! Stage: run. Thread: native workers.
//! `sha256`, `sha512`, `blake3`, `xxh3` and `crc32`: hashes of strings and of bytes in memory.
//!
//! # Complexity
//!
//! Linear in the bytes, with constant memory.
//!
//! # Source
//!
//! FIPS 180-4 (SHA-2), the BLAKE3 paper of 2020, the XXH3 description of xxHash, and CRC-32 of ISO-HDLC as in gzip.

use super::digest::{ENCODING_FIELD, Encoding, State, feed_all};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use sha2::Digest;

/// The greatest whole number that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Hashes a string or bytes with a fresh state.
fn hash<S: State>(state: S, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
    let encoding = Encoding::of(&input)?;
    let array = Input::into_bytes(input.value)?;
    Ok(feed_all(state, &array, ctx)?.end(encoding))
}

/// `sha256(input, { encoding })`.
#[derive(Debug)]
pub(super) struct Sha256;

impl Kernel for Sha256 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "sha256",
            group: "hash",
            summary: "SHA-256 of a string or of bytes",
            input: Schema::Text,
            options: &[ENCODING_FIELD],
            output: "string | Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        hash(sha2::Sha256::new(), input, ctx)
    }
}

/// `sha512(input, { encoding })`.
#[derive(Debug)]
pub(super) struct Sha512;

impl Kernel for Sha512 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "sha512",
            group: "hash",
            summary: "SHA-512 of a string or of bytes",
            input: Schema::Text,
            options: &[ENCODING_FIELD],
            output: "string | Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        hash(sha2::Sha512::new(), input, ctx)
    }
}

/// `blake3(input, { encoding })`.
#[derive(Debug)]
pub(super) struct Blake3;

impl Kernel for Blake3 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "blake3",
            group: "hash",
            summary: "BLAKE3, 256 bits, of a string or of bytes",
            input: Schema::Text,
            options: &[ENCODING_FIELD],
            output: "string | Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        hash(blake3::Hasher::new(), input, ctx)
    }
}

/// `xxh3(input, { seed })`.
#[derive(Debug)]
pub(super) struct Xxh3;

impl Kernel for Xxh3 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "xxh3",
            group: "hash",
            summary: "XXH3, 64 bits, of a string or of bytes; fast, not for security",
            input: Schema::Text,
            options: &[Field::optional("seed", Schema::integer(0.0, MAX_SAFE_INTEGER as f64))],
            output: "bigint",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let seed = input.integer_option("seed", 0, MAX_SAFE_INTEGER, 0)? as u64;
        let array = Input::into_bytes(input.value)?;
        // The running state is an allocation; short inputs do without it.
        if let Some(bytes) = array.bytes().filter(|bytes| bytes.len() <= super::digest::CHUNK) {
            ctx.check()?;
            return Ok(Value::BigInt(i128::from(twox_hash::XxHash3_64::oneshot_with_seed(seed, bytes))));
        }
        Ok(feed_all(twox_hash::XxHash3_64::with_seed(seed), &array, ctx)?.end(Encoding::Hex))
    }
}

/// `crc32(input, { initial })`.
#[derive(Debug)]
pub(super) struct Crc32;

impl Kernel for Crc32 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "crc32",
            group: "hash",
            summary: "CRC-32 as in gzip, of a string or of bytes; finds accidents, not for security",
            input: Schema::Text,
            options: &[Field::optional("initial", Schema::integer(0.0, u32::MAX as f64))],
            output: "number",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let initial = input.integer_option("initial", 0, i64::from(u32::MAX), 0)? as u32;
        let array = Input::into_bytes(input.value)?;
        Ok(feed_all(crc32fast::Hasher::new_with_initial(initial), &array, ctx)?.end(Encoding::Hex))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::Array;

    fn text(value: &str) -> Value {
        Value::String(value.to_owned())
    }

    fn run(kernel: &dyn Kernel, value: Value) -> Value {
        TestHost::new().run(kernel, value, Value::Undefined).unwrap()
    }

    fn run_with(kernel: &dyn Kernel, value: Value, name: &'static str, option: Value) -> Value {
        TestHost::new().run(kernel, value, Value::object([(name, option)])).unwrap()
    }

    fn kernels() -> [Box<dyn Kernel>; 5] {
        [Box::new(Sha256), Box::new(Sha512), Box::new(Blake3), Box::new(Xxh3), Box::new(Crc32)]
    }

    /// Numbers as text, digests as they are, so that outputs compare.
    fn plain(value: &Value) -> String {
        match value {
            Value::String(digest) => digest.clone(),
            Value::BigInt(number) => format!("{number:016x}"),
            Value::Number(number) => format!("{:08x}", *number as u32),
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn published_vectors() {
        // FIPS 180-4 examples, the BLAKE3 and xxHash repositories, and the CRC catalogue's check value.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(plain(&run(&Sha256, text("abc"))), abc);
        assert_eq!(
            plain(&run(&Sha256, text(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            plain(&run(&Sha512, text("abc"))),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
        assert_eq!(
            plain(&run(&Blake3, text(""))),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(
            plain(&run(&Blake3, text("abc"))),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        assert_eq!(plain(&run(&Xxh3, text(""))), "2d06800538d394c2");
        assert_eq!(plain(&run(&Crc32, text("123456789"))), "cbf43926");
        assert_eq!(plain(&run(&Crc32, text(""))), "00000000");
    }

    #[test]
    fn encodings_hold_the_same_digest() {
        let buffer = run_with(&Sha256, text("abc"), "encoding", text("buffer"));
        let bytes = buffer.as_array().and_then(Array::bytes).unwrap();
        assert_eq!(bytes[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(bytes.len(), 32);
        assert_eq!(
            run_with(&Sha256, text("abc"), "encoding", text("base64")).as_str(),
            Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
        );
    }

    #[test]
    fn shared_memory_and_long_inputs_hash_like_short_ones() {
        let bytes: Vec<u8> = (0..1_000_003u32).map(|index| ((index * 7) >> 3) as u8).collect();
        for kernel in &kernels() {
            let owned = run(&**kernel, Value::from_vec(bytes.clone()));
            let memory = SharedMemory::copy_of(&Array::from_vec(bytes.clone()));
            assert_eq!(plain(&run(&**kernel, memory.view())), plain(&owned), "{}", kernel.info().name);
        }
        let whole = twox_hash::XxHash3_64::oneshot_with_seed(0, &bytes);
        assert_eq!(plain(&run(&Xxh3, Value::from_vec(bytes))), format!("{whole:016x}"));
    }

    #[test]
    fn seed_and_initial_are_used() {
        let first = run(&Crc32, text("1234"));
        let second = run_with(&Crc32, text("56789"), "initial", first);
        assert_eq!(plain(&second), "cbf43926");
        let seeded = run_with(&Xxh3, text("abc"), "seed", Value::Number(MAX_SAFE_INTEGER as f64));
        let expected = twox_hash::XxHash3_64::oneshot_with_seed(MAX_SAFE_INTEGER as u64, b"abc");
        assert_eq!(plain(&seeded), format!("{expected:016x}"));
    }

    #[test]
    fn wrong_values_are_argument_errors() {
        let host = TestHost::new();
        for kernel in &kernels() {
            for value in [Value::Undefined, Value::Null, Value::Number(1.0), Value::List(vec![])] {
                let error = host.run(&**kernel, value, Value::Undefined).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgType);
            }
        }
        let code = |kernel: &dyn Kernel, name, option| {
            host.run(kernel, text(""), Value::object([(name, option)])).unwrap_err().code
        };
        assert_eq!(code(&Sha512, "encoding", text("utf8")), ErrorCode::InvalidArgValue);
        assert_eq!(code(&Sha512, "encoding", Value::Number(1.0)), ErrorCode::InvalidArgType);
        assert_eq!(code(&Xxh3, "seed", Value::Number(-1.0)), ErrorCode::OutOfRange);
        assert_eq!(code(&Xxh3, "seed", Value::Number(0.5)), ErrorCode::OutOfRange);
        assert_eq!(code(&Crc32, "initial", Value::Number(f64::NAN)), ErrorCode::OutOfRange);
        assert_eq!(code(&Crc32, "initial", Value::Number(4_294_967_296.0)), ErrorCode::OutOfRange);
    }

    #[test]
    fn k2_every_hash_cancels_between_chunks() {
        for kernel in &kernels() {
            assert_cancels(&**kernel, 4, || (Value::from_vec(vec![1u8; 1 << 20]), Value::Undefined));
        }
    }

    #[test]
    fn long_inputs_report_progress() {
        let host = TestHost::new();
        host.run(&Blake3, Value::from_vec(vec![0u8; 1 << 20]), Value::Undefined).unwrap();
        assert_eq!(host.progress_reports().last(), Some(&(1_048_576.0, 1_048_576.0)));
    }
}
