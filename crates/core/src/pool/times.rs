//! Stage: complete. Thread: whoever holds the pool's lock.
//! How long tasks waited and ran, as histograms: by worker and by key. The pool's are the sum of the workers'.

use crate::scheduler::CostKey;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Width of a histogram's finest step, ns.
const UNIT: u64 = 100;
/// Two significant digits: a value is told within 1 %.
const DIGITS: u8 = 2;
/// Keys that have histograms; those that come later have none.
const MAX_KEYS: usize = 256;

/// Bits of a value that a histogram with that many digits keeps: 200 is the least value that must be told from the next.
const BITS: u32 = 8;

/// How many values there were of each kind. Of one kind are values that a histogram does not tell apart, so it becomes the
/// same when it is made of the kinds; but they are counted for each task, and a histogram is made for each reader.
#[derive(Debug, Default)]
struct Counts(Vec<u32>);

impl Counts {
    #[inline]
    fn record(&mut self, value: u64) {
        let lost = (u64::BITS - BITS).saturating_sub(value.leading_zeros());
        let kind = ((lost << (BITS - 1)) + (value >> lost) as u32) as usize;
        if kind >= self.0.len() {
            self.grow(kind);
        }
        self.0[kind] = self.0[kind].saturating_add(1);
    }

    #[cold]
    fn grow(&mut self, kind: usize) {
        self.0.resize(kind.next_multiple_of(1 << (BITS - 1)) + 1, 0);
    }

    fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*more);
        }
    }

    fn histogram(&self) -> Histogram<u32> {
        // Grows with what it is given, up to all that a `u64` holds.
        let mut histogram = Histogram::new(DIGITS).expect("the number of digits is allowed");
        for (kind, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let lost = (kind >> (BITS - 1)).saturating_sub(1);
            let value = (kind - (lost << (BITS - 1))) as u64;
            let _ = histogram.record_n(value << lost, *count);
        }
        histogram
    }
}

/// Times of tasks that gave an output.
#[derive(Debug, Default)]
pub(super) struct Times {
    wait: Counts,
    run: Counts,
}

impl Times {
    /// Both in ns.
    #[inline]
    pub(super) fn record(&mut self, wait: u64, run: u64) {
        self.wait.record(wait / UNIT);
        self.run.record(run / UNIT);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.wait.add(&other.wait);
        self.run.add(&other.run);
    }

    /// Wait time, and run time.
    pub(super) fn summaries(&self) -> [Summary; 2] {
        [Summary::of(&self.wait.histogram()), Summary::of(&self.run.histogram())]
    }
}

/// A histogram in a few figures. Times in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Tasks.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
    /// Median.
    pub p50: f64,
    /// 90 of 100 took no longer.
    pub p90: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// 999 of 1000 took no longer.
    pub p999: f64,
}

impl Summary {
    fn of(histogram: &Histogram<u32>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let ms = |units: f64| units * UNIT as f64 / 1e6;
        let at = |quantile| ms(histogram.value_at_quantile(quantile) as f64);
        Self {
            count: histogram.len(),
            mean: ms(histogram.mean()),
            min: ms(histogram.min() as f64),
            max: ms(histogram.max() as f64),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

/// Times by key, for the keys that came first.
#[derive(Debug, Default)]
pub(super) struct KeyTimes {
    /// By the index of the key.
    entries: Vec<Option<(CostKey, Box<Times>)>>,
    count: usize,
}

impl KeyTimes {
    pub(super) fn record(&mut self, key: CostKey, wait: u64, run: u64) {
        let index = key.index();
        if index >= self.entries.len() {
            if self.count == MAX_KEYS {
                return;
            }
            self.entries.resize_with(index + 1, || None);
        }
        match &mut self.entries[index] {
            Some((known, times)) if *known == key => times.record(wait, run),
            // The table has given the place to another key.
            Some(entry) => {
                *entry = (key, Box::default());
                entry.1.record(wait, run);
            }
            entry if self.count < MAX_KEYS => {
                self.count += 1;
                let (_, times) = entry.insert((key, Box::default()));
                times.record(wait, run);
            }
            None => {}
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CostKey, &Times)> {
        self.entries.iter().flatten().map(|(key, times)| (*key, &**times))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Counts, DIGITS, Histogram, KeyTimes, MAX_KEYS, Summary, Times};
    use crate::scheduler::CostTable;

    #[test]
    fn counts_make_the_histogram_that_was_told_each_value() {
        let around = |value: u64| [value.saturating_sub(1), value, value.saturating_add(1)];
        let values = (0..64).flat_map(|bit| around(1 << bit)).chain(0..2000).chain([u64::MAX, u64::MAX - 1]);
        let mut counts = Counts::default();
        let mut told = Histogram::<u32>::new(DIGITS).unwrap();
        for (times, value) in values.enumerate() {
            for _ in 0..times % 3 {
                counts.record(value);
                told.record(value).unwrap();
            }
        }
        let made = counts.histogram();
        let places = |of: &Histogram<u32>| {
            let each = of.iter_recorded();
            each.map(|place| (place.value_iterated_to(), place.count_at_value())).collect::<Vec<_>>()
        };
        assert_eq!(places(&made), places(&told));
        assert_eq!(Summary::of(&made), Summary::of(&told));
    }

    #[test]
    fn figures_are_within_one_percent() {
        let mut times = Times::default();
        for index in 1..=1000u64 {
            times.record(index * 1_000_000, 5_000_000_000);
        }
        let [wait, run] = times.summaries();
        let near = |actual: f64, expected: f64| (actual - expected).abs() <= expected * 0.01;
        assert_eq!(wait.count, 1000);
        assert!(near(wait.mean, 500.5) && near(wait.min, 1.0) && near(wait.max, 1000.0), "{wait:?}");
        assert!(near(wait.p50, 500.0) && near(wait.p90, 900.0) && near(wait.p99, 990.0), "{wait:?}");
        assert!(near(wait.p999, 999.0) && near(run.p50, 5000.0) && near(run.max, 5000.0), "{run:?}");
    }

    #[test]
    fn the_sum_of_workers_is_that_of_all_tasks() {
        let (mut sum, mut all) = (Times::default(), Times::default());
        for worker in 0..4u64 {
            let mut times = Times::default();
            for index in 0..100 {
                times.record(index * 977 * (worker + 1), index * 31);
                all.record(index * 977 * (worker + 1), index * 31);
            }
            sum.add(&times);
        }
        assert_eq!(sum.summaries(), all.summaries());
    }

    #[test]
    fn nothing_recorded_is_all_zeros() {
        assert_eq!(Times::default().summaries(), [Summary::default(); 2]);
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_a_key_that_was_forgotten_leaves_its_place() {
        let mut costs = CostTable::new(2);
        let mut times = KeyTimes::default();
        for name in ["a", "b", "c"] {
            times.record(costs.key(name), 1000, 1000);
        }
        assert_eq!(times.iter().count(), 2);
        let counts: Vec<_> =
            times.iter().map(|(key, times)| (costs.name(key), times.summaries()[1].count)).collect();
        assert_eq!(counts, [(Some("c"), 1), (Some("b"), 1)], "not with the times of the one before");
        let mut costs = CostTable::new(1000);
        let mut times = KeyTimes::default();
        for index in 0..1000 {
            times.record(costs.key(&index.to_string()), 1000, 1000);
        }
        assert_eq!(times.iter().count(), MAX_KEYS);
    }
}
