//! Stage: run. Thread: native workers.
//! `argsort`: the indices that would sort an array; equal elements keep the order of their indices.

use super::number::{BLOCK, Key, Number, read, with_number};
use super::split::{GRAIN, Meter, for_parts};
use super::{ANY_NUMBERS, flag, merge, numbers, zeroed};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Value};
use bytemuck::{Pod, Zeroable};

/// Finds the order of numbers.
///
/// # Complexity
///
/// O(n log n) over all threads; 16 bytes of scratch memory per element, 32 for elements of eight bytes.
///
/// # Source
///
/// Key and index in one integer, the key on top, sorted as plain integers: no two are equal, and that makes it stable.
#[derive(Debug)]
pub(super) struct Argsort;

static INFO: KernelInfo = KernelInfo {
    name: "argsort",
    group: "numeric",
    summary: "Gives the indices that would sort a typed array; equal elements keep their order.",
    input: ANY_NUMBERS,
    options: &[Field::optional("descending", Schema::Boolean)],
    output: "Uint32Array",
    in_place: false,
    parallel: true,
};

impl Kernel for Argsort {
    fn info(&self) -> &'static KernelInfo {
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let descending = flag(&input.options, "descending")?;
        let array = numbers(input.value, "the input")?;
        check_len(array.len())?;
        ctx.check()?;
        let indices = with_number!(array.kind(), N => if size_of::<<N as Number>::Key>() <= 4 {
            argsort::<N, u64>(&array, descending, ctx)
        } else {
            argsort::<N, u128>(&array, descending, ctx)
        })?;
        Ok(Value::from_vec(indices))
    }
}

fn check_len(len: usize) -> Result<(), KernelError> {
    if u32::try_from(len).is_ok() {
        return Ok(());
    }
    Err(KernelError::out_of_range(format!("argsort takes at most {} elements; there are {len}", u32::MAX)))
}

/// An integer with room for a key and an index below it.
trait Packed: Pod + Ord + Send + Sync {
    fn pack(key: u64, index: u32) -> Self;
    fn index(self) -> u32;
}

impl Packed for u64 {
    fn pack(key: u64, index: u32) -> Self {
        key << 32 | Self::from(index)
    }
    fn index(self) -> u32 {
        self as u32
    }
}

impl Packed for u128 {
    fn pack(key: u64, index: u32) -> Self {
        Self::from(key) << 32 | Self::from(index)
    }
    fn index(self) -> u32 {
        self as u32
    }
}

fn argsort<N: Number, P: Packed>(
    array: &Array,
    descending: bool,
    ctx: &KernelContext<'_>,
) -> Result<Vec<u32>, KernelError> {
    let len = array.len();
    let meter = Meter::new(ctx, merge::work::<P>(len).saturating_add(2 * len));
    let mut packed = zeroed::<P>(len)?;
    for_parts(ctx, packed.chunks_mut(GRAIN), |part_index, part| {
        let mut raw = [N::Raw::zeroed(); BLOCK];
        for (block_index, block) in part.chunks_mut(BLOCK).enumerate() {
            let start = part_index * GRAIN + block_index * BLOCK;
            read(array, start, &mut raw[..block.len()]);
            for (offset, (slot, raw)) in block.iter_mut().zip(&raw).enumerate() {
                let key = N::key(*raw);
                let key = if descending { key.reversed() } else { key };
                *slot = P::pack(key.to_u64(), (start + offset) as u32);
            }
        }
        meter.add(part.len());
    })?;
    merge::sort(&mut packed, ctx, &meter)?;
    let mut indices = zeroed::<u32>(len)?;
    for_parts(ctx, indices.chunks_mut(GRAIN).zip(packed.chunks(GRAIN)), |_, (indices, packed)| {
        indices.iter_mut().zip(packed).for_each(|(index, packed)| *index = packed.index());
        meter.add(indices.len());
    })?;
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::Element;

    fn order<T: Element>(threads: usize, items: &[T], descending: bool) -> Vec<u32> {
        let options = Value::object([("descending", Value::Bool(descending))]);
        let input = Value::from_vec(items.to_vec());
        let Value::Array(array) = TestHost::with_threads(threads).run(&Argsort, input, options).unwrap()
        else {
            unreachable!()
        };
        array.into_vec().unwrap()
    }

    #[test]
    fn ties_keep_the_order_of_their_indices_both_ways() {
        assert_eq!(order(1, &[2i32, 1, 2, 1, 3], false), [1, 3, 0, 2, 4]);
        assert_eq!(order(1, &[2i32, 1, 2, 1, 3], true), [4, 0, 2, 1, 3]);
        assert_eq!(order(1, &[f64::NAN, 0.0, -0.0, -f64::NAN, -1.0], false), [4, 2, 1, 0, 3]);
        assert_eq!(order(1, &[f64::NAN, 0.0, -0.0, -f64::NAN, -1.0], true), [0, 3, 1, 2, 4]);
        assert!(order::<u8>(1, &[], false).is_empty());
    }

    #[test]
    fn long_inputs_are_stable_on_any_number_of_threads() {
        let items: Vec<i64> = (0..200_000i64).map(|at| at * 7919 % 1013 - 500).collect();
        let mut expected: Vec<u32> = (0..200_000).collect();
        expected.sort_by_key(|&at| items[at as usize]);
        let mut expected_down: Vec<u32> = (0..200_000).collect();
        expected_down.sort_by_key(|&at| -items[at as usize]);
        let narrow: Vec<i16> = items.iter().map(|&item| item as i16).collect();
        for threads in [1, 4] {
            assert!(order(threads, &items, false) == expected);
            assert!(order(threads, &items, true) == expected_down);
            assert!(order(threads, &narrow, false) == expected);
            assert!(order(threads, &narrow, true) == expected_down);
        }
    }

    #[test]
    fn shared_memory_is_read() {
        let memory = SharedMemory::copy_of(&Array::from_vec(vec![0.5f32, -0.5, 0.0]));
        let Value::Array(result) = TestHost::new().run(&Argsort, memory.view(), Value::Undefined).unwrap()
        else {
            unreachable!()
        };
        assert_eq!(result.into_vec::<u32>(), Some(vec![1, 2, 0]));
    }

    #[test]
    fn too_many_elements_are_out_of_range() {
        assert_eq!(check_len(u32::MAX as usize), Ok(()));
        if let Some(len) = (u32::MAX as usize).checked_add(1) {
            assert_eq!(check_len(len).unwrap_err().code, ErrorCode::OutOfRange);
        }
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&Argsort, 8, || {
            (
                Value::from_vec((0..200_000u32).map(|at| at.wrapping_mul(2_654_435_769)).collect()),
                Value::Undefined,
            )
        });
    }
}
