//! Stage: run. Thread: native workers.
//! The `text` group of kernels.

use crate::kernel::Kernel;

/// The kernels of this group.
pub(super) fn all() -> Vec<Box<dyn Kernel>> {
    vec![]
}
