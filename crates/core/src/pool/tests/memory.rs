//! Memory that is given back while workers rest (memory.rs).

use super::fixture::Fixture;
use crate::pool::Payload;
use crate::scheduler::{Lane, TaskSpec};
use crate::sync::Ordering;
use crate::value::Value;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Tasks with a MiB of input each.
fn use_memory(fixture: &mut Fixture, mebibytes: usize) {
    for _ in 0..mebibytes {
        let mut request = fixture.request("crc32", 0.0, TaskSpec::plain(Lane::Native));
        request.job.input = Payload::from(Value::from_vec(vec![1_u8; MIB]));
        fixture.pool.submit([request].into_iter());
    }
    fixture.outcomes(mebibytes);
}

fn times(fixture: &Fixture) -> u64 {
    fixture.pool.memory.times.load(Ordering::Relaxed)
}

fn wait_for(fixture: &Fixture, count: u64) {
    let begun = Instant::now();
    while times(fixture) < count {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing was given back");
        std::thread::yield_now();
    }
}

#[test]
fn memory_is_given_back_once_after_much_was_used() {
    let (mut little, mut much) = (Fixture::new(2), Fixture::new(2));
    let mut never = Fixture::with(2, |options| options.trims = false);
    use_memory(&mut little, 16);
    use_memory(&mut never, 40);
    use_memory(&mut much, 40);
    wait_for(&much, 1);
    assert_eq!((times(&little), times(&never)), (0, 0));
    // A pool that rests is not looked at again.
    use_memory(&mut little, 20);
    wait_for(&little, 1);
    assert_eq!(times(&much), 1);
    use_memory(&mut much, 40);
    wait_for(&much, 2);
    for fixture in [little, much, never] {
        fixture.close();
    }
}

#[test]
fn not_while_another_worker_runs_and_who_rests_is_woken_at_once() {
    let (mut fixture, mut other) = (Fixture::new(2), Fixture::new(1));
    let waiting = fixture.occupy();
    use_memory(&mut fixture, 40);
    use_memory(&mut other, 40);
    wait_for(&other, 1);
    assert_eq!(times(&fixture), 0);
    // The worker that waits for the end of the rest takes tasks.
    use_memory(&mut fixture, 1);
    fixture.pool.cancel(waiting);
    fixture.outcomes(1);
    wait_for(&fixture, 1);
    for fixture in [fixture, other] {
        fixture.close();
    }
}
