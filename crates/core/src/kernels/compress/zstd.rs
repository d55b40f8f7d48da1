//! Stage: run. Thread: native workers.
//! `zstd` and `unzstd`: Zstandard frames, RFC 8878.
//!
//! # Complexity
//!
//! Linear in input plus output for a given level. State: about 90 MiB at level 19, and up to 128 MiB for the window
//! of a frame that is read; frames that ask for a larger window are refused.
//!
//! # Source
//!
//! The reference implementation (libzstd), through the zstd crate, without its thread pool and legacy formats.

use super::output::{CHUNK, Output, corrupt, truncated};
use super::{MAX_OUTPUT_FIELD, compressed_bytes, max_output};
use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use ::zstd::stream::raw::{CParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

/// `zstd(input, { level })`.
#[derive(Debug)]
pub(super) struct Zstd;

impl Kernel for Zstd {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "zstd",
            group: "compress",
            summary: "Compresses a string or bytes to one Zstandard frame",
            input: Schema::Text,
            options: &[Field::optional("level", Schema::integer(-7.0, 19.0))],
            output: "Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let level = input.integer_option("level", -7, 19, 3)? as i32;
        let array = Input::into_bytes(input.value)?;
        let total = array.byte_len();
        let mut encoder = Encoder::new(level).map_err(|error| no_memory(&error))?;
        // The size goes into the header, and small inputs get small tables; the checksum finds damage on reading.
        encoder.set_pledged_src_size(Some(total as u64)).map_err(|error| no_memory(&error))?;
        encoder.set_parameter(CParameter::ChecksumFlag(true)).map_err(|error| no_memory(&error))?;
        let mut output = Output::new(usize::MAX, ctx);
        let mut done = 0;
        array.for_each_chunk(CHUNK, |chunk| {
            let mut source = InBuffer::around(chunk);
            while source.pos() < chunk.len() {
                output.fill(|room| {
                    let mut target = OutBuffer::around(room);
                    encoder.run(&mut source, &mut target).map_err(|error| no_memory(&error))?;
                    Ok(target.pos())
                })?;
            }
            done += chunk.len();
            ctx.progress(done, total);
            Ok::<(), KernelError>(())
        })?;
        let mut remaining = 1;
        while remaining > 0 {
            output.fill(|room| {
                let mut target = OutBuffer::around(room);
                remaining = encoder.finish(&mut target, true).map_err(|error| no_memory(&error))?;
                Ok(target.pos())
            })?;
        }
        Ok(output.into_value())
    }
}

/// Compression fails for no other reason.
fn no_memory(error: &std::io::Error) -> KernelError {
    KernelError::new(ErrorCode::System, format!("zstd: {error}"))
}

/// `unzstd(input, { maxOutputLength })`.
#[derive(Debug)]
pub(super) struct Unzstd;

impl Kernel for Unzstd {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "unzstd",
            group: "compress",
            summary: "Decompresses one or more Zstandard frames",
            input: Schema::Bytes,
            options: &[MAX_OUTPUT_FIELD],
            output: "Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let limit = max_output(&input)?;
        let array = compressed_bytes(input.value)?;
        let mut decoder = Decoder::new().map_err(|error| no_memory(&error))?;
        let mut output = Output::new(limit, ctx);
        let mut done = 0;
        // What the decoder still wants of the present frame; 0 at the end of a frame.
        let mut wanted = 1;
        array.for_each_chunk(CHUNK, |chunk| {
            let mut source = InBuffer::around(chunk);
            loop {
                let written = output.fill(|room| {
                    let mut target = OutBuffer::around(room);
                    wanted =
                        decoder.run(&mut source, &mut target).map_err(|error| corrupt("Zstandard", error))?;
                    Ok(target.pos())
                })?;
                // Calling again at the end of a frame would begin another one.
                if source.pos() == chunk.len() && (wanted == 0 || !written.full) {
                    break;
                }
            }
            done += chunk.len();
            ctx.progress(done, array.byte_len());
            Ok::<(), KernelError>(())
        })?;
        if wanted == 0 { Ok(output.into_value()) } else { Err(truncated("Zstandard")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;
    use crate::value::Array;

    fn zstd(text: &[u8], level: f64) -> Vec<u8> {
        let options = Value::object([("level", Value::Number(level))]);
        let packed = TestHost::new().run(&Zstd, Value::from_vec(text.to_vec()), options).unwrap();
        packed.as_array().and_then(Array::bytes).unwrap().to_vec()
    }

    fn unzstd(bytes: &[u8]) -> Result<Vec<u8>, KernelError> {
        let value = TestHost::new().run(&Unzstd, Value::from_vec(bytes.to_vec()), Value::Undefined)?;
        Ok(value.as_array().and_then(Array::bytes).unwrap().to_vec())
    }

    #[test]
    fn a_frame_by_hand_is_read() {
        // RFC 8878: magic, single segment with one byte of size 3, last raw block of 3 bytes.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, b'a', b'b', b'c'];
        assert_eq!(unzstd(&frame).unwrap(), b"abc");
    }

    #[test]
    fn every_level_gives_a_frame_with_its_size() {
        let text = b"threadmill ".repeat(5000);
        for level in -7..=19 {
            let packed = zstd(&text, f64::from(level));
            assert_eq!(packed[..4], [0x28, 0xb5, 0x2f, 0xfd]);
            assert!(packed[4] & 0x20 != 0 || packed[4] >> 6 != 0, "the header has the size");
            assert_eq!(unzstd(&packed).unwrap(), text, "level {level}");
        }
    }

    #[test]
    fn frames_follow_each_other_and_may_be_skippable() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let frames = [&zstd(b"abc", 3.0)[..], &skippable, &zstd(b"", 1.0), &zstd(b"def", 9.0)].concat();
        assert_eq!(unzstd(&frames).unwrap(), b"abcdef");
    }

    #[test]
    fn garbage_behind_a_frame_is_corrupt_data() {
        for rest in [&b"garbage"[..], &[0; 8]] {
            let error = unzstd(&[&zstd(b"abc", 3.0)[..], rest].concat()).unwrap_err();
            assert_eq!(error.code, ErrorCode::CorruptData);
        }
    }

    #[test]
    fn an_output_of_exactly_one_step_ends() {
        let text = vec![5; 128 * 1024];
        assert_eq!(unzstd(&zstd(&text, 3.0)).unwrap(), text);
    }
}
