//! Stage: run. Thread: native workers.
//! The built-in kernels, one file each, by cargo feature.

use crate::kernel::Kernel;
use once_cell::sync::Lazy;

#[cfg(feature = "compress")]
mod compress;
#[cfg(feature = "demo")]
mod demo;
#[cfg(any(test, feature = "faults"))]
mod faults;
#[cfg(feature = "hash")]
mod hash;
#[cfg(feature = "numeric")]
mod numeric;
#[cfg(feature = "password")]
mod password;
#[cfg(test)]
mod testing;
#[cfg(feature = "text")]
mod text;

/// All kernels of this build. The index of a kernel in this list is its number in the binding.
pub fn all() -> &'static [Box<dyn Kernel>] {
    static ALL: Lazy<Vec<Box<dyn Kernel>>> = Lazy::new(|| {
        #[allow(unused_mut, clippy::allow_attributes, reason = "a build without any group adds none")]
        let mut kernels: Vec<Box<dyn Kernel>> = Vec::new();
        #[cfg(feature = "hash")]
        kernels.extend(hash::all());
        #[cfg(feature = "compress")]
        kernels.extend(compress::all());
        #[cfg(feature = "password")]
        kernels.extend(password::all());
        #[cfg(feature = "numeric")]
        kernels.extend(numeric::all());
        #[cfg(feature = "text")]
        kernels.extend(text::all());
        #[cfg(feature = "demo")]
        kernels.extend(demo::all());
        #[cfg(any(test, feature = "faults"))]
        kernels.extend(faults::all());
        kernels
    });
    &ALL
}

/// The kernel called `name`, with its number.
pub fn find(name: &str) -> Option<(usize, &'static dyn Kernel)> {
    all()
        .iter()
        .enumerate()
        .find(|(_, kernel)| kernel.info().name == name)
        .map(|(index, kernel)| (index, &**kernel))
}
