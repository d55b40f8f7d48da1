//! Stage: all. Thread: one thread at a time writes; any thread reads.
//! What one thread records: its latest records, in memory of a fixed size, written without a lock and without waiting.
//!
//! R1. A record that is read is whole: what the writer overwrites meanwhile is left out.
//! R2. Read are the latest records, in the order in which they were written; all others count as lost.

use crate::sync::{AtomicBool, AtomicU64, Ordering, fence};

/// One thing that happened; see `record.rs` for what its words mean.
pub(crate) type Record = [u64; 4];

/// The records of one thread.
#[derive(Debug)]
pub(crate) struct Ring {
    places: Box<[[AtomicU64; 4]]>,
    mask: u64,
    /// Records written so far.
    written: AtomicU64,
    /// Whether the thread that wrote has ended, so that another one may go on.
    free: AtomicBool,
}

/// What is in a ring.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) records: Vec<Record>,
    /// Records that were overwritten.
    pub(crate) lost: u64,
}

impl Ring {
    /// Room for `capacity` records, a power of two. The oldest one is lost with the next that is written, so one fewer
    /// can be read.
    pub(crate) fn new(capacity: usize) -> Self {
        debug_assert!(capacity.is_power_of_two());
        Self {
            places: (0..capacity).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect(),
            mask: capacity as u64 - 1,
            written: AtomicU64::new(0),
            free: AtomicBool::new(false),
        }
    }

    /// Writes a record over the oldest one. Only by the thread that the ring belongs to.
    #[inline]
    pub(crate) fn push(&self, record: Record) {
        let at = self.written.load(Ordering::Relaxed);
        // Pairs with the fence in `read`: whoever reads a word of this record also reads that it is being written (R1).
        fence(Ordering::Release);
        let place = &self.places[(at & self.mask) as usize];
        for (word, value) in place.iter().zip(record) {
            word.store(value, Ordering::Relaxed);
        }
        // Pairs with the first load in `read`, which then sees the whole record.
        self.written.store(at + 1, Ordering::Release);
    }

    /// What is in it now.
    pub(crate) fn read(&self) -> Contents {
        let end = self.written.load(Ordering::Acquire);
        let first = (end + 1).saturating_sub(self.mask + 1);
        let place = |at: u64| &self.places[(at & self.mask) as usize];
        let load = |at: u64| std::array::from_fn(|word| place(at)[word].load(Ordering::Relaxed));
        let mut records: Vec<Record> = (first..end).map(load).collect();
        fence(Ordering::Acquire);
        // One may be half written beyond what is counted.
        let oldest = (self.written.load(Ordering::Relaxed) + 1).saturating_sub(self.mask + 1);
        let torn = (oldest.saturating_sub(first) as usize).min(records.len());
        records.drain(..torn);
        Contents { records, lost: first + torn as u64 }
    }

    /// The thread that it belongs to writes no more.
    pub(crate) fn leave(&self) {
        // Pairs with `take_over`: the next thread goes on after the last record.
        self.free.store(true, Ordering::Release);
    }

    /// Makes it the caller's if it is nobody's.
    pub(crate) fn take_over(&self) -> bool {
        self.free.compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn filled(capacity: usize, records: u64) -> Contents {
        let ring = Ring::new(capacity);
        (0..records).for_each(|value| ring.push([value; 4]));
        ring.read()
    }

    fn firsts(contents: &Contents) -> Vec<u64> {
        contents.records.iter().map(|record| record[0]).collect()
    }

    #[test]
    fn r2_the_latest_are_read_in_order_and_the_rest_counts_as_lost() {
        assert_eq!(filled(4, 0).lost, 0);
        assert!(filled(4, 0).records.is_empty());
        for (written, kept, lost) in [(1, 0..1, 0), (3, 0..3, 0), (4, 1..4, 1), (5, 2..5, 2), (9, 6..9, 6)] {
            let contents = filled(4, written);
            assert_eq!((firsts(&contents), contents.lost), (kept.collect(), lost), "{written} written");
        }
    }

    #[test]
    fn r1_a_reader_beside_the_writers_gets_whole_records_and_counts_the_others() {
        let rings: Vec<Arc<Ring>> = (0..3).map(|_| Arc::new(Ring::new(64))).collect();
        let writers: Vec<_> = rings
            .iter()
            .map(|ring| {
                let ring = ring.clone();
                std::thread::spawn(move || (0..200_000_u64).for_each(|value| ring.push([value; 4])))
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            for ring in &rings {
                let Contents { records, lost } = ring.read();
                for (at, record) in records.iter().enumerate() {
                    assert_eq!(*record, [lost + at as u64; 4]);
                }
            }
        }
        for writer in writers {
            writer.join().unwrap();
        }
        for ring in &rings {
            let contents = ring.read();
            assert_eq!((contents.records.len(), contents.lost), (63, 200_000 - 63));
        }
    }

    #[test]
    fn one_thread_goes_on_where_another_ended() {
        let ring = Ring::new(4);
        assert!(!ring.take_over(), "it is somebody's");
        ring.push([1; 4]);
        ring.leave();
        assert!(ring.take_over());
        assert!(!ring.take_over(), "only one takes it");
        ring.push([2; 4]);
        assert_eq!(firsts(&ring.read()), [1, 2]);
    }
}
