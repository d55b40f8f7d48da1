//! Stage: all. Thread: the test's.
//! The scheduler against a model that scans plain vectors: after every step of random sequences both must agree in all
//! that can be seen, and the invariants S1 to S7 of `scheduler/mod.rs` must hold. Some invariants are also checked in
//! words of their own, so that a mistake made twice is still found.

mod harness;
mod model;

use harness::{Aff, Harness, Op};
use proptest::prelude::*;
use threadmill_core::scheduler::{Config, Schedule, Strength};

fn strength() -> impl Strategy<Value = Strength> {
    prop_oneof![Just(Strength::Light), Just(Strength::Strong), Just(Strength::Force)]
}

fn affinity() -> impl Strategy<Value = Aff> {
    prop_oneof![
        4 => Just(Aff::None),
        4 => (0u32..4, strength()).prop_map(|(index, strength)| Aff::Worker(index, strength)),
        1 => (0u64..8, strength()).prop_map(|(hash, strength)| Aff::Key(hash, strength)),
    ]
}

fn submit() -> impl Strategy<Value = Op> {
    let costs = prop_oneof![
        8 => Just(None),
        1 => prop::collection::vec(prop_oneof![0.0f32..4.0, Just(-1.0), Just(f32::NAN)], 0..4).prop_map(Some),
    ];
    let often_none =
        |range| prop_oneof![6 => Just(None), 1 => prop::strategy::Strategy::prop_map(range, Some)];
    (
        (0usize..2, prop_oneof![5 => Just(0i8), 1 => -2i8..3], affinity(), prop::option::of(0usize..4)),
        (prop::option::of(0u16..3000), often_none(0u16..500), often_none(0u16..500), costs, 0u32..40),
    )
        .prop_map(|((lane, priority, affinity, key), (estimate, deadline, from_start, costs, bytes))| {
            Op::Submit { lane, priority, affinity, key, estimate, deadline, from_start, costs, bytes }
        })
}

fn op() -> impl Strategy<Value = Op> {
    let (lane, worker, nth) = (0usize..2, 0u32..4, 0usize..100);
    prop_oneof![
        10 => submit(),
        8 => (lane.clone(), worker.clone(), 0usize..6).prop_map(|(lane, worker, max)| Op::Take { lane, worker, max }),
        5 => (lane.clone(), worker.clone()).prop_map(|(lane, worker)| Op::Park { lane, worker }),
        4 => (nth.clone(), any::<bool>()).prop_map(|(nth, told)| Op::Begin { nth, told }),
        5 => (nth.clone(), prop_oneof![3 => 0u64..30_000, 1 => 0u64..3_000_000], prop::bool::weighted(0.9))
            .prop_map(|(nth, run_time, succeeded)| Op::Complete { nth, run_time, succeeded }),
        2 => nth.clone().prop_map(|nth| Op::Cancel { nth }),
        2 => (0u64..400).prop_map(|nanos| Op::Advance { nanos }),
        1 => Just(Op::Expire),
        2 => (lane.clone(), worker.clone(), any::<bool>())
            .prop_map(|(lane, worker, launched)| Op::Join { lane, worker, launched }),
        1 => (lane.clone(), worker.clone()).prop_map(|(lane, worker)| Op::Launched { lane, worker }),
        1 => (lane.clone(), worker.clone(), any::<bool>())
            .prop_map(|(lane, worker, replaced)| Op::Leave { lane, worker, replaced }),
        2 => (lane.clone(), worker.clone(), any::<bool>())
            .prop_map(|(lane, worker, replaced)| Op::Retire { lane, worker, replaced }),
        1 => (0u32..5).prop_map(|workers| Op::Resize { workers }),
        1 => (lane.clone(), 0u32..5).prop_map(|(lane, workers)| Op::SetLimit { lane, workers }),
        1 => (lane.clone(), worker.clone()).prop_map(|(lane, worker)| Op::Vacate { lane, worker }),
        1 => lane.clone().prop_map(|lane| Op::VacateAll { lane }),
        3 => (nth.clone(), prop::option::of(0u16..400), prop::option::weighted(0.2, 0u16..500))
            .prop_map(|(nth, resume, from_start)| Op::GiveBack { nth, resume, from_start }),
        2 => Just(Op::Resume),
        1 => nth.clone().prop_map(|nth| Op::Block { nth }),
        1 => nth.prop_map(|nth| Op::Unblock { nth }),
        1 => (lane.clone(), worker, any::<bool>())
            .prop_map(|(lane, worker, engaged)| Op::Engage { lane, worker, engaged }),
        1 => (lane, 0usize..3).prop_map(|(lane, count)| Op::WakeIdle { lane, count }),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    (
        prop_oneof![2 => Just(Schedule::Fifo), 1 => Just(Schedule::LongestFirst)],
        prop_oneof![Just(0u64), Just(100), Just(1_000_000)],
        prop_oneof![3 => Just((None, None)), 1 => Just((Some(9), Some(150)))],
        (1u32..3, 1u32..4),
        prop::bool::weighted(0.85),
    )
        .prop_map(|(schedule, ageing, (capacity_tasks, capacity_bytes), (native, js), eager)| Config {
            schedule,
            capacity_tasks,
            capacity_bytes,
            ageing,
            concurrency: [native, js, 1],
            eager: [true, eager, true],
            ..Config::default()
        })
}

/// How many random sequences; `SCHEDULER_CASES` asks for more.
fn cases(default: u32) -> u32 {
    std::env::var("SCHEDULER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(4000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s1_to_s7_random_sequences_agree_with_the_model(
        config in config(),
        present in prop::collection::vec((0usize..2, 0u32..4, any::<bool>()), 1..7),
        ops in prop::collection::vec(op(), 1..120),
        ending in prop_oneof![2 => Just(None), 1 => Just(Some(Op::RejectWaiting)), 1 => Just(Some(Op::Close))],
    ) {
        let mut harness = Harness::new(config);
        for (lane, worker, launched) in present {
            harness.run(&Op::Join { lane, worker, launched });
        }
        for op in &ops {
            harness.run(op);
        }
        if let Some(ending) = ending {
            harness.run(&ending);
        }
        harness.drain();
    }
}

// ---- all short sequences ----

/// Every sequence of five steps of two workers, with free, light and forced tasks.
#[test]
fn s1_s2_s3_every_short_sequence_agrees_with_the_model() {
    let submit = |affinity| Op::Submit {
        lane: 0,
        priority: 0,
        affinity,
        key: None,
        estimate: None,
        deadline: None,
        from_start: None,
        costs: None,
        bytes: 0,
    };
    let alphabet = [
        submit(Aff::None),
        submit(Aff::Worker(0, Strength::Light)),
        submit(Aff::Worker(0, Strength::Force)),
        Op::Take { lane: 0, worker: 0, max: 1 },
        Op::Take { lane: 0, worker: 1, max: 1 },
        Op::Park { lane: 0, worker: 0 },
        Op::Park { lane: 0, worker: 1 },
        Op::Begin { nth: 0, told: false },
        Op::Complete { nth: 0, run_time: 5, succeeded: true },
    ];
    let length = 5;
    for number in 0..alphabet.len().pow(length) {
        let mut harness = Harness::new(Config::default());
        harness.run(&Op::Join { lane: 0, worker: 0, launched: false });
        harness.run(&Op::Join { lane: 0, worker: 1, launched: true });
        let mut rest = number;
        for _ in 0..length {
            harness.run(&alphabet[rest % alphabet.len()]);
            rest /= alphabet.len();
        }
        harness.drain();
    }
}
