//! Threads that the system refuses.

use super::super::{WorkerRef, native};
use super::fixture::{Fixture, forced};
use crate::scheduler::Lane;
use std::io::{Error, ErrorKind};

/// As if the system had refused a thread for the worker that is to be launched next. Returns its index.
fn refuse(fixture: &Fixture, index: u32) {
    let mut wakes: Vec<WorkerRef> = Vec::new();
    fixture.pool.launch_failed(native(index), &Error::from(ErrorKind::WouldBlock), &mut wakes);
    assert!(wakes.is_empty(), "nothing waits");
    fixture.pool.rejoin(&[native(index)]);
}

#[test]
fn a_worker_that_could_not_be_started_is_tried_again_with_a_later_task() {
    let mut fixture = Fixture::new(2);
    let gate = fixture.occupy();
    let refused = 1 - fixture.pool.worker_of(gate).unwrap();
    refuse(&fixture, refused);
    // Not at once: the other has this one.
    fixture.submit("faultEcho", 1.0);
    assert_eq!(fixture.pool.figures().queue_length, 1);
    fixture.pool.state.lock().launch_again = 0;
    fixture.submit("faultEcho", 2.0);
    fixture.outcomes(2);
    assert_eq!(fixture.pool.state.lock().threads, 2);
    assert!(fixture.pool.cancel(gate));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_worker_that_could_not_be_started_is_left_out_when_the_pool_has_become_smaller() {
    let mut fixture = Fixture::new(2);
    let gate = fixture.occupy();
    refuse(&fixture, 1 - fixture.pool.worker_of(gate).unwrap());
    fixture.pool.resize(1);
    fixture.pool.state.lock().launch_again = 0;
    fixture.submit("faultEcho", 1.0);
    assert_eq!(fixture.pool.figures().queue_length, 1);
    assert!(fixture.submit_with("faultEcho", 1.0, forced(Lane::Native, 1)).is_none());
    assert!(!fixture.outcomes(1)[&2].is_ok());
    assert!(fixture.pool.cancel(gate));
    fixture.outcomes(2);
    fixture.close();
}
