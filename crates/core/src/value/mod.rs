//! Stage: submit and settle. Thread: any; a value has one owner at a time.
//! The values that kernels take and give: numbers, bigints, strings, typed arrays, and plain lists and objects of
//! these.
//!
//! V1. Memory that JavaScript can still reach is never seen as `&[u8]`: a shared region is only read through atomics.
//! V2. A private region has exactly one owner; whoever holds the [`Array`] may write it.

mod array;
mod element;
mod foreign;
mod kind;
mod region;
mod text;

pub use array::Array;
pub use element::{Element, Owned};
pub use foreign::Foreign;
pub use kind::ElementKind;
pub use text::Text;

use std::borrow::Cow;

/// One value, in or out of a kernel.
#[derive(Debug, Default)]
pub enum Value {
    /// `undefined`
    #[default]
    Undefined,
    /// `null`
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A bigint of up to 64 bits and sign.
    BigInt(i128),
    /// A string. Lone surrogates have become U+FFFD.
    String(String),
    /// A string that is passed on unread.
    Text(Text),
    /// A typed array.
    Array(Array),
    /// A plain value as the JavaScript side has written it; passed on unread.
    Words(Box<[f64]>),
    /// An array of values.
    List(Vec<Value>),
    /// A plain object; the order of the entries is kept.
    Object(Vec<(Cow<'static, str>, Value)>),
    /// An array of objects that all have these numeric members: `cells` holds them row by row.
    Rows {
        /// Names of the members.
        keys: &'static [&'static str],
        /// `keys.len()` numbers per object.
        cells: Vec<f64>,
    },
    /// What only the binding knows; passed on as it is.
    Foreign(Box<dyn Foreign>),
}

impl Value {
    /// An object from pairs with fixed names.
    pub fn object(entries: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(entries.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// A second one of a primitive or a typed array in memory of its own; `None` of anything else.
    pub fn duplicate(&self) -> Option<Self> {
        self.copied(false)
    }

    /// As [`Value::duplicate`], and shared memory is shared once more: for another run of a task that keeps it.
    pub(crate) fn again(&self) -> Option<Self> {
        self.copied(true)
    }

    fn copied(&self, shares: bool) -> Option<Self> {
        Some(match self {
            Self::Undefined => Self::Undefined,
            Self::Null => Self::Null,
            Self::Bool(value) => Self::Bool(*value),
            Self::Number(value) => Self::Number(*value),
            Self::BigInt(value) => Self::BigInt(*value),
            Self::String(value) => Self::String(value.clone()),
            Self::Text(text) => Self::Text(text.clone()),
            Self::Array(array) => Self::Array(match array.bytes() {
                Some(bytes) => Array::copy_from(array.kind(), bytes),
                None if shares => array.share(),
                None => return None,
            }),
            Self::Words(words) => Self::Words(words.clone()),
            Self::List(items) => {
                Self::List(items.iter().map(|item| item.copied(shares)).collect::<Option<_>>()?)
            }
            Self::Object(entries) => Self::Object(
                entries
                    .iter()
                    .map(|(name, value)| Some((name.clone(), value.copied(shares)?)))
                    .collect::<Option<_>>()?,
            ),
            Self::Rows { .. } | Self::Foreign(_) => return None,
        })
    }

    /// Bytes of the memory that is the value's own, without what its members have.
    pub(crate) fn own_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Text(text) => text.byte_len(),
            Self::Array(array) => array.bytes().map_or(0, <[u8]>::len),
            Self::Words(words) => size_of_val(&**words),
            Self::Rows { cells, .. } => size_of_val(&**cells),
            _ => 0,
        }
    }

    /// A typed array from a vector, without a copy.
    pub fn from_vec<T: Element>(items: Vec<T>) -> Self {
        Self::Array(Array::from_vec(items))
    }

    /// Takes the member `name` out of an object; `Undefined` when it is not there.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Self {
        if let Self::Object(entries) = self
            && let Some((_, value)) = entries.iter_mut().find(|(key, _)| key == name)
        {
            return std::mem::replace(value, Self::Undefined);
        }
        Self::Undefined
    }

    /// The member `name` of an object, unless it is missing or undefined.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
                .filter(|value| !matches!(value, Self::Undefined)),
            _ => None,
        }
    }

    /// The number in it.
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The string in it.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The boolean in it.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The typed array in it.
    pub fn as_array(&self) -> Option<&Array> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// Bytes of memory that this value keeps alive, approximately; used for capacity in bytes.
    pub fn heap_size(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Text(text) => text.byte_len(),
            Self::Array(array) => array.byte_len(),
            Self::List(items) => items.iter().map(|item| 32 + item.heap_size()).sum(),
            Self::Object(entries) => {
                entries.iter().map(|(key, value)| 56 + key.len() + value.heap_size()).sum()
            }
            Self::Rows { cells, .. } => cells.len() * 8,
            Self::Words(words) => words.len() * 8,
            Self::Foreign(foreign) => foreign.byte_len(),
            _ => 0,
        }
    }
}
