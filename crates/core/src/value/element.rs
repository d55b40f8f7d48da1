//! Stage: submit and settle. Thread: any.
//! Rust types that typed arrays hold, and vectors of them whatever the type.

#![expect(unsafe_code, reason = "numbers seen as bytes")]

use super::ElementKind;

/// A Rust type that is stored in a typed array.
pub trait Element: Copy + Send + Sync + 'static + sealed::Sealed {
    /// The kind that a vector of this type becomes.
    const KIND: ElementKind;
    /// Whether a view of `kind` holds this type.
    fn fits(kind: ElementKind) -> bool {
        kind == Self::KIND
    }
    #[doc(hidden)]
    fn wrap(items: Vec<Self>) -> Owned;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty, $variant:ident, $kind:ident, $also:pat,)*) => {
        /// Memory that Rust allocated, with the alignment of its element.
        #[derive(Clone, Debug)]
        #[doc(hidden)]
        pub enum Owned { $($variant(Vec<$type>),)* }

        impl Owned {
            pub(super) fn as_bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant(items) =>
                        // SAFETY: plain numbers have no padding and every byte of the vector is initialised.
                        unsafe { std::slice::from_raw_parts(items.as_ptr().cast(), size_of_val(items.as_slice())) },)*
                }
            }

            pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
                match self { $(Self::$variant(items) => items.as_mut_ptr().cast(),)* }
            }

            /// Zeroed memory for `len` elements of `kind`; `None` when there is none.
            pub(super) fn try_zeroed(kind: ElementKind, len: usize) -> Option<Self> {
                Some(match kind {
                    $($also => Self::$variant(bytemuck::allocation::try_zeroed_vec::<$type>(len).ok()?),)*
                })
            }
        }

        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const KIND: ElementKind = ElementKind::$kind;
                fn fits(kind: ElementKind) -> bool { matches!(kind, $also) }
                fn wrap(items: Vec<Self>) -> Owned { Owned::$variant(items) }
            }
        )*
    };
}

elements! {
    i8, I8, I8, ElementKind::I8,
    u8, U8, U8, ElementKind::U8 | ElementKind::U8Clamped,
    i16, I16, I16, ElementKind::I16,
    u16, U16, U16, ElementKind::U16 | ElementKind::F16,
    i32, I32, I32, ElementKind::I32,
    u32, U32, U32, ElementKind::U32,
    f32, F32, F32, ElementKind::F32,
    f64, F64, F64, ElementKind::F64,
    i64, I64, I64, ElementKind::I64,
    u64, U64, U64, ElementKind::U64,
}
