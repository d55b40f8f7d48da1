// Computes for as long as the input says.
import { work } from '../lib/work.mjs'

export const run = (rounds) => work(rounds)
export default run
