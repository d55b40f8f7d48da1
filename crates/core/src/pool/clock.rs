//! Stage: all. Thread: any.
//! The monotonic clock of the process, in nanoseconds since its first use.

use once_cell::sync::Lazy;
use std::time::{Duration, Instant};

static EPOCH: Lazy<Instant> = Lazy::new(Instant::now);

/// Nanoseconds since the first call in this process, plus one: never zero.
pub fn now() -> u64 {
    EPOCH.elapsed().as_nanos() as u64 + 1
}

/// The instant of a reading of [`now`].
pub(crate) fn instant(nanos: u64) -> Instant {
    *EPOCH + Duration::from_nanos(nanos)
}
