//! Stage: run. Thread: native workers.
//! The built-in kernels, one file each, by cargo feature.

use crate::kernel::Kernel;
use once_cell::sync::Lazy;


/// All kernels of this build. The index of a kernel in this list is its number in the binding.
pub fn all() -> &'static [Box<dyn Kernel>] {
    static ALL: Lazy<Vec<Box<dyn Kernel>>> = Lazy::new(|| {
        #[allow(unused_mut, clippy::allow_attributes, reason = "a build without any group adds none")]
        let mut kernels: Vec<Box<dyn Kernel>> = Vec::new();
        // groups register here
        kernels
    });
    &ALL
}

/// The kernel called `name`, with its number.
pub fn find(name: &str) -> Option<(usize, &'static dyn Kernel)> {
    all().iter().enumerate().find(|(_, kernel)| kernel.info().name == name).map(|(index, kernel)| (index, &**kernel))
}
