//! Many workers in one pool, and in one scheduler.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use threadmill_core::completion::{Answer, CompletionSink, Event};
use threadmill_core::pool::{
    ENTRY, NO_EXPORT, Parting, Payload, PlainJob, Pool, PoolOptions, Sizing, Visit, Waker,
};
use threadmill_core::scheduler::{
    Affinity, Claims, Config, Lane, Schedule, Scheduler, Strength, TaskId, TaskSpec, Time, WorkerRef,
};
use threadmill_core::value::Value;

const WORKERS: u32 = 256;

struct NoClaims;

impl Claims<u32> for NoClaims {
    fn revoke(&mut self, _: WorkerRef, _: TaskId) -> Option<u32> {
        None
    }
}

/// A worker takes one task, and completes it.
fn run(scheduler: &mut Scheduler<u32>, worker: WorkerRef, wakes: &mut Vec<WorkerRef>) -> Option<u32> {
    let mut taken = Vec::new();
    scheduler.take(worker, 1, Time(0), &mut NoClaims, &mut taken, wakes);
    let task = taken.pop()?;
    assert!(scheduler.complete(worker, task.id, 1, true, Time(0)).is_some());
    Some(task.payload)
}

fn park(scheduler: &mut Scheduler<u32>, worker: WorkerRef, wakes: &mut Vec<WorkerRef>) {
    assert_eq!(run(scheduler, worker, wakes), None);
    assert!(scheduler.park(worker, Time(0)));
}

#[test]
fn s2_s3_256_workers_of_each_lane_get_what_is_theirs_and_a_share_of_the_rest() {
    let mut scheduler = Scheduler::new(Config::default());
    let mut wakes = Vec::new();
    let workers = |lane| (0..WORKERS).map(move |index| WorkerRef { lane, index });
    for lane in [Lane::Native, Lane::Js] {
        for worker in workers(lane) {
            assert!(scheduler.join(worker, true, &mut wakes));
            park(&mut scheduler, worker, &mut wakes);
        }
        assert_eq!(scheduler.idle_workers(lane), WORKERS as usize);
    }
    for lane in [Lane::Native, Lane::Js] {
        for worker in workers(lane) {
            let affinity = Affinity::Worker { index: worker.index, strength: Strength::Force };
            let spec = TaskSpec { affinity, ..TaskSpec::plain(lane) };
            scheduler.submit(spec, worker.index, Time(0), &mut NoClaims, &mut wakes).unwrap();
            assert_eq!(wakes, [worker], "it and nobody else is called");
            wakes.clear();
        }
        for worker in workers(lane) {
            assert_eq!(run(&mut scheduler, worker, &mut wakes), Some(worker.index));
            park(&mut scheduler, worker, &mut wakes);
        }
        // One more than there are workers: each is called once, and nobody twice.
        for number in 0..=WORKERS {
            scheduler.submit(TaskSpec::plain(lane), number, Time(0), &mut NoClaims, &mut wakes).unwrap();
        }
        let called: BTreeSet<_> = wakes.drain(..).collect();
        assert!(called.iter().copied().eq(workers(lane)));
        for (worker, number) in workers(lane).zip(0..) {
            assert_eq!(run(&mut scheduler, worker, &mut wakes), Some(number), "in order of admission");
        }
        let first = WorkerRef { lane, index: 0 };
        assert_eq!(run(&mut scheduler, first, &mut wakes), Some(WORKERS));
        for worker in workers(lane) {
            park(&mut scheduler, worker, &mut wakes);
        }
    }
    assert!(wakes.is_empty());
}

/// Results by ticket.
#[derive(Default)]
struct Results(Mutex<Vec<(u32, f64)>>);

impl CompletionSink for Results {
    fn deliver(&self, event: Event) {
        assert!(!matches!(event, Event::Settled { .. }), "every task gives a number");
    }

    fn number(&self, ticket: u32, number: f64, _: u32, _: u64) {
        self.0.lock().unwrap().push((ticket, number));
    }

    fn admitted(&self, _: u32, _: TaskId) {}
}

/// Notes which worker is rung.
struct Bell(u32, Arc<Mutex<Vec<u32>>>);

impl Waker for Bell {
    fn wake(&self) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn j2_256_js_workers_of_a_pool_are_rung_and_share_what_is_posted() {
    const TASKS: u32 = 10 * WORKERS;
    let pool = Pool::new(PoolOptions {
        name: "growth".to_owned(),
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
    let results = Arc::<Results>::default();
    let sink: Arc<dyn CompletionSink> = results.clone();
    let number = pool.attach(&sink);
    let rung = Arc::<Mutex<Vec<u32>>>::default();
    let (mut notes, mut tasks) = (Vec::new(), Vec::new());
    for index in 0..WORKERS {
        assert!(pool.js_join(index) && pool.js_attach(index, Arc::new(Bell(index, rung.clone())), None));
        assert!(pool.js_turn(index, Visit::Tasks, &mut notes, &mut tasks));
    }
    assert!(tasks.is_empty());

    let job = |ticket: u32| {
        let input = f64::from(ticket);
        PlainJob {
            ticket,
            kernel: ENTRY,
            sink: number,
            input: Payload::Number(input),
            export: NO_EXPORT,
            ..PlainJob::default()
        }
    };
    let batch: Vec<_> = (0..TASKS).map(job).collect();
    assert!(pool.post(Lane::Js, batch.into_iter()));
    let mut served = BTreeSet::new();
    loop {
        let Some(index) = rung.lock().unwrap().pop() else { break };
        assert!(pool.js_turn(index, Visit::Tasks, &mut notes, &mut tasks));
        if tasks.is_empty() {
            continue;
        }
        served.insert(index);
        let answers = tasks.drain(..).map(|task| {
            let Payload::Number(input) = task.payload.input else { panic!("numbers are posted") };
            (task.id, move || Answer { value: Value::Number(-input), ..Answer::default() })
        });
        pool.js_answers(index, answers);
        // It comes by until it is told that there is nothing; the others have their turns first.
        rung.lock().unwrap().insert(0, index);
    }
    assert_eq!(served.len(), WORKERS as usize);
    let mut settled = std::mem::take(&mut *results.0.lock().unwrap());
    settled.sort_by_key(|(ticket, _)| *ticket);
    assert!(settled.into_iter().eq((0..TASKS).map(|ticket| (ticket, -f64::from(ticket)))), "each once");
    assert_eq!(pool.figures().js_workers.len(), WORKERS as usize);
    for index in 0..WORKERS {
        pool.js_leave(index, Parting::Closed, "closed");
    }
    assert_eq!(pool.js_unfinished(), 0);
    pool.close(&sink);
}
