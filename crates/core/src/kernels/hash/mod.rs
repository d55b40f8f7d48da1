//! Stage: run. Thread: native workers.
//! The `hash` group of kernels.

mod bytes;
mod digest;
mod file;

use crate::kernel::Kernel;

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![
        Box::new(bytes::Sha256),
        Box::new(bytes::Sha512),
        Box::new(bytes::Blake3),
        Box::new(bytes::Xxh3),
        Box::new(bytes::Crc32),
        Box::new(file::HashFile),
    ]
}
