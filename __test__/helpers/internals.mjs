// What only tests may ask of the binding.
import { createRequire } from 'node:module'

const { native } = createRequire(import.meta.url)('../../dist/native.js')

/** Address of a typed array's memory. */
export const addressOf = (view) => native.addressOf(view)

/** Runs a kernel on this thread. */
export const runSync = (kernel, input, options) => native.runSync(kernel, input, options)
