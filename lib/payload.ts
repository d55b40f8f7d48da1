// Stage: submit, run and settle. Thread: any. What `lazy.ts` loads for values that are no numbers, and nothing else.

export {
  decode,
  encode,
  encodeAlone,
  isRaw,
  MOST_RAW_WORDS,
  putHeld,
  putRaw,
  rawLength,
  readWords,
  takeHeld,
} from './codec'
export { MOST_TOGETHER, write, written } from './flat'
export { read } from './flat-read'
export { encodeMarked, Prepared } from './marked'
export { moveCopy, moveMemory } from './moves'
export { decodeReason, encodeReason } from './reason'
