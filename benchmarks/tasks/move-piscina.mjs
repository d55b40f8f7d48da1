import { move } from 'piscina'
import { run } from './move.mjs'

export default (bytes) => move(run(bytes))
