//! Stage: all. Thread: the program's.
//! The real scheduler on virtual time: policies side by side, with up to thousands of workers.
//!
//! ```text
//! cargo run --release -p threadmill-core --example simulate -- [--workers 2,16,256,4096] [--tasks 1000000]
//!     [--load skewed|bursty|even|heavy-one|tiny] [--policy fifo|longest-first|steal|no-steal|all] [--seed 1]
//!     [--measure]
//! ```
//!
//! Deterministic by seed, but for the column `wall`. `--measure` times the scheduler itself instead. What the
//! simulation leaves out: the price of the lock, of the caches, and of an operating system with other things to do.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use threadmill_core::scheduler::{
    Affinity, Claims, Config, CostKey, Lane, Schedule, Scheduler, Strength, Taken, TaskId, TaskSpec, Time,
    WorkerRef,
};

/// From a wake-up to the woken worker's first look, ns.
const WAKE: u64 = 5_000;
const MS: f64 = 1e6;

#[derive(Clone, Copy, Debug)]
enum Load {
    /// Log-normal run times, all at once.
    Skewed,
    /// Log-normal run times in bursts, at 80 % of what the workers can do.
    Bursty,
    /// All alike, all at once.
    Even,
    /// All alike but the last, which is as long as all others together take.
    HeavyOne,
    /// All of 5 µs, known beforehand, so that they are taken several at a time.
    Tiny,
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    Fifo,
    /// With estimates that are off by a fifth or so.
    LongestFirst,
    /// Every task prefers a worker, in turn, and may be stolen.
    Steal,
    /// Every task is forced to a worker, in turn.
    NoSteal,
}

impl Policy {
    const ALL: [Self; 4] = [Self::Fifo, Self::LongestFirst, Self::Steal, Self::NoSteal];

    fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::LongestFirst => "longest-first",
            Self::Steal => "steal",
            Self::NoSteal => "no-steal",
        }
    }
}

/// One task to come.
#[derive(Clone, Copy)]
struct Job {
    arrives: u64,
    runs: u64,
    estimate: u64,
}

fn jobs(load: Load, count: usize, workers: u32, seed: u64) -> Result<Vec<Job>, Box<dyn Error>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let skewed = LogNormal::new(0.0, 1.5)?;
    let blur = LogNormal::new(0.0, 0.2)?;
    let burst = 1000.0;
    // The mean of the run times is e^(1.5²/2) ms.
    let gaps = Exp::new(0.8 * f64::from(workers) / (burst * (1.5f64 * 1.5 / 2.0).exp() * MS))?;
    let mut arrives = 0.0;
    let mut jobs = Vec::with_capacity(count);
    for number in 0..count {
        if matches!(load, Load::Bursty) && number % 1000 == 0 {
            arrives += gaps.sample(&mut rng);
        }
        let runs = match load {
            Load::Skewed | Load::Bursty => skewed.sample(&mut rng) * MS,
            Load::HeavyOne if number + 1 == count => MS * (count as f64 / f64::from(workers)).max(1.0),
            Load::Even | Load::HeavyOne => MS,
            Load::Tiny => MS / 200.0,
        };
        let estimate = runs * blur.sample(&mut rng);
        jobs.push(Job { arrives: arrives as u64, runs: runs as u64, estimate: estimate as u64 });
    }
    Ok(jobs)
}

/// What a worker has taken and not begun.
struct Ahead(Vec<VecDeque<(TaskId, u32)>>);

impl Claims<u32> for Ahead {
    fn revoke(&mut self, worker: WorkerRef, id: TaskId) -> Option<u32> {
        let ahead = &mut self.0[worker.index as usize];
        let at = ahead.iter().position(|(held, _)| *held == id)?;
        ahead.remove(at).map(|(_, job)| job)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival(u32),
    /// A worker was woken, or is done with its task.
    Worker(u32),
}

struct Outcome {
    makespan: u64,
    waits: Histogram<u64>,
    steals: u64,
    wakes: u64,
}

struct World<'a> {
    jobs: &'a [Job],
    policy: Policy,
    workers: u32,
    key: Option<CostKey>,
    scheduler: Scheduler<u32>,
    ahead: Ahead,
    /// What each worker runs.
    current: Vec<Option<(TaskId, u32)>>,
    /// What it has run since it last came by.
    ended: Vec<Vec<(TaskId, u32)>>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    next_event: u64,
    woken: Vec<WorkerRef>,
    taken: Vec<Taken<u32>>,
    outcome: Outcome,
}

impl<'a> World<'a> {
    fn new(jobs: &'a [Job], policy: Policy, load: Load, workers: u32) -> Result<Self, Box<dyn Error>> {
        let schedule =
            if matches!(policy, Policy::LongestFirst) { Schedule::LongestFirst } else { Schedule::Fifo };
        let mut scheduler = Scheduler::new(Config { schedule, ..Config::default() });
        let mut woken = Vec::new();
        for index in 0..workers {
            scheduler.join(WorkerRef { lane: Lane::Native, index }, false, &mut woken);
        }
        let key = matches!(load, Load::Tiny).then(|| scheduler.costs.key("tiny"));
        let count = workers as usize;
        Ok(Self {
            jobs,
            policy,
            workers,
            key,
            scheduler,
            ahead: Ahead(vec![VecDeque::new(); count]),
            current: vec![None; count],
            ended: vec![Vec::new(); count],
            events: BinaryHeap::new(),
            next_event: 0,
            woken,
            taken: Vec::new(),
            outcome: Outcome { makespan: 0, waits: Histogram::new(3)?, steals: 0, wakes: 0 },
        })
    }

    fn at(&mut self, time: u64, event: Event) {
        self.events.push(Reverse((time, self.next_event, event)));
        self.next_event += 1;
    }

    fn run(mut self) -> Result<Outcome, Box<dyn Error>> {
        if !self.jobs.is_empty() {
            self.at(self.jobs[0].arrives, Event::Arrival(0));
        }
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            match event {
                Event::Arrival(job) => self.arrive(job, now),
                Event::Worker(index) => self.step(index, now)?,
            }
            for worker in std::mem::take(&mut self.woken) {
                self.outcome.wakes += 1;
                self.at(now + WAKE, Event::Worker(worker.index));
            }
        }
        assert!(self.scheduler.is_idle(), "nothing is left behind");
        self.outcome.steals = self.scheduler.steals();
        Ok(self.outcome)
    }

    fn arrive(&mut self, number: u32, now: u64) {
        let job = self.jobs[number as usize];
        let on = |strength| Affinity::Worker { index: number % self.workers, strength };
        let affinity = match self.policy {
            Policy::Fifo | Policy::LongestFirst => Affinity::None,
            Policy::Steal => on(Strength::Light),
            Policy::NoSteal => on(Strength::Force),
        };
        let estimate = Some(job.estimate);
        let spec = TaskSpec { affinity, estimate, key: self.key, ..TaskSpec::plain(Lane::Native) };
        let admitted = self.scheduler.submit(spec, number, Time(now), &mut self.ahead, &mut self.woken);
        assert!(admitted.is_ok(), "there is no capacity and every worker exists");
        if let Some(next) = self.jobs.get(number as usize + 1) {
            self.at(next.arrives, Event::Arrival(number + 1));
        }
    }

    /// A worker has nothing to do right now.
    fn step(&mut self, index: u32, now: u64) -> Result<(), Box<dyn Error>> {
        let worker = WorkerRef { lane: Lane::Native, index };
        let me = index as usize;
        self.ended[me].extend(self.current[me].take());
        if self.ahead.0[me].is_empty() {
            for (id, job) in self.ended[me].drain(..) {
                self.scheduler.complete(worker, id, self.jobs[job as usize].runs, true, Time(now));
                self.outcome.makespan = now;
            }
            self.scheduler.take(worker, 32, Time(now), &mut self.ahead, &mut self.taken, &mut self.woken);
            self.ahead.0[me].extend(self.taken.drain(..).map(|taken| (taken.id, taken.payload)));
        }
        if let Some((id, job)) = self.ahead.0[me].pop_front() {
            self.current[me] = Some((id, job));
            let Job { arrives, runs, .. } = self.jobs[job as usize];
            self.outcome.waits.record(now - arrives)?;
            self.at(now + runs, Event::Worker(index));
        } else {
            assert!(self.scheduler.park(worker, Time(now)), "an empty take is followed by sleep");
        }
        Ok(())
    }
}

/// The least time in which any schedule could be done, ns.
fn lower_bound(jobs: &[Job], workers: u32) -> u64 {
    let total: u64 = jobs.iter().map(|job| job.runs).sum();
    let last = jobs.iter().map(|job| job.arrives + job.runs).max().unwrap_or(0);
    last.max(total / u64::from(workers)).max(1)
}

struct Options {
    workers: Vec<u32>,
    tasks: usize,
    load: Load,
    policies: Vec<Policy>,
    seed: u64,
    measure: bool,
}

fn options() -> Result<Options, Box<dyn Error>> {
    use lexopt::prelude::{Long, ValueExt};
    let mut options = Options {
        workers: vec![2, 16, 256, 4096],
        tasks: 1_000_000,
        load: Load::Skewed,
        policies: Policy::ALL.to_vec(),
        seed: 1,
        measure: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("workers") => {
                let list = parser.value()?.string()?;
                options.workers = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
                if options.workers.contains(&0) {
                    return Err("--workers: at least 1 each".into());
                }
            }
            Long("tasks") => options.tasks = parser.value()?.parse::<u32>()? as usize,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("measure") => options.measure = true,
            Long("load") => {
                options.load = match parser.value()?.string()?.as_str() {
                    "skewed" => Load::Skewed,
                    "bursty" => Load::Bursty,
                    "even" => Load::Even,
                    "heavy-one" => Load::HeavyOne,
                    "tiny" => Load::Tiny,
                    other => {
                        return Err(
                            format!("--load: skewed, bursty, even, heavy-one or tiny, not {other}").into()
                        );
                    }
                };
            }
            Long("policy") => {
                let name = parser.value()?.string()?;
                options.policies =
                    Policy::ALL.into_iter().filter(|policy| name == "all" || policy.name() == name).collect();
                if options.policies.is_empty() {
                    return Err(
                        format!("--policy: fifo, longest-first, steal, no-steal or all, not {name}").into()
                    );
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    if options.measure {
        measure(options.seed);
        return Ok(());
    }
    println!("{} tasks, {:?}, seed {}; waits in ms", options.tasks, options.load, options.seed);
    println!(
        "{:<14}{:>8}{:>10}{:>13}{:>13}{:>13}{:>13}{:>10}{:>10}{:>8}",
        "policy", "workers", "makespan", "p50", "p99", "p99.9", "max", "steals", "wakes", "wall s"
    );
    for workers in options.workers {
        let jobs = jobs(options.load, options.tasks, workers, options.seed)?;
        for policy in &options.policies {
            let started = Instant::now();
            let outcome = World::new(&jobs, *policy, options.load, workers)?.run()?;
            let wall = started.elapsed().as_secs_f64();
            let wait = |quantile| outcome.waits.value_at_quantile(quantile) as f64 / MS;
            println!(
                "{:<14}{:>8}{:>9.3}x{:>13.3}{:>13.3}{:>13.3}{:>13.3}{:>10}{:>10}{:>8.2}",
                policy.name(),
                workers,
                outcome.makespan as f64 / lower_bound(&jobs, workers) as f64,
                wait(0.5),
                wait(0.99),
                wait(0.999),
                outcome.waits.max() as f64 / MS,
                outcome.steals,
                outcome.wakes,
                wall
            );
        }
    }
    Ok(())
}

/// Payload of the size of a queued number task.
type Payload = [u64; 5];

struct Untaken;

impl Claims<Payload> for Untaken {
    fn revoke(&mut self, _: WorkerRef, _: TaskId) -> Option<Payload> {
        None
    }
}

/// Times submit, take and complete of plain tasks on one worker.
fn measure(seed: u64) {
    println!(
        "{} bytes per task with a payload of {}",
        Scheduler::<Payload>::place_size(),
        size_of::<Payload>()
    );
    println!("{:<44}{:>12}", "submit + take + complete", "ns per task");
    for (name, flight, priorities) in [
        ("one in flight", 1, 1),
        ("1,024 in flight", 1024, 1),
        ("1,000,000 in flight", 1_000_000, 1),
        ("1,024 in flight, 4 priorities", 1024, 4),
    ] {
        let best = (0..if flight > 2000 { 5 } else { 300 })
            .map(|_| round_trip(flight, priorities, seed))
            .fold(f64::INFINITY, f64::min);
        println!("{name:<44}{best:>12.1}");
    }
}

fn round_trip(flight: usize, priorities: u32, seed: u64) -> f64 {
    // Short samples, of which the best counts: on a busy machine the others were interrupted.
    let rounds = (10_000 / flight).max(1);
    let mut rng = StdRng::seed_from_u64(seed);
    let mix: Vec<f64> = (0..1024).map(|_| f64::from(rng.random_range(0..priorities))).collect();
    let worker = WorkerRef { lane: Lane::Native, index: 0 };
    let mut scheduler: Scheduler<Payload> = Scheduler::new(Config::default());
    let (mut wakes, mut taken) = (Vec::new(), Vec::new());
    scheduler.join(worker, true, &mut wakes);
    let started = Instant::now();
    let mut now = 0;
    for _ in 0..rounds {
        for number in 0..flight {
            now += 1;
            let priority = mix[number % 1024];
            let spec = TaskSpec { priority, ..TaskSpec::plain(Lane::Native) };
            let admitted = scheduler.submit(spec, [now; 5], Time(now), &mut Untaken, &mut wakes);
            assert!(admitted.is_ok());
        }
        for _ in 0..flight {
            now += 1;
            scheduler.take(worker, 1, Time(now), &mut Untaken, &mut taken, &mut wakes);
            let task = taken.pop().expect("a task waits");
            black_box(task.payload);
            scheduler.complete(worker, task.id, 1000, true, Time(now));
        }
        wakes.clear();
    }
    started.elapsed().as_nanos() as f64 / (rounds * flight) as f64
}
