// Stage: all. Thread: owner env. The exports of `threadmill/dashboard`, and nothing else.

export { serveDashboard } from './serve'
