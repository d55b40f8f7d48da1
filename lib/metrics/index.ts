// Stage: all. Thread: any env. The exports of threadmill/metrics, and nothing else.

export { openTelemetry } from './open-telemetry'
export { prometheus } from './prometheus'
