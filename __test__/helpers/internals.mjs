// What only tests may ask of the binding.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { native } = require('../../dist/native-owner.js')
require('../../dist/native-values.js')

/** Decides which worker gets an input ahead. */
export const { Ahead } = require('../../dist/ahead.js')

/** By which a worker and its owner agree on what it still sees of what is posted to it. */
export const { lookLast, makeLastLook, postBefore } = require('../../dist/last-look.js')

/** Submits to a kernel, which is found by its name. */
export const { startKernel } = require('../../dist/submit.js')
export const { kernelNamed } = require('../../dist/kernels.js')

/** Whether this is one of the platforms and a major of Node where the addon calls functions of the engine. */
export const callsEngine =
  process.platform === 'linux' &&
  ['x64', 'arm64'].includes(process.arch) &&
  [20, 22, 24, 26].includes(Number.parseInt(process.versions.node, 10))

/** Whether memory moves between threads without a message. */
export const canMove = () => process.env.THREADMILL_MOVES !== 'off' && native.canMove()

/** Whether the engine's serializer is called. */
export const canClone = () => canMove() && native.canClone()

/** Whether shared memory goes with its value. */
export const canShare = () => canClone() && native.canShare(new SharedArrayBuffer(8))

/** Whether it is known from then on what `markAsUncloneable` does, by an object with its mark and one without. */
export const sees = (marked, other) => native.findMark(marked, other)

/** Whether an object is marked; true before that is known. */
export const isMarked = (object) => native.isMarked(object)

/** Address of a typed array's memory. */
export const addressOf = (view) => native.addressOf(view)

/** Runs a kernel on this thread. */
export const runSync = (kernel, input, options) => native.runSync(kernel, input, options)
