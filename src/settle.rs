//! Stage: settle. Thread: owner env only.
//! Hands completions to JavaScript in batches.
//!
//! `drain(header, values, held, words)` fills records of [`STRIDE`] numbers and returns how many:
//!
//! | at | meaning |
//! |---|---|
//! | 0 | slot (or handle of the pool, for a closed one) |
//! | 1 | tag |
//! | 2 | a number, or an index in the values |
//! | 3 | worker, -1 for none, -2 when the task was never admitted |
//! | 4 | run time in ms |
//! | 5 | 1 when the input memory is still in use; below 0: minus the overhead of the task in ms |
//!
//! Tags: 0 undefined, 1 null, 2 true, 3 false, 4 number, 5 value, 6 error `[code, message, system?]`, 7 cancelled,
//! 8 expired, 9 panicked (message in the values), 10 released, 11 progress `[done, total]`, 12 message
//! `[type, contents]`, 13 pool closed, 14 an outcome that the engine has no room for, 15 nothing, 16 message of a JS
//! worker `[type, contents]` (slot: handle of the pool; number 4: slot of the task that it is about, or -1; last number:
//! codec), 17 tasks that a JS worker submitted
//! `[added, completed, errored, details]` (slot: handle of the pool), 18 a JS worker wants the input with that
//! key (slot: handle of the pool), 36 a run has failed and the task runs again `[count, delay in ms, tag, number]` (of the
//! outcome, as above), 37 a task was given up that a JS worker still runs `[idIndex, idGeneration, grace in ms]`, 38 a JS
//! worker has ended its last task, 39 tasks that had been set aside wait for a JS worker (slot of 37 to 39: handle of
//! the pool), 20 + codec what a JS worker gave (of a plain value in words the offset in `words`, or below 0 minus one minus the
//! index in the values), 28 + codec what it threw. Messages and details have their codec in the last number too.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::call::{Env, Info, Js, on_env};
use crate::env::EnvState;
use crate::moves::free_forsaken;
use crate::payload::encode;
use crate::port::Post;
use crate::raw::{self, Raw};
use std::sync::Arc;
use threadmill_core::completion::{Answer, Event, NO_WORKER, Notice, Outcome};
use threadmill_core::error::KernelError;
use threadmill_core::pool::{FLAT, MOVED};
use threadmill_core::value::Value;

/// Numbers per record.
const STRIDE: usize = 6;

/// The handle of a pool of this env, -1 for none.
fn handle_of(state: &EnvState, pool: u32) -> f64 {
    let handle = state.pools.iter().position(|owned| owned.as_ref().is_some_and(|o| o.pool.id() == pool));
    handle.map_or(-1.0, |handle| handle as f64)
}

/// `drain(header, values, held, words)`: how many events it has recorded. Less than there is room for: all that was posted until
/// some moment within the call, and the bell rings for what comes after that.
pub(crate) unsafe extern "C" fn drain(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [header, values, held, words]| {
        // SAFETY: creating values runs no JavaScript, nothing else looks at the header during this call, and memory of
        // this size lies outside the heap that the collector moves.
        let mut records = unsafe { raw::doubles(env, header)? }.chunks_exact_mut(STRIDE);
        // SAFETY: as above.
        let mut words = unsafe { raw::doubles(env, words)? };
        let mut offset = 0;
        let mut out = Out { env, values, held, used: 0 };
        let mut count = 0;
        let mut finished = 0;
        let mut collected = false;
        loop {
            // Also when a batch ends here that was begun earlier: the bell that rang since then may have been answered with it.
            if state.events.is_empty() && !collected {
                state.port.mailbox.collect(&mut state.events);
                collected = true;
            }
            let Some(post) = state.events.front() else { break };
            let Some(record) = records.next() else { break };
            count += 1;
            // Read where it lies.
            if let &Post::Number { ticket, worker, number, run_time } = post {
                state.port.ids.clear(ticket);
                let run_time = run_time as f64 / 1e6;
                record.copy_from_slice(&[f64::from(ticket), 4.0, number, f64::from(worker), run_time, 0.0]);
                finished += 1;
                state.events.pop();
                continue;
            }
            let Some(post) = state.events.pop() else { break };
            let event = match post {
                Post::Number { ticket, worker, number, run_time } => {
                    let outcome = Outcome::Ok(Value::Number(number));
                    Event::Settled { ticket, outcome, worker, run_time, held: false }
                }
                Post::Words { ticket, worker, words: value } if value.len() <= words.len() => {
                    state.port.ids.clear(ticket);
                    let (here, rest) = words.split_at_mut(value.len());
                    here.copy_from_slice(&value);
                    here[0] = value.len() as f64;
                    let (tag, run_time) = (20.0 + f64::from(FLAT), value[0] / 1e6);
                    record.copy_from_slice(&[
                        f64::from(ticket),
                        tag,
                        offset as f64,
                        f64::from(worker),
                        run_time,
                        0.0,
                    ]);
                    offset += value.len();
                    words = rest;
                    finished += 1;
                    continue;
                }
                Post::Words { ticket, worker, words: mut value } => {
                    let run_time = value[0] as u64;
                    value[0] = value.len() as f64;
                    let answer = Answer { codec: FLAT, value: Value::Words(value), ..Answer::default() };
                    let outcome = Outcome::Answer(Box::new(answer));
                    Event::Settled { ticket, outcome, worker, run_time, held: false }
                }
                Post::Event(event) => *event,
            };
            finished += u32::from(matches!(event, Event::Settled { .. } | Event::Closed { .. }));
            if let Event::Discovered { added, completed, errored, .. } = event {
                state.hold(env, added);
                finished += completed + errored;
            }
            let last = match &event {
                Event::Settled { ticket, held, .. } => Some((*ticket, *held)),
                _ => None,
            };
            let filled = out.record(state, event).or_else(|_| {
                raw::clear_exception(env);
                // Progress and messages that the engine cannot hold are dropped, outcomes never.
                last.map(|(ticket, held)| {
                    [f64::from(ticket), 14.0, 0.0, -1.0, 0.0, f64::from(u8::from(held))]
                })
                .ok_or(())
            });
            record.copy_from_slice(&filled.unwrap_or([0.0, 15.0, 0.0, -1.0, 0.0, 0.0]));
        }
        state.let_go(env, finished);
        free_forsaken(env);
        raw::new_number(env, count as f64)
    })
}

/// Where values of a batch go.
struct Out {
    env: Env,
    values: Js,
    held: Js,
    used: u32,
}

impl Out {
    fn push(&mut self, value: Js) -> Raw<f64> {
        raw::set_element(self.env, self.values, self.used, value)?;
        self.used += 1;
        Ok(f64::from(self.used - 1))
    }

    fn record(&mut self, state: &mut EnvState, event: Event) -> Raw<[f64; STRIDE]> {
        let env = self.env;
        Ok(match event {
            Event::Settled { ticket, outcome, worker, run_time, held } => {
                let overhead = match &outcome {
                    Outcome::Answer(answer) => answer.overhead as f64 / 1e6,
                    _ => 0.0,
                };
                let (tag, value) = self.outcome(state, ticket, outcome)?;
                let worker = match (worker, state.port.ids.get(ticket)) {
                    (NO_WORKER, None) => -2.0,
                    (NO_WORKER, _) => -1.0,
                    _ => f64::from(worker),
                };
                state.port.ids.clear(ticket);
                [
                    f64::from(ticket),
                    tag,
                    value,
                    worker,
                    run_time as f64 / 1e6,
                    if held { 1.0 } else { -overhead },
                ]
            }
            Event::Released { ticket, .. } => [f64::from(ticket), 10.0, 0.0, -1.0, 0.0, 0.0],
            Event::Progress { ticket, done, total, .. } => {
                let value = Value::List(vec![Value::Number(done), Value::Number(total)]);
                let value = raw::scoped(env, || self.push(encode(env, &value, None)?))?;
                [f64::from(ticket), 11.0, value, -1.0, 0.0, 0.0]
            }
            Event::Message { ticket, worker, message_type, codec, contents, .. } => {
                let value = Value::List(vec![Value::String(message_type), contents]);
                let value = raw::scoped(env, || self.push(encode(env, &value, None)?))?;
                [f64::from(ticket), 12.0, value, f64::from(worker), 0.0, f64::from(codec)]
            }
            Event::Mail { pool, worker, ticket, message_type, codec, contents } => {
                let value = Value::List(vec![Value::String(message_type), contents]);
                let value = raw::scoped(env, || self.push(encode(env, &value, None)?))?;
                let slot = ticket.map_or(-1.0, f64::from);
                [handle_of(state, pool), 16.0, value, f64::from(worker), slot, f64::from(codec)]
            }
            Event::Discovered { pool, worker, added, completed, errored, codec, details } => {
                let counts = [added, completed, errored].map(|count| Value::Number(f64::from(count)));
                let value = Value::List(counts.into_iter().chain([details]).collect());
                let value = raw::scoped(env, || self.push(encode(env, &value, None)?))?;
                [handle_of(state, pool), 17.0, value, f64::from(worker), 0.0, f64::from(codec)]
            }
            Event::Wanted { pool, worker, key } => {
                [handle_of(state, pool), 18.0, key, f64::from(worker), 0.0, 0.0]
            }
            Event::Retried { ticket, outcome, worker, count, run_time, .. } => {
                let (tag, number) = self.outcome(state, ticket, outcome)?;
                let parts = [f64::from(count), run_time as f64 / 1e6, tag, number];
                let value = Value::List(parts.map(Value::Number).into());
                let value = raw::scoped(env, || self.push(encode(env, &value, None)?))?;
                [f64::from(ticket), 36.0, value, f64::from(worker), 0.0, 0.0]
            }
            Event::Worker { pool, notice } => {
                let handle = handle_of(state, pool);
                match notice {
                    Notice::GivenUp { worker, id, grace } => {
                        let parts = [f64::from(id.index), f64::from(id.generation), grace];
                        let value = Value::List(parts.map(Value::Number).into());
                        let value = raw::scoped(env, || self.push(encode(env, &value, None)?))?;
                        [handle, 37.0, value, f64::from(worker), 0.0, 0.0]
                    }
                    Notice::Retired { worker } => [handle, 38.0, 0.0, f64::from(worker), 0.0, 0.0],
                    Notice::Resumed => [handle, 39.0, 0.0, -1.0, 0.0, 0.0],
                }
            }
            Event::Closed { pool } => [handle_of(state, pool), 13.0, 0.0, -1.0, 0.0, 0.0],
        })
    }

    fn outcome(&mut self, state: &mut EnvState, ticket: u32, outcome: Outcome) -> Raw<(f64, f64)> {
        let env = self.env;
        Ok(match outcome {
            Outcome::Ok(Value::Undefined) => (0.0, 0.0),
            Outcome::Ok(Value::Null) => (1.0, 0.0),
            Outcome::Ok(Value::Bool(true)) => (2.0, 0.0),
            Outcome::Ok(Value::Bool(false)) => (3.0, 0.0),
            Outcome::Ok(Value::Number(number)) => (4.0, number),
            Outcome::Ok(value) => match raw::scoped(env, || self.output(ticket, &value)) {
                Ok(index) => (5.0, index),
                Err(fault) => (6.0, self.refused(fault)?),
            },
            Outcome::Answer(answer) => {
                let base = if answer.failed { 28.0 } else { 20.0 };
                if answer.codec == MOVED && !answer.failed {
                    // Opening it can throw, which is for JavaScript to see.
                    let key = state.memories.put(Arc::new(answer.value));
                    let index = raw::scoped(env, || self.push(raw::new_number(env, key)?))?;
                    return Ok((base + f64::from(answer.codec), index));
                }
                let value = raw::scoped(env, || self.push(encode(env, &answer.value, None)?));
                match value {
                    Ok(index) if answer.codec == FLAT => (base + f64::from(FLAT), -1.0 - index),
                    Ok(index) => (base + f64::from(answer.codec), index),
                    Err(fault) => (6.0, self.refused(fault)?),
                }
            }
            Outcome::Error(error) => (6.0, raw::scoped(env, || self.error(&error))?),
            Outcome::Cancelled => (7.0, 0.0),
            Outcome::Expired => (8.0, 0.0),
            Outcome::Panicked(message) => {
                (9.0, raw::scoped(env, || self.push(raw::new_string(env, &message)?))?)
            }
        })
    }

    fn output(&mut self, ticket: u32, value: &Value) -> Raw<f64> {
        let env = self.env;
        let list = raw::element(env, self.held, ticket)?;
        let held = raw::is_array(env, list)?.then_some(list);
        self.push(encode(env, value, held)?)
    }

    /// The engine has no room for an output: an error for this task, and nothing for the others.
    fn refused(&mut self, fault: raw::Fault) -> Raw<f64> {
        let env = self.env;
        raw::clear_exception(env);
        let message = format!("the engine could not hold the output (status {})", fault.0);
        let error = KernelError::new(threadmill_core::error::ErrorCode::OutputTooLarge, message);
        raw::scoped(env, || self.error(&error))
    }

    fn error(&mut self, error: &KernelError) -> Raw<f64> {
        let text = |text: &str| Value::String(text.to_owned());
        let mut parts = vec![text(error.code.as_str()), text(&error.message)];
        if let Some(system) = &error.system {
            parts.push(Value::object([
                ("code", text(system.name)),
                ("errno", Value::Number(-f64::from(system.errno))),
                ("syscall", text(system.operation)),
                ("path", text(&system.path)),
            ]));
        }
        let env = self.env;
        self.push(encode(env, &Value::List(parts), None)?)
    }
}

/// Longest time that [`look_out`] waits for a worker that is awake, ns.
const LOOK: u64 = 25_000;
/// And for one that may have to be woken. On some virtual machines that takes 50 us.
const LONG_LOOK: u64 = 100_000;

/// `lookOut(isLong)`: waits for an outcome, 25 us at most, or 100. Whether there is one that has not been drained, or nothing to
/// wait for; `null` when it has not waited, as others need the CPU; `undefined` in a JS worker.
pub(crate) unsafe extern "C" fn look_out(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [is_long]| {
        if state.seat.is_some() {
            return raw::undefined(env);
        }
        let limit = if raw::boolean(env, is_long)? { LONG_LOOK } else { LOOK };
        let mailbox = &state.port.mailbox;
        let found = || state.live == 0 || mailbox.is_rung();
        let has_looked = state.lookout.look(limit, found);
        let found = found();
        if has_looked || found { raw::new_boolean(env, found) } else { raw::null(env) }
    })
}
