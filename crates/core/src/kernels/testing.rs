//! Stage: run. Thread: the test's, and the threads of a `parallel` call.
//! A host for the tests of the kernels: counts cancel checks, gives up after a number of them, records progress, and
//! spreads chunks over real threads.

#![allow(dead_code, clippy::allow_attributes, reason = "a build with few groups uses only a part")]

use crate::error::{ErrorCode, KernelError};
use crate::kernel::{Host, Input, Kernel, KernelContext};
use crate::value::{Array, ElementKind, Value};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a test sees of a running kernel.
#[derive(Debug)]
pub(crate) struct TestHost {
    threads: usize,
    cancel_after: usize,
    checks: AtomicUsize,
    progress: Mutex<Vec<(f64, f64)>>,
    posted: Mutex<Vec<(String, Value)>>,
}

impl TestHost {
    /// One thread, never cancelled.
    pub(crate) fn new() -> Self {
        Self::with_threads(1)
    }

    /// `parallel` starts this many threads; never cancelled.
    pub(crate) fn with_threads(threads: usize) -> Self {
        Self {
            threads,
            cancel_after: usize::MAX,
            checks: AtomicUsize::new(0),
            progress: Mutex::new(Vec::new()),
            posted: Mutex::new(Vec::new()),
        }
    }

    /// The same host, cancelled from the check after `checks` checks on.
    pub(crate) fn cancel_after(mut self, checks: usize) -> Self {
        self.cancel_after = checks;
        self
    }

    /// How often somebody asked whether the task was given up.
    pub(crate) fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    /// All progress reports so far.
    pub(crate) fn progress_reports(&self) -> Vec<(f64, f64)> {
        self.progress.lock().clone()
    }

    /// Takes the messages that were posted.
    pub(crate) fn take_posted(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.posted.lock())
    }

    /// Runs a kernel on this host.
    pub(crate) fn run(
        &self,
        kernel: &dyn Kernel,
        value: Value,
        options: Value,
    ) -> Result<Value, KernelError> {
        kernel.run(Input { value, options }, &KernelContext::new(self))
    }
}

impl Host for TestHost {
    fn is_cancelled(&self) -> bool {
        self.checks.fetch_add(1, Ordering::Relaxed) >= self.cancel_after
    }

    fn progress(&self, done: f64, total: f64) {
        self.progress.lock().push((done, total));
    }

    fn post(&self, message_type: &str, contents: Value) {
        self.posted.lock().push((message_type.to_owned(), contents));
    }

    fn parallelism(&self) -> usize {
        self.threads
    }

    fn parallel(&self, chunks: usize, body: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= chunks || self.is_cancelled() {
                    return;
                }
                body(index);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(chunks) {
                scope.spawn(work);
            }
            work();
        });
    }
}

/// Cancels a kernel at its 1st, 2nd, 3rd, ... check and demands that every such run ends with
/// [`ErrorCode::Cancelled`]. `make` builds the value and the options anew for each run.
pub(crate) fn assert_cancels(kernel: &dyn Kernel, least_checks: usize, make: impl Fn() -> (Value, Value)) {
    let free = TestHost::new();
    let (value, options) = make();
    free.run(kernel, value, options).expect("runs when nobody cancels");
    assert!(free.checks() >= least_checks, "{} checks, expected {least_checks}", free.checks());
    let step = (free.checks() / 16).max(1);
    for after in (0..free.checks()).step_by(step) {
        for threads in [1, 3] {
            let host = TestHost::with_threads(threads).cancel_after(after);
            let (value, options) = make();
            let result = host.run(kernel, value, options);
            // With helpers the number of checks varies, so that a late cancel may come after the end.
            if threads == 1 || result.is_err() {
                assert_eq!(result.unwrap_err().code, ErrorCode::Cancelled, "after {after} checks");
            }
        }
    }
}

/// Memory that stands for a `SharedArrayBuffer`; the array must not outlive it.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    words: Vec<u64>,
    byte_len: usize,
    kind: ElementKind,
}

impl SharedMemory {
    /// A copy of the bytes of `array`.
    pub(crate) fn copy_of(array: &Array) -> Self {
        let bytes = array.bytes().expect("not shared itself");
        let words = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_ne_bytes(word)
            })
            .collect();
        Self { words, byte_len: bytes.len(), kind: array.kind() }
    }

    /// A view of it as JavaScript would share it.
    pub(crate) fn view(&self) -> Value {
        #[expect(unsafe_code, reason = "stands in for the binding")]
        // SAFETY: every test keeps the memory alive for longer than the value, and nobody writes it.
        let array = unsafe { Array::from_shared(self.kind, self.words.as_ptr().cast(), self.byte_len) };
        Value::Array(array)
    }
}
