//! Stage: run. Thread: any; callbacks run on the thread that registered them.
//! Bare wake-ups through threadsafe functions, with nothing around them: the limit for the latency of a task.

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Error, Result, Status};
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

type Callback = ThreadsafeFunction<f64, (), f64, Status, false>;

/// Who is rung by which number. One for the process: workers register here too.
static LISTENERS: LazyLock<Mutex<HashMap<u32, Arc<Callback>>>> = LazyLock::new(Mutex::default);

/// `listen(id, callback)`: `callback` is called on this thread whenever `id` is rung. It keeps this thread alive.
#[napi]
pub fn listen(id: u32, callback: Function<f64, ()>) -> Result<()> {
    let callback = callback.build_threadsafe_function().build()?;
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(callback));
    Ok(())
}

/// `unlisten(id)`
#[napi]
pub fn unlisten(id: u32) {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
}

/// `ring(id, value)`: calls the callback of `id` on its thread.
#[napi]
pub fn ring(id: u32, value: f64) -> Result<()> {
    let listener = find(id)?;
    listener.call(value, ThreadsafeFunctionCallMode::NonBlocking);
    Ok(())
}

fn find(id: u32) -> Result<Arc<Callback>> {
    let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.get(&id).cloned().ok_or_else(|| Error::from_reason("nobody listens"))
}

/// A thread that sleeps until it is sent a number, and rings with it.
#[napi]
#[derive(Debug)]
pub struct Bouncer {
    sender: Option<Sender<f64>>,
}

#[napi]
impl Bouncer {
    /// `new Bouncer(id)`: rings `id`, and keeps its thread alive until it is closed.
    #[napi(constructor)]
    pub fn new(id: u32) -> Result<Self> {
        let (sender, receiver) = channel();
        let listener = find(id)?;
        thread::spawn(move || {
            for value in receiver {
                listener.call(value, ThreadsafeFunctionCallMode::NonBlocking);
            }
        });
        Ok(Self { sender: Some(sender) })
    }

    /// `bounce(value)`: wakes the thread.
    #[napi]
    pub fn bounce(&self, value: f64) -> Result<()> {
        let sender = self.sender.as_ref().ok_or_else(|| Error::from_reason("it is closed"))?;
        sender.send(value).map_err(|_| Error::from_reason("its thread has ended"))
    }

    /// `close()`: ends the thread.
    #[napi]
    pub fn close(&mut self) {
        self.sender = None;
    }
}
