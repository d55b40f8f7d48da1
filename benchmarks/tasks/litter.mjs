// Makes much garbage as soon as each worker runs such a task; what a task makes is of no use to the next one.
import meet from './meet.mjs'

export { setup } from './data.mjs'

const OBJECTS = 200_000

export function run(goal) {
  const lines = Array.from({ length: OBJECTS }, (_, n) => ({ n, text: `line ${n}` }))
  return lines.length === OBJECTS ? meet(goal) : undefined
}

export default run
