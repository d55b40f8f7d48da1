//! Stage: submit. Thread: owner env only.
//! Reads a batch of submissions and hands it to the core under one lock.
//!
//! The batch is a `Float64Array` of records, an array for values that do not fit in numbers, and an arena with the bytes
//! of small typed arrays. A record has [`STRIDE`] numbers:
//!
//! | at | meaning |
//! |---|---|
//! | 0 | slot of the promise |
//! | 1 | handle of the pool |
//! | 2 | number of the kernel |
//! | 3 | tag of the input: 0 undefined, 1 null, 2 true, 3 false, 4 number, 5 bytes in the arena, 6 in the values, 7 words in the arena |
//! | 4 | the number, for the codec of moved memory its key; or the offset in the arena, in bytes or words; or the index in the values |
//! | 5 | for what is in the arena: how many bytes or words |
//! | 6 | for bytes in the arena: the element kind |
//! | 7 | priority |
//! | 8 | affinity: -1 none; else strength × 65536 + worker, strength 3 forced and in its turn; with a key: -2 - strength |
//! | 9 | timeout in ms: 0 none, above 0 from submit, below 0 from start |
//! | 10 | index in the values of `[affinityKey, costKey, kernelOptions, estimate, workerCosts, policy]`, -1 for none, or -2 - the number of an export |
//! | 11 | for the entry function: codec of the input |
//!
//! For the entry function (kernel 255, on the thread that owns the pool 254) the options are the name of another export.
//! The estimate is in ms, and so are the costs, a `Float64Array` by worker.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::call::{Env, Info, Js, on_env, on_pool_if_any};
use crate::env::EnvState;
use crate::js::own_value;
use crate::moves::Memories;
use crate::payload::{Keep, decode};
use crate::raw::{self, Fault, Raw};
use napi::sys;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use threadmill_core::completion::{CompletionSink, Event, NO_WORKER, Outcome};
use threadmill_core::error::{ErrorCode, KernelError};
use threadmill_core::pool::{
    ENTRY, Job, MAIN_ENTRY, MOVED, NO_EXPORT, Payload, PlainJob, Policy, Pool, Request, clock,
};
use threadmill_core::scheduler::{Affinity, Lane, Strength, TaskSpec, Time};
use threadmill_core::value::{Array, ElementKind, Value};

/// Numbers per record.
const STRIDE: usize = 12;
/// Batches of plain records from this length on are posted to the workers. While a worker is idle, shorter ones are
/// scheduled here, which starts them sooner.
const POSTED: usize = 16;

/// `flush(header, count, values, arena, held)`.
pub(crate) unsafe extern "C" fn flush(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [header, count, values, arena, held]| {
        // SAFETY: no JavaScript runs before the last use of the slice: decoding reads plain values only.
        let header = unsafe { raw::doubles(env, header) }?;
        let count = raw::number(env, count)? as usize;
        let arena = raw::view(env, arena)?;
        let source = Source { env, values, arena: &arena, now: clock::now() };
        let records = header.get(..count * STRIDE).ok_or(Fault(sys::Status::napi_invalid_arg))?;
        submit(state, &source, records, held)?;
        raw::undefined(env)
    })
}

/// What records refer to.
struct Source<'a> {
    env: Env,
    values: Js,
    arena: &'a raw::View,
    now: u64,
}

/// Consecutive records of the same pool and lane go in under one lock.
fn submit(state: &mut EnvState, source: &Source<'_>, records: &[f64], held: Js) -> Raw<()> {
    for group in records.as_chunks::<STRIDE>().0.chunk_by(|a, b| way_of(a) == way_of(b)) {
        let handle = group[0][1] as u32;
        let owned = state.pool(handle).ok_or(Fault(sys::Status::napi_invalid_arg))?;
        let (pool, sink) = (owned.pool.clone(), owned.sink);
        state.hold(source.env, group.len() as u32);
        let is_plain = group.iter().all(is_plain);
        for record in group.iter().filter(|record| record[3] == 7.0) {
            words_of(source, record)?;
        }
        let lane = lane_of(group[0][2] as u16);
        // The event loop of a JS worker may be slow to come by: while another is idle, it is called, too.
        let is_left = lane == Lane::Native && group.len() >= POSTED || !pool.has_idle_worker(lane);
        if is_plain && is_left && post(&pool, lane, group, source, sink) {
            continue;
        }
        if is_plain {
            // Nothing to ask the engine for, so records become jobs one by one under the lock.
            pool.submit(group.iter().map(|record| Request {
                spec: TaskSpec {
                    priority: record[7],
                    deadline: (record[9] > 0.0).then(|| Time(deadline(record[9], source.now))),
                    ..TaskSpec::plain(lane)
                },
                cost_key: None,
                job: plain(record, input_of(record, source), source.now, sink).into(),
            }));
        } else {
            let requests = group.iter().filter_map(|record| {
                let request = read_record(source, record, sink, held, &mut state.memories);
                request.map_err(|fault| unreadable(source.env, &state.sink, record, fault)).ok()
            });
            let requests: Vec<Request> = requests.collect();
            pool.submit(requests.into_iter());
        }
    }
    Ok(())
}

/// Leaves plain records with the pool; `false` when that has no room for all of them.
fn post(pool: &Arc<Pool>, lane: Lane, group: &[[f64; STRIDE]], source: &Source<'_>, sink: u16) -> bool {
    // Most are numbers. Each way of its own is so short that jobs are made where they are to lie.
    if group.iter().all(|record| record[3] == 4.0) {
        pool.post(
            lane,
            group.iter().map(|record| plain(record, Payload::Number(record[4]), source.now, sink)),
        )
    } else {
        pool.post(lane, group.iter().map(|record| plain(record, input_of(record, source), source.now, sink)))
    }
}

/// The engine would not tell what an input is, although it has passed its check. Costs that task, and no other.
fn unreadable(env: Env, sink: &Arc<dyn CompletionSink>, record: &[f64; STRIDE], fault: Fault) {
    raw::clear_exception(env);
    let error = if fault.0 == raw::NO_MEMORY {
        KernelError::new(ErrorCode::System, "no memory for the input")
    } else {
        KernelError::arg_value(format!("the input could not be read (status {})", fault.0))
    };
    let outcome = Outcome::Error(error);
    sink.deliver(Event::Settled {
        ticket: record[0] as u32,
        outcome,
        worker: NO_WORKER,
        run_time: 0,
        held: false,
    });
}

/// What records must have in common to go in together.
fn way_of(record: &[f64; STRIDE]) -> (f64, Lane) {
    (record[1], lane_of(record[2] as u16))
}

fn lane_of(kernel: u16) -> Lane {
    match kernel {
        ENTRY => Lane::Js,
        MAIN_ENTRY => Lane::Main,
        _ => Lane::Native,
    }
}

/// Whether a record is a number, or a plain value in words, without any option but the number of an export and a timeout from submit.
fn is_plain(record: &[f64; STRIDE]) -> bool {
    record[2] as u16 != MAIN_ENTRY
        && (record[3] == 4.0 && record[11] == 0.0 || record[3] == 7.0)
        && record[8] == -1.0
        && record[9] >= 0.0
        && (record[10] == -1.0 || record[10] <= -2.0)
}

/// The number of an export, from the options of a record.
fn export(options: f64) -> u32 {
    if options <= -2.0 { (-2.0 - options) as u32 } else { NO_EXPORT }
}

#[expect(clippy::inline_always, reason = "made where it is to lie, in the caller's list")]
#[inline(always)]
fn plain(record: &[f64; STRIDE], input: Payload, now: u64, sink: u16) -> PlainJob {
    PlainJob {
        ticket: record[0] as u32,
        kernel: record[2] as u16,
        sink,
        input,
        codec: record[11] as u8,
        priority: record[7],
        submitted: now,
        export: export(record[10]),
        deadline: deadline(record[9], now),
    }
}

/// The input of a plain record.
fn input_of(record: &[f64], source: &Source<'_>) -> Payload {
    match record[3] {
        // A record whose words are not there was refused before.
        7.0 => words(source, record).unwrap_or_else(|_| Payload::from(Value::Undefined)),
        _ => Payload::Number(record[4]),
    }
}

/// The deadline of a timeout in ms from submit; 0 for none.
fn deadline(timeout: f64, now: u64) -> u64 {
    if timeout > 0.0 { now.saturating_add((timeout * 1e6) as u64) } else { 0 }
}

fn read_record(
    source: &Source<'_>,
    record: &[f64],
    sink: u16,
    held: Js,
    memories: &mut Memories,
) -> Raw<Request> {
    let env = source.env;
    let ticket = record[0] as u32;
    let mut keep = Keep::new(held, ticket);
    let kernel = record[2] as u16;
    let is_entry = kernel >= MAIN_ENTRY;
    let input = match record[3] as u32 {
        0 => Payload::from(Value::Undefined),
        1 => Payload::from(Value::Null),
        2 => Payload::from(Value::Bool(true)),
        3 => Payload::from(Value::Bool(false)),
        4 if record[11] == f64::from(MOVED) => {
            Payload::Value(memories.take(record[4]).ok_or(Fault(sys::Status::napi_invalid_arg))?)
        }
        4 => Payload::Number(record[4]),
        5 => Payload::from(Value::Array(from_arena(source, record)?)),
        7 => words(source, record)?,
        6 => {
            let value = raw::element(env, source.values, record[4] as u32)?;
            if is_entry {
                Payload::from(own_value(env, value)?)
            } else {
                keep.copies = record[6] != 0.0;
                Payload::from(decode(env, value, &mut keep, 0)?)
            }
        }
        _ => return Err(Fault(sys::Status::napi_invalid_arg)),
    };
    let timeout = record[9];
    let nanos = (timeout.abs() * 1e6) as u64;
    let (mut affinity_key, mut cost_key, mut options, mut policy) = (None, None, None, None);
    let (mut estimate, mut worker_costs) = (None, None);
    if record[10] >= 0.0 {
        let extra = raw::element(env, source.values, record[10] as u32)?;
        // Options are never transferred.
        keep.copy_small = true;
        let mut member = |index| decode(env, raw::element(env, extra, index)?, &mut keep, 1);
        if let Value::String(key) = member(0)? {
            affinity_key = Some(key);
        }
        if let Value::String(key) = member(1)? {
            cost_key = Some(key);
        }
        match member(2)? {
            Value::Undefined => {}
            other => options = Some(Arc::new(other)),
        }
        if let Value::Number(millis) = member(3)? {
            estimate = Some((millis * 1e6) as u64);
        }
        if let Value::Array(costs) = member(4)? {
            let costs = costs.into_vec::<f64>().unwrap_or_default();
            worker_costs = Some(costs.into_iter().map(|millis| millis as f32).collect());
        }
        if let Value::Array(parts) = member(5)? {
            policy = read_policy(&parts.into_vec::<f64>().unwrap_or_default());
            if let Some(policy) = &mut policy
                && timeout < 0.0
            {
                policy.deadline_from_start = nanos;
            }
        }
    }
    let affinity = match (record[8], affinity_key) {
        (packed, Some(key)) if packed <= -2.0 => {
            let mut hasher = std::hash::DefaultHasher::new();
            key.hash(&mut hasher);
            Affinity::Key { hash: hasher.finish(), strength: strength(-2.0 - packed) }
        }
        (packed, _) if packed >= 0.0 => {
            let packed = packed as u32;
            Affinity::Worker { index: packed & 0xFFFF, strength: strength(f64::from(packed >> 16)) }
        }
        _ => Affinity::None,
    };
    let spec = TaskSpec {
        priority: record[7],
        affinity,
        in_turn: record[8] >= IN_TURN,
        deadline: (timeout > 0.0).then(|| Time(deadline(timeout, source.now))),
        deadline_from_start: (timeout < 0.0).then_some(nanos),
        estimate,
        worker_costs,
        ..TaskSpec::plain(lane_of(kernel))
    };
    let job = Job {
        kernel,
        sink,
        ticket,
        codec: record[11] as u8,
        in_place: keep.is_used(),
        is_private: keep.is_private(),
        deadline_from_start: timeout < 0.0,
        export: export(record[10]),
        submitted: source.now,
        input,
        options,
        policy: policy.map(Box::new),
    };
    Ok(Request { spec, cost_key, job })
}

/// `[retries, delay in ms, backoff, when, grace in ms]`; `when`: 1 after a crash, 2 after an
/// error, 3 both.
fn read_policy(parts: &[f64]) -> Option<Policy> {
    let [retries, delay, backoff, when, grace] = parts else { return None };
    Some(Policy {
        retries: *retries as u32,
        delay: (delay * 1e6) as u64,
        backoff: *backoff,
        on_crash: *when as u32 & 1 != 0,
        on_error: *when as u32 & 2 != 0,
        grace: *grace,
        ..Policy::default()
    })
}

/// From here on an affinity is that of a task in its turn.
const IN_TURN: f64 = 3.0 * 65536.0;

fn strength(number: f64) -> Strength {
    match number as u32 {
        0 => Strength::Light,
        1 => Strength::Strong,
        _ => Strength::Force,
    }
}

/// The words in the arena that a record names.
fn words_of<'a>(source: &'a Source<'_>, record: &[f64]) -> Raw<&'a [f64]> {
    let (offset, count) = (record[4] as usize, record[5] as usize);
    let is_inside = offset.checked_add(count).is_some_and(|end| end <= source.arena.length / 8);
    let start = source.arena.data.cast::<f64>();
    if !is_inside || count == 0 || !start.is_aligned() {
        return Err(Fault(sys::Status::napi_invalid_arg));
    }
    // SAFETY: the range lies inside the arena, which only this env's thread writes, and not during this call.
    Ok(unsafe { std::slice::from_raw_parts(start.add(offset), count) })
}

fn words(source: &Source<'_>, record: &[f64]) -> Raw<Payload> {
    words_of(source, record).map(Payload::words)
}

fn from_arena(source: &Source<'_>, record: &[f64]) -> Raw<Array> {
    let kind = ElementKind::from_index(record[6] as usize).ok_or(Fault(sys::Status::napi_invalid_arg))?;
    let (offset, count) = (record[4] as usize, record[5] as usize);
    if offset.checked_add(count).is_none_or(|end| end > source.arena.length)
        || !count.is_multiple_of(kind.size())
    {
        return Err(Fault(sys::Status::napi_invalid_arg));
    }
    if count == 0 {
        // An arena that was never used has no memory at all.
        return Ok(Array::copy_from(kind, &[]));
    }
    // SAFETY: the range lies inside the arena, which only this env's thread writes, and not during this call.
    let bytes = unsafe { std::slice::from_raw_parts(source.arena.data.cast::<u8>().add(offset), count) };
    raw::copied(kind, bytes)
}

/// `hasFree(pool, kernel)`: whether a worker of the kernel's lane has nothing to do, and would start at once or is about to come
/// by. Never for the owner's own thread.
pub(crate) unsafe extern "C" fn has_free(env: Env, info: Info) -> Js {
    on_pool_if_any(env, info, |_, pool, [_, kernel]| {
        let lane = lane_of(raw::number(env, kernel)? as u16);
        raw::new_boolean(env, pool.is_some_and(|pool| pool.has_free_worker(lane)))
    })
}
