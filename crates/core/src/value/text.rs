/// A string as JavaScript has it, unread: one or two bytes for each character. Lone surrogates stay what they are.
#[derive(Debug, Clone)]
pub enum Text {
    /// Code points below 256.
    Latin1(Vec<u8>),
    /// UTF-16, in the order of bytes of this machine.
    Utf16(Vec<u16>),
}

impl Text {
    /// Bytes of memory.
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Latin1(units) => units.len(),
            Self::Utf16(units) => size_of_val(units.as_slice()),
        }
    }
}
