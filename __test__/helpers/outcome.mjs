// How a child process ends. Runs under every runtime.

/**
 * Exit code, signal and output of a child, once it has ended and its output is complete. `onStdout(text, child)` is called
 * as output comes. A child that runs longer than `limit` ms is killed, and `timedOut` says so.
 */
export function outcomeOf(child, { limit, onStdout } = {}) {
  let [stdout, stderr, timedOut] = ['', '', false]
  const kill = () => {
    timedOut = true
    child.kill('SIGKILL')
  }
  const timer = limit === undefined ? undefined : setTimeout(kill, limit)
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
    onStdout?.(stdout, child)
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, timedOut })
    })
  })
}
