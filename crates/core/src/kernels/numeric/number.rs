//! Stage: run. Thread: native workers.
//! The twelve element kinds as numbers: their value as a double, and an unsigned key with the order of
//! `TypedArray.prototype.sort`.
//!
//! O1. For all elements a and b: a sorts before b if and only if key(a) < key(b). -0 comes before 0, NaN after
//! everything. All NaN of one payload have one key: their sign is dropped, as JavaScript cannot see it.

use super::zeroed;
use crate::error::KernelError;
use crate::kernel::KernelContext;
use crate::value::{Array, Element};
use bytemuck::{Pod, Zeroable};

/// Elements that are read and converted at once: two buffers of this size stay in the first cache.
pub(super) const BLOCK: usize = 1024;

/// One element kind.
pub(super) trait Number {
    /// How an element is stored.
    type Raw: Element + Pod;
    /// Unsigned and as wide as `Raw`.
    type Key: Key;
    /// The value; integers beyond 2^53 are rounded to the nearest double.
    fn to_f64(raw: Self::Raw) -> f64;
    /// O1.
    fn key(raw: Self::Raw) -> Self::Key;
    /// The inverse of [`Number::key`], up to the sign of a NaN.
    fn from_key(key: Self::Key) -> Self::Raw;
}

/// An unsigned integer.
pub(super) trait Key: Pod + Ord + Send + Sync {
    /// Widened.
    fn to_u64(self) -> u64;
    /// The low bits.
    fn from_u64(wide: u64) -> Self;
    /// The key that orders the other way round.
    #[must_use]
    fn reversed(self) -> Self;
}

macro_rules! keys {
    ($($key:ty)*) => {$(
        impl Key for $key {
            fn to_u64(self) -> u64 { u64::from(self) }
            fn from_u64(wide: u64) -> Self { wide as Self }
            fn reversed(self) -> Self { !self }
        }
    )*};
}
keys!(u8 u16 u32 u64);

macro_rules! integers {
    ($($name:ident, $raw:ty, $key:ty, $flip:expr;)*) => {$(
        /// The kind of this name.
        pub(super) struct $name;
        impl Number for $name {
            type Raw = $raw;
            type Key = $key;
            fn to_f64(raw: $raw) -> f64 { raw as f64 }
            fn key(raw: $raw) -> $key { (raw as $key) ^ $flip }
            fn from_key(key: $key) -> $raw { (key ^ $flip) as $raw }
        }
    )*};
}
integers! {
    I8, i8, u8, 1 << 7;
    U8, u8, u8, 0;
    I16, i16, u16, 1 << 15;
    U16, u16, u16, 0;
    I32, i32, u32, 1 << 31;
    U32, u32, u32, 0;
    I64, i64, u64, 1 << 63;
    U64, u64, u64, 0;
}

macro_rules! floats {
    ($($name:ident, $raw:ty, $key:ty, $infinity:expr, $bits:expr, $value:expr, $double:expr;)*) => {$(
        /// The kind of this name.
        pub(super) struct $name;
        impl Number for $name {
            type Raw = $raw;
            type Key = $key;
            fn to_f64(raw: $raw) -> f64 { $double(raw) }
            fn key(raw: $raw) -> $key {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                let bits: $key = $bits(raw);
                let magnitude = bits & !SIGN;
                let bits = if magnitude > $infinity { magnitude } else { bits };
                if bits & SIGN == 0 { bits | SIGN } else { !bits }
            }
            fn from_key(key: $key) -> $raw {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                $value(if key & SIGN == 0 { !key } else { key ^ SIGN })
            }
        }
    )*};
}
floats! {
    F16, u16, u16, 0x7c00, std::convert::identity, std::convert::identity, half_to_f64;
    F32, f32, u32, 0x7f80_0000, f32::to_bits, f32::from_bits, f64::from;
    F64, f64, u64, 0x7ff0_0000_0000_0000, f64::to_bits, f64::from_bits, std::convert::identity;
}

/// The value of an IEEE 754 binary16.
fn half_to_f64(bits: u16) -> f64 {
    let mantissa = u64::from(bits & 0x3ff);
    let magnitude = match (bits >> 10) & 0x1f {
        0 => mantissa as f64 / f64::from(1 << 24),
        0x1f => f64::from_bits(0x7ff << 52 | mantissa << 42),
        exponent => f64::from_bits((u64::from(exponent) + 1023 - 15) << 52 | mantissa << 42),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

/// Runs `$body` with the type `$name` standing for the element kind `$kind`.
macro_rules! with_number {
    ($kind:expr, $name:ident => $body:expr) => {{
        use $crate::kernels::numeric::number as kinds;
        use $crate::value::ElementKind;
        macro_rules! arm {
            ($type:ident) => {{
                type $name = kinds::$type;
                $body
            }};
        }
        match $kind {
            ElementKind::I8 => arm!(I8),
            ElementKind::U8 | ElementKind::U8Clamped => arm!(U8),
            ElementKind::I16 => arm!(I16),
            ElementKind::U16 => arm!(U16),
            ElementKind::I32 => arm!(I32),
            ElementKind::U32 => arm!(U32),
            ElementKind::F32 => arm!(F32),
            ElementKind::F64 => arm!(F64),
            ElementKind::I64 => arm!(I64),
            ElementKind::U64 => arm!(U64),
            ElementKind::F16 => arm!(F16),
        }
    }};
}
pub(super) use with_number;

/// Copies the elements from `start` on into `into`, whatever the memory.
pub(super) fn read<T: Pod>(array: &Array, start: usize, into: &mut [T]) {
    array.read_bytes(start * size_of::<T>(), bytemuck::cast_slice_mut(into));
}

/// Converts the elements from `start` on to doubles; at most [`BLOCK`] of them.
pub(super) fn read_f64(array: &Array, start: usize, into: &mut [f64]) {
    with_number!(array.kind(), N => {
        let mut raw = [<N as Number>::Raw::zeroed(); BLOCK];
        let raw = &mut raw[..into.len()];
        read(array, start, raw);
        for (double, raw) in into.iter_mut().zip(raw) {
            *double = N::to_f64(*raw);
        }
    });
}

/// Calls `body` with the doubles of the range, block by block.
pub(super) fn for_each_block(array: &Array, range: std::ops::Range<usize>, mut body: impl FnMut(&[f64])) {
    let mut buffer = [0.0; BLOCK];
    let mut start = range.start;
    while start < range.end {
        let size = BLOCK.min(range.end - start);
        read_f64(array, start, &mut buffer[..size]);
        body(&buffer[..size]);
        start += size;
    }
}

/// The same array in memory that only we can reach. Shared memory is copied with cancel checks, the rest is kept.
pub(super) fn local(array: Array, ctx: &KernelContext<'_>) -> Result<Array, KernelError> {
    const STEP: usize = 1 << 20;
    if !array.is_shared() {
        return Ok(array);
    }
    with_number!(array.kind(), N => {
        let mut items: Vec<<N as Number>::Raw> = zeroed(array.len())?;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut items);
        for (index, chunk) in bytes.chunks_mut(STEP).enumerate() {
            ctx.check()?;
            array.read_bytes(index * STEP, chunk);
        }
        Ok(Array::from_vec(items).with_kind(array.kind()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Detached;
    use crate::kernels::testing::SharedMemory;
    use crate::value::{ElementKind, Value};

    #[test]
    fn halves_have_the_values_of_ieee_754() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half_to_f64(bits).to_bits(), f64::to_bits(value), "{bits:#06x}");
        }
        assert!(half_to_f64(0x7e00).is_nan() && half_to_f64(0xfc01).is_nan());
    }

    #[test]
    fn o1_keys_of_all_halves_follow_their_values() {
        for bits in 0..=u16::MAX {
            let value = half_to_f64(bits);
            let key = F16::key(bits);
            if value.is_nan() {
                assert!(key > F16::key(0x7c00));
                assert_eq!(F16::from_key(key), bits & 0x7fff);
            } else {
                assert_eq!(F16::from_key(key), bits);
                assert_eq!(key.cmp(&F16::key(0x3c01)), value.total_cmp(&half_to_f64(0x3c01)));
                assert_eq!(F64::key(value).cmp(&F64::key(-0.5)), value.total_cmp(&-0.5));
            }
        }
    }

    #[test]
    fn o1_keys_follow_the_values_at_the_edges() {
        let floats = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.0,
            -f64::from_bits(1),
            -0.0,
            0.0,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::INFINITY,
        ];
        assert!(floats.map(F64::key).is_sorted_by(|a, b| a < b));
        assert_eq!(floats.map(|value| F64::from_key(F64::key(value)).to_bits()), floats.map(f64::to_bits));
        for nan in [f64::NAN, -f64::NAN, f64::from_bits(u64::MAX)] {
            assert!(F64::key(nan) > F64::key(f64::INFINITY));
            assert!(F32::key(nan as f32) > F32::key(f32::INFINITY));
        }
        assert!([i64::MIN, -1, 0, 1, i64::MAX].map(I64::key).is_sorted_by(|a, b| a < b));
        assert!([i8::MIN, -1, 0, 1, i8::MAX].map(I8::key).is_sorted_by(|a, b| a < b));
        assert_eq!(
            [i16::MIN, -1, 0, i16::MAX].map(|value| I16::from_key(I16::key(value))),
            [i16::MIN, -1, 0, i16::MAX]
        );
        assert_eq!(u64::MAX, U64::key(u64::MAX));
    }

    #[test]
    fn shared_memory_is_copied_and_keeps_its_kind() {
        let source = Array::from_vec((0..3000u16).collect()).with_kind(ElementKind::F16);
        let memory = SharedMemory::copy_of(&source);
        let Value::Array(view) = memory.view() else { unreachable!() };
        let copy = local(view, &KernelContext::new(&Detached)).unwrap();
        assert_eq!(copy.kind(), ElementKind::F16);
        assert_eq!(copy.bytes(), source.bytes());
        let mut doubles = Vec::new();
        for_each_block(&copy, 1..2999, |block| doubles.extend_from_slice(block));
        assert!(doubles.iter().zip(1..2999u16).all(|(double, bits)| *double == half_to_f64(bits)));
        assert_eq!(doubles.len(), 2998);
    }
}
