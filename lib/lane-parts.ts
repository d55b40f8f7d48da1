// Stage: all. Thread: any. What `lazy.ts` loads, and nothing else.

export { decode, encode, LOCAL, POSTED } from './codec'
export { resolveEntry } from './entry'
export { JsLane } from './lane'
export { decodeReason } from './reason'
export { Registry } from './registry'
export { isOwnEntry } from './self'
