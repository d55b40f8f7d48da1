// Stage: all. Thread: any. What `lazy.ts` loads, and nothing else.

export { decode, encode, FLAT, LOCAL, POSTED, putRaw, rawLength, readWords } from './codec'
export { resolveEntry } from './entry'
export { write, written } from './flat'
export { JsLane } from './lane'
export { decodeReason } from './reason'
export { Registry } from './registry'
export { isOwnEntry } from './self'
