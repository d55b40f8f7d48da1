//! Stage: run. Thread: native workers.
//! `gzip` and `gunzip`: RFC 1952 around RFC 1951.
//!
//! # Complexity
//!
//! Linear in input plus output; 256 KiB of state to compress, 48 KiB to decompress.
//!
//! # Source
//!
//! flate2 over zlib-rs. What follows a member is treated as `node:zlib` does.

use super::output::{CHUNK, Output, corrupt, truncated};
use super::{MAX_OUTPUT_FIELD, compressed_bytes, max_output};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The window of every gzip file: 32 KiB.
const WINDOW_BITS: u8 = 15;

/// `gzip(input, { level })`.
#[derive(Debug)]
pub(super) struct Gzip;

impl Kernel for Gzip {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "gzip",
            group: "compress",
            summary: "Compresses a string or bytes to one gzip member",
            input: Schema::Text,
            options: &[Field::optional("level", Schema::integer(0.0, 9.0))],
            output: "Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let level = input.integer_option("level", 0, 9, 6)? as u32;
        let array = Input::into_bytes(input.value)?;
        let mut encoder = Compress::new_gzip(Compression::new(level), WINDOW_BITS);
        let mut output = Output::new(usize::MAX, ctx);
        let mut done = 0;
        array.for_each_chunk(CHUNK, |chunk| {
            deflate(&mut encoder, chunk, FlushCompress::None, &mut output)?;
            done += chunk.len();
            ctx.progress(done, array.byte_len());
            Ok(())
        })?;
        deflate(&mut encoder, &[], FlushCompress::Finish, &mut output)?;
        Ok(output.into_value())
    }
}

/// Feeds `rest` to the encoder, or ends the member.
fn deflate(
    encoder: &mut Compress,
    mut rest: &[u8],
    flush: FlushCompress,
    output: &mut Output<'_>,
) -> Result<(), KernelError> {
    loop {
        let mut ended = false;
        let written = output.fill(|room| {
            let (before_in, before_out) = (encoder.total_in(), encoder.total_out());
            let status = encoder
                .compress(rest, room, flush)
                .map_err(|error| KernelError::arg_value(format!("gzip: {error}")))?;
            ended = status == Status::StreamEnd;
            rest = &rest[(encoder.total_in() - before_in) as usize..];
            Ok((encoder.total_out() - before_out) as usize)
        })?;
        let more_to_come =
            if flush == FlushCompress::Finish { !ended } else { written.full || !rest.is_empty() };
        if !more_to_come {
            return Ok(());
        }
    }
}

/// `gunzip(input, { maxOutputLength })`.
#[derive(Debug)]
pub(super) struct Gunzip;

impl Kernel for Gunzip {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "gunzip",
            group: "compress",
            summary: "Decompresses gzip data of one or more members",
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
        let mut members = Members { state: MemberState::Inside, decoder: Decompress::new_gzip(WINDOW_BITS) };
        let mut output = Output::new(limit, ctx);
        let mut done = 0;
        array.for_each_chunk(CHUNK, |chunk| {
            members.inflate(chunk, &mut output)?;
            done += chunk.len();
            ctx.progress(done, array.byte_len());
            Ok(())
        })?;
        match members.state {
            MemberState::Inside => Err(truncated("gzip")),
            MemberState::Between | MemberState::Padding => Ok(output.into_value()),
        }
    }
}

/// Where in the input a decoder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MemberState {
    /// In a member that has not ended.
    Inside,
    /// At the end of a member; another one may follow.
    Between,
    /// Behind a zero byte after a member: tapes and block devices pad so. Whatever follows is ignored.
    Padding,
}

/// A decoder for members one after the other.
struct Members {
    state: MemberState,
    decoder: Decompress,
}

impl Members {
    fn inflate(&mut self, mut rest: &[u8], output: &mut Output<'_>) -> Result<(), KernelError> {
        loop {
            match self.state {
                MemberState::Padding => return Ok(()),
                MemberState::Between => match rest.first() {
                    None => return Ok(()),
                    Some(0) => {
                        self.state = MemberState::Padding;
                        return Ok(());
                    }
                    Some(_) => {
                        self.decoder = Decompress::new_gzip(WINDOW_BITS);
                        self.state = MemberState::Inside;
                    }
                },
                MemberState::Inside => {}
            }
            let decoder = &mut self.decoder;
            let (mut ended, mut used) = (false, 0);
            let written = output.fill(|room| {
                let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
                let status = decoder
                    .decompress(rest, room, FlushDecompress::None)
                    .map_err(|error| corrupt("gzip", error.message().unwrap_or("damaged stream")))?;
                ended = status == Status::StreamEnd;
                used = (decoder.total_in() - before_in) as usize;
                Ok((decoder.total_out() - before_out) as usize)
            })?;
            rest = &rest[used..];
            if ended {
                self.state = MemberState::Between;
            } else if !written.full {
                if rest.is_empty() {
                    return Ok(());
                }
                if used == 0 && written.length == 0 {
                    return Err(corrupt("gzip", "the decoder makes no headway"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::TestHost;
    use crate::value::Array;

    fn gzip(text: &[u8], level: f64) -> Vec<u8> {
        let options = Value::object([("level", Value::Number(level))]);
        let packed = TestHost::new().run(&Gzip, Value::from_vec(text.to_vec()), options).unwrap();
        packed.as_array().and_then(Array::bytes).unwrap().to_vec()
    }

    fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, KernelError> {
        let value = TestHost::new().run(&Gunzip, Value::from_vec(bytes.to_vec()), Value::Undefined)?;
        Ok(value.as_array().and_then(Array::bytes).unwrap().to_vec())
    }

    #[test]
    fn a_member_of_another_writer_is_read() {
        // `zlib.gzipSync('abc')` of Node.js 20.
        let packed =
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c, 0x4a, 6, 0, 0xc2, 0x41, 0x24, 0x35, 3, 0, 0, 0];
        assert_eq!(gunzip(&packed).unwrap(), b"abc");
    }

    #[test]
    fn every_level_gives_a_member() {
        let text = b"threadmill ".repeat(5000);
        for level in 0..=9 {
            let packed = gzip(&text, f64::from(level));
            assert_eq!(packed[..3], [0x1f, 0x8b, 8]);
            assert_eq!(packed.len() > text.len(), level == 0);
            assert_eq!(gunzip(&packed).unwrap(), text);
        }
    }

    #[test]
    fn what_follows_a_member_is_taken_as_node_takes_it() {
        let (one, two) = (gzip(b"abc", 6.0), gzip(b"def", 6.0));
        assert_eq!(gunzip(&[&one[..], &two].concat()).unwrap(), b"abcdef");
        assert_eq!(gunzip(&[&one[..], &two, &[0; 10]].concat()).unwrap(), b"abcdef");
        assert_eq!(gunzip(&[&one[..], &[0], &two].concat()).unwrap(), b"abc");
        for rest in [&b"garbage that is no member"[..], b"\x1f", b"\x1f\x8b\xff\xff\0\0\0\0\0\0"] {
            let error = gunzip(&[&one[..], rest].concat()).unwrap_err();
            assert_eq!(error.code, ErrorCode::CorruptData);
        }
        // The end of a member and the end of a chunk may meet.
        let padded = [gzip(&vec![0; CHUNK], 0.0), two.clone()].concat();
        assert_eq!(gunzip(&padded).unwrap().len(), CHUNK + 3);
    }

    #[test]
    fn a_wrong_checksum_is_corrupt_data() {
        let mut packed = gzip(b"abc", 6.0);
        let index = packed.len() - 6;
        packed[index] ^= 1;
        let error = gunzip(&packed).unwrap_err();
        assert_eq!(error.code, ErrorCode::CorruptData);
        assert!(error.message.contains("check"), "{}", error.message);
    }
}
