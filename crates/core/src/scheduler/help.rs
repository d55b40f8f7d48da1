//! Stage: schedule. Thread: whoever holds the pool's lock.
//! Workers that are lent to the parallel section of another worker's task.

use super::Scheduler;
use super::task::{Lane, WorkerRef};

impl<P> Scheduler<P> {
    /// Names up to `count` idle workers although no task waits for them. Each owes a `take`, as any woken worker.
    pub fn wake_idle(&mut self, lane: Lane, count: usize, wakes: &mut Vec<WorkerRef>) {
        let lane = &mut self.lanes[lane as usize];
        for _ in 0..count {
            if !lane.wake_one(wakes) {
                break;
            }
        }
    }

    /// Says that a worker, after an empty `take`, works on a section (or no longer does): meanwhile it is not coming
    /// for tasks, and others are woken in its place.
    pub fn set_engaged(&mut self, worker: WorkerRef, engaged: bool, wakes: &mut Vec<WorkerRef>) {
        let lane = &mut self.lanes[worker.lane as usize];
        if let Some(state) = lane.joined_worker(worker.index) {
            state.searching = !engaged;
            lane.refresh(worker.index);
            lane.balance(wakes);
        }
    }

    /// Whether a worker is lent to a section.
    pub fn is_engaged(&self, worker: WorkerRef) -> bool {
        self.lanes[worker.lane as usize]
            .workers
            .get(worker.index as usize)
            .is_some_and(|state| state.joined() && !state.parked && !state.searching && state.held() == 0)
    }

    /// Workers that would start on a new task at once.
    pub fn idle_workers(&self, lane: Lane) -> usize {
        self.lanes[lane as usize].idle
    }

    /// Whether some worker of a lane is idle, or has nothing and is about to come by.
    pub fn has_free_worker(&self, lane: Lane) -> bool {
        let lane = &self.lanes[lane as usize];
        lane.idle > 0 || (lane.queued == 0 && lane.running + lane.ahead < lane.joined)
    }

    /// The worker of a lane that parked last, if one is parked.
    pub fn idle_worker(&self, lane: Lane) -> Option<u32> {
        self.lanes[lane as usize].parked_last()
    }

    /// An idle worker is busy with something of its own for a moment: tasks that others may run go to those that are idle now. Whether
    /// it is idle.
    ///
    /// # Complexity
    ///
    /// O(idle workers).
    pub fn step_back(&mut self, worker: WorkerRef) -> bool {
        self.lanes[worker.lane as usize].step_back(worker.index)
    }

    /// Tasks in the queues of a lane, without those that workers have taken.
    pub fn queued(&self, lane: Lane) -> usize {
        self.lanes[lane as usize].queued
    }
}
