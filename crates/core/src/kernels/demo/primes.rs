//! Stage: run. Thread: native workers.
//! `primesUpTo`: all primes up to a bound.
//!
//! S1. Chunks are independent of each other and joined in order, so that the threads do not show in the result.

use super::{Meter, no_memory, whole};
use crate::error::KernelError;
use crate::kernel::{Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use parking_lot::Mutex;

/// The primes up to `n` in ascending order.
///
/// # Complexity
///
/// O(n log log n). The result has about n / ln n elements of 4 bytes; while it is joined, memory is twice that.
///
/// # Source
///
/// The sieve of Eratosthenes over odd numbers, in segments that stay in the first-level cache (Bays and Hudson, BIT 17,
/// 1977).
#[derive(Debug)]
pub(super) struct PrimesUpTo;

/// Odd numbers per segment: one byte each, so this is 32 KiB.
const SEGMENT: usize = 32 * 1024;

/// Odd numbers per chunk. Starting a chunk costs a division per sieving prime, up to 6541 of them.
const CHUNK: usize = 16 * SEGMENT;

impl Kernel for PrimesUpTo {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "primesUpTo",
            group: "demo",
            summary: "All primes up to a bound, in ascending order.",
            input: Schema::integer(0.0, u32::MAX as f64),
            options: &[],
            output: "Uint32Array",
            in_place: false,
            parallel: true,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let n = whole(&input.value, "the input", 0.0, f64::from(u32::MAX))? as u32;
        Ok(Value::from_vec(primes_up_to(n, CHUNK, ctx)?))
    }
}

fn primes_up_to(n: u32, chunk: usize, ctx: &KernelContext<'_>) -> Result<Vec<u32>, KernelError> {
    ctx.check()?;
    if n < 2 {
        return Ok(Vec::new());
    }
    // Index i stands for the odd number 2i + 1, so these are the odd numbers from 1 to n.
    let odds = n.div_ceil(2) as usize;
    let sieving = odd_primes(n.isqrt());
    let chunks = odds.div_ceil(chunk);
    let meter = Meter::new(ctx, odds);
    let found: Vec<_> = (0..chunks).map(|_| Mutex::new(None)).collect();
    ctx.parallel_for(chunks, |index| {
        let start = index * chunk;
        let end = odds.min(start + chunk);
        *found[index].lock() = Some(sift(start, end, &sieving, ctx));
        meter.add(end - start);
    })?;
    let found =
        found.into_iter().map(|part| part.into_inner().unwrap_or_else(|| Err(KernelError::cancelled())));
    let found = found.collect::<Result<Vec<Vec<u32>>, KernelError>>()?;
    let count = 1 + found.iter().map(Vec::len).sum::<usize>();
    let mut primes = Vec::new();
    primes.try_reserve_exact(count).map_err(|_| no_memory(count))?;
    primes.push(2);
    for part in found {
        ctx.check()?;
        primes.extend_from_slice(&part);
    }
    Ok(primes)
}

/// The odd primes up to `n`, which is at most 65535.
fn odd_primes(n: u32) -> Vec<u32> {
    let mut composite = vec![false; n as usize + 1];
    let mut primes = Vec::new();
    for candidate in (3..=n).step_by(2) {
        if !composite[candidate as usize] {
            primes.push(candidate);
            let square = candidate as usize * candidate as usize;
            for multiple in (square..composite.len()).step_by(2 * candidate as usize) {
                composite[multiple] = true;
            }
        }
    }
    primes
}

/// The primes among the odd numbers with the indices `start..end`.
fn sift(start: usize, end: usize, sieving: &[u32], ctx: &KernelContext<'_>) -> Result<Vec<u32>, KernelError> {
    // For each sieving prime p the next odd multiple to cross out, as an index: from p² on, in steps of 2p, which are
    // steps of p for an index.
    let mut next: Vec<usize> = Vec::new();
    next.try_reserve_exact(sieving.len()).map_err(|_| no_memory(sieving.len()))?;
    for &prime in sieving {
        let prime = prime as usize;
        let square = prime * prime / 2;
        next.push(if square >= start { square } else { square + (start - square).next_multiple_of(prime) });
    }
    let mut primes = Vec::new();
    let mut composite = Vec::new();
    composite.try_reserve_exact(SEGMENT).map_err(|_| no_memory(SEGMENT))?;
    composite.resize(SEGMENT, 0u8);
    let mut from = start;
    while from < end {
        ctx.check()?;
        let to = end.min(from + SEGMENT);
        let segment = &mut composite[..to - from];
        segment.fill(0);
        for (&prime, next) in sieving.iter().zip(&mut next) {
            if *next >= to {
                // The squares grow: no later prime reaches this segment unless its square does.
                if prime as usize * prime as usize / 2 >= to {
                    break;
                }
                continue;
            }
            let mut at = *next - from;
            while at < segment.len() {
                segment[at] = 1;
                at += prime as usize;
            }
            *next = from + at;
        }
        if from == 0 {
            // 1 is no prime.
            segment[0] = 1;
        }
        for (at, &composite) in segment.iter().enumerate() {
            if composite == 0 {
                primes.try_reserve(1).map_err(|_| no_memory(primes.len() + 1))?;
                primes.push((2 * (from + at) + 1) as u32);
            }
        }
        from = to;
    }
    Ok(primes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{TestHost, assert_cancels};

    fn primes(n: u32, chunk: usize, threads: usize) -> Vec<u32> {
        primes_up_to(n, chunk, &KernelContext::new(&TestHost::with_threads(threads))).unwrap()
    }

    fn is_prime(n: u32) -> bool {
        n >= 2 && (2..=n.isqrt()).all(|divisor| !n.is_multiple_of(divisor))
    }

    #[test]
    fn small_bounds() {
        for n in 0..2000 {
            let expected: Vec<_> = (0..=n).filter(|&n| is_prime(n)).collect();
            assert_eq!(primes(n, CHUNK, 1), expected, "{n}");
        }
        assert_eq!(primes(10, CHUNK, 1), [2, 3, 5, 7]);
    }

    #[test]
    fn known_counts() {
        // OEIS A006880.
        for (n, count) in [(10_000, 1229), (100_000, 9592), (1_000_000, 78_498), (10_000_000, 664_579)] {
            assert_eq!(primes(n, CHUNK, 1).len(), count);
        }
    }

    #[test]
    fn s1_threads_and_chunks_do_not_show() {
        let expected = primes(3_000_000, usize::MAX / 2, 1);
        assert_eq!(expected.len(), 216_816);
        for chunk in [SEGMENT / 3, SEGMENT, 3 * SEGMENT + 17] {
            assert_eq!(primes(3_000_000, chunk, 4), expected);
        }
    }

    #[test]
    fn the_last_chunk_of_the_range() {
        let odds = u32::MAX.div_ceil(2) as usize;
        let sieving = odd_primes(u32::MAX.isqrt());
        let ctx_host = TestHost::new();
        let found = sift(odds - 1000, odds, &sieving, &KernelContext::new(&ctx_host)).unwrap();
        let expected: Vec<_> = (u32::MAX - 1999..=u32::MAX)
            .filter(|&n| n % 2 == 1 && sieving.iter().all(|&prime| !n.is_multiple_of(prime)))
            .collect();
        assert_eq!(found, expected);
        // The greatest prime below 2^32.
        assert_eq!(found.last(), Some(&4_294_967_291));
    }

    #[test]
    fn progress_reaches_the_total() {
        let host = TestHost::with_threads(3);
        host.run(&PrimesUpTo, Value::Number(5e6), Value::Undefined).unwrap();
        let reports = host.progress_reports();
        assert!(reports.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(reports.last(), Some(&(2.5e6, 2.5e6)));
    }

    #[test]
    fn a_cancel_is_seen() {
        assert_cancels(&PrimesUpTo, 20, || (Value::Number(2e6), Value::Undefined));
    }
}
