//! Stage: all. Thread: the program's, and one native worker's.
//! Tasks on their way from submit to completion, to be run under callgrind: `scripts/instructions.mjs` counts what one
//! more task costs.
//!
//! ```text
//! cargo run --release -p threadmill-cycles -- [CYCLE TASKS]
//! ```
//!
//! Without arguments it lists the cycles. Nothing in it depends on time, chance or the order of threads, so that a run
//! takes the same instructions each time: the clock is its own, and only one thread at a time has something to do.

#![expect(clippy::print_stdout, reason = "a program that prints a list")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use threadmill_core::completion::{Answer, CompletionSink, Event};
use threadmill_core::kernels;
use threadmill_core::mailbox::{Batch, Mailbox};
use threadmill_core::pool::{
    Board, ENTRY, NO_EXPORT, Payload, PlainJob, Pool, PoolOptions, Sizing, Visit, Waker,
};
use threadmill_core::scheduler::{
    Affinity, Claims, Config, CostKey, Lane, Schedule, Scheduler, Strength, Taken, TaskId, TaskSpec, Time,
    WorkerRef,
};
use threadmill_core::value::Value;

/// The system's clock for this program: every reading is a little later than the one before.
#[cfg(target_os = "linux")]
mod clock {
    #![expect(unsafe_code, reason = "takes the place of a function of libc")]

    use std::sync::atomic::{AtomicU64, Ordering};

    /// ns; so small that tasks count as tiny.
    const STEP: u64 = 200;
    const SECOND: u64 = 1_000_000_000;

    /// As POSIX has it.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn clock_gettime(_: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
        static NOW: AtomicU64 = AtomicU64::new(SECOND);
        let now = NOW.fetch_add(STEP, Ordering::Relaxed);
        // SAFETY: the caller passes a place for the time.
        unsafe {
            (*time).tv_sec = (now / SECOND) as _;
            (*time).tv_nsec = (now % SECOND) as libc::c_long;
        }
        0
    }
}

type Cycle = fn(usize);

/// What `scripts/instructions.mjs` knows them by.
const CYCLES: [(&str, Cycle); 10] = [
    ("scheduler, one at a time", one_at_a_time),
    ("scheduler, all queued", all_queued),
    ("scheduler, eight priorities", priorities),
    ("scheduler, deadlines", deadlines),
    ("scheduler, keys of 256 workers", keys),
    ("native lane, all queued", native_lane),
    ("js lane, 64 in flight", js_rounds),
    ("js lane, all queued", js_queued),
    ("native lane, all queued, recorded", native_recorded),
    ("js lane, 64 in flight, recorded", js_recorded),
];

/// Tasks in flight, where there are several.
const FLIGHT: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => CYCLES.iter().for_each(|(name, _)| println!("{name}")),
        [name, tasks] => {
            let cycle = CYCLES.iter().find(|(known, _)| known == name).ok_or("no such cycle")?;
            cycle.1(tasks.parse()?);
        }
        _ => return Err("usage: cycles [CYCLE TASKS]".into()),
    }
    Ok(())
}

// The pure scheduler.

/// Nothing is taken back here: tasks are taken one at a time.
struct NoClaims;

impl Claims<u64> for NoClaims {
    fn revoke(&mut self, _: WorkerRef, _: TaskId) -> Option<u64> {
        None
    }
}

/// A scheduler with workers of one lane, and time.
struct Bench {
    scheduler: Scheduler<u64>,
    now: u64,
    taken: Vec<Taken<u64>>,
    wakes: Vec<WorkerRef>,
    key: CostKey,
    done: u64,
}

impl Bench {
    fn new(workers: u32, launched: bool) -> Self {
        let mut scheduler = Scheduler::new(Config::default());
        let mut wakes = Vec::new();
        for index in 0..workers {
            scheduler.join(WorkerRef::native(index), launched, &mut wakes);
        }
        let key = scheduler.costs.key("kernel");
        Self { scheduler, now: 1, taken: Vec::new(), wakes, key, done: 0 }
    }

    fn submit(&mut self, spec: TaskSpec) {
        self.now += 100;
        let spec = black_box(TaskSpec { key: Some(self.key), ..spec });
        let admitted = self.scheduler.submit(spec, self.now, Time(self.now), &mut NoClaims, &mut self.wakes);
        assert!(admitted.is_ok());
    }

    /// A worker takes a task and completes it.
    fn run(&mut self, worker: WorkerRef) {
        self.now += 100;
        let now = Time(self.now);
        self.scheduler.take(worker, 1, now, &mut NoClaims, &mut self.taken, &mut self.wakes);
        let task = self.taken.pop().expect("a task is there");
        black_box(task.payload);
        assert!(self.scheduler.complete(worker, task.id, 1_000, true, now).is_some());
        self.done += 1;
    }

    /// A worker finds nothing and parks.
    fn park(&mut self, worker: WorkerRef) {
        let now = Time(self.now);
        self.scheduler.take(worker, 1, now, &mut NoClaims, &mut self.taken, &mut self.wakes);
        assert!(self.taken.is_empty() && self.scheduler.park(worker, now));
    }

    fn end(&self, tasks: usize) {
        assert_eq!(self.done, tasks as u64);
    }
}

/// Tasks in groups that are queued together; `spec` of the task with that number.
fn in_groups(tasks: usize, group: usize, spec: impl Fn(usize, u64) -> TaskSpec) {
    let mut bench = Bench::new(1, true);
    let mut number = 0;
    while number < tasks {
        let end = tasks.min(number + group);
        for at in number..end {
            let spec = spec(at, bench.now);
            bench.submit(spec);
        }
        for _ in number..end {
            bench.run(WorkerRef::native(0));
        }
        number = end;
    }
    bench.end(tasks);
}

fn one_at_a_time(tasks: usize) {
    in_groups(tasks, 1, |_, _| TaskSpec::plain(Lane::Native));
}

fn all_queued(tasks: usize) {
    in_groups(tasks, usize::MAX, |_, _| TaskSpec::plain(Lane::Native));
}

fn priorities(tasks: usize) {
    in_groups(tasks, FLIGHT, |number, _| {
        let priority = (number * 5 % 8) as f64;
        TaskSpec { priority, ..TaskSpec::plain(Lane::Native) }
    });
}

fn deadlines(tasks: usize) {
    in_groups(tasks, FLIGHT, |number, now| {
        let deadline = Some(Time(now + 1_000_000_000 + (number as u64 * 7_919) % 100_000));
        TaskSpec { deadline, ..TaskSpec::plain(Lane::Native) }
    });
}

/// Each task wakes the worker that its key falls to, which parks when it is done.
fn keys(tasks: usize) {
    const KEYS: usize = 1_000;
    let mut bench = Bench::new(256, false);
    for number in 0..tasks {
        let hash = ((number % KEYS) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let affinity = Affinity::Key { hash, strength: Strength::Light };
        bench.submit(TaskSpec { affinity, ..TaskSpec::plain(Lane::Native) });
        let worker = bench.wakes.pop().expect("all are parked");
        bench.run(worker);
        bench.park(worker);
    }
    bench.end(tasks);
}

// The pool around it.

/// Receives the results as an env does.
#[derive(Default)]
struct Sink {
    results: Mailbox<(u32, f64)>,
    settled: AtomicU64,
    /// When that many are settled the program's thread goes on.
    awaited: u64,
    waiting: Option<std::thread::Thread>,
}

impl CompletionSink for Sink {
    fn deliver(&self, event: Event) {
        // The pool's end.
        black_box(event);
    }

    fn number(&self, ticket: u32, number: f64, worker: u32, run_time: u64) {
        black_box(run_time);
        let _rings = self.results.post(worker, (ticket, number));
        if self.settled.fetch_add(1, Ordering::AcqRel) + 1 == self.awaited
            && let Some(thread) = &self.waiting
        {
            thread.unpark();
        }
    }

    fn admitted(&self, ticket: u32, id: TaskId) {
        black_box((ticket, id));
    }
}

impl Sink {
    /// Takes what has come, `count` results: each task gives its ticket back.
    fn collect(&self, count: usize) {
        let mut batch = Batch::default();
        self.results.collect(&mut batch);
        let results = std::iter::from_fn(|| batch.pop());
        let good = results.filter(|(ticket, number)| f64::from(*ticket) == *number).count();
        assert_eq!(good, count);
    }
}

struct Silent;

impl Waker for Silent {
    fn wake(&self) {}
}

/// A pool with the number of `sink` in it.
fn pool(sink: &Arc<Sink>) -> (Arc<Pool>, u16) {
    let pool = Pool::new(PoolOptions {
        name: "cycles".to_owned(),
        sizing: Sizing::new(Some(1)),
        capacity: usize::MAX,
        schedule: Schedule::Fifo,
        pin: None,
        nice: None,
        trims: false,
        worker_concurrency: 1,
        eager: true,
        recycle_tasks: 0,
    });
    let sink: Arc<dyn CompletionSink> = sink.clone();
    let number = pool.attach(&sink);
    (pool, number)
}

fn job(kernel: u16, sink: u16, ticket: usize) -> PlainJob {
    let (ticket, input) = (ticket as u32, Payload::Number(ticket as f64));
    PlainJob { ticket, kernel, sink, input, submitted: 1, export: NO_EXPORT, ..PlainJob::default() }
}

fn native_lane(tasks: usize) {
    native_with(tasks, |_| {});
}

/// Records of a thread that a timeline keeps unless told otherwise.
const RECORDS: usize = 1 << 15;

fn native_recorded(tasks: usize) {
    native_with(tasks, |pool| pool.start_trace(RECORDS));
}

fn native_with(tasks: usize, prepare: fn(&Pool)) {
    let (kernel, _) = kernels::find("echo").expect("a build with the demo kernels");
    let waiting = Some(std::thread::current());
    let sink = Arc::new(Sink { awaited: tasks as u64, waiting, ..Sink::default() });
    let (pool, number) = pool(&sink);
    prepare(&pool);
    if tasks > 0 {
        assert!(pool.post(Lane::Native, (0..tasks).map(|ticket| job(kernel as u16, number, ticket))));
    }
    while sink.settled.load(Ordering::Acquire) < tasks as u64 {
        std::thread::park();
    }
    sink.collect(tasks);
}

fn js_rounds(tasks: usize) {
    js_lane(tasks, FLIGHT, |_| {});
}

fn js_queued(tasks: usize) {
    js_lane(tasks, usize::MAX, |_| {});
}

fn js_recorded(tasks: usize) {
    js_lane(tasks, FLIGHT, |pool| pool.start_trace(RECORDS));
}

/// Entry calls in groups that are posted together; this thread in the part of the worker too.
fn js_lane(tasks: usize, group: usize, prepare: fn(&Pool)) {
    let sink = Arc::<Sink>::default();
    let (pool, number) = pool(&sink);
    prepare(&pool);
    let board = Arc::<Board>::default();
    assert!(pool.js_join(0) && pool.js_attach(0, Arc::new(Silent), Some(board.clone())));
    let (mut notes, mut taken) = (Vec::new(), Vec::new());
    let mut posted = 0;
    while posted < tasks {
        let end = tasks.min(posted + group);
        assert!(pool.post(Lane::Js, (posted..end).map(|ticket| job(ENTRY, number, ticket))));
        let mut open = end - posted;
        while open > 0 {
            assert!(pool.js_turn(0, Visit::Tasks, &mut notes, &mut taken));
            open -= taken.len();
            let answers = taken.drain(..).map(|task| {
                let Payload::Number(input) = task.payload.input else { unreachable!("numbers are posted") };
                assert!(task.tag == 0 || board.claim(task.tag));
                (task.id, move || Answer {
                    value: Value::Number(input),
                    times: Some((0, 0)),
                    ..Answer::default()
                })
            });
            pool.js_answers(0, answers);
        }
        sink.collect(end - posted);
        posted = end;
    }
}
