//! Stage: schedule. Thread: `threadmill-timer`, one per process, started before the first worker.
//! Wakes pools at their next deadline, also while every JavaScript thread is blocked.
//!
//! The thread is there before any that runs tasks: where the system grants no more of them, deadlines and pauses between runs
//! would never end.

use super::{Pool, clock};
use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use once_cell::sync::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

static TIMER: OnceCell<Sender<Look>> = OnceCell::new();

/// "Look at the deadlines of this pool at that time."
struct Look {
    at: u64,
    pool: Weak<Pool>,
}

/// Starts the thread, if it is not there. The error is the system's.
pub(crate) fn start() -> std::io::Result<()> {
    sender().map(drop)
}

fn sender() -> std::io::Result<&'static Sender<Look>> {
    TIMER.get_or_try_init(|| {
        let (sender, receiver) = unbounded::<Look>();
        std::thread::Builder::new()
            .name("threadmill-timer".to_owned())
            .spawn(move || run(&receiver))
            .map(|_| sender)
    })
}

/// Asks for [`Pool::expire`] at `at` (see [`clock::now`]). Returns whether the timer thread exists.
pub(crate) fn schedule(pool: &Arc<Pool>, at: u64) -> bool {
    sender().is_ok_and(|sender| sender.send(Look { at, pool: Arc::downgrade(pool) }).is_ok())
}

fn run(receiver: &crossbeam_channel::Receiver<Look>) {
    // By time and pool, each once: a pool that has looked at earlier deadlines asks again for the one that it was
    // waiting for before them.
    let mut alarms: BTreeMap<(u64, *const Pool), Weak<Pool>> = BTreeMap::new();
    loop {
        let next = match alarms.first_key_value() {
            Some((&(at, _), _)) => receiver.recv_deadline(clock::instant(at)),
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Look { at, pool }) => drop(alarms.insert((at, pool.as_ptr()), pool)),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        while let Some(first) = alarms.first_entry()
            && first.key().0 <= clock::now()
        {
            let ((at, address), pool) = first.remove_entry();
            if let Some(pool) = pool.upgrade()
                && let Some(next) = pool.expire(at)
            {
                alarms.insert((next, address), Arc::downgrade(&pool));
            }
        }
    }
}
