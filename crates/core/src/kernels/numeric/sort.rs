//! Stage: run. Thread: native workers.
//! `sort`: the order of `TypedArray.prototype.sort`, in place.

use super::number::{Key, Number, local, with_number};
use super::split::{GRAIN, Meter, for_parts, map_parts, shares};
use super::{ANY_NUMBERS, flag, merge, numbers};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::{Array, Value};

/// Sorts numbers.
///
/// # Complexity
///
/// O(n log n) over all threads with n elements of scratch memory; O(n) without scratch memory for elements of one or
/// two bytes.
///
/// # Source
///
/// Elements become unsigned keys of the same order and width; see `merge.rs`, and for narrow keys counting sort
/// (H. Seward, 1954).
#[derive(Debug)]
pub(super) struct Sort;

static INFO: KernelInfo = KernelInfo {
    name: "sort",
    group: "numeric",
    summary: "Sorts a typed array in the order of TypedArray.prototype.sort.",
    input: ANY_NUMBERS,
    options: &[Field::optional("descending", Schema::Boolean)],
    output: "T",
    in_place: true,
    parallel: true,
};

impl Kernel for Sort {
    fn info(&self) -> &'static KernelInfo {
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let descending = flag(&input.options, "descending")?;
        let array = numbers(input.value, "the input")?;
        ctx.check()?;
        let mut array = local(array, ctx)?;
        with_number!(array.kind(), N => sort::<N>(&mut array, descending, ctx))?;
        Ok(Value::Array(array))
    }
}

fn sort<N: Number>(array: &mut Array, descending: bool, ctx: &KernelContext<'_>) -> Result<(), KernelError> {
    let Some(items) = array.as_mut_slice::<N::Raw>() else { return Ok(()) };
    let keys: &mut [N::Key] = bytemuck::cast_slice_mut(items);
    let narrow = size_of::<N::Key>() <= 2 && keys.len() > GRAIN;
    let sorting = if narrow { keys.len().saturating_mul(2) } else { merge::work::<N::Key>(keys.len()) };
    let meter = Meter::new(ctx, sorting.saturating_add(keys.len().saturating_mul(2)));
    for_parts(ctx, keys.chunks_mut(GRAIN), |_, part| {
        for key in &mut *part {
            let ordered = N::key(bytemuck::cast(*key));
            *key = if descending { ordered.reversed() } else { ordered };
        }
        meter.add(part.len());
    })?;
    if narrow {
        count(keys, ctx, &meter)?;
    } else {
        merge::sort(keys, ctx, &meter)?;
    }
    for_parts(ctx, keys.chunks_mut(GRAIN), |_, part| {
        for key in &mut *part {
            let ordered = if descending { key.reversed() } else { *key };
            *key = bytemuck::cast(N::from_key(ordered));
        }
        meter.add(part.len());
    })
}

/// Sorts keys of one or two bytes by counting them.
fn count<K: Key>(keys: &mut [K], ctx: &KernelContext<'_>, meter: &Meter<'_>) -> Result<(), KernelError> {
    let values = 1usize << (8 * size_of::<K>());
    let source = &*keys;
    let tables = map_parts(ctx, shares(ctx, source.len(), GRAIN), |_, range| {
        let mut table = vec![0usize; values];
        for part in source[range].chunks(GRAIN) {
            if ctx.is_cancelled() {
                break;
            }
            for key in part {
                table[key.to_u64() as usize] += 1;
            }
            meter.add(part.len());
        }
        table
    })?;
    // ends[v] is the number of keys up to and including v.
    let mut ends = vec![0usize; values];
    for table in tables {
        ends.iter_mut().zip(table).for_each(|(end, count)| *end += count);
    }
    let mut below = 0;
    for end in &mut ends {
        below += *end;
        *end = below;
    }
    for_parts(ctx, keys.chunks_mut(GRAIN), |index, part| {
        meter.add(part.len());
        let mut at = index * GRAIN;
        let mut value = ends.partition_point(|&end| end <= at);
        let mut rest = part;
        while !rest.is_empty() {
            let (run, later) = rest.split_at_mut((ends[value] - at).min(rest.len()));
            run.fill(K::from_u64(value as u64));
            at += run.len();
            rest = later;
            value += 1;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{SharedMemory, TestHost, assert_cancels};
    use crate::value::{Element, ElementKind};

    fn descending() -> Value {
        Value::object([("descending", Value::Bool(true))])
    }

    fn sorted<T: Element>(host: &TestHost, items: Vec<T>, options: Value) -> Vec<T> {
        let Value::Array(array) = host.run(&Sort, Value::from_vec(items), options).unwrap() else {
            unreachable!()
        };
        array.into_vec().unwrap()
    }

    fn scrambled(len: usize) -> impl Iterator<Item = u64> {
        (0..len as u64).map(|at| (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
    }

    #[test]
    fn floats_have_the_order_of_javascript() {
        let items = vec![f64::NAN, 1.0, f64::INFINITY, -f64::NAN, 0.0, -0.0, -1.5, f64::NEG_INFINITY];
        let up = sorted(&TestHost::new(), items.clone(), Value::Undefined);
        assert_eq!(
            up[..6].iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
            [
                f64::NEG_INFINITY.to_bits(),
                (-1.5f64).to_bits(),
                (-0.0f64).to_bits(),
                0,
                1.0f64.to_bits(),
                f64::INFINITY.to_bits(),
            ]
        );
        assert!(up[6].is_nan() && up[7].is_nan());
        let down = sorted(&TestHost::new(), items, descending());
        assert!(up.iter().rev().map(|value| value.to_bits()).eq(down.iter().map(|value| value.to_bits())));
    }

    macro_rules! like_the_standard_library {
        ($($type:ty)*) => {$(
            for (len, threads) in [(0, 1), (1, 1), (1000, 1), (70_000, 1), (70_000, 3), (400_001, 3)] {
                let items: Vec<$type> = scrambled(len).map(|value| value as $type).collect();
                let mut expected = items.clone();
                expected.sort_unstable();
                let host = TestHost::with_threads(threads);
                assert!(sorted(&host, items.clone(), Value::Undefined) == expected);
                expected.reverse();
                assert!(sorted(&host, items, descending()) == expected);
            }
        )*};
    }

    #[test]
    fn integers_sort_like_the_standard_library() {
        like_the_standard_library!(i8 u8 i16 u16 i32 u32 i64 u64);
    }

    #[test]
    fn single_floats_sort_by_total_order() {
        let items: Vec<f32> = scrambled(300_000).map(|value| f32::from_bits(value as u32)).collect();
        let mut expected: Vec<f32> =
            items.iter().map(|value| if value.is_nan() { f32::NAN } else { *value }).collect();
        expected.sort_unstable_by(f32::total_cmp);
        let result = sorted(&TestHost::with_threads(2), items, Value::Undefined);
        assert!(
            result.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
        );
    }

    #[test]
    fn skewed_bytes_are_counted() {
        let mut items = vec![7u8; 200_000];
        items[3] = 255;
        items[150_000] = 0;
        let result = sorted(&TestHost::with_threads(2), items, Value::Undefined);
        assert_eq!((result[0], result[1], result[199_998], result[199_999]), (0, 7, 7, 255));
    }

    #[test]
    fn halves_and_clamped_bytes_keep_their_kind() {
        for kind in [ElementKind::F16, ElementKind::U8Clamped] {
            let bits: Vec<u16> = vec![0x3c00, 0xbc00, 0x7e00, 0x8000, 0x0000];
            let array = Array::copy_from(kind, bytemuck::cast_slice(&bits));
            let Value::Array(result) =
                TestHost::new().run(&Sort, Value::Array(array), Value::Undefined).unwrap()
            else {
                unreachable!()
            };
            assert_eq!(result.kind(), kind);
            if kind == ElementKind::F16 {
                assert_eq!(result.as_slice::<u16>(), Some(&[0xbc00, 0x8000, 0x0000, 0x3c00, 0x7e00][..]));
            }
        }
    }

    #[test]
    fn private_memory_is_sorted_where_it_is() {
        let mut memory: Vec<f32> = scrambled(200_000).map(|value| (value % 1000) as f32).collect();
        let pointer: *mut u8 = memory.as_mut_ptr().cast();
        #[expect(unsafe_code, reason = "stands in for the binding")]
        // SAFETY: the vector outlives the array and is not touched meanwhile.
        let array = unsafe { Array::from_private(ElementKind::F32, pointer, memory.len() * 4, 9) };
        let Value::Array(result) = TestHost::new().run(&Sort, Value::Array(array), Value::Undefined).unwrap()
        else {
            unreachable!()
        };
        assert_eq!(result.private(), Some((9, pointer)));
        drop(result);
        assert!(memory.is_sorted());
    }

    #[test]
    fn shared_memory_is_left_alone() {
        let memory = SharedMemory::copy_of(&Array::from_vec(vec![3i16, -1, 2]));
        let Value::Array(result) = TestHost::new().run(&Sort, memory.view(), Value::Undefined).unwrap()
        else {
            unreachable!()
        };
        assert_eq!(result.into_vec::<i16>(), Some(vec![-1, 2, 3]));
        let Value::Array(source) = memory.view() else { unreachable!() };
        assert_eq!(source.into_vec::<i16>(), Some(vec![3, -1, 2]));
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&Sort, 10, || {
            (Value::from_vec(scrambled(300_000).collect::<Vec<u64>>()), Value::Undefined)
        });
        assert_cancels(&Sort, 10, || {
            (
                Value::from_vec(scrambled(300_000).map(|value| value as u8).collect::<Vec<_>>()),
                Value::Undefined,
            )
        });
    }

    #[test]
    fn a_wrong_option_is_an_error() {
        let options = Value::object([("descending", Value::Number(1.0))]);
        let error = TestHost::new().run(&Sort, Value::from_vec(vec![1u8]), options).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgType);
    }
}
