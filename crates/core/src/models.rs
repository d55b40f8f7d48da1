//! Stage: all. Thread: loom's.
//! Models of the shell's own lock-free and parking parts: loom runs every interleaving of the real code.
//! `scripts/ci/loom.sh` runs them.

use crate::mailbox::{Batch, Mailbox};
use crate::pool::PlainJob;
use crate::pool::model::{Alarm, Cell, Inbox, Label, Posted, Section};
use crate::sleep::Parker;
use crate::sync::Mutex;
use crate::trace::ring::{Contents, Ring};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

const LABEL: Label = Label { ticket: 0, sink: 0, kernel: 0, in_place: false };

/// The protocol of `sleep/README.md` with a scheduler of one queue: a worker never sleeps while a task is waiting.
#[test]
fn loom_p1_no_wake_up_is_lost() {
    struct State {
        waiting: usize,
        parked: bool,
    }
    loom::model(|| {
        let shared = Arc::new((Mutex::new(State { waiting: 0, parked: false }), Parker::new()));
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut done = 0;
                while done < 2 {
                    let mut state = shared.0.lock();
                    state.parked = false;
                    if state.waiting > 0 {
                        state.waiting -= 1;
                        done += 1;
                        continue;
                    }
                    state.parked = true;
                    drop(state);
                    shared.1.park();
                }
            })
        };
        for _ in 0..2 {
            let mut state = shared.0.lock();
            state.waiting += 1;
            let wake = std::mem::replace(&mut state.parked, false);
            drop(state);
            if wake {
                shared.1.unpark();
            }
        }
        // loom reports a deadlock when the worker sleeps for ever.
        worker.join().unwrap();
    });
}

/// A worker that takes everything or parks, beside a submitter that leaves two batches: nothing stays behind while the
/// worker sleeps.
#[test]
fn loom_i1_nothing_is_left_in_the_inbox() {
    struct Shared {
        /// Whether the worker is parked; stands for the pool's lock.
        parked: Mutex<bool>,
        inbox: Inbox,
        parker: Parker,
    }
    loom::model(|| {
        let shared =
            Arc::new(Shared { parked: Mutex::new(false), inbox: Inbox::new(false), parker: Parker::new() });
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (mut done, mut jobs) = (0, Vec::new());
                while done < 2 {
                    let mut parked = shared.parked.lock();
                    if std::mem::replace(&mut *parked, false) {
                        shared.inbox.set_idle(false);
                    }
                    shared.inbox.take(&mut jobs);
                    if jobs.is_empty() {
                        *parked = true;
                        shared.inbox.set_idle(true);
                        if !shared.inbox.is_waiting() {
                            drop(parked);
                            shared.parker.park();
                        }
                        continue;
                    }
                    done += jobs.drain(..).count();
                }
            })
        };
        for ticket in 0..2 {
            if shared.inbox.post([PlainJob { ticket, ..PlainJob::default() }].into_iter()) == Posted::Call
                && *shared.parked.lock()
            {
                shared.parker.unpark();
            }
        }
        worker.join().unwrap();
    });
}

/// A task with a deadline is posted while the timer goes away, and nobody else comes by: one of the two schedules it.
#[test]
fn loom_a1_no_deadline_is_left_in_the_inbox() {
    const DEADLINE: u64 = 2;
    struct Shared {
        alarm: Alarm,
        inbox: Inbox,
    }
    loom::model(|| {
        let shared = Arc::new(Shared { alarm: Alarm::new(), inbox: Inbox::new(false) });
        assert!(shared.alarm.advance(1));
        let timer = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.alarm.take_off();
                shared.inbox.is_waiting()
            })
        };
        let job = PlainJob { deadline: DEADLINE, ..PlainJob::default() };
        assert_eq!(shared.inbox.post([job].into_iter()), Posted::Left);
        let is_missed = shared.alarm.misses(DEADLINE);
        assert!(timer.join().unwrap() || is_missed);
    });
}

/// Two posters in different shards, then one whose item comes last; the collector answers each ring. Nothing is left
/// over, nothing comes twice, and the last is last.
#[test]
fn loom_b1_b4_every_post_is_collected() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::default());
        let bell = Arc::new(Parker::new());
        let posted = Arc::new(AtomicUsize::new(0));
        let posters: Vec<_> = (0..2)
            .map(|item| {
                let (mailbox, bell, posted) = (mailbox.clone(), bell.clone(), posted.clone());
                thread::spawn(move || {
                    if mailbox.post(item, item) {
                        bell.unpark();
                    }
                    if posted.fetch_add(1, Ordering::AcqRel) == 1 && mailbox.post_last(9) {
                        bell.unpark();
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        let mut batch = Batch::default();
        while seen.len() < 3 {
            bell.park();
            mailbox.collect(&mut batch);
            seen.extend(std::iter::from_fn(|| batch.pop()));
        }
        for poster in posters {
            poster.join().unwrap();
        }
        assert_eq!(seen.pop(), Some(9));
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
    });
}

/// One thread posts an item that comes first and then another one; a second thread posts to another shard, perhaps after
/// the first item. However collecting falls in between, the first item is seen before all that was posted after it.
#[test]
fn loom_b5_what_comes_first_is_collected_before_what_is_posted_after_it() {
    const FIRST: u32 = 9;
    const AFTER: u32 = 10;
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::default());
        let bell = Arc::new(Parker::new());
        let posted = Arc::new(AtomicUsize::new(0));
        let one = {
            let (mailbox, bell, posted) = (mailbox.clone(), bell.clone(), posted.clone());
            thread::spawn(move || {
                if mailbox.post_first(FIRST) {
                    bell.unpark();
                }
                posted.store(1, Ordering::Release);
                if mailbox.post(0, AFTER) {
                    bell.unpark();
                }
            })
        };
        let other = {
            let (mailbox, bell, posted) = (mailbox.clone(), bell.clone(), posted.clone());
            thread::spawn(move || {
                let is_after = posted.load(Ordering::Acquire) == 1;
                if mailbox.post(1, if is_after { AFTER } else { 0 }) {
                    bell.unpark();
                }
            })
        };
        let mut seen = Vec::new();
        let mut batch = Batch::default();
        while seen.len() < 3 {
            bell.park();
            mailbox.collect(&mut batch);
            seen.extend(std::iter::from_fn(|| batch.pop()));
        }
        one.join().unwrap();
        other.join().unwrap();
        let first = seen.iter().position(|item| *item == FIRST);
        let after = seen.iter().position(|item| *item == AFTER);
        assert!(first < after, "{seen:?}");
    });
}

/// The owner begins while another thread revokes: exactly one gets the payload.
#[test]
fn loom_l1_a_task_is_begun_or_revoked() {
    loom::model(|| {
        let cell = Arc::new(Cell::new());
        cell.put(1, LABEL, 7u32);
        let thief = {
            let cell = cell.clone();
            thread::spawn(move || cell.revoke(1))
        };
        let begun = cell.begin(0);
        let revoked = thief.join().unwrap();
        assert!(begun.is_some() != revoked.is_some());
        assert_eq!(begun.or(revoked), Some(7));
    });
}

/// The owner finishes while another thread gives the task up: exactly one of them settles it.
#[test]
fn loom_l2_a_task_is_finished_or_abandoned() {
    loom::model(|| {
        let cell = Arc::new(Cell::new());
        cell.put(1, LABEL, ());
        let settled = Arc::new(AtomicUsize::new(0));
        cell.begin(0).unwrap();
        let canceller = {
            let (cell, settled) = (cell.clone(), settled.clone());
            thread::spawn(move || {
                if cell.abandon(1).is_some() {
                    settled.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        if cell.finish() {
            settled.fetch_add(1, Ordering::Relaxed);
        } else {
            cell.release();
        }
        canceller.join().unwrap();
        assert_eq!(settled.load(Ordering::Relaxed), 1);
    });
}

/// A task that runs again goes from its cell into the queue: whoever looks under the lock finds it in one of the two.
#[test]
fn loom_l4_a_task_between_two_runs_is_found() {
    loom::model(|| {
        let cell = Arc::new(Cell::new());
        let queue = Arc::new(Mutex::new(Vec::new()));
        cell.put(1, LABEL, ());
        cell.begin(0).unwrap();
        let canceller = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                let mut queue = queue.lock();
                assert!(cell.abandon(1).is_some() || queue.pop() == Some(1));
            })
        };
        {
            let mut queue = queue.lock();
            if cell.finish() {
                queue.push(1);
            } else {
                cell.release();
            }
        }
        canceller.join().unwrap();
        assert!(queue.lock().is_empty());
    });
}

/// A caller and a helper share three chunks: each runs once, and the caller leaves after the helper.
#[test]
#[expect(unsafe_code, reason = "as the native lane does")]
fn loom_f1_f2_chunks_run_once_and_the_caller_leaves_last() {
    loom::model(|| {
        // The body, dropped by the caller right after `leave`: a helper that still ran would touch a dead counter.
        let ran = Box::new(AtomicUsize::new(0));
        let body = |chunk: usize| {
            ran.fetch_add(1 << (4 * chunk), Ordering::Relaxed);
        };
        // SAFETY: the section is taken off the list and left below, before `body` ends.
        let section = Arc::new(unsafe { Section::new(3, &body) });
        let list = Arc::new(Mutex::new(Some(section.clone())));
        let helper = {
            let list = list.clone();
            thread::spawn(move || {
                let guard = list.lock();
                let Some(section) = guard.clone().filter(|section| section.wants_help()) else { return };
                section.enter();
                drop(guard);
                section.work(|| false);
                section.exit();
            })
        };
        section.work(|| false);
        *list.lock() = None;
        assert_eq!(section.leave(), None);
        assert_eq!(ran.load(Ordering::Relaxed), 0x111);
        helper.join().unwrap();
    });
}

/// One thread records more than its ring holds while another one reads: what it reads is whole, and in order without gaps
/// up to what is the latest then.
#[test]
fn loom_r1_records_that_are_read_are_whole() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(2));
        // Before there are two threads, so that few changes between them reach the record that is overwritten.
        ring.push([0; 4]);
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || (1..3).for_each(|value| ring.push([value; 4])))
        };
        let Contents { records, lost } = ring.read();
        for (at, record) in records.iter().enumerate() {
            assert_eq!(*record, [lost + at as u64; 4]);
        }
        writer.join().unwrap();
        let Contents { records, lost } = ring.read();
        assert_eq!((records, lost), (vec![[2; 4]], 2));
    });
}
