//! Stage: run. Thread: native workers.
//! The only place that catches panics. A kernel that panics costs its own task and nothing else; the message and place
//! go into the task's error instead of onto stderr.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// `Some` while this thread runs a kernel; filled by the hook.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`; a panic in it becomes its message with the place.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    install_hook();
    let outer = CAUGHT.with_borrow_mut(|caught| caught.replace(String::new()));
    let result = catch_unwind(AssertUnwindSafe(body));
    let message = CAUGHT.with_borrow_mut(|caught| std::mem::replace(caught, outer)).unwrap_or_default();
    result.map_err(|payload| {
        // A payload whose own drop panics must not take the thread down.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        if message.is_empty() { "the kernel panicked".to_owned() } else { message }
    })
}

/// Panics again, on this thread, with the message of a panic that [`guarded`] caught on another.
pub(crate) fn rethrow(message: String) -> ! {
    CAUGHT.with_borrow_mut(|caught| {
        if let Some(caught) = caught.as_mut() {
            caught.clone_from(&message);
        }
    });
    std::panic::resume_unwind(Box::new(message))
}

/// Panics inside [`guarded`] are reported by the task's error; all others go to the previous hook. The hook belongs to
/// this library's copy of the standard library: it is not seen by other addons.
fn install_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = CAUGHT
                .try_with(|caught| {
                    caught.try_borrow_mut().is_ok_and(|mut caught| match caught.as_mut() {
                        Some(message) => {
                            *message = describe(info);
                            true
                        }
                        None => false,
                    })
                })
                .unwrap_or(false);
            if !ours {
                previous(info);
            }
        }));
    });
}

fn describe(info: &std::panic::PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("panic with a payload that is not a string");
    match info.location() {
        Some(place) => {
            let file = place.file().rsplit(['/', '\\']).next().unwrap_or_default();
            format!("{text} (at {file}:{})", place.line())
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let message = guarded(|| panic!("boom {}", 7)).unwrap_err();
        assert!(message.starts_with("boom 7 (at unwind.rs:"), "{message}");
        assert_eq!(guarded(|| 3), Ok(3));
    }

    #[test]
    fn nested_guards_do_not_mix() {
        let outer = guarded(|| {
            assert!(guarded(|| panic!("inner")).unwrap_err().starts_with("inner"));
            panic!("outer");
        });
        assert!(outer.unwrap_err().starts_with("outer"));
    }
}
