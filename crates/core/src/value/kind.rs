//! Stage: submit and settle. Thread: any.
//! The element types of typed arrays.

/// The element type of a typed array. The numbers are part of the binding's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ElementKind {
    /// `Int8Array`
    I8 = 0,
    /// `Uint8Array`; also any `ArrayBuffer` or `DataView` taken as bytes
    U8 = 1,
    /// `Uint8ClampedArray`
    U8Clamped = 2,
    /// `Int16Array`
    I16 = 3,
    /// `Uint16Array`
    U16 = 4,
    /// `Int32Array`
    I32 = 5,
    /// `Uint32Array`
    U32 = 6,
    /// `Float32Array`
    F32 = 7,
    /// `Float64Array`
    F64 = 8,
    /// `BigInt64Array`
    I64 = 9,
    /// `BigUint64Array`
    U64 = 10,
    /// `Float16Array`, as bits
    F16 = 11,
}

impl ElementKind {
    /// All kinds, by number.
    pub const ALL: [Self; 12] = [
        Self::I8,
        Self::U8,
        Self::U8Clamped,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::F32,
        Self::F64,
        Self::I64,
        Self::U64,
        Self::F16,
    ];

    /// The kind with this number.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::U8Clamped => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// Name of the JavaScript class.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::I8 => "Int8Array",
            Self::U8 => "Uint8Array",
            Self::U8Clamped => "Uint8ClampedArray",
            Self::I16 => "Int16Array",
            Self::U16 => "Uint16Array",
            Self::I32 => "Int32Array",
            Self::U32 => "Uint32Array",
            Self::F32 => "Float32Array",
            Self::F64 => "Float64Array",
            Self::I64 => "BigInt64Array",
            Self::U64 => "BigUint64Array",
            Self::F16 => "Float16Array",
        }
    }
}
