//! Stage: all. Thread: any.
//! How busy the machine is, and what it is made of.
//!
//! G1. Sampling happens inside a call: no thread, no timer, no child process.
//! G2. What is not known is left out: figures are given only for a span in which counters can have moved.

use std::time::{Duration, Instant};
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, System};

/// Below this the counters of some systems have not moved.
const SHORTEST_SPAN: Duration = if MINIMUM_CPU_UPDATE_INTERVAL.is_zero() {
    Duration::from_millis(100)
} else {
    MINIMUM_CPU_UPDATE_INTERVAL
};

/// Counters of every logical CPU, as they were when they were last read.
#[derive(Debug)]
pub struct Sampler {
    /// `None` where the system is not known.
    system: Option<System>,
    read_at: Instant,
    shares: Vec<f64>,
}

impl Sampler {
    /// Reads the counters, so that the next reading can be compared with them.
    pub fn new(now: Instant) -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        Self { system, read_at: now, shares: Vec::new() }
    }

    /// Busy share in percent of every logical CPU since the reading before; empty when there is no figure. A reading too
    /// soon after the last one gives the figures of that one.
    pub fn read(&mut self, now: Instant) -> &[f64] {
        if let Some(system) = &mut self.system
            && now.saturating_duration_since(self.read_at) >= SHORTEST_SPAN
        {
            self.read_at = now;
            system.refresh_cpu_usage();
            self.shares = shares(system.cpus().iter().map(sysinfo::Cpu::usage));
        }
        &self.shares
    }
}

/// Shares in percent, without what is no number.
fn shares(usages: impl Iterator<Item = f32>) -> Vec<f64> {
    usages.filter(|usage| usage.is_finite()).map(|usage| f64::from(usage.clamp(0.0, 100.0))).collect()
}

/// What the machine is made of.
#[derive(Debug, serde::Serialize)]
pub struct Machine {
    /// Physical cores.
    pub cores: usize,
    /// Logical cores.
    pub threads: usize,
    /// Total memory, bytes.
    pub memory: u64,
}

impl Machine {
    /// Of this machine.
    pub fn read() -> Self {
        let Ok(mut system) = System::new() else { return Self::of(None, 0, 0) };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        system.refresh_cpu_usage();
        Self::of(System::physical_core_count().ok(), system.cpus().len(), system.total_memory())
    }

    /// From what the system tells: 0 and `None` are what it does not tell. There is a core, and no more of them than CPUs.
    fn of(cores: Option<usize>, threads: usize, memory: u64) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            known => known,
        };
        let cores = cores.filter(|cores| *cores > 0).unwrap_or(threads).min(threads);
        Self { cores, threads, memory }
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::{Machine, SHORTEST_SPAN, Sampler, shares};
    use std::time::Instant;

    #[test]
    fn g2_the_first_reading_and_one_too_soon_give_no_figures() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        assert!(sampler.read(start).is_empty());
        assert!(sampler.read(start + SHORTEST_SPAN / 2).is_empty());
    }

    #[test]
    fn a_later_reading_gives_a_share_for_every_cpu_and_keeps_it_for_the_span() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        std::thread::sleep(SHORTEST_SPAN);
        let first = sampler.read(start + SHORTEST_SPAN).to_vec();
        assert_eq!(first.len(), Machine::read().threads);
        assert!(first.iter().all(|share| (0.0..=100.0).contains(share)), "{first:?}");
        assert_eq!(sampler.read(start + SHORTEST_SPAN), first);
    }

    #[test]
    fn g2_an_unknown_system_gives_no_figures() {
        let start = Instant::now();
        let mut sampler = Sampler { system: None, read_at: start, shares: Vec::new() };
        assert!(sampler.read(start + 10 * SHORTEST_SPAN).is_empty());
    }

    #[test]
    fn shares_are_percentages_and_numbers() {
        let given = [0.0, 12.5, 100.5, -1.0, f32::NAN, f32::INFINITY];
        assert_eq!(shares(given.into_iter()), [0.0, 12.5, 100.0, 0.0]);
    }

    #[test]
    fn a_machine_has_a_core_and_no_more_cores_than_cpus() {
        let figures = |cores, threads| {
            let machine = Machine::of(cores, threads, 5);
            (machine.cores, machine.threads)
        };
        assert_eq!(figures(Some(4), 8), (4, 8));
        assert_eq!(figures(Some(8), 4), (4, 4));
        assert_eq!(figures(Some(0), 4), (4, 4));
        assert_eq!(figures(None, 4), (4, 4));
        let (cores, threads) = figures(None, 0);
        assert!(cores >= 1 && cores == threads);
        assert!(Machine::read().memory > 0);
    }
}
