//! Stage: submit. Thread: the one that builds a pool.
//! How many native workers this process should have, and why.

use serde::Serialize;

/// Most native workers of a pool.
pub const MAX_THREADS: u32 = 1024;

/// What decided the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SizingSource {
    /// The caller.
    Option,
    /// The CPUs of the machine.
    Cpus,
    /// The affinity mask of the process.
    Affinity,
    /// The CPU quota of its cgroup.
    Cgroup,
}

/// The number of workers with its reason.
#[derive(Clone, Debug, Serialize)]
pub struct Sizing {
    /// Native workers.
    pub threads: u32,
    /// What decided.
    pub source: SizingSource,
    /// CPUs online.
    pub cpus: u32,
    /// CPUs in the affinity mask.
    pub affinity: u32,
}

impl Sizing {
    /// `threads` of the caller, or what the system grants. The count is `std::thread::available_parallelism`, which
    /// respects the affinity mask and the cgroup quota; the other figures explain it. The quota itself is [`cpu_quota`]: to
    /// read it takes a third of the time that a pool takes to make.
    pub fn new(threads: Option<u32>) -> Self {
        let granted = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        let cpus = online_cpus().unwrap_or(granted);
        let affinity = allowed_cpus().map_or(cpus, |list| list.len() as u32);
        let (threads, source) = match threads {
            Some(threads) => (threads, SizingSource::Option),
            None if granted < affinity => (granted, SizingSource::Cgroup),
            // Some systems grant as many threads as there are CPUs, whatever the mask.
            None if affinity < cpus => (affinity.min(granted), SizingSource::Affinity),
            None => (granted, SizingSource::Cpus),
        };
        Self { threads: threads.clamp(1, MAX_THREADS), source, cpus, affinity }
    }
}

/// The C library counts those of the mask.
#[cfg(all(target_os = "linux", target_env = "musl"))]
fn online_cpus() -> Option<u32> {
    count_listed(&std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?)
}

/// Of a list such as `0-3,8`.
#[cfg(any(test, all(target_os = "linux", target_env = "musl")))]
fn count_listed(list: &str) -> Option<u32> {
    list.trim().split(',').try_fold(0u32, |count, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let more = last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?;
        count.checked_add(more)?.checked_add(1)
    })
}

#[cfg(all(target_os = "linux", not(target_env = "musl")))]
#[expect(unsafe_code, reason = "libc calls")]
fn online_cpus() -> Option<u32> {
    // SAFETY: `sysconf` takes no pointers.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(count).ok().filter(|count| *count > 0)
}

#[cfg(not(target_os = "linux"))]
fn online_cpus() -> Option<u32> {
    None
}

/// The CPUs that this thread may run on, in ascending order.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "libc calls")]
pub(crate) fn allowed_cpus() -> Option<Vec<usize>> {
    // SAFETY: a `cpu_set_t` of zeros is valid, and the call writes no more than its size.
    let (status, set) = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        (libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set), set)
    };
    if status != 0 {
        return None;
    }
    // Not CPU_SETSIZE: for musl that is less than there is room for.
    let limit = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: the index stays below the size of the set.
    Some((0..limit).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// The CPUs that this thread may run on, in ascending order.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed_cpus() -> Option<Vec<usize>> {
    core_affinity::get_core_ids().map(|ids| ids.into_iter().map(|id| id.id).collect())
}

/// CPU quota of the tightest cgroup (version 2, else version 1) that this process is in, in cores. Reads some files.
#[cfg(target_os = "linux")]
pub fn cpu_quota() -> Option<f64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    groups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            if controllers.is_empty() {
                ancestors(path)
                    .filter_map(|path| quota_v2(&format!("/sys/fs/cgroup{path}/cpu.max")))
                    .reduce(f64::min)
            } else if controllers.split(',').any(|name| name == "cpu") {
                ancestors(path)
                    .filter_map(|path| quota_v1(&format!("/sys/fs/cgroup/cpu{path}")))
                    .reduce(f64::min)
            } else {
                None
            }
        })
        .reduce(f64::min)
}

/// CPU quota of the tightest cgroup that this process is in, in cores; there are none here.
#[cfg(not(target_os = "linux"))]
pub fn cpu_quota() -> Option<f64> {
    None
}

/// `/a/b` gives `/a/b`, `/a` and the empty path of the root.
#[cfg(target_os = "linux")]
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path.trim_end_matches('/')), |path| path.rfind('/').map(|at| &path[..at]))
}

#[cfg(target_os = "linux")]
fn quota_v2(file: &str) -> Option<f64> {
    parse_quota_v2(&std::fs::read_to_string(file).ok()?)
}

#[cfg(target_os = "linux")]
fn parse_quota_v2(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(target_os = "linux")]
fn quota_v1(folder: &str) -> Option<f64> {
    let read = |name: &str| -> Option<f64> {
        std::fs::read_to_string(format!("{folder}/{name}")).ok()?.trim().parse().ok()
    };
    let (quota, period) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_the_system_grants() {
        let granted = std::thread::available_parallelism().unwrap().get() as u32;
        let sizing = Sizing::new(None);
        assert_eq!(sizing.threads, granted.min(MAX_THREADS));
        assert_ne!(sizing.source, SizingSource::Option);
        assert!(sizing.affinity <= sizing.cpus.max(sizing.affinity));
    }

    #[test]
    fn the_caller_decides_within_bounds() {
        assert_eq!(Sizing::new(Some(7)).threads, 7);
        assert_eq!(Sizing::new(Some(0)).threads, 1);
        assert_eq!(Sizing::new(Some(u32::MAX)).threads, MAX_THREADS);
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        for (list, count) in [("0\n", Some(1)), ("0-3,8\n", Some(5)), ("3-1", None), ("", None), ("0-", None)]
        {
            assert_eq!(count_listed(list), count, "{list}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn quotas_are_read() {
        assert_eq!(parse_quota_v2("150000 100000\n"), Some(1.5));
        assert_eq!(parse_quota_v2("max 100000\n"), None);
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), [""]);
    }
}
