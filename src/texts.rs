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

struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    by_number: Vec<Arc<str>>,
    bytes: usize,
}

/// The list of names of objects without properties: the first one, so that there is always room for it.
const NO_NAMES: &str = "[]";

static TEXTS: LazyLock<RwLock<Texts>> = LazyLock::new(|| {
    let mut texts = Texts { numbers: HashMap::new(), by_number: Vec::new(), bytes: 0 };
    texts.number(NO_NAMES, true);
    RwLock::new(texts)
});

impl Texts {
    /// The number of a text, if there is one or room for another. A quarter of the room is for lists of names.
    fn number(&mut self, text: &str, are_names: bool) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let (most, most_bytes) =
            if are_names { (MOST, MOST_BYTES) } else { (MOST / 4 * 3, MOST_BYTES / 4 * 3) };
        if self.by_number.len() >= most || self.bytes + text.len() > most_bytes {
            return None;
        }
        let (number, text) = (self.by_number.len() as u32, Arc::<str>::from(text));
        self.bytes += text.len();
        self.by_number.push(text.clone());
        self.numbers.insert(text, number);
        Some(number)
    }
}

/// `shareText(text, areNames)`: the number of a well-formed text; -1 when there is no room for another one.
pub(crate) unsafe extern "C" fn share(env: Env, info: Info) -> Js {
    on_env(env, info, |_, [text, are_names]| {
        let text = raw::string(env, text)?;
        let number = TEXTS.write().number(&text, raw::boolean(env, are_names)?);
        raw::new_number(env, number.map_or(-1.0, f64::from))
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
