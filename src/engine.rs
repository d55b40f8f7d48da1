//! Stage: all. Thread: any.
//! Functions of V8 and of Node that Node-API does not offer, by the names that the executable exports.
//!
//! A function of pointers and truth values is called alike wherever Node runs. How C++ hands over objects, and how it lays out
//! their tables, depends on the platform: such functions are found only where that has been tried.

#![expect(unsafe_code, reason = "functions are found by their names")]

#[cfg(unix)]
use libloading::os::unix::Library;
#[cfg(windows)]
use libloading::os::windows::Library;
use std::ffi::{CStr, c_void};

/// `v8::Maybe<bool>`.
#[repr(C)]
pub(crate) struct MaybeBool {
    pub(crate) is_there: bool,
    pub(crate) value: bool,
}

impl MaybeBool {
    pub(crate) fn is_true(&self) -> bool {
        self.is_there && self.value
    }
}

/// Where the process has something with that name.
pub(crate) fn exported(name: &CStr) -> Option<*mut c_void> {
    #[cfg(unix)]
    let process = Library::this();
    #[cfg(windows)]
    let process = Library::this().ok()?;
    // SAFETY: nothing is done with what is found; and it stays, as the executable does.
    let found = unsafe { process.get::<*mut c_void>(name) }.ok()?.as_raw_ptr();
    (!found.is_null()).then_some(found)
}

/// Where the process has the function or table of the engine with that name, on the platforms that this was tried on.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn address(name: &CStr) -> Option<*mut c_void> {
    exported(name)
}

/// On the others.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn address(_name: &CStr) -> Option<*mut c_void> {
    None
}

/// A function of that type; for functions that give an `Option`. With a name for `windows`, it takes and gives no objects.
macro_rules! engine_function {
    ($name:literal, $type:ty) => {{
        let found = $crate::engine::address($name)?;
        // SAFETY: the name is that of a function with this type, in the C++ interface of the platform.
        unsafe { std::mem::transmute::<*mut std::ffi::c_void, $type>(found) }
    }};
    ($name:literal, windows: $windows:literal, $type:ty) => {{
        let found = $crate::engine::exported(if cfg!(windows) { $windows } else { $name })?;
        // SAFETY: the names are those of a function with this type.
        unsafe { std::mem::transmute::<*mut std::ffi::c_void, $type>(found) }
    }};
}
pub(crate) use engine_function;
