//! Stage: run. Thread: a native worker, at its start.
//! Name, nice value and CPU of native workers.

use super::sizing::allowed_cpus;

/// Which CPUs workers are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Worker i to the i-th CPU of the list, round robin.
    List(Vec<usize>),
    /// Neighbouring CPUs first: worker i to the i-th allowed CPU.
    Compact,
    /// One worker per physical core first, then the second hardware threads.
    Spread,
}

impl Pin {
    /// The CPU of worker `index`; `None` when the system does not tell which CPUs there are.
    pub(crate) fn cpu(&self, index: u32) -> Option<usize> {
        let order = match self {
            Self::List(list) => list.clone(),
            Self::Compact => allowed_cpus()?,
            Self::Spread => spread(&allowed_cpus()?, core_of),
        };
        (!order.is_empty()).then(|| order[index as usize % order.len()])
    }
}

/// Orders CPUs so that every physical core comes once before any comes twice.
fn spread(cpus: &[usize], core_of: impl Fn(usize) -> (usize, usize)) -> Vec<usize> {
    let mut seen = std::collections::HashMap::new();
    let mut order: Vec<(usize, usize)> = cpus
        .iter()
        .map(|cpu| {
            let turn = seen.entry(core_of(*cpu)).and_modify(|turn| *turn += 1).or_insert(0usize);
            (*turn, *cpu)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, cpu)| cpu).collect()
}

/// Package and core of a CPU; a CPU of which nothing is known is its own core.
fn core_of(cpu: usize) -> (usize, usize) {
    let read = |name: &str| -> Option<usize> {
        std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    read("physical_package_id").zip(read("core_id")).unwrap_or((usize::MAX, cpu))
}

/// Applies the options to the calling thread; returns what did not work.
pub(crate) fn apply(pin: Option<&Pin>, nice: Option<i32>, index: u32) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(pin) = pin {
        match pin.cpu(index) {
            // On Windows a mask has 64 CPUs, and that number is shifted without a check.
            Some(cpu) if cfg!(windows) && cpu >= 64 => notes.push(cannot_pin(index, cpu)),
            Some(cpu) if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) => {}
            Some(cpu) => notes.push(cannot_pin(index, cpu)),
            None => notes.push(format!("worker {index} was not pinned: the system does not list its CPUs")),
        }
    }
    if let Some(nice) = nice
        && let Err(error) = set_nice(nice)
    {
        notes.push(format!("worker {index} did not get nice {nice}: {error}"));
    }
    notes
}

fn cannot_pin(index: u32, cpu: usize) -> String {
    format!("worker {index} could not be pinned to CPU {cpu}")
}

/// On Linux the nice value belongs to the thread.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "libc calls")]
fn set_nice(nice: i32) -> std::io::Result<()> {
    // SAFETY: the calls take numbers only.
    let status = unsafe {
        let thread = libc::syscall(libc::SYS_gettid) as libc::id_t;
        libc::setpriority(libc::PRIO_PROCESS, thread, nice)
    };
    if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn set_nice(_nice: i32) -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "only Linux has a nice value per thread"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_takes_every_core_before_any_twice() {
        // Two packages of two cores with two hardware threads each, numbered as Linux does.
        let core = |cpu: usize| (cpu % 4 / 2, cpu % 2);
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6, 7], core), [0, 1, 2, 3, 4, 5, 6, 7]);
        let neighbours = |cpu: usize| (0, cpu / 2);
        assert_eq!(spread(&[0, 1, 2, 3], neighbours), [0, 2, 1, 3]);
    }

    #[test]
    fn lists_are_used_round_robin() {
        let pin = Pin::List(vec![3, 5]);
        assert_eq!([pin.cpu(0), pin.cpu(1), pin.cpu(2)], [Some(3), Some(5), Some(3)]);
        assert_eq!(Pin::List(vec![]).cpu(0), None);
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn a_thread_gets_its_nice_value_and_cpu() {
        std::thread::spawn(|| {
            let cpu = allowed_cpus().unwrap()[0];
            assert_eq!(apply(Some(&Pin::List(vec![cpu])), Some(1), 0), Vec::<String>::new());
            assert_eq!(allowed_cpus().unwrap(), [cpu]);
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            assert_eq!(fields[16], "1", "{stat}");
        })
        .join()
        .unwrap();
    }
}
