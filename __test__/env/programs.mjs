// Programs with pools in worker threads.
import assert from 'node:assert/strict'

/** A program that starts workers running `body` from a module beside it, then `main`. */
export function program(body, main) {
  return `import { Worker, isMainThread, parentPort } from 'node:worker_threads'
    import { WorkerPool } from 'threadmill'
    if (isMainThread) {
      const start = () => new Worker(new URL(import.meta.url))
      const event = (worker, name) => new Promise((resolve) => worker.once(name, resolve))
      ${main}
    } else {
      ${body}
    }`
}

/** Fails unless it ended by itself and printed `stdout` alone. */
export function assertClean(result, stdout) {
  assert.equal(result.timedOut, false, `did not end; stdout ${result.stdout} stderr ${result.stderr}`)
  assert.deepEqual(
    { code: result.code, signal: result.signal, stderr: result.stderr, stdout: result.stdout },
    { code: 0, signal: null, stderr: '', stdout },
  )
}
