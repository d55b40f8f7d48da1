//! Stage: run. Thread: native workers.
//! The `compress` group of kernels.

mod brotli;
mod gzip;
mod lz4;
mod output;
mod zstd;

use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, Schema};
use crate::value::{Array, Value};

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![
        Box::new(gzip::Gzip),
        Box::new(gzip::Gunzip),
        Box::new(zstd::Zstd),
        Box::new(zstd::Unzstd),
        Box::new(brotli::Brotli),
        Box::new(brotli::Unbrotli),
        Box::new(lz4::Lz4),
        Box::new(lz4::Unlz4),
    ]
}

/// Bytes of output that decompression may give when the options name no limit: 1 GiB.
const DEFAULT_MAX_OUTPUT: i64 = 1 << 30;

/// The greatest whole number that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// The `maxOutputLength` option in a kernel's description.
const MAX_OUTPUT_FIELD: Field =
    Field::optional("maxOutputLength", Schema::integer(1.0, MAX_SAFE_INTEGER as f64));

/// The `maxOutputLength` option.
fn max_output(input: &Input) -> Result<usize, KernelError> {
    let limit = input.integer_option("maxOutputLength", 1, MAX_SAFE_INTEGER, DEFAULT_MAX_OUTPUT)?;
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The input of a decompressor: bytes only, since a string is never compressed data.
fn compressed_bytes(value: Value) -> Result<Array, KernelError> {
    match value {
        Value::Array(array) => Ok(array),
        _ => Err(KernelError::arg_type("the input must be bytes")),
    }
}

#[cfg(test)]
mod tests {
    //! What holds for every pair of compressor and decompressor.

    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};

    fn pairs() -> Vec<(Box<dyn Kernel>, Box<dyn Kernel>)> {
        let mut kernels = all().into_iter();
        std::iter::from_fn(|| Some((kernels.next()?, kernels.next()?))).collect()
    }

    fn bytes(value: &Value) -> &[u8] {
        value.as_array().and_then(Array::bytes).expect("bytes")
    }

    fn run(kernel: &dyn Kernel, input: &[u8]) -> Result<Vec<u8>, KernelError> {
        let value = Value::from_vec(input.to_vec());
        TestHost::new().run(kernel, value, Value::Undefined).map(|value| bytes(&value).to_vec())
    }

    fn run_limited(kernel: &dyn Kernel, input: &[u8], limit: usize) -> Result<Vec<u8>, KernelError> {
        let options = Value::object([("maxOutputLength", Value::Number(limit as f64))]);
        TestHost::new()
            .run(kernel, Value::from_vec(input.to_vec()), options)
            .map(|value| bytes(&value).to_vec())
    }

    /// Words in an order that repeats itself only by accident.
    fn prose(length: usize) -> Vec<u8> {
        let words = ["pool ", "worker ", "task ", "kernel ", "steal ", "settle\n", "and ", "the "];
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut text = Vec::with_capacity(length + 8);
        while text.len() < length {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.extend_from_slice(words[(seed % 8) as usize].as_bytes());
        }
        text.truncate(length);
        text
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for (pack, unpack) in pairs() {
            let name = pack.info().name;
            for input in [vec![], b"a".to_vec(), prose(300_000), noise(300_000), vec![0; 3_000_000]] {
                let packed = run(&*pack, &input).unwrap();
                assert!(packed.len() < input.len() + input.len() / 64 + 64, "{name}: {}", packed.len());
                assert_eq!(run(&*unpack, &packed).unwrap(), input, "{name}");
            }
            assert!(run(&*pack, &prose(300_000)).unwrap().len() < 150_000, "{name} compresses");
        }
    }

    #[test]
    fn strings_are_utf8() {
        for (pack, unpack) in pairs() {
            let value = Value::String("Grüße, 世界".to_owned());
            let packed = TestHost::new().run(&*pack, value, Value::Undefined).unwrap();
            assert_eq!(run(&*unpack, bytes(&packed)).unwrap(), "Grüße, 世界".as_bytes());
            let error = TestHost::new().run(&*unpack, Value::String("x".to_owned()), Value::Undefined);
            assert_eq!(error.unwrap_err().code, ErrorCode::InvalidArgType);
        }
    }

    #[test]
    fn shared_memory_is_taken() {
        let input = prose(200_000);
        for (pack, unpack) in pairs() {
            let memory = SharedMemory::copy_of(&Array::from_vec(input.clone()));
            let packed = TestHost::new().run(&*pack, memory.view(), Value::Undefined).unwrap();
            let Value::Array(packed) = packed else { panic!("bytes") };
            let memory = SharedMemory::copy_of(&packed);
            let unpacked = TestHost::new().run(&*unpack, memory.view(), Value::Undefined).unwrap();
            assert_eq!(bytes(&unpacked), input, "{}", pack.info().name);
        }
    }

    #[test]
    fn every_truncation_is_corrupt_data() {
        let input = [prose(400), noise(100)].concat();
        for (pack, unpack) in pairs() {
            let packed = run(&*pack, &input).unwrap();
            for length in 0..packed.len() {
                let error = run(&*unpack, &packed[..length]).expect_err("truncated");
                assert_eq!(error.code, ErrorCode::CorruptData, "{} at {length}: {error}", pack.info().name);
            }
        }
    }

    #[test]
    fn no_damage_panics_and_no_damage_gives_more_than_the_limit() {
        let input = [prose(3000), noise(200)].concat();
        for (pack, unpack) in pairs() {
            let packed = run(&*pack, &input).unwrap();
            for index in 0..packed.len() {
                for flip in [1, 0x80, 0xff] {
                    let mut damaged = packed.clone();
                    damaged[index] ^= flip;
                    match run_limited(&*unpack, &damaged, 5000) {
                        Ok(output) => assert!(output.len() <= 5000),
                        Err(error) => assert!(
                            matches!(error.code, ErrorCode::CorruptData | ErrorCode::OutputTooLarge),
                            "{error}"
                        ),
                    }
                }
            }
            let error = run(&*unpack, &noise(1000)).expect_err("noise");
            assert_eq!(error.code, ErrorCode::CorruptData);
        }
    }

    #[test]
    fn the_output_limit_is_exact_and_stops_early() {
        let input = vec![7; 100_000];
        let bomb = vec![0; 64 << 20];
        for (pack, unpack) in pairs() {
            let name = unpack.info().name;
            let packed = run(&*pack, &input).unwrap();
            assert_eq!(run_limited(&*unpack, &packed, 100_000).unwrap().len(), 100_000, "{name}");
            for limit in [1, 99_999] {
                let error = run_limited(&*unpack, &packed, limit).expect_err("over the limit");
                assert_eq!(error.code, ErrorCode::OutputTooLarge, "{name}");
            }
            // Whoever unpacks all of it before looking at the limit asks far more often whether to go on.
            let packed = run(&*pack, &bomb).unwrap();
            let host = TestHost::new();
            let options = Value::object([("maxOutputLength", Value::Number(1e6))]);
            let error = host.run(&*unpack, Value::from_vec(packed), options).expect_err("over the limit");
            assert_eq!(error.code, ErrorCode::OutputTooLarge);
            assert!(host.checks() < 40, "{name} stopped after {} checks", host.checks());
        }
    }

    #[test]
    fn options_outside_their_range_are_refused() {
        let cases = [
            (0, "level", 10.0, ErrorCode::OutOfRange),
            (0, "level", 1.5, ErrorCode::OutOfRange),
            (2, "level", 20.0, ErrorCode::OutOfRange),
            (2, "level", -8.0, ErrorCode::OutOfRange),
            (4, "quality", 12.0, ErrorCode::OutOfRange),
            (4, "lgwin", 9.0, ErrorCode::OutOfRange),
            (1, "maxOutputLength", 0.0, ErrorCode::OutOfRange),
            (7, "maxOutputLength", f64::NAN, ErrorCode::OutOfRange),
        ];
        let kernels = all();
        for (index, name, number, code) in cases {
            let options = Value::object([(name, Value::Number(number))]);
            let error = TestHost::new().run(&*kernels[index], Value::from_vec(vec![0u8]), options);
            assert_eq!(error.unwrap_err().code, code, "{name} {number}");
        }
        for kernel in &kernels {
            for value in [Value::Undefined, Value::Number(1.0), Value::object([])] {
                let error = TestHost::new().run(&**kernel, value, Value::Undefined).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgType, "{}", kernel.info().name);
            }
        }
    }

    #[test]
    fn k2_both_ways_cancel_and_report_progress() {
        let input = prose(1 << 20);
        for (pack, unpack) in pairs() {
            let host = TestHost::new();
            let quick = || match pack.info().name {
                "brotli" => Value::object([("quality", Value::Number(1.0))]),
                _ => Value::Undefined,
            };
            let packed = host.run(&*pack, Value::from_vec(input.clone()), quick()).unwrap();
            assert_eq!(host.progress_reports().last().map(|(done, total)| done / total), Some(1.0));
            assert_cancels(&*pack, 2, || (Value::from_vec(input.clone()), quick()));
            let packed = bytes(&packed).to_vec();
            let host = TestHost::new();
            host.run(&*unpack, Value::from_vec(packed.clone()), Value::Undefined).unwrap();
            assert_eq!(host.progress_reports().last().map(|(done, total)| done / total), Some(1.0));
            assert_cancels(&*unpack, 4, || (Value::from_vec(packed.clone()), Value::Undefined));
        }
    }
}
