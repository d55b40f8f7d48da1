// Stage: all. Thread: any. What `lazy.ts` loads, and nothing else.

export { decode, encode, POSTED } from './codec'
export { resolveEntry } from './entry'
export { JsLane } from './lane'
export { decodeReason } from './reason'
export { isOwnEntry } from './self'
