// Stage: submit, run and settle. Thread: any. What `lazy.ts` loads for values that are no numbers, and nothing else.

import {
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
import { MOST_TOGETHER, mayWrite, write, written } from './flat'
import { read } from './flat-read'
import { encodeMarked, Prepared } from './marked'
import { moveCopy, moveMemory } from './moves'
import { decodeReason, encodeReason, holdReason } from './reason'

/** They are used for every value: no getters, which exports of other modules would be. */
export const parts = {
  decode,
  decodeReason,
  encode,
  encodeAlone,
  encodeMarked,
  encodeReason,
  holdReason,
  isRaw,
  MOST_RAW_WORDS,
  MOST_TOGETHER,
  mayWrite,
  moveCopy,
  moveMemory,
  Prepared,
  putHeld,
  putRaw,
  rawLength,
  read,
  readWords,
  takeHeld,
  write,
  written,
}
