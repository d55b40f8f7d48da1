import { Tinypool } from 'tinypool'
import { run } from './move.mjs'

export default (bytes) => Tinypool.move(run(bytes))
