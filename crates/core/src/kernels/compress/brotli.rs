//! Stage: run. Thread: native workers.
//! `brotli` and `unbrotli`: RFC 7932.
//!
//! # Complexity
//!
//! Linear in input plus output for a given quality. State: about 65 MiB at quality 11 with the default window; at
//! most the window (16 MiB) to decompress.
//!
//! # Source
//!
//! The Rust port of the reference implementation (the brotli crate).

use super::output::{CHUNK, Output, corrupt, truncated};
use super::{MAX_OUTPUT_FIELD, compressed_bytes, max_output};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use ::brotli::enc::StandardAlloc;
use ::brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use ::brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

/// `brotli(input, { quality, lgwin })`.
#[derive(Debug)]
pub(super) struct Brotli;

impl Kernel for Brotli {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "brotli",
            group: "compress",
            summary: "Compresses a string or bytes to a Brotli stream",
            input: Schema::Text,
            options: &[
                Field::optional("quality", Schema::integer(0.0, 11.0)),
                Field::optional("lgwin", Schema::integer(10.0, 24.0)),
            ],
            output: "Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let quality = input.integer_option("quality", 0, 11, 11)? as u32;
        let lgwin = input.integer_option("lgwin", 10, 24, 22)? as u32;
        let array = Input::into_bytes(input.value)?;
        let total = array.byte_len();
        let mut encoder = Compressor::new(quality, lgwin, total);
        let mut output = Output::new(usize::MAX, ctx);
        let mut done = 0;
        array.for_each_chunk(CHUNK, |chunk| {
            encoder.feed(BrotliEncoderOperation::BROTLI_OPERATION_PROCESS, chunk, &mut output)?;
            done += chunk.len();
            ctx.progress(done, total);
            Ok(())
        })?;
        encoder.feed(BrotliEncoderOperation::BROTLI_OPERATION_FINISH, &[], &mut output)?;
        Ok(output.into_value())
    }
}

/// The encoder of the crate, which must be told to give its memory back.
struct Compressor(BrotliEncoderStateStruct<StandardAlloc>);

impl Compressor {
    fn new(quality: u32, lgwin: u32, size: usize) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality);
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, lgwin);
        // Lets the encoder choose its hash tables for the whole input; sizes past 4 GiB make no difference.
        let hint = u32::try_from(size).unwrap_or(u32::MAX);
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);
        Self(state)
    }

    fn feed(
        &mut self,
        operation: BrotliEncoderOperation,
        chunk: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), KernelError> {
        let state = &mut self.0;
        let (mut available_in, mut offset_in) = (chunk.len(), 0);
        loop {
            output.fill(|room| {
                let (mut available_out, mut offset_out) = (room.len(), 0);
                let fine = state.compress_stream(
                    operation,
                    &mut available_in,
                    chunk,
                    &mut offset_in,
                    &mut available_out,
                    room,
                    &mut offset_out,
                    &mut None,
                    &mut |_, _, _, _| (),
                );
                if fine { Ok(offset_out) } else { Err(KernelError::arg_value("the Brotli encoder failed")) }
            })?;
            let finishing = matches!(operation, BrotliEncoderOperation::BROTLI_OPERATION_FINISH);
            let ended = if finishing { state.is_finished() } else { !state.has_more_output() };
            if available_in == 0 && ended {
                return Ok(());
            }
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        BrotliEncoderDestroyInstance(&mut self.0);
    }
}

/// `unbrotli(input, { maxOutputLength })`.
#[derive(Debug)]
pub(super) struct Unbrotli;

impl Kernel for Unbrotli {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "unbrotli",
            group: "compress",
            summary: "Decompresses a Brotli stream",
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
        // Strict: the windows beyond 16 MiB of the "large window" extension are no part of the RFC.
        let mut decoder = BrotliState::new_strict(
            StandardAlloc::default(),
            StandardAlloc::default(),
            StandardAlloc::default(),
        );
        let mut output = Output::new(limit, ctx);
        let mut done = 0;
        let mut ended = false;
        array.for_each_chunk(CHUNK, |chunk| {
            let (mut available_in, mut offset_in) = (chunk.len(), 0);
            // The stream knows its end. What follows it is ignored, as `node:zlib` does.
            while !ended {
                let mut result = BrotliResult::ResultFailure;
                output.fill(|room| {
                    let (mut available_out, mut offset_out) = (room.len(), 0);
                    result = BrotliDecompressStream(
                        &mut available_in,
                        &mut offset_in,
                        chunk,
                        &mut available_out,
                        &mut offset_out,
                        room,
                        &mut 0,
                        &mut decoder,
                    );
                    Ok(offset_out)
                })?;
                match result {
                    BrotliResult::ResultSuccess => ended = true,
                    BrotliResult::NeedsMoreInput => break,
                    BrotliResult::NeedsMoreOutput => {}
                    BrotliResult::ResultFailure => {
                        return Err(corrupt("Brotli", format_args!("{:?}", decoder.error_code)));
                    }
                }
            }
            done += chunk.len();
            ctx.progress(done, array.byte_len());
            Ok(())
        })?;
        if ended { Ok(output.into_value()) } else { Err(truncated("Brotli")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;
    use crate::value::Array;

    fn run(kernel: &dyn Kernel, bytes: &[u8], options: Value) -> Result<Vec<u8>, KernelError> {
        let value = TestHost::new().run(kernel, Value::from_vec(bytes.to_vec()), options)?;
        Ok(value.as_array().and_then(Array::bytes).unwrap().to_vec())
    }

    #[test]
    fn a_stream_by_hand_is_read() {
        // RFC 7932: window bits 16, then the empty last meta-block.
        assert_eq!(run(&Unbrotli, &[0x06], Value::Undefined).unwrap(), b"");
        // `zlib.brotliCompressSync('hello')` of Node.js 20.
        let hello = [0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];
        assert_eq!(run(&Unbrotli, &hello, Value::Undefined).unwrap(), b"hello");
        assert_eq!(run(&Unbrotli, &[&hello[..], b"rest"].concat(), Value::Undefined).unwrap(), b"hello");
    }

    #[test]
    fn every_quality_and_window_gives_a_stream() {
        let text = b"threadmill and then some ".repeat(3000);
        for quality in 0..=11 {
            for lgwin in [10, 22, 24] {
                let options = Value::object([
                    ("quality", Value::Number(f64::from(quality))),
                    ("lgwin", Value::Number(f64::from(lgwin))),
                ]);
                let packed = run(&Brotli, &text, options).unwrap();
                assert!(packed.len() < text.len() / 10);
                assert_eq!(run(&Unbrotli, &packed, Value::Undefined).unwrap(), text, "{quality} {lgwin}");
            }
        }
    }
}
