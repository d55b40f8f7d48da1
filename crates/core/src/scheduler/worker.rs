//! Stage: schedule. Thread: whoever holds the pool's lock.
//! What the scheduler keeps of a worker.

use super::list::{BAND, List};
use super::queue::Queue;
use super::slab::NIL;
use super::task::Hold;

/// Whether there is such a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Never was, or left for good.
    Absent,
    /// Left; a replacement is to join under the same number. Tasks forced to it wait for that.
    Vacant,
    Joined,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states of one thing")]
pub(super) struct Worker {
    pub(super) presence: Presence,
    /// Its thread exists or is being started.
    pub(super) launched: bool,
    /// It has come by at least once.
    pub(super) ready: bool,
    pub(super) parked: bool,
    /// Awake and sure to take or park before it does anything else: woken, or just done with something.
    pub(super) searching: bool,
    pub(super) forced: Queue,
    pub(super) strong: Queue,
    pub(super) light: Queue,
    /// Taken and not known to have begun, in the order taken.
    pub(super) ahead: List<BAND>,
    pub(super) running: List<BAND>,
    /// Of the running ones, those that wait for tasks of their own.
    pub(super) blocked: u32,
    /// Of those ahead, free and light ones.
    pub(super) ahead_loose: u32,
    /// Of those ahead, strong ones.
    pub(super) ahead_strong: u32,
    /// Sum of the loads of owned tasks: queued here, ahead and running.
    pub(super) load: u64,
    pub(super) completed: u64,
    pub(super) stolen: u64,
    /// What the lane's totals and indexes say of this worker; only `Lane::refresh` writes it.
    pub(super) derived: Derived,
    /// Neighbours among the idle workers, by when they became idle.
    pub(super) below: u32,
    pub(super) above: u32,
}

/// What follows from a worker's state and is kept in the lane's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states of one thing")]
pub(super) struct Derived {
    /// Parked, with room to run a task.
    pub(super) idle: bool,
    /// Searching, with room and nothing queued of its own: it will serve one task of others.
    pub(super) spare: bool,
    /// Others may take its light tasks.
    pub(super) light_open: bool,
    /// Others may take its strong tasks, if the loads are unbalanced enough.
    pub(super) strong_open: bool,
    /// Light tasks that wait for somebody else.
    pub(super) light_demand: u32,
    /// Strong tasks that do so when the load rule holds.
    pub(super) strong_demand: u32,
    /// Free and light tasks ahead that do so.
    pub(super) ahead_demand: u32,
    /// Load under which it stands in the indexes of victims.
    pub(super) indexed_load: u64,
}

impl Worker {
    pub(super) fn absent() -> Self {
        Self {
            presence: Presence::Absent,
            launched: false,
            ready: false,
            parked: false,
            searching: false,
            forced: Queue::new(),
            strong: Queue::new(),
            light: Queue::new(),
            ahead: List::EMPTY,
            running: List::EMPTY,
            blocked: 0,
            ahead_loose: 0,
            ahead_strong: 0,
            load: 0,
            completed: 0,
            stolen: 0,
            derived: Derived::default(),
            below: NIL,
            above: NIL,
        }
    }

    pub(super) fn queue(&mut self, hold: Hold) -> &mut Queue {
        match hold {
            Hold::Forced => &mut self.forced,
            Hold::Strong => &mut self.strong,
            Hold::Light => &mut self.light,
            Hold::Free => unreachable!("free tasks wait in the injector"),
        }
    }

    pub(super) fn joined(&self) -> bool {
        self.presence == Presence::Joined
    }

    /// Tasks queued here.
    #[inline]
    pub(super) fn own(&self) -> usize {
        self.forced.len() + self.strong.len() + self.light.len()
    }

    /// Tasks it has taken.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.ahead.len() + self.running.len()
    }

    /// Taken tasks that count against its concurrency.
    #[inline]
    pub(super) fn occupying(&self) -> usize {
        self.held() - self.blocked as usize
    }

    #[inline]
    pub(super) fn derive(&self, concurrency: u32, eager: bool) -> Derived {
        let concurrency = concurrency as usize;
        let (own, occupying) = (self.own(), self.occupying());
        if !self.joined() {
            return Derived::default();
        }
        let room = occupying < concurrency;
        let slot = room && !self.parked && self.searching;
        let mut derived =
            Derived { idle: self.parked && room, spare: slot && own == 0, ..Derived::default() };
        // Nobody else can be interested in one that has nothing queued and has begun what it took.
        if eager && (own > 0 || occupying > concurrency) {
            let full = own + self.held() >= 2 * concurrency;
            let excess = own - usize::from(slot && own > 0);
            let excess_ahead = occupying.saturating_sub(concurrency);
            derived.light_open = !self.light.is_empty() && (full || !slot || !self.ready);
            if derived.light_open {
                derived.light_demand = self.light.len().min(excess) as u32;
            }
            let loose_ahead = (self.ahead_loose as usize).min(excess_ahead);
            derived.ahead_demand = loose_ahead as u32;
            let strong_ahead = (self.ahead_strong as usize).min(excess_ahead - loose_ahead);
            derived.strong_open = full && (!self.strong.is_empty() || strong_ahead > 0);
            if derived.strong_open {
                let light = derived.light_demand as usize;
                derived.strong_demand = (self.strong.len().min(excess - light) + strong_ahead) as u32;
                derived.indexed_load = self.load;
            }
            if derived.light_open {
                derived.indexed_load = self.load;
            }
        }
        derived
    }
}

/// Figures of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerFigures {
    /// Its thread exists or is being started.
    pub launched: bool,
    /// It has come by at least once.
    pub ready: bool,
    /// It waits to be woken.
    pub parked: bool,
    /// Tasks queued for it alone or first.
    pub queued: usize,
    /// Tasks it has taken that are not known to have begun.
    pub ahead: usize,
    /// Tasks known to have begun.
    pub running: usize,
    /// Expected nanoseconds of all its tasks, with 1 ms each on top.
    pub load: u64,
    /// Tasks it has completed.
    pub completed: u64,
    /// Tasks it took from others.
    pub stolen: u64,
}
