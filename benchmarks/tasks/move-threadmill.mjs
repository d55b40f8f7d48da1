// Counts in the first byte that the task was here, and moves the memory back.
import { createRequire } from 'node:module'

const { transfer } = createRequire(import.meta.url)('../dist/index.js')

export default (bytes) => {
  bytes[0]++
  return transfer(bytes, [bytes.buffer])
}
