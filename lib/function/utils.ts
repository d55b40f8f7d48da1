// Stage: all. Thread: any env. The exports of `threadmill/utils`, and nothing else.

export { startProfilingCpu, stopProfilingCpu } from './cpu-gate'
export { asyncEventEmitter, close, exitEventSupported, exitKey } from './utilities'
