// What the workers of 14-dashboard.mjs do: work for the processor, and waiting.
import { setTimeout as delay } from 'node:timers/promises'

export function report(lines) {
  const sums = new Map()
  for (let line = 0; line < lines; line++) sums.set(line % 97, (sums.get(line % 97) ?? 0) + Math.sqrt(line))
  return sums.size
}

export const upload = (ms) => delay(ms, ms)

export default report
