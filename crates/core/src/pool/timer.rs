//! Stage: schedule. Thread: `threadmill-timer`, one per process, started by the first deadline.
//! Wakes pools at their next deadline, also while every JavaScript thread is blocked.

use super::{Pool, clock};
use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use once_cell::sync::OnceCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

static TIMER: OnceCell<Sender<Alarm>> = OnceCell::new();

/// "Look at the deadlines of this pool at that time."
struct Alarm {
    at: u64,
    pool: Weak<Pool>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Alarm {}
impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// Asks for [`Pool::expire`] at `at` (see [`clock::now`]). Returns whether the timer thread exists.
pub(crate) fn schedule(pool: &Arc<Pool>, at: u64) -> bool {
    let timer = TIMER.get_or_try_init(|| {
        let (sender, receiver) = unbounded::<Alarm>();
        std::thread::Builder::new()
            .name("threadmill-timer".to_owned())
            .spawn(move || run(&receiver))
            .map(|_| sender)
    });
    timer.is_ok_and(|sender| sender.send(Alarm { at, pool: Arc::downgrade(pool) }).is_ok())
}

fn run(receiver: &crossbeam_channel::Receiver<Alarm>) {
    let mut alarms: BinaryHeap<Reverse<Alarm>> = BinaryHeap::new();
    loop {
        let next = match alarms.peek() {
            Some(Reverse(alarm)) => receiver.recv_deadline(clock::instant(alarm.at)),
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(alarm) => alarms.push(Reverse(alarm)),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        while let Some(Reverse(alarm)) = alarms.peek()
            && alarm.at <= clock::now()
        {
            let Some(Reverse(alarm)) = alarms.pop() else { break };
            if let Some(pool) = alarm.pool.upgrade()
                && let Some(at) = pool.expire(alarm.at)
            {
                alarms.push(Reverse(Alarm { at, pool: alarm.pool }));
            }
        }
    }
}
