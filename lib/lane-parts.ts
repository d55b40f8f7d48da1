// Stage: all. Thread: any. What `lazy.ts` loads, and nothing else.

export {
  decode,
  encode,
  encodeAlone,
  FLAT,
  LOCAL,
  MOST_RAW_WORDS,
  MOVED,
  PLAIN,
  POSTED,
  putHeld,
  putRaw,
  rawLength,
  readWords,
  takeHeld,
} from './codec'
export { MOST_TOGETHER, write, written } from './flat'
export { JsLane } from './lane'
export { moveCopy, moveMemory } from './moves'
export { decodeReason } from './reason'
export { Registry } from './registry'
