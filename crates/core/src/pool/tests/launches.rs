//! Threads that the system refuses.

use super::super::{Topic, WorkerRef, clock, native};
use super::fixture::{Fixture, forced};
use crate::scheduler::{Lane, TaskSpec, Time};
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
    assert_eq!(fixture.pool.figures().notes.len(), 1);
    // Not at once: the other has this one.
    fixture.submit("faultEcho", 1.0);
    assert_eq!(fixture.pool.figures().queue_length, 1);
    fixture.pool.state.lock().launch_again = 0;
    fixture.submit("faultEcho", 2.0);
    fixture.outcomes(2);
    assert_eq!(fixture.pool.state.lock().threads, 2);
    assert!(fixture.pool.figures().notes.is_empty(), "it runs now");
    assert!(fixture.pool.cancel(gate));
    fixture.outcomes(1);
    fixture.close();
}

#[test]
fn a_note_of_the_timer_is_gone_when_that_keeps_deadlines() {
    let mut fixture = Fixture::new(1);
    fixture.pool.note(Topic::Timer, "refused".to_owned());
    fixture.pool.note(Topic::Setting, "stays".to_owned());
    let gate = fixture.occupy();
    let spec = TaskSpec { deadline: Some(Time(clock::now() + 1_000_000)), ..TaskSpec::plain(Lane::Native) };
    fixture.submit_with("faultEcho", 1.0, spec);
    fixture.outcomes(1);
    assert_eq!(fixture.pool.figures().notes, ["stays"]);
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
