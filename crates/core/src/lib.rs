#![doc = include_str!("../README.md")]

pub mod completion;
pub mod error;
pub mod ids;
pub mod kernel;
pub mod kernels;
pub mod machine;
pub mod mailbox;
#[cfg(all(test, loom))]
mod models;
pub mod pool;
pub mod scheduler;
mod sleep;
mod sync;
mod trace;
mod unwind;
pub mod value;
