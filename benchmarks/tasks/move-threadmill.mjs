import { createRequire } from 'node:module'
import { run } from './move.mjs'

const { transfer } = createRequire(import.meta.url)('../../dist/index.js')

export default (bytes) => transfer(run(bytes), [bytes.buffer])
