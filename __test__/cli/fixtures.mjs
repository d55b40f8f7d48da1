// Entry module of the tests of `run`.
import { writeSync } from 'node:fs'

export default function twice(input) {
  if (input === 'throw') throw Object.assign(new RangeError('it was told to'), { code: 'ERR_TOLD' })
  // biome-ignore lint/style/useThrowOnlyError: what is no error is tested too
  if (input === 'throw text') throw 'only text'
  if (input === 'throw a numeric code') throw Object.assign(new Error('numbered'), { code: 7 })
  if (input === 'give a function') return () => {}
  if (input === 'exit') process.exit(3)
  if (input === 'spin') for (;;);
  return input * 2
}

export const same = (input) => input

export const talk = (input) => {
  console.log(`working on ${input}`)
  return input
}

/** Tells on standard error that it has begun, and never ends. */
export const hang = () => {
  writeSync(2, 'hanging\n')
  return new Promise(() => setInterval(() => {}, 1000))
}

const loop = {}
loop.self = loop
const VALUES = {
  undefined,
  bigint: 5n,
  nan: Number.NaN,
  deep: { list: [1, { at: Number.POSITIVE_INFINITY }] },
  map: new Map(),
  hole: [undefined],
  cycle: loop,
  invalid: new Date(Number.NaN),
  date: new Date(0),
  zero: [-0],
  members: { here: 1, gone: undefined },
}

export const value = (name) => VALUES[name]
