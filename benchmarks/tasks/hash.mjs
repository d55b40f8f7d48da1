// Calls a kernel on this thread, so many times in turn.
import { runSync } from '../lib/subjects.mjs'

export const run = ({ input, count }) => {
  let digest
  for (let i = 0; i < count; i++) digest = runSync('sha256', input)
  return digest
}
export default run
