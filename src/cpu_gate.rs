//! Stage: all. Thread: owner env only.
//! How busy the machine is, and what it is made of, for pools that start tasks only while a CPU is free.

#![expect(unsafe_code, reason = "raw Node-API calls")]

use crate::call::{Env, Info, Js, on_env};
use crate::pool::json;
use crate::raw;
use std::time::Instant;
use threadmill_core::machine::{Machine, Sampler};

/// `cpuShares(anew)`: busy share in percent of every logical CPU since the call before; empty when nothing is known.
/// `anew`: forget what was read before.
pub(crate) unsafe extern "C" fn cpu_shares(env: Env, info: Info) -> Js {
    on_env(env, info, |state, [anew]| {
        let anew = raw::boolean(env, anew)?;
        let now = Instant::now();
        if anew {
            state.sampler = None;
        }
        let shares = state.sampler.get_or_insert_with(|| Box::new(Sampler::new(now))).read(now);
        let array = raw::new_array(env, shares.len())?;
        for (index, share) in shares.iter().enumerate() {
            raw::set_element(env, array, index as u32, raw::new_number(env, *share)?)?;
        }
        Ok(array)
    })
}

/// `machine()`: cores, logical CPUs and memory, as JSON.
pub(crate) unsafe extern "C" fn machine(env: Env, _info: Info) -> Js {
    raw::guard(env, || json(env, &Machine::read()))
}
