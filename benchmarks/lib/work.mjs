// Work that only computes, in an amount that does not depend on the clock: time in which a thread has no core counts
// for nothing. It is native code, for the speed of a loop of JavaScript depends on how and when it was compiled.
import { crc32 } from 'node:zlib'

const block = new Uint8Array(16 * 1024)

/** So many checksums, one upon the other. */
export function work(rounds) {
  let sum = 0
  for (let i = 0; i < rounds; i++) sum = crc32(block, sum)
  return sum
}

/** How many rounds take `milliseconds` on a core that nobody else uses. */
export function calibrateRounds(milliseconds) {
  const rounds = 200
  // The quickest run is the one that was disturbed least.
  let best = Number.POSITIVE_INFINITY
  for (let repetition = 0; repetition < 15; repetition++) {
    const start = performance.now()
    work(rounds)
    best = Math.min(best, performance.now() - start)
  }
  return Math.round((rounds * milliseconds) / best)
}
