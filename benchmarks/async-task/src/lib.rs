//! Stage: run. Thread: threads of libuv.
//! Two trivial functions as napi-rs [`AsyncTask`]s: what an addon author writes without threadmill. And bare wake-ups.

mod wake;

use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi::{Env, Result, Task};
use napi_derive::napi;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Gives its number back.
#[derive(Debug)]
pub struct Echo(f64);

impl Task for Echo {
    type Output = f64;
    type JsValue = f64;

    fn compute(&mut self) -> Result<f64> {
        Ok(self.0)
    }

    fn resolve(&mut self, _env: Env, output: f64) -> Result<f64> {
        Ok(output)
    }
}

/// `echo(number)`: the number, by way of another thread.
#[napi]
#[must_use]
pub fn echo(value: f64) -> AsyncTask<Echo> {
    AsyncTask::new(Echo(value))
}

/// Hashes bytes that nobody writes meanwhile.
pub struct Hash(Uint8Array);

impl Task for Hash {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        let mut digits = String::with_capacity(64);
        for byte in Sha256::digest(&self.0) {
            write!(digits, "{byte:02x}").expect("a string takes everything");
        }
        Ok(digits)
    }

    fn resolve(&mut self, _env: Env, output: String) -> Result<String> {
        Ok(output)
    }
}

/// `sha256(bytes)`: the digest in hexadecimal digits. The bytes are read in place.
#[napi]
#[must_use]
pub fn sha256(bytes: Uint8Array) -> AsyncTask<Hash> {
    AsyncTask::new(Hash(bytes))
}
