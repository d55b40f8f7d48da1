//! Stage: submit and settle. Thread: owner env only.
//! JavaScript values to core values and back.
//!
//! Y1. Every typed array that comes in is private (the JavaScript side has copied it, or has moved it out of the
//!     caller's reach) or lies in a `SharedArrayBuffer`. It is kept alive in the slot's list until the task is released.
//! Y2. Memory that comes back as the same private region becomes a view over the same engine buffer; everything else
//!     is copied into a buffer of the engine.

#![expect(unsafe_code, reason = "raw Node-API calls and memory of the engine")]

use crate::raw::{self, Fault, Raw, check};
use napi::sys;
use std::borrow::Cow;
use std::ptr;
use threadmill_core::value::{Array, ElementKind, Value};

/// The buffers of one task that must stay alive while it may touch them.
pub(crate) struct Keep {
    /// The JavaScript array of arrays, by slot.
    pub(crate) held: sys::napi_value,
    pub(crate) slot: u32,
    /// Whether small memory is copied instead of kept: then nobody has to wait for the task when the env ends.
    pub(crate) copy_small: bool,
    /// Whether private memory is copied in any case, so that the input can be had again.
    pub(crate) copies: bool,
    is_private: bool,
    list: Option<(sys::napi_value, u32)>,
}

impl Keep {
    pub(crate) fn new(held: sys::napi_value, slot: u32) -> Self {
        Self { held, slot, copy_small: false, copies: false, is_private: false, list: None }
    }

    /// Whether the task holds memory of the engine.
    pub(crate) fn is_used(&self) -> bool {
        self.list.is_some()
    }

    /// Whether some of it is private: the task changes it.
    pub(crate) fn is_private(&self) -> bool {
        self.is_private
    }

    fn push(&mut self, env: sys::napi_env, value: sys::napi_value) -> Raw<u32> {
        let (list, length) = if let Some(list) = self.list {
            list
        } else {
            let list = raw::new_array(env, 0)?;
            raw::set_element(env, self.held, self.slot, list)?;
            (list, 0)
        };
        // Not set: a setter that somebody has given to all arrays would get it, and nothing would keep the memory.
        set_own(env, list, &length.to_string(), value)?;
        self.list = Some((list, length + 1));
        Ok(length)
    }
}

/// Memory below this size, in bytes, is cheap to copy.
const SMALL: usize = 64 * 1024;

/// How deep a value may be nested.
const MAX_DEPTH: u32 = 32;

/// Reads a value of that type, which is neither an array nor an object.
pub(crate) fn primitive(env: sys::napi_env, value: sys::napi_value, kind: sys::napi_valuetype) -> Raw<Value> {
    use sys::ValueType as T;
    Ok(match kind {
        T::napi_undefined => Value::Undefined,
        T::napi_null => Value::Null,
        T::napi_boolean => Value::Bool(raw::boolean(env, value)?),
        T::napi_number => Value::Number(raw::number(env, value)?),
        T::napi_string => Value::String(raw::string(env, value)?),
        T::napi_bigint => Value::BigInt(bigint(env, value)?),
        _ => return Err(Fault(sys::Status::napi_invalid_arg)),
    })
}

/// Reads a value that the JavaScript side has prepared (Y1).
pub(crate) fn decode(env: sys::napi_env, value: sys::napi_value, keep: &mut Keep, depth: u32) -> Raw<Value> {
    let kind = raw::type_of(env, value)?;
    Ok(match kind {
        sys::ValueType::napi_object if depth < MAX_DEPTH => {
            if raw::is_typed_array(env, value)? {
                Value::Array(decode_view(env, value, keep)?)
            } else if raw::is_array(env, value)? {
                let length = raw::array_length(env, value)?;
                let mut items = raw::memory_for(length as usize)?;
                for index in 0..length {
                    items.push(raw::scoped(env, || {
                        decode(env, raw::element(env, value, index)?, keep, depth + 1)
                    })?);
                }
                Value::List(items)
            } else {
                decode_object(env, value, keep, depth)?
            }
        }
        _ => primitive(env, value, kind)?,
    })
}

fn bigint(env: sys::napi_env, value: sys::napi_value) -> Raw<i128> {
    let (mut word, mut lossless) = (0i64, false);
    // SAFETY: `value` is a bigint of the current scope.
    check(unsafe { sys::napi_get_value_bigint_int64(env, value, &raw mut word, &raw mut lossless) })?;
    if lossless {
        return Ok(i128::from(word));
    }
    let mut unsigned = 0u64;
    // SAFETY: as above.
    check(unsafe { sys::napi_get_value_bigint_uint64(env, value, &raw mut unsigned, &raw mut lossless) })?;
    if lossless { Ok(i128::from(unsigned)) } else { Err(Fault(sys::Status::napi_invalid_arg)) }
}

fn decode_object(env: sys::napi_env, value: sys::napi_value, keep: &mut Keep, depth: u32) -> Raw<Value> {
    let mut names = ptr::null_mut();
    // SAFETY: `value` is an object of the current scope. Own enumerable string keys only.
    check(unsafe {
        sys::napi_get_all_property_names(
            env,
            value,
            sys::KeyCollectionMode::own_only,
            sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
            sys::KeyConversion::numbers_to_strings,
            &raw mut names,
        )
    })?;
    let count = raw::array_length(env, names)?;
    let mut entries = raw::memory_for(count as usize)?;
    for index in 0..count {
        let name = raw::element(env, names, index)?;
        let mut member = ptr::null_mut();
        // SAFETY: both belong to the current scope.
        check(unsafe { sys::napi_get_property(env, value, name, &raw mut member) })?;
        entries.push((Cow::Owned(raw::string(env, name)?), decode(env, member, keep, depth + 1)?));
    }
    Ok(Value::Object(entries))
}

/// The element kind of a Node-API typed array type.
pub(crate) fn kind_of(kind: sys::napi_typedarray_type) -> Option<ElementKind> {
    Some(match kind {
        0 => ElementKind::I8,
        1 => ElementKind::U8,
        2 => ElementKind::U8Clamped,
        3 => ElementKind::I16,
        4 => ElementKind::U16,
        5 => ElementKind::I32,
        6 => ElementKind::U32,
        7 => ElementKind::F32,
        8 => ElementKind::F64,
        9 => ElementKind::I64,
        10 => ElementKind::U64,
        11 => ElementKind::F16,
        _ => return None,
    })
}

fn decode_view(env: sys::napi_env, value: sys::napi_value, keep: &mut Keep) -> Raw<Array> {
    let view = raw::view(env, value)?;
    let kind = kind_of(view.kind).ok_or(Fault(sys::Status::napi_invalid_arg))?;
    let byte_len = view.length * kind.size();
    if byte_len == 0 {
        return Ok(Array::copy_from(kind, &[]));
    }
    let data: *mut u8 = view.data.cast();
    let private = raw::is_array_buffer(env, view.buffer)?;
    let misaligned = data.align_offset(kind.size()) != 0;
    if private && (misaligned || keep.copies || keep.copy_small && byte_len < SMALL) {
        // Only memory that another addon brought in can be misaligned.
        // SAFETY: the engine says that there are that many bytes, and they are private (Y1).
        return raw::copied(kind, unsafe { std::slice::from_raw_parts(data, byte_len) });
    }
    Ok(if private {
        let token = keep.push(env, view.buffer)?;
        keep.is_private = true;
        // SAFETY: private by Y1, kept alive by the list until the task is released.
        unsafe { Array::from_private(kind, data, byte_len, token) }
    } else {
        if misaligned {
            return Err(Fault(sys::Status::napi_invalid_arg));
        }
        keep.push(env, value)?;
        // SAFETY: shared memory never moves or shrinks, and the list keeps it alive.
        unsafe { Array::from_shared(kind, data, byte_len) }
    })
}

/// Makes a JavaScript value. `held` is the list of the task's buffers, for Y2.
pub(crate) fn encode(
    env: sys::napi_env,
    value: &Value,
    held: Option<sys::napi_value>,
) -> Raw<sys::napi_value> {
    let mut out = ptr::null_mut();
    match value {
        Value::Undefined => return raw::undefined(env),
        Value::Null => return raw::null(env),
        Value::Bool(flag) => return raw::new_boolean(env, *flag),
        Value::Number(number) => return raw::new_number(env, *number),
        Value::String(text) => return raw::new_string(env, text),
        Value::Text(text) => return raw::new_text(env, text),
        Value::BigInt(number) => out = encode_bigint(env, *number)?,
        Value::Array(array) => out = encode_array(env, array, held)?,
        // JavaScript gets a key, and opens it (src/moves.rs).
        Value::Foreign(_) => return Err(Fault(sys::Status::napi_invalid_arg)),
        Value::Words(words) => out = encode_array(env, &Array::from_vec(words.to_vec()), None)?,
        Value::List(items) => {
            out = raw::new_array(env, items.len())?;
            for (index, item) in items.iter().enumerate() {
                raw::scoped(env, || raw::set_element(env, out, index as u32, encode(env, item, held)?))?;
            }
        }
        Value::Object(entries) => {
            // SAFETY: plain creation.
            check(unsafe { sys::napi_create_object(env, &raw mut out) })?;
            for (name, item) in entries {
                set_own(env, out, name, encode(env, item, held)?)?;
            }
        }
        Value::Rows { keys, cells } => {
            out = raw::new_array(env, cells.len() / keys.len().max(1))?;
            let names = keys.iter().map(|key| raw::new_string(env, key)).collect::<Raw<Vec<_>>>()?;
            let mut members: Vec<_> =
                names.into_iter().map(|name| own_property(name, ptr::null_mut())).collect();
            for (index, row) in cells.chunks_exact(keys.len().max(1)).enumerate() {
                raw::scoped(env, || {
                    let mut object = ptr::null_mut();
                    // SAFETY: plain creation.
                    check(unsafe { sys::napi_create_object(env, &raw mut object) })?;
                    for (member, cell) in members.iter_mut().zip(row) {
                        member.value = raw::new_number(env, *cell)?;
                    }
                    // SAFETY: so many descriptors, names of the outer scope and values of the current one.
                    check(unsafe {
                        sys::napi_define_properties(env, object, members.len(), members.as_ptr())
                    })?;
                    raw::set_element(env, out, index as u32, object)
                })?;
            }
        }
    }
    Ok(out)
}

/// Defines an own property, so that a name such as `__proto__` is a member like any other.
fn set_own(env: sys::napi_env, object: sys::napi_value, name: &str, value: sys::napi_value) -> Raw<()> {
    let property = own_property(raw::new_string(env, name)?, value);
    // SAFETY: one descriptor, and values of the current scope.
    check(unsafe { sys::napi_define_properties(env, object, 1, &raw const property) })
}

fn own_property(name: sys::napi_value, value: sys::napi_value) -> sys::napi_property_descriptor {
    sys::napi_property_descriptor {
        utf8name: ptr::null(),
        name,
        method: None,
        getter: None,
        setter: None,
        value,
        attributes: sys::PropertyAttributes::writable
            | sys::PropertyAttributes::enumerable
            | sys::PropertyAttributes::configurable,
        data: ptr::null_mut(),
    }
}

fn encode_bigint(env: sys::napi_env, number: i128) -> Raw<sys::napi_value> {
    let mut out = ptr::null_mut();
    let magnitude = number.unsigned_abs();
    let words = [magnitude as u64, (magnitude >> 64) as u64];
    let count = if words[1] == 0 { 1 } else { 2 };
    // SAFETY: `count` words are there.
    check(unsafe {
        sys::napi_create_bigint_words(env, i32::from(number < 0), count, words.as_ptr(), &raw mut out)
    })?;
    Ok(out)
}

fn encode_array(env: sys::napi_env, array: &Array, held: Option<sys::napi_value>) -> Raw<sys::napi_value> {
    let (buffer, offset) = if let (Some((token, pointer)), Some(held)) = (array.private(), held)
        && !array.is_empty()
    {
        let buffer = raw::element(env, held, token)?;
        let (mut base, mut length) = (ptr::null_mut(), 0);
        // SAFETY: the token names the buffer that the region came from.
        check(unsafe { sys::napi_get_arraybuffer_info(env, buffer, &raw mut base, &raw mut length) })?;
        (buffer, pointer as usize - base as usize)
    } else {
        let (buffer, data) = raw::reserve(env, array.byte_len())?;
        if !array.is_empty() {
            // SAFETY: the fresh buffer is that long, and nobody else knows it.
            array.read_bytes(0, unsafe { std::slice::from_raw_parts_mut(data.cast(), array.byte_len()) });
        }
        (buffer, 0)
    };
    let (kind, mut out) = (array.kind() as sys::napi_typedarray_type, ptr::null_mut());
    // SAFETY: length and offset lie inside the buffer; the kinds have the numbers of Node-API.
    check(unsafe { sys::napi_create_typedarray(env, kind, array.len(), buffer, offset, &raw mut out) })?;
    Ok(out)
}
