// What is measured: the package as built in the folder above, and its internals.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

export const PACKAGE = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

export const { WorkerPool } = require(PACKAGE)

/** Runs a kernel on this thread; internal to the package. */
export const { runSync } = require('../../dist/native-owner.js').native
