// Stage: all. Thread: any env. The exports of `threadmill/function`, and nothing else.

export * from './proxy'
export { normalizeFilename } from './resolve'
