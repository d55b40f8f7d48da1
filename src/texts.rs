//! Stage: all. Thread: any env.
//! Texts that all envs of the process know by number: property names and strings that come again and again, so that they
//! need not go along with every value (lib/flat.ts). They are kept for ever, and so are few. And source text of modules that
//! every worker runs (lib/packs.ts), whose memory the engines of all threads share.

#![expect(unsafe_code, reason = "functions for Node-API")]

use crate::call::{Env, Info, Js, on_env};
use crate::raw::{self, Fault};
use napi::sys;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Most texts, and most bytes of all of them together.
const MOST: usize = 1 << 14;
const MOST_BYTES: usize = 1 << 20;

#[derive(Default)]
struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    by_number: Vec<Arc<str>>,
    bytes: usize,
}

static TEXTS: LazyLock<RwLock<Texts>> = LazyLock::new(RwLock::default);

/// `shareText(text, mayBeOnce)`: the number of a well-formed text; -1 when there is no room for another one, or only for those
/// that are known to come again.
pub(crate) unsafe extern "C" fn share(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [text, may_be_once]| {
        let text = raw::string(env, text)?;
        let part = if raw::boolean(env, may_be_once)? { 2 } else { 1 };
        let mut texts = TEXTS.write();
        if let Some(number) = texts.numbers.get(text.as_str()) {
            return raw::new_number(env, f64::from(*number));
        }
        if texts.by_number.len() >= MOST / part || texts.bytes + text.len() > MOST_BYTES / part {
            return raw::new_number(env, -1.0);
        }
        let (number, text) = (texts.by_number.len() as u32, Arc::<str>::from(text));
        texts.bytes += text.len();
        texts.by_number.push(text.clone());
        texts.numbers.insert(text, number);
        raw::new_number(env, f64::from(number))
    })
}

/// `sharedText(number)`: the text with that number.
pub(crate) unsafe extern "C" fn shared(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [number]| {
        let number = raw::number(env, number)? as usize;
        let text = TEXTS.read().by_number.get(number).cloned();
        raw::new_string(env, &text.ok_or(Fault(sys::Status::napi_invalid_arg))?)
    })
}

/// Texts of one byte for each character, in the order held.
static HELD: RwLock<Vec<&'static [u8]>> = RwLock::new(Vec::new());

/// `holdText(bytes)`: keeps a text of one byte for each character for ever; returns its number.
pub(crate) unsafe extern "C" fn hold(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [bytes]| {
        let view = raw::view(env, bytes)?;
        if view.kind != sys::TypedarrayType::uint8_array || view.data.is_null() {
            return Err(Fault(sys::Status::napi_invalid_arg));
        }
        // SAFETY: the engine says that there are that many, and no JavaScript runs before they are copied.
        let bytes = unsafe { std::slice::from_raw_parts(view.data.cast::<u8>(), view.length) };
        let mut held = HELD.write();
        // Test runners load the package again and again.
        let number = held.iter().position(|known| *known == bytes).unwrap_or_else(|| {
            held.push(Box::leak(bytes.into()));
            held.len() - 1
        });
        raw::new_number(env, number as f64)
    })
}

/// `heldText(number)`: the text with that number, in the memory in which it is held where the engine can do that.
pub(crate) unsafe extern "C" fn held(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [number]| {
        let number = raw::number(env, number)? as usize;
        let text = HELD.read().get(number).copied();
        raw::new_static_string(env, text.ok_or(Fault(sys::Status::napi_invalid_arg))?)
    })
}
