//! Stage: schedule. Thread: whoever holds the pool's lock.
//! What a scheduler is told once, when it is made.

use super::Lane;

/// In which order tasks of equal priority leave a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// In the order in which they came.
    #[default]
    Fifo,
    /// The one expected to take longest first; a task of which nothing is known counts as average.
    LongestFirst,
}

/// Settings of a [`Scheduler`](super::Scheduler).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Order within equal priority.
    pub schedule: Schedule,
    /// Most tasks admitted and not finished; `None` is no bound.
    pub capacity_tasks: Option<usize>,
    /// Most bytes in admitted and unfinished tasks; `None` is no bound. A task alone is always admitted, however big,
    /// since waiting would never make room for it.
    pub capacity_bytes: Option<usize>,
    /// A waiting task gains one unit of priority each time it has waited this long, in nanoseconds; 0 is never.
    pub ageing: u64,
    /// How many tasks one worker runs at a time, by lane.
    pub concurrency: [u32; Lane::COUNT],
    /// Whether workers take free tasks and steal, by lane. Otherwise every task is assigned at submit, to the least
    /// loaded worker where it names none, and stays there.
    pub eager: [bool; Lane::COUNT],
    /// How many cost keys are remembered.
    pub cost_keys: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            schedule: Schedule::Fifo,
            capacity_tasks: None,
            capacity_bytes: None,
            ageing: 10_000_000_000,
            concurrency: [1; Lane::COUNT],
            eager: [true; Lane::COUNT],
            cost_keys: 10_000,
        }
    }
}
