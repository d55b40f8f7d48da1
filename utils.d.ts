// The utilities of `threadmill/function` alone: the same functions.

export type { AsyncEventEmitter } from './function'
export {
  asyncEventEmitter,
  close,
  exitEventSupported,
  exitKey,
  startProfilingCpu,
  stopProfilingCpu,
} from './function'
