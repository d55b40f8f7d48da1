//! Stage: run. Thread: native workers.
//! `lz4` and `unlz4`: the LZ4 frame format, version 1.6.
//!
//! # Complexity
//!
//! Linear in input plus output; at most 13 MiB of state, which depends on the block size of the frame.
//!
//! # Source
//!
//! `lz4_flex` with its safe encoder and decoder. That decoder takes the end of the input for the end of a frame, so
//! the frame is walked block by block first ([`frame_end`]).

use super::output::{CHUNK, Output, corrupt, truncated};
use super::{MAX_OUTPUT_FIELD, compressed_bytes, max_output};
use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Value};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{BufRead, Read, Write};
use twox_hash::XxHash32;

/// `lz4(input)`.
#[derive(Debug)]
pub(super) struct Lz4;

impl Kernel for Lz4 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "lz4",
            group: "compress",
            summary: "Compresses a string or bytes to one LZ4 frame",
            input: Schema::Text,
            options: &[],
            output: "Uint8Array",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let array = Input::into_bytes(input.value)?;
        let total = array.byte_len();
        let block_size = if total <= 64 * 1024 { BlockSize::Max64KB } else { BlockSize::Max1MB };
        let info = FrameInfo::new()
            .block_size(block_size)
            .block_mode(BlockMode::Independent)
            .content_size(Some(total as u64))
            .content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Sink::new(Output::new(usize::MAX, ctx)));
        let mut done = 0;
        array.for_each_chunk(CHUNK, |chunk| {
            ctx.check()?;
            if let Err(error) = encoder.write_all(chunk) {
                return Err(encoder.get_mut().take_failure(&error));
            }
            done += chunk.len();
            ctx.progress(done, total);
            Ok(())
        })?;
        if let Err(error) = encoder.try_finish() {
            return Err(encoder.get_mut().take_failure(&error));
        }
        Ok(encoder.into_inner().output.into_value())
    }
}

/// Lets the encoder write into an [`Output`], whose errors an `io::Error` cannot carry.
struct Sink<'a> {
    output: Output<'a>,
    failure: Option<KernelError>,
}

impl<'a> Sink<'a> {
    fn new(output: Output<'a>) -> Self {
        Self { output, failure: None }
    }

    /// Why a write failed.
    fn take_failure(&mut self, error: &impl std::fmt::Display) -> KernelError {
        self.failure.take().unwrap_or_else(|| KernelError::new(ErrorCode::System, format!("lz4: {error}")))
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.output.extend(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(failure) => {
                self.failure = Some(failure);
                Err(std::io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `unlz4(input, { maxOutputLength })`.
#[derive(Debug)]
pub(super) struct Unlz4;

impl Kernel for Unlz4 {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "unlz4",
            group: "compress",
            summary: "Decompresses one or more LZ4 frames",
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
        let total = array.byte_len();
        let mut output = Output::new(limit, ctx);
        let mut cursor = Cursor { array: &array, position: 0, end: total };
        if total == 0 {
            return Err(truncated("LZ4"));
        }
        while cursor.position < total {
            match next_frame(cursor, ctx)? {
                Frame::Skippable { end } => cursor.position = end,
                Frame::Data { end, content_size } => {
                    if content_size.is_some_and(|size| size > output.room() as u64) {
                        return Err(output.too_large());
                    }
                    cursor.end = end;
                    decode(cursor, &mut output, ctx)?;
                    cursor = Cursor { array: &array, position: end, end: total };
                }
            }
        }
        Ok(output.into_value())
    }
}

/// Decompresses the one frame that `cursor` covers from its position to its end.
fn decode(cursor: Cursor<'_>, output: &mut Output<'_>, ctx: &KernelContext<'_>) -> Result<(), KernelError> {
    let (total, end) = (cursor.array.byte_len(), cursor.end);
    let mut decoder = FrameDecoder::new(cursor);
    loop {
        ctx.check()?;
        let before = decoder.get_ref().position;
        let bytes = decoder.fill_buf().map_err(|error| corrupt("LZ4", error))?;
        let length = bytes.len();
        for piece in bytes.chunks(CHUNK) {
            output.extend(piece)?;
        }
        decoder.consume(length);
        let position = decoder.get_ref().position;
        ctx.progress(position, total);
        if length == 0 {
            // No bytes can also mean an empty block; only the end of the frame ends it.
            if position == end {
                return Ok(());
            }
            if position == before {
                return Err(corrupt("LZ4", "the decoder makes no headway"));
            }
        }
    }
}

/// Reads an array from a position on, whatever its memory.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    array: &'a Array,
    position: usize,
    end: usize,
}

impl Cursor<'_> {
    /// The next `N` bytes.
    fn next_bytes<const N: usize>(&mut self) -> Result<[u8; N], KernelError> {
        let mut bytes = [0; N];
        self.skip(N)?;
        self.array.read_bytes(self.position - N, &mut bytes);
        Ok(bytes)
    }

    /// Goes over `length` bytes.
    fn skip(&mut self, length: usize) -> Result<(), KernelError> {
        if length > self.end - self.position {
            return Err(truncated("LZ4"));
        }
        self.position += length;
        Ok(())
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(self.end - self.position);
        self.array.read_bytes(self.position, &mut into[..length]);
        self.position += length;
        Ok(length)
    }
}

/// What stands at a position of the input.
enum Frame {
    /// Something that readers are told to go over.
    Skippable {
        /// Where it ends.
        end: usize,
    },
    /// A frame of data.
    Data {
        /// Where it ends.
        end: usize,
        /// The size of its contents, where it says so.
        content_size: Option<u64>,
    },
}

/// Looks at the magic number at the cursor, and finds the end of what it begins.
fn next_frame(mut cursor: Cursor<'_>, ctx: &KernelContext<'_>) -> Result<Frame, KernelError> {
    match u32::from_le_bytes(cursor.next_bytes()?) {
        0x184d_2a50..=0x184d_2a5f => {
            let length = u32::from_le_bytes(cursor.next_bytes()?);
            cursor.skip(length as usize)?;
            Ok(Frame::Skippable { end: cursor.position })
        }
        0x184d_2204 => frame_end(cursor, ctx),
        _ => Err(corrupt("LZ4", "wrong magic number")),
    }
}

/// Walks a frame from behind its magic number to its end, without looking into the blocks.
fn frame_end(mut cursor: Cursor<'_>, ctx: &KernelContext<'_>) -> Result<Frame, KernelError> {
    let mut descriptor = Vec::with_capacity(14);
    let [flags, sizes] = cursor.next_bytes()?;
    descriptor.extend([flags, sizes]);
    let mut content_size = None;
    if flags & 8 != 0 {
        let size = cursor.next_bytes()?;
        descriptor.extend(size);
        content_size = Some(u64::from_le_bytes(size));
    }
    if flags & 1 != 0 {
        descriptor.extend(cursor.next_bytes::<4>()?);
    }
    let [checksum] = cursor.next_bytes()?;
    if checksum != (XxHash32::oneshot(0, &descriptor) >> 8) as u8 {
        return Err(corrupt("LZ4", "the checksum of the header does not match"));
    }
    let block_checksum = if flags & 16 == 0 { 0 } else { 4 };
    let mut blocks = 0u32;
    loop {
        let header = u32::from_le_bytes(cursor.next_bytes()?);
        if header == 0 {
            break;
        }
        // The top bit says that the block is stored as it is.
        cursor.skip((header & 0x7fff_ffff) as usize + block_checksum)?;
        blocks = blocks.wrapping_add(1);
        if blocks.is_multiple_of(0x1_0000) {
            ctx.check()?;
        }
    }
    cursor.skip(if flags & 4 == 0 { 0 } else { 4 })?;
    Ok(Frame::Data { end: cursor.position, content_size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::TestHost;

    fn run(kernel: &dyn Kernel, bytes: &[u8]) -> Result<Vec<u8>, KernelError> {
        let value = TestHost::new().run(kernel, Value::from_vec(bytes.to_vec()), Value::Undefined)?;
        Ok(value.as_array().and_then(Array::bytes).unwrap().to_vec())
    }

    /// A frame by the crate's own encoder with other settings than ours.
    fn frame(info: FrameInfo, parts: &[&[u8]]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        for part in parts {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn our_frames_begin_as_the_format_says() {
        let packed = run(&Lz4, b"abc").unwrap();
        assert_eq!(packed[..4], [0x04, 0x22, 0x4d, 0x18]);
        // Version 1, independent blocks, content size, content checksum; blocks of 64 KiB.
        assert_eq!(packed[4..6], [0b0110_1100, 0x40]);
        assert_eq!(packed[6..14], 3u64.to_le_bytes());
        // A block stored as it is, the end mark, and the published xxHash32 of "abc", 0x32d153ff.
        assert_eq!(packed[15..], [3, 0, 0, 0x80, b'a', b'b', b'c', 0, 0, 0, 0, 0xff, 0x53, 0xd1, 0x32][..]);
    }

    #[test]
    fn all_kinds_of_frames_are_read() {
        let text: Vec<u8> = (0..200_000u32).map(|index| (index / 3 % 97) as u8).collect();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                for checksums in [false, true] {
                    let info = FrameInfo::new().block_mode(mode).block_size(size).block_checksums(checksums);
                    let packed = frame(info.content_checksum(checksums), &[&text[..77_777], &text[77_777..]]);
                    assert_eq!(run(&Unlz4, &packed).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn frames_follow_each_other_and_may_be_skippable() {
        let skippable = [0x5f, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let (one, none, two) =
            (run(&Lz4, b"abc").unwrap(), run(&Lz4, b"").unwrap(), run(&Lz4, b"def").unwrap());
        let all = [&one[..], &skippable, &none, &two, &skippable].concat();
        assert_eq!(run(&Unlz4, &all).unwrap(), b"abcdef");
    }

    #[test]
    fn an_empty_block_does_not_end_a_frame() {
        // Header without sizes and checksums (its own check byte is 0x82), an empty stored block, one of three
        // bytes, and the end mark.
        let mut packed = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0x80, 3, 0, 0, 0x80];
        packed.extend_from_slice(b"abc\0\0\0\0");
        assert_eq!(run(&Unlz4, &packed).unwrap(), b"abc");
    }

    #[test]
    fn a_damaged_header_is_told_as_that() {
        let packed = run(&Lz4, &vec![0; 5000]).unwrap();
        for at in 4..15 {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x80;
            assert_eq!(run(&Unlz4, &damaged).unwrap_err().code, ErrorCode::CorruptData, "byte {at}");
        }
    }

    #[test]
    fn the_size_in_the_header_is_held_against_the_limit_at_once() {
        let packed = run(&Lz4, &vec![0; 5000]).unwrap();
        let host = TestHost::new();
        let options = Value::object([("maxOutputLength", Value::Number(4999.0))]);
        let error = host.run(&Unlz4, Value::from_vec(packed), options).unwrap_err();
        assert_eq!((error.code, host.checks()), (ErrorCode::OutputTooLarge, 0));
    }

    #[test]
    fn damage_and_garbage_are_corrupt_data() {
        let good = run(&Lz4, b"abcabcabcabc").unwrap();
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for bad in [damaged, [&good[..], b"garbage"].concat(), b"\x02\x21\x4c\x18\0\0\0\0".to_vec()] {
            assert_eq!(run(&Unlz4, &bad).unwrap_err().code, ErrorCode::CorruptData);
        }
    }
}
