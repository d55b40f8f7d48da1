// Stage: all. Thread: any. What `lazy.ts` loads, and nothing else.

export {
  decode,
  encode,
  FLAT,
  IN_ADDON,
  LOCAL,
  MOST_RAW_WORDS,
  MOVED,
  PLAIN,
  POSTED,
  putRaw,
  rawLength,
  readWords,
  writeRaw,
} from './codec'
export { write, written } from './flat'
export { JsLane } from './lane'
export { moveCopy, moveMemory } from './moves'
export { decodeReason } from './reason'
export { Registry } from './registry'
