//! Stage: complete. Thread: any; see [`Port`].
//! The way into an env from other threads. When it is closed, and why that is safe, is told in env.rs (E1).

#![expect(unsafe_code, reason = "raw Node-API calls")]

use napi::sys;
use parking_lot::RwLock;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use threadmill_core::completion::{Answer, CompletionSink, Event, Notice, Outcome};
use threadmill_core::ids::Ids;
use threadmill_core::mailbox::Mailbox;
use threadmill_core::scheduler::TaskId;
use threadmill_core::value::Value;

/// The way of completions into an env: a mailbox and a doorbell that the env can close.
#[derive(Default)]
pub(crate) struct Port {
    pub(crate) bell: RwLock<Option<Bell>>,
    /// Whether nobody will collect any more. A hint: what is posted nevertheless is dropped with the port.
    pub(crate) closed: AtomicBool,
    pub(crate) mailbox: Mailbox<Post>,
    /// Where a slot's task is, for cancelling.
    pub(crate) ids: Ids,
}

/// Where an event stands among others; see [`Mailbox`].
#[derive(Clone, Copy)]
enum Place {
    First,
    Shard(u32),
    Last,
}

/// What happened, small for the case that counts.
pub(crate) enum Post {
    /// A task gave a number.
    Number {
        ticket: u32,
        worker: u32,
        number: f64,
        /// ns
        run_time: u64,
    },
    /// A task of the JS lane gave a plain value.
    Words {
        ticket: u32,
        worker: u32,
        /// The value, with the run time in ns where it says how many words there are.
        words: Box<[f64]>,
    },
    /// Anything else.
    Event(Box<Event>),
}

impl From<Event> for Post {
    fn from(event: Event) -> Self {
        match event {
            Event::Settled {
                ticket,
                outcome: Outcome::Ok(Value::Number(number)),
                worker,
                run_time,
                held: false,
            } => Self::Number { ticket, worker, number, run_time },
            other => Self::Event(Box::new(other)),
        }
    }
}

/// A threadsafe function that carries no data.
#[derive(Clone, Copy)]
pub(crate) struct Bell(pub(crate) sys::napi_threadsafe_function);

// SAFETY: threadsafe functions may be called from any thread; E1 keeps it from being called after its end.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

impl Port {
    fn post(&self, place: Place, post: Post) {
        if self.put(place, post) {
            self.call();
        }
    }

    /// As `post`, without ringing: whether somebody has to.
    #[expect(clippy::inline_always, reason = "so that the post is made where it is to lie")]
    #[inline(always)]
    #[must_use]
    fn put(&self, place: Place, post: Post) -> bool {
        !self.closed.load(Ordering::Relaxed)
            && match place {
                Place::First => self.mailbox.post_first(post),
                Place::Shard(shard) => self.mailbox.post(shard, post),
                Place::Last => self.mailbox.post_last(post),
            }
    }

    /// Rings from any thread.
    pub(crate) fn call(&self) {
        let bell = self.bell.read();
        let Some(Bell(tsfn)) = *bell else { return };
        // SAFETY: the read lock keeps the cleanup hook waiting until this call has returned (E1).
        unsafe {
            sys::napi_call_threadsafe_function(
                tsfn,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
    }
}

/// More runs than that wait to be told of only where an env is behind.
const MANY_RUNS: usize = 256;

impl CompletionSink for Port {
    fn is_behind(&self) -> bool {
        self.mailbox.waiting_first() > MANY_RUNS
    }

    fn deliver(&self, event: Event) {
        // The shard of the worker, so that what one worker tells stays in order.
        let shard = match &event {
            Event::Closed { .. } => Place::Last,
            // Told before whatever its next run leads to, which another worker tells.
            Event::Retried { .. } => Place::First,
            Event::Worker { notice: Notice::GivenUp { worker, .. } | Notice::Retired { worker }, .. } => {
                Place::Shard(*worker)
            }
            Event::Worker { notice: Notice::Resumed, .. } => Place::Shard(0),
            Event::Settled { worker, .. }
            | Event::Released { worker, .. }
            | Event::Progress { worker, .. }
            | Event::Mail { worker, .. }
            | Event::Wanted { worker, .. }
            | Event::Discovered { worker, .. }
            | Event::Message { worker, .. } => Place::Shard(*worker),
        };
        self.post(shard, event.into());
    }

    fn number(&self, ticket: u32, number: f64, worker: u32, run_time: u64) {
        self.post(Place::Shard(worker), Post::Number { ticket, worker, number, run_time });
    }

    fn number_unrung(&self, ticket: u32, number: f64, worker: u32, run_time: u64) -> bool {
        self.put(Place::Shard(worker), Post::Number { ticket, worker, number, run_time })
    }

    fn answer_unrung(&self, ticket: u32, answer: Answer, worker: u32, run_time: u64) -> bool {
        let post = match answer.into_words() {
            Ok(mut words) => {
                words[0] = run_time as f64;
                Post::Words { ticket, worker, words }
            }
            Err(answer) => {
                let outcome = Outcome::Answer(Box::new(answer));
                Event::Settled { ticket, outcome, worker, run_time, held: false }.into()
            }
        };
        self.put(Place::Shard(worker), post)
    }

    fn ring(&self) {
        self.call();
    }

    fn admitted(&self, ticket: u32, id: TaskId) {
        self.ids.set(ticket, id);
    }
}
