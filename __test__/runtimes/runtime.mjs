// Which runtime this is, and waiting that ends.
import process from 'node:process'

const { bun, deno, node } = process.versions

/** Name and version of the runtime. */
export const runtime = bun
  ? { name: 'bun', version: bun }
  : deno
    ? { name: 'deno', version: deno }
    : { name: 'node', version: node }

/** What Deno must allow for a program that uses the package; see docs/runtimes.md. */
export const DENO_FLAGS = ['--no-prompt', '--allow-ffi', '--allow-read', '--allow-env']

/** The outcome of `promise`, or a failure after `limit` ms. Keeps the process alive until then. */
export async function within(limit, promise) {
  let timer
  const end = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${limit / 1000} s`)), limit)
  })
  try {
    return await Promise.race([promise, end])
  } finally {
    clearTimeout(timer)
  }
}
