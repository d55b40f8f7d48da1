// Computes for as long as the input says, then counts itself where the main thread sees it without its event loop.
import { work } from '../lib/work.mjs'
import { data } from './data.mjs'

export { setup } from './data.mjs'

export function run(rounds) {
  const result = work(rounds)
  Atomics.add(data.value, 0, 1)
  return result
}

export default run
