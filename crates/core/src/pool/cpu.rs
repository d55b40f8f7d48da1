//! Stage: run. Thread: a worker opens its own clock; any thread reads it while the worker lives.
//! CPU time of threads.

#![cfg_attr(all(target_os = "linux", not(miri)), expect(unsafe_code, reason = "libc calls"))]

/// The CPU clock of one thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuClock(#[cfg(all(target_os = "linux", not(miri)))] libc::clockid_t);

#[cfg(all(target_os = "linux", not(miri)))]
impl CpuClock {
    /// That of the calling thread.
    pub(super) fn of_this_thread() -> Option<Self> {
        let mut clock = 0;
        // SAFETY: the calling thread exists, and the clock is written to a local.
        let status = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        (status == 0).then_some(Self(clock))
    }

    /// Time so far, ms; `None` when the thread has ended.
    pub(super) fn read(self) -> Option<f64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is written to a local; a clock that is gone is an error.
        let status = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        (status == 0).then_some(time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6)
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
impl CpuClock {
    /// Not known here; Miri has no such clocks.
    pub(super) fn of_this_thread() -> Option<Self> {
        None
    }

    #[expect(clippy::unused_self, reason = "the same as where there are clocks")]
    pub(super) fn read(self) -> Option<f64> {
        None
    }
}

#[cfg(all(test, target_os = "linux", not(any(loom, miri))))]
mod tests {
    use super::CpuClock;

    #[test]
    fn a_thread_that_works_uses_time_and_its_clock_ends_with_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let clock = CpuClock::of_this_thread().unwrap();
            let before = clock.read().unwrap();
            while clock.read().unwrap() - before < 5.0 {}
            sender.send(clock).unwrap();
            wait.recv().unwrap();
        });
        let clock = receiver.recv().unwrap();
        assert!(clock.read().unwrap() >= 5.0);
        release.send(()).unwrap();
        thread.join().unwrap();
    }
}
