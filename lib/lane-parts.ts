// Stage: all. Thread: any. What `lazy.ts` loads, and nothing else.

export { JsLane } from './lane'
export { Registry } from './registry'
