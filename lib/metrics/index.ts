// Stage: all. Thread: any env. The exports of threadmill/metrics, and nothing else.

export { instrument } from './open-telemetry'
export { registerMetrics } from './prometheus'
