//! The scheduler, the native lane and the kernels of threadmill. No Node.js in it.

pub mod error;
pub mod kernel;
pub mod kernels;
pub mod value;
